//! Holds the published schemas against the types that are read by them.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::file::{
    CatalogDocument, EnvironmentDocument, RequestDocument, TemplateDocument, TestDocument,
};
use super::schema::{self, Kind, Schema};
use crate::model::{Status, Token};

/// The last example of each schema is a full one.
fn full(raw: &Value) -> Value {
    raw["examples"].as_array().and_then(|all| all.last()).expect("an example").clone()
}

/// Paths of all properties: `spec.components[].name`; `*` for free keys.
fn declared(root: &Value, schema: &Value, at: &str, out: &mut BTreeSet<String>) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        declared(root, root.pointer(&target[1..]).expect("a local reference"), at, out);
    }
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        out.insert(at.clone());
        declared(root, property, &at, out);
    }
    if let Some(items) = schema.get("items") {
        declared(root, items, &format!("{at}[]"), out);
    }
    if let Some(free) = schema.get("additionalProperties").filter(|free| free.is_object()) {
        declared(root, free, &format!("{at}.*"), out);
    }
}

fn shown(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut BTreeSet<String>) {
    let mut schema = schema;
    while let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        schema = root.pointer(&target[1..]).expect("a local reference");
    }
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let (step, below) = match schema.get("properties").and_then(|p| p.get(name)) {
                    Some(property) => (name.as_str(), property),
                    None => ("*", schema.get("additionalProperties").unwrap_or(&Value::Null)),
                };
                let at = if at.is_empty() { step.to_owned() } else { format!("{at}.{step}") };
                out.insert(at.clone());
                shown(root, below, value, &at, out);
            }
        }
        Value::Array(items) => {
            let below = schema.get("items").unwrap_or(&Value::Null);
            for item in items {
                shown(root, below, item, &format!("{at}[]"), out);
            }
        }
        _ => {}
    }
}

fn holds<T: DeserializeOwned + Serialize>(kind: Kind) {
    let raw = &kind.schema().raw;
    let example = full(raw);
    let (mut all, mut seen) = (BTreeSet::new(), BTreeSet::new());
    declared(raw, raw, "", &mut all);
    shown(raw, raw, &example, "", &mut seen);
    let missing: Vec<_> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "{}: the full example lacks {missing:?}", kind.name());
    // Every property has a field (unknown ones are refused), and every field a property (none is
    // left out when written).
    let typed: T = serde_json::from_value(example.clone()).expect("the type takes the example");
    assert_eq!(serde_json::to_value(&typed).unwrap(), example, "{}", kind.name());
}

#[test]
fn schemas_and_types_have_the_same_fields() {
    holds::<CatalogDocument>(Kind::Catalog);
    holds::<TemplateDocument>(Kind::Template);
    holds::<TestDocument>(Kind::TemplateTest);
    holds::<EnvironmentDocument>(Kind::Environment);
    holds::<RequestDocument>(Kind::Request);
    holds::<Status>(Kind::Status);
}

#[test]
fn a_status_with_everything_in_it_satisfies_its_schema() {
    let example = full(&Kind::Status.schema().raw);
    let mut status: Status = serde_json::from_value(example).unwrap();
    status.components[0].token = Token::new("vend-1");
    // Written out whole: a new field of the type does not compile until the schema has it too.
    let Status {
        api_version: _,
        kind: _,
        metadata: _,
        phase: _,
        waiting_for: _,
        source: _,
        applied_from: _,
        observed: _,
        template: _,
        conditions: _,
        components: _,
        outputs: _,
        output_sources: _,
        parameters: _,
        sensitive: _,
        references: _,
        labels: _,
        protect: _,
        lives_since: _,
        expires_at: _,
        lifetime: _,
        tombstone: _,
        drift: _,
        last_apply: _,
        settled: _,
    } = &status;
    let value = serde_json::to_value(&status).unwrap();
    let errors: Vec<_> =
        Kind::Status.schema().validator.iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fn schemas() -> Vec<(&'static str, &'static Schema)> {
    let kinds = Kind::ALL.into_iter().map(|kind| (kind.name(), kind.schema()));
    let providers = ["files", "cloudformation"]
        .into_iter()
        .map(|name| (name, schema::provider(name).expect("a provider's schema")));
    kinds.chain(providers).collect()
}

#[test]
fn examples_satisfy_their_schemas_and_everything_is_described() {
    for (name, schema) in schemas() {
        for (n, example) in schema.raw["examples"].as_array().expect("examples").iter().enumerate()
        {
            let errors: Vec<_> =
                schema.validator.iter_errors(example).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{name}, example {n}: {errors:?}");
        }
        for field in ["$schema", "$id", "title", "description"] {
            assert!(schema.raw[field].is_string(), "{name} lacks {field}");
        }
        undescribed(name, &schema.raw, &schema.raw);
    }
}

fn undescribed(name: &str, root: &Value, schema: &Value) {
    let Some(entries) = schema.as_object() else { return };
    for (property, below) in
        entries.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        if below == &Value::Bool(false) {
            continue;
        }
        let target = below.get("$ref").and_then(Value::as_str).and_then(|r| root.pointer(&r[1..]));
        let described = below.get("description").or_else(|| target?.get("description"));
        assert!(described.is_some(), "{name}: `{property}` has no description");
    }
    for (key, below) in entries {
        match below {
            Value::Object(_) if key == "properties" => {
                for below in below.as_object().into_iter().flatten().map(|(_, below)| below) {
                    undescribed(name, root, below);
                }
            }
            Value::Object(_) if key != "default" => undescribed(name, root, below),
            _ => {}
        }
    }
}
