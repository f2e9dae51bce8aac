//! What is missing or leads nowhere in a catalog as a whole.

use std::collections::BTreeSet;

use super::{declared_at, place_in};
use crate::catalog::{Catalog, TemplateVersion};
use crate::model::{Diagnostic, Files, Place, TemplateId, matches, nearest, quote};
use crate::render::Compiled;

/// Partials that no source includes.
pub(super) fn unused_partials(version: &TemplateVersion, compiled: &[Compiled]) -> Vec<Diagnostic> {
    let used: BTreeSet<String> = compiled.iter().flat_map(Compiled::partials_used).collect();
    let unused = version.partials.keys().filter(|name| !used.contains(*name));
    let problem = |name: &String| {
        let place = Place::file(format!("{}/partials/{name}.hbs", version.folder));
        Diagnostic::warning("TPL018", place, format!("no source uses the partial {}", quote(name)))
            .help("use it, or take the file out")
    };
    unused.map(problem).collect()
}

/// Everything else.
pub(super) fn problems(
    catalog: &Catalog,
    files: &Files,
    published: &BTreeSet<TemplateId>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for versions in catalog.templates.values() {
        // A version that has landed never changes, so only a new one can still get what it lacks, be it of
        // an older line; and the one that comes next is copied from the highest.
        let highest = versions.len().saturating_sub(1);
        for (n, version) in versions.values().enumerate() {
            if n == highest || !published.contains(&version.id) {
                problems.extend(bare(version, files));
            }
        }
    }
    for version in catalog.versions() {
        problems.extend(nowhere(catalog, version, files));
    }
    for environment in catalog.environments.values() {
        for (n, glob) in environment.templates.iter().enumerate() {
            let is_glob = glob.contains('*') && glob != "*";
            if is_glob && !catalog.templates.keys().any(|name| matches(glob, name)) {
                let place = environment.place(&format!("/spec/templates/{n}"));
                let message = format!("no template is called like {}", quote(glob));
                problems.push(Diagnostic::warning("ENV006", place, message));
            }
        }
    }
    problems
}

/// No page for those who would request it, no tests for those who would change it.
fn bare(version: &TemplateVersion, files: &Files) -> Vec<Diagnostic> {
    let place = || Place::file(version.file());
    let mut problems = Vec::new();
    if files.get(&format!("{}/README.md", version.folder)).is_none() {
        let message = format!("`{}` has no README.md", version.id);
        problems.push(
            Diagnostic::warning("CAT031", place(), message)
                .help("say what it makes and when to use it: people choose by that"),
        );
    }
    if version.title.is_none() && version.description.is_none() {
        let message = format!("`{}` has neither a title nor a description", version.id);
        problems.push(
            Diagnostic::warning("CAT032", place(), message)
                .help("add `title` and `description` to its metadata: listings show them"),
        );
    }
    if version.tests.is_empty() && version.test_problems.is_empty() {
        let message = format!("`{}` has no tests", version.id);
        problems.push(
            Diagnostic::warning("CAT033", place(), message)
                .help("add a `kind: TemplateTest` to its folder `tests`: nothing else shows what an edit changes"),
        );
    }
    problems
}

/// Names of other templates, and of environments, that nothing is called.
fn nowhere(catalog: &Catalog, version: &TemplateVersion, files: &Files) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut name = |name: &str, place: &dyn Fn() -> Place| {
        if catalog.templates.contains_key(name) {
            return;
        }
        let message = format!("no template is called {}", quote(name));
        let problem = Diagnostic::warning("CAT034", place(), message);
        problems.push(match nearest(name, catalog.templates.keys().map(String::as_str)) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem,
        });
    };
    if let Some(other) = &version.replaced_by {
        name(&other.name, &|| place_in(version, "/metadata/replacedBy", files));
    }
    for (parameter, template) in &version.parameters.filled_by {
        name(template, &|| declared_at(version, parameter, files));
    }
    if let Some(other) = &version.replaced_by
        && let Some(versions) = catalog.templates.get(&other.name)
        && !versions.keys().any(|v| other.requirement.matches(v))
    {
        let message = format!("no version of `{}` is `{}`", other.name, other.requirement);
        let place = place_in(version, "/metadata/replacedBy", files);
        problems.push(Diagnostic::warning("CAT034", place, message));
    }
    let environments = version.ttl.iter().flat_map(|ttl| ttl.environments.iter().enumerate());
    for (n, name) in environments.filter(|(_, name)| !catalog.environments.contains_key(*name)) {
        let place = place_in(version, &format!("/spec/ttl/environments/{n}"), files);
        let message = format!("no environment is called {}", quote(name));
        let problem = Diagnostic::warning("ENV006", place, message);
        problems.push(match nearest(name, catalog.environments.keys().map(String::as_str)) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help("what is requested there has no end by this"),
        });
    }
    problems
}
