//! The GitHub of the tests does what stories rely on.

mod asking;
mod client;
mod hooks;
mod pulls;
mod rest;
