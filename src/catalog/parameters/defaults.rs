//! Defaults inside objects and lists, found once and filled in for every request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Deeper than any default that a person would look for; a recursive schema ends here.
const DEPTH_MOST: usize = 8;
/// A schema that refers to itself in many ways ends here.
const NODES_MOST: usize = 2_000;

/// The defaults of a value's parts.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Defaults {
    entries: BTreeMap<String, Entry>,
    items: Option<Box<Defaults>>,
    others: Option<Box<Defaults>>,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Entry {
    default: Option<Value>,
    inside: Defaults,
}

impl Defaults {
    /// Of a schema whose references lead into itself; those of the parameters themselves are left
    /// out, since other sources of values come before them.
    pub(super) fn of(root: &Value) -> Self {
        let mut left = NODES_MOST;
        let mut all = Self::read(root, root, 0, &mut left);
        all.entries.values_mut().for_each(|entry| entry.default = None);
        all.entries.retain(|_, entry| !entry.inside.is_empty());
        all
    }

    fn is_empty(&self) -> bool {
        let Self { entries, items, others } = self;
        entries.is_empty() && items.is_none() && others.is_none()
    }

    fn read(root: &Value, schema: &Value, depth: usize, left: &mut usize) -> Self {
        let mut all = Self::default();
        if depth > DEPTH_MOST || *left == 0 {
            return all;
        }
        *left -= 1;
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
            all = Self::read(root, target, depth + 1, left);
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let default = super::annotation(root, property, "default").cloned();
            let inside = Self::read(root, property, depth + 1, left);
            if default.is_some() || !inside.is_empty() {
                all.entries.insert(name.clone(), Entry { default, inside });
            }
        }
        let mut part = |keyword: &str| {
            let inside = Self::read(root, schema.get(keyword)?, depth + 1, left);
            (!inside.is_empty()).then(|| Box::new(inside))
        };
        all.items = part("items").or(all.items);
        all.others = part("additionalProperties").or(all.others);
        all
    }

    fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(entries) => self.fill_entries(entries),
            Value::Array(items) => {
                if let Some(inside) = &self.items {
                    items.iter_mut().for_each(|item| inside.fill(item));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Fills in what is not there.
    pub(super) fn fill_entries(&self, values: &mut Map<String, Value>) {
        if self.is_empty() {
            return;
        }
        if let Some(others) = &self.others {
            let free = values.iter_mut().filter(|(name, _)| !self.entries.contains_key(*name));
            free.for_each(|(_, value)| others.fill(value));
        }
        for (name, entry) in &self.entries {
            match (values.get_mut(name), &entry.default) {
                (Some(value), _) => entry.inside.fill(value),
                (None, Some(default)) => {
                    let mut value = default.clone();
                    entry.inside.fill(&mut value);
                    values.insert(name.clone(), value);
                }
                (None, None) => {}
            }
        }
    }
}
