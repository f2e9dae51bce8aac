//! How a newer version of a template reaches the requests whose range admits it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{RequestId, TemplateId};

/// How all versions stand that were or are rolled out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollouts {
    /// The waves, as the catalog has them; its last word, while it cannot be understood.
    #[serde(default)]
    pub waves: Vec<Wave>,
    /// What the catalog says of waves cannot be understood: none begins and nothing ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// By version.
    #[serde(default)]
    pub versions: Vec<Rollout>,
    /// Versions that are published and were not stable yet: once they are, they are rolled out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub young: BTreeSet<TemplateId>,
}

/// One entry of `rollout` in `catalog.yaml`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wave {
    /// Whose requests.
    pub environment: String,
    /// How many of a hundred of them.
    pub share: u8,
    /// How long after it the next one waits.
    pub pause: SignedDuration,
    /// How many of its requests may fail before all stops.
    pub stop_after: u32,
}

/// How far a version has come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Which.
    pub version: TemplateId,
    /// How many waves have begun, of whatever list of waves there was.
    pub begun: u32,
    /// The wave that began last, as it was then: the list may be edited meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Wave>,
    /// Which share of each environment's requests it has reached; it only grows.
    #[serde(default)]
    pub reached: BTreeMap<String, u8>,
    /// When the last wave began; before the first, when the version came.
    pub since: Timestamp,
    /// When all requests of the last wave had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Timestamp>,
    /// Why it goes no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// When it was through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// It ended before all waves had begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Requests that the version would have made invalid, and that stay where they were.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<RequestId>,
    /// Requests that ask for it by a range, have an older version, and cannot be read as they are: a
    /// wave that has let them in waits for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unread: BTreeSet<RequestId>,
    /// Its folder is not in the catalog: nothing becomes of it until that is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// It is in the catalog, and no range takes it now: it is deprecated, say. Nothing becomes of it
    /// until it is stable again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lapsed: bool,
    /// When a person's word was last obeyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// Requests that it has reached and that do not have it yet.
    #[serde(default)]
    pub pending: u32,
    /// Requests that it has reached and that failed with it.
    #[serde(default)]
    pub failed: u32,
    /// Failures that a person has seen and goes on in spite of.
    #[serde(default)]
    pub forgiven: u32,
}

/// Why a rollout goes no further.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// Since when.
    pub at: Timestamp,
    /// Who said so; `None`: too many failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How many of its requests had failed.
    pub failures: u32,
}

/// What a person says of a rollout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWord {
    /// Which version's.
    pub version: TemplateId,
    /// It shall go on; else it shall stop.
    pub resume: bool,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Wave {
    /// Whether it brings a version to the same requests.
    pub fn is_same(&self, other: &Self) -> bool {
        self.environment == other.environment && self.share == other.share
    }
}

impl Rollout {
    /// Of a version that has just come.
    pub fn new(version: TemplateId, at: Timestamp) -> Self {
        Self {
            version,
            begun: 0,
            last: None,
            reached: BTreeMap::new(),
            since: at,
            settled: None,
            stopped: None,
            ended: None,
            cut: false,
            refused: BTreeSet::new(),
            unread: BTreeSet::new(),
            absent: false,
            lapsed: false,
            heard: None,
            pending: 0,
            failed: 0,
            forgiven: 0,
        }
    }

    /// Whether nobody can take the version now, so that nothing begins and nothing is over.
    pub fn is_away(&self) -> bool {
        self.absent || self.lapsed
    }

    /// Whether it is still going on, or would be if it were not stopped.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}
