//! Where what is planned takes place, which its files do not say.

use std::collections::BTreeMap;

use crate::model::{Action, Brief, Step, Target, escape, place};
use crate::report::markdown::{code, html, listed};

/// Places, and paths or requests at one of them, that are named.
const PLACES: usize = 10;
const NAMES: usize = 5;

/// Characters of one setting.
const VALUE: usize = 200;

/// Where a step makes something, in plain words; `None`: it makes nothing, or its settings name no place.
pub fn where_made(step: &Step) -> Option<String> {
    if step.action != Action::Create {
        return None;
    }
    let plain = |text: &str| escape(text, VALUE);
    let common = common(&step.target, &plain)?;
    Some(match path(&step.target) {
        Some(path) => format!("{common}, at {}", plain(&path)),
        None => common,
    })
}

/// The places, once for all that is done there; empty where nothing is done. A folder that is named after
/// its request as everywhere is not named again.
pub(super) fn list(brief: &Brief) -> String {
    let mut places: BTreeMap<String, Vec<&Step>> = BTreeMap::new();
    let steps = brief.plan.steps.iter().filter(|step| step.action.touches_the_world());
    for step in steps {
        if let Some(place) = common(&step.target, &code) {
            places.entry(place).or_default().push(step);
        }
    }
    let all_made = places.values().flatten().all(|step| step.action == Action::Create);
    let verb = if all_made { "Made" } else { "Takes place" };
    if places.len() == 1 {
        let one =
            places.iter().map(|(place, steps)| format!("{verb} in {place}{}.\n\n", at(steps)));
        return one.collect();
    }
    let mut lines: Vec<String> = places
        .iter()
        .take(PLACES)
        .map(|(place, steps)| {
            let names = steps.iter().map(|step| code(&step.target.key.to_string())).collect();
            format!("- {place}: {}{}\n", listed(names, NAMES), at(steps))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let more = places.len().saturating_sub(PLACES);
    lines.extend((more > 0).then(|| format!("- {more} more places\n")));
    format!("{verb} in:\n\n{}\n", lines.concat())
}

/// Whether a plan takes place in several: then each change says where.
pub(super) fn are_several(brief: &Brief) -> bool {
    let steps = brief.plan.steps.iter().filter(|step| step.action.touches_the_world());
    let mut places = steps.filter_map(|step| common(&step.target, &code));
    places.next().is_some_and(|first| places.any(|place| place != first))
}

/// Where a step takes place, within a line of HTML.
pub(super) fn within(step: &Step) -> Option<String> {
    let shown = |text: &str| format!("<code>{}</code>", html(&escape(text, VALUE)));
    common(&step.target, &shown).filter(|_| step.action.touches_the_world())
}

/// What several targets may share, with values as `shown` has them.
fn common(target: &Target, shown: &dyn Fn(&str) -> String) -> Option<String> {
    let place = place(&target.settings);
    let text = |key: &str| Some(place.get(key)?.as_str()?.to_owned());
    if let Some(region) = text("region") {
        let account = text("account").map(|account| format!(" of account {}", shown(&account)));
        return Some(format!("{}{}", shown(&region), account.unwrap_or_default()));
    }
    if let Some(repository) = text("repository") {
        let branch = text("branch").map(|branch| format!("branch {} of ", shown(&branch)));
        return Some(format!("{}{}", branch.unwrap_or_default(), shown(&address(&repository))));
    }
    text("directory").map(|directory| shown(&directory))
}

/// An address without the user, which may be a token.
fn address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

/// Its own part of the place: a folder, or the name that its settings give.
fn path(target: &Target) -> Option<String> {
    let text = |key: &str| Some(target.settings.get(key)?.as_str()?.to_owned());
    text("path").or_else(|| text("stackName"))
}

/// The folders of what is made that are not named after their requests.
fn at(steps: &[&Step]) -> String {
    let is_other = |target: &&Target| {
        let (id, component) = (&target.key.request, &target.key.component);
        let usual = format!("{}/{}/{}/{component}", id.environment(), id.team(), id.name());
        target.settings.contains_key("path") && path(target).as_ref() != Some(&usual)
    };
    let made = steps.iter().filter(|step| step.action == Action::Create).map(|step| &step.target);
    let paths: Vec<String> = made.filter(is_other).filter_map(path).map(|p| code(&p)).collect();
    match paths.is_empty() {
        true => String::new(),
        false => format!(", at {}", listed(paths, NAMES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, InstanceId, RequestId, TargetKey, TargetName};
    use serde_json::json;

    fn target(name: &str, settings: serde_json::Value) -> Target {
        let request = RequestId::new("orders", "dev", name).unwrap();
        let key = TargetKey { request, component: ComponentName::new("note") };
        let instance = InstanceId::new("i");
        Target {
            name: TargetName::compute(&instance, &key),
            key,
            instance,
            provider: "p".into(),
            settings: serde_json::from_value(settings).unwrap(),
            id: None,
        }
    }

    #[test]
    fn a_place_is_said_in_the_terms_of_its_provider() {
        let said = |settings| common(&target("it", settings), &|text| format!("<{text}>"));
        let said = |settings| said(settings).unwrap();
        assert_eq!(said(json!({"region": "eu-west-1"})), "<eu-west-1>");
        let role = "arn:aws:iam::111111111111:role/vend";
        let of_role = said(json!({"region": "eu-west-1", "role": role, "tags": {"a": "b"}}));
        assert_eq!(of_role, "<eu-west-1> of account <111111111111>");
        let both = said(json!({"region": "eu-west-1", "role": role, "account": "222222222222"}));
        assert_eq!(both, "<eu-west-1> of account <222222222222>");
        let repository = json!({"repository": "https://token@host/o/r", "branch": "main"});
        assert_eq!(said(repository), "branch <main> of <https://host/o/r>");
        assert_eq!(said(json!({"directory": "/srv/out"})), "</srv/out>");
        assert_eq!(common(&target("it", json!({})), &code), None);
    }

    #[test]
    fn only_a_folder_that_is_not_the_usual_one_is_named() {
        let folder = |name: &str, path: &str| {
            let target = target(name, json!({"directory": "/o", "path": path}));
            let (target, action) = (serde_json::to_value(target).unwrap(), Action::Create);
            serde_json::from_value(json!({"target": target, "action": action})).unwrap()
        };
        let (usual, other): (Step, Step) = (folder("a", "dev/orders/a/note"), folder("b", "k8s/b"));
        assert_eq!(at(&[&usual]), "");
        assert_eq!(at(&[&usual, &other]), ", at `k8s/b`");
    }
}
