//! What a parameter takes, in words.

use serde_json::Value;

use crate::catalog::Parameters;
use crate::model::{ChangeRule, escape, visible};

/// The most choices that are listed.
const CHOICES_MAX: usize = 20;

/// One parameter, for people.
pub(super) struct Words {
    pub name: String,
    /// Whether a request has to give it, or something else fill it.
    pub required: bool,
    /// Its type, default, limits and what a change of it does; each a few words.
    pub facts: Vec<String>,
    pub description: Option<String>,
}

/// All of them: those that are required first, else by name.
pub(super) fn all(parameters: &Parameters) -> Vec<Words> {
    let required = parameters.schema.raw.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let mut words: Vec<Words> = parameters
        .names
        .iter()
        .filter_map(|name| {
            let property = parameters.property(name)?;
            let facts = facts(parameters, name, &property, is_required(name));
            let description = property.get("description").and_then(Value::as_str);
            Some(Words {
                name: name.clone(),
                required: is_required(name),
                facts,
                description: description.map(str::to_owned),
            })
        })
        .collect();
    words.sort_by_key(|words| !words.required);
    words
}

fn facts(parameters: &Parameters, name: &str, property: &Value, required: bool) -> Vec<String> {
    let mut facts = vec![kind(property)];
    if required {
        facts.push("required".into());
    }
    let sensitive = parameters.sensitive.contains(name);
    if let Some(default) = parameters.defaults.get(name) {
        facts.push(format!("default {}", shown(default)));
    }
    facts.extend(limits(property));
    if sensitive {
        facts.push("sensitive: only by reference to a secret".into());
    }
    if let Some(template) = parameters.filled_by.get(name) {
        facts.push(format!("an output of `{}` may fill it", escape(template, 80)));
    }
    if property.get("deprecated") == Some(&Value::Bool(true)) {
        facts.push("deprecated".into());
    }
    facts.extend(parameters.change_rules.get(name).and_then(|rule| change(*rule)));
    facts
}

fn change(rule: ChangeRule) -> Option<String> {
    match rule {
        ChangeRule::Update => None,
        ChangeRule::Replace => Some("a change replaces what there is".into()),
        ChangeRule::Immutable => Some("never changes".into()),
        ChangeRule::GrowOnly => Some("may only grow".into()),
    }
}

/// The type, in a word or two.
fn kind(schema: &Value) -> String {
    let one = |kind: &str| match kind {
        "array" => match schema.get("items").map(kind_of_items) {
            Some(items) if !items.is_empty() => format!("list of {items}"),
            _ => "list".to_owned(),
        },
        other => escape(other, 20),
    };
    match schema.get("type") {
        Some(Value::String(kind)) => one(kind),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<String> = kinds.iter().filter_map(Value::as_str).map(one).collect();
            kinds.join(" or ")
        }
        _ if schema.get("enum").is_some() || schema.get("const").is_some() => "choice".into(),
        _ => "any value".into(),
    }
}

fn kind_of_items(items: &Value) -> String {
    match items.get("type").and_then(Value::as_str) {
        Some(kind) => escape(kind, 20),
        None => String::new(),
    }
}

/// What else a value has to be.
fn limits(schema: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let get = |key: &str| schema.get(key);
    let number = |key: &str| get(key).filter(|v| v.is_number()).map(ToString::to_string);
    if let Some(choices) = get("enum").and_then(Value::as_array) {
        let mut shown: Vec<String> = choices.iter().take(CHOICES_MAX).map(self::shown).collect();
        if choices.len() > CHOICES_MAX {
            shown.push(format!("or {} others", choices.len() - CHOICES_MAX));
        }
        out.push(format!("one of {}", shown.join(", ")));
    }
    out.extend(get("const").map(|value| format!("always {}", shown(value))));
    out.extend(match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    });
    out.extend(number("exclusiveMinimum").map(|n| format!("more than {n}")));
    out.extend(number("exclusiveMaximum").map(|n| format!("less than {n}")));
    out.extend(number("multipleOf").map(|n| format!("a multiple of {n}")));
    let counts = [
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "keys"),
    ];
    for (least, most, what) in counts {
        out.extend(match (number(least), number(most)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most} {what}")),
            (Some(least), None) => Some(format!("at least {least} {what}")),
            (None, Some(most)) => Some(format!("at most {most} {what}")),
            (None, None) => None,
        });
    }
    if get("uniqueItems") == Some(&Value::Bool(true)) {
        out.push("each once".into());
    }
    let text = |key: &str| get(key).and_then(Value::as_str);
    out.extend(text("format").map(|format| format!("format {}", escape(format, 40))));
    out.extend(text("pattern").map(|pattern| format!("matches {}", visible(pattern, 200))));
    if let Some(inner) = get("properties").and_then(Value::as_object) {
        let required = get("required").and_then(Value::as_array);
        let must = |name: &str| {
            required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)))
        };
        let keys: Vec<String> = inner
            .iter()
            .map(|(name, schema)| {
                let must = if must(name) { ", required" } else { "" };
                format!("{} ({}{must})", escape(name, 80), kind(schema))
            })
            .collect();
        out.push(format!("keys {}", keys.join(", ")));
    }
    if ["anyOf", "oneOf", "allOf", "if"].iter().any(|key| get(key).is_some()) {
        out.push("with further conditions".into());
    }
    out
}

/// A value on one line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => visible(text, 80),
        other => visible(&other.to_string(), 120),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_words() {
        let of = |schema: Value| {
            let mut facts = vec![kind(&schema)];
            facts.extend(limits(&schema));
            facts.join(", ")
        };
        assert_eq!(of(json!({"type": "integer", "minimum": 1, "maximum": 14})), "integer, 1 to 14");
        assert_eq!(
            of(json!({"type": "string", "maxLength": 9, "pattern": "^a\u{1b}$"})),
            "string, at most 9 characters, matches ^a\\u{1B}$"
        );
        assert_eq!(
            of(
                json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true})
            ),
            "list of string, at least 1 items, each once"
        );
        assert_eq!(of(json!({"enum": ["a", 1, null]})), "choice, one of a, 1, null");
        assert_eq!(
            of(
                json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}})
            ),
            "object, keys a (string, required)"
        );
    }
}
