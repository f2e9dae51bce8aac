//! `vend catalog list`: what can be requested.

use std::process::ExitCode;

use super::super::args::catalog::List;
use super::super::args::{Args, Format};
use super::super::failure::Failure;
use super::super::output;
use super::meant;
use crate::report;

/// Prints it.
pub async fn run(args: &Args, list: &List) -> Result<ExitCode, Failure> {
    let found = meant(args, &list.elsewhere).await?;
    let errors = found.problems.iter().filter(|p| p.is_error()).count();
    if errors > 0 {
        output::warn(args, &report::catalog::is_broken(&found.origin, errors));
    }
    match args.format {
        Format::Json => output::print(&report::catalog::list_json(&found.catalog).to_string()),
        Format::Text | Format::Github | Format::Sarif => {
            let colour = output::is_colourful(&std::io::stdout());
            output::print(&report::catalog::list(&found.catalog, output::width(), colour));
        }
    }
    Ok(ExitCode::SUCCESS)
}
