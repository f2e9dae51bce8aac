//! The plain part of block YAML, in one pass over the bytes.
//!
//! Nearly every file that people write is one document of block maps and lists, plain and quoted
//! scalars, literal blocks and flow collections of one line. That much is read here, at a tenth of
//! the cost; at anything else, and at any problem, the answer is none and the full reader begins
//! again. What is read here is what the full reader reads, places included: properties, every file of
//! this repository and a fuzzer hold the one against the other.

use std::collections::HashSet;

use super::scalar::{self, Plain};
use super::{Data, Key, Mark, Node, Options, Span};

/// Reads a file that is entirely of the plain part.
pub(super) fn read(bytes: &[u8], options: &Options) -> Option<Node> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | 0x80..);
    if bytes.len() > options.max_bytes.min(u32::MAX as usize) || !bytes.iter().all(plain) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let is_ascii = text.is_ascii();
    if !is_ascii && !is_plain_beyond_ascii(text) {
        return None;
    }
    let mut reader =
        Reader { text, bytes, is_ascii, options, nodes: 0, next: 0, number: 0, line: None };
    reader.advance();
    if reader.line.is_some_and(|line| line.is_start(bytes)) {
        reader.advance();
    }
    reader.line.filter(|line| !line.is_marker(bytes))?;
    let node = reader.block(0)?;
    reader.line.is_none().then_some(node)
}

/// YAML itself refuses keys that are a little longer.
const KEY_MOST: usize = 1000;

/// Columns of a line with other characters are counted from its start each time.
const WIDE_LINE_MOST: usize = 1000;

/// Whether the characters beyond ASCII are printable ones that neither break a line nor mark an order of bytes,
/// on lines that are not long.
fn is_plain_beyond_ascii(text: &str) -> bool {
    let is_plain = |c: char| {
        c.is_ascii()
            || (c >= '\u{A0}'
                && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}'))
    };
    text.chars().all(is_plain) && text.split('\n').all(|line| line.len() <= WIDE_LINE_MOST)
}

/// A line with something on it.
#[derive(Clone, Copy)]
struct Line {
    number: u32,
    /// Its first byte.
    start: usize,
    /// Its first byte that matters; behind `- ` for what stands there.
    content: usize,
    /// Its line break, or the end of the file.
    end: usize,
}

impl Line {
    fn indent(&self) -> usize {
        self.content - self.start
    }

    fn is_item(&self, bytes: &[u8]) -> bool {
        bytes[self.content] == b'-'
            && matches!(bytes.get(self.content + 1), None | Some(b' ' | b'\n'))
    }

    fn is_marker(&self, bytes: &[u8]) -> bool {
        self.indent() == 0
            && matches!(
                &bytes[self.content..],
                [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..] | [b'%', ..]
            )
    }

    /// `---` alone: a document begins.
    fn is_start(&self, bytes: &[u8]) -> bool {
        bytes[self.start..self.end].trim_ascii_end() == b"---"
    }
}

/// What a plain scalar ends at.
#[derive(PartialEq)]
enum Stop {
    End,
    Colon,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    is_ascii: bool,
    options: &'a Options,
    nodes: usize,
    /// The start of the line after the current one.
    next: usize,
    /// The number of the line before that.
    number: u32,
    /// The current line: the first that is not read yet.
    line: Option<Line>,
}

