//! Which version of a template a request gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::{Comparator, Op, Version};

use super::file::Lifecycle;
use super::load::Catalog;
use super::request::{RequestFile, Requirement};
use super::template::TemplateVersion;
use crate::model::{Dependency, Diagnostic, HoldReason, TemplateId, nearest, quote};

/// The versions of one template.
pub type Versions = BTreeMap<Version, Arc<TemplateVersion>>;

/// Why there is none.
pub(super) enum NoVersion {
    /// The request names something that cannot be had.
    Wrong(Box<Diagnostic>),
    /// It may come, or a person must choose.
    Not(Box<(HoldReason, Diagnostic)>),
}

/// The version that a request gets: the one it names; of a range the recorded one as long as that
/// is in the range, else the highest stable one. None, while the recorded one is what it asks for and
/// is gone: a folder that vanishes takes nobody to another version.
pub(super) fn resolve<'a>(
    catalog: &'a Catalog,
    request: &RequestFile,
    recorded: Option<&TemplateId>,
) -> Result<&'a Arc<TemplateVersion>, NoVersion> {
    let name = request.template.name.as_str();
    if let Some(gone) = recorded.filter(|recorded| is_gone(catalog, request, recorded)) {
        let hold = HoldReason::TemplateMissing { version: gone.clone() };
        return Err(NoVersion::Not(Box::new((hold, missing(gone, request)))));
    }
    let Some(versions) = catalog.templates.get(name) else {
        return Err(NoVersion::Wrong(Box::new(unknown(catalog, request))));
    };
    let recorded = recorded.filter(|recorded| recorded.name == name).map(|r| &r.version);
    let chosen = match &request.template.requirement {
        Requirement::Exact(version) => versions.get(version),
        Requirement::Range(_) => in_range(versions, request, recorded),
    };
    match chosen {
        Some(chosen)
            if chosen.lifecycle == Lifecycle::Retired && recorded != Some(&chosen.id.version) =>
        {
            Err(NoVersion::Not(Box::new((HoldReason::TemplateRetired, retired(chosen, request)))))
        }
        Some(chosen) => Ok(chosen),
        None if is_ahead(versions, &request.template.requirement) => {
            let wanted = request.template.to_string();
            let problem = Diagnostic::warning(
                "REF006",
                request.place("/spec/template"),
                format!("the catalog does not have `{wanted}` yet"),
            );
            let dependency = Dependency::Catalog(wanted);
            let hold = (HoldReason::WaitingFor { dependency }, problem.help(have(versions)));
            Err(NoVersion::Not(Box::new(hold)))
        }
        None => Err(NoVersion::Wrong(Box::new(no_such_version(versions, request)))),
    }
}

/// How a newer version of a template stands to a request whose range admits it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It has reached the request, wave by wave.
    Reached,
    /// It is on its way, and has not.
    OnTheWay,
    /// It is not rolled out: a changed file takes it.
    Free,
}

/// Whether a request asks for what it has, and the catalog has that no more.
fn is_gone(catalog: &Catalog, request: &RequestFile, recorded: &TemplateId) -> bool {
    let asked = &request.template;
    recorded.name == asked.name
        && asked.requirement.matches(&recorded.version)
        && catalog.version(recorded).is_none()
}

fn missing(gone: &TemplateId, request: &RequestFile) -> Diagnostic {
    let message = format!("`{gone}`, which this request was made with, is gone from the catalog");
    let help = match &request.template.requirement {
        Requirement::Exact(_) => {
            "what was applied stays; ask for another version, or for that one back"
        }
        Requirement::Range(_) => {
            "what was applied stays until a newer version's rollout reaches it; `vend upgrade` does not wait for that"
        }
    };
    Diagnostic::error("LIF003", request.place("/spec/template"), message).help(help)
}

