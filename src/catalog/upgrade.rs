//! Which edits bring a request to another version of its template.

mod range;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;
use serde_json::Value;

use self::range::raised;
pub use self::way::{Unheard, unheard};
use self::way::{become_of, way};
use super::explain::escape;
use super::file::Lifecycle;
use super::load::Catalog;
use super::migration::{Migration, Split};
use super::parameters::Parameters;
use super::request::{RequestFile, Requirement, TemplateReq};
use super::resolve::{self, Versions};
use super::template::TemplateVersion;
use crate::model::{Map, TemplateId};
use crate::yaml::Edit;

/// A request brought to another version.
#[derive(Clone, PartialEq, Debug)]
pub struct Upgrade {
    /// What it is at.
    pub from: TemplateId,
    /// What it comes to.
    pub to: TemplateId,
    /// What its file asks for then.
    pub template: String,
    /// What is done to its parameters, in order.
    pub moves: Vec<Moved>,
    /// The edits of its file, in order.
    pub edits: Vec<Edit>,
}

/// What becomes of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moved {
    /// It is called otherwise.
    Renamed {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// Its text became several.
    Split {
        /// Which.
        from: String,
        /// Into these.
        into: Vec<String>,
    },
    /// It has a value that the migration gives.
    Set(String),
    /// It had no value and has one.
    Defaulted(String),
    /// It is gone.
    Dropped(String),
}

/// Why a request is not upgraded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The catalog has no template of that name.
    NoTemplate,
    /// The template has no such version, or no stable one at all.
    NoVersion(Option<Version>),
    /// That version takes no new requests.
    Retired(TemplateId),
    /// That version has errors.
    Broken(TemplateId),
    /// What it is at is newer.
    Newer(TemplateId),
    /// A parameter that a migration gives has a value of its own already.
    Both {
        /// The old parameter.
        from: String,
        /// The new one.
        to: String,
    },
    /// A reference or a secret fills what would be split.
    NotText(String),
    /// It has another number of parts than the migration says.
    Parts {
        /// Which.
        name: String,
        /// What stands between parts.
        by: String,
        /// How many it should have.
        wanted: usize,
        /// How many it has.
        found: usize,
    },
    /// A value that the environment locks would be locked no more.
    Unlocked {
        /// The environment.
        environment: String,
        /// The lock.
        lock: Unheard,
    },
    /// Another request uses an output that the version does not have.
    Output {
        /// The output.
        output: String,
        /// Who uses it.
        user: crate::model::RequestId,
    },
}

/// What an upgrade comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// These edits.
    Upgrade(Box<Upgrade>),
    /// It is there already.
    Current,
    /// It stays as it is.
    Left(Why),
}

/// Brings a request to `wanted`, or to the highest stable version of its template, by the migrations
/// of every version on the way. `recorded` is the version that was applied last, which a range keeps.
pub fn upgrade(
    catalog: &Catalog,
    request: &RequestFile,
    recorded: Option<&TemplateId>,
    wanted: Option<&Version>,
) -> Outcome {
    match decide(catalog, request, recorded, wanted) {
        Ok(Some(upgrade)) => Outcome::Upgrade(Box::new(upgrade)),
        Ok(None) => Outcome::Current,
        Err(why) => Outcome::Left(why),
    }
}

/// The version that requests of a template are brought to where nobody names one: the highest stable
/// one without errors.
pub fn newest<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c Arc<TemplateVersion>> {
    newest_of(catalog.templates.get(name)?)
}

/// As [`newest`], of these.
pub(super) fn newest_of(versions: &Versions) -> Option<&Arc<TemplateVersion>> {
    versions.values().rev().find(|version| version.is_stable() && !version.is_broken())
}

