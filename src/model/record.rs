//! What vend knows it has done.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Change, ComponentName, DriftItem, Happening, InstanceId, Life, Map, Origin, OutputSpec,
    Reference, RequestId, Revision, SourceName, Target, TargetKey, TargetName, TemplateId, Ticket,
    Token, TraceParent, hidden_output, is_hidden_output,
};
use crate::digest::Digest;

/// The applied state of one request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its identity.
    pub id: RequestId,
    /// Where its file lay when it was last applied.
    pub origin: Origin,
    /// Fingerprint of the desired state that this record wholly satisfies; `None` while something
    /// is still to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Digest>,
    /// Name and version last applied.
    pub template: TemplateId,
    /// Digest of that version's folder.
    pub template_digest: Digest,
    /// Resolved parameters as applied.
    pub parameters: Map,
    /// Parameters never shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<String>,
    /// Digests of those whose references are not known: the status branch, from which the record was
    /// read, does not tell them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// Parameters filled from other requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Reference>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Deleting needs a tombstone.
    #[serde(default)]
    pub protect: bool,
    /// The file permitted its deletion when it was last seen.
    #[serde(default)]
    pub tombstone: bool,
    /// When it began and when it ends; `None`: it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<Life>,
    /// What was applied before another version or template took over, until all of that one is applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Superseded>,
    /// The catalog's commit with which all of it was applied last, while some of it is to be applied anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_at: Option<Revision>,
    /// By component.
    pub components: BTreeMap<ComponentName, ComponentRecord>,
    /// The template's promised outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output_specs: BTreeMap<String, OutputSpec>,
    /// Commits at which the desired state last changed.
    pub observed: Observed,
    /// The last apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_apply: Option<LastApply>,
}

impl Record {
    /// What stands of versions that `next` takes over from: what is recorded, and what that has not taken over
    /// wholly.
    pub fn superseded(&self, next: &TemplateId) -> Vec<Superseded> {
        let former = self.former.iter().filter(|was| was.template != *next).cloned();
        former.chain((self.template != *next).then(|| Superseded::of(self))).collect()
    }

    /// The promised outputs that are known; sensitive ones are left out (they cannot fill another
    /// request's parameter).
    pub fn outputs(&self) -> Map {
        self.output_specs
            .iter()
            .filter(|(_, spec)| !spec.sensitive)
            .filter_map(|(name, spec)| {
                let component = self.components.get(&spec.component)?;
                Some((name.clone(), component.outputs.get(&spec.output)?.clone()))
            })
            .filter(|(_, value)| !is_hidden_output(value))
            .collect()
    }

    /// The promised outputs that components which are applied do not give.
    pub fn missing_outputs(&self) -> Vec<(&str, &OutputSpec)> {
        let is_missing = |spec: &OutputSpec| {
            let component = self.components.get(&spec.component);
            component.is_some_and(|c| !c.outputs.contains_key(&spec.output))
        };
        let specs = self.output_specs.iter().filter(|(_, spec)| is_missing(spec));
        specs.map(|(name, spec)| (name.as_str(), spec)).collect()
    }

    /// Names of its targets that are not those which its own components would be given: it came from
    /// another request, or a component had another name. With who has them, itself.
    pub fn brought_along(
        &self,
        instance: &InstanceId,
    ) -> impl Iterator<Item = (TargetName, RequestId)> {
        self.components.iter().filter_map(|(component, known)| {
            let key = TargetKey { request: self.id.clone(), component: component.clone() };
            let is_own = known.target == TargetName::compute(instance, &key);
            (!is_own).then(|| (known.target.clone(), self.id.clone()))
        })
    }

    /// A component goes on under another name; whether it was there. What it gives and what came after
    /// it go by that name too: requests that use its outputs lose nothing meanwhile.
    pub fn rename_component(&mut self, from: &ComponentName, to: &ComponentName) -> bool {
        let Some(component) = self.components.remove(from) else { return false };
        self.components.insert(to.clone(), component);
        let needs = self.components.values_mut().flat_map(|c| &mut c.needs);
        let outputs = self.output_specs.values_mut().map(|spec| &mut spec.component);
        for name in needs.chain(outputs).filter(|name| *name == from) {
            name.clone_from(to);
        }
        self.settled = None;
        true
    }

    /// Puts references in the place of the values of sensitive outputs: values like that are kept
    /// nowhere.
    pub fn hide_outputs(&mut self) {
        for spec in self.output_specs.values().filter(|spec| spec.sensitive) {
            let Some(component) = self.components.get_mut(&spec.component) else { continue };
            let hidden = hidden_output(&component.provider, &component.target, &spec.output);
            if let Some(value) = component.outputs.get_mut(&spec.output) {
                *value = hidden;
            }
        }
    }
}

/// A version as it was applied to a request, with what its rules look at.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Superseded {
    /// Its name and version.
    pub template: TemplateId,
    /// Resolved parameters as applied.
    pub parameters: Map,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Deleting needed a tombstone.
    #[serde(default)]
    pub protect: bool,
}

impl Superseded {
    /// What is recorded now, as what something else takes over from.
    pub fn of(record: &Record) -> Self {
        Self {
            template: record.template.clone(),
            parameters: record.parameters.clone(),
            labels: record.labels.clone(),
            protect: record.protect,
        }
    }
}

