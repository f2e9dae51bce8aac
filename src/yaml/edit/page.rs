//! Where the text of an edit goes, and what else it has to take along.

use serde_json::Value;

use super::{Edit, split};
use crate::yaml::{Data, Key, Node, write};

/// A text, what was read from it, and how its lines end.
pub(super) struct Page<'a> {
    text: &'a str,
    root: &'a Node,
    /// How its lines end.
    eol: &'static str,
    /// It is JSON, and stays so: whoever wrote it may read it with something else than YAML.
    is_json: bool,
}

/// How a value stands in the file.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// Between brackets or braces, or below such.
    Flow,
    /// By indentation.
    Block,
}

/// A stretch of the text by its bytes, and what stands there instead.
type Splice = (usize, usize, String);

impl<'a> Page<'a> {
    pub(super) fn new(text: &'a str, root: &'a Node) -> Self {
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, root, eol, is_json: is_json(text) }
    }

    /// The texts that may come of an edit, the likeliest first.
    pub(super) fn ways(&self, edit: &Edit) -> Vec<String> {
        let splices = match edit {
            Edit::Put { at, value, behind } => self.put(at, value, behind.as_deref()),
            Edit::Remove { at } => self.remove(at),
            Edit::Rename { at, to } => self.rename(at, to),
        };
        let made = splices.unwrap_or_default().into_iter().filter_map(|way| self.spliced(way));
        made.filter(|text| !self.is_json || is_json(text)).collect()
    }

    fn spliced(&self, mut splices: Vec<Splice>) -> Option<String> {
        splices.sort_by_key(|(start, ..)| *start);
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (start, end, new) in splices {
            out.push_str(self.text.get(at..start)?);
            out.push_str(&new);
            at = end;
        }
        out.push_str(self.text.get(at..)?);
        Some(out)
    }

    fn put(&self, at: &str, value: &Value, behind: Option<&str>) -> Option<Vec<Vec<Splice>>> {
        let (above, key) = split(at)?;
        match self.root.at(above) {
            // What is not there is made with what goes into it.
            None => self.put(above, &serde_json::json!({ key: value }), behind),
            Some(Node { data: Data::Null, .. }) if !above.is_empty() => {
                self.put(above, &serde_json::json!({ key: value }), behind)
            }
            Some(map) => match self.root.at(at) {
                Some(old) => Some(self.replace(at, old, value)),
                None => self.insert(above, map, &key, value, behind),
            },
        }
    }

    /// Another value in place of one.
    fn replace(&self, at: &str, old: &Node, value: &Value) -> Vec<Vec<Splice>> {
        let node = Node::from_json(value.clone());
        let style = self.style_above(at);
        let (start, end) = (span(old).0, self.node_end(old, style));
        let is_block = self.is_block(old, style);
        let key = self.root.key_at(at);
        let inline = match &node.data {
            Data::String(text) => self.scalar_like(old, text, style),
            _ => self.flow(&node),
        };
        let mut ways = Vec::new();
        if is_block {
            // The lines of the old value, for those of the new one.
            let column = self.column(start);
            if write::is_filled(&node) {
                let lines = self.lines(&write::below(&node, column));
                ways.push(vec![(start, end, lines)]);
            }
            if let Some(colon) = key.and_then(|key| self.colon(key)) {
                let body = (self.line_start(start), self.next_line(end), String::new());
                ways.push(vec![(colon, colon, format!(" {inline}")), body]);
            }
            ways.push(vec![(start, end, inline)]);
            return ways;
        }
        if let Some((from, to)) = self.indicator(old) {
            // A block of text: the value stands where its `|` stood, and its lines go.
            let body = (self.line_start(start), self.next_line(end), String::new());
            ways.push(vec![(from, to, inline), body]);
            return ways;
        }
        if is_empty(old) {
            let Some(key) = key else {
                let dash = self.text[..start].trim_end().len();
                ways.push(vec![(dash, dash, format!(" {inline}"))]);
                return ways;
            };
            if style == Style::Block && write::is_filled(&node) {
                ways.extend(self.below_key(key, &node).map(|splice| vec![splice]));
            }
            let splice = match self.colon(key) {
                Some(colon) => (colon, colon, format!(" {inline}")),
                None => {
                    (key.span.end.byte as usize, key.span.end.byte as usize, format!(": {inline}"))
                }
            };
            ways.push(vec![splice]);
            return ways;
        }
        ways.push(vec![(start, end, inline)]);
        ways
    }

    /// The lines of a collection below a key that has nothing behind it.
    fn below_key(&self, key: &Key, node: &Node) -> Option<Splice> {
        let colon = self.colon(key)?;
        let end = self.line_end(colon);
        let indent = self.column(key.span.start.byte as usize) + 2;
        let lines = write::below(node, indent);
        let lines = self.lines(&format!("\n{}{lines}", " ".repeat(indent)));
        Some((end, end, lines))
    }

    /// A key that was not there.
    fn insert(
        &self,
        above: &str,
        map: &Node,
        key: &str,
        value: &Value,
        behind: Option<&str>,
    ) -> Option<Vec<Vec<Splice>>> {
        let Data::Map(entries) = &map.data else { return None };
        let node = Node::from_json(value.clone());
        let style = self.style_above(above);
        if !self.is_block(map, style) {
            let name = if self.is_json { json(&key.into()) } else { write::flow_key(key) };
            let entry = format!("{name}: {}", self.flow(&node));
            let named = entries.iter().find(|(k, _)| Some(k.name.as_str()) == behind);
            return Some(match named.or(entries.last()) {
                Some((key, value)) => {
                    let end = self.entry_end(key, value, Style::Flow);
                    let blank = self.blank_before(key);
                    vec![vec![(end, end, format!(",{blank}{entry}"))]]
                }
                None => {
                    let (start, end) = span(map);
                    vec![vec![(start, end, format!("{{{entry}}}"))]]
                }
            });
        }
        let (first, _) = entries.first()?;
        let start = first.span.start.byte as usize;
        let indent = self.column(start);
        let entry = write::entry(key, &node, indent);
        let entry = self.lines(entry.trim_end_matches('\n'));
        let pad = " ".repeat(indent);
        let named = entries.iter().position(|(k, _)| Some(k.name.as_str()) == behind);
        let mut ways = Vec::new();
        for (key, value) in entries[named.unwrap_or(entries.len() - 1)..].iter() {
            let end = self.line_end(self.entry_end(key, value, Style::Block));
            ways.push(vec![(end, end, format!("{}{pad}{entry}", self.eol))]);
        }
        // A last value that goes on for ever, such as a block with all its empty lines kept.
        ways.push(vec![(start, start, format!("{entry}{}{pad}", self.eol))]);
        Some(ways)
    }

    fn rename(&self, at: &str, to: &str) -> Option<Vec<Vec<Splice>>> {
        let key = self.root.key_at(at)?;
        let (start, end) = (key.span.start.byte as usize, key.span.end.byte as usize);
        let style = self.style_above(at);
        let name = self.quoted_like(start, to, style);
        Some(vec![vec![(start, end, name)]])
    }

    fn remove(&self, at: &str) -> Option<Vec<Vec<Splice>>> {
        let (above, key) = split(at)?;
        let map = self.root.at(above)?;
        let Data::Map(entries) = &map.data else { return None };
        let n = entries.iter().position(|(k, _)| k.name == key)?;
        let style = self.style_above(above);
        if entries.len() == 1 {
            let empty = Value::Object(serde_json::Map::new());
            if above.is_empty() || !self.is_block(map, style) {
                let (start, end) = span(map);
                return Some(vec![vec![(start, end, "{}".into())]]);
            }
            return Some(self.replace(above, map, &empty));
        }
        if self.is_block(map, style) {
            return Some(vec![vec![self.without_lines(above, entries, n)]]);
        }
        Some(self.without_flow(entries, n).into_iter().map(|splice| vec![splice]).collect())
    }

    /// The lines of an entry, and those of the comment above it.
    fn without_lines(&self, above: &str, entries: &[(Key, Node)], n: usize) -> Splice {
        let (key, value) = &entries[n];
        let start = key.span.start.byte as usize;
        let mut end = self.next_line(self.entry_end(key, value, Style::Block));
        let line = self.line_start(start);
        let indent = &self.text[line..start];
        if !indent.bytes().all(|b| b == b' ') {
            // The first key behind a dash: what comes next stands there now.
            let rest = &self.text[end..];
            end += rest.len() - rest.trim_start_matches([' ', '\r', '\n']).len();
            return (start, end, String::new());
        }
        // Above the first key of a file stands what is said of the file.
        let heads_file = above.is_empty() && n == 0;
        let mut from = line;
        while !heads_file && from > self.bom() {
            let before = self.line_start(self.line_before(from));
            let text = &self.text[before..from];
            let is_its = text.strip_prefix(indent).is_some_and(|rest| rest.starts_with('#'));
            if !is_its || before == from {
                break;
            }
            from = before;
        }
        // A last line without an end takes the one before along.
        if end == self.text.len() && !self.text.ends_with('\n') && from > 0 {
            from = self.line_before(from);
        }
        (from, end, String::new())
    }

    /// An entry between braces, with a comma.
    fn without_flow(&self, entries: &[(Key, Node)], n: usize) -> Vec<Splice> {
        let (key, value) = &entries[n];
        let start = key.span.start.byte as usize;
        let end = self.entry_end(key, value, Style::Flow);
        let mut ways = Vec::new();
        if let Some((next, _)) = entries.get(n + 1) {
            let next = next.span.start.byte as usize;
            let between = self.text.get(end..next).unwrap_or_default();
            // A comment behind the comma is this entry's own, one on a line of its own the next one's.
            let own = between.find('\n').filter(|_| between.contains('#'));
            let to = own.map_or(next, |at| end + at);
            ways.push((start, to, String::new()));
            ways.push((start, next, String::new()));
        }
        if let Some((last, value)) = n.checked_sub(1).map(|n| &entries[n]) {
            let last = self.entry_end(last, value, Style::Flow);
            let between = self.text.get(last..start).unwrap_or_default();
            // YAML lets a comma stand before a brace, which keeps the comment of the entry before.
            let from = if between.contains('#') { start } else { last };
            ways.push((from, end, String::new()));
        }
        ways
    }

    /// A value as it may stand between brackets.
    fn flow(&self, node: &Node) -> String {
        if self.is_json { json(&node.to_json()) } else { write::flow(node) }
    }

    /// What stands between an entry of JSON and the next one: its line's end where each has its own.
    fn blank_before(&self, key: &Key) -> String {
        let start = key.span.start.byte as usize;
        let line = self.line_start(start);
        match self.text.get(line..start) {
            Some(blank) if self.is_json && line > 0 && blank.trim().is_empty() => {
                format!("{}{blank}", self.eol)
            }
            _ => " ".into(),
        }
    }

    /// Text as it fits where another value stands, in the same quotes.
    fn scalar_like(&self, old: &Node, text: &str, style: Style) -> String {
        match &old.data {
            Data::String(was) => {
                let at = old.span.start.byte as usize;
                // Where another number stood without quotes, this one needs none.
                let is_plain =
                    self.text.get(at..).is_some_and(|rest| rest.starts_with(was.as_str()));
                match is_plain && old.ambiguous.is_none() && write::is_alike(was, text) {
                    true => text.to_owned(),
                    false => self.quoted_like(at, text, style),
                }
            }
            _ if self.is_json => json(&text.into()),
            _ => write::inline(text, style == Style::Flow),
        }
    }

    fn quoted_like(&self, at: usize, text: &str, style: Style) -> String {
        if self.is_json {
            return json(&text.into());
        }
        match self.text.as_bytes().get(at) {
            Some(b'\'') if write::is_single(text) => format!("'{}'", text.replace('\'', "''")),
            Some(b'\'' | b'"') => write::double(text),
            _ => write::inline(text, style == Style::Flow),
        }
    }

    /// Whether what contains the place stands between brackets.
    fn style_above(&self, at: &str) -> Style {
        let mut above = at;
        while let Some((higher, _)) = above.rsplit_once('/') {
            above = higher;
            let Some(node) = self.root.at(above) else { continue };
            if self.opens(node) {
                return Style::Flow;
            }
        }
        Style::Block
    }

    fn opens(&self, node: &Node) -> bool {
        let (start, end) = span(node);
        let is_collection = matches!(node.data, Data::Map(_) | Data::List(_));
        is_collection
            && end > start
            && matches!(self.text.as_bytes().get(start), Some(b'{' | b'['))
            && matches!(self.text.as_bytes().get(end - 1), Some(b'}' | b']'))
    }

    /// Whether it is a collection by indentation.
    fn is_block(&self, node: &Node, above: Style) -> bool {
        let is_collection = matches!(node.data, Data::Map(_) | Data::List(_));
        above == Style::Block && is_collection && !self.opens(node)
    }

    /// Where the `|` or `>` of a block of text stands; the reader's span begins with its first line.
    fn indicator(&self, node: &Node) -> Option<(usize, usize)> {
        let (Data::String(_), (start, _)) = (&node.data, span(node)) else { return None };
        let before = self.text.get(..self.line_start(start))?;
        let own = self.text.get(before.len()..start)?;
        let head = before.trim_end();
        let from = self.line_start(head.len());
        let line = head[from..].split(" #").next()?.trim_end();
        let at = line.rfind(['|', '>'])?;
        let modifiers = line[at + 1..].bytes().all(|b| matches!(b, b'+' | b'-' | b'1'..=b'9'));
        let is_one =
            modifiers && line[..at].ends_with([' ', '-']) && own.trim_matches(' ').is_empty();
        is_one.then_some((from + at, from + line.len()))
    }

    /// Behind the colon of a key.
    fn colon(&self, key: &Key) -> Option<usize> {
        let end = key.span.end.byte as usize;
        let rest = self.text.get(end..)?;
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blank..].starts_with(':').then_some(end + blank + 1)
    }

    /// Where an entry ends, whatever the parser says of values that are not there.
    fn entry_end(&self, key: &Key, value: &Node, style: Style) -> usize {
        if is_empty(value) {
            return self.colon(key).unwrap_or(key.span.end.byte as usize);
        }
        self.node_end(value, style)
    }

    fn node_end(&self, node: &Node, style: Style) -> usize {
        let (start, end) = span(node);
        match &node.data {
            Data::Map(entries) if self.is_block(node, style) => match entries.last() {
                Some((key, value)) => self.entry_end(key, value, style),
                None => end,
            },
            Data::List(items) if self.is_block(node, style) => match items.last() {
                Some(last) => self.node_end(last, style),
                None => end,
            },
            // An item that is not there ends with its dash.
            Data::Null if start == end => self.text[..start].trim_end().len(),
            _ => end,
        }
    }

    fn bom(&self) -> usize {
        if self.text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 }
    }

    fn line_start(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before.rfind(['\n', '\r']).map_or(self.bom(), |end| end + 1).min(at)
    }

    /// Where the line before ends that begins at `at`: one line and no more, be it empty.
    fn line_before(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        let before = before.strip_suffix('\n').unwrap_or(before);
        before.strip_suffix('\r').unwrap_or(before).len()
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    fn next_line(&self, at: usize) -> usize {
        let end = self.line_end(at);
        let rest = &self.text[end..];
        let length = if rest.starts_with("\r\n") { 2 } else { usize::from(!rest.is_empty()) };
        end + length
    }

    /// Characters before it on its line; only spaces and dashes stand there in block style.
    fn column(&self, at: usize) -> usize {
        self.text.get(self.line_start(at)..at).map_or(0, |before| before.chars().count())
    }

    /// Lines of ours with the file's own line ends.
    fn lines(&self, text: &str) -> String {
        text.trim_end_matches('\n').replace('\n', self.eol)
    }
}

/// Whether a text is JSON with something in it that can be edited.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A value as JSON on one line, spaced as people write it.
fn json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entry = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), json(value))
            };
            let entries: Vec<_> = map.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn span(node: &Node) -> (usize, usize) {
    (node.span.start.byte as usize, node.span.end.byte as usize)
}

/// Nothing stands there, which means null.
fn is_empty(node: &Node) -> bool {
    node.data == Data::Null && node.span.start.byte == node.span.end.byte
}