/// The version that a request goes on from: the recorded one, though it be gone; of a range a newer one
/// that has reached it, or that its changed file may take. `None` where nothing recorded fits, or where
/// that is gone, the file changed and nothing newer is on its way: then the request is like a new one.
pub fn kept(
    catalog: &Catalog,
    request: &RequestFile,
    recorded: &TemplateId,
    is_changed: bool,
    stands: &dyn Fn(&TemplateId) -> Standing,
) -> Option<TemplateId> {
    let requirement = &request.template.requirement;
    let name = &request.template.name;
    if recorded.name != *name || !requirement.matches(&recorded.version) {
        return None;
    }
    let versions = catalog.templates.get(name);
    let (Requirement::Range(_), Some(versions)) = (requirement, versions) else {
        return Some(recorded.clone());
    };
    let takes = |template: &TemplateVersion| match stands(&template.id) {
        Standing::Reached => true,
        Standing::OnTheWay => false,
        Standing::Free => is_changed,
    };
    let newer = versions.range(&recorded.version..).rev().map(|(_, template)| template);
    let newer = newer.filter(|t| t.id.version > recorded.version && t.is_stable());
    let newer = newer.filter(|t| requirement.matches(&t.id.version) && !t.is_broken());
    if let Some(taken) = newer.clone().find(|t| takes(t)) {
        return Some(taken.id.clone());
    }
    let is_gone = !versions.contains_key(&recorded.version);
    let waits = newer.map(|t| stands(&t.id)).any(|standing| standing == Standing::OnTheWay);
    (!is_gone || !is_changed || waits).then(|| recorded.clone())
}

fn in_range<'a>(
    versions: &'a Versions,
    request: &RequestFile,
    recorded: Option<&Version>,
) -> Option<&'a Arc<TemplateVersion>> {
    let fits = |version: &Version| request.template.requirement.matches(version);
    if let Some(kept) = recorded.filter(|version| fits(version)).and_then(|v| versions.get(v)) {
        return Some(kept);
    }
    let candidates = || versions.iter().rev().filter(|(v, _)| fits(v)).map(|(_, t)| t);
    let of = |lifecycle| candidates().filter(move |t| t.lifecycle == lifecycle);
    // A broken version is taken only when there is no other, so that its problems are said.
    let stable = || of(Lifecycle::Stable).chain(of(Lifecycle::Deprecated));
    stable()
        .find(|template| !template.is_broken())
        .or_else(|| stable().next())
        .or_else(|| of(Lifecycle::Retired).next())
}

/// The version that people are shown: the one that a new request gets, where there is one.
pub fn offered(versions: &Versions) -> Option<&Arc<TemplateVersion>> {
    let sound = || versions.values().rev().filter(|template| !template.is_broken());
    let is_final = |t: &&Arc<TemplateVersion>| t.id.version.pre.is_empty();
    let of = |lifecycle| sound().find(move |t| is_final(t) && t.lifecycle == lifecycle);
    of(Lifecycle::Stable)
        .or_else(|| of(Lifecycle::Deprecated))
        .or_else(|| sound().find(|t| t.lifecycle != Lifecycle::Retired))
        .or_else(|| versions.values().next_back())
}

/// Whether all that the catalog has is older than what is asked for: the catalog may be behind.
fn is_ahead(versions: &Versions, requirement: &Requirement) -> bool {
    let Some((highest, _)) = versions.last_key_value() else { return false };
    match requirement {
        Requirement::Exact(version) => version > highest,
        Requirement::Range(range) => range.comparators.iter().any(|bound| lowest(bound) > *highest),
    }
}

/// The lowest version that a bound admits.
pub(super) fn lowest(bound: &Comparator) -> Version {
    match bound.op {
        Op::Less | Op::LessEq => Version::new(0, 0, 0),
        _ => Version {
            pre: bound.pre.clone(),
            ..Version::new(bound.major, bound.minor.unwrap_or(0), bound.patch.unwrap_or(0))
        },
    }
}

