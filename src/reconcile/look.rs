//! Planning without doing.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::pass::{Pass, Wake};
use super::{Engine, PassError};
use crate::digest::Digest;
use crate::model::PassReport;

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
}
