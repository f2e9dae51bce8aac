//! Which template, for whom, where and under which name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::args::New;
use super::super::failure::Failure;
use super::super::laptop::Bench;
use super::ask::Asker;
use crate::catalog::file::Lifecycle;
use crate::catalog::{Catalog, TemplateReq, TemplateVersion, takeable};
use crate::model::{RequestId, is_name, nearest, quote};

/// A template, as it will stand in the file, and the version that this is now.
pub(super) struct Chosen {
    pub written: String,
    pub version: Arc<TemplateVersion>,
}

const NAME_HELP: &str = "use only a-z, 0-9 and `-`, beginning with a letter, at most 63 characters";

pub(super) fn name(text: &str) -> Result<(), String> {
    if is_name(text) { Ok(()) } else { Err(NAME_HELP.to_owned()) }
}

/// The template that is named, or chosen from those that can be had in the environment named.
pub(super) fn template(bench: &Bench, new: &New, asker: Option<&Asker>) -> Result<Chosen, Failure> {
    let catalog = &bench.catalog.catalog;
    let Some(named) = new.template.as_deref() else {
        let Some(asker) = asker else { nobody_to_ask(&["TEMPLATE"])? };
        return pick(catalog, new.environment.as_deref(), asker);
    };
    let (name, requirement) = match named.contains('@') {
        true => {
            let wanted = TemplateReq::parse(named).map_err(Failure::usage)?;
            (wanted.name, Some(wanted.requirement))
        }
        false => (named.to_owned(), None),
    };
    let Some(versions) = catalog.templates.get(&name) else {
        let known = catalog.templates.keys().map(String::as_str);
        let failure = Failure::usage(format!("no template is called {}", quote(&name)));
        return Err(match nearest(&name, known) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint("`vend new` without a name lists them on a terminal"),
        });
    };
    match takeable(catalog, &name, requirement.as_ref()) {
        Some(version) => Ok(Chosen {
            written: requirement
                .map_or_else(|| version.id.to_string(), |wanted| format!("{name}@{wanted}")),
            version: Arc::clone(version),
        }),
        None => {
            let there: Vec<_> = versions.keys().rev().take(5).map(|v| format!("`{v}`")).collect();
            let message = match requirement {
                Some(wanted) => format!("no version of `{name}` in `{wanted}` can be requested"),
                None => format!("no version of `{name}` can be requested"),
            };
            Err(Failure::usage(message)
                .hint(format!("the catalog has {}", there.join(", ")))
                .hint("`vend validate` in the catalog says what is wrong with a version"))
        }
    }
}

fn nobody_to_ask<T>(what: &[&str]) -> Result<T, Failure> {
    let verb = if what.len() == 1 { "is" } else { "are" };
    Err(Failure::usage(format!("{} {verb} needed where nobody can be asked", what.join(", "))))
}

fn pick(catalog: &Catalog, environment: Option<&str>, asker: &Asker) -> Result<Chosen, Failure> {
    let places = || {
        let named = move |name: &String| environment.is_none_or(|wanted| wanted == name);
        catalog.environments.iter().filter(move |(name, _)| named(name)).map(|(_, place)| place)
    };
    let can_be_had = |name: &str| places().any(|place| place.allows(name));
    let versions: Vec<_> = catalog
        .templates
        .keys()
        .filter(|name| can_be_had(name))
        .filter_map(|name| takeable(catalog, name, None))
        .collect();
    if versions.is_empty() {
        return Err(Failure::usage("the catalog has no template that can be requested"));
    }
    let width = versions.iter().map(|version| version.id.to_string().len()).max().unwrap_or(0);
    let lines: Vec<String> = versions
        .iter()
        .map(|version| {
            let about = version.description.as_deref().or(version.title.as_deref());
            let mark = match version.lifecycle {
                Lifecycle::Stable => "",
                Lifecycle::Experimental => "(experimental) ",
                Lifecycle::Deprecated => "(deprecated) ",
                Lifecycle::Retired => "(retired) ",
            };
            format!("{:width$}  {mark}{}", version.id.to_string(), about.unwrap_or_default())
        })
        .collect();
    let version = versions[asker.one("Template", &lines, 0)?];
    Ok(Chosen { written: version.id.to_string(), version: Arc::clone(version) })
}

