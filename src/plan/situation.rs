//! All that a decision needs to know, loaded before it is made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::model::{
    Action, ComponentName, Desired, Fate, HoldReason, InstanceId, Observation, Record, RequestId,
    Retry, Revision, SourceName, SourceProblem, TargetKey, TargetName,
};

/// Everything the planner looks at.
pub struct Situation<'a> {
    /// The time, to tell which retries are due.
    pub now: Timestamp,
    /// This vend: part of every new target's name.
    pub instance: &'a InstanceId,
    /// Only the requests that differ, are in flight or are due; all others are settled.
    pub cases: Vec<Case>,
    /// Counts over all recorded requests.
    pub totals: Totals,
    /// How many requests are settled and not among the cases.
    pub settled: u64,
    /// Unhealthy request sources only.
    pub sources: BTreeMap<SourceName, SourceProblem>,
    /// Requests that reference this one, as desired or as recorded.
    pub dependents: &'a dyn Fn(&RequestId) -> Vec<RequestId>,
    /// Requests that this one references, as desired, or as recorded where it is not readable. Only
    /// asked about requests that are not among the cases, or not readable.
    pub references: &'a dyn Fn(&RequestId) -> Vec<RequestId>,
    /// Whether a request is desired or recorded. Only asked about those not among the cases.
    pub stands: &'a dyn Fn(&RequestId) -> bool,
    /// Digests that people said yes to.
    pub approvals: &'a BTreeSet<Digest>,
    /// When deletions stop and ask.
    pub guards: Guards,
    /// What becomes of requests whose time is over.
    pub expiry: Expiry,
    /// Live state was not looked at: the world is taken to be as recorded. For plans on a laptop and
    /// in a check, never for one that is executed.
    pub blind: bool,
}

/// Counts over all recorded requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// How many there are.
    pub recorded: u64,
    /// How many of each team.
    pub by_team: BTreeMap<String, u64>,
}

/// When deletions stop and ask.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Guards {
    /// This many requests may always be deleted in one pass.
    pub max_deletes: u64,
    /// As may this share of the recorded ones, 0 to 1.
    pub max_share: f64,
    /// A team of this many or more is never deleted whole.
    pub team_min: u64,
}

impl Default for Guards {
    fn default() -> Self {
        Self { max_deletes: 3, max_share: 0.10, team_min: 3 }
    }
}

/// What becomes of requests whose time is over.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expiry {
    /// An end that a template brings on comes no sooner than this from when it became known.
    pub grace: SignedDuration,
    /// How files of a source go, where that is not by a commit.
    pub fates: BTreeMap<SourceName, Fate>,
}

/// One request that is not settled.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// Its identity.
    pub id: RequestId,
    /// What its file comes to; `None` when there is no file.
    pub desired: Option<Arc<Desired>>,
    /// When there is no file: what it last said, if found.
    pub gone: Option<Gone>,
    /// What was applied.
    pub recorded: Option<Record>,
    /// What was seen, by recorded component name where there is one, else by desired name. Absent
    /// from the map: nobody looked.
    pub live: BTreeMap<ComponentName, Seen>,
    /// Effects whose end was not seen.
    pub in_flight: BTreeMap<ComponentName, InFlight>,
    /// Failures that wait for another try.
    pub retries: BTreeMap<ComponentName, Retry>,
    /// It is time to look for drift.
    pub drift_due: bool,
    /// How its file came to the branch lets nothing be done with it.
    pub barred: Option<HoldReason>,
    /// The commits at which others were found gone ([`Gone::commit`]), and its file was not there yet.
    pub later: BTreeSet<Revision>,
    /// Those of them that left its file as it was, suspended or of no use: it did not come with them.
    pub untouched: BTreeSet<Revision>,
    /// It was gone before, and the last pass held it as one half of a move.
    pub may_have_moved: bool,
    /// The set of deletions with which it was held last, since then without a break, and how many requests
    /// that had.
    pub stopped: Option<(Digest, u64)>,
    /// Names that its targets would have, and that another request took along when it moved.
    pub taken: BTreeSet<TargetName>,
}

impl Situation<'_> {
    /// Puts the answers to looks into the cases that [`needs_observing`](super::needs_observing) asked
    /// them for.
    pub fn saw(&mut self, answers: impl IntoIterator<Item = (TargetKey, Seen)>) {
        let at: HashMap<RequestId, usize> =
            self.cases.iter().enumerate().map(|(n, case)| (case.id.clone(), n)).collect();
        for (key, seen) in answers {
            if let Some(case) = at.get(&key.request).and_then(|n| self.cases.get_mut(*n)) {
                case.live.insert(key.component, seen);
            }
        }
    }
}

impl Case {
    /// Every component that is desired, recorded or under way.
    pub fn components(&self) -> BTreeSet<ComponentName> {
        let spec = self.desired.as_ref().and_then(|d| d.spec());
        let desired = spec.into_iter().flat_map(|s| &s.components).map(|c| &c.name);
        let recorded = self.recorded.iter().flat_map(|r| r.components.keys());
        desired.chain(recorded).chain(self.in_flight.keys()).cloned().collect()
    }
}

/// What a removed file last said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gone {
    /// It, or its environment, said `protect: true`.
    pub protect: bool,
    /// It permitted its deletion.
    pub tombstone: bool,
    /// It said `movedFrom`; matters also for a file that came and went between two passes.
    pub moved_from: Option<RequestId>,
    /// The commit that removed it.
    pub commit: Option<Revision>,
    /// The last commit that was read with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Revision>,
}

/// The result of looking at a target.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// The provider answered.
    Observed(Observation),
    /// It did not, in its words.
    Failed(String),
    /// It will not before somebody changes something, in its words.
    Refused(String),
}

/// An effect whose end was not seen.
#[derive(Clone, PartialEq, Debug)]
pub struct InFlight {
    /// What.
    pub action: Action,
    /// To what.
    pub artifact: Option<Digest>,
    /// Since when.
    pub since: Timestamp,
    /// What happened to the answer, when it was lost.
    pub unknown: Option<String>,
    /// It was asked to stop.
    pub stopped: bool,
    /// Why the provider could not be asked about it lately.
    pub silent: Option<String>,
}
