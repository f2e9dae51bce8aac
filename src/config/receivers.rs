//! Who is told by vend: receivers of notifications, and whoever collects traces.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::forge::Secret;
use crate::model::Trouble;

/// Somebody who is told what is the matter.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationSettings {
    /// Its name in the log and in metrics.
    pub name: String,
    /// Its address; or else `url_file`.
    #[serde(default)]
    pub url: Option<ReceiverUrl>,
    /// A file with its address.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// What it takes.
    #[serde(default)]
    pub format: NotificationFormat,
    /// A file with the secret that messages are signed with.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// What it is told of.
    #[serde(default = "most_troubles")]
    pub on: Vec<Trouble>,
    /// Only of these teams; of all when empty.
    #[serde(default)]
    pub teams: Vec<String>,
    /// Only of these environments; of all when empty.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Only of requests with these templates; of all when empty.
    #[serde(default)]
    pub templates: Vec<String>,
}

/// Where a receiver is: whoever knows it may write there.
#[derive(Clone, Debug)]
pub struct ReceiverUrl(pub Secret);

impl<'de> Deserialize<'de> for ReceiverUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(from)?)))
    }
}

/// What a receiver takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationFormat {
    /// Our own, for programs.
    #[default]
    Vend,
    /// What Slack takes, and what takes the same.
    Slack,
}

/// Where traces go.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceSettings {
    /// The address that takes OTLP over HTTP, with its path.
    pub endpoint: String,
    /// A file with headers for it, one a line, where it asks for a key.
    #[serde(default)]
    pub headers_file: Option<PathBuf>,
    /// The certificates of the authorities to trust.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The share of all traces that is recorded.
    #[serde(default = "every")]
    pub sample_ratio: f64,
    /// What this vend is called there.
    #[serde(default = "service_name")]
    pub service_name: String,
    /// What else is said of it there.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

fn every() -> f64 {
    1.0
}

fn service_name() -> String {
    "vend".into()
}

fn most_troubles() -> Vec<Trouble> {
    vec![Trouble::Failed, Trouble::Held, Trouble::Drifted, Trouble::Expired]
}
