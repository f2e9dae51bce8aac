//! `vend catalog check`: everything that an author would like to know of a catalog, at once.

use std::path::Path;
use std::process::ExitCode;

use super::super::args::catalog::Check;
use super::super::args::{Args, Elsewhere};
use super::super::failure::Failure;
use super::super::findings::Findings;
use super::super::laptop;
use super::{PROVIDERS, around, cfn_lint, meant};
use crate::catalog::{self, Catalog};
use crate::config::LimitSettings;
use crate::model::{Diagnostic, Files};
use crate::reconcile::lint::{self, Stack};
use crate::reconcile::local::disk_files;

/// Checks it.
pub async fn run(args: &Args, check: &Check) -> Result<ExitCode, Failure> {
    let (files, catalog, problems) = load(args, check).await?;
    let mut findings = Findings { diagnostics: problems, ..Findings::default() };
    findings.excerpts_from(&files);
    findings.templates = catalog.versions().count();
    let study = lint::study(&catalog, &files, &PROVIDERS);
    findings.diagnostics.extend(study.problems);
    if !check.no_cfn_lint {
        ask_cfn_lint(&study.stacks, &mut findings).await;
    }
    Ok(findings.finish(args, check.strict))
}

async fn load(args: &Args, check: &Check) -> Result<(Files, Catalog, Vec<Diagnostic>), Failure> {
    let own = match &check.directory {
        Some(folder) if !folder.is_dir() => {
            let shown = crate::model::quote(&folder.display().to_string());
            return Err(Failure::usage(format!("there is no folder {shown}")));
        }
        // A folder inside of a catalog means that catalog; any other is one that lacks its file.
        Some(folder) => Some(
            absolute(folder)
                .map_or_else(|| folder.clone(), |folder| around(&folder).unwrap_or(folder)),
        ),
        None => around(&laptop::here()?),
    };
    match own {
        Some(folder) => {
            let limit = LimitSettings::default().file_bytes;
            let files = disk_files(&folder, limit)?;
            let (catalog, problems) = catalog::load(&files, None);
            Ok((files, catalog, problems))
        }
        None => {
            let found = meant(args, &Elsewhere::default()).await?;
            Ok((found.files, found.catalog, found.problems))
        }
    }
}

fn absolute(folder: &Path) -> Option<std::path::PathBuf> {
    folder.canonicalize().ok()
}

/// What CloudFormation's own linter says of what it would be given.
async fn ask_cfn_lint(stacks: &[Stack], findings: &mut Findings) {
    if stacks.is_empty() {
        return;
    }
    match cfn_lint::ask(stacks).await {
        Ok(found) => {
            for (file, text) in found.texts {
                findings.texts.insert(file, text);
            }
            findings.diagnostics.extend(found.problems);
        }
        Err(why) => findings.notes.push(why.to_string()),
    }
}
