//! Why nothing happened, as data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Diagnostic, Previewed, RequestId, ResourceChange, SourceName, TargetKey, TemplateId};
use crate::digest::Digest;

/// A target on which something could have happened and did not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// Whose.
    pub request: RequestId,
    /// Which component, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<super::ComponentName>,
    /// What would have been done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<super::Action>,
    /// Why not.
    pub reason: HoldReason,
}

impl Hold {
    /// What a person approves, where it waits since more would happen than was reviewed.
    pub fn changed_plan(&self) -> Option<Digest> {
        match &self.reason {
            HoldReason::PlanChanged { now, .. } => Some(*now),
            _ => None,
        }
    }
}

/// The reasons. Printed in CamelCase and never renamed; the sentence for people is `report`'s.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason")]
pub enum HoldReason {
    /// The file has errors; what was applied stays.
    Invalid {
        /// The errors.
        problems: Vec<Diagnostic>,
    },
    /// A field or provider whose behaviour is not built yet.
    NotSupportedYet {
        /// Which.
        what: String,
    },
    /// The provider could not be asked.
    NotObserved {
        /// In the provider's words.
        error: String,
    },
    /// Something stands there that this request did not make.
    NotOurs {
        /// Whose it says it is, when it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// The request could take it over, by `adopt: true`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adoptable: bool,
        /// What it is called there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Another target comes first.
    WaitingFor {
        /// Which.
        dependency: Dependency,
    },
    /// A person must approve.
    NeedsApproval {
        /// What to approve.
        digest: Digest,
        /// What would be lost, by the provider's preview, with what causes it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<ResourceChange>,
        /// The preview that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<Previewed>,
        /// What rules ask for and is not given yet.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<super::Requirement>,
        /// Who approved what was asked here before, and is not what would be done now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        void: Vec<String>,
    },
    /// More would happen than was reviewed.
    PlanChanged {
        /// What was reviewed.
        reviewed: Digest,
        /// What would happen now.
        now: Digest,
        /// What rules ask for of that and is not given yet.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<super::Requirement>,
    },
    /// It came to the branch, and nobody has said that it came with a pull request.
    NeedsPullRequest {
        /// The forge was asked, and says that it was pushed directly. Else it has not answered yet.
        direct: bool,
        /// The commit that brought it, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<super::Revision>,
        /// `vend approve` takes this.
        digest: Digest,
    },
    /// Deleting a protected request needs its tombstone first.
    Protected {
        /// Its file does not protect it: the provider's own guard against deletion is on, and vend does not know that it
        /// turned it on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        locked: bool,
    },
    /// One pass would delete too much at once.
    TooManyDeletes {
        /// How many requests would be deleted.
        count: u64,
        /// Of how many recorded.
        recorded: u64,
        /// The team, when all of one team's would go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<String>,
        /// The commit at which they were gone, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<super::Revision>,
        /// `vend approve` takes this.
        digest: Digest,
    },
    /// It vanished while one like it appeared; or its account, region, repository or path changed.
    LooksLikeAMove {
        /// Where to, when another request looks like it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<RequestId>,
        /// Further ones that look like it as much.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<RequestId>,
        /// What moved, in words for people, such as `path`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setting: Option<String>,
        /// `vend approve` takes this when it really is a delete and a create.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// `vend approve` takes this for all that left the same source for the same other one, and for
        /// all that look like it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set: Option<Digest>,
        /// The other came later and cannot be read: what comes after it is not taken for its correction.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        later: bool,
    },
    /// Not now: the environment's windows are closed.
    OutsideWindow {
        /// When the next one opens.
        until: Timestamp,
    },
    /// It failed and is tried again later, or was not begun, since others failed where it is.
    Backoff {
        /// When.
        until: Timestamp,
        /// Tries so far; 0: it was not begun.
        attempts: u32,
        /// What went wrong.
        error: String,
    },
    /// The provider refused; a change or `vend retry` is what helps.
    Refused {
        /// In the provider's words.
        error: String,
        /// The next unhurried try.
        until: Timestamp,
    },
    /// `suspend: true`.
    Suspended,
    /// The version that has reached it goes no further.
    RolloutStopped {
        /// The version.
        version: TemplateId,
        /// Who stopped it; `None`: too many failures.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// How many requests had failed with it.
        failures: u32,
    },
    /// The version takes no new requests.
    TemplateRetired,
    /// The version that it was made with is gone from the catalog, and nothing has taken it to another.
    TemplateMissing {
        /// The version.
        version: TemplateId,
    },
    /// Other requests use its outputs.
    Referenced {
        /// Which.
        by: Vec<RequestId>,
    },
    /// Its time is over and its file still stands.
    Expired {
        /// Since when.
        since: Timestamp,
        /// What becomes of its file.
        fate: Fate,
    },
    /// The source cannot be trusted right now: nothing of it is deleted or changed.
    Source {
        /// Which.
        source: SourceName,
        /// What is wrong with it.
        problem: SourceProblem,
    },
    /// Something of ours is under way there.
    InFlight {
        /// Since when.
        since: Timestamp,
        /// It was asked to stop.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stopped: bool,
        /// Why the provider could not be asked about it lately.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silent: Option<String>,
    },
    /// Somebody else's change is under way there.
    Busy {
        /// The provider's word for its state.
        state: String,
    },
    /// It stands in a state in which nothing can be done to it as it is.
    Stuck {
        /// The provider's word for its state.
        state: String,
        /// One sentence: the exact next step for a person.
        advice: String,
        /// What went wrong, in the provider's words, where a change of ours brought it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Nothing is left in it: `vend approve` takes this, and it is deleted and made again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A change that `x-change` or the provider does not allow.
    ForbiddenChange {
        /// What and why.
        what: String,
    },
    /// What was sent may or may not have happened: vend looks, and does not guess.
    Unknown {
        /// Since when.
        since: Timestamp,
        /// What happened to the answer.
        error: String,
    },
    /// A bug of ours met this one request.
    InternalError {
        /// To find it in the logs.
        id: String,
    },
}

impl HoldReason {
    /// The stable name, as serialised.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "Invalid",
            Self::NotSupportedYet { .. } => "NotSupportedYet",
            Self::NotObserved { .. } => "NotObserved",
            Self::NotOurs { .. } => "NotOurs",
            Self::WaitingFor { .. } => "WaitingFor",
            Self::NeedsApproval { .. } => "NeedsApproval",
            Self::PlanChanged { .. } => "PlanChanged",
            Self::NeedsPullRequest { .. } => "NeedsPullRequest",
            Self::Protected { .. } => "Protected",
            Self::TooManyDeletes { .. } => "TooManyDeletes",
            Self::LooksLikeAMove { .. } => "LooksLikeAMove",
            Self::OutsideWindow { .. } => "OutsideWindow",
            Self::Backoff { .. } => "Backoff",
            Self::Refused { .. } => "Refused",
            Self::Suspended => "Suspended",
            Self::RolloutStopped { .. } => "RolloutStopped",
            Self::TemplateRetired => "TemplateRetired",
            Self::TemplateMissing { .. } => "TemplateMissing",
            Self::Referenced { .. } => "Referenced",
            Self::Expired { .. } => "Expired",
            Self::Source { .. } => "Source",
            Self::InFlight { .. } => "InFlight",
            Self::Busy { .. } => "Busy",
            Self::Stuck { .. } => "Stuck",
            Self::ForbiddenChange { .. } => "ForbiddenChange",
            Self::Unknown { .. } => "Unknown",
            Self::InternalError { .. } => "InternalError",
        }
    }

