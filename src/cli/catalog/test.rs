//! `vend catalog test`: template tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::super::args::catalog::test::Test;
use super::super::args::{Args, Format};
use super::super::failure::{Failure, Kind};
use super::super::output;
use super::meant;
use crate::catalog::{Catalog, TemplateReq, TemplateVersion};
use crate::config::LimitSettings;
use crate::model::{self, Blessed, Diagnostic, TrialOutcome, is_name, nearest, quote};
use crate::reconcile::case::{self, Bless, BlessError};
use crate::reconcile::local::LocalCatalog;
use crate::report;
use crate::report::case::{Options, Tested};

/// Runs them.
pub async fn run(args: &Args, test: &Test) -> Result<ExitCode, Failure> {
    let found = meant(args, &test.elsewhere).await?;
    let wanted = wanted(&found.catalog, &test.templates)?;
    let root = root(&found, test)?;
    let mut tested = tested(&found, &wanted, test.only.as_deref())?;
    if let Some(root) = root {
        tested.blessed = Some(bless(&found, &mut tested, test, &root)?);
        tested.orphans.clear();
    }
    if let Some(file) = &test.junit {
        write(file, &report::case::junit(&tested))?;
    }
    print(args, &found, &tested);
    let code = match (tested.problems.is_empty(), tested.failed()) {
        (false, _) => Kind::Invalid.code(),
        (true, 0) => 0,
        (true, _) => Kind::Failed.code(),
    };
    Ok(ExitCode::from(code))
}

/// The versions that are named; all of them where none is.
struct Wanted {
    all: bool,
    folders: BTreeSet<String>,
}

fn wanted(catalog: &Catalog, names: &[String]) -> Result<Wanted, Failure> {
    let mut folders = BTreeSet::new();
    if names.is_empty() {
        folders.extend(catalog.versions().map(|version| version.folder.clone()));
    }
    for text in names {
        let (name, fits) = named(text)?;
        let Some(versions) = catalog.templates.get(&name) else {
            let failure = Failure::usage(format!("no template is called {}", quote(&name)));
            return Err(match nearest(&name, catalog.templates.keys().map(String::as_str)) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure.hint("the catalog's folder `templates` has them"),
            });
        };
        let before = folders.len();
        folders.extend(versions.values().filter(|v| fits(v)).map(|v| v.folder.clone()));
        if folders.len() == before && !versions.values().any(|v| fits(v)) {
            let known: Vec<String> = versions.keys().map(|v| format!("`{v}`")).collect();
            let message = format!("template `{name}` has no version {}", quote(text));
            return Err(Failure::usage(message).hint(format!("there are {}", known.join(", "))));
        }
    }
    Ok(Wanted { all: names.is_empty(), folders })
}

type Fits = Box<dyn Fn(&TemplateVersion) -> bool>;

fn named(text: &str) -> Result<(String, Fits), Failure> {
    if is_name(text) {
        return Ok((text.to_owned(), Box::new(|_| true)));
    }
    let TemplateReq { name, requirement } = TemplateReq::parse(text)
        .map_err(|why| Failure::usage(why).hint("or the name alone, for all of its versions"))?;
    Ok((name, Box::new(move |version| requirement.matches(&version.id.version))))
}

/// Where expected files are written, when that is asked for.
fn root(found: &LocalCatalog, test: &Test) -> Result<Option<PathBuf>, Failure> {
    match (test.bless, &found.folder) {
        (false, _) => Ok(None),
        (true, Some(folder)) => Ok(Some(folder.clone())),
        (true, None) => {
            let what =
                "`--bless` writes into the catalog's folder, and this one is not on this disk";
            Err(Failure::usage(what).hint("run it in a clone of the catalog"))
        }
    }
}

fn tested(found: &LocalCatalog, wanted: &Wanted, only: Option<&str>) -> Result<Tested, Failure> {
    let LocalCatalog { catalog, problems, files, .. } = found;
    let trials = case::run(catalog, problems, &|version, test| {
        wanted.folders.contains(&version.folder) && only.is_none_or(|text| test.name.contains(text))
    })?;
    let orphans = match only {
        Some(_) => Vec::new(),
        None => {
            let whole = whole(found, wanted);
            whole.iter().flat_map(|folder| case::orphans(folder, &trials, files)).collect()
        }
    };
    let problems = problems.iter().filter(|p| p.is_error() && is_about(p, wanted));
    Ok(Tested { problems: problems.cloned().collect(), trials, blessed: None, orphans })
}

