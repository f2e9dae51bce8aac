//! The files of a catalog's tree into a [`Catalog`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;

use super::environment::{Environment, environment};
use super::explain::Part;
use super::file::{CatalogDocument, WaveDocument};
use super::given;
use super::schema::{self, Kind, sorted};
use super::template::{Folder, TemplateVersion, length_of_time, not_a_file, template};
use crate::digest;
use crate::model::{Diagnostic, File, Files, Place, TemplateId, Wave, is_name, nearest, quote};
use crate::policy::Rules;

/// What can be requested, and where.
#[derive(Debug, Default)]
pub struct Catalog {
    /// By `catalog.yaml`; empty when that cannot be read.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Versions by template.
    pub templates: BTreeMap<String, BTreeMap<Version, Arc<TemplateVersion>>>,
    /// By name.
    pub environments: BTreeMap<String, Arc<Environment>>,
    /// Handles by team.
    pub owners: BTreeMap<String, Vec<String>>,
    /// How a newer version reaches those whose range admits it; empty: it does not by itself; `None`:
    /// that cannot be understood, which must not read as empty.
    pub rollout: Option<Vec<Wave>>,
    /// Where each wave's environment is written.
    pub(super) wave_places: Vec<Place>,
}

impl Catalog {
    /// All versions, by template and version.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<TemplateVersion>> {
        self.templates.values().flat_map(BTreeMap::values)
    }

    /// The waves in which a newer version comes; none where that cannot be understood.
    pub fn waves(&self) -> &[Wave] {
        self.rollout.as_deref().unwrap_or_default()
    }

    /// One version.
    pub fn version(&self, id: &TemplateId) -> Option<&Arc<TemplateVersion>> {
        self.templates.get(&id.name)?.get(&id.version)
    }
}

/// Names of what differs between two catalogs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changed {
    /// Templates with a version that came, went or differs.
    pub templates: BTreeSet<String>,
    /// Environments that came, went or differ.
    pub environments: BTreeSet<String>,
}

/// What differs between two catalogs.
pub fn changed(last: &Catalog, now: &Catalog) -> Changed {
    let versions = |catalog: &Catalog, name: &str| {
        let versions = catalog.templates.get(name).into_iter().flatten();
        let facts = |template: &TemplateVersion| {
            let replaced_by = template.replaced_by.as_ref().map(ToString::to_string);
            (template.digest, template.lifecycle, replaced_by)
        };
        versions.map(|(version, template)| (version.clone(), facts(template))).collect::<Vec<_>>()
    };
    let names = last.templates.keys().chain(now.templates.keys());
    let templates = names.filter(|name| versions(last, name) != versions(now, name));
    let places = last.environments.keys().chain(now.environments.keys());
    let digest = |catalog: &Catalog, name: &str| Some(catalog.environments.get(name)?.digest);
    let environments = places.filter(|name| digest(last, name) != digest(now, name));
    Changed {
        templates: templates.cloned().collect(),
        environments: environments.cloned().collect(),
    }
}

/// Reads a catalog. What is wrong with one template or environment stops no other; versions and
/// environments whose bytes are those of `previous` are taken from there without being parsed.
pub fn load(files: &Files, previous: Option<&Catalog>) -> (Catalog, Vec<Diagnostic>) {
    let mut catalog = Catalog::default();
    let mut problems = Vec::new();
    about(files, &mut catalog, &mut problems);
    environments(files, previous, &mut catalog, &mut problems);
    templates(files, previous, &mut catalog, &mut problems);
    for version in catalog.versions() {
        problems.extend(version.problems.iter().chain(&version.test_problems).cloned());
        problems.extend(super::case::problems(&catalog, version));
    }
    across(&catalog, &mut problems);
    waves(&mut catalog, &mut problems);
    (catalog, sorted(problems))
}

