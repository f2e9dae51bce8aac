//! What is under way, part by part, as it was last heard of.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Happening, TargetKey};

/// Parts of a target that are kept apart; of a later one nothing is shown.
const MOST: usize = 1_000;

/// An effect under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applying {
    /// On what.
    pub key: TargetKey,
    /// What.
    pub action: Action,
    /// Since when.
    pub since: Timestamp,
    /// Why its outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its parts, in the order in which they were first heard of.
    pub resources: Vec<Resource>,
}

/// A part of a target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its name within the target.
    pub what: String,
    /// Its type, where the provider has types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The provider's word for its state.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// The first failure, which stays although the part may be rolled back by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ResourceFailure>,
}

/// See [`Resource`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceFailure {
    /// When.
    pub at: Timestamp,
    /// The provider's word for it.
    pub state: String,
    /// Why, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Applying {
    /// One of which nothing was heard yet.
    pub fn new(key: TargetKey, action: Action, since: Timestamp) -> Self {
        Self { key, action, since, error: None, resources: Vec::new() }
    }

    /// Takes in what happened to a part.
    pub fn hear(&mut self, happening: &Happening) {
        let Happening { at, what, kind, state, message } = happening;
        let failure = happening.is_failure().then(|| ResourceFailure {
            at: *at,
            state: state.clone(),
            message: message.clone(),
        });
        let Some(known) = self.resources.iter_mut().find(|r| r.what == *what) else {
            if self.resources.len() < MOST {
                self.resources.push(Resource {
                    what: what.clone(),
                    kind: kind.clone(),
                    state: state.clone(),
                    since: *at,
                    failure,
                });
            }
            return;
        };
        if known.state != *state {
            known.state.clone_from(state);
            known.since = *at;
        }
        known.kind = kind.clone().or(known.kind.take());
        known.failure = known.failure.take().or(failure);
    }
}

impl Resource {
    /// Whether something still happens to it.
    pub fn is_busy(&self) -> bool {
        holds(&self.state, "PROGRESS")
    }
}

impl Happening {
    /// Whether it says that something went wrong.
    pub fn is_failure(&self) -> bool {
        holds(&self.state, "FAILED")
    }
}

/// Providers speak of `UPDATE_FAILED` and `IN_PROGRESS`, and have no other sign in common.
fn holds(state: &str, word: &str) -> bool {
    state.to_ascii_uppercase().contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, RequestId};

    fn happening(second: i64, what: &str, state: &str, message: Option<&str>) -> Happening {
        Happening {
            at: Timestamp::from_second(second).unwrap(),
            what: what.into(),
            kind: None,
            state: state.into(),
            message: message.map(str::to_owned),
        }
    }

    #[test]
    fn the_first_failure_stays_while_it_is_rolled_back() {
        let request = RequestId::new("orders", "dev", "events").unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        let mut applying = Applying::new(key, Action::Create, Timestamp::UNIX_EPOCH);
        for happening in [
            happening(1, "Queue", "CREATE_IN_PROGRESS", None),
            happening(2, "Queue", "CREATE_IN_PROGRESS", Some("Resource creation Initiated")),
            happening(3, "Queue", "CREATE_FAILED", Some("the name is taken")),
            happening(4, "Queue", "DELETE_FAILED", Some("and it cannot go")),
            happening(5, "Queue", "DELETE_IN_PROGRESS", None),
        ] {
            applying.hear(&happening);
        }
        let [queue] = applying.resources.as_slice() else { panic!("{applying:?}") };
        assert_eq!((queue.state.as_str(), queue.since.as_second()), ("DELETE_IN_PROGRESS", 5));
        assert!(queue.is_busy());
        let failure = queue.failure.as_ref().unwrap();
        assert_eq!(failure.message.as_deref(), Some("the name is taken"));
    }

    #[test]
    fn a_state_lasts_since_it_began() {
        let request = RequestId::new("orders", "dev", "events").unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        let mut applying = Applying::new(key, Action::Create, Timestamp::UNIX_EPOCH);
        for n in 0..2_000 {
            applying.hear(&happening(n, &format!("R{n}"), "CREATE_IN_PROGRESS", None));
            applying.hear(&happening(n + 9, "R0", "CREATE_IN_PROGRESS", None));
        }
        assert_eq!(applying.resources.len(), MOST, "bounded");
        assert_eq!(applying.resources[0].since.as_second(), 0);
    }
}