fn unknown(catalog: &Catalog, request: &RequestFile) -> Diagnostic {
    let name = request.template.name.as_str();
    let place = request.place("/spec/template");
    let message = format!("no template is called {}", quote(name));
    let problem = Diagnostic::error("REF002", place.clone(), message);
    let known = || catalog.templates.keys().map(String::as_str);
    match nearest(name, known()) {
        Some(meant) => {
            let fixed = format!("{meant}@{}", request.template.requirement);
            problem.help(format!("did you mean `{meant}`?")).fix(place, fixed)
        }
        None if catalog.templates.len() <= 12 => {
            let known: Vec<_> = known().map(quote).collect();
            problem.help(format!("there are {}", known.join(", ")))
        }
        None => problem.help("`vend schema` and the catalog's folder `templates` list them"),
    }
}

fn no_such_version(versions: &Versions, request: &RequestFile) -> Diagnostic {
    let name = &request.template.name;
    let wanted = &request.template.requirement;
    let message = match wanted {
        Requirement::Exact(version) => format!("template `{name}` has no version `{version}`"),
        Requirement::Range(range) => {
            let matching: Vec<_> = versions.keys().filter(|v| range.matches(v)).collect();
            match matching.as_slice() {
                [] => format!("no version of template `{name}` is in `{range}`"),
                _ => format!("only experimental versions of template `{name}` are in `{range}`"),
            }
        }
    };
    Diagnostic::error("REF002", request.place("/spec/template"), message).help(have(versions))
}

/// The newest versions, for people to choose from.
fn have(versions: &Versions) -> String {
    let newest: Vec<_> = versions.keys().rev().take(5).map(|v| format!("`{v}`")).collect();
    match versions.len() {
        0..=5 => format!("there are {}", newest.join(", ")),
        all => format!("there are {all}, the newest being {}", newest.join(", ")),
    }
}

fn retired(template: &TemplateVersion, request: &RequestFile) -> Diagnostic {
    let message = format!("`{}` takes no new requests", template.id);
    let problem = Diagnostic::error("LIF002", request.place("/spec/template"), message);
    match &template.replaced_by {
        Some(other) => problem.help(format!("use `{other}`")),
        None => problem,
    }
}

/// The version that a new request can take, of all or of those that are wanted: the highest stable
/// one, else the highest deprecated, else an experimental one; never a broken or retired one.
pub fn takeable<'a>(
    catalog: &'a Catalog,
    template: &str,
    requirement: Option<&Requirement>,
) -> Option<&'a Arc<TemplateVersion>> {
    let versions = catalog.templates.get(template)?;
    let fits = |version: &Version| requirement.is_none_or(|wanted| wanted.matches(version));
    let candidates =
        || versions.iter().rev().filter(|(v, t)| fits(v) && !t.is_broken()).map(|(_, t)| t);
    let of = |lifecycle| candidates().find(move |t| t.lifecycle == lifecycle);
    candidates()
        .find(|t| t.is_stable())
        .or_else(|| of(Lifecycle::Stable))
        .or_else(|| of(Lifecycle::Deprecated))
        .or_else(|| of(Lifecycle::Experimental))
}

/// The version that a request would get, whatever else is wrong with it.
pub fn template_of<'a>(
    catalog: &'a Catalog,
    request: &RequestFile,
    recorded: Option<&TemplateId>,
) -> Option<&'a Arc<TemplateVersion>> {
    resolve(catalog, request, recorded).ok()
}

/// What is said of a deprecated version.
pub(super) fn deprecated(template: &TemplateVersion, request: &RequestFile) -> Option<Diagnostic> {
    if template.lifecycle != Lifecycle::Deprecated {
        return None;
    }
    let message = format!("`{}` is deprecated", template.id);
    let problem = Diagnostic::warning("LIF001", request.place("/spec/template"), message);
    Some(match &template.replaced_by {
        Some(other) => problem.help(format!("use `{other}`")),
        None => problem,
    })
}

/// The highest stable version above the one in use.
pub(super) fn upgrade(catalog: &Catalog, template: &TemplateVersion) -> Option<Version> {
    let versions = catalog.templates.get(&template.id.name)?;
    let newer = versions.range(&template.id.version..).rev();
    newer
        .filter(|(version, other)| **version > template.id.version && other.is_stable())
        .find(|(_, other)| !other.is_broken())
        .map(|(version, _)| version.clone())
}
