//! The status file, as it is written and read back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ComponentName, DriftItem, LastApply, Lifetime, Map, Observed, OutputSpec, Reference, RequestId,
    TargetName, Token,
};
use crate::digest::Digest;

/// Where a request stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RequestPhase {
    /// Seen, nothing done yet.
    Pending,
    /// Something else comes first.
    Waiting,
    /// Under way.
    Applying,
    /// As the file asks.
    Ready,
    /// A person or a change is needed.
    Held,
    /// The last try failed.
    Failed,
    /// The outcome of what was sent is not known yet.
    Unknown,
    /// Left alone, as the file asks.
    Suspended,
    /// Going.
    Deleting,
}

/// `status/<team>/<environment>/<name>.yaml` on the status branch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `vend.dev/v1`.
    pub api_version: String,
    /// `Status`.
    pub kind: String,
    /// The identity.
    pub metadata: StatusMetadata,
    /// Where it stands.
    pub phase: RequestPhase,
    /// One sentence when it is not Ready.
    pub waiting_for: Option<String>,
    /// The file.
    pub source: StatusSource,
    /// Where the file lay when it was last applied, where that is another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_from: Option<StatusSource>,
    /// The commits at which the desired state last changed.
    pub observed: Observed,
    /// The version in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<StatusTemplate>,
    /// Typed conditions.
    pub conditions: Vec<Condition>,
    /// By component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<StatusComponent>,
    /// What the template promises; a sensitive one as `{sensitive: <provider>/<target>/<output>}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map,
    /// The promised outputs' sources, which a rebuild needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output_sources: BTreeMap<String, OutputSpec>,
    /// Resolved; a sensitive one as its reference.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map,
    /// Parameters that are shown nowhere, and digests of the references that were applied for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sensitive: BTreeMap<String, Digest>,
    /// Parameters filled from other requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Reference>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Deleting needs a tombstone.
    #[serde(default)]
    pub protect: bool,
    /// When it was first applied with an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lives_since: Option<Timestamp>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How long it is asked to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// Its file permits its deletion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tombstone: bool,
    /// Drift as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<StatusDrift>,
    /// The last apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_apply: Option<LastApply>,
    /// Fingerprint of the desired state that is wholly applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Digest>,
}

/// See [`Status`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusMetadata {
    /// The identity.
    pub id: RequestId,
}

/// See [`Status`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusSource {
    /// Name of the configured source.
    pub repository: String,
    /// Path of the file in it.
    pub path: String,
}

/// See [`Status`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusTemplate {
    /// Name.
    pub name: String,
    /// Exact version.
    pub version: semver::Version,
    /// Digest of its folder.
    pub digest: Digest,
    /// A newer version that the request could take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<semver::Version>,
}

/// A typed condition, as Kubernetes has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// CamelCase, stable.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Since when it has this status and reason.
    pub since: Timestamp,
}

/// See [`Status`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusComponent {
    /// The component.
    pub name: ComponentName,
    /// Its provider.
    pub provider: String,
    /// Its name in the world.
    pub target: TargetName,
    /// Digest of the artifact applied.
    pub digest: Digest,
    /// Digest that the target is marked with, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Digest>,
    /// The provider's word.
    pub state: String,
    /// The page on which a person sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What it was applied with.
    pub settings: Map,
    /// Components it came after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ComponentName>,
    /// What it gives, by the provider's names; sensitive ones are left out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map,
    /// Token of the last change.
    pub token: Token,
    /// The provider's own id of it, where it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// vend turned the provider's own guard against deletion on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
}

/// See [`Status`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusDrift {
    /// `InSync`, `Drifted`, or `Unknown` where nothing is known to differ and not all was looked at.
    pub state: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What differs, by component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<ComponentName, Vec<DriftItem>>,
    /// Why not all could be looked at, by component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unchecked: BTreeMap<ComponentName, String>,
}

/// Whether a value stands for one that is not kept.
pub fn is_hidden_output(value: &Value) -> bool {
    let only =
        |map: &serde_json::Map<String, Value>| map.len() == 1 && map.contains_key("sensitive");
    value.as_object().is_some_and(only)
}

/// How a sensitive parameter is shown.
pub fn hidden_parameter(name: &str) -> Value {
    serde_json::json!({"sensitive": name})
}

/// How a sensitive output is kept and shown.
pub fn hidden_output(provider: &str, target: &TargetName, output: &str) -> Value {
    serde_json::json!({"sensitive": format!("{provider}/{target}/{output}")})
}
