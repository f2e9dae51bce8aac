use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Document, Named};
use crate::model::Map;

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
    /// Not supported yet.
    pub upgrade_from: Option<String>,
    /// What must come of it.
    pub expect: Expectation,
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
    /// The request's labels.
    pub labels: BTreeMap<String, String>,
}

/// See [`TestSpec::expect`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// Folder, in `tests/`, with the rendered files, one folder per component.
    pub rendered: Option<String>,
    /// Codes of the errors that must be found, sorted.
    pub diagnostics: Option<Vec<String>>,
    /// Outputs that are known before an apply.
    pub outputs: Option<Map>,
    /// Not supported yet.
    pub policy: Vec<String>,
    /// Not supported yet.
    pub replaces: Option<u64>,
    /// Not supported yet.
    pub deletes: Option<u64>,
}
