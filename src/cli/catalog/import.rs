//! `vend catalog import`: a bundle of another catalog becomes a version of a template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use semver::Version;

use crate::catalog;
use crate::catalog::import::{Format, Wanted, import};
use crate::cli::args::catalog::{Import, ImportFormat};
use crate::cli::args::{self, Args};
use crate::cli::failure::{Failure, Kind};
use crate::cli::{laptop, output};
use crate::model::{Diagnostic, Files, is_name, quote};
use crate::reconcile::local::disk_files;
use crate::report;

/// Sources of stacks may be as large as CloudFormation takes them.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads the bundle, and writes the version's folder.
pub fn run(args: &Args, what: &Import) -> Result<ExitCode, Failure> {
    let into = catalog_folder(what)?;
    let (files, from) = bundle(&what.bundle)?;
    let wanted = wanted(what)?;
    let folder = format!("templates/{}/{}", wanted.name, wanted.version);
    let full = into.join(&folder);
    if full.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("`{folder}` is there already"))
            .hint("give another --version, or another --name: nothing is overwritten"));
    }
    let (format, noun) = match what.bundle_format {
        ImportFormat::Proton => (Format::Proton, "a bundle of AWS Proton"),
        ImportFormat::Ade => (Format::Ade, "a definition of Azure Deployment Environments"),
        ImportFormat::ServiceCatalog => {
            (Format::ServiceCatalog, "a product of AWS Service Catalog")
        }
    };
    let imported = match import(format, &files, &wanted) {
        Ok(imported) => imported,
        Err(problems) => return Ok(refuse(args, &files, &problems)),
    };
    let mut notes = imported.notes;
    let mut written = imported.files;
    let problems = check(&into, &folder, &written)?;
    notes.extend(problems.iter().cloned());
    let shown = format!("{}@{}", wanted.name, wanted.version);
    let mut put = |name: &str, text: String| {
        written.entry(name.to_owned()).or_insert_with(|| text.into_bytes().into());
    };
    put("IMPORT.md", report::import::page(&format!("{noun} (`{from}`)"), &shown, &notes));
    put(
        "README.md",
        format!(
            "# {}\n\nImported; `IMPORT.md` says what to look at before it is used.\n",
            wanted.name
        ),
    );
    put("CHANGELOG.md", format!("# Changelog\n\n## {}\n\n- Imported.\n", wanted.version));
    write(&into, &folder, &written)?;
    say(args, &folder, &notes);
    Ok(ExitCode::from(if problems.iter().any(Diagnostic::is_error) {
        Kind::Invalid.code()
    } else {
        0
    }))
}

/// The catalog that it goes into.
fn catalog_folder(what: &Import) -> Result<PathBuf, Failure> {
    let here = laptop::here()?;
    let found = match &what.into {
        Some(folder) => Some(folder.clone()).filter(|folder| folder.join("catalog.yaml").is_file()),
        None => here.ancestors().find(|f| f.join("catalog.yaml").is_file()).map(Path::to_owned),
    };
    let found = found.ok_or_else(|| {
        Failure::usage("there is no `catalog.yaml` there")
            .hint("name a catalog's folder with --into")
    })?;
    Ok(found.canonicalize()?)
}

/// The files of the bundle, and how it is called.
fn bundle(path: &Path) -> Result<(Files, String), Failure> {
    let named = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        crate::model::escape(&name.unwrap_or_default(), 100)
    };
    if path.is_file() {
        let bytes = std::fs::read(path)?;
        let name = named(path);
        let mut files = Files::default();
        files.insert(name.clone(), bytes);
        return Ok((files, name));
    }
    if !path.is_dir() {
        return Err(Failure::usage(format!("there is no {}", quote(&path.display().to_string()))));
    }
    let whole = path.canonicalize()?;
    Ok((disk_files(&whole, MAX_FILE)?, named(&whole)))
}

