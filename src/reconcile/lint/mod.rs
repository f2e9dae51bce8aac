//! What a catalog's own check finds that no single file shows: sources against what feeds them.

mod field;
mod offer;
mod output;
mod sample;
mod variable;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evaluate::try_compile;
use crate::catalog::{Catalog, ComponentSpec, TemplateVersion};
use crate::model::{Diagnostic, File, Files, OutputSpec, Place, TemplateId, nearest, quote};
use crate::render::{Compiled, Unfit};
use crate::yaml;

pub use sample::{Stack, passes};

/// What its author would want to know of a catalog.
#[derive(Debug, Default)]
pub struct Study {
    /// What is wrong with it, and what is missing; beside what loading it has told.
    pub problems: Vec<Diagnostic>,
    /// What its templates for CloudFormation render to, for a tool that knows more of that.
    pub stacks: Vec<Stack>,
}

/// Looks at everything that can be known without a request. `providers` are the kinds that exist, and
/// `published` the versions that can get nothing any more.
pub fn study(
    catalog: &Catalog,
    files: &Files,
    providers: &[&str],
    published: &BTreeSet<TemplateId>,
) -> Study {
    let mut study = Study::default();
    for version in catalog.versions() {
        let Look { problems, paths, compiled } = look(version, files);
        study.problems.extend(problems);
        study.problems.extend(variable::problems(catalog, version, &paths));
        // What is wrong with the sources themselves has been said.
        let Some(compiled) = compiled.filter(|_| !version.is_broken()) else { continue };
        let (samples, broken) = sample::samples(catalog, version, &compiled, providers);
        let said = |problem: &Diagnostic| {
            let same = |p: &Diagnostic| p.place == problem.place && p.message == problem.message;
            study.problems.iter().any(same)
        };
        let new: Vec<_> = broken.into_iter().filter(|problem| !said(problem)).collect();
        study.problems.extend(new);
        study.problems.extend(output::problems(version, &compiled, &samples));
        study.problems.extend(whole::unused_partials(version, &compiled));
        study.stacks.extend(sample::stacks(version, samples));
    }
    study.problems.extend(whole::problems(catalog, files, published));
    study.problems.extend(offer::problems(catalog, files, providers));
    study
}

/// Compiles every source of a version and holds the names that they read against those that there
/// are; what compiles is looked at though something else is wrong with the version. `files` are the
/// catalog's.
pub fn lint(version: &TemplateVersion, files: &Files) -> Vec<Diagnostic> {
    look(version, files).problems
}

/// What the sources of a version come to.
struct Look {
    problems: Vec<Diagnostic>,
    /// What they read, but for items of loops.
    paths: Vec<(String, Place)>,
    /// All of them, where all compile.
    compiled: Option<Vec<Compiled>>,
}

fn look(version: &TemplateVersion, files: &Files) -> Look {
    let mut problems = Vec::new();
    let (mut reads, mut items, mut compiled) = (Vec::new(), Vec::new(), Vec::new());
    // That the files of a component are not there has been said.
    let is_told = |c: &&ComponentSpec| version.is_broken() && c.sources.is_empty();
    let components = version.components.iter().filter(|c| !is_told(c));
    for component in components {
        match try_compile(version, component) {
            Ok(one) => {
                reads.extend(one.reads().paths.iter().cloned());
                items.extend(one.reads().items.iter().cloned());
                problems.extend(one.refused());
                compiled.push(one);
            }
            Err(Unfit { problems: found, reads: seen }) => {
                problems.extend(found);
                reads.extend(seen.paths);
                items.extend(seen.items);
            }
        }
    }
    let whole = compiled.len() == version.components.len();
    problems.extend(reads.iter().filter_map(|(path, place)| secret(version, path, place)));
    let mut said = BTreeSet::new();
    for (path, place) in reads.iter().chain(&items) {
        let problem =
            unknown(version, path, place).or_else(|| field::unknown(version, path, place));
        if let Some(problem) = problem
            && said.insert((problem.place.clone(), problem.message.clone()))
        {
            problems.push(problem);
        }
    }
    // What a source that cannot be read would read is not known, nor what another language reads.
    let all_read = reads.iter().any(|(path, _)| path == "parameters");
    let opaque = version.components.iter().any(|c| c.provider == "terraform");
    if whole && version.has_schema && !all_read && !opaque && !version.components.is_empty() {
        problems.extend(unread(version, &reads, files));
    }
    Look { problems, paths: reads, compiled: whole.then_some(compiled) }
}

