//! `vend init`: a catalog and a requests repository to start from.

use std::process::ExitCode;

use super::args::Init;
use super::failure::Failure;

/// Writes them.
pub fn run(_init: &Init) -> Result<ExitCode, Failure> {
    Err(Failure::usage("soon"))
}
