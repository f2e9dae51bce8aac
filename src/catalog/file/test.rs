use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Document, Named, Secret};
use crate::model::{ExpectedApproval, Map};

/// `templates/<name>/<version>/tests/*.yaml`.
pub type TestDocument = Document<Named, TestSpec>;

/// See [`TestDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TestSpec {
    /// One of the catalog's environments.
    pub environment: String,
    /// What is asked for.
    pub request: TestRequest,
    /// What was asked for when it was applied, where that differs.
    pub before: Option<TestRequest>,
    /// The version that it was applied with.
    pub upgrade_from: Option<String>,
    /// What must come of it.
    pub expect: Expectation,
}

impl TestSpec {
    /// Whether it is about a change of what was applied, and not about something new.
    pub fn is_upgrade(&self) -> bool {
        self.upgrade_from.is_some() || self.before.is_some()
    }
}

/// See [`TestSpec::request`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestRequest {
    /// The requesting team; else `example`.
    pub team: Option<String>,
    /// The request's name; else that of the test.
    pub name: Option<String>,
    /// Values for the parameters.
    pub parameters: Map,
    /// Values that stand for outputs of other requests, by parameter.
    pub references: Map,
    /// Values from secret stores.
    pub secrets: BTreeMap<String, Secret>,
    /// The request's labels.
    pub labels: BTreeMap<String, String>,
    /// Deleting needs a tombstone.
    pub protect: Option<bool>,
    /// Why.
    pub reason: Option<String>,
    /// Take over what is there.
    pub adopt: bool,
}

/// See [`TestSpec::expect`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// Folder, in `tests/`, with the rendered files, one folder per component.
    pub rendered: Option<String>,
    /// Codes of the errors that must be found, each perhaps with `@` and a parameter.
    pub diagnostics: Option<Vec<String>>,
    /// Outputs that are known before an apply; null for one that is not.
    pub outputs: Option<Map>,
    /// Messages of the rules that must deny it.
    pub policy: Option<Vec<String>>,
    /// Whose approval must be asked for.
    pub approvals: Option<Vec<ExpectedApproval>>,
    /// How many resources are replaced.
    pub replaces: Option<u64>,
    /// How many resources are deleted.
    pub deletes: Option<u64>,
}
