use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ApprovalDocument, Document, Named, PolicyDocument};
use crate::model::{Map, OnDrift};

/// `environments/<name>.yaml`.
pub type EnvironmentDocument = Document<Named, EnvironmentSpec>;

/// See [`EnvironmentDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// Settings by provider.
    pub providers: BTreeMap<String, Map>,
    /// What templates see as `environment.variables`.
    pub variables: Map,
    /// Parameters by template, below the request's own.
    pub defaults: BTreeMap<String, Map>,
    /// Parameters by template that a request may not set otherwise.
    pub locked: BTreeMap<String, Map>,
    /// Which templates may be requested, with `*`; none given means all.
    pub templates: Option<Vec<String>>,
    /// Deleting needs a tombstone.
    pub protect: bool,
    /// Wins over the template's.
    pub on_drift: Option<OnDrift>,
    /// What may not be here.
    pub policy: Vec<PolicyDocument>,
    /// Who has to say yes.
    pub approvals: Vec<ApprovalDocument>,
    /// Not supported yet.
    pub windows: Vec<Value>,
    /// Which types of resources may be made here; none given means all.
    pub allow: Option<Vec<String>>,
    /// Which secrets requests may refer to.
    pub secrets: SecretRules,
}

/// See [`EnvironmentSpec::secrets`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SecretRules {
    /// Patterns of ARNs.
    pub allow: Vec<String>,
}
