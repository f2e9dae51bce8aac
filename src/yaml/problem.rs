//! The wording of what is refused, and the list of it.

use std::sync::Arc;

use granit_parser::ErrorKind;

use super::{Key, Mark, Node, Options, Span};
use crate::model::{Diagnostic, Place, quote};

/// The most problems of one file that are told: a file of nothing but problems must not flood.
pub(super) const MOST: usize = 100;

/// The most uses of one anchor that are told.
const MOST_USES: usize = 4;

/// What was found so far.
pub(super) struct Problems<'a> {
    file: &'a Arc<str>,
    found: Vec<Diagnostic>,
    /// Anchors by their number, with the index of their problem.
    anchors: Vec<(usize, usize)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a Arc<str>) -> Self {
        Self { file, found: Vec::new(), anchors: Vec::new() }
    }

    /// Whether enough was found to stop.
    pub(super) fn full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// The documents, or the problems in the order of their places.
    pub(super) fn finish(mut self, documents: Vec<Node>) -> Result<Vec<Node>, Vec<Diagnostic>> {
        if self.found.is_empty() {
            return Ok(documents);
        }
        let full = self.full();
        self.found.truncate(MOST);
        self.found.sort_by(|a, b| a.place.cmp(&b.place));
        // A map that is a key may itself begin with a key that is refused.
        let at = |d: &Diagnostic| (d.place.line, d.place.column, d.code.clone(), d.message.clone());
        self.found.dedup_by_key(|found| at(found));
        if full {
            let place = Place::file(Arc::clone(self.file));
            let what = format!("more than {MOST} problems in this file; the rest is not told");
            self.found.push(Diagnostic::error("LIM001", place, what));
        }
        Err(self.found)
    }

    fn add(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::error(code, span.place(self.file), message).help(help));
    }

    pub(super) fn anchor(&mut self, span: Span, id: usize, name: &str) {
        self.anchors.push((id, self.found.len()));
        let what = format!("anchor {} is not allowed here", quote(&format!("&{name}")));
        self.add("YAML001", span, what, "write the value out where it is used");
    }

    pub(super) fn alias(&mut self, span: Span, anchor: Option<usize>) {
        let known = anchor.and_then(|id| self.anchors.iter().find(|(known, _)| *known == id));
        match known {
            Some((_, index)) => {
                let related = &mut self.found[*index].related;
                if related.len() < MOST_USES {
                    related.push((span.place(self.file), "used here".to_owned()));
                }
            }
            None => {
                let help = "write the value out; a text that begins with `*` needs quotes";
                self.add("YAML001", span, "an alias is not allowed here", help);
            }
        }
    }

    /// Every key that was there before, with the place of its first.
    pub(super) fn duplicates(&mut self, entries: &[(Key, Node)]) {
        // Most maps are small: comparing all pairs is then faster than sorting.
        if entries.len() <= 12 {
            for (n, (key, _)) in entries.iter().enumerate() {
                if let Some((first, _)) = entries[..n].iter().find(|(k, _)| k.name == key.name) {
                    self.duplicate(first, key);
                }
            }
            return;
        }
        let mut order: Vec<&Key> = entries.iter().map(|(key, _)| key).collect();
        order.sort_by(|a, b| a.name.cmp(&b.name)); // stable: equal keys stay in file order
        for equal in order.chunk_by(|a, b| a.name == b.name) {
            for again in &equal[1..] {
                self.duplicate(equal[0], again);
            }
        }
    }

    fn duplicate(&mut self, first: &Key, again: &Key) {
        let what = format!(
            "duplicate key {}: it is on line {} and on line {}",
            quote(&again.name),
            first.span.start.line,
            again.span.start.line
        );
        let related = (first.place(self.file), "the first one".to_owned());
        self.add("YAML002", again.span, what, "keep one of the two");
        if let Some(found) = self.found.last_mut() {
            found.related.push(related);
        }
    }

    pub(super) fn too_deep(&mut self, span: Span, most: usize) {
        self.add("YAML003", span, format!("nested deeper than {most}"), "flatten the structure");
    }

    pub(super) fn escaped_control(&mut self, span: Span, c: char) {
        self.found.push(control(self.file, span, c));
    }

    pub(super) fn tab(&mut self, start: Mark) {
        let end = Mark { byte: start.byte + 1, column: start.column + 1, ..start };
        let span = Span { start, end };
        self.add("YAML006", span, "a tab in the indentation", "indent with spaces");
    }

    pub(super) fn merge_key(&mut self, span: Span) {
        let help = "write the keys out; quote `\"<<\"` where that text is meant";
        self.add("YAML007", span, "merge keys are not allowed", help);
    }

    pub(super) fn refused_tag(&mut self, span: Span, written: &str) {
        let what = format!("tag {} is not allowed here", quote(written));
        self.add("YAML008", span, what, "remove it, or quote the value where that text is meant");
    }

    pub(super) fn wrong_tag(&mut self, span: Span, kind: &str) {
        let what = format!("the value is not a {}", quote(&format!("!!{kind}")));
        self.add("YAML008", span, what, "remove the tag or mend the value");
    }

    pub(super) fn second_document(&mut self, spans: super::compose::Spans) {
        let what = "a second document begins here, and a file has one";
        self.add("YAML009", spans.whole, what, "put it into a file of its own");
    }

    pub(super) fn key_is_no_string(&mut self, span: Span, written: &str) {
        if written.is_empty() {
            let help = "write a name before the `:`";
            self.add("YAML010", span, "keys must be strings", help);
            return;
        }
        let what = format!("keys must be strings, and {} is none", quote(written));
        self.add("YAML010", span, what, "quote it");
        // Plain scalars of this kind have nothing to escape.
        if written.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
            let place = span.place(self.file);
            if let Some(found) = self.found.pop() {
                self.found.push(found.fix(place, format!("\"{written}\"")));
            }
        }
    }

    pub(super) fn out_of_range(&mut self, span: Span, written: &str) {
        let finite = written.contains(|c: char| c.is_ascii_digit());
        let what = if finite { "is outside the safe range" } else { "is not a finite number" };
        let what = format!("{} {what}", quote(written));
        self.add("YAML013", span, what, "quote it if it is text");
    }

    pub(super) fn too_many_nodes(&mut self, span: Span, most: usize) {
        let what = format!("more than {most} keys and values");
        self.add("LIM001", span, what, "split the file");
    }

    pub(super) fn long_scalar(&mut self, span: Span, most: usize) {
        let what = format!("a value larger than {}", size(most));
        self.add("LIM001", span, what, "keep large data elsewhere and refer to it");
    }

    /// What the parser stopped at.
    pub(super) fn syntax(
        &mut self,
        source: &str,
        offset: u32,
        at: Mark,
        kind: &ErrorKind,
        options: &Options,
    ) {
        use ErrorKind as K;
        let span = Span { start: at, end: Mark { column: at.column + 1, ..at } };
        match kind {
            K::RecursionLimitExceeded => self.too_deep(span, options.max_depth),
            K::TabNotAllowed
            | K::TabInBlockIndentation
            | K::TabAtBlockScalarStart
            | K::TabInIndentation
            | K::TabInPlainScalar => {
                let tab = find_tab(source, offset, at);
                self.tab(tab);
            }
            kind => {
                let (what, help) = words(kind);
                self.add("YAML011", span, what, help);
            }
        }
    }
}

