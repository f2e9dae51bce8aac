//! Events into nodes: the rules that make a file a plain tree.

use std::borrow::Cow;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, StructureStyle, Tag};

use super::problem::Problems;
use super::scalar::{self, Plain};
use super::text::{Text, is_refused};
use super::{Ambiguity, Data, Key, Mark, Node, Options, Span, Tags};
use crate::model::Diagnostic;

/// Reads all documents.
pub(super) fn documents(
    file: &Arc<str>,
    text: &Text<'_>,
    options: &Options,
) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let limits = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: options.max_depth,
        block_nesting_limit: options.max_depth,
    };
    let mut composer = Composer {
        source: text.text,
        offset: text.offset,
        options,
        parser: Parser::new_from_str_with_options(text.text, limits),
        problems: Problems::new(file),
        nodes: 0,
    };
    let mut documents = Vec::new();
    // A stop has left its reason among the problems.
    let _: Result<(), Stop> = composer.stream(&mut documents);
    composer.problems.finish(documents)
}

/// Reading cannot go on; the reason is among the problems.
struct Stop;

struct Composer<'a> {
    source: &'a str,
    offset: u32,
    options: &'a Options,
    parser: Parser<'a, StrInput<'a>>,
    problems: Problems<'a>,
    nodes: usize,
}

