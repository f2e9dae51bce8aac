//! `vend catalog release`: the next version of a template, from the newest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use semver::Version;

use super::super::args::Args;
use super::super::args::catalog::Release;
use super::super::failure::{Failure, Kind};
use super::super::{laptop, output};
use super::around;
use crate::catalog::compat::{self, Bump, Comparison, release};
use crate::catalog::{self, Catalog, TemplateVersion, Versions};
use crate::git::WorkingCopy;
use crate::model::quote;
use crate::reconcile::case;
use crate::reconcile::local::{Landed, disk_files};

/// The most bytes of a file that is read.
const FILE_BYTES: u64 = 256 * 1024;

/// Copies the newest version to the next, or looks whether a version that is not published yet has
/// the number that it needs, and gives it that.
pub fn run(args: &Args, release: &Release) -> Result<ExitCode, Failure> {
    let here = laptop::here()?;
    let root = around(&here).ok_or_else(|| {
        Failure::usage("there is no `catalog.yaml` here or above")
            .hint("run it in the catalog's clone")
    })?;
    let catalog = catalog::load(&disk_files(&root, FILE_BYTES)?, None).0;
    let name = &release.name;
    let versions = catalog.templates.get(name).filter(|versions| !versions.is_empty());
    let versions = versions.ok_or_else(|| {
        let known: Vec<&str> = catalog.templates.keys().map(String::as_str).collect();
        let failure = Failure::usage(format!("there is no template {}", quote(name)));
        match crate::model::nearest(name, known.iter().copied()) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint(format!("there are {}", known.join(", "))),
        }
    })?;
    let (_, newest) = versions.last_key_value().expect("there is one");
    let published = published(&root, newest)?;
    let bump = release.bump.map(Bump::from);
    let said = if published {
        copy(&root, versions, newest, bump)?
    } else {
        settle(&root, &catalog, versions, newest, bump)?
    };
    if !args.quiet {
        output::print(&said);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a version is on the main branch; without Git, every one counts as that.
fn published(root: &Path, version: &TemplateVersion) -> Result<bool, Failure> {
    let copy = WorkingCopy::discover(root)?;
    let landed = Landed::of_clone(&copy, root, None, None, FILE_BYTES)?;
    Ok(landed.map_or(true, |landed| landed.has(&version.id)))
}

/// Copies a published version to the next number; what comes after a pre-release is its release, which
/// follows the release before both.
fn copy(
    root: &Path,
    versions: &Versions,
    newest: &TemplateVersion,
    bump: Option<Bump>,
) -> Result<String, Failure> {
    let Version { major, minor, patch, pre, .. } = &newest.id.version;
    let to = match (pre.is_empty(), compat::before(versions, &newest.id.version)) {
        (true, _) => compat::next(&newest.id.version, bump.unwrap_or(Bump::Patch)),
        (false, before) => {
            let least = before.zip(bump).map(|(v, bump)| compat::next(&v.id.version, bump));
            least.into_iter().fold(Version::new(*major, *minor, *patch), Version::max)
        }
    };
    let (from, into) = (root.join(&newest.folder), folder(root, newest, &to));
    let half = beside(&into);
    copy_folder(&from, &half)?;
    let changelog = half.join("CHANGELOG.md");
    let former = fs::read_to_string(&changelog).ok();
    fs::write(&changelog, release::changelog(former.as_deref(), &to, &[]))?;
    set_version(&half, &to)?;
    forget_own(&half)?;
    place(&half, &into)?;
    let name = &newest.id.name;
    let shown = shown(root, &into);
    Ok(format!(
        "Copied `{}` to `{shown}`.\nEdit it there, and say in `{shown}/CHANGELOG.md` what changes; then run \
         `vend catalog release {name}` again: it gives the version the number that it needs.",
        newest.id
    ))
}

/// Gives a version that is not published yet the number that it needs.
fn settle(
    root: &Path,
    catalog: &Catalog,
    versions: &Versions,
    draft: &Arc<TemplateVersion>,
    bump: Option<Bump>,
) -> Result<String, Failure> {
    let id = &draft.id;
    if let Some(problem) = draft.problems.iter().find(|problem| problem.is_error()) {
        let text = format!("`{id}` has errors: {}", problem.message);
        return Err(invalid(text).hint("run `vend catalog check`, and mend them first"));
    }
    let Some(before) = compat::before(versions, &id.version) else {
        return Ok(format!("`{id}` is the first version: there is nothing to compare it with."));
    };
    let tests = case::Versions::of(catalog)?;
    let comparison = compat::compare(before, draft).with(tests.differences(before, draft));
    let needed = comparison.bump().max(bump.unwrap_or(Bump::Patch));
    let reasons = reasons(&comparison);
    let claimed = compat::claimed(&before.id.version, &id.version);
    if claimed >= needed {
        log(&root.join(&draft.folder), &id.version, &comparison)?;
        return Ok(format!(
            "`{id}` is a {needed} change after `{}`, and its number says so.{reasons}\nCommit it, and open a \
             pull request.",
            before.id.version
        ));
    }
    let to = compat::next(&before.id.version, needed);
    if versions.contains_key(&to) {
        let text = format!("`{id}` would have to be called `{to}`, and that is there already");
        return Err(invalid(text));
    }
    let (from, into) = (root.join(&draft.folder), folder(root, draft, &to));
    let half = beside(&into);
    copy_folder(&from, &half)?;
    set_version(&half, &to)?;
    let changelog = half.join("CHANGELOG.md");
    if let Ok(text) = fs::read_to_string(&changelog) {
        fs::write(&changelog, release::renumbered(&text, &id.version, &to))?;
    }
    log(&half, &to, &comparison)?;
    place(&half, &into)?;
    fs::remove_dir_all(&from)?;
    Ok(format!(
        "`{id}` is a {needed} change after `{}`: it is called `{to}` now, in `{}`.{reasons}\nCommit it, and \
         open a pull request.",
        before.id.version,
        shown(root, &into)
    ))
}

/// Writes down in a version's changelog what differs, for those who use it.
fn log(folder: &Path, version: &Version, comparison: &Comparison) -> Result<(), Failure> {
    let file = folder.join("CHANGELOG.md");
    let said = |error: std::io::Error| {
        let error = anyhow::Error::new(error);
        Failure::new(Kind::Failed, error.context(format!("cannot write `{}`", file.display())))
    };
    let former = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Changelog\n".to_owned(),
        Err(error) => return Err(said(error)),
    };
    let text = release::with_reasons(&former, version, &comparison.reasons);
    if text == former { Ok(()) } else { fs::write(&file, text).map_err(said) }
}

