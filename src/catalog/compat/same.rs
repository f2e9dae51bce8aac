//! Whether two schemas are the same but for what they say to people.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::catalog::parameters::{LIST, MAP, ONE};

/// Keywords that judge no value.
const ANNOTATIONS: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "examples",
];

/// Whether a keyword judges values.
pub(super) fn judges(keyword: &str) -> bool {
    !ANNOTATIONS.contains(&keyword) && !keyword.starts_with("x-") && keyword != "writeOnly"
}

/// What a `$ref` leads to.
pub(super) fn target<'a>(root: &'a Value, reference: &Value) -> Option<(&'a Value, String)> {
    let pointer = reference.as_str()?.strip_prefix('#')?;
    Some((root.pointer(pointer)?, pointer.to_owned()))
}

/// Deeper than this and they count as different, which is the careful answer.
const DEPTH_MOST: usize = 64;

/// Two roots, and what was found out on the way.
pub(super) struct Same<'a> {
    pub old: &'a Value,
    pub new: &'a Value,
    /// Pairs that are being compared, or were: a schema that refers to itself ends here. What was
    /// taken for granted falls with the whole comparison when one pair turns out to differ.
    seen: BTreeSet<(*const Value, *const Value)>,
}

impl<'a> Same<'a> {
    pub(super) fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, seen: BTreeSet::new() }
    }

    /// Whether they judge all values alike, so far as that can be seen from their texts.
    pub(super) fn schemas(&mut self, old: &'a Value, new: &'a Value, depth: usize) -> bool {
        if depth > DEPTH_MOST {
            return false;
        }
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        if !self.seen.insert(pair) {
            return true;
        }
        let (Value::Object(a), Value::Object(b)) = (old, new) else { return old == new };
        let keys = |map: &'a Map<String, Value>| map.iter().filter(|(key, _)| judges(key));
        keys(a).count() == keys(b).count()
            && keys(a).all(|(key, a)| b.get(key).is_some_and(|b| self.keyword(key, a, b, depth)))
    }

    fn keyword(&mut self, key: &str, a: &'a Value, b: &'a Value, depth: usize) -> bool {
        if key == "$ref" {
            return match (target(self.old, a), target(self.new, b)) {
                (Some((a, _)), Some((b, _))) => self.schemas(a, b, depth + 1),
                _ => false,
            };
        }
        match (a, b) {
            (a, b) if ONE.contains(&key) => self.schemas(a, b, depth + 1),
            (Value::Array(a), Value::Array(b)) if LIST.contains(&key) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.schemas(a, b, depth + 1))
            }
            (Value::Object(a), Value::Object(b)) if MAP.contains(&key) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, a)| b.get(name).is_some_and(|b| self.schemas(a, b, depth + 1)))
            }
            (a, b) => a == b,
        }
    }
}
