use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Document;

/// `catalog.yaml`.
pub type CatalogDocument = Document<Named, CatalogSpec>;

/// The `metadata` of catalogs and environments.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Named {
    /// How it is called.
    pub name: String,
    /// For people.
    pub description: Option<String>,
}

/// See [`CatalogDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CatalogSpec {
    /// Version of the layout.
    pub format: Option<u32>,
    /// Handles by team.
    pub owners: BTreeMap<String, Vec<String>>,
    /// Not supported yet.
    pub limits: BTreeMap<String, u64>,
    /// How a newer version reaches those whose range admits it.
    pub rollout: Vec<WaveDocument>,
}

/// One of [`CatalogSpec::rollout`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WaveDocument {
    /// Whose requests.
    pub environment: String,
    /// Such as `25%`; all of them, where nothing is said.
    pub share: Option<String>,
    /// Such as `1h`; none, where nothing is said.
    pub pause: Option<String>,
    /// One, where nothing is said.
    pub stop_after_failures: Option<u32>,
}
