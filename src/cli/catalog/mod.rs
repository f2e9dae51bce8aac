//! `vend catalog …`: one file per subcommand.

mod cfn_lint;
mod check;
mod diff;
mod import;
mod list;
mod release;
mod rollout;
mod show;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::catalog::{Catalog, CatalogCommand};
use super::args::{Args, Elsewhere};
use super::failure::Failure;
use super::{context, laptop};
use crate::reconcile::local::LocalCatalog;

/// The kinds of provider that there are.
const PROVIDERS: [&str; 2] = ["files", "cloudformation"];

/// Runs a subcommand.
pub async fn run(args: &Args, catalog: &Catalog) -> Result<ExitCode, Failure> {
    match &catalog.command {
        CatalogCommand::Import(what) => import::run(args, what),
        CatalogCommand::Diff(diff) => diff::run(args, diff).await,
        CatalogCommand::Check(check) => check::run(args, check).await,
        CatalogCommand::Show(show) => show::run(args, show).await,
        CatalogCommand::List(list) => list::run(args, list).await,
        CatalogCommand::Release(release) => release::run(args, release),
        CatalogCommand::Rollout(rollout) => rollout::run(args, rollout).await,
        CatalogCommand::Test(test) => test::run(args, test).await,
    }
}

/// The folder of the catalog that `at` lies in.
fn around(at: &Path) -> Option<PathBuf> {
    at.ancestors().find(|folder| folder.join("catalog.yaml").is_file()).map(Path::to_owned)
}

/// The catalog that is meant: `--catalog`, else the one whose clone this is, else the configuration's.
async fn meant(args: &Args, elsewhere: &Elsewhere) -> Result<LocalCatalog, Failure> {
    let here = laptop::here()?;
    let has_config = args.config.is_some() || context::find(&here).is_some();
    let own = around(&here).filter(|_| !has_config && elsewhere.catalog.is_none());
    let catalog = match (own, &elsewhere.catalog) {
        (Some(own), _) => laptop::catalog_at(args, &own.display().to_string()).await?,
        (None, Some(place)) if !has_config => laptop::catalog_at(args, place).await?,
        (None, _) => laptop::catalog(args, &context::config(args)?, elsewhere).await?,
    };
    if catalog.files.get("catalog.yaml").is_none() {
        let message = format!("there is no `catalog.yaml` in {}", catalog.origin);
        return Err(Failure::usage(message).hint("name a catalog with --catalog"));
    }
    Ok(catalog)
}
