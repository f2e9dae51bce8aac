//! What would be done, and what not and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Hold, Map, Preview, RequestId, Revision, Target, TargetKey, Term, place};
use crate::digest::{self, Digest};

/// What is done to a target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It comes to be.
    Create,
    /// It changes in place.
    Update,
    /// It goes and another comes.
    Replace,
    /// It goes.
    Delete,
    /// It is gone, or differs, from what was applied: put back.
    Restore,
    /// The record is dropped; the world is not touched.
    Forget,
    /// The record takes another key; the world is not touched.
    Move,
}

impl Action {
    /// Whether a provider is asked to do it.
    pub fn touches_the_world(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Replace | Self::Delete | Self::Restore => true,
            Self::Forget | Self::Move => false,
        }
    }
}

/// One step: nothing is left to choose for whoever executes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// On what.
    pub target: Target,
    /// What.
    pub action: Action,
    /// To what, by digest; `None` for a deletion, a forgetting or a move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
    /// From what, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
    /// What the target is marked with, where that is not `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Digest>,
    /// For a move: the former identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<TargetKey>,
    /// Must have ended well first. Not empty: it is shown, and not done yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TargetKey>,
    /// Values it waits to learn; not empty: it is shown, and not done yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<super::Symbol>,
    /// Things a reviewer should see, such as a downgrade.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// Resource by resource, when the provider was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Approvals without which it would be held; used up when it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Digest>,
    /// Approvals that rules ask for, and who has given them: of this step's digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Requirement>,
    /// The provider's own guard against deletion was on when this was planned, and vend does not know that
    /// it turned it on: it does not become vend's by this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

/// An approval that a rule asks for, and who has given it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// The rule's expression.
    pub rule: String,
    /// Where it is written, in the catalog.
    pub place: super::Place,
    /// Whose approval counts; one of them is enough.
    pub teams: Vec<String>,
    /// How many different people.
    pub count: u32,
    /// Why, for those who are asked: the rule's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has given theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub had: Vec<String>,
    /// What is not known yet and decides whether it is needed at all, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<String>,
}

impl Requirement {
    /// Whether enough people said yes.
    pub fn is_met(&self) -> bool {
        self.had.len() >= self.count as usize
    }
}

/// Something a reviewer should see.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Remark {
    /// The template goes to an older version.
    Downgrade {
        /// From.
        from: semver::Version,
        /// To.
        to: semver::Version,
    },
    /// Another template takes over.
    Swap {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// It had vanished from the world, or was changed there.
    Drifted(Vec<super::DriftItem>),
    /// The component is no longer in the template.
    ComponentGone,
    /// All that differs is what is known only after other steps of the plan: it may stay as it is.
    MayChange,
    /// It stands there without anybody's mark, and is taken over.
    Adopts,
    /// The provider's own guard against deletion is off, and goes on.
    Guards,
    /// What is deleted was never made whole: the rest of an earlier try.
    Rubble,
    /// It lives that long from when it is first applied, or until then.
    Ends(super::Term),
}

impl Step {
    /// Covers target, action, artifact, what is replaced or deleted, and of what comes to be where: no commit,
    /// time, wording or provider id, so that an approval holds for as long as the effect is the same.
    pub fn digest(&self) -> Digest {
        let Self {
            target,
            action,
            artifact,
            from: _,
            mark: _,
            moved_from,
            after: _,
            unknown: _,
            remarks: _,
            preview,
            released: _,
            needs: _,
            locked: _,
        } = self;
        // A deletion says by itself that all goes.
        let tells = *action != Action::Delete;
        let lost = preview.iter().filter(|p| tells && !p.foretold).flat_map(|p| &p.resources);
        let lost = lost.filter(|r| r.loses());
        let lost: std::collections::BTreeSet<_> =
            lost.map(|r| (&r.name, &r.kind, r.action)).collect();
        let effect = (&target.name, &target.key, action, artifact, moved_from, lost);
        match action {
            Action::Create => digest::of(&(effect, &target.provider, place(&target.settings))),
            // It stays where it is: another place is a deletion and a creation.
            Action::Update
            | Action::Replace
            | Action::Delete
            | Action::Restore
            | Action::Forget
            | Action::Move => digest::of(&effect),
        }
    }

    /// Whether it comes only if outputs that are not known yet change.
    pub fn may_change(&self) -> bool {
        self.remarks.contains(&Remark::MayChange)
    }

    /// Whether it can be done now.
    pub fn is_ready(&self) -> bool {
        self.after.is_empty() && self.unknown.is_empty()
    }
}

impl super::ResourceChange {
    /// Whether something that is there now goes.
    pub fn loses(&self) -> bool {
        use super::ResourceAction as A;
        match self.action {
            // What may go counts as going: its provider itself cannot tell.
            A::Delete | A::Replace | A::MayReplace => true,
            A::Create | A::Update | A::Retain => false,
        }
    }

    /// What causes its fate: the provider's word, else the properties that make it anew.
    pub fn why(&self) -> Option<String> {
        let causes = self.properties.iter().filter(|p| p.recreates != super::Recreates::Never);
        let mut paths: Vec<_> = causes.map(|p| p.path.as_str()).collect();
        paths.dedup();
        self.cause.clone().or((!paths.is_empty()).then(|| paths.join(", ")))
    }
}

/// The whole answer to: what would be done, what not, and why.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// In an order that respects `after`; those that do not touch the world come first and are done
    /// before any other.
    pub steps: Vec<Step>,
    /// By request, then component.
    pub holds: Vec<Hold>,
    /// Requests that are as they should be.
    pub settled: u64,
    /// Requests whose desired state is satisfied and not yet recorded as such: the record is
    /// refreshed, and no provider is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settle: Vec<Settle>,
    /// What was seen of drift and is not yet recorded so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drifts: Vec<Drift>,
    /// Records of removed requests in which nothing is left: to be dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<RequestId>,
    /// Digests of deleting steps, or of requests that changed their source, that the approval of
    /// their whole set released. Stored as approvals
    /// before the steps are executed, so that the rest of the set stays approved when some of it is
    /// done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<Digest>,
    /// Digests of those sets: their approvals are used up, so that the same deletions ask again when
    /// they come again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Digest>,
}

/// What a target's drift is now; empty items say that there is none any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// Of what.
    pub target: TargetKey,
    /// What differs.
    pub items: Vec<super::DriftItem>,
    /// Why not all of it could be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

impl Plan {
    /// The digest of its sorted steps.
    pub fn digest(&self) -> Digest {
        let mut steps: Vec<_> = self.steps.iter().map(Step::digest).collect();
        steps.sort_unstable();
        digest::of(&steps)
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// How one request's record stands to its desired state once everything is done: what `settled`
/// is set to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settle {
    /// The request.
    pub request: RequestId,
    /// Digest of the spec that is satisfied.
    pub fingerprint: Digest,
    /// Approvals without which it would be held; used up with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Digest>,
    /// The end that it gets with this, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<NewEnd>,
    /// What was approved of an older version or another template that takes over with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Digest>,
}

/// When a request ends by its file, and when it ended by what is recorded; `None`: never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewEnd {
    /// By what is recorded.
    pub was: Option<Timestamp>,
    /// By its file: so long after it is recorded where its life has not begun.
    pub ends: Option<Term>,
}

/// The commits one pass works on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pinned {
    /// The catalog's.
    pub catalog: Option<Revision>,
    /// Each request source's.
    pub requests: std::collections::BTreeMap<super::SourceName, Revision>,
}

/// Outputs of a record as they may be shown.
pub type ShownOutputs = Map;
