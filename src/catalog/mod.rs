//! Bytes of a tree into a catalog, and a request into what it asks for, with every problem on the
//! way as a diagnostic at its place.
//!
//! Pure: nothing here reads, waits or looks at a clock.

mod ambiguous;
mod explain;
pub mod file;
pub mod path;
mod request;
pub mod schema;

pub use path::{PathIs, Pattern};
pub use request::{RequestFile, Requirement, TemplateReq, request};

#[cfg(test)]
mod schema_tests;
