//! Bytes of a tree into a catalog, and a request into what it asks for, with every problem on the
//! way as a diagnostic at its place.
//!
//! Pure: nothing here reads, waits or looks at a clock.

mod ambiguous;
mod case;
mod check;
pub mod compat;
mod editor;
mod environment;
mod example;
mod explain;
mod extend;
pub mod file;
pub mod form;
mod given;
pub mod import;
mod load;
mod migration;
mod parameters;
pub mod path;
pub mod published;
mod request;
mod resolve;
mod rule;
pub mod schema;
mod template;
mod upgrade;
mod values;

pub use case::{Asked, StandIn, applied_version};
pub use check::{Checked, Filled, Verdict, check, settings_problems};
pub use editor::request_schema;
pub use environment::Environment;
pub use example::{Example, example};
pub use extend::{Extension, NotLonger, extend};
pub use load::{Catalog, Changed, changed, load};
pub use migration::{Migration, Split};
pub use parameters::Parameters;
pub use path::{PathIs, Pattern};
pub use request::{RequestFile, Requirement, TemplateReq, request};
pub use resolve::{Standing, Versions, kept, offered, takeable, template_of};
pub use template::{ComponentSpec, TemplateVersion, TestCase, Ttl};
pub use upgrade::{Moved, Outcome, Unheard, Upgrade, Why, lost_output, newest, upgrade};
pub use values::refined;

#[cfg(test)]
mod catalog_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod secret_tests;
