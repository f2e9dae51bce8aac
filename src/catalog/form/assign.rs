//! Values given as `path=text`, such as `tags.owner=shop`, typed by the schema.

use serde_json::Value;

use super::kinds::free;
use super::{Kinds, parts};
use crate::catalog::parameters::Parameters;
use crate::model::{Map, quote};

/// A path or a value that cannot be used; what to write instead, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongPath(String);

/// What was given so far.
#[derive(Debug)]
pub struct Assignments<'a> {
    parameters: &'a Parameters,
    given: Vec<Vec<String>>,
    /// The values.
    pub values: Map,
}

impl<'a> Assignments<'a> {
    /// None yet, for these parameters.
    pub fn new(parameters: &'a Parameters) -> Self {
        Self { parameters, given: Vec::new(), values: Map::new() }
    }

    /// `path=text`: the text is read as the kind that the schema wants there; a list takes its
    /// items separated by commas.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set(&mut self, assignment: &str) -> Result<(), WrongPath> {
        let (path, text) = split(assignment)?;
        let schemas = self.schemas(&path);
        let root = &self.parameters.schema.raw;
        let value = schemas.first().map_or_else(
            || free(text).unwrap_or_else(|_| Value::String(text.to_owned())),
            |schema| typed(root, schema, text),
        );
        self.put(path, value)
    }

    /// `path=JSON`, as it stands.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_json(&mut self, assignment: &str) -> Result<(), WrongPath> {
        let (path, text) = split(assignment)?;
        let value = serde_json::from_str(text).map_err(|error| {
            WrongPath(format!("the value of {} is not JSON: {error}", quote(&path.join("."))))
        })?;
        self.put(path, value)
    }

    /// The schemas that judge what a path names, the likeliest first.
    fn schemas(&self, path: &[String]) -> Vec<&'a Value> {
        let root = &self.parameters.schema.raw;
        let mut schemas = vec![root];
        for key in path {
            schemas = schemas.into_iter().flat_map(|schema| step(root, schema, key)).collect();
        }
        schemas
    }

    fn put(&mut self, path: Vec<String>, value: Value) -> Result<(), WrongPath> {
        let shown = quote(&path.join("."));
        let twice = |known: &Vec<String>| known.starts_with(&path) || path.starts_with(known);
        if self.given.iter().any(twice) {
            return Err(WrongPath(format!("{shown} is given twice")));
        }
        let root = &self.parameters.schema.raw;
        let lists: Vec<bool> = (0..path.len())
            .map(|n| {
                let schemas = self.schemas(&path[..n]);
                schemas.first().is_some_and(|schema| Kinds::of(root, schema).only(Kinds::LIST))
            })
            .collect();
        let mut whole = Value::Object(self.values.clone().into_iter().collect());
        insert(&mut whole, &path, &lists, value)
            .map_err(|why| WrongPath(format!("{shown}: {why}")))?;
        if let Value::Object(entries) = whole {
            self.values = entries.into_iter().collect();
        }
        self.given.push(path);
        Ok(())
    }
}

/// `a.b\.c=text` into `a`, `b.c` and the text.
fn split(assignment: &str) -> Result<(Vec<String>, &str), WrongPath> {
    let wrong = |why: &str| Err(WrongPath(format!("{} {why}", quote(assignment))));
    let Some((path, text)) = assignment.split_once('=') else {
        return wrong("has no `=`: write it as `name=value`");
    };
    let mut parts = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match (c, parts.last_mut()) {
            ('\\', Some(part)) => part.extend(chars.next()),
            ('.', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    if parts.iter().any(String::is_empty) {
        return wrong("names no value before its `=`, or has an empty part");
    }
    Ok((parts, text))
}

/// The schemas one key below.
fn step<'a>(root: &'a Value, schema: &'a Value, key: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for part in parts(root, schema) {
        let property = part.get("properties").and_then(|all| all.get(key));
        let item = key.parse::<usize>().is_ok().then(|| part.get("items")).flatten();
        found.extend(property.or(part.get("additionalProperties")).or(item));
        for keyword in ["anyOf", "oneOf"] {
            let alternatives = part.get(keyword).and_then(Value::as_array).into_iter().flatten();
            found.extend(alternatives.filter_map(|one| one.get("properties")?.get(key)));
        }
    }
    found.retain(|schema| schema.is_object());
    found
}

fn typed(root: &Value, schema: &Value, text: &str) -> Value {
    let kinds = Kinds::of(root, schema);
    if kinds.only(Kinds::LIST) && !text.trim_start().starts_with('[') {
        let items = parts(root, schema).into_iter().find_map(|part| part.get("items"));
        let item = |text: &str| match items {
            Some(items) => typed(root, items, text.trim()),
            None => Value::String(text.trim().to_owned()),
        };
        return Value::Array(text.split(',').filter(|t| !t.trim().is_empty()).map(item).collect());
    }
    kinds.read(text)
}

fn insert(at: &mut Value, path: &[String], lists: &[bool], value: Value) -> Result<(), String> {
    let (Some((key, rest)), Some((is_list, lists))) = (path.split_first(), lists.split_first())
    else {
        *at = value;
        return Ok(());
    };
    if at.is_null() {
        *at = if *is_list { Value::Array(Vec::new()) } else { Value::Object(Default::default()) };
    }
    let inner = match at {
        Value::Object(entries) => entries.entry(key.clone()).or_insert(Value::Null),
        Value::Array(items) => {
            let n = key.parse::<usize>().map_err(|_| format!("{} is no number", quote(key)))?;
            if n > items.len() {
                let next = items.len();
                return Err(format!(
                    "give the items of a list in order: the next is number {next}"
                ));
            }
            if n == items.len() {
                items.push(Value::Null);
            }
            &mut items[n]
        }
        _ => return Err("it is no map and no list".into()),
    };
    insert(inner, rest, lists, value)
}
