//! The one YAML reader, with the place of every key and value, and the one writer.
//!
//! YAML 1.2 core, without what surprises: no anchors, no aliases, no merge keys, no duplicate keys,
//! no keys but strings, no control characters. What a YAML 1.1 reader or a person would read
//! differently is read as 1.2 says and marked [`Ambiguity`]: only who knows the wanted type can
//! tell whether it matters.

mod compose;
mod edit;
mod fast;
mod node;
mod problem;
mod scalar;
mod text;
mod write;

pub use edit::{Edit, EditError, edit, token};
pub use node::{Ambiguity, Data, Key, Mark, Node, Span};
pub use write::{to_string, write, write_json};

use std::sync::Arc;

use crate::model::Diagnostic;

/// What becomes of a local tag such as `!Ref`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tags {
    /// It is a problem.
    Refuse,
    /// It is kept in [`Node::tag`]; the tagged scalar is a string.
    Keep,
}

/// What is accepted, and how much of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What becomes of local tags.
    pub tags: Tags,
    /// Whether several documents are accepted.
    pub many: bool,
    /// The most bytes of a file.
    pub max_bytes: usize,
    /// The most lists and maps inside one another.
    pub max_depth: usize,
    /// The most keys and values of a file.
    pub max_nodes: usize,
    /// The most bytes of one scalar.
    pub max_scalar: usize,
}

impl Options {
    /// For what people write.
    pub fn request() -> Self {
        Self {
            tags: Tags::Refuse,
            many: false,
            max_bytes: 256 * 1024,
            max_depth: 32,
            max_nodes: 10_000,
            max_scalar: 64 * 1024,
        }
    }

    /// For rendered output.
    pub fn rendered() -> Self {
        Self {
            tags: Tags::Keep,
            many: true,
            max_bytes: 1024 * 1024,
            max_depth: 64,
            max_nodes: 100_000,
            max_scalar: 1024 * 1024,
        }
    }
}

/// Reads a file: one [`Node`] for each document, one null node for a file without any.
///
/// # Errors
/// All problems of the file in the order of their places; a syntax error ends the file.
pub fn read(
    file: &Arc<str>,
    bytes: &[u8],
    options: &Options,
) -> Result<Vec<Node>, Vec<Diagnostic>> {
    match fast::read(bytes, options) {
        Some(node) => Ok(vec![node]),
        None => read_fully(file, bytes, options),
    }
}

/// As [`read`], without the fast part, which gives the same or nothing: that one is held against this.
///
/// # Errors
/// Those of [`read`].
pub fn read_fully(
    file: &Arc<str>,
    bytes: &[u8],
    options: &Options,
) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let text = text::decode(file, bytes, options)?;
    compose::documents(file, &text, options)
}

#[cfg(test)]
pub(crate) mod tests;
