//! Plain scalars that another reader, or a person, would take for something else (`no`, `1.10`,
//! `0777`, a date): the schema tells whether it matters.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::explain::{Part, Subject, escape};
use super::schema::Schema;
use crate::model::{Diagnostic, quote};
use crate::yaml::{Ambiguity, Data, Node};

/// An ambiguous scalar.
pub(super) struct Unclear<'a> {
    /// Where it is in the value that is validated.
    pub pointer: String,
    pub node: &'a Node,
}

/// All of them in a document, without those below `except`.
pub(super) fn find<'a>(node: &'a Node, except: &[&str]) -> Vec<Unclear<'a>> {
    let mut found = Vec::new();
    below(node, &mut String::new(), except, &mut found);
    found
}

/// All of them in a part of a document, whose pointers begin with `at`.
pub(super) fn find_at<'a>(node: &'a Node, at: &str, found: &mut Vec<Unclear<'a>>) {
    below(node, &mut at.to_owned(), &[], found);
}

fn below<'a>(node: &'a Node, path: &mut String, except: &[&str], found: &mut Vec<Unclear<'a>>) {
    if node.ambiguous.is_some() {
        found.push(Unclear { pointer: path.clone(), node });
    }
    let length = path.len();
    let mut enter = |token: &str, child: &'a Node, path: &mut String| {
        path.push('/');
        path.push_str(token);
        if !except.contains(&path.as_str()) {
            below(child, path, except, found);
        }
        path.truncate(length);
    };
    match &node.data {
        Data::Map(entries) => {
            for (key, child) in entries {
                if key.name.contains(['~', '/']) {
                    enter(&escape(&key.name), child, path);
                } else {
                    enter(&key.name, child, path);
                }
            }
        }
        Data::List(items) => {
            for (n, child) in items.iter().enumerate() {
                enter(&n.to_string(), child, path);
            }
        }
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => {}
    }
}

/// Whether it has to be quoted: always, but for a number where the schema takes the number and would
/// not take the text, and for text where the schema takes no text (its own error says so).
pub(super) fn wants_quotes(
    schema: &Schema,
    value: &Value,
    errors: &[ValidationError<'_>],
    one: &Unclear<'_>,
) -> bool {
    let here = |error: &ValidationError<'_>| about(error, &one.pointer);
    let mistyped = |error: &ValidationError<'_>| {
        error.instance_path().as_str() == one.pointer && matches!(error.kind(), Kind::Type { .. })
    };
    let Data::Number(_) = one.node.data else {
        return !errors.iter().any(here);
    };
    let Some(plain) = &one.node.plain else { return false };
    let mut quoted = value.clone();
    let Some(slot) = quoted.pointer_mut(&one.pointer) else { return false };
    *slot = Value::String(plain.to_string());
    let others: Vec<_> = schema.validator.iter_errors(&quoted).collect();
    let text_fits = !others.iter().any(here);
    let only_text = errors.iter().any(mistyped) && !others.iter().any(mistyped);
    text_fits || only_text
}

fn about(error: &ValidationError<'_>, pointer: &str) -> bool {
    let path = error.instance_path().as_str();
    match error.kind() {
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            pointer.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        _ => path == pointer,
    }
}

/// What is said of it.
pub(super) fn problem(one: &Unclear<'_>, subject: &Subject<'_>) -> Diagnostic {
    let place = (subject.place)(&one.pointer, Part::Value);
    if (subject.hidden)(&one.pointer) {
        return Diagnostic::error("YAML012", place, "this value can be read in more than one way")
            .help("put it in quotes");
    }
    let plain = one.node.plain.as_deref().unwrap_or_default();
    let shown = quote(plain);
    let message = match (one.node.ambiguous, &one.node.data) {
        (Some(Ambiguity::Yaml11Bool), _) => {
            format!("{shown} is text here and `true` or `false` for other readers of YAML")
        }
        (Some(Ambiguity::Date), _) => {
            format!("{shown} is text here and a date for other readers of YAML")
        }
        (Some(Ambiguity::Sexagesimal), _) => {
            format!("{shown} is text here and a number to base 60 for other readers of YAML")
        }
        (Some(Ambiguity::Underscore), _) => {
            format!("{shown} is text here and a number for other readers of YAML")
        }
        (_, Data::Number(number)) => format!("{shown} is ambiguous: it would become `{number}`"),
        _ => format!("{shown} is ambiguous"),
    };
    let quoted = Value::String(plain.to_owned()).to_string();
    Diagnostic::error("YAML012", place.clone(), message)
        .help(format!("write `{quoted}`"))
        .fix(place, quoted)
}
