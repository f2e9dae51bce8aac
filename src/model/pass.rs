//! What a pass did and found.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Action, Diagnostic, Hold, Plan, RequestId, RequestPhase, Revision, SourceName, SourceProblem,
    Status, TargetKey,
};

/// What a pass did and found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassReport {
    /// Nothing had changed since a pass that found nothing to do.
    pub quiet: bool,
    /// The plan as it was made first, before anything was done, with the steps that follow from it.
    pub plan: Plan,
    /// Requests that use outputs which the plan changes, in ways that cannot be told before: their
    /// templates decide by them.
    #[serde(default)]
    pub untold: Vec<RequestId>,
    /// Effects whose end was seen, with what went wrong if something did.
    pub done: Vec<(TargetKey, Action, Option<String>)>,
    /// What is held at the end.
    pub holds: Vec<Hold>,
    /// Effects under way at the end.
    pub under_way: usize,
    /// Sources that cannot be believed now.
    pub problems: Vec<(SourceName, SourceProblem)>,
    /// Problems of the catalog's files and of paths that are no request's.
    pub diagnostics: Vec<Diagnostic>,
    /// The commit made on the status branch.
    pub published: Option<Revision>,
    /// Why the status branch could not be written.
    pub publish_error: Option<String>,
    /// Sources from which the files of requests whose time is over could not be removed, and why.
    #[serde(default)]
    pub unremoved: Vec<(SourceName, String)>,
    /// When something is due although nothing changes.
    pub due: Option<Timestamp>,
    /// Requests by team, environment and phase.
    pub counts: Counts,
    /// Rollouts of versions that were stopped and go no further.
    #[serde(default)]
    pub rollouts_stopped: usize,
    /// Requests that have an end, by how near it is.
    #[serde(default)]
    pub ends: EndCounts,
    /// Targets that differ from what was applied.
    #[serde(default)]
    pub drift: DriftCounts,
    /// Since when what is not as it should be is so.
    #[serde(default)]
    pub since: Lasting,
    /// Requests that were read again.
    pub evaluated: usize,
    /// Records changed although nothing was done: what is proposed may come to something else.
    #[serde(skip)]
    pub recorded: bool,
    /// New files that are left to the passes after this one.
    #[serde(default)]
    pub unread: usize,
}

/// How many targets are not as they were applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DriftCounts {
    /// They differ.
    pub drifted: u64,
    /// It could not be told.
    pub unchecked: u64,
}

impl DriftCounts {
    /// Those of one request.
    pub fn of(status: &Status) -> Self {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        status.drift.as_ref().map_or_else(Self::default, |drift| Self {
            drifted: count(drift.items.values().filter(|items| !items.is_empty()).count()),
            unchecked: count(drift.unchecked.len()),
        })
    }

    /// A request that stood like the first stands like the second.
    pub fn shift(&mut self, from: Self, to: Self) {
        self.drifted = self.drifted.saturating_sub(from.drifted).saturating_add(to.drifted);
        self.unchecked = self.unchecked.saturating_sub(from.unchecked).saturating_add(to.unchecked);
    }
}

/// Since when what is not as it should be is so: of each kind, what has been so for the longest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lasting {
    /// Effects under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<Timestamp>,
    /// What is held, by the reason's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Timestamp>,
}

/// How many requests have an end, by how near it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EndCounts {
    /// Their time is over, and their files still stand.
    pub over: usize,
    /// They end within the longest warning.
    pub soon: usize,
    /// They end later.
    pub later: usize,
}

impl PassReport {
    /// Effects that failed.
    pub fn failures(&self) -> usize {
        self.done.iter().filter(|(_, _, error)| error.is_some()).count()
    }

    /// This pass and a later one as one: the plan of what was new, all that was done, and how it stands now.
    #[must_use]
    pub fn followed_by(mut self, next: Self) -> Self {
        self.done.extend(next.done);
        // What this one left, the next has planned first.
        if self.unread > 0 {
            self.plan.steps.extend(next.plan.steps);
            self.untold.extend(next.untold);
        }
        Self {
            quiet: self.quiet && next.quiet,
            plan: self.plan,
            untold: self.untold,
            done: self.done,
            published: next.published.or(self.published),
            evaluated: self.evaluated + next.evaluated,
            ..next
        }
    }
}

/// Requests per `<team>/<environment>` and phase, for the front page.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts(pub BTreeMap<String, BTreeMap<RequestPhase, u64>>);

impl Counts {
    /// One request moves from a phase to another; `None` is not being there.
    pub fn shift(&mut self, id: &RequestId, from: Option<RequestPhase>, to: Option<RequestPhase>) {
        if from == to {
            return;
        }
        let key = format!("{}/{}", id.team(), id.environment());
        let row = self.0.entry(key.clone()).or_default();
        if let Some(phase) = from {
            let count = row.entry(phase).or_default();
            *count = count.saturating_sub(1);
        }
        if let Some(phase) = to {
            *row.entry(phase).or_default() += 1;
        }
        row.retain(|_, count| *count > 0);
        if row.is_empty() {
            self.0.remove(&key);
        }
    }

    /// All of one phase.
    pub fn of(&self, phase: RequestPhase) -> u64 {
        self.0.values().filter_map(|row| row.get(&phase)).sum()
    }
}

/// What a store was rebuilt to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rebuilt {
    /// Requests with a status.
    pub requests: usize,
    /// Of them, those of which something is applied.
    pub applied: usize,
    /// Targets that stand as they were recorded.
    pub found: usize,
    /// Targets that do not, or that could not be looked at.
    pub open: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_a_request_through_its_phases() {
        let id = RequestId::new("orders", "dev", "queue").unwrap();
        let mut counts = Counts::default();
        counts.shift(&id, None, Some(RequestPhase::Pending));
        counts.shift(&id, Some(RequestPhase::Pending), Some(RequestPhase::Ready));
        assert_eq!((counts.of(RequestPhase::Pending), counts.of(RequestPhase::Ready)), (0, 1));
        counts.shift(&id, Some(RequestPhase::Ready), None);
        assert_eq!(counts, Counts::default());
    }
}