    /// Whether it holds a request that has gone as one half of a move, whose other half may be corrected
    /// by what comes next.
    pub fn is_incomplete_move(&self) -> bool {
        matches!(self, Self::LooksLikeAMove { other: Some(_), later: false, .. })
    }

    /// Whether it stays until a person does something. The others end by themselves, or were meant.
    pub fn wants_a_person(&self) -> bool {
        match self {
            Self::Invalid { .. }
            | Self::NotSupportedYet { .. }
            | Self::NotOurs { .. }
            | Self::NeedsApproval { .. }
            | Self::PlanChanged { .. }
            | Self::NeedsPullRequest { direct: true, .. }
            | Self::Protected { .. }
            | Self::TooManyDeletes { .. }
            | Self::LooksLikeAMove { .. }
            | Self::Refused { .. }
            | Self::RolloutStopped { .. }
            | Self::TemplateRetired
            | Self::TemplateMissing { .. }
            | Self::Referenced { .. }
            | Self::Stuck { .. }
            | Self::ForbiddenChange { .. }
            | Self::InternalError { .. } => true,
            Self::Expired { fate, .. } => match fate {
                Fate::People
                | Fate::Protected
                | Fate::Suspended
                | Fate::Referenced { .. }
                | Fate::TooMany { .. } => true,
                Fate::Commit { .. } | Fate::PullRequest => false,
            },
            Self::NotObserved { .. }
            | Self::WaitingFor { .. }
            | Self::NeedsPullRequest { direct: false, .. }
            | Self::OutsideWindow { .. }
            | Self::Backoff { .. }
            | Self::Suspended
            | Self::Source { .. }
            | Self::InFlight { .. }
            | Self::Busy { .. }
            | Self::Unknown { .. } => false,
        }
    }