/// The tab that the parser complains about: its mark may be a line above or a column behind.
fn find_tab(source: &str, offset: u32, at: Mark) -> Mark {
    let index = ((at.byte - offset) as usize).min(source.len());
    let start = source.get(..index).and_then(|before| before.rfind('\n')).map_or(0, |n| n + 1);
    let mut line_start = start;
    for (n, line) in source[start..].split_inclusive('\n').take(3).enumerate() {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            return Mark {
                byte: (line_start + tab) as u32 + offset,
                line: at.line + n as u32,
                column: tab as u32 + 1,
            };
        }
        line_start += line.len();
    }
    at
}

/// What a syntax error is in the words of who wrote the file, and what to do.
fn words(kind: &ErrorKind) -> (String, &'static str) {
    use ErrorKind as K;
    let (what, help) = match kind {
        K::DirectiveDisallowed => ("directives (`%…`) are not allowed", "remove the line"),
        K::MappingValueNotAllowed | K::InvalidColonPlacement => (
            "`: ` is not allowed here",
            "quote a value that has `: ` in it; else check the indentation",
        ),
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            ("this line has no `:` behind its key", "write `key: value`")
        }
        K::UnclosedQuotedScalar | K::InvalidQuotedScalarIndent => {
            ("a quote opened before this is not closed", "close it on its line")
        }
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => (
            "something follows the closing quote",
            "quote the whole value; inside `'…'` write `''` for a quote",
        ),
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidUnicodeEscape
        | K::InvalidLowSurrogate
        | K::InvalidLowSurrogateHexEscape
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate => {
            ("not an escape that YAML has", "write `\\\\` for a backslash, or use single quotes")
        }
        K::UnclosedFlowCollection { .. }
        | K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator => {
            ("a bracket opened before this is not closed", "close it, and separate items by `,`")
        }
        K::MismatchedFlowCollectionEnd { .. } | K::MisplacedFlowCollectionEnd => {
            ("this bracket closes nothing", "remove it, or open it before")
        }
        K::InvalidIndentation
        | K::ExpectedBlockMappingKey
        | K::ExpectedBlockSequenceEntry
        | K::BlockSequenceEntryNotAllowed
        | K::MappingKeyNotAllowed => (
            "this does not fit what stands above it",
            "indent the keys of one map, or the items of one list, by the same number of spaces",
        ),
        K::UnexpectedCharacter { character } => {
            let what = format!("a plain value cannot begin with {}", quote(&character.to_string()));
            return (what, "quote the value");
        }
        K::CommentNotSeparated => ("`#` directly behind a value", "put a space before the `#`"),
        K::ExpectedDocumentStart => {
            ("something follows the end of the value", "a file holds one value; check quotes")
        }
        other => return (format!("not YAML: {other}"), "check quotes, colons and indentation"),
    };
    (what.to_owned(), help)
}

/// A control character, raw or by an escape.
pub(super) fn control(file: &Arc<str>, span: Span, c: char) -> Diagnostic {
    let what = format!("control character U+{:04X}", u32::from(c));
    Diagnostic::error("YAML005", span.place(file), what).help("remove it")
}

/// A limit as people say it.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}
