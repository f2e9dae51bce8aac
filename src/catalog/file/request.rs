use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Document;
use crate::model::{Map, Reference, RequestId};

/// A request file.
pub type RequestDocument = Document<RequestMetadata, RequestSpec>;

/// See [`RequestDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RequestMetadata {
    /// Must equal the file's name.
    pub name: Option<String>,
    /// Passed on as tags.
    pub labels: BTreeMap<String, String>,
}

/// See [`RequestDocument`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RequestSpec {
    /// `name@version` or `name@range`.
    pub template: String,
    /// Values.
    pub parameters: Map,
    /// Values from other requests.
    pub references: BTreeMap<String, Reference>,
    /// Values from secret stores.
    pub secrets: BTreeMap<String, Secret>,
    /// Leave it alone.
    pub suspend: bool,
    /// Deleting needs a tombstone.
    pub protect: Option<bool>,
    /// How long it may live.
    pub ttl: Option<String>,
    /// Until when it may live.
    pub expires_at: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The former identity.
    pub moved_from: Option<RequestId>,
    /// Take over what is there.
    pub adopt: bool,
    /// The tombstone.
    pub delete: Option<Tombstone>,
}

/// See [`RequestSpec::secrets`]. Where a value is kept, never the value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// ARN of a secret in AWS Secrets Manager.
    pub aws_secrets_manager: String,
    /// Key of the secret's JSON; all of its text without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// See [`RequestSpec::delete`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// The request's name, once more.
    pub confirm: String,
}