/// A path that nothing will ever stand at.
fn unknown(version: &TemplateVersion, path: &str, place: &Place) -> Option<Diagnostic> {
    let mut parts = path.split('.');
    let (top, name) = (parts.next()?, parts.next()?);
    let components: Vec<&str> = version.components.iter().map(|c| c.name.as_str()).collect();
    let declared: Vec<&str> = version.parameters.names.iter().map(String::as_str).collect();
    let (what, known): (&str, Vec<&str>) = match top {
        "parameters" if !version.has_schema || is_open(version) => return None,
        "parameters" => ("parameter", declared),
        "components" => ("component", components),
        "request" => ("field of `request`", vec!["id", "team", "environment", "name", "labels"]),
        "environment" => ("field of `environment`", vec!["name", "variables"]),
        "template" => ("field of `template`", vec!["name", "version"]),
        _ => return None,
    };
    if known.contains(&name) {
        return None;
    }
    let message = match top {
        "parameters" => format!("the schema declares no parameter {}", quote(name)),
        _ => format!("there is no {what} called {}", quote(name)),
    };
    let problem = Diagnostic::error("TPL014", place.clone(), message);
    Some(match nearest(name, known.iter().copied()) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None if known.is_empty() => {
            problem.help("the schema has no `properties`: declare it there")
        }
        None => problem.help(format!("there are: {}", known.join(", "))),
    })
}

/// A sensitive output that another component would be filled with: its value is kept nowhere.
fn secret(version: &TemplateVersion, path: &str, place: &Place) -> Option<Diagnostic> {
    let (component, output) = path.strip_prefix("components.")?.split_once(".outputs.")?;
    let output = output.split('.').next()?;
    let is_it =
        |s: &OutputSpec| s.sensitive && s.component.as_str() == component && s.output == output;
    version.outputs.values().any(is_it).then(|| {
        let message = format!(
            "the output {} of `{component}` is sensitive: its value is not kept",
            quote(output)
        );
        Diagnostic::error("TPL017", place.clone(), message)
            .help("give the other component a reference to the secret instead")
    })
}

/// Whether requests may give parameters that the schema does not name.
fn is_open(version: &TemplateVersion) -> bool {
    version.parameters.is_open()
}

/// Parameters that people are asked for and nothing is made of.
fn unread(version: &TemplateVersion, reads: &[(String, Place)], files: &Files) -> Vec<Diagnostic> {
    let read: BTreeSet<&str> = reads
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("parameters.")?.split('.').next())
        .collect();
    let unread = version.parameters.names.iter().filter(|name| !read.contains(name.as_str()));
    let one = |name: &String| {
        let message = format!("no source reads the parameter {}", quote(name));
        Diagnostic::warning("TPL015", declared_at(version, name, files), message)
            .help("use it in a source, or take it out of the schema")
    };
    unread.map(one).collect()
}

/// The place of what a JSON pointer into a version's `template.yaml` names.
fn place_in(version: &TemplateVersion, pointer: &str, files: &Files) -> Place {
    let file: Arc<str> = version.file().into();
    let node = parse(&file, files);
    let found = node.as_ref().and_then(|node| Some(node.at(pointer)?.place(&file)));
    found.unwrap_or_else(|| Place::file(file))
}

/// Where the schema declares a parameter.
fn declared_at(version: &TemplateVersion, name: &str, files: &Files) -> Place {
    let file: Arc<str> = version.file().into();
    let whole = Place::file(file.clone());
    let Some(template) = parse(&file, files) else { return whole };
    let pointer = format!("/properties/{}", name.replace('~', "~0").replace('/', "~1"));
    let Some(schema) = template.at("/spec/parameters") else { return whole };
    let inside = match schema.to_json().as_str() {
        Some(path) => {
            let file: Arc<str> = format!("{}/{path}", version.folder).into();
            parse(&file, files).and_then(|node| Some(node.key_at(&pointer)?.place(&file)))
        }
        None => template.key_at(&format!("/spec/parameters{pointer}")).map(|key| key.place(&file)),
    };
    inside.unwrap_or(whole)
}

fn parse(file: &Arc<str>, files: &Files) -> Option<yaml::Node> {
    let bytes = files.get(file).and_then(File::bytes)?;
    yaml::read(file, bytes, &yaml::Options::rendered()).ok()?.pop()
}
