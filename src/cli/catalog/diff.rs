//! `vend catalog diff`: every request that a change of the catalog would change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::catalog::{self, Catalog};
use crate::cli::args::catalog::Diff;
use crate::cli::args::{Args, Format};
use crate::cli::failure::{FOUND, Failure, Kind};
use crate::cli::{context, laptop, output};
use crate::config::{Config, SYSTEM_FILE};
use crate::digest::Digest;
use crate::git::{Mirror, WorkingCopy};
use crate::model::{Artifact, Blast, Diagnostic, Files, Revision, Step};
use crate::reconcile::local::{self, Scene, disk_files};
use crate::report;

/// What is compared.
struct Ends {
    before: Revision,
    /// `None`: the files as they lie on the disk.
    after: Option<Revision>,
}

/// The difference, and what is to be said of it.
struct Shown {
    blast: Blast,
    artifacts: HashMap<Digest, Arc<Artifact>>,
    /// Problems of the catalog that it did not have before.
    problems: Vec<Diagnostic>,
    files: Files,
    remarks: Vec<String>,
}

/// Prints it.
pub async fn run(args: &Args, diff: &Diff) -> Result<ExitCode, Failure> {
    let folder = folder(diff)?;
    let config = config(args, diff, &folder)?;
    if diff.preview && !context::is_operator(&config) {
        let what = "`--preview` asks the providers, which a working copy has no part in";
        return Err(Failure::usage(what).hint("name the operator's file with --config"));
    }
    let copy = WorkingCopy::discover(&folder)?;
    let ends = ends(diff, &config, &copy)?;
    let shown = compare(args, diff, &config, &folder, &copy, &ends).await?;
    print(args, diff, &shown);
    let invalid = shown.problems.iter().any(Diagnostic::is_error);
    let code = if invalid {
        Kind::Invalid.code()
    } else if diff.exit_code && !shown.blast.is_empty() {
        FOUND
    } else {
        0
    };
    Ok(ExitCode::from(code))
}

/// The catalog's folder: the one named, or the one around here.
fn folder(diff: &Diff) -> Result<PathBuf, Failure> {
    let at = match &diff.elsewhere.catalog {
        Some(named) => PathBuf::from(named),
        None => laptop::here()?,
    };
    let at = at.canonicalize().unwrap_or(at);
    super::around(&at).ok_or_else(|| {
        let message = "there is no `catalog.yaml` here or in a folder above";
        Failure::usage(message)
            .hint("run it in a working copy of the catalog, or name one with --catalog")
    })
}

/// The configuration, or with `--requests` what stands for one.
fn config(args: &Args, diff: &Diff, folder: &Path) -> Result<Config, Failure> {
    let here = laptop::here()?;
    if args.config.is_some() || context::find(&here).is_some() {
        return context::config(args);
    }
    if let Some(near) = context::find(folder) {
        return context::found(&near);
    }
    let Some(first) = diff.requests.first() else {
        if Path::new(SYSTEM_FILE).exists() {
            return context::config(args);
        }
        let message = "there is no `vend.yaml` that says where the requests are";
        return Err(Failure::usage(message)
            .hint("name them with --requests PATH|URL")
            .hint("name the configuration with --config"));
    };
    let text = serde_json::json!({
        "catalog": {"repository": folder},
        "requests": [{"repository": laptop::named(first)}],
    });
    Ok(Config::parse(&here.join("vend.yaml"), text.to_string().as_bytes())?)
}

fn ends(diff: &Diff, config: &Config, copy: &WorkingCopy) -> Result<Ends, Failure> {
    let place = &config.settings.catalog;
    let commit = |name: &str| {
        let name = if name.is_empty() { "HEAD" } else { name };
        copy.commit_of(name).map_err(|error| Failure::new(Kind::Usage, error))
    };
    let Some(range) = diff.range.as_deref() else {
        return match local::base(copy, &place.repository, &place.branch)? {
            Ok((_, before)) => Ok(Ends { before, after: None }),
            Err(why) => Err(Failure::usage(format!("there is nothing to compare with: {why}"))
                .hint("name the commits: vend catalog diff BASE..HEAD")),
        };
    };
    // As git has it: with three dots, from where the two parted.
    if let Some((before, after)) = range.split_once("...") {
        let (before, after) = (commit(before)?, commit(after)?);
        let mirror = mirror(copy)?;
        let parted = mirror.merge_base(&before, &after)?.ok_or_else(|| {
            Failure::usage(format!("the two ends of `{range}` have no commit in common"))
        })?;
        return Ok(Ends { before: parted, after: Some(after) });
    }
    match range.split_once("..") {
        Some((before, after)) => Ok(Ends { before: commit(before)?, after: Some(commit(after)?) }),
        None => Ok(Ends { before: commit(range)?, after: None }),
    }
}

