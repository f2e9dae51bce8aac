//! One schema for all requests of a catalog, for editors.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::file::Lifecycle;
use super::load::Catalog;
use super::parameters::rewrite;
use super::schema::Kind;
use super::template::TemplateVersion;

/// The schema of requests with the templates of this catalog: `template` lists every `name@version`,
/// and `parameters` follows the template's own schema, of a range that of the newest version which it
/// could mean. Parameters that a template requires are not
/// required here, since a reference or the environment may fill them.
pub fn request_schema(catalog: &Catalog) -> Value {
    let mut whole = Kind::Request.schema().raw.clone();
    let mut cases = Vec::new();
    let mut defs = Vec::new();
    let (mut offers, mut retired) = (Vec::new(), Vec::new());
    for (name, versions) in &catalog.templates {
        let mut newest = None;
        let mut lines: BTreeMap<String, &TemplateVersion> = BTreeMap::new();
        for version in versions.values().filter(|version| !version.is_broken()) {
            let id = version.id.to_string();
            cases.push(case(&json!({"const": id}), version));
            defs.push((id.clone(), parameters(version, &id)));
            match version.lifecycle {
                // Not offered; and a request that has it is no mistake.
                Lifecycle::Retired => retired.push(id),
                _ => offers.push(offer(&id, version, "")),
            }
            if version.is_stable() || newest.is_none() {
                newest = Some(version);
            }
            let first = lines.entry(line(&version.id.version)).or_insert(version);
            if version.is_stable() || !first.is_stable() {
                *first = version;
            }
        }
        for (line, newest) in lines {
            cases.push(case(&json!({"pattern": of_line(name, &line)}), newest));
        }
        if let Some(newest) = newest {
            let range = format!("{name}@^{}", line(&newest.id.version));
            offers.push(offer(&range, newest, "The newest of these versions. "));
        }
    }
    if let Some(template) = whole.pointer_mut("/properties/spec/properties/template") {
        let pattern = template.get("pattern").cloned().unwrap_or(json!(""));
        if !retired.is_empty() {
            offers.push(json!({"enum": retired}));
        }
        let range = json!({"allOf": [{"pattern": pattern}, {"pattern": "@[~^<>=]"}]});
        offers.push(range);
        *template = json!({
            "description": template["description"],
            "type": "string",
            "anyOf": offers,
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

/// The numbers that versions have in common whose parameters suit one another: the first, and before
/// 1.0.0 the second as well.
fn line(version: &semver::Version) -> String {
    match version.major {
        0 => format!("0.{}", version.minor),
        major => major.to_string(),
    }
}

/// Ranges that stay in a line. What others admit may have any parameters: nothing is said of those.
fn of_line(name: &str, line: &str) -> String {
    format!(r"^{name}@[~^=] *{}(\.[-+.*0-9A-Za-z]*)?$", line.replace('.', r"\."))
}

fn key(id: &str) -> String {
    format!("template:{id}")
}

/// What an editor offers for `template`, and shows of it.
fn offer(text: &str, version: &TemplateVersion, before: &str) -> Value {
    let about = version.description.as_deref().or(version.title.as_deref()).unwrap_or_default();
    let deprecated = match (&version.lifecycle, &version.replaced_by) {
        (Lifecycle::Deprecated, Some(other)) => format!("Deprecated: use `{other}`. "),
        (Lifecycle::Deprecated, None) => "Deprecated. ".to_owned(),
        (Lifecycle::Experimental, _) => "Experimental. ".to_owned(),
        (Lifecycle::Stable | Lifecycle::Retired, _) => String::new(),
    };
    let mut offer = json!({"const": text, "title": text});
    let about = format!("{deprecated}{before}{about}");
    if !about.is_empty() {
        offer["description"] = json!(about.trim_end());
    }
    offer
}

/// What holds where `template` is such a text.
///
/// "Not something else than that" is how it is asked, since with `properties` and `required` editors
/// take the question for a proposal, and offer the texts of all templates as fields of `spec`.
fn case(template: &Value, version: &TemplateVersion) -> Value {
    let parameters = &version.parameters;
    let target = format!("#/$defs/{}", key(&version.id.to_string()));
    let mut then = json!({"parameters": {"$ref": target}});
    if parameters.schema.raw.get("additionalProperties") == Some(&Value::Bool(false)) {
        then["references"] = json!({"propertyNames": {"enum": parameters.names}});
        then["secrets"] = json!({"propertyNames": {"enum": parameters.names}});
    }
    json!({
        "if": {"not": {"properties": {"template": {"not": template}}}},
        "then": {"properties": then},
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
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if version.parameters.sensitive.contains(name) {
            let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let about = format!("{about} A secret: name where it is kept under `secrets`.");
            *property = json!({
                "description": about.trim(),
                // Nothing that a file could hold; and not JSON Schema: what editors say then.
                "type": "null",
                "errorMessage": "a secret's value never stands in a file: name it under `secrets`",
                "doNotSuggest": true,
            });
        }
    }
    schema
}
