//! The shape of the files people write, after their schemas have been satisfied.

mod catalog;
mod environment;
mod request;
mod rule;
mod template;
mod test;

pub use catalog::*;
pub use environment::*;
pub use request::*;
pub use rule::*;
pub use template::*;
pub use test::*;

use serde::{Deserialize, Serialize};

/// The envelope that all kinds share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document<M, S> {
    /// `vend.dev/v1`.
    pub api_version: String,
    /// Which kind of file.
    pub kind: String,
    /// Names.
    #[serde(default)]
    pub metadata: M,
    /// What it says.
    #[serde(default)]
    pub spec: S,
}