fn decide(
    catalog: &Catalog,
    request: &RequestFile,
    recorded: Option<&TemplateId>,
    wanted: Option<&Version>,
) -> Result<Option<Upgrade>, Why> {
    let name = &request.template.name;
    let versions = catalog.templates.get(name).ok_or(Why::NoTemplate)?;
    let target = match wanted {
        Some(version) => versions.get(version),
        None => newest(catalog, name),
    };
    let target = target.ok_or_else(|| Why::NoVersion(wanted.cloned()))?;
    let to = &target.id.version;
    let from = at(catalog, request, recorded);
    if from == *to {
        return Ok(None);
    }
    if from > *to {
        // Without a wish nobody asked for an older one.
        let newer = Why::Newer(TemplateId { name: name.clone(), version: from });
        return if wanted.is_some() { Err(newer) } else { Ok(None) };
    }
    if target.is_broken() {
        return Err(Why::Broken(target.id.clone()));
    }
    if target.lifecycle == Lifecycle::Retired {
        return Err(Why::Retired(target.id.clone()));
    }
    let requirement = match &request.template.requirement {
        Requirement::Exact(_) => to.to_string(),
        Requirement::Range(range) => raised(range, &from, to),
    };
    let template = format!("{name}@{requirement}");
    let mut draft = Draft::of(request, &template);
    let steps: Vec<(&TemplateVersion, &Migration)> = way(versions, &from, to)
        .into_iter()
        .flat_map(|(step, starting)| starting.into_iter().map(move |migration| (step, migration)))
        .collect();
    let given = Given::of(catalog, request, target);
    for (n, (step, migration)) in steps.iter().enumerate() {
        let later = || steps[n + 1..].iter().map(|(_, migration)| *migration);
        let called = |name: &str| become_of(name, later());
        draft.apply(migration, &step.parameters, &|name| given.how(&called(name)))?;
    }
    still_locked(catalog, request, &from, target)?;
    let id = |version: Version| TemplateId { name: name.clone(), version };
    let (moves, edits) = (draft.moves, draft.edits);
    Ok(Some(Upgrade { from: id(from), to: target.id.clone(), template, moves, edits }))
}

/// What the environment gives a request at the version that it comes to. A value in its file would win over
/// a default there, and be refused beside a lock.
struct Given<'a> {
    defaults: Option<&'a Map>,
    locked: Option<&'a Map>,
    version: &'a TemplateVersion,
}

/// How the environment fills a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Locked,
    Default,
}

impl<'a> Given<'a> {
    fn of(catalog: &'a Catalog, request: &RequestFile, version: &'a TemplateVersion) -> Self {
        let environment = catalog.environments.get(request.id.environment());
        let name = &version.id.name;
        let defaults = environment.and_then(|environment| environment.defaults.get(name));
        let locked = environment.and_then(|environment| environment.locked.get(name));
        Self { defaults, locked, version }
    }

    /// How it fills what is called so at that version, or became all of these. Names that the version
    /// does not have reach nothing.
    fn how(&self, names: &BTreeSet<String>) -> Option<Source> {
        let of = |values: Option<&Map>, name: &String| {
            values.is_some_and(|values| values.contains_key(name))
                && self.version.parameters.names.contains(name)
        };
        let has_lock = names.iter().any(|name| of(self.locked, name));
        let is_given = |name: &String| of(self.locked, name) || of(self.defaults, name);
        match (has_lock, !names.is_empty() && names.iter().all(is_given)) {
            (true, _) => Some(Source::Locked),
            (false, true) => Some(Source::Default),
            (false, false) => None,
        }
    }
}

/// A lock that holds at one version holds at the other: a name that is gone would set free what somebody
/// meant to be fixed, and a plan does not show that.
fn still_locked(
    catalog: &Catalog,
    request: &RequestFile,
    from: &Version,
    to: &TemplateVersion,
) -> Result<(), Why> {
    let name = &request.template.name;
    let environment = request.id.environment();
    let locked = catalog.environments.get(environment).and_then(|e| e.locked.get(name));
    let (Some(locked), Some(versions)) = (locked, catalog.templates.get(name)) else {
        return Ok(());
    };
    let at = versions.get(from);
    let holds = |name: &&String| at.is_none_or(|at| at.parameters.names.contains(*name));
    for name in locked.keys().filter(holds) {
        if let Some(lock) = unheard(versions, locked, name, from, to) {
            return Err(Why::Unlocked { environment: environment.to_owned(), lock });
        }
    }
    Ok(())
}