impl Reader<'_> {
    /// Goes to the next line with something on it.
    fn advance(&mut self) {
        self.line = None;
        while self.next < self.bytes.len() {
            let start = self.next;
            let rest = &self.bytes[start..];
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let end = start + length;
            self.next = end + 1;
            self.number += 1;
            let content = self.skip_spaces(start, end);
            if content < end && self.bytes[content] != b'#' {
                self.line = Some(Line { number: self.number, start, content, end });
                return;
            }
        }
    }

    /// The file is smaller than 4 GiB.
    fn mark(&self, line: Line, byte: usize) -> Mark {
        let column = match &self.bytes[line.start..byte] {
            before if self.is_ascii => before.len(),
            // Of each character the first byte.
            before => before.iter().filter(|byte| **byte & 0xC0 != 0x80).count(),
        };
        Mark { byte: byte as u32, line: line.number, column: column as u32 + 1 }
    }

    fn span(&self, line: Line, start: usize, end: usize) -> Span {
        Span { start: self.mark(line, start), end: self.mark(line, end) }
    }

    fn skip_spaces(&self, from: usize, end: usize) -> usize {
        let spaces = self.bytes[from..end].iter().take_while(|byte| **byte == b' ').count();
        from + spaces
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= self.options.max_nodes).then_some(())
    }

    /// The collection that begins on the current line.
    fn block(&mut self, depth: usize) -> Option<Node> {
        if depth >= self.options.max_depth {
            return None;
        }
        self.count()?;
        match self.line? {
            line if line.is_item(self.bytes) => self.list(line, depth),
            line => self.map(line, depth),
        }
    }

    fn list(&mut self, first: Line, depth: usize) -> Option<Node> {
        let mut items: Vec<Node> = Vec::new();
        let mut line = first;
        loop {
            items.push(self.item(line, depth + 1)?);
            match self.line {
                Some(next) if next.indent() == first.indent() && next.is_item(self.bytes) => {
                    line = next;
                }
                Some(next) if next.indent() > first.indent() => return None,
                _ => break,
            }
        }
        let end = items.last()?.span.end;
        Some(Node::new(Span { start: self.mark(first, first.content), end }, Data::List(items)))
    }

    fn item(&mut self, line: Line, depth: usize) -> Option<Node> {
        let behind = line.content + 1;
        let at = self.skip_spaces(behind, line.end);
        if at == line.end || self.bytes[at] == b'#' {
            self.advance();
            return match self.line {
                Some(next) if next.indent() > line.indent() => self.block(depth),
                _ => self.null(line, line.end),
            };
        }
        let inner = Line { content: at, ..line };
        let plain = |byte: u8| !matches!(byte, b'"' | b'\'' | b'[' | b'{');
        let is_key = || self.plain(at, line.end).is_some_and(|(_, stop)| stop == Stop::Colon);
        if inner.is_item(self.bytes) || (plain(self.bytes[at]) && is_key()) {
            self.line = Some(inner);
            return self.block(depth);
        }
        self.inline(line, at, depth)
    }

    fn map(&mut self, first: Line, depth: usize) -> Option<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut line = first;
        loop {
            let (key, colon) = self.key(line)?;
            entries.push((key, self.value(line, colon, depth + 1)?));
            match self.line {
                Some(next) if next.indent() == first.indent() => line = next,
                Some(next) if next.indent() > first.indent() => return None,
                _ => break,
            }
        }
        self.finish(self.mark(first, first.content), entries)
    }

    /// The map of these entries, ending with the last; none when a key is there twice.
    fn finish(&self, start: Mark, entries: Vec<(Key, Node)>) -> Option<Node> {
        let end = entries.last()?.1.span.end;
        let names = || entries.iter().map(|(key, _)| key.name.as_str());
        // Most maps are small: comparing all pairs is then faster than hashing.
        let unique = if entries.len() <= 12 {
            names().enumerate().all(|(n, name)| !names().take(n).any(|before| before == name))
        } else {
            names().collect::<HashSet<_>>().len() == entries.len()
        };
        unique.then(|| Node::new(Span { start, end }, Data::Map(entries)))
    }

    /// A quoted key or one of the simplest kind, and where its colon is.
    fn key(&mut self, line: Line) -> Option<(Key, usize)> {
        self.count()?;
        let (name, end) = match self.bytes.get(line.content) {
            Some(b'"' | b'\'') => self.quoted_text(line.content, line.end)?,
            _ => {
                let (name, end) = self.name(line.content, line.end)?;
                (name.to_owned(), end)
            }
        };
        let behind = self.bytes.get(end + 1).copied().unwrap_or(b'\n');
        let is_key = self.bytes.get(end) == Some(&b':')
            && matches!(behind, b' ' | b'\n')
            && end - line.content <= KEY_MOST;
        is_key.then(|| (Key { name, span: self.span(line, line.content, end) }, end))
    }

    /// Letters, digits and a few more that are a string, and where they end.
    fn name(&self, at: usize, end: usize) -> Option<(&str, usize)> {
        let of_name = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'@' | b'+')
        };
        let length = self.bytes[at..end].iter().take_while(|byte| of_name(byte)).count();
        let name = &self.text[at..at + length];
        let begins = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/';
        let plain = name.starts_with(begins) && length <= self.options.max_scalar;
        let string = plain && matches!(scalar::resolve(name), Plain::String(_));
        string.then_some((name, at + length))
    }

    /// What follows a key's colon, on its line or below.
    fn value(&mut self, line: Line, colon: usize, depth: usize) -> Option<Node> {
        let at = self.skip_spaces(colon + 1, line.end);
        if at < line.end && self.bytes[at] != b'#' {
            return self.inline(line, at, depth);
        }
        self.advance();
        match self.line {
            Some(next) if next.indent() > line.indent() => self.block(depth),
            // The items of a list may stand below their key.
            Some(next) if next.indent() == line.indent() && next.is_item(self.bytes) => {
                self.block(depth)
            }
            // The full reader, too, says that nothing stands behind the key.
            _ => self.null(line, colon),
        }
    }

    fn null(&mut self, line: Line, at: usize) -> Option<Node> {
        self.count()?;
        Some(Node::new(self.span(line, at, at), Data::Null))
    }

    /// A scalar or a flow collection that ends on its line.
    fn inline(&mut self, line: Line, at: usize, depth: usize) -> Option<Node> {
        let (node, end) = match self.bytes[at] {
            b'[' | b'{' => self.flow(line, at, depth)?,
            b'"' | b'\'' => self.quoted(line, at)?,
            b'|' => return self.literal(line, at),
            _ => {
                let (end, stop) = self.plain(at, line.end)?;
                if stop == Stop::Colon {
                    return None;
                }
                (self.scalar(line, at, end)?, end)
            }
        };
        let rest = self.skip_spaces(end, line.end);
        let comment = rest > end && self.bytes.get(rest) == Some(&b'#');
        if rest < line.end && !comment {
            return None;
        }
        self.advance();
        Some(node)
    }

    /// Where a plain scalar ends, and at what.
    fn plain(&self, at: usize, end: usize) -> Option<(usize, Stop)> {
        let bytes = &self.bytes[at..end];
        if !begins_plain(bytes) {
            return None;
        }
        let mut stop = Stop::End;
        let mut length = bytes.len();
        for (n, byte) in bytes.iter().enumerate() {
            match byte {
                b':' if matches!(bytes.get(n + 1), None | Some(b' ')) => stop = Stop::Colon,
                b'#' if bytes[n - 1] == b' ' => {}
                _ => continue,
            }
            length = n;
            break;
        }
        Some((at + bytes[..length].trim_ascii_end().len(), stop))
    }

    fn scalar(&mut self, line: Line, at: usize, end: usize) -> Option<Node> {
        self.count()?;
        let text = &self.text[at..end];
        if text.len() > self.options.max_scalar {
            return None;
        }
        let (data, ambiguous) = match scalar::resolve(text) {
            Plain::Null => (Data::Null, None),
            Plain::Bool(value) => (Data::Bool(value), None),
            Plain::Number(number, ambiguous) => (Data::Number(number), ambiguous),
            Plain::String(ambiguous) => (Data::String(text.to_owned()), ambiguous),
            Plain::OutOfRange => return None,
        };
        let plain = ambiguous.map(|_| text.into());
        Some(Node { ambiguous, plain, ..Node::new(self.span(line, at, end), data) })
    }

    /// A quoted scalar, and where it ends.
    fn quoted(&mut self, line: Line, at: usize) -> Option<(Node, usize)> {
        self.count()?;
        let (text, end) = self.quoted_text(at, line.end)?;
        Some((Node::new(self.span(line, at, end), Data::String(text)), end))
    }

    /// What stands between the quotes that begin here, and where they end.
    fn quoted_text(&self, at: usize, line_end: usize) -> Option<(String, usize)> {
        let quote = self.bytes[at];
        let (mut end, mut is_written_otherwise) = (at + 1, false);
        loop {
            // A backslash before the line's end takes it along.
            let rest = self.bytes.get(end..line_end)?;
            end += rest.iter().position(|byte| *byte == quote || *byte == b'\\')? + 1;
            match (quote, self.bytes[end - 1], self.bytes.get(end)) {
                // In single quotes a backslash is one, and the quote is doubled.
                (b'\'', b'\\', _) => continue,
                (b'\'', _, Some(b'\'')) | (b'"', b'\\', _) => {}
                _ => break,
            }
            is_written_otherwise = true;
            end += 1;
        }
        let inner = self.text.get(at + 1..end - 1)?;
        if inner.len() > self.options.max_scalar {
            return None;
        }
        let text = match (is_written_otherwise, quote) {
            (false, _) => inner.to_owned(),
            (true, b'"') => unescaped(inner)?,
            (true, _) => inner.replace("''", "'"),
        };
        Some((text, end))
    }

    /// A literal block (`|`, `|-`) without blank lines at its ends.
    fn literal(&mut self, line: Line, at: usize) -> Option<Node> {
        self.count()?;
        let last_break = match &self.bytes[at..line.end] {
            b"|" => true,
            b"|-" => false,
            _ => return None,
        };
        let mut text = String::new();
        let (mut start, mut last) = (None, line);
        let mut indent = 0;
        while self.next < self.bytes.len() {
            let from = self.next;
            let end = from + self.bytes[from..].iter().position(|byte| *byte == b'\n')?;
            let content = self.skip_spaces(from, end);
            let blank = content == end;
            let own = content - from;
            if start.is_none() {
                if blank || own <= line.indent() {
                    return None;
                }
                let first = Line { number: self.number + 1, start: from, content, end };
                start = Some(self.mark(first, content));
                indent = own;
            } else if blank && own > indent {
                return None;
            } else if !blank && own < indent {
                if own > line.indent() {
                    return None;
                }
                break;
            }
            text.push_str(self.text.get(from + indent..end).unwrap_or_default());
            text.push('\n');
            self.next = end + 1;
            self.number += 1;
            last = Line { number: self.number, start: from, content, end };
        }
        if text.ends_with("\n\n") {
            return None;
        }
        if !last_break {
            text.pop();
        }
        self.advance();
        // Where the text ends that can be seen.
        let end = last.start + self.bytes[last.start..last.end].trim_ascii_end().len();
        let span = Span { start: start?, end: self.mark(last, end) };
        (text.len() <= self.options.max_scalar).then(|| Node::new(span, Data::String(text)))
    }

    /// A flow collection, and where it ends.
    fn flow(&mut self, line: Line, at: usize, depth: usize) -> Option<(Node, usize)> {
        if depth >= self.options.max_depth {
            return None;
        }
        self.count()?;
        let is_map = self.bytes[at] == b'{';
        let close = if is_map { b'}' } else { b']' };
        let mut items = Vec::new();
        let mut entries = Vec::new();
        let mut at_item = self.skip_spaces(at + 1, line.end);
        let end = loop {
            if items.is_empty() && entries.is_empty() && self.bytes.get(at_item) == Some(&close) {
                break at_item + 1;
            }
            let after = if is_map {
                let (key, colon) = self.key(Line { content: at_item, ..line })?;
                let at_value = self.skip_spaces(colon + 1, line.end);
                let (value, after) = self.flow_value(line, at_value, depth + 1)?;
                entries.push((key, value));
                after
            } else {
                let (value, after) = self.flow_value(line, at_item, depth + 1)?;
                items.push(value);
                after
            };
            let after = self.skip_spaces(after, line.end);
            match self.bytes.get(after) {
                Some(b',') => at_item = self.skip_spaces(after + 1, line.end),
                Some(byte) if *byte == close => break after + 1,
                _ => return None,
            }
        };
        let span = self.span(line, at, end);
        let node = if !is_map {
            Node::new(span, Data::List(items))
        } else if entries.is_empty() {
            Node::new(span, Data::Map(entries))
        } else {
            Node { span, ..self.finish(span.start, entries)? }
        };
        Some((node, end))
    }

    fn flow_value(&mut self, line: Line, at: usize, depth: usize) -> Option<(Node, usize)> {
        if at >= line.end {
            return None;
        }
        match self.bytes[at] {
            b'[' | b'{' => self.flow(line, at, depth),
            b'"' | b'\'' => self.quoted(line, at),
            _ => {
                let bytes = &self.bytes[at..line.end];
                let length = bytes.iter().position(|byte| matches!(byte, b',' | b']' | b'}'))?;
                let text = bytes[..length].trim_ascii_end();
                // What has a meaning of its own in flow style is left to the full reader.
                let plain = begins_plain(text)
                    && text.iter().all(|byte| !matches!(byte, b'[' | b'{' | b'#' | b'"' | b'\''))
                    && !text.windows(2).any(|pair| pair == b": ")
                    && !text.ends_with(b":");
                let end = at + text.len();
                plain.then_some(())?;
                Some((self.scalar(line, at, end)?, end))
            }
        }
    }
}

/// What stands between double quotes, with escapes of the simplest kind.
fn unescaped(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        text.push(match escape.as_bytes().first()? {
            b'n' => '\n',
            b't' => '\t',
            b'"' => '"',
            b'\\' => '\\',
            _ => return None,
        });
        rest = &escape[1..];
    }
    text.push_str(rest);
    Some(text)
}

/// Whether these bytes surely begin a plain scalar.
fn begins_plain(bytes: &[u8]) -> bool {
    match bytes {
        [b'-', next, ..] => next.is_ascii_alphanumeric() || *next == b'.',
        [first, ..] => {
            first.is_ascii_alphanumeric() || *first >= 0x80 || b"_/.($^+<=~;)\\".contains(first)
        }
        [] => false,
    }
}

#[cfg(test)]
#[path = "fast_tests.rs"]
mod tests;
