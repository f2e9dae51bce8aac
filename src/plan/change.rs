//! What may not simply change: places, and parameters that the schema guards.

use serde_json::Value;

use crate::digest;
use crate::model::{
    ChangeRule, ComponentName, ComponentRecord, DesiredComponent, LOCATION, Map, Record, Remark,
    RequestId, Spec, symbol_text,
};

/// The branch that `files` commits to when none is named.
const DEFAULT_BRANCH: &str = "main";

/// The settings a component is applied with: the desired ones with the place's placeholders
/// (`{team}`, `{environment}`, `{name}`, `{component}`) filled in, except that a target which exists
/// stays where it was put.
pub fn settings(
    id: &RequestId,
    component: &DesiredComponent,
    recorded: Option<&ComponentRecord>,
) -> Map {
    let mut settings = component.settings.clone();
    for key in LOCATION {
        let kept = recorded
            .filter(|r| r.provider == component.provider)
            .and_then(|r| r.settings.get(key).cloned());
        let filled = match settings.get(key) {
            Some(Value::String(text)) => {
                Some(Value::String(fill(text, &Names::of(id, &component.name))))
            }
            Some(_) | None => None,
        };
        if let Some(value) = kept.or(filled) {
            settings.insert(key.into(), value);
        }
    }
    settings
}

/// The location setting that differs from the recorded one, if any. A path that the desired pattern
/// could have given under another identity is the same place: a request that moved keeps its path.
pub(super) fn moved_place(
    id: &RequestId,
    component: &DesiredComponent,
    recorded: &ComponentRecord,
) -> Option<&'static str> {
    LOCATION.into_iter().find(|key| {
        let (desired, was) = (component.settings.get(*key), recorded.settings.get(*key));
        match (desired, was) {
            (Some(Value::String(pattern)), Some(Value::String(place))) => {
                !could_give(pattern, place, id.environment())
            }
            (desired, was) if *key == "branch" => {
                let main = Value::from(DEFAULT_BRANCH);
                desired.unwrap_or(&main) != was.unwrap_or(&main)
            }
            (desired, was) => desired != was,
        }
    })
}

struct Names<'a>([(&'static str, &'a str); 4]);

impl<'a> Names<'a> {
    fn of(id: &'a RequestId, component: &'a ComponentName) -> Self {
        Self([
            ("{team}", id.team()),
            ("{environment}", id.environment()),
            ("{name}", id.name()),
            ("{component}", component.as_str()),
        ])
    }
}

