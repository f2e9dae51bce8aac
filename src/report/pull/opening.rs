//! What a resource opens to others, in words.

use std::collections::BTreeMap;

use crate::model::{Exposure, Opening};
use crate::report::markdown::{listed, short_code};

/// What is named in one sentence: settings or actions, and phrases of who may do what.
const NAMES: usize = 6;
const PHRASES: usize = 5;

/// Characters of one name.
const NAME: usize = 160;

/// A sentence for each way in which something opens: what comes before the name of whose it is, and what
/// after. `called` is the resource.
pub(super) fn sentences(
    called: &str,
    kind: &str,
    is_new: bool,
    openings: &[Opening],
) -> Vec<(Exposure, String, String)> {
    let mut out = Vec::new();
    let mut public = |before: String, after: String| out.push((Exposure::Public, before, after));
    let some = |of: &dyn Fn(&Opening) -> Option<String>| {
        let all: Vec<String> = openings.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| listed(all, NAMES))
    };
    let traffic = some(&|opening| match opening {
        Opening::Traffic { what, from } => Some(format!("{} from {}", shown(what), shown(from))),
        _ => None,
    });
    if let Some(traffic) = traffic {
        public(format!("{traffic} into {called}"), String::new());
    }
    let settings = some(&|opening| match opening {
        Opening::Setting { text } => Some(shown(text)),
        _ => None,
    });
    if let Some(settings) = settings {
        public(format!("anybody on the internet may reach {called}"), format!(": {settings}"));
    }
    let everybody = some(&|opening| match opening {
        Opening::Everybody { action, resource } => {
            Some(format!("{}{}", shown(action), on(resource)))
        }
        _ => None,
    });
    if let Some(everybody) = everybody {
        public(called.to_owned(), format!(" lets everybody do {everybody}, without a condition"));
    }
    let guards = some(&|opening| match opening {
        Opening::GuardOff { guard } => Some(shown(guard)),
        _ => None,
    });
    if let Some(guards) = guards {
        let before = format!("the guard against public access of {called}");
        public(before, format!(" is off: {guards}"));
    }
    let (more, other) = (phrases(openings), others(openings));
    let is_public = !out.is_empty();
    if more.is_empty() && other.is_empty() && (is_public || !is_new) {
        return out;
    }
    let more = match (more.is_empty(), is_new) {
        (true, _) => None,
        (false, true) => Some(more),
        (false, false) => Some(format!("additionally {more}")),
    };
    let said: Vec<String> = more.into_iter().chain(other).collect();
    let (before, after) = match (is_new, said.is_empty()) {
        (true, true) => (format!("new {}{called}", noun(kind)), String::new()),
        (true, false) => (format!("new {}{called}", noun(kind)), format!(": {}", said.join("; "))),
        (false, _) => (called.to_owned(), format!(" {}", said.join("; "))),
    };
    out.push((Exposure::Permissions, before, after));
    out
}

/// Who may do what besides: the actions of each together.
fn phrases(openings: &[Opening]) -> String {
    let mut at = BTreeMap::new();
    let mut allowed: Vec<(&Opening, Vec<String>)> = Vec::new();
    let (mut trusted, mut attached) = (Vec::new(), Vec::new());
    for opening in openings {
        match opening {
            Opening::Allows { action, resource, principal, condition } => {
                let n = *at.entry((resource, principal, condition)).or_insert(allowed.len());
                match allowed.get_mut(n) {
                    Some((_, actions)) => actions.push(shown(action)),
                    None => allowed.push((opening, vec![shown(action)])),
                }
            }
            Opening::Trusts { principal, condition } => {
                trusted.push(format!("{}{}", shown(principal), under(condition)));
            }
            Opening::Attaches { policy } => attached.push(shown(policy)),
            Opening::Everybody { .. }
            | Opening::Traffic { .. }
            | Opening::Setting { .. }
            | Opening::GuardOff { .. }
            | Opening::Denial
            | Opening::Otherwise { .. } => {}
        }
    }
    let allowed = allowed.into_iter().filter_map(|(opening, actions)| {
        let Opening::Allows { resource, principal, condition, .. } = opening else { return None };
        let actions = listed(actions, NAMES);
        let what = format!("{actions}{}{}", on(resource), under(condition));
        Some(match principal {
            Some(principal) => format!("lets {} do {what}", shown(principal)),
            None => format!("allows {what}"),
        })
    });
    let mut all: Vec<String> = allowed.collect();
    all.extend((!trusted.is_empty()).then(|| format!("lets {} act as it", listed(trusted, NAMES))));
    all.extend(
        (!attached.is_empty())
            .then(|| format!("allows what {} says, which is attached", listed(attached, NAMES))),
    );
    let more = all.len().saturating_sub(PHRASES);
    all.truncate(PHRASES);
    all.extend((more > 0).then(|| format!("{more} more like these")));
    all.join("; ")
}

/// What may change who may do what.
fn others(openings: &[Opening]) -> Vec<String> {
    let properties = openings.iter().filter_map(|opening| match opening {
        Opening::Otherwise { property } => Some(shown(property)),
        _ => None,
    });
    let properties: Vec<String> = properties.collect();
    let denial = openings.contains(&Opening::Denial);
    let denial = denial.then(|| "no longer denies in these words what it denied".to_owned());
    let changes =
        (!properties.is_empty()).then(|| format!("changes in {}", listed(properties, NAMES)));
    denial.into_iter().chain(changes).collect()
}

fn on(resource: &Option<String>) -> String {
    resource.as_ref().map(|resource| format!(" on {}", shown(resource))).unwrap_or_default()
}

fn under(condition: &Option<String>) -> &'static str {
    if condition.is_some() { " under conditions" } else { "" }
}

/// `role `, as people call it; its type stands beside.
fn noun(kind: &str) -> &'static str {
    match kind {
        "AWS::IAM::Role" => "role ",
        "AWS::IAM::User" => "user ",
        "AWS::IAM::Group" => "group ",
        "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => "policy ",
        _ => "",
    }
}

fn shown(text: &str) -> String {
    short_code(text, NAME)
}
