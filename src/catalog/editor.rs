//! One schema for all requests of a catalog, for editors.

use serde_json::{Value, json};

use super::load::Catalog;
use super::parameters::rewrite;
use super::schema::Kind;
use super::template::TemplateVersion;

/// The schema of requests with the templates of this catalog: `template` lists every `name@version`,
/// and `parameters` follows the template's own schema. Parameters that a template requires are not
/// required here, since a reference or the environment may fill them.
pub fn request_schema(catalog: &Catalog) -> Value {
    let mut whole = Kind::Request.schema().raw.clone();
    let usable = || catalog.versions().filter(|version| !version.is_broken());
    let ids: Vec<String> = usable().map(|version| version.id.to_string()).collect();
    let mut cases = Vec::new();
    let mut defs = Vec::new();
    for (name, versions) in &catalog.templates {
        let mut newest = None;
        for version in versions.values().filter(|version| !version.is_broken()) {
            let id = version.id.to_string();
            cases.push(case(&json!({"const": id}), &id));
            defs.push((id.clone(), parameters(version, &id)));
            if version.is_stable() || newest.is_none() {
                newest = Some(id);
            }
        }
        if let Some(newest) = newest {
            cases.push(case(&json!({"pattern": format!("^{name}@[~^<>=]")}), &newest));
        }
    }
    if let Some(template) = whole.pointer_mut("/properties/spec/properties/template") {
        let pattern = template.get("pattern").cloned().unwrap_or(json!(""));
        *template = json!({
            "description": template["description"],
            "type": "string",
            "anyOf": [
                {"title": "an exact version", "enum": ids},
                {
                    "title": "a range of versions",
                    "allOf": [{"pattern": pattern}, {"pattern": "@[~^<>=]"}],
                },
            ],
        });
    }
    if let Some(spec) = whole.pointer_mut("/properties/spec").and_then(Value::as_object_mut) {
        spec.insert("allOf".into(), Value::Array(cases));
    }
    if let Some(all) = whole.get_mut("$defs").and_then(Value::as_object_mut) {
        all.extend(defs.into_iter().map(|(id, schema)| (key(&id), schema)));
    }
    if let Some(top) = whole.as_object_mut() {
        top.remove("examples");
        top.remove("$id");
        top.insert("title".into(), json!(format!("Request to the catalog {}", catalog.name)));
    }
    whole
}

fn key(id: &str) -> String {
    format!("template:{id}")
}

fn case(template: &Value, id: &str) -> Value {
    json!({
        "if": {"properties": {"template": template}, "required": ["template"]},
        "then": {"properties": {"parameters": {"$ref": format!("#/$defs/{}", key(id))}}},
    })
}

fn parameters(version: &TemplateVersion, id: &str) -> Value {
    let mut schema = version.parameters.schema.raw.clone();
    let base = format!("#/$defs/{}", key(id));
    rewrite(&mut schema, &|reference| {
        reference.strip_prefix('#').map(|pointer| format!("{base}{pointer}"))
    });
    if let Some(entries) = schema.as_object_mut() {
        entries.remove("required");
    }
    schema
}
