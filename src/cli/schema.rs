//! `vend schema`: one JSON Schema for all requests of a catalog, for editors.

use std::process::ExitCode;

use super::args::{Args, Schema};
use super::failure::Failure;
use super::{context, laptop, output};
use crate::catalog;

/// Writes it.
pub async fn run(args: &Args, schema: &Schema) -> Result<ExitCode, Failure> {
    let catalog = laptop::catalog(args, &context::config(args)?, &schema.elsewhere).await?;
    let value = catalog::request_schema(&catalog.catalog);
    let text = serde_json::to_string_pretty(&value).map_err(anyhow::Error::new)?;
    match &schema.output {
        Some(path) => std::fs::write(path, text + "\n")?,
        None => output::print(&text),
    }
    Ok(ExitCode::SUCCESS)
}
