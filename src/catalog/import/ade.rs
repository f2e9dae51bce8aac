//! Definitions of Azure Deployment Environments: a manifest, and sources in ARM, Bicep or Terraform.
//!
//! The sources are kept as they are, for providers that vend does not have yet: until then a request
//! of such a template waits, and says for what.

use serde_json::{Map, Value, json};

use super::{
    Bundle, Draft, Imported, Wanted, entries, items, line_of, lost, schema_text, text_of, wrong,
};
use crate::catalog::schema::Schema;
use crate::model::{Diagnostic, escape};
use crate::yaml::{Data, Node};

const MANIFESTS: [&str; 4] =
    ["environment.yaml", "environment.yml", "manifest.yaml", "manifest.yml"];

pub(super) fn import(bundle: &Bundle<'_>, wanted: &Wanted) -> Result<Imported, Vec<Diagnostic>> {
    let file = MANIFESTS.into_iter().find(|path| bundle.files.get(path).is_some());
    let file = file.ok_or_else(|| wrong(".", 1, "there is no `environment.yaml` here"))?;
    let manifest = bundle.yaml(file)?;
    let mut notes = Vec::new();
    let Some(main) = text_of(&manifest, "templatePath") else {
        return Err(wrong(file, 1, "it has no `templatePath`"));
    };
    let main = main.trim_start_matches("./");
    let runner = text_of(&manifest, "runner").unwrap_or_default();
    let provider = provider(runner, main);
    let Some(provider) = provider else {
        let line = manifest.get("runner").map_or(1, line_of);
        let message =
            format!("the runner `{}` is none of ARM, Bicep and Terraform", escape(runner, 80));
        return Err(wrong(file, line, message));
    };
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_source =
        |path: &str| path == main || folder.is_empty() || path.starts_with(&format!("{folder}/"));
    let mut imported = Imported::default();
    let mut found = false;
    for path in bundle.paths() {
        let is_ours = MANIFESTS.contains(&path) || path.eq_ignore_ascii_case("README.md");
        if is_ours {
            continue;
        }
        match bundle.files.get(path).and_then(|file| file.bytes()) {
            Some(bytes) if is_source(path) && std::str::from_utf8(bytes).is_ok() => {
                // One that ends so would be rendered.
                if path.ends_with(".hbs") {
                    notes.push(lost(
                        path,
                        1,
                        "a file that ends in `.hbs` would be rendered, and was left out",
                    ));
                    continue;
                }
                found |= path == main;
                imported.files.insert(format!("source/{path}"), bytes.clone());
            }
            _ => notes.push(lost(
                path,
                1,
                "this file is no text beside the template, and was left out",
            )),
        }
    }
    if !found {
        let line = manifest.get("templatePath").map_or(1, line_of);
        let message = format!("it names `{}`, which is not there", escape(main, 100));
        return Err(wrong(file, line, message));
    }
    let (properties, required) = match manifest.get("parameters") {
        Some(list) => of_manifest(file, items(Some(list)), &mut notes),
        None if provider == "arm" => of_arm(bundle, main, &mut notes)?,
        None => {
            let message = "it lists no parameters, and those of Bicep and Terraform are not read: add them to schema.json";
            notes.push(lost(file, 1, message));
            (Map::new(), Vec::new())
        }
    };
    for (key, _) in entries(Some(&manifest)) {
        let known = [
            "name",
            "version",
            "summary",
            "description",
            "runner",
            "templatePath",
            "parameters",
            "$schema",
        ];
        if !known.contains(&key.name.as_str()) {
            let message = format!("`{}` has no counterpart", escape(&key.name, 60));
            notes.push(lost(file, key.span.start.line, message));
        }
    }
    let message = format!(
        "there is no provider `{provider}` yet: the sources are kept, and a request of this template waits"
    );
    let line = manifest.get("runner").or(manifest.get("templatePath")).map_or(1, line_of);
    notes.push(super::changed(file, line, message));
    let text = |key: &str| text_of(&manifest, key).map(str::to_owned);
    let draft = Draft {
        wanted,
        title: text("name"),
        description: text("description").or(text("summary")),
        component: "deployment",
        provider,
        source: "source",
        with: Map::new(),
        outputs: Vec::new(),
    };
    imported.files.insert("template.yaml".into(), draft.text().into_bytes().into());
    let schema = schema_text(None, &properties, &required, &Map::new());
    imported.files.insert("schema.json".into(), schema.into_bytes().into());
    imported.notes = notes;
    Ok(imported)
}

fn provider(runner: &str, main: &str) -> Option<&'static str> {
    match runner.to_ascii_lowercase().as_str() {
        "arm" => Some("arm"),
        "bicep" => Some("bicep"),
        "terraform" => Some("terraform"),
        // Images of runners, and no runner: the source says what it is.
        _ if main.ends_with(".json") => Some("arm"),
        _ if main.ends_with(".bicep") => Some("bicep"),
        _ if main.ends_with(".tf") => Some("terraform"),
        _ => None,
    }
}

