//! vend: request files in Git become applied state, with status committed back.
//!
//! `ARCHITECTURE.md` has the floors; `tests/it/layering.rs` holds the code against them.

pub mod catalog;
pub mod digest;
pub mod error;
pub mod git;
pub mod model;
pub mod plan;
pub mod provider;
pub mod render;
pub mod report;
pub mod store;
pub mod yaml;