fn fill(pattern: &str, names: &Names) -> String {
    // Names hold no braces, so the order of the replacements does not matter.
    names.0.iter().fold(pattern.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Whether the pattern gives this place for some team, name and component of that environment.
fn could_give(pattern: &str, place: &str, environment: &str) -> bool {
    if pattern == place {
        return true;
    }
    let pattern = pattern.replace("{environment}", environment);
    let (patterns, places) = (pattern.split('/'), place.split('/'));
    patterns.clone().count() == places.clone().count()
        && patterns.zip(places).all(|(pattern, place)| part_fits(pattern, place))
}

/// Whether one path part fits its pattern, a placeholder standing for one or more characters.
fn part_fits(pattern: &str, part: &str) -> bool {
    const MARK: &str = "\u{0}";
    let pattern = ["{team}", "{name}", "{component}"]
        .iter()
        .fold(pattern.to_owned(), |p, h| p.replace(h, MARK));
    let mut literals = pattern.split(MARK);
    let first = literals.next().unwrap_or_default();
    let Some(mut rest) = part.strip_prefix(first) else { return false };
    let mut literals: Vec<_> = literals.collect();
    let Some(last) = literals.pop() else { return rest.is_empty() };
    // The leftmost fit of each literal leaves the most room for the next ones.
    for literal in literals {
        let Some((at, _)) = rest.char_indices().nth(1) else { return false };
        match rest[at..].find(literal) {
            Some(found) => rest = &rest[at + found + literal.len()..],
            None => return false,
        }
    }
    rest.len() > last.len() && rest.ends_with(last)
}

/// What the change from the recorded parameters to the desired ones comes to.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Shift {
    /// Parameters whose rule forbids it, and the rule's name.
    pub(super) forbidden: Vec<(String, ChangeRule)>,
    /// What changes is replaced, not updated.
    pub(super) replace: bool,
    /// A downgrade or another template: a person must approve.
    pub(super) remark: Option<Remark>,
}

/// Parameters that would change although their rule forbids it, with the rule.
pub fn forbidden(record: &Record, spec: &Spec) -> Vec<(String, ChangeRule)> {
    shift(record, spec).forbidden
}

/// Compares a request's record with what is desired now.
pub(super) fn shift(record: &Record, spec: &Spec) -> Shift {
    if record.template.name != spec.template.name {
        let remark =
            Remark::Swap { from: record.template.to_string(), to: spec.template.to_string() };
        return Shift { forbidden: Vec::new(), replace: true, remark: Some(remark) };
    }
    let (from, to) = (&record.template.version, &spec.template.version);
    let remark = (to < from).then(|| Remark::Downgrade { from: from.clone(), to: to.clone() });
    let mut shift = Shift { remark, ..Shift::default() };
    for (name, rule) in &spec.change_rules {
        let (was, now) = (record.parameters.get(name), spec.parameters.get(name));
        let is_same = match (was, record.digests.get(name)) {
            (Some(was), _) => now == Some(was),
            (None, Some(was)) => now.is_some_and(|now| digest::of(now) == *was),
            (None, None) => continue,
        };
        let unknown = spec.components.iter().flat_map(|c| &c.unknown);
        if is_same || now.is_some_and(|now| unknown.map(symbol_text).any(|s| s == *now)) {
            continue;
        }
        match rule {
            ChangeRule::Update => {}
            ChangeRule::Replace => shift.replace = true,
            ChangeRule::GrowOnly if was.zip(now).is_some_and(|(was, now)| grew(was, now)) => {}
            ChangeRule::Immutable | ChangeRule::GrowOnly => {
                shift.forbidden.push((name.clone(), *rule));
            }
        }
    }
    shift
}

/// Whether `now` has everything that `was` has: numbers no smaller, lists and objects no poorer.
fn grew(was: &Value, now: &Value) -> bool {
    match (was, now) {
        (Value::Null, _) => true,
        (Value::Number(was), Value::Number(now)) => match (was.as_i64(), now.as_i64()) {
            (Some(was), Some(now)) => now >= was,
            (_, _) => now.as_f64() >= was.as_f64(),
        },
        (Value::Array(was), Value::Array(now)) => {
            let mut left: Vec<_> = now.iter().collect();
            was.iter().all(|item| match left.iter().position(|l| *l == item) {
                Some(at) => {
                    left.swap_remove(at);
                    true
                }
                None => false,
            })
        }
        (Value::Object(was), Value::Object(now)) => {
            was.iter().all(|(key, was)| now.get(key).is_some_and(|now| grew(was, now)))
        }
        (was, now) => was == now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn things_that_only_grow() {
        for (was, now, ok) in [
            (json!(5), json!(6), true),
            (json!(5), json!(5), true),
            (json!(5), json!(4.5), false),
            (json!(["a", "a"]), json!(["b", "a", "a"]), true),
            (json!(["a", "a"]), json!(["b", "a"]), false),
            (json!({"a": 1}), json!({"a": 2, "b": 0}), true),
            (json!({"a": 1}), json!({"b": 0}), false),
            (json!("a"), json!("ab"), false),
            (json!(null), json!("ab"), true),
            (json!(5), json!("6"), false),
        ] {
            assert_eq!(grew(&was, &now), ok, "{was} -> {now}");
        }
    }

    #[test]
    fn a_path_that_the_pattern_could_have_given_is_the_same_place() {
        let pattern = "{environment}/{team}/{name}/{component}";
        assert!(could_give(pattern, "prod/orders/events/queue", "prod"));
        assert!(!could_give(pattern, "dev/orders/events/queue", "prod"));
        assert!(!could_give(pattern, "prod/orders/events", "prod"));
        assert!(could_give("x-{name}-{component}.d/y", "x-a-b.d/y", "prod"));
        assert!(!could_give("x-{name}-{component}.d/y", "x-a.d/y", "prod"));
        assert!(!could_give("x-{name}.d", "x-.d", "prod"));
        assert!(!could_give("apps", "other", "prod"));
    }
}
