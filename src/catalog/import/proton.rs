//! Bundles of AWS Proton: `schema/schema.yaml`, and CloudFormation with Jinja.
//!
//! A service's pipeline is left out: vend is driven by Git already.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::expression::Hbs;
use super::jinja::translate;
use super::{
    Bundle, Draft, Imported, Wanted, changed, items, line_of, lost, openapi, parse, schema_text,
    stack, text_of, wrong,
};
use crate::model::{Diagnostic, escape};
use crate::yaml::Node;

/// What kind of template a bundle is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Environment,
    Service,
}

const SCHEMA: &str = "schema/schema.yaml";

pub(super) fn import(bundle: &Bundle<'_>, wanted: &Wanted) -> Result<Imported, Vec<Diagnostic>> {
    let schema = bundle.yaml(SCHEMA)?;
    let inner =
        schema.get("schema").ok_or_else(|| wrong(SCHEMA, 1, "there is no `schema` in it"))?;
    let (kind, input) = input(inner)?;
    let mut notes = Vec::new();
    let folder = match kind {
        Kind::Environment => "infrastructure/",
        Kind::Service => "instance_infrastructure/",
    };
    let folder = if bundle.paths().any(|path| path.starts_with(folder)) {
        folder
    } else {
        "infrastructure/"
    };
    let file = source(bundle, folder)?;
    let text = bundle.text(&file).unwrap_or_default();

    let (mut properties, mut required, defs, title) = types(inner, input, &mut notes)?;
    let mut outputs_used: BTreeMap<String, String> = BTreeMap::new();
    let names: Vec<String> = properties.keys().cloned().collect();
    let mut lookup = |path: &[String]| lookup(kind, &names, &mut outputs_used, path);
    let translated = translate(&file, text, &mut lookup);
    notes.extend(translated.notes);
    for (parameter, output) in &outputs_used {
        let shown = escape(output, 80);
        let mut property = json!({
            "type": "string",
            "description": format!("The output {output} of the environment."),
        });
        if let Some(template) = &wanted.environment_template {
            property["x-reference"] = json!({"template": template});
        }
        let message = format!(
            "the environment's output `{shown}` became the parameter `{}`",
            escape(parameter, 80)
        );
        let line =
            text.lines().position(|line| line.contains(output.as_str())).map_or(1, |n| n + 1);
        notes.push(changed(&file, u32::try_from(line).unwrap_or(1), message).help(
            "requests fill it by `references`, from the request that stands for the environment",
        ));
        properties.insert(parameter.clone(), property);
        required.push(parameter.clone());
    }
    for path in bundle.paths() {
        let is_used = path == SCHEMA || path == file || path.ends_with("manifest.yaml");
        let why = if path.starts_with("pipeline_infrastructure/") {
            "a pipeline has no counterpart: vend is driven by Git"
        } else if is_used || path.eq_ignore_ascii_case("README.md") {
            continue;
        } else {
            "this file is not part of the template, and was left out"
        };
        notes.push(lost(path, 1, why));
    }
    // Outputs and types are read from the plain text, where that is YAML; braces are none.
    let stack = parse(&file, &without_tags(text));
    let (with, outputs) = match &stack {
        Ok(stack) => (
            stack::settings(stack, wanted.stack_name.as_deref()),
            stack::outputs(&file, stack, &mut notes),
        ),
        Err(problems) => {
            let line = problems.first().map_or(1, |problem| problem.place.line);
            notes.push(lost(
                &file,
                line,
                "outputs and capabilities could not be read: add them to template.yaml",
            ));
            (stack_name_only(wanted), Vec::new())
        }
    };
    let description = text_of_input(inner, input, "description");
    let draft = Draft {
        wanted,
        title,
        description,
        component: "stack",
        provider: "cloudformation",
        source: "stack.yaml.hbs",
        with,
        outputs,
    };
    let mut imported = Imported { notes, ..Imported::default() };
    let schema = schema_text(None, &properties, &required, &defs);
    for (name, text) in [
        ("template.yaml", draft.text()),
        ("schema.json", schema),
        ("stack.yaml.hbs", translated.text),
    ] {
        imported.files.insert(name.to_owned(), text.into_bytes().into());
    }
    Ok(imported)
}

fn stack_name_only(wanted: &Wanted) -> Map<String, Value> {
    let name = wanted.stack_name.iter();
    name.map(|name| ("stackName".to_owned(), json!(name))).collect()
}

/// Whether it is for environments or services, and the name of its inputs' type.
fn input(schema: &Node) -> Result<(Kind, &str), Vec<Diagnostic>> {
    if let Some(name) = text_of(schema, "environment_input_type") {
        return Ok((Kind::Environment, name));
    }
    if let Some(name) = text_of(schema, "service_input_type") {
        return Ok((Kind::Service, name));
    }
    let message = "it names neither `environment_input_type` nor `service_input_type`";
    Err(wrong(SCHEMA, line_of(schema), message))
}

