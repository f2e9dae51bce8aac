//! Values as text.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::helper;
use super::problem::Problem;
use super::scope::Val;
use crate::model::{Symbol, symbol_text};

/// A scalar's text. Nothing has none, and lists and maps have many: a template must choose.
pub(super) fn scalar<'v>(val: &'v Val<'_>) -> Result<Cow<'v, str>, Problem> {
    let value = match val {
        Val::Unknown(symbols) => return Ok(Cow::Owned(unknown(symbols))),
        val => val.json().unwrap_or(&Value::Null),
    };
    let help = match value {
        Value::String(text) => return Ok(Cow::Borrowed(text)),
        Value::Bool(value) => return Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Number(number) => return Ok(Cow::Owned(number.to_string())),
        Value::Null => "give it a value with `default`, or put it into `{{#if …}}`",
        Value::Array(_) | Value::Object(_) => {
            "use `join` or `json`, or let it stand alone, unquoted"
        }
    };
    let message = format!("{} cannot be part of a text", helper::kind(value));
    Err(Problem::new("TPL010", 0..0, message).help(help))
}

/// What stands for values that only an apply will tell.
pub(super) fn unknown(symbols: &BTreeSet<Symbol>) -> String {
    symbols.iter().filter_map(|symbol| symbol_text(symbol).as_str().map(str::to_owned)).collect()
}

/// A scalar's text for a file without structure: on one line unless a helper made it for the format.
pub(super) fn plain<'v>(val: &'v Val<'_>, formatted: bool) -> Result<Cow<'v, str>, Problem> {
    let text = scalar(val)?;
    let allowed = |c: char| formatted && matches!(c, '\n' | '\t');
    let bad = |c: char| (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) && !allowed(c);
    match text.chars().find(|c| bad(*c)) {
        None => Ok(text),
        Some(c) => {
            let message = format!("a value holds the character U+{:04X} here", u32::from(c));
            let help =
                "use the helper for this file's format: `json`, `indent`, `shell`, `properties`";
            Err(Problem::new("TPL010", 0..0, message).help(help))
        }
    }
}
