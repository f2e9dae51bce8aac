//! vend: request files in Git become applied state, with status committed back.
//!
//! `ARCHITECTURE.md` has the floors; `tests/it/layering.rs` holds the code against them.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod digest;
pub mod error;
pub mod fault;
pub mod forge;
pub mod git;
pub mod meter;
pub mod model;
pub mod notify;
pub mod plan;
pub mod policy;
pub mod provider;
pub mod reconcile;
pub mod render;
pub mod report;
pub mod server;
pub mod store;
pub mod trace;
pub mod yaml;
