use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ApprovalDocument, Document, PolicyDocument};
use crate::catalog::compat::Bump;
use crate::model::{Map, OnDrift};

/// `templates/<name>/<version>/template.yaml`.
pub type TemplateDocument = Document<TemplateMetadata, TemplateSpec>;

/// See [`TemplateDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TemplateMetadata {
    /// Equals the folder's name.
    pub name: String,
    /// Equals the folder's name.
    pub version: String,
    /// A short title.
    pub title: Option<String>,
    /// One or a few sentences.
    pub description: Option<String>,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// How far it has come.
    pub lifecycle: Lifecycle,
    /// What to use instead.
    pub replaced_by: Option<String>,
}

/// How far a template's version has come.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// May change in any way.
    Experimental,
    /// To be used.
    #[default]
    Stable,
    /// Works, and warns.
    Deprecated,
    /// Takes no new requests.
    Retired,
}

/// See [`TemplateDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TemplateSpec {
    /// A path, or the schema itself.
    pub parameters: Option<Value>,
    /// What it makes.
    pub components: Vec<ComponentDocument>,
    /// The contract with the requester.
    pub outputs: BTreeMap<String, OutputDocument>,
    /// What is done about drift.
    pub on_drift: Option<OnDrift>,
    /// How long a change may take, such as `1h`.
    pub timeout: Option<String>,
    /// What may not be.
    pub policy: Vec<PolicyDocument>,
    /// Who has to say yes.
    pub approvals: Vec<ApprovalDocument>,
    /// How long what is made of it lives.
    pub ttl: Option<TtlDocument>,
    /// Not supported yet.
    pub actions: Map,
    /// Which types of resources may be made; none given means all.
    pub allow: Option<Vec<String>>,
    /// Overrides what is computed.
    pub version_bump: Option<Bump>,
    /// How parameters of older versions become those of this one.
    pub migrations: Vec<MigrationDocument>,
}

/// See [`TemplateSpec::ttl`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TtlDocument {
    /// Where the request says nothing, such as `14d`.
    pub default: Option<String>,
    /// At most.
    pub max: Option<String>,
    /// Where it applies; everywhere when empty.
    pub environments: Vec<String>,
}

/// One of [`TemplateSpec::components`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ComponentDocument {
    /// Unique in the template.
    pub name: String,
    /// Who makes it.
    pub provider: String,
    /// A file or a folder.
    pub source: String,
    /// Settings over those of the environment.
    pub with: Map,
    /// Components that come first.
    pub needs: Vec<String>,
    /// Its name in the version before.
    pub moved_from: Option<String>,
}

/// One of [`TemplateSpec::outputs`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputDocument {
    /// `<component>.<output of its provider>`.
    pub from: String,
    /// What it is for.
    pub description: Option<String>,
    /// Shown as a reference only.
    pub sensitive: bool,
}

/// One of [`TemplateSpec::migrations`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MigrationDocument {
    /// The versions that it starts from.
    pub from: String,
    /// Old name to new name.
    pub rename: BTreeMap<String, String>,
    /// A text into several parameters.
    pub split: BTreeMap<String, SplitDocument>,
    /// Values, whatever stood there.
    pub set: Map,
    /// Values where there is none.
    pub default: Map,
    /// Parameters that go.
    pub drop: Vec<String>,
}

/// One of [`MigrationDocument::split`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitDocument {
    /// What stands between the parts.
    pub by: String,
    /// Where each part goes.
    pub into: Vec<String>,
}