type Parameters = (Map<String, Value>, Vec<String>);

fn of_manifest(file: &str, list: &[Node], notes: &mut Vec<Diagnostic>) -> Parameters {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in list {
        let line = line_of(parameter);
        let Some(id) = text_of(parameter, "id").or(text_of(parameter, "name")) else {
            notes.push(lost(file, line, "a parameter without `id`"));
            continue;
        };
        let kind = text_of(parameter, "type").unwrap_or("string").to_ascii_lowercase();
        let mut schema = typed(&kind);
        if let Some(title) = text_of(parameter, "name").filter(|name| *name != id) {
            schema["title"] = json!(title);
        }
        if let Some(about) = text_of(parameter, "description") {
            schema["description"] = json!(about.trim());
        }
        let allowed = items(parameter.get("allowed"));
        if !allowed.is_empty() {
            schema["enum"] = allowed.iter().map(Node::to_json).collect();
        }
        default(file, id, parameter.get("default"), &mut schema, notes);
        let wanted = parameter.get("required").is_some_and(|flag| flag.data == Data::Bool(true));
        // Of one that is listed twice the last counts, here too.
        required.retain(|name| name != id);
        if wanted && schema.get("default").is_none() {
            required.push(id.to_owned());
        }
        for (key, _) in entries(Some(parameter)) {
            let known = ["id", "name", "description", "type", "allowed", "default", "required"];
            if !known.contains(&key.name.as_str()) {
                let message = format!(
                    "`{}` of `{}` has no counterpart",
                    escape(&key.name, 60),
                    escape(id, 60)
                );
                notes.push(lost(file, key.span.start.line, message));
            }
        }
        if properties.insert(id.to_owned(), schema).is_some() {
            let message = format!("`{}` is listed twice: the last one counts", escape(id, 60));
            notes.push(lost(file, line, message));
        }
    }
    (properties, required)
}

/// The parameters of a template of the Azure Resource Manager.
fn of_arm(
    bundle: &Bundle<'_>,
    main: &str,
    notes: &mut Vec<Diagnostic>,
) -> Result<Parameters, Vec<Diagnostic>> {
    let template = bundle.yaml(main)?;
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (key, parameter) in entries(template.get("parameters")) {
        let kind = text_of(parameter, "type").unwrap_or("string").to_ascii_lowercase();
        let mut schema = typed(&kind);
        if let Some(about) = parameter
            .at("/metadata/description")
            .and_then(|d| d.to_json().as_str().map(str::to_owned))
        {
            schema["description"] = json!(about);
        }
        let allowed = items(parameter.get("allowedValues"));
        if !allowed.is_empty() {
            schema["enum"] = allowed.iter().map(Node::to_json).collect();
        }
        for (from, to) in [
            ("minLength", "minLength"),
            ("maxLength", "maxLength"),
            ("minValue", "minimum"),
            ("maxValue", "maximum"),
        ] {
            if let Some(limit) = parameter.get(from) {
                let to = match (kind.as_str(), to) {
                    ("array", "minLength") => "minItems",
                    ("array", "maxLength") => "maxItems",
                    (_, to) => to,
                };
                schema[to] = limit.to_json();
            }
        }
        let given = parameter.get("defaultValue");
        default(main, &key.name, given, &mut schema, notes);
        if given.is_none() {
            required.push(key.name.clone());
        }
        properties.insert(key.name.clone(), schema);
    }
    Ok((properties, required))
}

fn typed(kind: &str) -> Value {
    match kind {
        "int" | "integer" => json!({"type": "integer"}),
        "number" => json!({"type": "number"}),
        "bool" | "boolean" => json!({"type": "boolean"}),
        "array" => json!({"type": "array"}),
        "object" => json!({"type": "object"}),
        "secureobject" => json!({"type": "object", "x-sensitive": true}),
        "securestring" => json!({"type": "string", "x-sensitive": true}),
        _ => json!({"type": "string"}),
    }
}

fn default(
    file: &str,
    name: &str,
    given: Option<&Node>,
    schema: &mut Value,
    notes: &mut Vec<Diagnostic>,
) {
    let Some(given) = given else { return };
    let (value, line, name) = (given.to_json(), line_of(given), escape(name, 80));
    let is_computed =
        value.as_str().is_some_and(|text| text.starts_with('[') && text.ends_with(']'));
    let fits = || Schema::compile(schema.clone()).is_ok_and(|s| s.validator.is_valid(&value));
    let why = if schema.get("x-sensitive").is_some() {
        "is a secret's"
    } else if is_computed {
        "is computed by Azure"
    } else if !fits() {
        "does not keep the parameter's own rules"
    } else {
        schema["default"] = value;
        return;
    };
    notes.push(lost(file, line, format!("the default of `{name}` {why}, and was left out")));
}