fn invalid(text: String) -> Failure {
    Failure::new(Kind::Invalid, anyhow::Error::msg(text))
}

fn reasons(comparison: &Comparison) -> String {
    comparison
        .reasons
        .iter()
        .map(|reason| format!("\n- {}: {}", reason.bump, reason.what))
        .collect()
}

fn folder(root: &Path, of: &TemplateVersion, version: &Version) -> PathBuf {
    root.join("templates").join(&of.id.name).join(version.to_string())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Where a folder is made before it gets its name: a name that no version has.
fn beside(into: &Path) -> PathBuf {
    let name = into.file_name().unwrap_or_default().to_string_lossy();
    into.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Gives a folder its name, unless something is there.
fn place(half: &Path, into: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(into).is_ok() {
        fs::remove_dir_all(half)?;
        let text = format!("there is something at `{}` already", into.display());
        return Err(Failure::usage(text).hint("nothing was changed"));
    }
    Ok(fs::rename(half, into)?)
}

fn set_version(folder: &Path, version: &Version) -> Result<(), Failure> {
    let file = folder.join("template.yaml");
    let text = fs::read_to_string(&file)?;
    let changed = release::with_version("template.yaml", &text, version)
        .ok_or_else(|| invalid("`template.yaml` says no `metadata.version`".to_owned()))?;
    Ok(fs::write(file, changed)?)
}

/// Takes out what only the version that was copied says of itself.
fn forget_own(folder: &Path) -> Result<(), Failure> {
    let file = folder.join("template.yaml");
    let text = fs::read_to_string(&file)?;
    let changed = release::without_own("template.yaml", &text).map_err(|error| {
        let error =
            anyhow::Error::new(error).context("`template.yaml` cannot be copied as a new version");
        Failure::new(Kind::Failed, error)
            .hint("take `versionBump`, `lifecycle` and `replacedBy` out of the copy by hand")
    })?;
    Ok(fs::write(file, changed)?)
}

/// Plain files and folders only: a link could lead anywhere.
fn copy_folder(from: &Path, into: &Path) -> Result<(), Failure> {
    fs::create_dir(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, into.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
