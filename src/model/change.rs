//! What passes through the one seam between decisions and the world.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Artifact, InstanceId, Map, TargetKey, TargetName, TemplateId, Token};
use crate::digest::Digest;

/// A thing in the world that vend makes or would make.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Its name in the world.
    pub name: TargetName,
    /// Whose it is. For people; ownership goes by instance and name.
    pub key: TargetKey,
    /// Which vend's.
    pub instance: InstanceId,
    /// The provider's kind.
    pub provider: String,
    /// Where and how: for one that exists, the settings it was applied with.
    pub settings: Map,
    /// For one that exists, the provider's own id of it: see [`ComponentRecord::id`](super::ComponentRecord::id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Target {
    /// What it is called in the world: by its settings where they name it, else by the name that vend gives.
    pub fn called(&self) -> &str {
        called(&self.settings).unwrap_or_else(|| self.name.as_str())
    }
}

/// Settings that say where a target is. Another value is another place, and the target that is there
/// does not follow.
pub const LOCATION: [&str; 7] =
    ["account", "region", "stackName", "repository", "branch", "path", "directory"];

/// Where settings say that a target is, or is to be made: by its account, region and name, or its repository,
/// branch and folder. By whose rights that is reached is no part of it, but for a role that alone names
/// the account.
pub fn place(settings: &Map) -> Map {
    let said =
        LOCATION.into_iter().filter_map(|key| Some((key.to_owned(), settings.get(key)?.clone())));
    let mut place: Map = said.collect();
    // `arn:aws:iam::ACCOUNT:role/NAME`
    let role = settings.get("role").and_then(Value::as_str);
    let account =
        role.and_then(|role| role.split(':').nth(4)).filter(|account| !account.is_empty());
    if let Some(account) = account {
        place.entry("account".into()).or_insert_with(|| account.into());
    }
    place
}

/// The name that settings give, where they do.
pub fn called(settings: &Map) -> Option<&str> {
    settings.get("stackName").and_then(Value::as_str)
}

/// Whose a thing in the world is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// This instance's, and this very target.
    Ours,
    /// It carries nobody's mark.
    Nobody,
    /// It says it is somebody else's.
    Other(String),
}

/// What a provider saw.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observation {
    /// The provider answered, and nothing is there.
    Absent,
    /// Something is there.
    Present(Live),
}

/// Something that is there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Live {
    /// Whose.
    pub owner: Owner,
    /// Digest of the artifact it was last applied from, by its own mark.
    pub digest: Option<Digest>,
    /// Token of the last change, by its own mark.
    pub token: Option<Token>,
    /// The provider's word for its state.
    pub state: String,
    /// A change of ours or another's is under way.
    pub busy: bool,
    /// What differs from what was applied; empty when nothing does or nobody looked.
    pub drift: Vec<DriftItem>,
    /// A look for drift is under way at the provider: nothing is known of drift yet, ask again.
    #[serde(default)]
    pub pending: bool,
    /// The look for drift did not tell of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<Box<Unchecked>>,
    /// Somebody else changed it last, and this is its text as it stands: it has drifted, unless that is
    /// what was applied. Known only where drift was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Box<Value>>,
    /// Whether the provider's own guard against deletion is on; `None`: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<bool>,
    /// It carries nobody's mark, and its provider could take it over.
    #[serde(default)]
    pub adoptable: bool,
    /// It stands in a state in which nothing can be done to it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<Stuck>,
    /// What it gives.
    pub outputs: Map,
}

/// Why nothing can be done to something that is there, and what helps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stuck {
    /// One sentence: the exact next step for a person.
    pub advice: String,
    /// It was never made whole: a person may have it deleted, with what may still be in it, and made
    /// again.
    pub unmade: bool,
}

/// What a look for drift did not tell: what was known of it before stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Unchecked {
    /// Why, in the provider's words; `None`: nobody looked.
    pub why: Option<String>,
    /// The parts that could not be looked at; `None`: it is not known which.
    pub parts: Option<BTreeSet<String>>,
}

impl Unchecked {
    /// Whether a difference that was found before may still be there.
    pub fn covers(&self, item: &DriftItem) -> bool {
        let part = item.what.split('.').next().unwrap_or_default();
        self.parts.as_ref().is_none_or(|parts| parts.contains(part))
    }
}

/// One difference between what was applied and what is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DriftItem {
    /// File, resource or property.
    pub what: String,
    /// `added`, `changed` or `removed`; or the state in which all of it is stuck.
    pub how: String,
    /// What was applied, where the provider tells; cut, and hidden where it is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl DriftItem {
    /// Somebody else changed all of it last.
    pub fn by_another() -> Self {
        Self::new("stack (updated by somebody else)", "changed")
    }

    /// A difference of which no values are known.
    pub fn new(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self { what: what.into(), how: how.into(), expected: None, found: None }
    }
}

