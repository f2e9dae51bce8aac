//! The parameters of a template's version: their schema, compiled once, and what vend reads in it.

mod bundle;
mod defaults;
mod lint;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use bundle::{Bundle, Open};
pub(super) use bundle::{Opened, Text};
use defaults::Defaults;
pub(super) use lint::holds_secret;
pub(super) use walk::{LIST, MAP, ONE, is_keyword, rewrite};

use super::explain::Part;
use super::schema::Schema;
use crate::model::{ChangeRule, Diagnostic, Map, Place};

/// The parameters of a template's version.
#[derive(Debug)]
pub struct Parameters {
    /// The schema in one piece: every `$ref` leads into it.
    pub schema: Schema,
    /// Parameters that the schema declares.
    pub names: BTreeSet<String>,
    /// Values of the schema's own `default`, by parameter.
    pub defaults: Map,
    /// `x-sensitive`: a literal value is refused, and no value is shown.
    pub sensitive: BTreeSet<String>,
    /// `x-change`, by parameter.
    pub change_rules: BTreeMap<String, ChangeRule>,
    /// `x-reference`: the template whose requests may fill the parameter.
    pub filled_by: BTreeMap<String, String>,
    nested: Defaults,
    /// Where its parts stand; without the schema itself.
    written: Option<Bundle>,
}

impl Default for Parameters {
    /// None at all.
    fn default() -> Self {
        let raw = json!({"type": "object", "additionalProperties": false});
        Self::from_raw(Schema::compile(raw).expect("this schema compiles"))
    }
}

impl Parameters {
    /// Reads a schema and the files it refers to. `open` gives files of the version's folder, whose
    /// paths are `known`.
    pub(super) fn parse(
        main: Text,
        open: Open<'_>,
        known: &[&str],
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let mut found = Vec::new();
        lint::lint_top(&main, &mut found);
        let mut bundle = bundle::bundle(main, open, known, &mut found);
        for text in &bundle.texts {
            lint::lint(text, &mut found);
        }
        if !found.iter().any(Diagnostic::is_error) {
            bundle::check_graph(&bundle, &mut found);
        }
        let mut parameters = None;
        if !found.iter().any(Diagnostic::is_error) {
            match Schema::compile(bundle.raw.clone()) {
                Ok(schema) => {
                    let parsed = Self::from_raw(schema);
                    let place = |pointer: &str, part| bundle.place(pointer, part);
                    lint::lint_defaults(&parsed.schema, &parsed.defaults, &place, &mut found);
                    parameters = Some(parsed);
                }
                Err(error) => {
                    let place = bundle.place(&error.pointer, super::explain::Part::Value);
                    found.push(Diagnostic::error("CAT006", place, error.message));
                }
            }
        }
        if let Some(parameters) = &mut parameters {
            bundle.raw = Value::Null;
            bundle.texts.iter_mut().for_each(|text| text.raw = Value::Null);
            parameters.written = Some(bundle);
        }
        let bad = found.iter().any(Diagnostic::is_error);
        problems.append(&mut found);
        parameters.filter(|_| !bad)
    }

    /// Whether requests may give parameters that the schema does not name.
    pub fn is_open(&self) -> bool {
        let more = self.schema.raw.get("additionalProperties");
        more.is_some_and(|more| *more != json!(false))
            || self.schema.raw.get("patternProperties").is_some()
    }

