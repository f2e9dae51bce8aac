//! What is written to the store and read from it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spot::Spot;
use crate::digest::Digest;
use crate::model::{
    Approval, Artifact, ComponentName, Desired, Event, Hold, Journalled, ObjectId, Passage, Record,
    RequestId, Retry, Revision, RolloutWord, SourceName, SourceRecord, Sources, TargetKey,
    TemplateId, Token,
};

/// One write of a pass. The writes of a commit take effect in their order, all or none.
#[derive(Clone, PartialEq, Debug)]
pub enum Write {
    /// A request's desired state, with what it was made from.
    Desired(Box<DesiredRow>),
    /// It is desired no more.
    DropDesired(RequestId),
    /// What is applied.
    Record(Box<Record>),
    /// Nothing of it is applied any more.
    DropRecord(RequestId),
    /// The record goes on under another identity, with its journal, retries and history.
    /// `Missing` without a record under `from`, `Conflict` with one under `to`.
    Rekey {
        /// The former identity.
        from: RequestId,
        /// The new one.
        to: RequestId,
    },
    /// An artifact's text, by its digest; writing it again changes nothing. `Conflict` without one.
    Artifact(Artifact),
    /// An effect about to be made. Its artifact's text must be in the store, in this commit before
    /// it, or in the change itself (it is taken out and kept apart). `Conflict` while another
    /// effect on the same target has not ended, or when this one was sent already.
    Intent(Box<Journalled>),
    /// How an effect is getting on. `Missing` without its intent.
    Progress(Box<Journalled>),
    /// An effect's end was seen; what came of it is in the `Record` of the same commit. The row
    /// leaves the journal for the history. `Missing` without its intent.
    End {
        /// Which effect.
        token: Token,
    },
    /// When a failed target is tried again; `None` when it is not failed any more.
    Retry {
        /// The target.
        key: TargetKey,
        /// The next try.
        retry: Option<Retry>,
    },
    /// Replaces all holds of a request; none clears them.
    Hold {
        /// The request.
        request: RequestId,
        /// In the order to be shown.
        holds: Vec<HeldRow>,
    },
    /// A status as it should be on the status branch.
    Status(StatusRow),
    /// The request has no status any more; see [`super::Store::unpublished_drops`].
    DropStatus(RequestId),
    /// What the status branch holds for a request now; `None`: no file.
    Published {
        /// The request.
        request: RequestId,
        /// Digest of the published document.
        digest: Option<Digest>,
    },
    /// What is known of a source. A tip that a person accepted meanwhile is not forgotten by it,
    /// unless the record shows that it is used or overtaken.
    Source {
        /// Which.
        name: SourceName,
        /// All that is known.
        record: SourceRecord,
    },
    /// A published template version. The same digest again keeps what was first seen.
    Template {
        /// Name and version.
        id: TemplateId,
        /// Digest of its folder.
        digest: Digest,
        /// The catalog's commit at which it was first seen.
        commit: Option<Revision>,
        /// When it was first seen.
        at: Timestamp,
    },
    /// A line of history.
    Event(Event),
    /// A line about a part of a target. The same key again changes nothing: a provider that is
    /// asked twice may tell it twice.
    Happened {
        /// Digest of all that makes it this very happening.
        key: Digest,
        /// The line.
        event: Event,
    },
    /// Nothing is to be done until something changes; `None` takes that back.
    Quiet(Option<Quiet>),
    /// A small named value; `None` removes it.
    Value {
        /// Its name.
        key: String,
        /// Its value.
        value: Option<Value>,
    },
    /// A yes that follows from another: to each step of a set that was approved whole.
    Approve(Approval),
    /// An approval that is used up.
    DropApproval(Digest),
}

impl Write {
    /// Whether it leaves a `Quiet` standing: it changes nothing that a pass starts from.
    pub fn keeps_quiet(&self) -> bool {
        match self {
            Self::Quiet(_) | Self::Event(_) | Self::Happened { .. } | Self::Published { .. } => {
                true
            }
            Self::Value { key, .. } => key.starts_with(ASIDE),
            _ => false,
        }
    }
}

/// Named values that no pass reads begin with this.
pub const ASIDE: &str = "aside/";

/// Where it is written down which pull requests are not looked after.
pub fn unattended_key() -> String {
    format!("{ASIDE}unattended")
}

/// The named value that keeps what a person last said of a version's rollout.
pub fn word_key(version: &TemplateId) -> String {
    format!("rollout-word/{version}")
}

/// The named value that keeps how a request's file came to its branch.
pub fn passage_key(id: &RequestId) -> String {
    format!("passage/{id}")
}

