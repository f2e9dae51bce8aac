//! A template's parameters as a person is asked for them, and what is wrong with an answer.

mod assign;
mod kinds;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use serde_json::Value;

pub use assign::{Assignments, WrongPath};
pub use kinds::{Kinds, free};

use super::explain::{self, Part, Subject, escape};
use super::parameters::Parameters;
use crate::model::{Map, Place};

/// Deeper than anybody answers questions; what lies deeper is asked for as YAML.
const DEPTH_MOST: usize = 6;

/// A value that is asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether the schema demands it.
    pub required: bool,
    /// What it is without an answer.
    pub default: Option<Value>,
    /// A value such as it takes.
    pub example: Option<Value>,
    /// Its value must not stand in a file.
    pub sensitive: bool,
    /// The template whose requests may fill it.
    pub filled_by: Option<String>,
    /// How it is asked for.
    pub shape: Shape,
}

/// How a value is asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// Yes or no.
    Flag,
    /// One of these.
    Choice(Vec<Value>),
    /// Some of these, each at most once.
    Choices(Vec<Value>),
    /// A line of text, read as one of these kinds.
    Line(Kinds),
    /// One after another.
    List {
        /// Each of them.
        item: Box<Shape>,
        /// The fewest.
        least: usize,
    },
    /// A map: its own keys, and what other keys hold.
    Fields {
        /// The keys that the schema knows.
        fields: Vec<Field>,
        /// What any other key holds; `None`: there may be no others.
        others: Option<Box<Shape>>,
        /// The fewest keys.
        least: usize,
    },
    /// Something else: asked for as YAML on one line.
    Free,
}

impl Parameters {
    /// The parameters as they are asked for, those that are demanded first.
    pub fn form(&self) -> Vec<Field> {
        let root = &self.schema.raw;
        let mut fields = fields(root, root, 0);
        for field in &mut fields {
            field.sensitive = self.sensitive.contains(&field.name);
            field.filled_by = self.filled_by.get(&field.name).cloned();
        }
        fields
    }

    /// What the schema says against the value at a JSON pointer and what lies below it, the rest
    /// of `values` being whatever is known so far.
    pub fn objections(&self, values: &Map, pointer: &str) -> Vec<String> {
        let value: Value = Value::Object(values.clone().into_iter().collect());
        // A place stands for the pointer that it is asked for.
        let place = |pointer: &str, _: Part| Place::file(pointer);
        let hidden = |at: &str| {
            let name = at.split('/').nth(1).unwrap_or_default();
            self.sensitive.contains(&name.replace("~1", "/").replace("~0", "~"))
        };
        let subject =
            Subject { place: &place, scalar: &|_| None, hidden: &hidden, noun: "parameter" };
        let is_meant = |at: &str| {
            at.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let counts =
            |error: &jsonschema::ValidationError<'_>| is_meant(error.instance_path().as_str());
        let found = explain::check_some(&self.schema, &value, &subject, &[], &counts);
        let told = found.into_iter().map(|problem| match problem.help.as_str() {
            "" => problem.message,
            help => format!("{} ({help})", problem.message),
        });
        told.collect()
    }

    /// Of each parameter what it is for.
    pub fn summaries(&self) -> Vec<(String, String)> {
        let told = self.form().into_iter();
        told.filter_map(|field| Some((field.name, field.description?))).collect()
    }
}

/// A JSON pointer one step down.
pub fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", escape(key))
}

/// Every schema that judges the same value as `schema`: itself, what it refers to, `allOf`.
fn parts<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let found = RefCell::new(Vec::new());
    fn collect<'a>(root: &'a Value, schema: &'a Value, found: &RefCell<Vec<&'a Value>>) {
        // A schema may refer to itself; and nobody means more than this.
        let known = found.borrow().iter().any(|other| std::ptr::eq(*other, schema));
        if known || found.borrow().len() >= 64 {
            return;
        }
        found.borrow_mut().push(schema);
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
            collect(root, target, found);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            collect(root, part, found);
        }
    }
    collect(root, schema, &found);
    found.into_inner()
}

fn find<'a>(root: &'a Value, schema: &'a Value, keyword: &str) -> Option<&'a Value> {
    parts(root, schema).into_iter().find_map(|part| part.get(keyword))
}

/// The values that a schema lists, when it lists them: `enum`, `const`, or alternatives of these.
fn options(root: &Value, schema: &Value) -> Option<Vec<Value>> {
    for part in parts(root, schema) {
        if let Some(values) = part.get("enum").and_then(Value::as_array) {
            return Some(values.clone());
        }
        if let Some(value) = part.get("const") {
            return Some(vec![value.clone()]);
        }
        let alternatives = part.get("oneOf").or(part.get("anyOf")).and_then(Value::as_array);
        let consts = alternatives.into_iter().flatten().map(|one| one.get("const").cloned());
        if let Some(values) = consts.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()) {
            return Some(values);
        }
    }
    None
}

fn fields(root: &Value, schema: &Value, depth: usize) -> Vec<Field> {
    let all = parts(root, schema);
    let required: Vec<&str> = all
        .iter()
        .filter_map(|part| part.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = all.iter().filter_map(|part| part.get("properties")?.as_object()).flatten();
    let mut fields: Vec<Field> = Vec::new();
    for (name, property) in properties {
        if fields.iter().any(|known| known.name == *name) {
            continue;
        }
        let text = |keyword| find(root, property, keyword).and_then(Value::as_str);
        fields.push(Field {
            name: name.clone(),
            description: text("description").or(text("title")).map(str::to_owned),
            required: required.contains(&name.as_str()),
            default: find(root, property, "default").cloned(),
            example: find(root, property, "examples").and_then(|all| all.get(0)).cloned(),
            sensitive: false,
            filled_by: None,
            shape: shape(root, property, depth + 1),
        });
    }
    fields.sort_by_key(|field| !field.required);
    fields
}

fn shape(root: &Value, schema: &Value, depth: usize) -> Shape {
    if depth > DEPTH_MOST {
        return Shape::Free;
    }
    let kinds = Kinds::of(root, schema);
    if kinds.only(Kinds::FLAG) {
        return Shape::Flag;
    }
    if let Some(options) = options(root, schema) {
        return Shape::Choice(options);
    }
    let count = |keyword| find(root, schema, keyword).and_then(Value::as_u64).unwrap_or(0);
    let least = |keyword| usize::try_from(count(keyword)).unwrap_or(usize::MAX);
    if kinds.only(Kinds::LIST) {
        let Some(items) = find(root, schema, "items").filter(|items| items.is_object()) else {
            return Shape::Free;
        };
        let once = find(root, schema, "uniqueItems") == Some(&Value::Bool(true));
        if let Some(options) = options(root, items).filter(|_| once) {
            return Shape::Choices(options);
        }
        let item = Box::new(shape(root, items, depth + 1));
        return Shape::List { item, least: least("minItems") };
    }
    if kinds.only(Kinds::MAP) {
        let fields = fields(root, schema, depth);
        let others = match find(root, schema, "additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(others) if others.is_object() => Some(Box::new(shape(root, others, depth + 1))),
            _ if fields.is_empty() => return Shape::Free,
            _ => None,
        };
        if fields.is_empty() && others.is_none() {
            return Shape::Free;
        }
        return Shape::Fields { fields, others, least: least("minProperties") };
    }
    if kinds.has(Kinds::LIST) || kinds.has(Kinds::MAP) { Shape::Free } else { Shape::Line(kinds) }
}
