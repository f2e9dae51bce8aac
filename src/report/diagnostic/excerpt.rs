//! The lines of a file that a diagnostic is about, safe to show.

use std::ops::Range;

use super::push_clean;
use crate::model::Place;

/// The most characters of a line that are shown.
const WIDTH: usize = 120;

/// How many of them stand before the place, when the line is cut.
const BEFORE: usize = 40;

/// Lines this near to a place are kept: the renderer shows them instead of a gap.
const NEAR: u32 = 3;

/// Some lines of a file.
pub(super) struct Excerpt {
    /// The lines, escaped and cut; those far from any place are empty, and folded by the renderer.
    pub(super) text: String,
    /// The number of the first.
    pub(super) first: usize,
    /// Where the places are in `text`, in the order given.
    pub(super) spans: Vec<Range<usize>>,
    /// Whether the columns of `spans` in `text` are those of the places in the file: nothing before
    /// them was cut or escaped.
    pub(super) exact: bool,
}

/// The lines from the first of the places to the last; of a place over several lines, the first
/// line. None when a place is not in the file.
pub(super) fn excerpt(source: &str, places: &[&Place]) -> Option<Excerpt> {
    let first = places.iter().map(|place| place.line).min()?;
    let last = places.iter().map(|place| place.line).max()?;
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut lines = source.split('\n').skip(first.checked_sub(1)? as usize);
    let mut text = String::new();
    let mut spans = vec![0..0; places.len()];
    let mut exact = true;
    for number in first..=last {
        let line = lines.next()?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if number > first {
            text.push('\n');
        }
        if !places.iter().any(|place| place.line.abs_diff(number) <= NEAR) {
            continue;
        }
        // The first place is the one that the diagnostic is about: a cut line shows that.
        let shown = Shown::new(line, places.iter().find(|place| place.line == number));
        let offset = text.len();
        text.push_str(&shown.text);
        for (span, place) in spans.iter_mut().zip(places) {
            if place.line == number {
                *span = shown.span(place, offset);
                let before = text.get(offset..span.start).unwrap_or_default();
                exact &= before.chars().count() + 1 == place.column as usize;
            }
        }
    }
    Some(Excerpt { text, first: first as usize, spans, exact })
}

/// A line as it is shown.
struct Shown {
    text: String,
    /// The index of the first character that is shown.
    from: usize,
    /// Where each shown character begins in `text`, and the end.
    starts: Vec<usize>,
}

impl Shown {
    fn new(line: &str, place: Option<&&Place>) -> Self {
        let column = place.map_or(0, |place| place.column.saturating_sub(1) as usize);
        let cut = line.chars().nth(WIDTH).is_some();
        let from = if cut { column.saturating_sub(BEFORE) } else { 0 };
        let mut text = String::new();
        if from > 0 {
            text.push('…');
        }
        let mut starts = Vec::new();
        let mut rest = line.chars().skip(from);
        for c in rest.by_ref().take(WIDTH) {
            starts.push(text.len());
            match c {
                '\t' => text.push(c), // the renderer knows how wide it is
                c => push_clean(&mut text, c),
            }
        }
        starts.push(text.len());
        if rest.next().is_some() {
            text.push('…');
        }
        Self { text, from, starts }
    }

    fn span(&self, place: &Place, offset: usize) -> Range<usize> {
        let start = self.at(place.column);
        let end = if place.end_line == place.line { self.at(place.end_column) } else { self.end() };
        offset + start..offset + end.max(start)
    }

    fn at(&self, column: u32) -> usize {
        let index = (column.saturating_sub(1) as usize).saturating_sub(self.from);
        self.starts.get(index).copied().unwrap_or_else(|| self.end())
    }

    fn end(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }
}
