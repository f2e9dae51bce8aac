//! Names and values of a tag, as the crate `handlebars` read them, and where they stand in it.

use handlebars::{Path as Said, PathSeg};
use serde_json::Value;

use super::ast::{Base, Expr, Local, Path, Span};
use super::guard::{SPACE, Tag};
use super::problem::Problem;
use crate::model::quote;

/// The most names of a path.
const PARTS_MAX: usize = 32;

/// The words of one tag, which are taken one after another.
pub(super) struct Words<'t> {
    text: &'t str,
    tag: Span,
    left: Vec<Span>,
}

impl<'t> Words<'t> {
    pub fn of(text: &'t str, tag: &Tag) -> Self {
        let mut left = words(text, &tag.span);
        left.reverse();
        Self { text, tag: tag.span.clone(), left }
    }

    /// Where the first word that fits and was not taken stands; the tag, where there is none.
    pub fn take(&mut self, fits: impl Fn(&str) -> bool) -> Span {
        match self.left.iter().rposition(|word| fits(&self.text[word.clone()])) {
            Some(n) => self.left.remove(n),
            None => self.tag.clone(),
        }
    }

    /// A problem of the tag as a whole.
    pub fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(code, self.tag.clone(), message)
    }

    pub fn path(&mut self, said: &Said) -> Result<Expr, Problem> {
        let raw = raw(said);
        let span = self.take(|word| word == raw);
        match path(said, span.clone()) {
            Some(path) => Ok(Expr::Path(path)),
            None => {
                let message = format!("expected a value, found {}", quote(raw));
                Err(Problem::new("TPL007", span, message))
            }
        }
    }

    pub fn literal(&mut self, value: &Value) -> Result<Expr, Problem> {
        let span = match value {
            Value::Array(_) | Value::Object(_) => {
                let span = self.take(|word| word.starts_with('['));
                let problem = Problem::new("TPL007", span, "lists cannot be written in a tag");
                return Err(problem.help("make it a parameter"));
            }
            Value::String(_) => self.take(|word| word.starts_with(['"', '\''])),
            value => self.take(|word| literal(word).as_ref() == Some(value)),
        };
        Ok(Expr::Literal(value.clone(), span))
    }
}

/// The names, numbers and strings of a tag, but for the keys of named arguments.
fn words(text: &str, tag: &Span) -> Vec<Span> {
    let bytes = text.as_bytes();
    let between = |byte: u8| SPACE.contains(&char::from(byte)) || b"{}()~=|#>".contains(&byte);
    let mut found = Vec::new();
    let mut n = tag.start;
    while n < tag.end {
        let start = n;
        match bytes[n] {
            quote @ (b'"' | b'\'') => {
                n += 1;
                while n < tag.end && bytes[n] != quote {
                    n += 1 + usize::from(bytes[n] == b'\\');
                }
                n = (n + 1).min(tag.end);
            }
            byte if between(byte) => {
                n += 1;
                continue;
            }
            _ => {
                let mut bracket = false;
                while n < tag.end && (bracket || !between(bytes[n])) {
                    bracket = match bytes[n] {
                        b'[' => true,
                        b']' => false,
                        _ => bracket,
                    };
                    n += 1;
                }
            }
        }
        if !text[n..tag.end].trim_start_matches(SPACE).starts_with('=') {
            found.push(start..n);
        }
    }
    found
}

/// The value that a word is, when it is no name.
pub(super) fn literal(word: &str) -> Option<Value> {
    match word {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        "null" => return Some(Value::Null),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| serde_json::from_str(word).ok())?
}

/// A path as it is written.
pub(super) fn raw(said: &Said) -> &str {
    match said {
        Said::Relative((_, raw)) | Said::Local((_, _, raw)) => raw,
    }
}

/// Of the parts of a path that are no names the crate tells only how many there are; which they are
/// is read from how the path begins. What begins in another way is no path of ours.
fn path(said: &Said, span: Span) -> Option<Path> {
    let (base, parts) = match said {
        Said::Local((up, name, raw)) => {
            if *raw != format!("@{}{name}", "../".repeat(*up)) {
                return None;
            }
            let up = *up;
            let base = match name.as_str() {
                "root" if up == 0 => Base::Root,
                "index" => Base::Local { up, name: Local::Index },
                "key" => Base::Local { up, name: Local::Key },
                "first" => Base::Local { up, name: Local::First },
                "last" => Base::Local { up, name: Local::Last },
                _ => return None,
            };
            (base, Vec::new())
        }
        Said::Relative((segments, raw)) => {
            let mut parts = Vec::new();
            let mut others = 0;
            for segment in segments {
                match segment {
                    PathSeg::Named(name) => parts.push(name.clone()),
                    _ => others += 1,
                }
            }
            let this = ["this.", "this/", "./"].iter().find_map(|p| raw.strip_prefix(p));
            let base = if others == 0 {
                let this = this.is_some() || parts.is_empty();
                if this { Base::This { up: 0 } } else { Base::Name }
            } else if others == 1 && raw.starts_with("@root") {
                Base::Root
            } else if this.unwrap_or(raw).starts_with(&"../".repeat(others)) {
                Base::This { up: others }
            } else {
                return None;
            };
            (base, parts)
        }
    };
    (parts.len() <= PARTS_MAX).then_some(Path { base, parts, span })
}
