//! Values into documents. A value becomes a scalar, or where it stands alone the value it is; it
//! never becomes a key of another shape, a tag, a comment or a second document.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use super::eval::Hole;
use super::problem::Problem;
use super::reference::{self, RESOLVE};
use super::scope::Val;
use super::shape::{Shape, Word};
use super::{Flavour, Library, text};
use crate::model::{Diagnostic, Symbol, quote};
use crate::yaml::{Data, Key, Node, Span};

pub(super) struct Filler<'f, 'a> {
    pub library: &'f Library,
    pub holes: &'f [Hole<'a>],
    pub flavour: Flavour,
    pub secrets: &'f BTreeSet<String>,
    pub problems: Vec<Diagnostic>,
    pub unknown: &'f mut BTreeSet<Symbol>,
}

/// A text and the stretches of it that are values.
struct Filled {
    text: String,
    values: Vec<(Range<usize>, usize)>,
}

impl Filled {
    /// The interpolation that a stretch has a part of.
    fn hole(&self, range: &Range<usize>) -> Option<usize> {
        let touches = |value: &Range<usize>| value.start < range.end && range.start < value.end;
        self.values.iter().find(|(value, _)| touches(value)).map(|(_, hole)| *hole)
    }
}

impl Filler<'_, '_> {
    pub fn fill(&mut self, shape: &Shape) -> Node {
        let node = self.fill_in(shape);
        if self.flavour == Flavour::CloudFormation
            && reference::is_assembled(&node)
            && let Some(hole) = self.first_value(shape)
        {
            self.problem(hole, dynamic_reference());
        }
        node
    }

    /// The first value in it that is not a secret's reference.
    fn first_value(&self, shape: &Shape) -> Option<usize> {
        let value = |hole: usize| {
            let secret = self.holes[hole].val.json().is_some_and(|value| self.is_secret(value));
            (!secret).then_some(hole)
        };
        let word = |words: &[Word]| words.iter().filter_map(Word::hole).find_map(value);
        match shape {
            Shape::Fixed(_) => None,
            Shape::Typed(hole) => value(*hole),
            Shape::Text { words, .. } | Shape::GetAtt(words) => word(words),
            Shape::List { items, .. } => items.iter().find_map(|item| self.first_value(item)),
            Shape::Map { entries, .. } => {
                let mut entries = entries.iter();
                entries.find_map(|(words, item)| word(words).or_else(|| self.first_value(item)))
            }
        }
    }

    fn fill_in(&mut self, shape: &Shape) -> Node {
        match shape {
            Shape::Fixed(node) => node.clone(),
            Shape::Typed(hole) => self.typed(*hole),
            Shape::Text { tag, words, sub } => {
                let text = self.text(words, *sub);
                Node { tag: tag.clone(), ..string(text) }
            }
            Shape::GetAtt(words) => self.get_att(words),
            Shape::List { tag, items } => {
                let items = items.iter().map(|item| self.fill(item)).collect();
                Node { tag: tag.clone(), ..Node::new(Span::default(), Data::List(items)) }
            }
            Shape::Map { tag, entries } => {
                let entries = self.map(entries);
                Node { tag: tag.clone(), ..Node::new(Span::default(), Data::Map(entries)) }
            }
        }
    }

    fn problem(&mut self, hole: usize, problem: Problem) {
        let hole = &self.holes[hole];
        let unit = &self.library.units[hole.unit];
        let found = problem.at_span(hole.span.clone()).at(&unit.file, &unit.text);
        if !self.problems.contains(&found) {
            self.problems.push(found);
        }
    }

    fn typed(&mut self, hole: usize) -> Node {
        match &self.holes[hole].val {
            Val::Unknown(symbols) => {
                self.unknown.extend(symbols.iter().cloned());
                string(text::unknown(symbols))
            }
            val => {
                let value = val.json().unwrap_or(&Value::Null);
                if self.flavour == Flavour::CloudFormation
                    && !self.is_secret(value)
                    && let Some(problem) = means_more(value).or_else(|| may_complete(value))
                {
                    self.problem(hole, problem);
                }
                Node::from_json(value.clone())
            }
        }
    }