/// The applied state of one component.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// The provider's kind.
    pub provider: String,
    /// The name in the world, never computed again.
    pub target: TargetName,
    /// What it was applied with; a deletion uses these.
    pub settings: Map,
    /// The provider's own id of it, where it gives one: unlike the name it says in whose account it
    /// is, and stays with it when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Digest of the artifact applied.
    pub digest: Digest,
    /// Digest that the target itself is marked with, where that is not `digest`: the provider found
    /// that there was nothing to change, and let the mark be as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Digest>,
    /// Names of the labels that it was last given: the record's own may be newer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<String>,
    /// The provider's word for its state.
    pub state: String,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map,
    /// The page on which a person sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Components it came after: deletions go the other way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ComponentName>,
    /// Token of the last change.
    pub token: Token,
    /// Attempts whose ends are durable; the next token's attempt.
    #[serde(default)]
    pub attempts: u32,
    /// What differs in the world, as last seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftItem>,
    /// Since when it has (or has not) drifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_since: Option<Timestamp>,
    /// When it was last looked at for drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// Why that look did not tell of all; `drift` has what was known before of the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
    /// Whether vend turned the provider's own guard against deletion on, for this or an earlier state of
    /// the file: no change turns it off. `None`: there is none, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<bool>,
}

impl ComponentRecord {
    /// Digest that the target is marked with as long as nobody else changes it.
    pub fn expected_mark(&self) -> Digest {
        self.mark.unwrap_or(self.digest)
    }
}

/// The commits at which a request's desired state last changed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Of its requests repository.
    pub commit: Option<Revision>,
    /// Of the catalog.
    pub catalog_commit: Option<Revision>,
    /// Digest of the file.
    pub request_digest: Option<Digest>,
}

/// The last apply of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastApply {
    /// Digest of the plan it was part of.
    pub plan: Digest,
    /// When it began.
    pub started_at: Timestamp,
    /// When its end was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who approved what was held of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
}

/// One effect in the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Journalled {
    /// The whole change, so that it can be sent again with the same token. The artifact's text is
    /// kept apart, by digest.
    pub change: Change,
    /// Digest of the artifact, to find its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
    /// Digest of the step.
    pub step: Digest,
    /// Digest of the plan.
    pub plan: Digest,
    /// Fingerprint of the desired state that asked for it; `None` when the file is gone. A failure
    /// holds back the same thing only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// Which try this is.
    pub attempt: u32,
    /// How far it has come.
    pub phase: Phase,
    /// How to ask, once it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// When the intent became durable.
    pub since: Timestamp,
    /// When to ask next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// It was asked to stop, since something newer is wanted.
    #[serde(default)]
    pub cancelled: bool,
    /// What happened to the answer, for `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Approvals that let it go on: used up when it ends well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<Approval>,
    /// See [`Step::locked`](super::Step::locked).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// What began it: all that is done for it later, by whatever pass, belongs there. Absent while traces are off,
    /// and in what was written before there were any.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "TraceParent::lenient"
    )]
    pub trace: Option<TraceParent>,
    /// What the record becomes when it ends well.
    pub outcome: Outcome,
}

/// How far an effect has come. Only an observed end leaves `Sent` and `Unknown`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Durable; nobody was asked yet.
    Intent,
    /// The provider has it.
    Sent,
    /// It was sent, and the answer was lost.
    Unknown,
}

/// What a step that ends well leaves in the record: all that needs to be known without Git.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The component is as the artifact says.
    Applied(Box<AppliedOutcome>),
    /// The component is gone.
    Deleted,
}

/// See [`Outcome::Applied`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AppliedOutcome {
    /// Request-level facts of the record to be; its `components` are ignored.
    pub record: Record,
    /// Components that must come before, for the order of deletions.
    pub needs: Vec<ComponentName>,
}

/// When a failed target is tried again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Retry {
    /// The desired fingerprint that failed; another one is tried at once.
    pub fingerprint: Option<Digest>,
    /// Tries so far; 0: it was not begun, since others failed where it is.
    pub attempts: u32,
    /// When.
    pub until: Timestamp,
    /// What went wrong.
    pub error: String,
    /// A refusal: a change or a person is what helps, and the retries are slow.
    pub refused: bool,
    /// It was carried out and failed: what is there now may be stuck.
    #[serde(default)]
    pub ended: bool,
    /// What a creation that failed may have left, where nothing was ever recorded of its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Box<Left>>,
}

/// A target that was begun and never made. It bears our marks, and no record tells of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Left {
    /// Where to look for it.
    pub target: Target,
    /// What the record was to be: whose file asked for it, from which source.
    pub record: Record,
}

/// What is known of a source.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Which address, branch and folder the commit was read from.
    pub location: String,
    /// The last good commit.
    pub commit: Option<Revision>,
    /// What is wrong now.
    pub problem: Option<super::SourceProblem>,
    /// A rewritten tip that a person accepted.
    pub accepted: Option<Revision>,
}

/// A line of a request's history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// About which request; `None` for vend itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// A stable name, such as `Applied`.
    pub kind: String,
    /// For people.
    pub message: String,
    /// Details.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl Event {
    /// The kind of a line about a part of a target; its `data` is a [`Happened`].
    pub const HAPPENED: &'static str = "Progress";

    /// What happened to a part of a target, where the line is about that.
    pub fn happened(&self) -> Option<Happened> {
        let data = (self.kind == Self::HAPPENED).then(|| self.data.clone())?;
        serde_json::from_value(data).ok()
    }
}

/// A happening, and the effect that it came with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Happened {
    /// The effect.
    pub token: Token,
    /// Of which component.
    pub component: ComponentName,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// Somebody's yes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// To what.
    pub digest: Digest,
    /// Whose.
    pub by: String,
    /// Their account on the forge, which keeps its number whatever it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<u64>,
    /// The teams that it counts for; `None`: any, as an operator's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<Vec<String>>,
    /// When.
    pub at: Timestamp,
}

/// Which source a name is in, and which target a key has: small indexes that planning needs.
pub type TargetsByKey = BTreeMap<TargetKey, TargetName>;

/// Sources by name.
pub type Sources = BTreeMap<SourceName, SourceRecord>;