/// The version that a request is at.
fn at(catalog: &Catalog, request: &RequestFile, recorded: Option<&TemplateId>) -> Version {
    let TemplateReq { name, requirement } = &request.template;
    let range = match requirement {
        Requirement::Exact(version) => return version.clone(),
        Requirement::Range(range) => range,
    };
    let resolved = resolve::template_of(catalog, request, recorded).map(|t| t.id.version.clone());
    let kept = || recorded.filter(|r| r.name == *name && range.matches(&r.version));
    let lowest = || range.comparators.iter().map(resolve::lowest).max();
    resolved
        .or_else(|| kept().map(|r| r.version.clone()))
        .or_else(lowest)
        .unwrap_or(Version::new(0, 0, 0))
}

/// Whether the version lacks an output that somebody uses.
pub fn lost_output<'a>(
    version: &TemplateVersion,
    users: impl IntoIterator<Item = (&'a crate::model::RequestId, &'a str)>,
) -> Option<Why> {
    let mut lost = users.into_iter().filter(|(_, output)| !version.outputs.contains_key(*output));
    let (user, output) = lost.next()?;
    Some(Why::Output { output: output.to_owned(), user: user.clone() })
}

/// What the file says while migrations are applied, and the edits that make it so.
struct Draft {
    parameters: Map,
    references: BTreeSet<String>,
    secrets: BTreeSet<String>,
    moves: Vec<Moved>,
    edits: Vec<Edit>,
}

impl Draft {
    fn of(request: &RequestFile, template: &str) -> Self {
        Self {
            parameters: request.parameters.clone(),
            references: request.references.keys().cloned().collect(),
            secrets: request.secrets.keys().cloned().collect(),
            moves: Vec::new(),
            edits: vec![Edit::put("/spec/template", template)],
        }
    }

