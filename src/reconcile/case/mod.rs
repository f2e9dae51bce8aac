//! Template tests: a request, an environment, and what must come of it.
//!
//! # Flow
//! A test's request is read, checked and rendered by the code of a pass ([`Evaluator`]), planned by
//! [`plan`](crate::plan::plan), and judged by the rules as a pass judges it. What came of it is then held
//! against what the test expects. Of an upgrade, the older version is planned first, and taken to have been
//! applied as planned.
//!
//! # Guarantees
//! * Nothing is asked and nothing is done: what only a provider can tell is not known here, and a test
//!   that expects it fails, saying so.
//! * One test's panic is that test's alone.
//!
//! [`Evaluator`]: super::evaluate::Evaluator

mod bless;
mod compare;
mod run;
mod versions;

pub use bless::{Bless, BlessError, orphans};
pub use run::run;
pub use versions::Versions;
