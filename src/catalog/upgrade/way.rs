//! The versions between two of a template, and what becomes of a parameter's name on the way.

use std::collections::BTreeSet;

use semver::Version;

use super::super::migration::Migration;
use super::super::resolve::Versions;
use super::super::template::TemplateVersion;
use crate::model::Map;

/// The versions beyond `from` up to `to`, each with its migrations that begin where a request stands.
pub(super) fn way<'v>(
    versions: &'v Versions,
    from: &Version,
    to: &Version,
) -> Vec<(&'v TemplateVersion, Vec<&'v Migration>)> {
    // The version that the parameters were brought to last, then those that were passed since.
    let mut passed = vec![from];
    let mut way = Vec::new();
    for (version, step) in versions.range(from..=to) {
        // A pre-release on the way is nobody's stop.
        let is_on_the_way = version > from && (version.pre.is_empty() || version == to);
        if !is_on_the_way {
            continue;
        }
        let starting = starting_at(step, &passed);
        if !starting.is_empty() {
            passed.clear();
        }
        passed.push(version);
        way.push((&**step, starting));
    }
    way
}

/// The migrations of a version that begin at one of `passed`: what is right for the first is right for those
/// that asked for nothing more, or whoever goes further at once would get less than one who goes step by
/// step. The first counts before the others, and of those the nearest.
fn starting_at<'v>(step: &'v TemplateVersion, passed: &[&Version]) -> Vec<&'v Migration> {
    let from = |version: &&Version| -> Vec<&'v Migration> {
        step.migrations.iter().filter(|m| m.from.matches(version)).collect()
    };
    let nearest = passed.iter().skip(1).rev();
    let mut found = passed.first().into_iter().chain(nearest).map(from);
    found.find(|found| !found.is_empty()).unwrap_or_default()
}

/// What a parameter of `from` is called at `to`, by the migrations on the way; nothing when one drops it.
fn called(versions: &Versions, name: &str, from: &Version, to: &Version) -> BTreeSet<String> {
    let way = way(versions, from, to);
    become_of(name, way.into_iter().flat_map(|(_, starting)| starting))
}

/// What a parameter is called after these migrations; nothing when one drops it.
pub(super) fn become_of<'v>(
    name: &str,
    migrations: impl IntoIterator<Item = &'v Migration>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::from([name.to_owned()]);
    for migration in migrations {
        let mut next = BTreeSet::new();
        for name in names {
            match (migration.rename.get(&name), migration.split.get(&name)) {
                (Some(new), _) => drop(next.insert(new.clone())),
                (None, Some(split)) => next.extend(split.into.iter().cloned()),
                (None, None) => drop(next.insert(name)),
            }
        }
        names = next.into_iter().filter(|name| !migration.drop.contains(name)).collect();
    }
    names
}

/// A value that an environment gives for a parameter of one version, and that another one does not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unheard {
    /// The parameter.
    pub name: String,
    /// What it is called there and has no value of the environment's; empty where that is not said.
    pub called: Vec<String>,
}

/// Whether a value that `values` have for a parameter of `from` reaches nothing at `to`. It is meant to
/// where a migration drops the parameter, or where what it has become has values of its own.
pub fn unheard(
    versions: &Versions,
    values: &Map,
    name: &str,
    from: &Version,
    to: &TemplateVersion,
) -> Option<Unheard> {
    let called = called(versions, name, from, &to.id.version);
    if called.is_empty() {
        return None;
    }
    let known: Vec<String> =
        called.into_iter().filter(|name| to.parameters.names.contains(name)).collect();
    let missing: Vec<String> =
        known.iter().filter(|name| !values.contains_key(*name)).cloned().collect();
    if !known.is_empty() && missing.is_empty() {
        return None;
    }
    Some(Unheard { name: name.to_owned(), called: missing })
}
