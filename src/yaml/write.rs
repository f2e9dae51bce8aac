//! Nodes into YAML that every reader, of YAML 1.1 or 1.2, takes for the same.

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::scalar::{self, Plain};
use super::{Data, Key, Node, Span};
use crate::model::is_invisible;

/// Block style, two spaces, keys in their order, tags kept, text quoted in any doubt. Several
/// documents are separated by `---`.
pub fn write(documents: &[Node]) -> String {
    let mut out = String::new();
    for (n, document) in documents.iter().enumerate() {
        if n > 0 {
            out.push_str("---\n");
        }
        value(&mut out, document, 0, Before::Start);
    }
    out
}

/// A JSON value as one document.
pub fn write_json(value: &Value) -> String {
    write(&[Node::from_json(value.clone())])
}

/// Anything that serialises to JSON as one document, fields in the order of the struct.
pub fn to_string<T: Serialize>(value: &T) -> String {
    // Through JSON's text and not its `Value`, whose maps are sorted.
    let json = serde_json::to_string(value).expect("our own types serialise to JSON");
    let Ordered(node) = serde_json::from_str(&json).expect("what serde_json wrote is JSON");
    write(&[node])
}

/// `key: value` as the lines of a block map whose keys stand at `indent`; the first line has no
/// indentation yet.
pub(super) fn entry(name: &str, node: &Node, indent: usize) -> String {
    let mut out = String::new();
    key(&mut out, name, indent);
    value(&mut out, node, indent + 2, Before::Colon);
    out
}

/// The lines of a collection at `indent`; the first has no indentation yet.
pub(super) fn below(node: &Node, indent: usize) -> String {
    let mut out = String::new();
    value(&mut out, node, indent, Before::Start);
    out
}

/// Whether it is a collection with something in it.
pub(super) fn is_filled(node: &Node) -> bool {
    match &node.data {
        Data::List(items) => !items.is_empty(),
        Data::Map(entries) => !entries.is_empty(),
        _ => false,
    }
}

/// A value on one line, as it may stand between brackets.
pub(super) fn flow(node: &Node) -> String {
    match &node.data {
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Data::Map(entries) => {
            let entry =
                |(name, node): &(Key, Node)| format!("{}: {}", flow_key(&name.name), flow(node));
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Data::String(text) => inline(text, true),
        Data::Null => "null".into(),
        Data::Bool(yes) => yes.to_string(),
        Data::Number(number) => {
            let mut out = String::new();
            write_number(&mut out, number);
            out
        }
    }
}

/// A key as it may stand between brackets.
pub(super) fn flow_key(name: &str) -> String {
    inline(name, true)
}

/// Text on one line, in quotes where there is any doubt.
pub(super) fn inline(text: &str, in_flow: bool) -> String {
    if is_plain(text) && !(in_flow && text.contains(',')) { text.to_owned() } else { double(text) }
}

/// Text in double quotes.
pub(super) fn double(text: &str) -> String {
    let mut out = String::new();
    quoted(&mut out, text);
    out
}

/// Whether text may stand between single quotes, where nothing can be escaped.
pub(super) fn is_single(text: &str) -> bool {
    !text.chars().any(is_escaped)
}

/// What stands before a value on its line.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing: the start of a document.
    Start,
    /// `key:`
    Colon,
    /// `- `
    Dash,
}

/// Writes a value and the end of its line. `indent` is that of the lines of a collection in it.
fn value(out: &mut String, node: &Node, indent: usize, before: Before) {
    if before == Before::Colon {
        out.push(' ');
    }
    if let Some(tag) = &node.tag {
        out.push_str(tag);
        out.push(' ');
    }
    match &node.data {
        Data::List(items) if !items.is_empty() => {
            let inline = before != Before::Colon && node.tag.is_none();
            open(out, inline);
            for (n, item) in items.iter().enumerate() {
                pad(out, if n == 0 && inline { 0 } else { indent });
                out.push_str("- ");
                value(out, item, indent + 2, Before::Dash);
            }
        }
        Data::Map(entries) if !entries.is_empty() => {
            let inline = before != Before::Colon && node.tag.is_none();
            open(out, inline);
            for (n, (name, item)) in entries.iter().enumerate() {
                pad(out, if n == 0 && inline { 0 } else { indent });
                key(out, &name.name, indent);
                value(out, item, indent + 2, Before::Colon);
            }
        }
        Data::List(_) => out.push_str("[]\n"),
        Data::Map(_) => out.push_str("{}\n"),
        Data::Null => {
            if node.tag.is_none() {
                out.push_str("null");
            } else {
                out.pop(); // the space behind the tag
            }
            out.push('\n');
        }
        Data::Bool(yes) => out.push_str(if *yes { "true\n" } else { "false\n" }),
        Data::Number(number) => {
            write_number(out, number);
            out.push('\n');
        }
        Data::String(text) => string(out, text, indent.max(2), before),
    }
}

