//! `vend demo`: the real job on repositories of its own. Every command it shows it really runs, as a
//! process, and it fails when one does not end as it says.

mod files;
mod place;
mod scenes;
mod stage;

use std::process::ExitCode;

use super::args::Demo;
use super::failure::Failure;

pub use files::{CATALOG, Embedded};
pub use place::write;
pub use stage::Git;

/// Plays it.
pub fn run(demo: &Demo) -> Result<ExitCode, Failure> {
    let root = match &demo.directory {
        Some(directory) => place::prepare(directory)?,
        None => place::temporary()?,
    };
    let mut stage = stage::Stage::new(root, demo.no_pause)?;
    scenes::play(&mut stage)?;
    Ok(ExitCode::SUCCESS)
}