    /// Text as the value that a parameter takes: a number or a boolean where its schema wants one.
    pub(super) fn typed(&self, name: &str, text: &str) -> Value {
        let root = &self.schema.raw;
        let property = root.get("properties").and_then(|all| all.get(name));
        let wanted = property.and_then(|property| annotation(root, property, "type"));
        let read = serde_json::from_str::<Value>(text).ok();
        let fits = |value: &Value| match wanted.and_then(Value::as_str) {
            Some("integer" | "number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            _ => false,
        };
        read.filter(fits).unwrap_or_else(|| text.into())
    }

    /// Of a schema that is known to be sound.
    pub(super) fn from_raw(schema: Schema) -> Self {
        let properties = schema.raw.get("properties").and_then(Value::as_object);
        let mut parameters = Self {
            names: BTreeSet::new(),
            defaults: Map::new(),
            sensitive: BTreeSet::new(),
            change_rules: BTreeMap::new(),
            filled_by: BTreeMap::new(),
            nested: Defaults::of(&schema.raw),
            written: None,
            schema: Schema::any(),
        };
        for (name, property) in properties.into_iter().flatten() {
            parameters.names.insert(name.clone());
            let find = |keyword| annotation(&schema.raw, property, keyword);
            if is_sensitive(&schema.raw, property, &mut Vec::new()) {
                parameters.sensitive.insert(name.clone());
            } else if let Some(default) = find("default") {
                parameters.defaults.insert(name.clone(), default.clone());
            }
            let rule = find("x-change").and_then(|rule| serde_json::from_value(rule.clone()).ok());
            parameters.change_rules.extend(rule.map(|rule| (name.clone(), rule)));
            let template = find("x-reference").and_then(|r| r.get("template")?.as_str());
            parameters.filled_by.extend(template.map(|t| (name.clone(), t.to_owned())));
        }
        parameters.schema = schema;
        parameters
    }

    /// Where a part of the schema stands, by its pointer; `None` where nothing was written.
    pub(super) fn place(&self, pointer: &str, part: Part) -> Option<Place> {
        Some(self.written.as_ref()?.place(pointer, part))
    }

    /// A parameter's schema, with what its reference leads to.
    pub fn property(&self, name: &str) -> Option<Value> {
        let property = self.schema.raw.get("properties")?.get(name)?;
        Some(resolved(&self.schema.raw, property))
    }

    /// A part of the schema, with what its reference leads to.
    pub fn inside(&self, schema: &Value) -> Value {
        resolved(&self.schema.raw, schema)
    }

    /// Whether the schema has nothing against a value of a parameter, looked at alone.
    pub(super) fn fits(&self, name: &str, value: &Value) -> bool {
        let whole = json!({name: value});
        let own = format!("/{}", super::explain::escape(name));
        let below = format!("{own}/");
        !self.schema.validator.iter_errors(&whole).any(|error| {
            let path = error.instance_path().as_str();
            path == own || path.starts_with(&below)
        })
    }

    /// Puts the defaults inside objects and lists into a value that has been given.
    pub(super) fn fill_nested(&self, values: &mut serde_json::Map<String, Value>) {
        self.nested.fill_entries(values);
    }
}

/// A schema with the keywords of what it refers to; its own win.
pub(super) fn resolved(root: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    let mut at = schema;
    // References are acyclic here (`check_graph`); the bound is for whoever calls it otherwise.
    for _ in 0..32 {
        let target = at.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        let Some(next) = target.and_then(|pointer| root.pointer(pointer)) else { break };
        at = next;
        if let (Some(whole), Some(more)) = (whole.as_object_mut(), at.as_object()) {
            for (key, value) in more {
                whole.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    whole
}

/// An annotation of a property: its own, or that of what it refers to.
pub(super) fn annotation<'a>(
    root: &'a Value,
    property: &'a Value,
    keyword: &str,
) -> Option<&'a Value> {
    let mut schema = property;
    // References are acyclic here (`check_graph`); the bound is for whoever calls it otherwise.
    for _ in 0..32 {
        if let Some(found) = schema.get(keyword) {
            return Some(found);
        }
        let target = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        schema = root.pointer(target)?;
    }
    None
}

/// Whether any part of it is sensitive: then all of it is treated so.
fn is_sensitive<'a>(root: &'a Value, schema: &'a Value, seen: &mut Vec<&'a Value>) -> bool {
    if seen.iter().any(|known| std::ptr::eq(*known, schema)) {
        return false;
    }
    seen.push(schema);
    let marked = |keyword| schema.get(keyword) == Some(&Value::Bool(true));
    if marked("x-sensitive") || marked("writeOnly") {
        return true;
    }
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    let referred = target.and_then(|pointer| root.pointer(pointer));
    let inside = walk::children(schema)
        .into_iter()
        .filter(|(_, step, _)| *step != walk::Step::Kept)
        .map(|(_, _, child)| child);
    referred.into_iter().chain(inside).any(|below| is_sensitive(root, below, seen))
}

#[cfg(test)]
mod tests;
