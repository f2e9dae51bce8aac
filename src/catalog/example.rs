//! A request for a template that would be accepted, for people to begin from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map as Object, Value, json};

use super::check::{Checked, Filled, Verdict, check};
use super::load::Catalog;
use super::request::{RequestFile, request};
use super::resolve::offered;
use super::template::TemplateVersion;
use crate::model::{Diagnostic, Map, Reference, RequestId, Symbol};
use crate::yaml;

/// A request that was held against the catalog and is valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// Where such a file could lie, by the usual pattern.
    pub path: String,
    /// The file.
    pub text: String,
}

/// Texts that patterns of names, addresses and the like admit, the plainest first.
const TEXTS: [&str; 14] = [
    "example",
    "example.com",
    "https://example.com",
    "a",
    "A",
    "1",
    "1.0.0",
    "10.0.0.0/16",
    "10.0.0.0",
    "example@example.com",
    "registry.example.com/example:1.0.0",
    "Example",
    "eu-north-1",
    "arn:aws:iam::111111111111:role/example",
];

/// Whether nothing else refuses a request that was checked: no rule, and no source.
type Passes<'r> = &'r dyn Fn(&RequestFile, &Checked) -> bool;

/// How deep values are made inside of values.
const DEPTH_MAX: usize = 8;

/// The first request that an environment takes: with the values that the schema names, as examples, as
/// defaults or as the least that it allows; else with those of one of the version's tests. Rules and
/// sources may refuse what the schema allows: `passes` asks them.
pub fn example(
    catalog: &Catalog,
    version: &TemplateVersion,
    providers: &[&str],
    passes: Passes<'_>,
) -> Option<Example> {
    if version.is_broken() {
        return None;
    }
    let mut environments: Vec<_> = catalog.environments.values().collect();
    environments.sort_by_key(|environment| (environment.protect, &environment.name));
    let offers = environments.iter().filter(|e| !e.is_broken() && e.allows(&version.id.name));
    for environment in offers {
        for optional in [true, false] {
            let spec = made(catalog, version, environment, optional);
            let example = tried(catalog, version, &environment.name, &spec, providers, passes);
            if example.is_some() {
                return example;
            }
        }
    }
    version.tests.iter().find_map(|test| {
        let wanted = &test.document.spec;
        let fails = wanted.expect.diagnostics.as_ref().is_some_and(|codes| !codes.is_empty());
        let mut parameters = wanted.request.parameters.clone();
        parameters.extend(wanted.request.references.clone());
        let spec = Spec { parameters, ..Spec::default() };
        let environment = &wanted.environment;
        (!fails).then(|| tried(catalog, version, environment, &spec, providers, passes))?
    })
}

#[derive(Default)]
struct Spec {
    parameters: Map,
    references: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Value>,
}

/// What the schema asks for; with `optional` what it gives examples of as well.
fn made(
    catalog: &Catalog,
    version: &TemplateVersion,
    environment: &super::Environment,
    optional: bool,
) -> Spec {
    let parameters = &version.parameters;
    let schema = &parameters.schema.raw;
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let set = |name: &str| {
        let of = |values: &BTreeMap<String, Map>| {
            values.get(&version.id.name).is_some_and(|values| values.contains_key(name))
        };
        of(&environment.defaults) || of(&environment.locked)
    };
    let mut spec = Spec::default();
    for name in &parameters.names {
        let Some(property) = parameters.property(name) else { continue };
        let has_example = property.get("examples").is_some();
        let wanted = is_required(name) && !set(name);
        if !(wanted || (optional && has_example && !set(name))) {
            continue;
        }
        let output = parameters.filled_by.get(name).and_then(|t| output(catalog, t, name));
        if parameters.sensitive.contains(name) {
            let secret = environment.secrets.first();
            let arn = secret.map(|pattern| {
                let id = pattern.replace("{team}", "example").replace("{name}", &version.id.name);
                id.replace("{environment}", &environment.name).replace('*', "example")
            });
            let arn = arn.map(|arn| (name.clone(), json!({"awsSecretsManager": arn})));
            spec.secrets.extend(arn);
        } else if let Some((template, output)) = output {
            let other = format!("example/{}/{template}", environment.name);
            spec.references.insert(name.clone(), json!({"request": other, "output": output}));
        } else {
            let fits = |value: &Value| parameters.fits(name, value);
            if let Some(value) = value(schema, &property, &fits, 0) {
                spec.parameters.insert(name.clone(), value);
            }
        }
    }
    spec
}

/// The output of a template that would fill a parameter: the one of the same name, else its only one.
fn output<'a>(catalog: &'a Catalog, template: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let outputs = &offered(catalog.templates.get(template)?)?.outputs;
    let same = outputs.get_key_value(name).map(|(name, _)| name.as_str());
    let only = || outputs.keys().next().filter(|_| outputs.len() == 1).map(String::as_str);
    Some((template, same.or_else(only)?))
}

