//! Values that an excerpt must not show: a terminal is kept in logs, and shown to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Diagnostic, Place};

/// The code whose place is a value that nobody should read.
const SECRET: &str = "SEC001";

/// Where such values stand, by file. Excerpts of other problems may show the same lines.
pub(super) struct Masks<'a>(BTreeMap<&'a str, Vec<&'a Place>>);

impl<'a> Masks<'a> {
    /// Of all that is shown together.
    pub(super) fn of(diagnostics: &'a [Diagnostic]) -> Self {
        let mut masks: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for found in diagnostics.iter().filter(|found| found.code == SECRET) {
            masks.entry(&found.place.file).or_default().push(&found.place);
        }
        Self(masks)
    }

    /// A file's text with a star for each character of them, so that columns stay.
    pub(super) fn over(&self, file: &str, text: Arc<str>) -> Arc<str> {
        let Some(places) = self.0.get(file) else { return text };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut out = String::with_capacity(text.len());
        let (mut line, mut column) = (1, 1);
        for c in text.chars() {
            let at = (line, column);
            let is_in = |place: &Place| {
                at >= (place.line, place.column) && at < (place.end_line, place.end_column)
            };
            out.push(if !matches!(c, '\n' | '\r') && places.iter().any(|place| is_in(place)) {
                '*'
            } else {
                c
            });
            match c {
                '\n' => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
        out.into()
    }
}