fn wanted(what: &Import) -> Result<Wanted, Failure> {
    let name = match &what.name {
        Some(name) => name.clone(),
        None => {
            let stem = what.bundle.canonicalize().ok();
            let stem =
                stem.as_deref().and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
            slug(&stem.unwrap_or_default())
        }
    };
    if !is_name(&name) {
        return Err(Failure::usage(format!("{} cannot be the name of a template", quote(&name)))
            .hint("give one with --name: a-z, 0-9 and `-`, beginning with a letter"));
    }
    let version = what.number.as_deref().unwrap_or("0.1.0");
    let version = Version::parse(version).ok().filter(|version| version.build.is_empty());
    let version = version.ok_or_else(|| {
        Failure::usage(format!(
            "{} is not a semantic version such as `1.2.0`",
            quote(what.number.as_deref().unwrap_or_default())
        ))
    })?;
    Ok(Wanted {
        name,
        version,
        stack_name: what.stack_name.clone(),
        environment_template: what.environment_template.clone(),
    })
}

fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// What is wrong with the version, as the catalog reads it.
fn check(
    into: &Path,
    folder: &str,
    written: &BTreeMap<String, Arc<[u8]>>,
) -> Result<Vec<Diagnostic>, Failure> {
    let about = std::fs::read(into.join("catalog.yaml"))?;
    let mut files = Files::default();
    files.insert("catalog.yaml", about);
    for (path, bytes) in written {
        files.insert(format!("{folder}/{path}"), bytes.clone());
    }
    let (loaded, mut problems) = catalog::load(&files, None);
    for version in loaded.versions() {
        problems.extend(crate::reconcile::lint::lint(version, &files));
    }
    problems.retain(|problem| problem.place.file.starts_with("templates/"));
    Ok(problems)
}

/// All of it or nothing: a folder beside it is filled, then takes the name.
fn write(into: &Path, folder: &str, files: &BTreeMap<String, Arc<[u8]>>) -> Result<(), Failure> {
    let full = into.join(folder);
    let above = full.parent().unwrap_or(into);
    let failed = |error: std::io::Error| {
        let message = format!("cannot write `{}`", full.display());
        Failure::new(Kind::Failed, anyhow::Error::new(error).context(message))
    };
    for part in
        ["templates", above.strip_prefix(into).ok().and_then(Path::to_str).unwrap_or("templates")]
    {
        let at = into.join(part);
        if at.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Err(Failure::usage(format!(
                "`{part}` is a symbolic link, and nothing is written through one"
            )));
        }
    }
    std::fs::create_dir_all(above).map_err(failed)?;
    let new = tempfile::Builder::new().prefix(".import-").tempdir_in(above).map_err(failed)?;
    for (path, bytes) in files {
        let to = new.path().join(path);
        std::fs::create_dir_all(to.parent().unwrap_or(new.path())).map_err(failed)?;
        std::fs::write(to, bytes).map_err(failed)?;
    }
    let made = new.keep();
    // A temporary folder is for its owner only; a catalog's is for all.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&made, mode).map_err(failed)?;
    std::fs::rename(&made, &full).map_err(|error| {
        let _ = std::fs::remove_dir_all(&made);
        failed(error)
    })
}

fn refuse(args: &Args, files: &Files, problems: &[Diagnostic]) -> ExitCode {
    if args.format == args::Format::Json {
        output::print(&report::diagnostic::json(problems).to_string());
    } else {
        let source = |file: &str| {
            let bytes = files.get(file)?.bytes()?;
            std::str::from_utf8(bytes).ok().map(Into::into)
        };
        let colour = output::is_colourful(&std::io::stderr());
        eprint!("{}", report::diagnostic::terminal(problems, &source, colour));
        eprintln!("error: this bundle cannot be imported; nothing was written");
    }
    ExitCode::from(Kind::Invalid.code())
}

fn say(args: &Args, folder: &str, notes: &[Diagnostic]) {
    if args.format == args::Format::Json {
        let mut value = report::diagnostic::json(notes);
        value["folder"] = folder.into();
        output::print(&value.to_string());
        return;
    }
    for note in notes {
        let help = if note.help.is_empty() { String::new() } else { format!(" ({})", note.help) };
        eprintln!("{}:{}: {}: {}{help}", note.place.file, note.place.line, note.code, note.message);
    }
    if !args.quiet {
        output::print(&report::import::done(folder, notes));
    }
}