/// One effect to be made in the world.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Makes it recognisable.
    pub token: Token,
    /// On what.
    pub target: Target,
    /// What.
    pub action: Action,
    /// To what; `None` for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Arc<Artifact>>,
    /// The digest that the target bears now, as the decision saw it: another one is `Stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Digest>,
    /// Passed on as tags where the provider has such a thing.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
    /// What the target was given when it was last applied; `None`: nobody knows. What was given then
    /// and is not now goes; what was never given is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// Commit of the request file, for people; never part of a digest or comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<super::Revision>,
    /// The template it comes from, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    /// The request or its environment is protected: the provider's own guard against deletion is
    /// to be on. Never for a deletion.
    #[serde(default)]
    pub protect: bool,
    /// May take over what carries nobody's mark.
    #[serde(default)]
    pub adopt: bool,
    /// How long it may take, where the template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// The [`Preview::handle`] of the preview that was reviewed: what was prepared there is what is
    /// to be carried out, if it still is what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Value>,
}

impl Change {
    /// Whether it makes something else of what stands, which its provider can stop half-way.
    pub fn updates(&self) -> bool {
        match self.action {
            Action::Update | Action::Replace => true,
            // What vanished is made again.
            Action::Restore => self.expect.is_some(),
            Action::Create | Action::Delete | Action::Forget | Action::Move => false,
        }
    }
}

/// See [`Change::former`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Former {
    /// Names of the labels.
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// The settings.
    #[serde(default)]
    pub settings: Map,
}

/// How to ask for a change that is under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ticket {
    /// The change.
    pub token: Token,
    /// On what.
    pub target: Target,
    /// The provider's own notes, with the event cursor.
    pub data: Value,
}

/// Something that happened to a part of a target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Happening {
    /// When, by the provider's clock where it has one.
    pub at: Timestamp,
    /// File, resource or step: its name within the target.
    pub what: String,
    /// Type of the resource, such as `AWS::SQS::Queue`, where the provider has types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The provider's word for its state.
    pub state: String,
    /// In the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a change is getting on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// Under way; ask again with the ticket.
    Running {
        /// How to ask.
        ticket: Ticket,
        /// Since the last answer.
        events: Vec<Happening>,
    },
    /// The end was seen, and it is good.
    Succeeded {
        /// What the target gives now.
        outputs: Map,
        /// The provider's word for its state.
        state: String,
        /// What the target is marked with, where that is not the digest of the change's artifact:
        /// nothing was to be changed, and the mark was not either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Digest>,
        /// Since the last answer.
        events: Vec<Happening>,
    },
    /// The end was seen, and it is not good.
    Failed {
        /// In the provider's words, the first cause first.
        error: String,
        /// The provider's word for its state.
        state: String,
        /// Since the last answer.
        events: Vec<Happening>,
    },
}

/// What a change would do, resource by resource.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Preview {
    /// In the provider's order.
    pub resources: Vec<ResourceChange>,
    /// The provider's own notes on what it prepared for this preview. Never shown, never part of a
    /// digest.
    #[serde(skip)]
    pub handle: Option<Value>,
    /// Worked out of what is applied and what is desired, by what is published of the provider:
    /// nobody was asked. Shown, and never part of a digest or a decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foretold: bool,
    /// Types of what changes of which nothing is published, in order: whatever changes may replace them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpublished: Vec<String>,
}

/// Of what a preview was made, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Previewed {
    /// Digest of the change and of what is there: another one needs another preview.
    pub of: Digest,
    /// When.
    pub at: Timestamp,
}

/// What would happen to one resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceChange {
    /// File path or logical id.
    pub name: String,
    /// Type of the resource, such as `file` or `AWS::SQS::Queue`.
    pub kind: String,
    /// What happens to it.
    pub action: ResourceAction,
    /// Why, where the provider says: the property that causes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What changes in it, as far as the provider says. A sensitive value is never among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<PropertyChange>,
    /// What stays of the one that is replaced, where it is not nothing, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// What would happen to one property of a resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PropertyChange {
    /// Its path within the resource, such as `QueueName` or `Tags.0.Value`.
    pub path: String,
    /// Its value now, where the provider says and it may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value afterwards, where the provider says and it may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether changing it makes the resource anew.
    #[serde(default)]
    pub recreates: Recreates,
}

/// Whether changing a property makes its resource anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recreates {
    /// It changes in place.
    #[default]
    Never,
    /// It may: only the change itself tells.
    Conditionally,
    /// It does.
    Always,
}

/// What happens to a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceAction {
    /// It goes.
    Delete,
    /// It goes and another comes.
    Replace,
    /// It may be replaced; the provider cannot tell.
    MayReplace,
    /// It comes.
    Create,
    /// It changes in place.
    Update,
    /// It stays in the world, and vend lets go of it.
    Retain,
}