    fn text(&mut self, words: &[Word], sub: bool) -> String {
        let mut filled = self.filled(words);
        if self.flavour == Flavour::CloudFormation {
            self.no_dynamic_reference(&filled);
            if sub {
                self.escape(&mut filled);
            }
        }
        filled.text
    }

    fn filled(&mut self, words: &[Word]) -> Filled {
        let mut filled = Filled { text: String::new(), values: Vec::new() };
        for word in words {
            match word {
                Word::Text(text) => filled.text.push_str(text),
                Word::Hole(hole) => {
                    let start = filled.text.len();
                    if let Val::Unknown(symbols) = &self.holes[*hole].val {
                        self.unknown.extend(symbols.iter().cloned());
                    }
                    match text::scalar(&self.holes[*hole].val) {
                        Ok(text) => filled.text.push_str(&text),
                        Err(problem) => self.problem(*hole, problem),
                    }
                    filled.values.push((start..filled.text.len(), *hole));
                }
            }
        }
        filled
    }

    /// CloudFormation would fetch what a value names so.
    fn no_dynamic_reference(&mut self, filled: &Filled) {
        for (at, found) in filled.text.match_indices(RESOLVE) {
            let hole = filled.hole(&(at..at + found.len()));
            let secret = |hole: &usize| {
                self.holes[*hole].val.json().is_some_and(|value| self.is_secret(value))
            };
            if let Some(hole) = hole.filter(|hole| !secret(hole)) {
                self.problem(hole, dynamic_reference());
            }
        }
        // Parts of one that another text may complete.
        let end = filled.text.len();
        if reference::may_begin(&filled.text)
            && let Some(hole) = filled.hole(&(0..1))
        {
            self.problem(hole, part_of_reference());
        }
        if reference::may_end(&filled.text)
            && let Some(hole) = filled.hole(&(end - 1..end))
        {
            self.problem(hole, part_of_reference());
        }
    }

