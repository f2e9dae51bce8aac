//! Planning without doing, and taking a store over.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::pass::{Pass, Wake};
use super::{Engine, PassError};
use crate::digest::Digest;
use crate::model::{PassReport, SourceName};
use crate::store::Lease;

/// What a look found, with the artifacts that its plan speaks of.
pub struct Look {
    /// The report; its plan is what would be done.
    pub report: PassReport,
    /// Recorded and desired artifacts, by digest.
    pub artifacts: HashMap<Digest, Arc<crate::model::Artifact>>,
}

impl Engine {
    /// Plans without writing anything; with `previews`, providers are asked what changes would do.
    pub async fn look(
        &mut self,
        previews: bool,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Look, PassError> {
        let fetched = self.sources.fetch().await;
        let memory = self.memory().await?;
        let mut pass = Pass::begin(self, Wake::Look { previews }, clock, memory, fetched).await?;
        let run = pass.run().await;
        pass.drop_all_prepared().await;
        run?;
        let artifacts = pass.outlined().await?;
        Ok(Look { report: pass.report, artifacts })
    }

    /// Raises the lease's epoch above the one that the status branch names.
    pub async fn take_over(
        &mut self,
        lease: Lease,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Lease, PassError> {
        let source = |source| PassError::Source { name: SourceName::new("status"), source };
        let published = match self.status.fetch().await.map_err(source)? {
            Some(tip) => self.status.instance(&tip).map_err(source)?.map_or(0, |file| file.epoch),
            None => 0,
        };
        let ttl = self.config.settings.reconcile.lease;
        let mut lease = lease;
        while lease.epoch() <= published {
            let holder = lease.holder().clone();
            self.store.release(lease).await?;
            match self.store.acquire(&holder, clock(), ttl).await? {
                crate::store::Acquired::Held(next) => lease = next,
                crate::store::Acquired::Busy { holder, .. } => {
                    return Err(PassError::Settings(format!(
                        "{} took the lease meanwhile",
                        holder.name
                    )));
                }
            }
        }
        self.takeover = true;
        self.pass(Wake::Apply(&lease), clock).await?;
        Ok(lease)
    }
}
