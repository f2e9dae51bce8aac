//! Which kinds of values a schema takes, and a text as one of them.

use std::sync::Arc;

use serde_json::Value;

use super::parts;
use crate::yaml;

/// A set of kinds of JSON values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds(u8);

impl Kinds {
    /// Text.
    pub const TEXT: Self = Self(1);
    /// A whole number.
    pub const WHOLE: Self = Self(2);
    /// Any number, whole ones among them.
    pub const NUMBER: Self = Self(4 | 2);
    /// `true` or `false`.
    pub const FLAG: Self = Self(8);
    /// `null`.
    pub const NULL: Self = Self(16);
    /// A list.
    pub const LIST: Self = Self(32);
    /// A map.
    pub const MAP: Self = Self(64);
    const ALL: Self = Self(127);
    const NONE: Self = Self(0);

    /// Those that a schema takes.
    pub fn of(root: &Value, schema: &Value) -> Self {
        Self::bounded(root, schema, 0)
    }

    fn bounded(root: &Value, schema: &Value, depth: usize) -> Self {
        let mut kinds = Self::ALL;
        for part in parts(root, schema) {
            kinds = kinds.and(match part.get("type") {
                Some(Value::String(name)) => Self::named(name),
                Some(Value::Array(names)) => names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(Self::named)
                    .fold(Self::NONE, Self::or),
                _ => Self::ALL,
            });
            if let Some(values) = part.get("enum").and_then(Value::as_array) {
                kinds = kinds.and(values.iter().map(Self::of_value).fold(Self::NONE, Self::or));
            }
            if let Some(value) = part.get("const") {
                kinds = kinds.and(Self::of_value(value));
            }
            for keyword in ["anyOf", "oneOf"] {
                let Some(all) = part.get(keyword).and_then(Value::as_array) else { continue };
                if depth < 8 {
                    let each = all.iter().map(|one| Self::bounded(root, one, depth + 1));
                    kinds = kinds.and(each.fold(Self::NONE, Self::or));
                }
            }
        }
        kinds
    }

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::TEXT,
            "integer" => Self::WHOLE,
            "number" => Self::NUMBER,
            "boolean" => Self::FLAG,
            "null" => Self::NULL,
            "array" => Self::LIST,
            "object" => Self::MAP,
            _ => Self::NONE,
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::FLAG,
            Value::Number(number) if number.is_f64() => Self::NUMBER,
            Value::Number(_) => Self::WHOLE,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::MAP,
        }
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other` is among them.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are some, and all are of `other`; `null` beside them does not count.
    pub fn only(self, other: Self) -> bool {
        let left = self.0 & !Self::NULL.0;
        left != 0 && left & !other.0 == 0
    }

    /// A text as the kind that these want. What cannot be read so stays the text that it is: the
    /// schema then says what is wrong with it.
    pub fn read(self, text: &str) -> Value {
        let as_text = || Value::String(text.to_owned());
        if self.only(Self::TEXT) {
            return as_text();
        }
        match plain(text) {
            // What readers of YAML disagree about is taken for text where text will do.
            Some((value, unclear))
                if self.has(Self::of_value(&value)) && !(unclear && self.has(Self::TEXT)) =>
            {
                value
            }
            // The message then names the kind that was found: `1.5` where `2` is wanted.
            Some((value, _)) if !self.has(Self::TEXT) && !value.is_null() => value,
            _ => as_text(),
        }
    }
}

/// A text as YAML reads it, and whether readers of YAML disagree about it.
fn plain(text: &str) -> Option<(Value, bool)> {
    let file: Arc<str> = "value".into();
    let node = yaml::read(&file, text.as_bytes(), &yaml::Options::request()).ok()?.pop()?;
    Some((node.to_json(), node.ambiguous.is_some()))
}

/// A text that is YAML of any kind, such as `{a: [1, 2]}`.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn free(text: &str) -> Result<Value, String> {
    let file: Arc<str> = "value".into();
    match yaml::read(&file, text.as_bytes(), &yaml::Options::request()) {
        Ok(mut nodes) => Ok(nodes.pop().map_or(Value::Null, |node| node.to_json())),
        Err(problems) => {
            Err(problems.into_iter().next().map(|problem| problem.message).unwrap_or_default())
        }
    }
}