    /// Whether a value is exactly the text that stands for a secret.
    fn is_secret(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|text| self.secrets.contains(text))
    }

    /// `${` of a value is written `${!`, which `Fn::Sub` turns back. Where the template itself
    /// opens `${…}`, a value inside is part of a name.
    fn escape(&mut self, filled: &mut Filled) {
        let mut escaped = String::with_capacity(filled.text.len());
        let mut from = 0;
        let opens: Vec<_> = filled.text.match_indices("${").map(|(at, _)| at).collect();
        for at in opens {
            if filled.hole(&(at..at + 2)).is_some() {
                escaped.push_str(&filled.text[from..at + 2]);
                escaped.push('!');
                from = at + 2;
                continue;
            }
            let closes = filled.text[at..].match_indices('}').map(|(n, _)| at + n);
            let end = closes.into_iter().find(|n| filled.hole(&(*n..n + 1)).is_none());
            let inside = at + 2..end.unwrap_or(filled.text.len());
            let unfit = filled.values.iter().find(|(value, _)| {
                let touches = value.start < inside.end && inside.start < value.end;
                touches && !filled.text[value.clone()].chars().all(is_name)
            });
            if let Some((_, hole)) = unfit {
                let message =
                    "inside `${…}` a value may hold letters, digits, `.`, `:` and `_` only";
                self.problem(*hole, Problem::new("TPL005", 0..0, message));
            }
        }
        escaped.push_str(&filled.text[from..]);
        filled.text = escaped;
    }

    /// The name of a resource ends at the first dot.
    fn get_att(&mut self, words: &[Word]) -> Node {
        let filled = self.filled(words);
        self.no_dynamic_reference(&filled);
        let mut dots =
            filled.text.match_indices('.').map(|(at, _)| (at, filled.hole(&(at..at + 1))));
        let first = dots.clone().next();
        let at = match (first, dots.find(|(_, hole)| hole.is_none())) {
            (Some((first, Some(hole))), Some((own, _))) if first < own => {
                let message = "a value before the dot of `Fn::GetAtt` may hold none";
                self.problem(hole, Problem::new("TPL005", 0..0, message));
                Some(own)
            }
            (_, Some((own, _))) => Some(own),
            // All of it is a value; what is not known yet cannot be cut.
            (Some((first, Some(hole))), None) => {
                (!matches!(self.holes[hole].val, Val::Unknown(_))).then_some(first)
            }
            (None | Some((_, None)), None) => None,
        };
        let parts = match at {
            Some(at) => vec![string(&filled.text[..at]), string(&filled.text[at + 1..])],
            None => vec![string(filled.text)],
        };
        Node::new(Span::default(), Data::List(parts))
    }

    fn map(&mut self, entries: &[(Vec<Word>, Shape)]) -> Vec<(Key, Node)> {
        let mut filled: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut from_values = Vec::new();
        for (words, value) in entries {
            if let [Word::Text(name)] = &words[..] {
                let key = Key { name: name.clone(), span: Span::default() };
                filled.push((key, self.fill(value)));
                continue;
            }
            let name = self.key(words);
            if let Some(hole) = words.iter().find_map(Word::hole) {
                from_values.push((filled.len(), hole));
            }
            let value = self.fill(value);
            filled.push((Key { name, span: Span::default() }, value));
        }
        if !from_values.is_empty() {
            let mut seen = BTreeSet::new();
            let twice: Vec<_> =
                filled.iter().map(|(key, _)| !seen.insert(key.name.as_str())).collect();
            let twice: BTreeSet<_> = filled
                .iter()
                .zip(twice)
                .filter(|(_, t)| *t)
                .map(|((k, _), _)| k.name.clone())
                .collect();
            for (n, hole) in from_values {
                if twice.contains(&filled[n].0.name) {
                    let message = "a value makes a key that is there already";
                    self.problem(hole, Problem::new("TPL005", 0..0, message));
                }
            }
        }
        filled
    }

    fn key(&mut self, words: &[Word]) -> String {
        for hole in words.iter().filter_map(Word::hole) {
            match &self.holes[hole].val {
                Val::Unknown(symbols) => {
                    let shown = symbols.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>();
                    let message = format!(
                        "a key depends on a value known only after apply: {}",
                        shown.join(", ")
                    );
                    self.problem(hole, Problem::new("TPL011", 0..0, message));
                    return String::new();
                }
                val => match text::scalar(val) {
                    Ok(text) if text.chars().all(|c| is_name(c) || "-/@".contains(c)) => {}
                    Ok(_) => {
                        let message = "a value in a key may hold letters, digits and `-_.:/@` only";
                        let problem = Problem::new("TPL005", 0..0, message);
                        self.problem(hole, problem.help("use `slug`, or another key"));
                    }
                    Err(_) => {
                        let message = "a key needs text";
                        self.problem(hole, Problem::new("TPL005", 0..0, message));
                        return String::new();
                    }
                },
            }
        }
        let name = self.filled(words).text;
        let hole = words.iter().find_map(Word::hole);
        if let Some(hole) = hole
            && (name.is_empty() || self.flavour == Flavour::CloudFormation && is_function(&name))
        {
            let message = format!("a value makes the key {}", quote(&name));
            self.problem(hole, Problem::new("TPL005", 0..0, message));
        }
        name
    }
}

impl Word {
    fn hole(&self) -> Option<usize> {
        match self {
            Self::Hole(hole) => Some(*hole),
            Self::Text(_) => None,
        }
    }
}

fn string(text: impl Into<String>) -> Node {
    Node::new(Span::default(), Data::String(text.into()))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_')
}

fn dynamic_reference() -> Problem {
    let message = "a value holds `{{resolve:`, which CloudFormation would fetch";
    Problem::new("TPL005", 0..0, message).help("write the reference into the template")
}

fn part_of_reference() -> Problem {
    let message = "a value holds a part of `{{resolve:`, which another text could complete";
    Problem::new("TPL005", 0..0, message).help("write the reference into the template")
}

fn may_complete(value: &Value) -> Option<Problem> {
    reference::may_complete_in(value).then(part_of_reference)
}

fn is_function(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

/// What CloudFormation would do with a value beyond taking it.
fn means_more(value: &Value) -> Option<Problem> {
    match value {
        Value::String(text) => text.contains(RESOLVE).then(dynamic_reference),
        Value::Array(items) => items.iter().find_map(means_more),
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            if is_function(key) {
                let message = format!("a value holds the key {}, a function", quote(key));
                return Some(Problem::new("TPL005", 0..0, message));
            }
            if key.contains(RESOLVE) {
                return Some(dynamic_reference());
            }
            means_more(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
