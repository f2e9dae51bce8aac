//! What receivers are told of requests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RequestId;

/// What can be the matter with a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trouble {
    /// The last try failed, or was refused.
    Failed,
    /// It stays until a person does something.
    Held,
    /// Somebody changed by hand what was applied.
    Drifted,
    /// Its time is over.
    Expired,
    /// Its time is over soon.
    Expiring,
}

impl Trouble {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] =
        [Self::Failed, Self::Held, Self::Drifted, Self::Expired, Self::Expiring];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Drifted => "drifted",
            Self::Expired => "expired",
            Self::Expiring => "expiring",
        }
    }
}

/// One thing that is the matter: what is told once, for as long as it is the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matter {
    /// Which.
    pub trouble: Trouble,
    /// The reason to hold, or whatever else makes it another matter than the last one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Something that is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Of which request.
    pub request: RequestId,
    /// What is the matter, or was.
    pub matter: Matter,
    /// It is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// For people.
    pub message: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The template's name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// A message to a receiver: as it is kept, and as it is sent however often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// By which a receiver knows that it has it already.
    pub id: String,
    /// When it was put together.
    pub at: Timestamp,
    /// By what is the matter: how many notices; `recovered` for what is over.
    pub counts: BTreeMap<String, usize>,
    /// The first ones.
    pub notices: Vec<Notice>,
    /// What is told with it, of each request that it is about.
    pub told: BTreeMap<RequestId, BTreeSet<Matter>>,
}

impl Message {
    /// How many notices it has no room for.
    pub fn omitted(&self) -> usize {
        self.counts.values().sum::<usize>().saturating_sub(self.notices.len())
    }
}