    /// Renames, all at once, splits, sets, gives what is missing, and drops, in that order. What is given
    /// by others already is left to them.
    fn apply(
        &mut self,
        migration: &Migration,
        new: &Parameters,
        given: &dyn Fn(&str) -> Option<Source>,
    ) -> Result<(), Why> {
        let Migration { from: _, rename, split, set, default, drop } = migration;
        self.rename(rename)?;
        for (old, split) in split {
            self.split(old, split, new)?;
        }
        for (name, value) in set.iter().filter(|(name, _)| given(name) != Some(Source::Locked)) {
            self.set(name, value);
        }
        for (name, value) in default {
            if !self.has(name) && given(name).is_none() {
                self.put(name, value.clone(), None);
                self.moves.push(Moved::Defaulted(name.clone()));
            }
        }
        for name in drop {
            if self.has(name) {
                self.remove(name);
                self.moves.push(Moved::Dropped(name.clone()));
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.section(name).is_some()
    }

    /// Where the file fills a parameter.
    fn section(&self, name: &str) -> Option<&'static str> {
        let found = [
            (self.parameters.contains_key(name), "parameters"),
            (self.references.contains(name), "references"),
            (self.secrets.contains(name), "secrets"),
        ];
        found.into_iter().find_map(|(there, section)| there.then_some(section))
    }

    /// By the old names: a name that is given up here is free for another, so `a` may become `b` while
    /// `b` becomes `c`.
    fn rename(&mut self, renames: &BTreeMap<String, String>) -> Result<(), Why> {
        let there = renames.iter().filter(|(old, _)| self.has(old));
        let mut left: Vec<(&String, &String)> = there.collect();
        for (old, new) in &left {
            if !left.iter().any(|(other, _)| other == new) {
                self.is_free(old, new)?;
            }
        }
        for (old, new) in &left {
            self.moves.push(Moved::Renamed { from: (*old).clone(), to: (*new).clone() });
        }
        // The file is edited step by step: each goes once its new name is free, and of those that change
        // places the first waits under a name that nothing has.
        let mut waiting: Option<(String, &str)> = None;
        while !left.is_empty() {
            let free = left.iter().position(|(_, new)| !self.has(new));
            let (old, new) = left.remove(free.unwrap_or(0));
            match free {
                Some(_) => self.rename_one(old, new),
                None => {
                    let mut aside = format!("{old}-aside");
                    while self.has(&aside) {
                        aside.push('-');
                    }
                    self.rename_one(old, &aside);
                    waiting = Some((aside, new));
                }
            }
            if let Some((aside, new)) = waiting.take_if(|(_, new)| !self.has(new)) {
                self.rename_one(&aside, new);
            }
        }
        Ok(())
    }

    fn rename_one(&mut self, old: &str, new: &str) {
        let Some(section) = self.section(old) else { return };
        match section {
            "parameters" => {
                let value = self.parameters.remove(old).unwrap_or_default();
                self.parameters.insert(new.to_owned(), value);
            }
            "references" => drop((self.references.remove(old), self.references.insert(new.into()))),
            _ => drop((self.secrets.remove(old), self.secrets.insert(new.into()))),
        }
        self.edits.push(Edit::rename(format!("/spec/{section}/{}", escape(old)), new));
    }

    fn is_free(&self, old: &str, new: &str) -> Result<(), Why> {
        match self.has(new) {
            true => Err(Why::Both { from: old.to_owned(), to: new.to_owned() }),
            false => Ok(()),
        }
    }

    fn split(&mut self, old: &str, split: &Split, new: &Parameters) -> Result<(), Why> {
        match self.section(old) {
            None => return Ok(()),
            Some("parameters") => {}
            Some(_) => return Err(Why::NotText(old.to_owned())),
        }
        let text = match self.parameters.get(old) {
            Some(Value::String(text)) => text.clone(),
            _ => return Err(Why::NotText(old.to_owned())),
        };
        let parts: Vec<&str> = text.split(&split.by).collect();
        if parts.len() != split.into.len() {
            return Err(Why::Parts {
                name: old.to_owned(),
                by: split.by.clone(),
                wanted: split.into.len(),
                found: parts.len(),
            });
        }
        for name in &split.into {
            self.is_free(old, name)?;
        }
        // The first takes the old one's place, so that what is said of that stays.
        let mut behind = None;
        for (name, part) in split.into.iter().zip(parts) {
            if behind.is_none() {
                self.parameters.remove(old);
                self.edits.push(Edit::rename(format!("/spec/parameters/{}", escape(old)), name));
            }
            self.put(name, new.typed(name, part), behind);
            behind = Some(name.as_str());
        }
        self.moves.push(Moved::Split { from: old.to_owned(), into: split.into.clone() });
        Ok(())
    }

    fn set(&mut self, name: &str, value: &Value) {
        if self.parameters.get(name) == Some(value) {
            return;
        }
        if !self.parameters.contains_key(name) && self.has(name) {
            self.remove(name);
        }
        self.put(name, value.clone(), None);
        self.moves.push(Moved::Set(name.to_owned()));
    }

    fn put(&mut self, name: &str, value: Value, behind: Option<&str>) {
        let at = format!("/spec/parameters/{}", escape(name));
        let behind = behind.map(str::to_owned);
        self.parameters.insert(name.to_owned(), value.clone());
        self.edits.push(Edit::Put { at, value, behind });
    }

    fn remove(&mut self, name: &str) {
        let Some(section) = self.section(name) else { return };
        let left = match section {
            "parameters" => {
                self.parameters.remove(name);
                // A map of parameters stays where it is, though it is empty.
                1
            }
            "references" => {
                self.references.remove(name);
                self.references.len()
            }
            _ => {
                self.secrets.remove(name);
                self.secrets.len()
            }
        };
        let at = match left {
            0 => format!("/spec/{section}"),
            _ => format!("/spec/{section}/{}", escape(name)),
        };
        self.edits.push(Edit::remove(at));
    }
}

#[cfg(test)]
mod tests;
