//! What can be said of a rendered text before there are values: it is written with a marker for each, once
//! with every condition true and once with every condition false.
//!
//! # Guarantees
//! - What is told of a text without conditions is so for every request, since values never change structure.
//! - Of one with conditions only scalars are told that are refused wherever they stand: how its parts go
//!   together is not known.

use std::fmt::Write as _;

use super::ast::{BlockKind, Node};
use super::compile::{Body, Kind, Program};
use super::eval::Output;
use super::output::Reader;
use super::{Library, Limits};
use crate::model::Diagnostic;

/// The most elements that a text is made of here; beyond, rendering it says more.
const ELEMENTS_MAX: usize = 100_000;

/// What each file would be refused for.
pub(super) fn problems(program: &Program, limits: &Limits) -> Vec<Diagnostic> {
    let mut problems: Vec<Diagnostic> = Vec::new();
    for file in &program.files {
        let (unit, kind) = match file.body {
            Body::Rendered { unit, kind: kind @ (Kind::Yaml | Kind::Json), .. } => (unit, kind),
            Body::Rendered { kind: Kind::Text, .. } | Body::Copied { .. } => continue,
        };
        for holds in [true, false] {
            let mut sketch = Sketch::of(program, holds, limits.output);
            sketch.unit(unit);
            if sketch.is_too_large {
                break;
            }
            let reader = Reader { program, limits };
            if let Err(unread) = reader.parse(kind, &sketch.out)
                && (unread.is_document || !sketch.has_conditions)
            {
                let new = unread.problems.into_iter().filter(|p| !problems.contains(p));
                problems.extend(new.collect::<Vec<_>>());
            }
            if !sketch.has_conditions {
                break;
            }
        }
    }
    problems
}

/// A text with markers in the place of values.
struct Sketch<'p> {
    library: &'p Library,
    mark: char,
    /// Whether conditions hold, and loops have a turn.
    holds: bool,
    unit: usize,
    indent: String,
    out: Output<'p>,
    elements: usize,
    holes: usize,
    most: usize,
    has_conditions: bool,
    is_too_large: bool,
}

impl<'p> Sketch<'p> {
    fn of(program: &'p Program, holds: bool, most: usize) -> Self {
        Self {
            library: &program.library,
            mark: program.mark,
            holds,
            unit: 0,
            indent: String::new(),
            out: Output::default(),
            elements: 0,
            holes: 0,
            most,
            has_conditions: false,
            is_too_large: false,
        }
    }

    fn unit(&mut self, unit: usize) {
        let caller = std::mem::replace(&mut self.unit, unit);
        let library = self.library;
        self.nodes(&library.units[unit].nodes);
        self.unit = caller;
    }

    fn nodes(&mut self, nodes: &'p [Node]) {
        for node in nodes {
            self.elements += 1;
            self.is_too_large |= self.elements > ELEMENTS_MAX || self.out.text.len() > self.most;
            if self.is_too_large {
                return;
            }
            match node {
                Node::Text(text) => {
                    let mut at = text.span.start;
                    for line in text.text.split_inclusive('\n') {
                        self.margin(line != "\n");
                        self.out.piece(self.unit, at);
                        self.out.text.push_str(line);
                        at += line.len();
                    }
                }
                Node::Output(expr) => {
                    self.margin(!self.out.text.is_empty());
                    self.out.piece(self.unit, expr.span().start);
                    let mark = self.mark;
                    // Writing to a `String` cannot fail.
                    let _ = write!(self.out.text, "{mark}{}{mark}", self.holes);
                    self.holes += 1;
                }
                Node::Block(block) => {
                    self.has_conditions = true;
                    let is_body = match block.kind {
                        BlockKind::Unless => !self.holds,
                        BlockKind::If | BlockKind::Each | BlockKind::With => self.holds,
                    };
                    self.nodes(if is_body { &block.body } else { &block.inverse });
                }
                Node::Partial(partial) => {
                    if let Some(&unit) = self.library.partials.get(&partial.name) {
                        let margin = self.indent.len();
                        self.indent.push_str(&partial.indent);
                        self.unit(unit);
                        self.indent.truncate(margin);
                    }
                }
            }
        }
    }

    /// A partial's own margin, where a line of it begins.
    fn margin(&mut self, is_wanted: bool) {
        let begins = self.out.text.is_empty() || self.out.text.ends_with('\n');
        if begins && is_wanted {
            self.out.text.push_str(&self.indent);
        }
    }
}