/// Versions of whose tests none is wrong: what such a one expects is not known to be nobody's.
fn whole(found: &LocalCatalog, wanted: &Wanted) -> BTreeSet<String> {
    let is_wrong = |v: &&Arc<TemplateVersion>| {
        let tests = format!("{}/tests/", v.folder);
        found.problems.iter().any(|p| p.is_error() && p.place.file.starts_with(&tests))
    };
    let whole = found.catalog.versions().filter(|v| !is_wrong(v));
    whole.map(|v| v.folder.clone()).filter(|folder| wanted.folders.contains(folder)).collect()
}

/// Whether an error is about what is tested: other templates' are theirs.
fn is_about(problem: &Diagnostic, wanted: &Wanted) -> bool {
    let file = &*problem.place.file;
    let below = |folder: &String| {
        file.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    wanted.all || !file.starts_with("templates/") || wanted.folders.iter().any(below)
}

/// Writes what is rendered, and takes from the tests what that mends.
fn bless(
    found: &LocalCatalog,
    tested: &mut Tested,
    test: &Test,
    root: &Path,
) -> Result<Blessed, Failure> {
    let whole = match test.only {
        Some(_) => BTreeSet::new(),
        None => whole(found, &wanted(&found.catalog, &test.templates)?),
    };
    let max = LimitSettings::default().file_bytes;
    let golden = |version: &Arc<TemplateVersion>| {
        let folders = version.tests.iter().filter_map(|test| test.golden());
        let folders = folders.map(|folder| format!("{}/tests/{folder}/", version.folder));
        folders.collect::<Vec<_>>()
    };
    let named = found.catalog.versions().flat_map(golden).collect();
    let plan = Bless::plan(&tested.trials, &found.files, (&whole, &named), max);
    let plan = plan.map_err(blessing)?;
    let blessed = plan.apply(root).map_err(blessing)?;
    for trial in &mut tested.trials {
        let TrialOutcome::Failed(failures) = &mut trial.outcome else { continue };
        failures.retain(|failure| !matches!(failure, model::Failure::Rendered { .. }));
        if failures.is_empty() {
            trial.outcome = TrialOutcome::Passed;
        }
    }
    Ok(blessed)
}

fn blessing(error: BlessError) -> Failure {
    let hint = match &error {
        BlessError::Differ { .. } => Some("give each test a folder of its own in `rendered`"),
        BlessError::Unusable { .. } | BlessError::Disk { .. } => None,
    };
    let failure = Failure::new(Kind::Failed, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| {
        let error = anyhow::Error::new(error);
        Failure::new(Kind::Failed, error.context(format!("cannot write `{}`", file.display())))
    })
}

fn print(args: &Args, found: &LocalCatalog, tested: &Tested) {
    match args.format {
        Format::Json => return output::print(&report::case::json(tested).to_string()),
        Format::Github | Format::Sarif => return mark(args, tested),
        Format::Text => {}
    }
    let colour = output::is_colourful(&std::io::stdout());
    let source = |file: &str| {
        let bytes = found.files.get(file)?.bytes()?;
        Some(std::str::from_utf8(bytes).ok()?.into())
    };
    let mut text = report::diagnostic::terminal(&tested.problems, &source, colour);
    let options =
        Options { colour, width: output::width(), quiet: args.quiet, ..Options::default() };
    let is_well = tested.problems.is_empty() && tested.failed() == 0;
    if !(args.quiet && is_well) {
        text.push_str(&report::case::terminal(tested, &options));
        output::print(&text);
    }
}

/// What is wrong, at its lines. What is published is not known here: all of it fails the command.
fn mark(args: &Args, tested: &Tested) {
    let mut all = tested.problems.clone();
    all.extend(report::case::problems(&tested.trials, &|_| false));
    output::print(&match args.format {
        Format::Sarif => report::diagnostic::sarif(&all, env!("CARGO_PKG_VERSION")).to_string(),
        Format::Github | Format::Json | Format::Text => report::diagnostic::github(&all),
    });
}