    /// Whether being held by it is a line of history of its own. The others go with such a line
    /// already, or are about a whole source.
    pub fn is_told(&self) -> bool {
        match self {
            Self::Backoff { .. }
            | Self::Refused { .. }
            | Self::Unknown { .. }
            | Self::InFlight { .. }
            | Self::NeedsPullRequest { direct: false, .. }
            | Self::Source { .. } => false,
            Self::Invalid { .. }
            | Self::NotSupportedYet { .. }
            | Self::NotObserved { .. }
            | Self::NotOurs { .. }
            | Self::WaitingFor { .. }
            | Self::NeedsApproval { .. }
            | Self::PlanChanged { .. }
            | Self::NeedsPullRequest { direct: true, .. }
            | Self::Protected { .. }
            | Self::TooManyDeletes { .. }
            | Self::LooksLikeAMove { .. }
            | Self::OutsideWindow { .. }
            | Self::Suspended
            | Self::RolloutStopped { .. }
            | Self::TemplateRetired
            | Self::TemplateMissing { .. }
            | Self::Referenced { .. }
            | Self::Expired { .. }
            | Self::Busy { .. }
            | Self::Stuck { .. }
            | Self::ForbiddenChange { .. }
            | Self::InternalError { .. } => true,
        }
    }
}

/// What becomes of a request's file when its time is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// A commit of vend's own removes it.
    Commit {
        /// Why the last one did not arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A pull request is to remove it: its branch takes nothing else.
    PullRequest,
    /// People remove it, as the settings have it.
    People,
    /// It stays: deleting it needs its tombstone first.
    Protected,
    /// It stays for as long as it is to be left alone.
    Suspended,
    /// It stays for as long as others use its outputs.
    Referenced {
        /// Which.
        by: Vec<RequestId>,
    },
    /// It stays until a person says that so many may go at once.
    TooMany {
        /// How many requests' time is over.
        count: u64,
        /// Of how many recorded.
        recorded: u64,
        /// The team, when all of one team's would go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<String>,
        /// `vend approve` takes this.
        digest: Digest,
    },
}

/// What a target waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dependency {
    /// Another target's apply or deletion.
    Target(TargetKey),
    /// Another request, which is not there or not ready.
    Request(RequestId),
    /// An output that a ready request does not give.
    Output(super::Symbol),
    /// A template version that the catalog does not have (yet).
    Catalog(String),
}

/// What is wrong with a source of requests or the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceProblem {
    /// It could not be fetched; the last good commit stays in use.
    Stale {
        /// In the transport's words.
        error: String,
        /// Since when.
        since: Timestamp,
    },
    /// The branch or the repository is not there.
    Missing {
        /// In the transport's words.
        error: String,
        /// Since when.
        since: Timestamp,
    },
    /// The new tip does not descend from the last one; `vend approve SOURCE@SHA` accepts it.
    HistoryRewritten {
        /// The last commit that was used.
        last: super::Revision,
        /// The tip now.
        tip: super::Revision,
    },
    /// The configured folder is not in the new tip; `vend approve SOURCE@SHA` accepts it as empty.
    FolderMissing {
        /// Which.
        path: String,
        /// The tip now.
        tip: super::Revision,
    },
    /// It is not in the configuration any more.
    NotConfigured,
    /// More files than the limit: nothing of it is used.
    TooManyFiles {
        /// The limit.
        limit: u64,
    },
}
