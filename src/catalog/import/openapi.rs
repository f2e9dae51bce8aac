//! The schemas of Proton's bundles, in the manner of OpenAPI 3.0, as JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use super::lost;
use crate::catalog::schema::Schema;
use crate::model::{Diagnostic, escape};
use crate::yaml::Node;

const KEPT: [&str; 17] = [
    "title",
    "description",
    "default",
    "enum",
    "multipleOf",
    "maximum",
    "minimum",
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "readOnly",
    "deprecated",
];

/// Formats that both know.
const FORMATS: [&str; 8] =
    ["date-time", "date", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];

/// A schema and all in it. `at` names it in notes.
pub(super) fn schema(node: &Node, at: &str, file: &str, notes: &mut Vec<Diagnostic>) -> Value {
    let old = &node.to_json();
    if !old.is_object() {
        return old.clone();
    }
    let mut new = Map::new();
    for (key, value) in super::entries(Some(node)) {
        let (word, value) = (&key.name, &value.to_json());
        let mut say = |what: String| notes.push(lost(file, key.span.start.line, what));
        match word.as_str() {
            "type" => {
                let nullable = old.get("nullable") == Some(&Value::Bool(true));
                let kind = if nullable { json!([value, "null"]) } else { value.clone() };
                new.insert(word.clone(), kind);
            }
            "nullable" => {}
            "$ref" => {
                let name = value.as_str().and_then(|target| target.rsplit('/').next());
                let name = name.unwrap_or_default();
                new.insert(word.clone(), json!(format!("#/$defs/{name}")));
            }
            "exclusiveMaximum" | "exclusiveMinimum" => {
                // There a flag beside the bound, here the bound.
                let bound = if word == "exclusiveMaximum" { "maximum" } else { "minimum" };
                match (value, old.get(bound)) {
                    (Value::Bool(true), Some(limit)) => {
                        new.insert(word.clone(), limit.clone());
                    }
                    (Value::Number(_), _) => {
                        new.insert(word.clone(), value.clone());
                    }
                    _ => {}
                }
            }
            "example" => {
                new.insert("examples".into(), json!([value]));
            }
            "pattern" => {
                if Schema::compile(json!({"pattern": value})).is_ok() {
                    new.insert(word.clone(), value.clone());
                } else {
                    say(format!(
                        "the pattern of `{at}` looks around or back, which a schema here cannot"
                    ));
                }
            }
            "format" if value.as_str().is_some_and(|format| FORMATS.contains(&format)) => {
                new.insert(word.clone(), value.clone());
            }
            // How a number is stored says nothing about which may be written.
            "format" if matches!(value.as_str(), Some("int32" | "int64" | "float" | "double")) => {}
            "properties"
            | "items"
            | "additionalProperties"
            | "allOf"
            | "anyOf"
            | "oneOf"
            | "not" => {}
            word if KEPT.contains(&word) => {
                new.insert(word.to_owned(), value.clone());
            }
            word => say(format!("`{}` of `{at}` has no counterpart", escape(word, 60))),
        }
    }
    for (bound, flag) in [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")] {
        if old.get(flag) == Some(&Value::Bool(true)) {
            new.remove(bound);
        }
    }
    if node.get("properties").is_some() {
        let inner = super::entries(node.get("properties")).iter().map(|(name, property)| {
            let at = format!("{at}.{}", escape(&name.name, 60));
            (name.name.clone(), schema(property, &at, file, notes))
        });
        let inner: Map<String, Value> = inner.collect();
        new.insert("properties".into(), Value::Object(inner));
        new.entry("type").or_insert(json!("object"));
        if old.get("additionalProperties").is_none() {
            new.insert("additionalProperties".into(), json!(false));
        }
    }
    for word in ["items", "additionalProperties", "not"] {
        if let Some(inner) = node.get(word) {
            new.insert(word.into(), schema(inner, at, file, notes));
        }
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        let all = super::items(node.get(word));
        if !all.is_empty() {
            let all: Vec<Value> = all.iter().map(|one| schema(one, at, file, notes)).collect();
            new.insert(word.into(), Value::Array(all));
        }
    }
    Value::Object(new)
}
