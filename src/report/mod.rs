//! Values in, text out: all wording lives here. Pure.

pub mod diagnostic;
pub mod hold;
pub mod plan;
