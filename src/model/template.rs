//! What a template is made of and what it is given: words that reading and rendering share.

use std::sync::Arc;

use serde_json::Value;

use super::Symbol;

/// A file of a template's version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A `.hbs` file: it is rendered.
    Template(Arc<str>),
    /// Any other file: it is copied.
    Plain(Arc<str>),
}

/// A parameter's value.
#[derive(Clone, PartialEq, Debug)]
pub enum Slot {
    /// It is this.
    Known(Value),
    /// An apply will tell it.
    Unknown(Symbol),
}
