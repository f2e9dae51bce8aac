//! Which parts of a schema are schemas: `properties` may well hold one that is called `$ref`.

use serde_json::Value;

use crate::catalog::explain::escape;

pub(in crate::catalog) const ONE: [&str; 11] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
pub(in crate::catalog) const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
pub(in crate::catalog) const MAP: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Every other keyword of draft 2020-12.
const PLAIN: [&str; 38] = [
    "$schema",
    "$id",
    "$ref",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$vocabulary",
    "$comment",
    "type",
    "const",
    "enum",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "format",
    "contentEncoding",
    "contentMediaType",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
];

/// Whether a keyword means something in draft 2020-12.
pub(in crate::catalog) fn is_keyword(name: &str) -> bool {
    keywords().any(|known| known == name)
}

/// All keywords, for "did you mean".
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    ONE.into_iter().chain(LIST).chain(MAP).chain(PLAIN)
}

/// How a schema stands to the one that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It judges the same value.
    Same,
    /// It judges a part of it.
    Part,
    /// It judges nothing until it is referred to.
    Kept,
}

/// The schemas right inside a schema, with their pointers relative to it.
pub(super) fn children(schema: &Value) -> Vec<(String, Step, &Value)> {
    let mut out = Vec::new();
    let Some(entries) = schema.as_object() else { return out };
    for (key, value) in entries {
        let step = match key.as_str() {
            "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" => {
                Step::Same
            }
            "$defs" | "definitions" => Step::Kept,
            _ => Step::Part,
        };
        if ONE.contains(&key.as_str()) {
            out.push((format!("/{key}"), step, value));
        } else if LIST.contains(&key.as_str()) {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            out.extend(items.iter().enumerate().map(|(n, v)| (format!("/{key}/{n}"), step, v)));
        } else if MAP.contains(&key.as_str()) {
            let entries = value.as_object().into_iter().flatten();
            out.extend(entries.map(|(name, v)| (format!("/{key}/{}", escape(name)), step, v)));
        }
    }
    out
}

/// Visits a schema and all schemas in it, with their pointers.
pub(super) fn visit<'a>(schema: &'a Value, at: &str, see: &mut dyn FnMut(&str, &'a Value)) {
    see(at, schema);
    for (step, _, child) in children(schema) {
        visit(child, &format!("{at}{step}"), see);
    }
}

/// Changes every `$ref` of a schema and of all schemas in it.
pub(in crate::catalog) fn rewrite(schema: &mut Value, to: &dyn Fn(&str) -> Option<String>) {
    let steps: Vec<String> = children(schema).into_iter().map(|(step, _, _)| step).collect();
    for step in steps {
        if let Some(child) = schema.pointer_mut(&step) {
            rewrite(child, to);
        }
    }
    if let Some(Value::String(target)) = schema.get_mut("$ref")
        && let Some(new) = to(target)
    {
        *target = new;
    }
}