/// The CloudFormation template that the manifest names.
fn source(bundle: &Bundle<'_>, folder: &str) -> Result<String, Vec<Diagnostic>> {
    let manifest = format!("{folder}manifest.yaml");
    let node = bundle.yaml(&manifest)?;
    let templates = items(node.at("/infrastructure/templates"));
    let [template] = templates else {
        let message = format!(
            "expected one template in `infrastructure.templates`, found {}",
            templates.len()
        );
        return Err(wrong(&manifest, line_of(&node), message));
    };
    let language = text_of(template, "template_language").unwrap_or("cloudformation");
    if language != "cloudformation" {
        let message = format!("templates in `{}` cannot be imported", escape(language, 60));
        return Err(wrong(&manifest, line_of(template), message));
    }
    let named = text_of(template, "file").unwrap_or("cloudformation.yaml");
    let file = format!("{folder}{}", named.trim_start_matches('/'));
    if bundle.text(&file).is_none() {
        let message = format!("it names `{}`, which is not there", escape(named, 100));
        return Err(wrong(&manifest, line_of(template), message));
    }
    Ok(file)
}

fn text_of_input(schema: &Node, input: &str, key: &str) -> Option<String> {
    text_of(schema.get("types")?.get(input)?, key).map(str::to_owned)
}

type Types = (Map<String, Value>, Vec<String>, Map<String, Value>, Option<String>);

/// The parameters, which of them are required, and the other types.
fn types(
    schema: &Node,
    input: &str,
    notes: &mut Vec<Diagnostic>,
) -> Result<Types, Vec<Diagnostic>> {
    let types = super::entries(schema.get("types"));
    let Some((_, main)) = types.iter().find(|(key, _)| key.name == input) else {
        let message = format!("`types` has no `{}`", escape(input, 80));
        return Err(wrong(SCHEMA, line_of(schema), message));
    };
    let mut defs = Map::new();
    for (key, other) in types.iter().filter(|(key, _)| key.name != input) {
        let is_pipeline = text_of(schema, "pipeline_input_type") == Some(&key.name);
        let line = key.span.start.line;
        if is_pipeline {
            notes.push(lost(SCHEMA, line, "the inputs of a pipeline have no counterpart"));
            continue;
        }
        let at = escape(&key.name, 80);
        defs.insert(key.name.clone(), openapi::schema(other, &at, SCHEMA, notes));
    }
    let mut properties = Map::new();
    for (name, property) in super::entries(main.get("properties")) {
        let at = escape(&name.name, 80);
        let value = openapi::schema(property, &at, SCHEMA, notes);
        properties.insert(name.name.clone(), value);
    }
    let required = items(main.get("required")).iter().filter_map(|name| match &name.data {
        crate::yaml::Data::String(name) => Some(name.clone()),
        _ => None,
    });
    let required = required.filter(|name| properties.contains_key(name)).collect();
    Ok((properties, required, defs, text_of(main, "title").map(str::to_owned)))
}

/// What a name of Proton's stands for.
fn lookup(
    kind: Kind,
    parameters: &[String],
    outputs: &mut BTreeMap<String, String>,
    path: &[String],
) -> Result<(Hbs, Option<String>), String> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let shown = escape(&path.join("."), 80);
    let known = |name: &str, rest: &[&str]| {
        if !parameters.iter().any(|parameter| parameter == name) {
            return Err(format!("`{shown}`, which the schema does not have,"));
        }
        let all: Vec<&str> = ["parameters", name].iter().chain(rest).copied().collect();
        Ok((Hbs::Path(all.join(".")), None))
    };
    let own = match kind {
        Kind::Environment => "environment",
        Kind::Service => "service_instance",
    };
    match parts.as_slice() {
        [first, "inputs", name, rest @ ..] if *first == own || *first == "service" => {
            known(name, rest)
        }
        ["environment", "outputs", output] if kind == Kind::Service => {
            let parameter = parameter_of(output, parameters);
            outputs.insert(parameter.clone(), (*output).to_owned());
            Ok((Hbs::Path(format!("parameters.{parameter}")), None))
        }
        ["environment", "name"] => match kind {
            Kind::Environment => Ok((Hbs::Path("request.name".into()), None)),
            Kind::Service => Ok((Hbs::Path("environment.name".into()), None)),
        },
        ["service", "name"] => Ok((Hbs::Path("request.name".into()), None)),
        ["service_instance", "name"] => {
            let remark = "`service_instance.name` became the name of the environment";
            Ok((Hbs::Path("environment.name".into()), Some(remark.to_owned())))
        }
        _ => Err(format!("`{shown}`")),
    }
}

/// The parameter that an environment's output is given by.
fn parameter_of(output: &str, parameters: &[String]) -> String {
    let mut chars = output.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    let name: String = first.into_iter().chain(chars).collect();
    if parameters.contains(&name) { format!("environment{output}") } else { name }
}

/// A source with each tag as a text of letters, so that it can be read as YAML; lines stay.
fn without_tags(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        out.push_str(&rest[..start]);
        let is_value = rest[start..].starts_with("{{");
        let close = if is_value {
            "}}"
        } else if rest[start..].starts_with("{%") {
            "%}"
        } else {
            "#}"
        };
        let Some(end) = rest[start..].find(close) else { break };
        let tag = &rest[start..start + end + 2];
        out.push_str(if is_value { "x" } else { "" });
        out.extend(std::iter::repeat_n('\n', tag.matches('\n').count()));
        rest = &rest[start + end + 2..];
    }
    out.push_str(rest);
    out
}
