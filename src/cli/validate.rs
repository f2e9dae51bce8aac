//! `vend validate`: all problems of all files at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Args, Validate};
use super::context;
use super::failure::Failure;
use super::findings::{Findings, Texts};
use super::laptop::{self, Bench};
use crate::catalog;
use crate::model::{RequestId, Wanted};
use crate::reconcile::lint;
use crate::reconcile::local::{Published, disk_files, forbidden_changes};

/// Checks catalogs and requests.
pub async fn run(args: &Args, validate: &Validate) -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    let (catalogs, requests) = split(&validate.paths)?;
    for folder in &catalogs {
        check_catalog(folder, &mut findings)?;
    }
    if !requests.is_empty() || catalogs.is_empty() {
        let at = requests.first().cloned().map_or_else(laptop::here, Ok)?;
        let config = context::config_near(args, &at)?;
        let mut bench = laptop::open(args, config, &validate.elsewhere, &at).await?;
        let published = bench.published_if_any(args, &validate.elsewhere).await;
        check_requests(&bench, &published, &requests, &mut findings).await?;
    }
    Ok(findings.finish(args, false))
}

/// Folders that are catalogs, and everything else.
fn split(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let all = if paths.is_empty() {
        let here = laptop::here()?;
        let catalog = here.ancestors().find(|f| f.join("catalog.yaml").is_file());
        let config = context::find(&here);
        // In a catalog's own clone, the catalog is meant.
        match (catalog, config) {
            (Some(catalog), None) => vec![catalog.to_owned()],
            (Some(_), Some(_)) | (None, _) => Vec::new(),
        }
    } else {
        paths.to_vec()
    };
    for path in &all {
        if std::fs::symlink_metadata(path).is_err() {
            let shown = crate::model::quote(&path.display().to_string());
            return Err(Failure::usage(format!("there is no {shown}")));
        }
    }
    Ok(all
        .into_iter()
        .map(|p| std::path::absolute(&p).unwrap_or(p))
        .partition(|p| p.join("catalog.yaml").is_file()))
}

fn check_catalog(folder: &Path, findings: &mut Findings) -> Result<(), Failure> {
    let files = disk_files(folder, 256 * 1024)?;
    findings.excerpts_from(&files);
    findings.of_catalog = true;
    let (catalog, problems) = catalog::load(&files, None);
    findings.diagnostics.extend(problems);
    for version in catalog.versions() {
        findings.templates += 1;
        findings.diagnostics.extend(lint::lint(version, &files));
    }
    Ok(())
}

async fn check_requests(
    bench: &Bench,
    published: &Published,
    paths: &[PathBuf],
    findings: &mut Findings,
) -> Result<(), Failure> {
    let wanted = wanted(bench, paths)?;
    judge(bench, published, &wanted, findings).await?;
    let inner: Vec<String> = paths.iter().filter_map(|p| bench.requests.copy.relative(p)).collect();
    let asked =
        |file: &str| paths.is_empty() || inner.iter().any(|path| is_at_or_below(path, file));
    let problems = bench.requests.problems.iter().filter(|p| asked(&p.place.file));
    findings.diagnostics.extend(problems.cloned());
    findings.missing.clone_from(&bench.requests.missing);
    texts_of_catalog(bench, findings);
    Ok(())
}

/// Everything that is said of these requests, whether their files are written yet or not.
pub(super) async fn judge(
    bench: &Bench,
    published: &Published,
    wanted: &BTreeSet<RequestId>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let max = bench.config.settings.limits.file_bytes;
    let records = published.records();
    let read = bench.requests.judge(wanted, &bench.catalog.catalog, &records, &bench.config);
    for desired in read.await?.iter().filter(|desired| wanted.contains(&desired.id)) {
        findings.requests += 1;
        let before = findings.diagnostics.len();
        findings.diagnostics.extend(desired.notes.iter().cloned());
        match &desired.wanted {
            Wanted::Valid(spec) => {
                let record = records.get(&desired.id);
                let record = record.or_else(|| records.get(spec.moved_from.as_ref()?));
                // The file is read once more only where there is something to hold it against.
                if let Some(record) = record
                    && let Some(text) = bench.requests.text(&desired.origin.path, max)
                {
                    findings.diagnostics.extend(forbidden_changes(desired, record, &text));
                }
            }
            Wanted::Invalid(problems) => findings.diagnostics.extend(problems.iter().cloned()),
            Wanted::Waiting(reason) => findings.waiting.push((desired.id.clone(), reason.clone())),
        }
        if findings.diagnostics.len() > before
            && let Some(text) = bench.requests.text(&desired.origin.path, max)
        {
            findings.texts.insert(desired.origin.path.to_string(), text);
        }
    }
    texts_of_catalog(bench, findings);
    Ok(())
}

/// A request's problem may lie in a template: its text is needed for the excerpt.
fn texts_of_catalog(bench: &Bench, findings: &mut Findings) {
    let missing: BTreeSet<&str> = findings
        .diagnostics
        .iter()
        .map(|d| &*d.place.file)
        .filter(|f| !findings.texts.contains_key(*f))
        .collect();
    let mut found = Texts::new();
    for path in missing {
        if let Some(text) = bench
            .catalog
            .files
            .get(path)
            .and_then(|f| f.bytes())
            .and_then(|b| std::str::from_utf8(b).ok())
        {
            found.insert(path.to_owned(), text.into());
        }
    }
    findings.texts.extend(found);
}

/// The requests that `paths` name; all of them when there are none.
fn wanted(bench: &Bench, paths: &[PathBuf]) -> Result<BTreeSet<RequestId>, Failure> {
    let requests = &bench.requests;
    if paths.is_empty() {
        return Ok(requests.found.keys().cloned().collect());
    }
    let mut wanted = BTreeSet::new();
    for path in paths {
        let inner = requests.copy.relative(path).ok_or_else(|| {
            Failure::usage(format!(
                "`{}` is not in the clone `{}`",
                path.display(),
                requests.copy.root().display()
            ))
        })?;
        let is_below = |p: &str| is_at_or_below(&inner, p);
        let before = wanted.len();
        wanted.extend(
            requests.found.values().filter(|f| is_below(&f.origin.path)).map(|f| f.id.clone()),
        );
        let named = requests.problems.iter().any(|p| is_below(&p.place.file));
        if wanted.len() == before && !named && path.is_file() {
            return Err(Failure::usage(format!(
                "`{inner}` is not a request by the pattern `{}`",
                requests.source.pattern
            )));
        }
    }
    Ok(wanted)
}

fn is_at_or_below(folder: &str, path: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
