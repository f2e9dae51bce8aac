//! What a catalog says may not be, and who has to say yes: rules in CEL, and lists of resource types.
//!
//! # Flow
//! `catalog` [compiles](compile) the rules of a template's version and of an environment when it reads
//! them, so that a mistake in one is found at its place before any request meets it. A request that is
//! read gives [`Facts`]; a plan adds [`plan`](facts::plan) facts. [`judge`] holds one against the other.
//!
//! # Guarantees
//! - An expression is parsed by the crate `cel` and evaluated here, within a number of steps: none
//!   can crash, hang or fill the memory ([0012](../../docs/decisions/0012-policy-in-cel.md)).
//! - What is not known yet is a value of its own. A rule that needs it is undecided and says so; it is
//!   never taken for false.
//! - A rule that cannot be evaluated denies.

mod allow;
mod compile;
mod eval;
mod facts;
mod rule;
#[cfg(test)]
mod tests;

mod value;

pub use allow::{Allowed, Outside, outside};
pub use compile::{Compiled, Mistake, Scope, compile};
pub use facts::{Facts, PlanFacts, Told, plan};
pub use rule::{ApprovalRule, DenyRule, Finding, Rules, judge};
pub use value::Value;
