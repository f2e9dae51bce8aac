//! Where what comes to be is made, which its files do not say.

use std::collections::BTreeMap;

use crate::model::{Action, Brief, Step, Target, escape, place};
use crate::report::markdown::{code, listed};

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

/// The places, once for all that is made there; empty where nothing is made. A folder that is named after its
/// request as everywhere is not named again.
pub(super) fn list(brief: &Brief) -> String {
    let mut places: BTreeMap<String, Vec<&Target>> = BTreeMap::new();
    for step in brief.plan.steps.iter().filter(|step| step.action == Action::Create) {
        if let Some(place) = common(&step.target, &code) {
            places.entry(place).or_default().push(&step.target);
        }
    }
    if places.len() == 1 {
        let one =
            places.iter().map(|(place, targets)| format!("Made in {place}{}.\n\n", at(targets)));
        return one.collect();
    }
    let mut lines: Vec<String> = places
        .iter()
        .take(PLACES)
        .map(|(place, targets)| {
            let names = targets.iter().map(|target| code(&target.key.to_string())).collect();
            format!("- {place}: {}{}\n", listed(names, NAMES), at(targets))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let more = places.len().saturating_sub(PLACES);
    lines.extend((more > 0).then(|| format!("- {more} more places\n")));
    format!("Made in:\n\n{}\n", lines.concat())
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

/// The folders that are not named after their requests.
fn at(targets: &[&Target]) -> String {
    let is_other = |target: &&&Target| {
        let (id, component) = (&target.key.request, &target.key.component);
        let usual = format!("{}/{}/{}/{component}", id.environment(), id.team(), id.name());
        target.settings.contains_key("path") && path(target).as_ref() != Some(&usual)
    };
    let paths: Vec<String> =
        targets.iter().filter(is_other).filter_map(|t| path(t)).map(|p| code(&p)).collect();
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
        let folder =
            |name: &str, path: &str| target(name, json!({"directory": "/o", "path": path}));
        let (usual, other) = (folder("a", "dev/orders/a/note"), folder("b", "k8s/b"));
        assert_eq!(at(&[&usual]), "");
        assert_eq!(at(&[&usual, &other]), ", at `k8s/b`");
    }
}
