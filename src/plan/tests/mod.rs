//! Stories of one change: from equilibrium, one fact changes, and after it again nothing is to do.

mod barred;
mod deletion;
mod expiry;
mod hold;
mod model;
mod moving;
mod ordering;
mod property;
mod stuck;
mod target;
mod world;