/// What people write, without the lease. Each also ends a `Quiet`.
#[derive(Clone, PartialEq, Debug)]
pub enum PersonWrite {
    /// A yes to a plan.
    Approve(Approval),
    /// Every yes to a plan counts no more: it was given to what has been replaced since.
    DropApproval(Digest),
    /// A rewritten tip is accepted. `Missing` for a source that is not known.
    AcceptRewrite {
        /// The source.
        source: SourceName,
        /// The tip.
        revision: Revision,
    },
    /// How what a request's file says came to its branch, as the forge has it.
    Passage {
        /// The request.
        request: RequestId,
        /// How.
        passage: Box<Passage>,
    },
    /// A version's rollout shall stop, or go on.
    Rollout(RolloutWord),
    /// Try again now: forgets the failed tries of a request.
    RetryNow {
        /// The request.
        request: RequestId,
    },
}

/// A request's desired state with what it was made from.
#[derive(Clone, PartialEq, Debug)]
pub struct DesiredRow {
    /// The whole.
    pub desired: Arc<Desired>,
    /// The file it was read from.
    pub blob: ObjectId,
    /// Digest of everything that it depends on: the same key gives the same result.
    pub key: Digest,
    /// Digest of everything that planning depends on.
    pub fingerprint: Digest,
}

/// A hold, and since when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HeldRow {
    /// What is held, and why.
    pub hold: Hold,
    /// Since when.
    pub since: Timestamp,
}

/// A status, and what the status branch has of it.
#[derive(Clone, PartialEq, Debug)]
pub struct StatusRow {
    /// The request.
    pub request: RequestId,
    /// The status file's content.
    pub document: Value,
    /// Digest of the document and its artifacts.
    pub digest: Digest,
    /// The digest that the status branch holds. A `Write::Status` of `None` keeps what is stored:
    /// only `Write::Published` says that a file is gone.
    pub published: Option<Digest>,
    /// The rendered artifacts to lie beside it.
    pub artifacts: Vec<(ComponentName, Digest)>,
}

/// "A pass over these inputs found nothing to do until then."
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quiet {
    /// Digest of what was looked at: tips, configuration.
    pub inputs: Digest,
    /// When something is due; `None`: nothing is.
    pub due: Option<Timestamp>,
    /// [`Index::notes`] of the pass: what a person wrote since then has not been looked at, and
    /// this does not hold.
    pub notes: u64,
    /// When the status branch was looked at last; `None` where that is done at every pass.
    pub looked: Option<Timestamp>,
}

/// Everything small that a pass starts from, as of one instant; lists are sorted by their keys.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Index {
    /// By request.
    pub desired: Vec<DesiredEntry>,
    /// By request.
    pub records: Vec<RecordEntry>,
    /// Effects in flight, by token; the artifacts' texts are got by [`super::Store::artifacts`].
    pub journal: Vec<Journalled>,
    /// By target.
    pub retries: Vec<(TargetKey, Retry)>,
    /// By request, then as written.
    pub holds: Vec<HeldRow>,
    /// By name.
    pub sources: Sources,
    /// By digest, then by person.
    pub approvals: Vec<Approval>,
    /// Published template versions, by name and version.
    pub templates: Vec<(TemplateId, Digest)>,
    /// How many times people have written; see [`Quiet::notes`].
    pub notes: u64,
    /// Raised by one with each note and each commit that does not keep quiet ([`Write::keeps_quiet`]): an index
    /// with the same number is the same index.
    pub basis: u64,
}

/// A published template version, as it was first seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TemplateRow {
    /// Name and version.
    pub id: TemplateId,
    /// Digest of its folder.
    pub digest: Digest,
    /// The catalog's commit.
    pub commit: Option<Revision>,
    /// When.
    pub at: Timestamp,
}

/// The small part of a desired state.
#[derive(Clone, PartialEq, Debug)]
pub struct DesiredEntry {
    /// The request.
    pub id: RequestId,
    /// Where its file lies.
    pub spot: Spot,
    /// See [`DesiredRow::blob`].
    pub blob: ObjectId,
    /// See [`DesiredRow::key`].
    pub key: Digest,
    /// See [`DesiredRow::fingerprint`].
    pub fingerprint: Digest,
    /// The requests that it refers to, sorted, each once.
    pub references: Box<[RequestId]>,
    /// Whether it has a spec.
    pub valid: bool,
    /// See [`Desired::template`].
    pub template: Option<Arc<TemplateId>>,
}

/// The small part of a record.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordEntry {
    /// The request.
    pub id: RequestId,
    /// See [`Record::settled`].
    pub settled: Option<Digest>,
    /// The source that its file lay in.
    pub source: SourceName,
    /// The requests that it refers to, sorted, each once.
    pub references: Box<[RequestId]>,
    /// When the target that was looked at longest ago was looked at; `None` when one never was.
    pub checked: Option<Timestamp>,
    /// When it ends; `None`: it has no end.
    pub ends: Option<Timestamp>,
}

/// A line of history with its number: later lines have larger ones, and none is used twice.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Its number.
    pub n: u64,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
}

/// What a sweep removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Artifacts that nothing refers to.
    pub artifacts: usize,
    /// Lines of history beyond the limit.
    pub events: usize,
    /// There may be more: sweep again.
    pub more: bool,
}