fn about(files: &Files, catalog: &mut Catalog, problems: &mut Vec<Diagnostic>) {
    let file: Arc<str> = "catalog.yaml".into();
    let Some(found) = files.get(&file) else {
        let message = "a catalog has a file `catalog.yaml` at its root";
        problems.push(Diagnostic::error("CAT012", Place::file(file), message));
        return;
    };
    let Some(bytes) = found.bytes() else {
        problems.extend(not_a_file(&file, found));
        return;
    };
    match schema::decode::<CatalogDocument>(Kind::Catalog, &file, bytes) {
        Ok((document, node)) => {
            let fields = schema::not_supported(Kind::Catalog, &node, &file);
            problems.extend(fields.into_iter().map(|(_, problem)| problem));
            catalog.name = document.metadata.name;
            catalog.description = document.metadata.description;
            catalog.owners = document.spec.owners;
            let pointer = |n| format!("/spec/rollout/{n}/environment");
            let place = |n| schema::place_in(&node, &file, &pointer(n), Part::Value);
            catalog.wave_places = (0..document.spec.rollout.len()).map(place).collect();
            catalog.rollout = Some(document.spec.rollout.into_iter().map(wave).collect());
        }
        Err(found) => problems.extend(found),
    }
}

fn wave(document: WaveDocument) -> Wave {
    let WaveDocument { environment, share, pause, stop_after_failures } = document;
    // The schema has held them against their patterns.
    let share = share.and_then(|share| share.strip_suffix('%')?.parse().ok());
    Wave {
        environment,
        share: share.unwrap_or(100),
        pause: pause.as_deref().and_then(length_of_time).unwrap_or_default(),
        stop_after: stop_after_failures.unwrap_or(1),
    }
}

fn environments(
    files: &Files,
    previous: Option<&Catalog>,
    catalog: &mut Catalog,
    problems: &mut Vec<Diagnostic>,
) {
    for (path, file) in files.under("environments/") {
        let rest = &path["environments/".len()..];
        if rest.contains('/') {
            continue;
        }
        let Some(name) = rest.strip_suffix(".yaml") else {
            if rest.ends_with(".yml") {
                let message = "this file is not read: environments end in `.yaml`";
                problems.push(Diagnostic::warning("PATH007", Place::file(path), message));
            }
            continue;
        };
        if !is_name(name) {
            problems.push(bad_name(path, name, "an environment"));
            continue;
        }
        let Some(bytes) = file.bytes() else {
            problems.extend(not_a_file(path, file));
            continue;
        };
        let known = previous.and_then(|previous| previous.environments.get(name));
        let known = known.filter(|known| known.digest == digest::sha256(bytes));
        let environment =
            known.cloned().unwrap_or_else(|| Arc::new(environment(name, &path.into(), bytes)));
        problems.extend(environment.problems.iter().cloned());
        catalog.environments.insert(name.to_owned(), environment);
    }
}

fn bad_name(path: &str, name: &str, what: &str) -> Diagnostic {
    let shown = crate::model::escape(path, 200);
    let message = format!("{} cannot be the name of {what}", quote(name));
    Diagnostic::error("NAME001", Place::file(shown), message)
        .help("use only a-z, 0-9 and `-`, beginning with a letter, at most 63 characters")
}

fn templates(
    files: &Files,
    previous: Option<&Catalog>,
    catalog: &mut Catalog,
    problems: &mut Vec<Diagnostic>,
) {
    let mut folders: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (path, file) in files.under("templates/") {
        let mut parts = path["templates/".len()..].splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(version), Some(_)) => {
                folders.insert((name, version));
            }
            // A README beside the versions; but a link in place of a folder is an error.
            _ if matches!(file, File::Bytes(_)) => {}
            _ => problems.extend(not_a_file(path, file)),
        }
    }
    for (name, number) in folders {
        let prefix = format!("templates/{name}/{number}/");
        if !is_name(name) {
            problems.push(bad_name(&prefix, name, "a template"));
            continue;
        }
        let version = Version::parse(number).ok().filter(|version| version.build.is_empty());
        let Some(version) = version else {
            let message = format!("{} is not a semantic version such as `1.2.0`", quote(number));
            let place = Place::file(crate::model::escape(&prefix, 200));
            problems.push(Diagnostic::error("CAT017", place, message));
            continue;
        };
        let folder = Folder::of(files, &prefix);
        let digest = folder.digest();
        let id = TemplateId { name: name.to_owned(), version: version.clone() };
        let known = previous.and_then(|previous| previous.version(&id));
        let read = match known.filter(|known| known.read == digest) {
            Some(known) => Arc::clone(known),
            None => Arc::new(template(id, &folder, digest)),
        };
        catalog.templates.entry(name.to_owned()).or_default().insert(version, read);
    }
}

