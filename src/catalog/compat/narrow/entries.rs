//! Entries of objects and items of lists: what judged each of them before, and judges it now.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Case, Comparer, Lack, Olds};
use crate::catalog::explain::escape;

/// Names of entries are texts.
static TEXT: LazyLock<Value> = LazyLock::new(|| json!({"type": "string"}));

impl<'a> Comparer<'a> {
    pub(super) fn entry_keyword(
        &mut self,
        case: &Case<'a, '_>,
        key: &str,
        value: &'a Value,
        at: &str,
    ) {
        match key {
            "required" => {
                for name in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if !is_required(case.olds, name) {
                        self.say(&below(case.subject, name), at, Lack::Required);
                    }
                }
            }
            "dependentRequired" => {
                let has = |old: &&Value, name: &str, other: &Value| {
                    let others = old.get(key).and_then(|all| all.get(name));
                    others.and_then(Value::as_array).is_some_and(|all| all.contains(other))
                };
                for (name, others) in value.as_object().into_iter().flatten() {
                    for other in others.as_array().into_iter().flatten() {
                        let known = case.olds.iter().any(|old| has(old, name, other))
                            || other.as_str().is_some_and(|o| is_required(case.olds, o));
                        if !known {
                            let other = other.as_str().unwrap_or_default();
                            let subject = below(case.subject, other);
                            self.say(&subject, &format!("{at}/{}", escape(name)), Lack::Required);
                        }
                    }
                }
            }
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    let olds = self.flat(entry(case.olds, name));
                    let here = format!("{at}/{}", escape(name));
                    self.implied(&olds, schema, &here, &below(case.subject, name));
                }
            }
            "patternProperties" => {
                for (pattern, schema) in value.as_object().into_iter().flatten() {
                    let same = patterns(case.olds).filter(|(known, _)| *known == pattern);
                    let olds: Vec<&Value> = same.map(|(_, schema)| schema).collect();
                    let here = format!("{at}/{}", escape(pattern));
                    let subject = below(case.subject, &format!("/{pattern}/"));
                    if olds.is_empty() && *schema != Value::Bool(true) {
                        // Which names it takes cannot be told.
                        self.say(&subject, &here, Lack::Unjudged("patternProperties".into()));
                    } else {
                        let olds = self.flat(olds);
                        self.implied(&olds, schema, &here, &subject);
                    }
                }
            }
            "additionalProperties" => self.other_entries(case, value, at),
            _ => {
                let known = case.olds.iter().filter_map(|old| old.get("propertyNames"));
                let olds: Vec<&Value> = known.chain([&*TEXT]).collect();
                let olds = self.flat(olds);
                self.implied(&olds, value, at, &below(case.subject, "(names)"));
            }
        }
    }

    /// `additionalProperties`: of names that the newer schema does not list.
    fn other_entries(&mut self, case: &Case<'a, '_>, value: &'a Value, at: &str) {
        let listed = |name: &str| case.new.get("properties").is_some_and(|p| p.get(name).is_some());
        let named: BTreeSet<&String> = case
            .olds
            .iter()
            .filter_map(|old| old.get("properties")?.as_object())
            .flat_map(|all| all.keys())
            .filter(|name| !listed(name))
            .collect();
        let closed = *value == Value::Bool(false);
        let classes = named.into_iter().map(|name| (Some(name), entry(case.olds, name)));
        let classes: Vec<(Option<&String>, Olds<'a>)> =
            classes.chain([(None, others(case.olds))]).collect();
        for (name, olds) in classes {
            let olds = self.flat(olds);
            if olds.iter().any(|old| **old == Value::Bool(false)) {
                continue;
            }
            match (name, closed) {
                (Some(name), true) => self.say(&below(case.subject, name), at, Lack::Gone),
                (None, true) => self.say(case.subject, at, Lack::Closed),
                (Some(name), false) => self.implied(&olds, value, at, &below(case.subject, name)),
                (None, false) => self.implied(&olds, value, at, &below(case.subject, "*")),
            }
        }
        let kept = |pattern: &str| {
            case.new.get("patternProperties").is_some_and(|all| all.get(pattern).is_some())
        };
        let gone: Vec<(&String, &'a Value)> =
            patterns(case.olds).filter(|(pattern, _)| !kept(pattern)).collect();
        for (pattern, schema) in gone {
            let olds = self.flat([schema]);
            self.implied(&olds, value, at, &below(case.subject, &format!("/{pattern}/")));
        }
    }

    pub(super) fn item_keyword(
        &mut self,
        case: &Case<'a, '_>,
        key: &str,
        value: &'a Value,
        at: &str,
    ) {
        let length = |schema: Option<&Value>| schema.and_then(Value::as_array).map_or(0, Vec::len);
        let can_be = |n: usize| {
            let most = case.olds.iter().filter_map(|old| old.get("maxItems")?.as_u64()).min();
            most.is_none_or(|most| (n as u64) < most)
        };
        if key == "prefixItems" {
            for (n, schema) in value.as_array().into_iter().flatten().enumerate() {
                if can_be(n) {
                    let olds = self.flat(item(case.olds, n));
                    let subject = format!("{}[{n}]", case.subject);
                    self.implied(&olds, schema, &format!("{at}/{n}"), &subject);
                }
            }
            return;
        }
        let from = length(case.new.get("prefixItems"));
        let to = case.olds.iter().map(|old| length(old.get("prefixItems"))).max();
        for n in from..to.unwrap_or(0).max(from) + 1 {
            if can_be(n) {
                let olds = self.flat(item(case.olds, n));
                self.implied(&olds, value, at, &format!("{}[]", case.subject));
            }
        }
    }
}

fn below(subject: &str, name: &str) -> String {
    if subject.is_empty() { name.to_owned() } else { format!("{subject}.{name}") }
}

fn is_required(olds: &[&Value], name: &str) -> bool {
    let required = olds.iter().filter_map(|old| old.get("required")?.as_array()).flatten();
    required.filter_map(Value::as_str).any(|known| known == name)
}

/// What judges the entry of a name: at least these.
fn entry<'a>(olds: &[&'a Value], name: &str) -> Olds<'a> {
    let of = |old: &&'a Value| {
        let own = old.get("properties").and_then(|all| all.get(name));
        own.or_else(|| additional(old))
    };
    olds.iter().filter_map(of).collect()
}

/// What judges entries that nothing names and no pattern matches.
fn others<'a>(olds: &[&'a Value]) -> Olds<'a> {
    olds.iter().filter_map(|old| old.get("additionalProperties")).collect()
}

/// What judges all entries of a schema that it does not list. Which names a pattern takes out
/// cannot be told.
fn additional(old: &Value) -> Option<&Value> {
    old.get("additionalProperties").filter(|_| old.get("patternProperties").is_none())
}

fn patterns<'a>(olds: &[&'a Value]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    olds.iter().filter_map(|old| old.get("patternProperties")?.as_object()).flatten()
}

/// What judges the item at a place of a list.
fn item<'a>(olds: &[&'a Value], n: usize) -> Olds<'a> {
    let of = |old: &&'a Value| {
        let own = old.get("prefixItems").and_then(|all| all.get(n));
        own.or_else(|| old.get("items"))
    };
    olds.iter().filter_map(of).collect()
}
