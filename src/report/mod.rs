//! Values in, text out: all wording lives here. Pure.

pub mod attention;
pub mod blast;
pub mod case;
pub mod catalog;
pub mod diagnostic;
pub mod drift;
pub mod expiry;
pub mod explain;
pub mod front;
pub mod hold;
pub mod import;
pub mod live;
pub mod log;
pub mod manual;
mod markdown;
pub mod notice;
pub mod overview;
pub mod pass;
pub mod plan;
pub mod pull;
pub mod rebuild;
pub mod request;
pub mod rollout;
pub mod source;
pub mod status;
pub mod upgrade;