fn mirror(copy: &WorkingCopy) -> Result<Mirror, Failure> {
    let repository = copy.repository().ok_or_else(|| {
        Failure::usage("the catalog is in no Git repository, so there is nothing to compare with")
    })?;
    Ok(Mirror::open_local(repository)?)
}

async fn compare(
    args: &Args,
    diff: &Diff,
    config: &Config,
    folder: &Path,
    copy: &WorkingCopy,
    ends: &Ends,
) -> Result<Shown, Failure> {
    let max = config.settings.limits.file_bytes;
    let inner = folder.strip_prefix(copy.root()).ok().and_then(Path::to_str).unwrap_or_default();
    let objects = mirror(copy)?;
    let at = |commit: &Revision| local::files_at(objects.clone(), inner, commit, max);
    let old_files = at(&ends.before)?;
    let (before, old_problems) = catalog::load(&old_files, None);
    let files = match &ends.after {
        Some(after) => at(after)?,
        None => disk_files(folder, max)?,
    };
    let (mut after, problems) = catalog::load(&files, Some(&before));
    catalog::published::settle(&mut after, &files, &before, &old_files);
    let problems = new(problems, &old_problems);
    let asked = laptop::asked(args, config, &diff.requests, copy, ends.after.as_ref()).await?;
    let sheets = laptop::sheets(args, config, &diff.elsewhere, copy).await?;
    let scene = Scene { before: &before, after: &after, asked: &asked, sheets: &sheets, config };
    let (mut blast, artifacts) = local::blast(&scene).await?;
    let mut remarks = vec![compared(ends, &before, &after)];
    if diff.preview {
        let failed = local::preview(&mut blast, &artifacts, config).await?;
        remarks.extend(failed.into_iter().map(|(target, why)| {
            format!("{target} could not be previewed: {}", crate::model::escape(&why, 400))
        }));
    }
    remarks.push(match sheets.at {
        Some(at) => format!(
            "Recorded state is of {} ({at:.0}); live state was not looked at.",
            report::source::ago(at, context::now())
        ),
        None => "Nothing has been published yet, so every request was read; live state was not \
                 looked at."
            .to_owned(),
    });
    Ok(Shown { blast, artifacts, problems, files, remarks })
}

/// Those that were not there before, wherever they stood.
fn new(problems: Vec<Diagnostic>, old: &[Diagnostic]) -> Vec<Diagnostic> {
    let same = |a: &Diagnostic, b: &Diagnostic| {
        (&a.code, &a.place.file, &a.message) == (&b.code, &b.place.file, &b.message)
    };
    problems.into_iter().filter(|problem| !old.iter().any(|old| same(problem, old))).collect()
}

fn compared(ends: &Ends, before: &Catalog, after: &Catalog) -> String {
    let changed = catalog::changed(before, after);
    let after = match &ends.after {
        Some(after) => format!("commit {}", after.short()),
        None => "the files as they lie here".to_owned(),
    };
    let names = |names: &std::collections::BTreeSet<String>| match names.len() {
        0 => "none".to_owned(),
        _ => names.iter().take(12).cloned().collect::<Vec<_>>().join(", "),
    };
    format!(
        "Compared were commit {} and {after}. Templates that differ: {}; environments: {}.",
        ends.before.short(),
        names(&changed.templates),
        names(&changed.environments)
    )
}

fn print(args: &Args, diff: &Diff, shown: &Shown) {
    let Shown { blast, artifacts, problems, files, remarks } = shown;
    let find = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d).cloned());
    let of_step = |step: &Step| (find(step.from), find(step.artifact));
    if args.format == Format::Json {
        let mut value = report::blast::json(blast, &of_step);
        value["diagnostics"] = report::diagnostic::json(problems)["diagnostics"].take();
        if let Some(all) = value["remarks"].as_array_mut() {
            all.extend(remarks.iter().map(|remark| remark.as_str().into()));
        }
        output::print(&value.to_string());
        return;
    }
    let all = if diff.full { usize::MAX } else { report::plan::Options::default().diff_lines };
    let options = report::plan::Options {
        colour: output::is_colourful(&std::io::stdout()),
        width: if diff.full { usize::MAX } else { output::width() },
        diff_lines: all,
        ..Default::default()
    };
    let text = |path: &str| Some(std::str::from_utf8(files.get(path)?.bytes()?).ok()?.into());
    let mut out = report::diagnostic::terminal(problems, &text, options.colour);
    out.push_str(&report::blast::terminal(blast, &of_step, &options, diff.full));
    for remark in remarks {
        out.push_str(&format!("{remark}\n"));
    }
    output::print(&out);
}
