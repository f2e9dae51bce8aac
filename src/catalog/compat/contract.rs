//! Everything but the parameters: what a version gives, makes, and forbids.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::Bump;
use super::{Reason, TemplateVersion};
use crate::catalog::template::ComponentSpec;
use crate::model::{ComponentName, OnDrift, Place, quote};

/// What differs between two versions beside their parameters.
pub(super) fn compare(old: &TemplateVersion, new: &TemplateVersion) -> Vec<Reason> {
    let mut reasons = Vec::new();
    components(old, new, &mut reasons);
    outputs(old, new, &mut reasons);
    rules(old, new, &mut reasons);
    reasons
}

/// Which component of the newer version an older one is.
fn successors(
    old: &TemplateVersion,
    new: &TemplateVersion,
) -> BTreeMap<ComponentName, ComponentName> {
    let successor = |name: &ComponentName| {
        let same = new.components.iter().find(|c| c.name == *name);
        same.or_else(|| new.components.iter().find(|c| c.moved_from.as_ref() == Some(name)))
    };
    let pairs = old.components.iter().filter_map(|was| {
        let now = successor(&was.name)?;
        Some((was.name.clone(), now.name.clone()))
    });
    pairs.collect()
}

fn components(old: &TemplateVersion, new: &TemplateVersion, reasons: &mut Vec<Reason>) {
    let successors = successors(old, new);
    let find = |name: &ComponentName| new.components.iter().find(|c| c.name == *name);
    let mut say = |bump, place: &Place, what: String| {
        reasons.push(Reason { bump, what, place: place.clone() });
    };
    for was in &old.components {
        let shown = quote(was.name.as_str());
        let Some(now) = successors.get(&was.name).and_then(find) else {
            say(
                Bump::Major,
                &new.components_place,
                format!("the component {shown} is gone: what it made is deleted"),
            );
            continue;
        };
        if now.provider != was.provider {
            let what = format!(
                "the component {shown} moves from the provider `{}` to `{}`: it is deleted and made anew",
                was.provider, now.provider
            );
            say(Bump::Major, &now.place, what);
        } else if let Some(names) = moved_settings(was, now) {
            let what = format!(
                "settings of the component {shown} changed ({names}); whether it stays where it is cannot be told"
            );
            say(Bump::Major, &now.place, what);
        }
    }
    let kept: BTreeSet<&ComponentName> = successors.values().collect();
    for now in new.components.iter().filter(|now| !kept.contains(&now.name)) {
        let what = format!("the component {} is new", quote(now.name.as_str()));
        say(Bump::Minor, &now.place, what);
    }
}

/// Settings that say how something is made and not where: they move nothing.
const HOW: [&str; 2] = ["capabilities", "tags"];

/// Names of settings that differ and may say where something is.
fn moved_settings(was: &ComponentSpec, now: &ComponentSpec) -> Option<String> {
    let names: BTreeSet<&String> = was.with.keys().chain(now.with.keys()).collect();
    let differ = names.into_iter().filter(|name| was.with.get(*name) != now.with.get(*name));
    let moving: Vec<String> =
        differ.filter(|name| !HOW.contains(&name.as_str())).map(|name| quote(name)).collect();
    (!moving.is_empty()).then(|| moving.join(", "))
}

fn outputs(old: &TemplateVersion, new: &TemplateVersion, reasons: &mut Vec<Reason>) {
    let successors = successors(old, new);
    let mut say = |bump, place: &Place, what: String| {
        reasons.push(Reason { bump, what, place: place.clone() });
    };
    for (name, was) in &old.outputs {
        let shown = quote(name);
        let Some(now) = new.outputs.get(name) else {
            say(Bump::Major, &new.outputs_place, format!("the output {shown} is gone"));
            continue;
        };
        let place = new.output_places.get(name).unwrap_or(&new.outputs_place);
        let from = successors.get(&was.component).unwrap_or(&was.component);
        if (from, &was.output) != (&now.component, &now.output) {
            let what = format!(
                "the output {shown} is `{}.{}`, and was `{}.{}`: what it means may have changed",
                now.component, now.output, was.component, was.output
            );
            say(Bump::Major, place, what);
        }
        match (was.sensitive, now.sensitive) {
            (false, true) => {
                let what = format!("the output {shown} is sensitive now and fills no parameter");
                say(Bump::Major, place, what);
            }
            (true, false) => {
                say(Bump::Minor, place, format!("the output {shown} is not sensitive any more"));
            }
            (false, false) | (true, true) => {}
        }
    }
    for name in new.outputs.keys().filter(|name| !old.outputs.contains_key(*name)) {
        let place = new.output_places.get(name).unwrap_or(&new.outputs_place);
        say(Bump::Minor, place, format!("the output {} is new", quote(name)));
    }
}

fn rules(old: &TemplateVersion, new: &TemplateVersion, reasons: &mut Vec<Reason>) {
    let mut say = |bump, place: &Place, what: &str| {
        reasons.push(Reason { bump, what: what.to_owned(), place: place.clone() });
    };
    let file = Place::file(new.file());
    for now in &new.rules.deny {
        if !old.rules.deny.iter().any(|was| was.text == now.text) {
            say(Bump::Major, &now.place, "a rule that denies is new, or says something else");
        }
    }
    if old.rules.deny.iter().any(|was| !new.rules.deny.iter().any(|now| now.text == was.text)) {
        say(Bump::Minor, &file, "a rule that denied is gone, or says something else");
    }
    for now in &new.rules.approvals {
        let same =
            old.rules.approvals.iter().any(|was| {
                (&was.text, &was.teams, was.count) == (&now.text, &now.teams, now.count)
            });
        if !same {
            say(Bump::Minor, &now.place, "an approval is new, or asks for something else");
        }
    }
    if let Some(now) = &new.allow {
        let was = old.allow.as_ref().map(|was| &was.patterns);
        let keeps = was.is_some_and(|was| was.iter().all(|one| now.patterns.contains(one)));
        if !keeps {
            say(Bump::Major, &now.place, "types of resources that could be made cannot any more");
        }
    }
    let revert = |of: &TemplateVersion| of.on_drift == Some(OnDrift::Revert);
    if revert(new) != revert(old) {
        say(Bump::Minor, &file, "what is done about drift is something else");
    }
}
