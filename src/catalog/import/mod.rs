//! Bundles of other catalogs into versions of templates, with what could not be carried over.
//!
//! Guarantees: nothing is left out silently. What has no counterpart here is a note at its file and
//! line, and stands in the new source as a comment that says so; it never stands there as something
//! that would be rendered.

mod ade;
mod expression;
mod jinja;
mod openapi;
mod product;
mod proton;
mod stack;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;
use serde_json::{Map, Value, json};

use crate::model::{Diagnostic, Files, Place};
use crate::yaml::{self, Node, Options as Reading, Tags};

/// Whose bundle it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// AWS Proton.
    Proton,
    /// Azure Deployment Environments.
    Ade,
    /// AWS Service Catalog, or any CloudFormation template with parameters.
    ServiceCatalog,
}

/// What the new version is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The template's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// How its stacks are called, for those that run already.
    pub stack_name: Option<String>,
    /// The template whose outputs stand for those of a Proton environment.
    pub environment_template: Option<String>,
}

/// A version, with what there is to say of it.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Its files, by their paths in the version's folder.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What was left out or changed, in the order of the files.
    pub notes: Vec<Diagnostic>,
}

/// Turns a bundle into a version of a template.
///
/// # Errors
/// What makes it no bundle of that format.
pub fn import(format: Format, files: &Files, wanted: &Wanted) -> Result<Imported, Vec<Diagnostic>> {
    let bundle = Bundle { files };
    let mut imported = match format {
        Format::Proton => proton::import(&bundle, wanted)?,
        Format::Ade => ade::import(&bundle, wanted)?,
        Format::ServiceCatalog => product::import(&bundle, wanted)?,
    };
    imported.notes.sort_by(|a, b| a.place.cmp(&b.place));
    imported.notes.dedup();
    Ok(imported)
}

/// `IMP002`: something has no counterpart, and was left out.
fn lost(file: &str, line: u32, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning("IMP002", at(file, line), message)
}

/// `IMP003`: something was carried over and means something else now, or should be looked at.
fn changed(file: &str, line: u32, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning("IMP003", at(file, line), message)
}

/// `IMP001`: this cannot be imported at all.
fn wrong(file: &str, line: u32, message: impl Into<String>) -> Vec<Diagnostic> {
    vec![Diagnostic::error("IMP001", at(file, line), message)]
}

fn at(file: &str, line: u32) -> Place {
    Place { file: file.into(), line, column: 1, end_line: line, end_column: 1 }
}

/// The files that somebody names.
struct Bundle<'a> {
    files: &'a Files,
}

impl Bundle<'_> {
    fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?.bytes()?).ok()
    }

    fn yaml(&self, path: &str) -> Result<Node, Vec<Diagnostic>> {
        let Some(text) = self.text(path) else {
            return Err(wrong(path, 1, "this file is not there, or is no text"));
        };
        parse(path, text)
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.0.keys().map(String::as_str)
    }
}

fn parse(path: &str, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let options = Reading { tags: Tags::Keep, many: false, ..Reading::rendered() };
    let mut nodes = yaml::read(&path.into(), text.as_bytes(), &options)?;
    nodes.pop().ok_or_else(|| wrong(path, 1, "this file is empty"))
}

fn line_of(node: &Node) -> u32 {
    node.span.start.line.max(1)
}

fn entries(node: Option<&Node>) -> &[(yaml::Key, Node)] {
    match node.map(|node| &node.data) {
        Some(yaml::Data::Map(entries)) => entries,
        _ => &[],
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.data) {
        Some(yaml::Data::List(items)) => items,
        _ => &[],
    }
}

fn text_of<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.get(key)?.data {
        yaml::Data::String(text) => Some(text),
        _ => None,
    }
}

/// The parts of a `template.yaml` that importers fill.
struct Draft<'a> {
    wanted: &'a Wanted,
    title: Option<String>,
    description: Option<String>,
    component: &'a str,
    provider: &'a str,
    source: &'a str,
    with: Map<String, Value>,
    outputs: Vec<(String, Value)>,
}

impl Draft<'_> {
    fn text(&self) -> String {
        let Self { wanted, title, description, component, provider, source, with, outputs } = self;
        // Written field by field: a map of JSON would sort them, and a reader looks for the name first.
        let mut out = "apiVersion: vend.dev/v1\nkind: Template\nmetadata:\n".to_owned();
        let mut field = |indent: usize, name: &str, value: &Value| {
            for line in yaml::write_json(&json!({name: value})).lines() {
                let pad = if line.is_empty() { 0 } else { indent };
                out.push_str(&format!("{:pad$}{line}\n", ""));
            }
        };
        field(2, "name", &json!(wanted.name));
        field(2, "version", &json!(wanted.version.to_string()));
        for (name, text) in [("title", title), ("description", description)] {
            if let Some(text) = text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
                let most = if name == "title" { 100 } else { 1000 };
                field(2, name, &json!(text.chars().take(most).collect::<String>()));
            }
        }
        // Nobody has used it here yet.
        field(2, "lifecycle", &json!("experimental"));
        let mut out = out + "spec:\n  parameters: schema.json\n  components:\n";
        let head = format!(
            "    - name: {component}\n      provider: {provider}\n      source: {source}\n"
        );
        out.push_str(&head);
        if !with.is_empty() {
            for line in yaml::write_json(&json!({"with": with})).lines() {
                out.push_str(&format!("      {line}\n"));
            }
        }
        let outputs: Map<String, Value> = outputs.iter().cloned().collect();
        if !outputs.is_empty() {
            for line in yaml::write_json(&json!({"outputs": outputs})).lines() {
                out.push_str(&format!("  {line}\n"));
            }
        }
        out
    }
}

/// A schema file as people write them.
fn schema_text(
    title: Option<&str>,
    properties: &Map<String, Value>,
    required: &[String],
    defs: &Map<String, Value>,
) -> String {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if let Some(title) = title {
        schema["title"] = json!(title);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !defs.is_empty() {
        schema["$defs"] = json!(defs);
    }
    serde_json::to_string_pretty(&schema).expect("JSON can be written") + "\n"
}

/// Two braces of a source that is not ours: ours would read a tag.
fn escape_braces(text: &str) -> String {
    text.replace("{{", "\\{{")
}
