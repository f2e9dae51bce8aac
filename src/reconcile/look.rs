//! Planning without doing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::pass::{Pass, Wake};
use super::{Engine, PassError};
use crate::digest::Digest;
use crate::model::{Diagnostic, PassReport, RequestId};

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
        let mut memory = self.memory().await?;
        // Who looks wants to see what the next passes are to take up as well.
        if let Some(backlog) = &self.backlog {
            memory.built.clone_from(backlog.stored());
        }
        let mut pass = Pass::begin(self, Wake::Look { previews }, clock, memory, fetched).await?;
        pass.check_epoch().await?;
        let run = pass.run().await;
        pass.drop_all_prepared().await;
        run?;
        let artifacts = pass.outlined().await?;
        Ok(Look { report: pass.report, artifacts })
    }
}

impl Pass<'_> {
    /// What is to be known of those that are planned, such as that their version is deprecated. A pass
    /// that applies says it in each one's status.
    pub(super) fn note_planned(&mut self) {
        if self.lease.is_some() {
            return;
        }
        let plan = &self.report.plan;
        let steps = plan.steps.iter().map(|step| &step.target.key.request);
        let planned: BTreeSet<&RequestId> =
            steps.chain(plan.holds.iter().map(|hold| &hold.request)).collect();
        let desired = planned.into_iter().filter_map(|id| self.desired_of(id));
        let notes: Vec<Diagnostic> = desired.flat_map(|d| d.notes.iter().cloned()).collect();
        self.report.diagnostics.extend(notes);
    }
}
