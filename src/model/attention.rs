//! What somebody who is on call asks first: whether it works, and what needs whom.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RequestId;

/// How a running daemon fares, in its own words.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulse {
    /// Since when it holds the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leading_since: Option<Timestamp>,
    /// When the last pass ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Timestamp>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// Passes that could not be made since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Since when the status branch could not be written, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpublished: Option<(Timestamp, String)>,
}

/// Passes that could not be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// How many.
    pub times: u32,
    /// Why the last one could not.
    pub error: String,
}

/// What needs somebody: of each kind the first, and how many there are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attention {
    /// Requests whose last try failed.
    pub failed: Several,
    /// What is held until a person does something, the oldest first.
    pub held: Several,
    /// What could not be looked at at its provider.
    pub unseen: Several,
    /// What was changed by hand.
    pub drifted: Several,
}

/// Some of several requests.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Several {
    /// How many.
    pub count: usize,
    /// The first.
    pub first: Vec<One>,
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct One {
    /// Which.
    pub request: RequestId,
    /// Why: the reason to hold, or what happened, in a few words.
    pub why: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}
