//! What is written down of an operation that goes on, to ask for it later.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Change, Target, Ticket, Token};

/// Which way an operation goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

/// Our notes in a ticket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notes {
    pub(super) operation: Operation,
    /// Id of the stack: unlike its name it stays when the stack is deleted and made again.
    pub(super) stack: String,
    /// A change set that is not executed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) change_set: Option<String>,
    /// It is to undo what somebody changed: finding nothing to do is not its end.
    #[serde(default)]
    pub(super) reverts: bool,
    /// The last event that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
}

/// What a request to stop a change bears: what is rolled back then bears it too.
pub(super) fn stopper(token: &Token) -> String {
    format!("{token}-cancel")
}

/// Whether an event came of a change, or of its being stopped.
pub(super) fn is_of(found: Option<&str>, token: &Token) -> bool {
    found
        .and_then(|found| found.strip_prefix(token.as_str()))
        .is_some_and(|rest| rest.is_empty() || rest == "-cancel")
}

impl Notes {
    pub(super) fn new(operation: Operation, stack: impl Into<String>) -> Self {
        Self { operation, stack: stack.into(), change_set: None, reverts: false, cursor: None }
    }

    pub(super) fn ticket(&self, token: &Token, target: &Target) -> Ticket {
        let data = serde_json::to_value(self).unwrap_or(Value::Null);
        Ticket { token: token.clone(), target: target.clone(), data }
    }

    pub(super) fn of(&self, change: &Change) -> Ticket {
        self.ticket(&change.token, &change.target)
    }

    /// `None`: the ticket is not ours, or its notes were lost.
    pub(super) fn read(ticket: &Ticket) -> Option<Self> {
        serde_json::from_value(ticket.data.clone()).ok()
    }
}
