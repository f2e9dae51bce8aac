//! `vend catalog check`: everything that an author would like to know of a catalog, at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::args::catalog::Check;
use super::super::args::{Args, Elsewhere};
use super::super::failure::{Failure, Kind};
use super::super::findings::Findings;
use super::super::{context, laptop};
use super::{PROVIDERS, around, cfn_lint, meant};
use crate::catalog::{self, Catalog, compat};
use crate::config::{Config, LimitSettings};
use crate::git::{Mirror, WorkingCopy};
use crate::model::{Diagnostic, Files, Revision, TemplateId};
use crate::reconcile::case;
use crate::reconcile::lint::{self, Stack};
use crate::reconcile::local::{Fetched, Landed, Sheets, disk_files};

/// Checks it.
pub async fn run(args: &Args, check: &Check) -> Result<ExitCode, Failure> {
    let (files, catalog, problems, folder) = load(args, check).await?;
    let mut findings = Findings { diagnostics: problems, of_catalog: true, ..Findings::default() };
    findings.excerpts_from(&files);
    findings.templates = catalog.versions().count();
    let landed = match &folder {
        Some(folder) => landed(args, check, folder, &catalog, &mut findings).await?,
        None => Err("it was read from its branch".into()),
    };
    let published = versions(&catalog, &files, &landed, folder.is_none(), &mut findings)?;
    let study = lint::study(&catalog, &files, &PROVIDERS, &published);
    findings.diagnostics.extend(study.problems);
    if !check.no_cfn_lint {
        ask_cfn_lint(&study.stacks, &mut findings).await;
    }
    Ok(findings.finish(args, check.strict))
}

/// What was read, its problems, and where it lies when that is on this disk.
type Loaded = (Files, Catalog, Vec<Diagnostic>, Option<PathBuf>);

async fn load(args: &Args, check: &Check) -> Result<Loaded, Failure> {
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
            Ok((files, catalog, problems, Some(folder)))
        }
        None => {
            let found = meant(args, &Elsewhere::default()).await?;
            Ok((found.files, found.catalog, found.problems, found.folder))
        }
    }
}

fn absolute(folder: &Path) -> Option<std::path::PathBuf> {
    folder.canonicalize().ok()
}

/// What is published, as this clone and the status branch know it, or why that is not known.
async fn landed(
    args: &Args,
    check: &Check,
    folder: &Path,
    catalog: &Catalog,
    findings: &mut Findings,
) -> Result<Result<Landed, String>, Failure> {
    let copy = WorkingCopy::discover(folder)?;
    let base = match &check.base {
        Some(name) => Some(copy.commit_of(name).map_err(|error| {
            Failure::new(Kind::Usage, error).hint(
                "in a workflow, check out with `fetch-depth: 0`, or fetch the catalog's branch",
            )
        })?),
        None => None,
    };
    let near = match (&args.config, context::find(folder)) {
        (Some(named), _) => Some(context::read(named)?),
        (None, Some(near)) => Some(context::found(&near)?),
        (None, None) => None,
    };
    let branch = near.as_ref().map(|config| config.settings.catalog.branch.as_str());
    let max = LimitSettings::default().file_bytes;
    let landed = Landed::of_clone(&copy, folder, base.as_ref(), branch, max)?;
    let mut landed = match landed {
        Ok(landed) => landed,
        Err(why) => return Ok(Err(why)),
    };
    let mut sheets = None;
    match status(args, check, near.as_ref(), &copy).await {
        Ok(Some((mirror, tip))) => {
            landed.recorded(&mirror, &tip)?;
            sheets = Some(Sheets::read(&mirror, &tip)?);
        }
        Ok(None) => {}
        Err(why) => {
            let why = why.message();
            findings
                .notes
                .push(format!("what the status branch says of versions was not read: {why}"));
        }
    }
    findings.diagnostics.extend(landed.gone(catalog, sheets.as_ref()));
    Ok(Ok(landed))
}

/// The status branch: the one that is named or configured, else one of this very clone.
async fn status(
    args: &Args,
    check: &Check,
    config: Option<&Config>,
    copy: &WorkingCopy,
) -> Result<Option<(Mirror, Revision)>, Failure> {
    let elsewhere = Elsewhere { status: check.status.clone(), ..Elsewhere::default() };
    let cache = laptop::cache(config)?;
    let fetched = match (config, &check.status) {
        (Some(config), _) => {
            laptop::status_branch(args, &cache, config, &elsewhere, Some(copy)).await?
        }
        (None, Some(place)) => {
            let place = laptop::named(place);
            Some(cache.branch(&place, STATUS_BRANCH, context::now()).await?)
        }
        (None, None) => None,
    };
    if let Some(Fetched { mirror, tip, .. }) = fetched {
        return Ok(tip.map(|tip| (mirror, tip)));
    }
    let Some(repository) = copy.repository() else { return Ok(None) };
    let mirror = Mirror::open_local(repository)?;
    for place in ["refs/remotes/origin", "refs/heads"] {
        if let Some(tip) = mirror.branch_tip(&format!("{place}/{STATUS_BRANCH}"))? {
            return Ok(Some((mirror, tip)));
        }
    }
    Ok(None)
}

/// The name that a status branch has when no configuration says another.
const STATUS_BRANCH: &str = "vend/status";

/// What numbers say against what versions change, and versions that were edited after they were published; gives
/// those that are published.
fn versions(
    catalog: &Catalog,
    files: &Files,
    landed: &Result<Landed, String>,
    is_branch: bool,
    findings: &mut Findings,
) -> Result<BTreeSet<TemplateId>, Failure> {
    let published: BTreeSet<TemplateId> = match landed {
        Ok(landed) => {
            findings.against.clone_from(&landed.from);
            findings.diagnostics.extend(landed.edited(catalog, files));
            landed.published(catalog)
        }
        Err(_) if is_branch => catalog.versions().map(|version| version.id.clone()).collect(),
        Err(why) => {
            findings.notes.push(format!(
                "there was nothing to compare with, since {why}: whether versions were edited after they were \
                 published is not known, and the newest of each template counts as new (`--base REVISION` names a \
                 commit that has what is published; a workflow's clone has one with `fetch-depth: 0`)"
            ));
            let followed = |versions: &catalog::Versions| {
                let newest = versions.len().saturating_sub(1);
                versions.values().take(newest).map(|version| version.id.clone()).collect::<Vec<_>>()
            };
            catalog.templates.values().flat_map(followed).collect()
        }
    };
    let tests = case::Versions::of(catalog)?;
    let renders = |old: &_, new: &_| tests.differences(old, new);
    findings.diagnostics.extend(compat::problems(catalog, &published, &renders));
    Ok(published)
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