/// The identity: what is not named is asked for, and all that lacks is said at once where nobody can
/// be asked.
pub(super) fn identity(
    bench: &Bench,
    new: &New,
    chosen: &Chosen,
    asker: Option<&Asker>,
) -> Result<RequestId, Failure> {
    let parts = [("--team", &new.team), ("--environment", &new.environment), ("--name", &new.name)];
    let asker = match asker {
        Some(asker) => asker,
        None => {
            let lacking: Vec<&str> =
                parts.iter().filter(|(_, given)| given.is_none()).map(|(flag, _)| *flag).collect();
            if !lacking.is_empty() {
                return nobody_to_ask(&lacking);
            }
            return checked(bench, new, chosen);
        }
    };
    for (flag, given) in parts {
        if let Some(text) = given {
            name(text).map_err(|why| wrong(flag, text).hint(why))?;
        }
    }
    let team = match &new.team {
        Some(team) => team.clone(),
        None => team(bench, asker)?,
    };
    let environment = match &new.environment {
        Some(environment) => environment.clone(),
        None => environment(bench, chosen, asker)?,
    };
    let is_free = |text: &str| {
        name(text)?;
        match RequestId::new(&team, &environment, text) {
            Some(id) if is_taken(bench, &id) => Err(format!("`{id}` is there already")),
            _ => Ok(()),
        }
    };
    let name = match &new.name {
        Some(name) => name.clone(),
        None => asker.text("Name", None, &is_free)?,
    };
    let named = New {
        team: Some(team),
        environment: Some(environment),
        name: Some(name),
        ..New::default()
    };
    checked(bench, &named, chosen)
}

fn wrong(flag: &str, text: &str) -> Failure {
    Failure::usage(format!("{} cannot be the value of `{flag}`", quote(text)))
}

fn checked(bench: &Bench, named: &New, chosen: &Chosen) -> Result<RequestId, Failure> {
    let given = [&named.team, &named.environment, &named.name];
    let flags = ["--team", "--environment", "--name"];
    let [team, environment, own] = given.map(|text| text.as_deref().unwrap_or_default());
    for (flag, text) in flags.into_iter().zip([team, environment, own]) {
        name(text).map_err(|why| wrong(flag, text).hint(why))?;
    }
    let Some(id) = RequestId::new(team, environment, own) else { return Err(wrong("--name", own)) };
    let catalog = &bench.catalog.catalog;
    let Some(place) = catalog.environments.get(environment) else {
        let known = catalog.environments.keys().map(String::as_str);
        let failure =
            Failure::usage(format!("the catalog has no environment {}", quote(environment)));
        return Err(match nearest(environment, known) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => {
                let known: Vec<_> =
                    catalog.environments.keys().take(12).map(|e| quote(e)).collect();
                failure.hint(format!("there are {}", known.join(", ")))
            }
        });
    };
    let template = &chosen.version.id.name;
    if !place.allows(template) {
        let message = format!("`{template}` may not be requested in `{environment}`");
        return Err(Failure::usage(message).hint("`templates` of the environment says which may"));
    }
    let teams = &bench.requests.source.teams;
    if !teams.is_empty() && !teams.iter().any(|known| known == team) {
        let known: Vec<_> = teams.iter().map(|team| quote(team)).collect();
        let message = format!("the team {} may not ask in this repository", quote(team));
        return Err(Failure::usage(message).hint(format!("there are {}", known.join(", "))));
    }
    if is_taken(bench, &id) {
        let path = bench.requests.path_of(&id);
        return Err(Failure::usage(format!("`{path}` is there already"))
            .hint("edit it, or choose another name: nothing is overwritten"));
    }
    Ok(id)
}

fn is_taken(bench: &Bench, id: &RequestId) -> bool {
    let path = bench.requests.copy.root().join(bench.requests.path_of(id));
    bench.requests.found.contains_key(id) || path.symlink_metadata().is_ok()
}

fn team(bench: &Bench, asker: &Asker) -> Result<String, Failure> {
    let allowed = &bench.requests.source.teams;
    if !allowed.is_empty() {
        return Ok(allowed[asker.one("Team", allowed, 0)?].clone());
    }
    let asking = bench.requests.found.keys().map(RequestId::team);
    let owning = bench.catalog.catalog.owners.keys().map(String::as_str);
    let known: BTreeSet<&str> = asking.chain(owning).collect();
    // More than that nobody looks through: typing is quicker.
    if known.is_empty() || known.len() > 30 {
        return asker.text("Team", None, &name);
    }
    let mut items: Vec<&str> = known.into_iter().collect();
    items.push("another");
    match asker.one("Team", &items, 0)? {
        n if n + 1 == items.len() => asker.text("Team", None, &name),
        n => Ok(items[n].to_owned()),
    }
}

fn environment(bench: &Bench, chosen: &Chosen, asker: &Asker) -> Result<String, Failure> {
    let template = &chosen.version.id.name;
    let all = bench.catalog.catalog.environments.values();
    let fitting: Vec<_> =
        all.filter(|place| place.allows(template) && !place.is_broken()).collect();
    if fitting.is_empty() {
        let message = format!("`{template}` may be requested in no environment of the catalog");
        return Err(Failure::usage(message));
    }
    let width = fitting.iter().map(|place| place.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = fitting
        .iter()
        .map(|place| {
            let about = place.description.as_deref().unwrap_or_default();
            format!("{:width$}  {about}", place.name).trim_end().to_owned()
        })
        .collect();
    Ok(fitting[asker.one("Environment", &lines, 0)?].name.clone())
}