/// Begins the lines of a collection: on this line, or below it without a trailing space.
fn open(out: &mut String, inline: bool) {
    if !inline {
        out.pop();
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// YAML wants the `:` within 1,024 characters of the key's start.
const LONG_KEY: usize = 1000;

fn key(out: &mut String, name: &str, indent: usize) {
    let start = out.len();
    if is_plain(name) {
        out.push_str(name);
    } else {
        quoted(out, name);
    }
    if out.len() - start > LONG_KEY {
        out.insert_str(start, "? ");
        out.push('\n');
        pad(out, indent);
    }
    out.push(':');
}

fn string(out: &mut String, text: &str, indent: usize, before: Before) {
    if is_plain(text) {
        out.push_str(text);
    } else if before != Before::Start && is_literal(text) {
        out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            out.push('\n');
            if !line.is_empty() {
                pad(out, indent);
                out.push_str(line);
            }
        }
    } else {
        quoted(out, text);
    }
    out.push('\n');
}

/// Whether text may be written as a literal block: several lines that every reader breaks at the
/// same places, and none of them blank at an end or with spaces that an editor would drop.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let clean = |line: &str| !line.ends_with([' ', '\t']) && !line.starts_with('\t');
    text.contains('\n')
        && !body.starts_with(['\n', ' '])
        && !body.ends_with('\n')
        && !body.is_empty()
        && body.split('\n').all(clean)
        && !body.chars().any(|c| c != '\n' && c != '\t' && is_escaped(c))
}

/// Whether text may stand without quotes and is text for every reader.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins = match bytes {
        [b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'/' | b'^' | b'$' | b'(', ..] => true,
        // Hexadecimal, dates, versions, times: what some reader may take for a number.
        [b'0'..=b'9', ..] => {
            !bytes.iter().all(|b| b.is_ascii_hexdigit() || b"xXoOtTzZ_.:,+- ".contains(b))
        }
        _ => text.starts_with(char::is_alphabetic),
    };
    begins
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_plain_char)
        && !is_reserved(text)
        && scalar::resolve(text) == Plain::String(None)
}

/// Whether a text is as another one is but for digits where that has digits, such as `21d` and `14d`,
/// and no reader takes it for anything but text.
pub(super) fn is_alike(known: &str, text: &str) -> bool {
    let shape = |text: &str| {
        let mut shape: Vec<char> =
            text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        shape.dedup_by(|a, b| *a == '0' && *b == '0');
        shape
    };
    shape(known) == shape(text) && scalar::resolve(text) == Plain::String(None)
}

fn is_plain_char(c: char) -> bool {
    match c {
        ' '..='~' => !matches!(c, '{' | '}' | '[' | ']' | '`'),
        c => c.is_alphanumeric() && !is_escaped(c),
    }
}

/// Words that some reader takes for something else, in any mixture of cases.
fn is_reserved(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "nil"];
    text.len() <= 5 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a character is written as an escape: what is not printable, not visible, a break for
/// some readers, or outside what YAML lets stand.
fn is_escaped(c: char) -> bool {
    c.is_control()
        || is_invisible(c)
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_escaped(c) => {
                let code = u32::from(c);
                // Writing to a string cannot fail.
                let _ = match code {
                    0..=0xFF => write!(out, "\\x{code:02X}"),
                    0x100..=0xFFFF => write!(out, "\\u{code:04X}"),
                    _ => write!(out, "\\U{code:08X}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// YAML 1.1 knows an exponent only behind a `.` and with a sign: `1.0e+16`.
fn write_number(out: &mut String, number: &Number) {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        out.push_str(&text);
        return;
    };
    out.push_str(mantissa);
    if !mantissa.contains('.') {
        out.push_str(".0");
    }
    out.push('e');
    if !exponent.starts_with(['+', '-']) {
        out.push('+');
    }
    out.push_str(exponent);
}

/// A node read from JSON's text with its keys in their order.
struct Ordered(Node);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderedVisitor).map(|data| Self(bare(data)))
    }
}

fn bare(data: Data) -> Node {
    Node::new(Span::default(), data)
}

struct OrderedVisitor;

impl<'de> Visitor<'de> for OrderedVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(Data::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Number::from_f64(value).map_or(Data::Null, Data::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(Ordered(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, Ordered(item))) = map.next_entry::<String, Ordered>()? {
            entries.push((Key { name, span: Span::default() }, item));
        }
        Ok(Data::Map(entries))
    }
}