/// What no single file shows.
fn across(catalog: &Catalog, problems: &mut Vec<Diagnostic>) {
    let mut ids: BTreeMap<&str, &TemplateVersion> = BTreeMap::new();
    for version in catalog.versions() {
        if let Some((id, place)) = &version.schema_id {
            match ids.get(id.as_str()) {
                Some(first) => {
                    let message = format!("`{}` has the same `$id`", first.id);
                    problems.push(
                        Diagnostic::error("CAT006", place.clone(), message)
                            .help("leave `$id` out: name and version say what it is"),
                    );
                }
                None => {
                    ids.insert(id, version);
                }
            }
        }
        let owner = version.owner.as_deref().filter(|_| !catalog.owners.is_empty());
        if let Some(owner) = owner.filter(|owner| !catalog.owners.contains_key(*owner)) {
            let message = format!("{} is not among the catalog's owners", quote(owner));
            let problem = Diagnostic::warning("CAT018", version.owner_place.clone(), message);
            problems.push(match nearest(owner, catalog.owners.keys().map(String::as_str)) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("add it to `owners` in catalog.yaml"),
            });
        }
        approvers(catalog, &version.rules, problems);
    }
    for environment in catalog.environments.values() {
        approvers(catalog, &environment.rules, problems);
        given::problems(catalog, environment, problems);
        for (n, glob) in environment.templates.iter().enumerate() {
            if !glob.contains('*') && !catalog.templates.contains_key(glob) {
                let place = environment.place(&format!("/spec/templates/{n}"));
                problems.push(no_template(catalog, glob, place));
            }
        }
    }
}

/// Nobody is of a team that is called by a slip of the pen, so nobody could ever say yes.
fn approvers(catalog: &Catalog, rules: &Rules, problems: &mut Vec<Diagnostic>) {
    if catalog.owners.is_empty() {
        return;
    }
    for rule in &rules.approvals {
        for team in rule.teams.iter().filter(|team| !catalog.owners.contains_key(*team)) {
            let message = format!(
                "{}, who is asked for approval, is not among the catalog's owners",
                quote(team)
            );
            let problem = Diagnostic::warning("CAT018", rule.place.clone(), message);
            problems.push(match nearest(team, catalog.owners.keys().map(String::as_str)) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("add it to `owners` in catalog.yaml"),
            });
        }
    }
}

/// A wave of nobody would be over at once, and the next one would come before its time: so a name that
/// no environment has is no smaller mistake than a file that cannot be read.
fn waves(catalog: &mut Catalog, problems: &mut Vec<Diagnostic>) {
    let known = || catalog.environments.keys().map(String::as_str);
    let mut unknown = Vec::new();
    for (wave, place) in catalog.waves().iter().zip(&catalog.wave_places) {
        if !catalog.environments.contains_key(&wave.environment) {
            let message = format!("no environment is called {}", quote(&wave.environment));
            let problem = Diagnostic::error("ENV006", place.clone(), message);
            unknown.push(match nearest(&wave.environment, known()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("no wave begins until each names an environment"),
            });
        }
    }
    if !unknown.is_empty() {
        catalog.rollout = None;
    }
    problems.extend(unknown);
}

pub(super) fn no_template(catalog: &Catalog, name: &str, place: Place) -> Diagnostic {
    let message = format!("no template is called {}", quote(name));
    let problem = Diagnostic::warning("ENV006", place, message);
    match nearest(name, catalog.templates.keys().map(String::as_str)) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    }
}
