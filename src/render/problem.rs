//! Problems of a template, before and after they have a place in a file.

use std::sync::Arc;

use super::ast::Span;
use crate::model::{Diagnostic, Place};

/// A problem at bytes of one unit.
#[derive(Debug)]
pub(super) struct Problem {
    pub code: &'static str,
    pub span: Span,
    pub message: String,
    pub help: String,
}

impl Problem {
    pub fn new(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), help: String::new() }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Moved to another span.
    pub fn at_span(self, span: Span) -> Self {
        Self { span, ..self }
    }

    pub fn at(self, file: &Arc<str>, text: &str) -> Diagnostic {
        Diagnostic::error(self.code, place(file, text, &self.span), self.message).help(self.help)
    }
}

/// The place of bytes of a file.
pub(super) fn place(file: &Arc<str>, text: &str, span: &Span) -> Place {
    let (line, column) = position(text, span.start);
    let (end_line, end_column) = position(text, span.end);
    Place { file: Arc::clone(file), line, column, end_line, end_column }
}

fn position(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(line), count(before[start..].chars().count() + 1))
}

/// The byte of a line and column of a text; its end when it has no such place.
pub(super) fn byte(text: &str, line: u32, column: u32) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(n) => start += n + 1,
            None => return text.len(),
        }
    }
    let skip = column.saturating_sub(1) as usize;
    text[start..].char_indices().nth(skip).map_or(text.len(), |(n, _)| start + n)
}