impl<'a> Composer<'a> {
    fn stream(&mut self, documents: &mut Vec<Node>) -> Result<(), Stop> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentStart(..) if !self.options.many && !documents.is_empty() => {
                    self.problems.second_document(span);
                    return Err(Stop);
                }
                Event::DocumentStart(..) | Event::DocumentEnd | Event::StreamStart => {}
                Event::StreamEnd => {
                    if documents.is_empty() {
                        let start = Mark { byte: self.offset, line: 1, column: 1 };
                        documents.push(Node::new(Span { start, end: start }, Data::Null));
                    }
                    return Ok(());
                }
                event => {
                    let document = self.node(event, span, 0)?;
                    documents.push(document);
                }
            }
        }
    }

    /// The next event of the tree; anchors are noted on the way.
    fn next(&mut self) -> Result<(Event<'a>, Spans), Stop> {
        loop {
            let (event, span) = match self.parser.next_event() {
                Some(Ok(next)) => next,
                Some(Err(error)) => {
                    let at = self.mark(error.marker());
                    self.problems.syntax(self.source, self.offset, at, error.kind(), self.options);
                    return Err(Stop);
                }
                None => return Err(Stop),
            };
            let spans = Spans {
                whole: Span { start: self.mark(&span.start), end: self.mark(&span.end) },
                tag: span
                    .tag_span()
                    .map(|tag| Span { start: self.mark(&tag.start), end: self.mark(&tag.end) }),
            };
            match event {
                Event::Anchor(id, name) => self.problems.anchor(spans.whole, id, &name),
                event => return Ok((event, spans)),
            }
            if self.problems.full() {
                return Err(Stop);
            }
        }
    }

    fn mark(&self, marker: &granit_parser::Marker) -> Mark {
        // The size of the file was checked: everything in it fits 32 bits.
        Mark {
            byte: marker.byte_offset().unwrap_or_default() as u32 + self.offset,
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
        }
    }

    fn node(&mut self, event: Event<'a>, spans: Spans, depth: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        if self.nodes > self.options.max_nodes {
            self.problems.too_many_nodes(spans.whole, self.options.max_nodes);
            return Err(Stop);
        }
        if self.problems.full() {
            return Err(Stop);
        }
        match event {
            Event::Scalar(value, style, _, tag) => Ok(self.scalar(value, style, tag, spans)),
            Event::SequenceStart(style, _, tag) => {
                self.deeper(spans, depth)?;
                let tag = self.collection_tag(tag, spans, "seq");
                let mut node = self.list(spans.whole, style, depth)?;
                node.tag = tag;
                Ok(node)
            }
            Event::MappingStart(style, _, tag) => {
                self.deeper(spans, depth)?;
                let tag = self.collection_tag(tag, spans, "map");
                let mut node = self.map(spans.whole, style, depth)?;
                node.tag = tag;
                Ok(node)
            }
            Event::Alias(id) => {
                self.problems.alias(spans.whole, Some(id));
                Ok(Node::new(spans.whole, Data::Null))
            }
            Event::UnresolvedAlias(_) => {
                self.problems.alias(spans.whole, None);
                Ok(Node::new(spans.whole, Data::Null))
            }
            // The parser gives nothing else where a node is due.
            _ => Err(Stop),
        }
    }

    fn deeper(&mut self, spans: Spans, depth: usize) -> Result<(), Stop> {
        if depth < self.options.max_depth {
            return Ok(());
        }
        self.problems.too_deep(spans.whole, self.options.max_depth);
        Err(Stop)
    }

    fn list(&mut self, start: Span, style: StructureStyle, depth: usize) -> Result<Node, Stop> {
        self.indentation(start, style);
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, spans) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let last = items.last().map(|item| item.span.end);
                let end = extent(start, style, spans, last);
                return Ok(Node::new(Span { start: start.start, end }, Data::List(items)));
            }
            items.push(self.node(event, spans, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, style: StructureStyle, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let end = self.entries(&mut entries, start, style, depth);
        // Also of a map whose end was not reached.
        self.problems.duplicates(&entries);
        Ok(Node::new(Span { start: start.start, end: end? }, Data::Map(entries)))
    }

    fn entries(
        &mut self,
        entries: &mut Vec<(Key, Node)>,
        start: Span,
        style: StructureStyle,
        depth: usize,
    ) -> Result<Mark, Stop> {
        let mut last = None;
        loop {
            let (event, spans) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(extent(start, style, spans, last));
            }
            self.indentation(spans.whole, style);
            let key_span = spans.whole;
            let key = self.key(event, spans, depth)?;
            let (event, mut spans) = self.next()?;
            if matches!(event, Event::SequenceStart(StructureStyle::Block, ..)) {
                spans.whole.start = self.first_dash(key_span, spans.whole.start);
            }
            let value = self.node(event, spans, depth + 1)?;
            last = Some(value.span.end);
            if let Some(key) = key {
                entries.push((key, value));
            }
        }
    }

    /// Where the list that is a key's value begins. Of a list whose dashes stand below the key, and
    /// not to the right of it, the parser says where the first item begins.
    fn first_dash(&self, key: Span, start: Mark) -> Mark {
        let between = self.source.get(self.index(key.end)..self.index(start)).unwrap_or_default();
        let mut byte = key.end.byte as usize + between.len();
        let mut line = start.line;
        // The line of `start` may go on behind it; what stands before it is enough.
        for text in between.rsplit('\n') {
            byte -= text.len();
            let indent = text.len() - text.trim_start_matches(' ').len();
            let column = indent as u32 + 1;
            if line > key.end.line && column == key.start.column && text[indent..].starts_with('-')
            {
                return Mark { byte: (byte + indent) as u32, line, column };
            }
            line -= 1;
            byte = byte.saturating_sub(1);
        }
        start
    }

    /// The key, unless it is refused.
    fn key(&mut self, event: Event<'a>, spans: Spans, depth: usize) -> Result<Option<Key>, Stop> {
        if matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<") {
            self.problems.merge_key(spans.whole);
            return Ok(None);
        }
        if !matches!(event, Event::Scalar(..)) {
            let span = self.node(event, spans, depth + 1)?.span;
            self.problems.key_is_no_string(span, "");
            return Ok(None);
        }
        let node = self.node(event, spans, depth + 1)?;
        if let (Data::String(name), None) = (node.data, node.tag) {
            return Ok(Some(Key { name, span: node.span }));
        }
        let written = self.slice(node.span).to_owned();
        self.problems.key_is_no_string(node.span, &written);
        Ok(None)
    }

    /// A tab before the first thing of a line of block style. The parser lets some of them pass.
    fn indentation(&mut self, span: Span, style: StructureStyle) {
        if style == StructureStyle::Flow {
            return;
        }
        let before = self.source.as_bytes().get(..self.index(span.start)).unwrap_or_default();
        let blank = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let (mut length, mut tab) = (0, None);
        for byte in blank {
            length += 1;
            if *byte == b'\t' {
                tab = Some(length);
            }
        }
        let at_line_start = matches!(before.iter().rev().nth(length), None | Some(b'\n' | b'\r'));
        if let (Some(back), true) = (tab, at_line_start) {
            let back = back as u32;
            let start = Mark {
                byte: span.start.byte - back,
                column: span.start.column - back,
                ..span.start
            };
            self.problems.tab(start);
        }
    }

    fn scalar(
        &mut self,
        value: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<Cow<'a, Tag>>,
        spans: Spans,
    ) -> Node {
        let span = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => self.without_tail(spans.whole),
            _ => spans.whole,
        };
        if value.len() > self.options.max_scalar {
            self.problems.long_scalar(span, self.options.max_scalar);
        }
        // Raw ones were refused before: only an escape brings one here.
        if style == ScalarStyle::DoubleQuoted
            && let Some(c) = value.chars().find(|c| is_refused(*c))
        {
            self.problems.escaped_control(span, c);
        }
        let string = |value: Cow<'_, str>| Node::new(span, Data::String(value.into_owned()));
        let Some(tag) = tag else {
            return match style {
                ScalarStyle::Plain => self.plain(value, span),
                _ => string(value),
            };
        };
        match tag.core_suffix() {
            Some("str") => string(value),
            Some(kind @ ("null" | "bool" | "int" | "float")) => {
                let node = self.plain(value, span);
                if !is_kind(&node.data, kind) {
                    self.problems.wrong_tag(spans.tag(), kind);
                }
                Node { ambiguous: None, plain: None, ..node }
            }
            Some(kind) => {
                self.problems.wrong_tag(spans.tag(), kind);
                string(value)
            }
            None if is_non_specific(&tag) => string(value),
            None => {
                let tag = self.local_tag(&tag, spans);
                // `!Tag` with nothing behind it is not the same as `!Tag ""`.
                let empty = style == ScalarStyle::Plain && value.is_empty();
                let data = if empty { Data::Null } else { Data::String(value.into_owned()) };
                Node { tag, ..Node::new(span, data) }
            }
        }
    }

    /// A block scalar without the breaks behind it; the parser takes some of the next line as well.
    fn without_tail(&self, span: Span) -> Span {
        let text = self.slice(span);
        let kept = text.trim_end_matches([' ', '\t', '\r', '\n']);
        let breaks = |text: &str| {
            let alone = text.replace("\r\n", "\n");
            alone.bytes().filter(|byte| matches!(byte, b'\r' | b'\n')).count() as u32
        };
        let last = kept.rsplit(['\r', '\n']).next().unwrap_or_default();
        let before = if last.len() == kept.len() { span.start.column } else { 1 };
        let end = Mark {
            byte: span.start.byte + kept.len() as u32,
            line: span.end.line - breaks(&text[kept.len()..]),
            column: before + last.chars().count() as u32,
        };
        Span { start: span.start, end }
    }

    fn plain(&mut self, value: Cow<'a, str>, span: Span) -> Node {
        let (data, ambiguous) = match scalar::resolve(&value) {
            Plain::Null => (Data::Null, None),
            Plain::Bool(value) => (Data::Bool(value), None),
            Plain::Number(number, ambiguous) => (Data::Number(number), ambiguous),
            Plain::String(None) => (Data::String(value.into_owned()), None),
            Plain::String(ambiguous) => {
                return Self::ambiguous(span, Data::String(value.to_string()), ambiguous, &value);
            }
            Plain::OutOfRange => {
                self.problems.out_of_range(span, &value);
                (Data::Null, None)
            }
        };
        match ambiguous {
            None => Node::new(span, data),
            // Only a number is left, so `value` was not moved.
            some => Self::ambiguous(span, data, some, self.slice(span)),
        }
    }

    fn ambiguous(span: Span, data: Data, ambiguous: Option<Ambiguity>, plain: &str) -> Node {
        Node { ambiguous, plain: Some(plain.into()), ..Node::new(span, data) }
    }

    fn collection_tag(
        &mut self,
        tag: Option<Cow<'a, Tag>>,
        spans: Spans,
        kind: &str,
    ) -> Option<Box<str>> {
        let tag = tag?;
        match tag.core_suffix() {
            Some(suffix) if suffix == kind => None,
            Some(suffix) => {
                self.problems.wrong_tag(spans.tag(), suffix);
                None
            }
            None if is_non_specific(&tag) => None,
            None => self.local_tag(&tag, spans),
        }
    }

    /// A local tag with its `!`, where those are kept; anything else is a problem.
    fn local_tag(&mut self, tag: &Tag, spans: Spans) -> Option<Box<str>> {
        let suffix = tag.suffix();
        // What could not be written back as it is would have to be escaped.
        let plain = !suffix.is_empty()
            && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b));
        if self.options.tags == Tags::Keep && tag.original_handle() == "!" && plain {
            return Some(format!("!{suffix}").into());
        }
        let written = self.slice(spans.tag()).to_owned();
        self.problems.refused_tag(spans.tag(), &written);
        None
    }

    fn slice(&self, span: Span) -> &'a str {
        self.source.get(self.index(span.start)..self.index(span.end)).unwrap_or_default()
    }

    fn index(&self, mark: Mark) -> usize {
        (mark.byte - self.offset) as usize
    }
}

/// Where an event stands, and its tag.
#[derive(Clone, Copy)]
pub(super) struct Spans {
    pub(super) whole: Span,
    tag: Option<Span>,
}

impl Spans {
    fn tag(&self) -> Span {
        self.tag.unwrap_or(self.whole)
    }
}

/// A block collection ends with its last value; the event of its end comes lines later.
fn extent(start: Span, style: StructureStyle, end: Spans, last: Option<Mark>) -> Mark {
    match style {
        StructureStyle::Flow => end.whole.end,
        StructureStyle::Block => last.unwrap_or(start.end),
    }
}

/// `! x`: text, whatever it looks like.
fn is_non_specific(tag: &Tag) -> bool {
    tag.handle().is_empty() && tag.suffix() == "!"
}

fn is_kind(data: &Data, kind: &str) -> bool {
    match data {
        Data::Null => kind == "null",
        Data::Bool(_) => kind == "bool",
        Data::Number(number) => kind == "float" || !number.is_f64(),
        _ => false,
    }
}