/// A value for a schema; what it is inside of may still refuse it.
fn value(
    root: &Value,
    schema: &Value,
    fits: &dyn Fn(&Value) -> bool,
    depth: usize,
) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
    let said = examples.chain(schema.get("default")).chain(schema.get("const"));
    let choices = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    if let Some(value) = said.chain(choices).next() {
        return Some(value.clone());
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind.unwrap_or("string") {
        "boolean" => Some(json!(false)),
        "integer" | "number" => Some(number(schema)),
        "array" => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(16);
            let item = schema.get("items").map(|items| super::parameters::resolved(root, items));
            let any = |_: &Value| true;
            let item = item.and_then(|item| value(root, &item, &any, depth + 1));
            let items = (0..least).map(|_| item.clone().unwrap_or(json!("example")));
            Some(Value::Array(items.collect()))
        }
        "object" => {
            let mut object = Object::new();
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                let inner = schema.get("properties").and_then(|p| p.get(name));
                let inner = super::parameters::resolved(root, inner.unwrap_or(&Value::Null));
                let whole = |value: &Value| {
                    let mut object = object.clone();
                    object.insert(name.to_owned(), value.clone());
                    fits(&Value::Object(object))
                };
                let made = value(root, &inner, &whole, depth + 1)?;
                object.insert(name.to_owned(), made);
            }
            Some(Value::Object(object))
        }
        "null" => Some(Value::Null),
        _ => text(schema, fits),
    }
}

/// The least that its limits allow.
fn number(schema: &Value) -> Value {
    if let Some(least) = schema.get("minimum") {
        return least.clone();
    }
    if let Some(above) = schema.get("exclusiveMinimum").and_then(Value::as_i64) {
        return json!(above.saturating_add(1));
    }
    schema.get("maximum").filter(|most| most.as_f64() < Some(1.0)).cloned().unwrap_or(json!(1))
}

fn text(schema: &Value, fits: &dyn Fn(&Value) -> bool) -> Option<Value> {
    let limit = |key| schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let least = limit("minLength").unwrap_or(0).min(256);
    let most = limit("maxLength").unwrap_or(usize::MAX);
    let long = |text: &str| {
        let padded = text.chars().chain(std::iter::repeat('e'));
        padded.take(text.chars().count().max(least).min(most)).collect::<String>()
    };
    let mut texts =
        TEXTS.iter().map(|text| json!(text)).chain(TEXTS.iter().map(|t| json!(long(t))));
    texts.find(|text| fits(text))
}

/// As a file, when the catalog would take it.
fn tried(
    catalog: &Catalog,
    version: &TemplateVersion,
    environment: &str,
    spec: &Spec,
    providers: &[&str],
    passes: Passes<'_>,
) -> Option<Example> {
    let id = RequestId::new("example", environment, &version.id.name)?;
    let path = format!("requests/{id}.yaml");
    let mut text =
        format!("apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: {}\n", version.id);
    let parts = [
        ("parameters", (!spec.parameters.is_empty()).then(|| json!(spec.parameters))),
        ("references", (!spec.references.is_empty()).then(|| json!(spec.references))),
        ("secrets", (!spec.secrets.is_empty()).then(|| json!(spec.secrets))),
    ];
    for (name, part) in parts {
        let Some(part) = part else { continue };
        for line in yaml::write_json(&json!({name: part})).lines() {
            let gap = if line.is_empty() { "" } else { "  " };
            text.push_str(&format!("{gap}{line}\n"));
        }
    }
    let file: Arc<str> = path.as_str().into();
    let read = request(&file, &id, text.as_bytes()).ok()?;
    let later = |reference: &Reference, _: Option<&str>| {
        let Reference { request, output } = reference.clone();
        Filled::Unknown(Symbol { request, component: None, output })
    };
    match check(catalog, &read, Some(&version.id), providers, &later) {
        Verdict::Checked(checked) if !checked.notes.iter().any(Diagnostic::is_error) => {
            passes(&read, &checked).then_some(Example { path, text })
        }
        Verdict::Checked(_) | Verdict::Invalid(_) | Verdict::Waiting(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_from_what_a_schema_says() {
        let any = |_: &Value| true;
        let of = |schema: Value| value(&schema, &schema, &any, 0).unwrap();
        assert_eq!(of(json!({"type": "string", "examples": ["x"], "default": "y"})), json!("x"));
        assert_eq!(of(json!({"type": "integer", "minimum": 3})), json!(3));
        assert_eq!(of(json!({"type": "integer", "exclusiveMinimum": 3})), json!(4));
        assert_eq!(of(json!({"enum": ["b", "a"]})), json!("b"));
        let list = json!({"type": "array", "minItems": 2, "items": {"type": "boolean"}});
        assert_eq!(of(list), json!([false, false]));
        let object = json!({
            "type": "object", "required": ["a"],
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        });
        assert_eq!(of(object), json!({"a": "example"}));
        let recursive = json!({
            "type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}},
        });
        assert_eq!(value(&recursive, &recursive, &any, 0), None);
    }
}
