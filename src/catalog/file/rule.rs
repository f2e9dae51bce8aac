use serde::{Deserialize, Serialize};

/// An entry of `policy`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyDocument {
    /// A CEL expression: where it is true, the request is denied.
    pub deny: String,
    /// What people are told.
    pub message: Option<String>,
}

/// An entry of `approvals`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalDocument {
    /// A CEL expression; always, where there is none.
    pub when: Option<String>,
    /// Whose approval counts; one of them is enough.
    pub teams: Vec<String>,
    /// How many different people; one, where nothing is said.
    pub count: Option<u32>,
    /// Why, for those who are asked.
    pub reason: Option<String>,
}
