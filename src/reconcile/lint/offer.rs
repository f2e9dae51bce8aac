//! Whether templates can be requested anywhere: providers, and their settings in each environment.

use std::collections::BTreeSet;

use super::place_in;
use crate::catalog::{Catalog, Environment, TemplateVersion, settings_problems};
use crate::model::{Diagnostic, Files, Place, nearest, quote};

pub(super) fn problems(catalog: &Catalog, files: &Files, providers: &[&str]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for version in catalog.versions().filter(|version| !version.is_broken()) {
        problems.extend(unknown_providers(version, files, providers));
    }
    for environment in catalog.environments.values().filter(|e| !e.is_broken()) {
        problems.extend(unknown_settings(environment, providers));
        problems.extend(settings(catalog, environment, files));
    }
    problems.extend(offered_nowhere(catalog, providers));
    problems
}

/// Components of providers that do not exist.
fn unknown_providers(
    version: &TemplateVersion,
    files: &Files,
    providers: &[&str],
) -> Vec<Diagnostic> {
    let components = version.components.iter().enumerate();
    let unknown = components.filter(|(_, c)| !providers.contains(&c.provider.as_str()));
    let problem = |(n, component): (usize, &crate::catalog::ComponentSpec)| {
        let place = place_in(version, &format!("/spec/components/{n}/provider"), files);
        unknown_provider(&component.provider, place, providers)
    };
    unknown.map(problem).collect()
}

fn unknown_provider(kind: &str, place: Place, providers: &[&str]) -> Diagnostic {
    let message = format!("the provider {} is not supported yet", quote(kind));
    let problem = Diagnostic::warning("SUP002", place, message);
    match nearest(kind, providers.iter().copied()) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help(format!("there are {}", providers.join(", "))),
    }
}

/// Settings for providers that do not exist.
fn unknown_settings(environment: &Environment, providers: &[&str]) -> Vec<Diagnostic> {
    let unknown = environment.providers.keys().filter(|kind| !providers.contains(&kind.as_str()));
    let problem = |kind: &String| {
        let token = kind.replace('~', "~0").replace('/', "~1");
        let place = environment.key_place(&format!("/spec/providers/{token}"));
        unknown_provider(kind, place, providers)
    };
    unknown.map(problem).collect()
}

/// Settings that a component could not be applied with, each said once though many templates meet it.
fn settings(catalog: &Catalog, environment: &Environment, files: &Files) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut said = BTreeSet::new();
    let versions = catalog.versions().filter(|version| !version.is_broken());
    for version in versions.filter(|version| environment.allows(&version.id.name)) {
        for (n, component) in version.components.iter().enumerate() {
            let kind = &component.provider;
            for problem in settings_problems(environment, component).unwrap_or_default() {
                if !said.insert((problem.place.clone(), problem.message.clone())) {
                    continue;
                }
                let message = format!(
                    "settings of the provider {} for component `{}` of `{}`: {}",
                    quote(kind),
                    component.name,
                    version.id,
                    problem.message
                );
                let found = Diagnostic { code: "ENV005".into(), message, ..problem };
                problems.push(if component.with.is_empty() {
                    found
                } else {
                    let with = place_in(version, &format!("/spec/components/{n}/with"), files);
                    found.related(with, "the component refines them here")
                });
            }
        }
    }
    problems
}

/// Templates whose newest version no environment could serve.
fn offered_nowhere(catalog: &Catalog, providers: &[&str]) -> Vec<Diagnostic> {
    if catalog.environments.is_empty() {
        let message = "the catalog has no environments, so nothing can be requested";
        let problem = Diagnostic::warning("ENV009", Place::file("catalog.yaml"), message);
        return vec![problem.help("add one as `environments/<name>.yaml`")];
    }
    let newest = catalog.templates.values().filter_map(|v| v.values().next_back());
    let sound = newest.filter(|version| !version.is_broken());
    let known = |version: &&std::sync::Arc<TemplateVersion>| {
        version.components.iter().all(|c| providers.contains(&c.provider.as_str()))
    };
    let nowhere = sound.filter(known).filter(|version| {
        !catalog.environments.values().any(|environment| {
            environment.allows(&version.id.name)
                && version
                    .components
                    .iter()
                    .all(|c| environment.providers.contains_key(&c.provider))
        })
    });
    let problem = |version: &std::sync::Arc<TemplateVersion>| {
        let message = format!("no environment offers `{}`", version.id);
        let kinds: BTreeSet<_> = version.components.iter().map(|c| quote(&c.provider)).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        Diagnostic::warning("ENV009", Place::file(version.file()), message).help(format!(
            "one of them has to allow it in `templates` and have settings for {}",
            kinds.join(" and ")
        ))
    };
    nowhere.map(problem).collect()
}
