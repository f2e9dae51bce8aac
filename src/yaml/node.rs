//! A value with its place.

use std::sync::Arc;

use serde_json::{Number, Value};

use crate::model::Place;

/// A point in a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mark {
    /// Bytes from the start of the file, a byte order mark included.
    pub byte: u32,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// A stretch of a file; the end is exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// The first character.
    pub start: Mark,
    /// After the last character.
    pub end: Mark,
}

impl Span {
    /// As a place in a file.
    pub fn place(&self, file: &Arc<str>) -> Place {
        Place {
            file: Arc::clone(file),
            line: self.start.line,
            column: self.start.column,
            end_line: self.end.line,
            end_column: self.end.column,
        }
    }
}

/// The key of an entry.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

impl Key {
    /// Its place in a file.
    pub fn place(&self, file: &Arc<str>) -> Place {
        self.span.place(file)
    }
}

/// Why another reader, or a person, may take a plain scalar for something else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ambiguity {
    /// `0777`: octal for YAML 1.1, a number here; an account id loses its zero.
    LeadingZero,
    /// `1_000`: a number for YAML 1.1, a string here.
    Underscore,
    /// `1e10`: a number here, a string for many YAML 1.1 readers.
    Exponent,
    /// A number that is written differently when read back: `1.10`, `+1`, `0x1F`, beyond 2^53.
    NotRoundTrip,
    /// `no`, `on`, `y`: a boolean for YAML 1.1, a string here.
    Yaml11Bool,
    /// `2026-01-31`: a date for YAML 1.1, a string here.
    Date,
    /// `12:30:00`: a number to base 60 for YAML 1.1, a string here.
    Sexagesimal,
}

/// What a node holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file, without duplicates.
    Map(Vec<(Key, Node)>),
}

/// A value with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it stands, quotes and brackets included, the tag not.
    pub span: Span,
    /// A local tag with its `!`, such as `!Ref`.
    pub tag: Option<Box<str>>,
    /// Whether this plain scalar is ambiguous.
    pub ambiguous: Option<Ambiguity>,
    /// The text of an ambiguous plain scalar as written.
    pub plain: Option<Box<str>>,
    /// What it holds.
    pub data: Data,
}

impl Node {
    /// An untagged node.
    pub fn new(span: Span, data: Data) -> Self {
        Self { span, tag: None, ambiguous: None, plain: None, data }
    }

    /// A JSON value as a node without places.
    pub fn from_json(value: Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(value),
            Value::Number(value) => Data::Number(value),
            Value::String(value) => Data::String(value),
            Value::Array(items) => Data::List(items.into_iter().map(Self::from_json).collect()),
            Value::Object(entries) => Data::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| {
                        (Key { name, span: Span::default() }, Self::from_json(value))
                    })
                    .collect(),
            ),
        };
        Self::new(Span::default(), data)
    }

    /// The value without places and tags.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(value) => Value::Number(value.clone()),
            Data::String(value) => Value::String(value.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(entries) => Value::Object(
                entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect(),
            ),
        }
    }

    /// The value of a key, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The node at a JSON pointer (RFC 6901); `""` is this node.
    pub fn at(&self, pointer: &str) -> Option<&Node> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, token| match &node.data {
            Data::Map(_) => node.get(&unescape(token)),
            Data::List(items) => items.get(index(token)?),
            _ => None,
        })
    }

    /// The key of the entry at a JSON pointer; none for an item of a list and for the whole.
    pub fn key_at(&self, pointer: &str) -> Option<&Key> {
        let (parent, token) = pointer.rsplit_once('/')?;
        self.at(parent)?.entry(&unescape(token)).map(|(key, _)| key)
    }

    /// Its place in a file.
    pub fn place(&self, file: &Arc<str>) -> Place {
        self.span.place(file)
    }

    fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|(key, _)| key.name == name),
            _ => None,
        }
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// RFC 6901 has no leading zeros and no signs.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0"
        || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| token.parse().ok()).flatten()
}
