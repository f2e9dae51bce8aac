//! The words of the house: plain values that every floor shares.
//!
//! Nothing here reads, writes, waits or decides. A type lives here when two floors above need it.

mod attention;
mod blast;
mod case;
mod change;
mod desired;
mod diagnostic;
mod files;
mod glob;
mod hold;
mod id;
mod lifetime;
mod live;
mod notice;
mod pass;
mod plan;
mod pull;
mod record;
mod rollout;
mod secret;
mod status;
mod template;
mod terms;
mod trace;

pub use attention::*;
pub use blast::*;
pub use case::*;
pub use change::*;
pub use desired::*;
pub use diagnostic::*;
pub use files::*;
pub use glob::*;
pub use hold::*;
pub use id::*;
pub use lifetime::*;
pub use live::*;
pub use notice::*;
pub use pass::*;
pub use plan::*;
pub use pull::*;
pub use record::*;
pub use rollout::*;
pub use secret::*;
pub use status::*;
pub use template::*;
pub use terms::*;
pub use trace::*;

/// A JSON object with its keys in sorted order; parameters, settings and outputs travel as these.
pub type Map = std::collections::BTreeMap<String, serde_json::Value>;
