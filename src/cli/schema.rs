//! `vend schema`: one JSON Schema for all requests of a catalog, for editors.

use std::path::Path;
use std::process::ExitCode;

use super::args::{Args, Format, Schema};
use super::failure::{Failure, Kind};
use super::{context, laptop, output};
use crate::catalog;
use crate::git::WorkingCopy;

/// Where editors look for it, from the top of a clone: `vend new` and `vend init` name it in files.
pub(super) const FILE: &str = ".vend/request.schema.json";

/// Far more than the schema of a large catalog needs.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Writes it, or looks whether what was written is still right.
pub async fn run(args: &Args, schema: &Schema) -> Result<ExitCode, Failure> {
    let catalog = laptop::catalog(args, &context::config(args)?, &schema.elsewhere).await?;
    let text = text(&catalog.catalog)?;
    if schema.check {
        let path = match &schema.output {
            Some(path) => path.clone(),
            None => WorkingCopy::discover(&laptop::here()?)?.root().join(FILE),
        };
        return check(args, &path, &text);
    }
    match &schema.output {
        Some(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            folder.map(std::fs::create_dir_all).transpose()?;
            std::fs::write(path, text)?;
        }
        None => output::print(&text),
    }
    Ok(ExitCode::SUCCESS)
}

/// As it is written to a file.
pub(super) fn text(catalog: &catalog::Catalog) -> Result<String, Failure> {
    let value = catalog::request_schema(catalog);
    Ok(serde_json::to_string_pretty(&value).map_err(anyhow::Error::new)? + "\n")
}

/// Fails where the file is not what would be written now.
fn check(args: &Args, path: &Path, wanted: &str) -> Result<ExitCode, Failure> {
    let shown = path.display();
    let found = match read(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let message = format!("cannot read `{shown}`");
            return Err(Failure::new(Kind::Failed, anyhow::Error::new(error).context(message)));
        }
    };
    // A checkout with CRLF is no older for it.
    if found.as_deref().is_some_and(|found| found.replace("\r\n", "\n") == wanted) {
        if args.format == Format::Json {
            output::print(&serde_json::json!({"upToDate": true}).to_string());
        } else if !args.quiet {
            output::print(&format!("`{shown}` is up to date."));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let what = if found.is_some() { "is not that of the catalog any more" } else { "is not there" };
    Err(Failure::new(Kind::Failed, anyhow::anyhow!("`{shown}` {what}"))
        .hint(format!("`vend schema -o {shown}` writes it")))
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.metadata()?.len() > MAX_FILE {
        return Err(std::io::Error::other("it is far too large for a schema"));
    }
    std::fs::read_to_string(path)
}
