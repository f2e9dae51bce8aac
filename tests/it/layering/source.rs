//! As much of a Rust file as the layering rules need: its words without comments, strings and tests.

use std::sync::LazyLock;

use regex::Regex;

/// A pattern compiled once for all files.
macro_rules! pattern {
    ($text:expr) => {{
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).unwrap());
        &*PATTERN
    }};
}

/// One file, read.
pub struct Source {
    /// The text with comments, strings and test modules blanked; lines stay where they were.
    code: String,
    /// The same with strings kept.
    text: String,
    /// Lines with a `cfg(test)` that stands on no module.
    stray: Vec<usize>,
}

impl Source {
    pub fn read(text: &str) -> Self {
        let (mut code, mut kept) = (blank(text, true), blank(text, false));
        let mut stray = Vec::new();
        let attribute = pattern!(r"#\[cfg\((?:all\()?test\b[^\]]*\]");
        let module = pattern!(r"^(?:\s|#\[[^\]]*\])*(?:pub(?:\([a-z]+\))?\s+)?mod\s+\w+\s*");
        for found in attribute.find_iter(&code.clone()) {
            let rest = &code[found.end()..];
            let Some(head) = module.find(rest) else {
                stray.push(line_of(&code, found.start()));
                continue;
            };
            let end = found.end() + head.end() + block_end(&rest[head.end()..]);
            blank_range(&mut code, found.start(), end);
            blank_range(&mut kept, found.start(), end);
        }
        Self { code, text: kept, stray }
    }

    /// The top-level modules that the file names, with the lines: `crate::x`, `use crate::{x, …}`,
    /// `super::super::x`, and `vend::x` in the program.
    pub fn modules_used(&self, module_path: &[String]) -> Vec<(usize, String)> {
        let mut used = Vec::new();
        let root = pattern!(r"\b(?:crate|vend)\s*::\s*|\b(?:super\s*::\s*)+");
        for found in root.find_iter(&self.code) {
            let supers = found.as_str().matches("super").count();
            if supers > 0 && supers < module_path.len() {
                continue; // stays inside the top-level module
            }
            for (at, name) in heads(&self.code, found.end()) {
                // After too many `super`s an item of the root may follow: only modules count there.
                if supers == 0 || super::floor(&name).is_some() {
                    used.push((line_of(&self.code, at), name));
                }
            }
        }
        let alias = pattern!(r"\buse\s+crate\s+as\b");
        used.extend(
            alias
                .find_iter(&self.code)
                .map(|m| (line_of(&self.code, m.start()), "self".to_owned())),
        );
        used
    }

    /// Lines that name `path` (identifiers joined by `::`), also through a grouped `use`.
    pub fn lines_naming(&self, path: &str) -> Vec<usize> {
        let mut found = whole_words(&self.code, path);
        if let Some((root, last)) = path.rsplit_once("::") {
            for at in whole_words(&self.code, &format!("{root}::{{")) {
                let group = at + root.len() + 2;
                let named = heads(&self.code, group).into_iter().filter(|(_, name)| name == last);
                found.extend(named.map(|(at, _)| at));
            }
        }
        found.into_iter().map(|at| line_of(&self.code, at)).collect()
    }

    /// Lines on which something called like an error is formatted with `{:?}`.
    pub fn errors_by_debug(&self) -> Vec<usize> {
        let inline = pattern!(r"\{(?:e|err|error|cause|failure):#?\?\}");
        let argument =
            pattern!(r#"\{\d?:#?\?\}[^;]*?",[^;]*?&?\b(?:e|err|error|cause|failure)\b\s*[,)]"#);
        let field = pattern!(r"[=(,]\s*\?(?:e|err|error|cause|failure)\b");
        [(inline, &self.text), (argument, &self.text), (field, &self.code)]
            .iter()
            .flat_map(|(pattern, text)| {
                pattern.find_iter(text).map(|m| line_of(text, m.start())).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Lines with `#[cfg(test)]` on something that is not a module.
    pub fn stray_cfg_test(&self) -> Vec<usize> {
        self.stray.clone()
    }

    /// The modules declared with `mod x;`.
    pub fn declared(&self) -> Vec<String> {
        let declared = pattern!(r"\bmod\s+(\w+)\s*;");
        declared.captures_iter(&self.code).map(|c| c[1].to_owned()).collect()
    }
}

/// Paths (without `.rs`) of the modules that a file declares as `#[cfg(test)] mod name;`, with a
/// `#[path]` or without.
pub fn test_files(path: &str, text: &str) -> Vec<String> {
    let declared = pattern!(
        r#"#\[cfg\(test\)\]\s*(?:#\[path\s*=\s*"([^"]+)"\]\s*)?(?:pub(?:\([a-z]+\))?\s+)?mod\s+(\w+)\s*;"#
    );
    let stem = path.trim_end_matches(".rs");
    let children = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib")).unwrap_or(stem);
    let beside = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
    declared
        .captures_iter(&blank(text, false))
        .map(|c| match c.get(1) {
            Some(file) => format!("{beside}/{}", file.as_str().trim_end_matches(".rs")),
            None => format!("{children}/{}", &c[2]),
        })
        .collect()
}

/// Whether a file is one of those modules or lies inside one.
pub fn is_test_file(path: &str, test_only: &[String]) -> bool {
    let stem = path.trim_end_matches(".rs");
    test_only.iter().any(|t| stem == t || stem.starts_with(&format!("{t}/")))
}

/// Where `words` stands in `code` with no identifier running on at either end. `rustfmt` leaves no
/// blanks in paths, so that plain text search is enough.
fn whole_words(code: &str, words: &str) -> Vec<usize> {
    let runs_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(words)
        .filter(|(at, _)| !runs_on(code[..*at].chars().next_back()))
        .filter(|(at, _)| words.ends_with('{') || !runs_on(code[at + words.len()..].chars().next()))
        .map(|(at, _)| at)
        .collect()
}

/// The names that can follow at `at`: one, or the first of each branch of a `{…}` group.
fn heads(code: &str, at: usize) -> Vec<(usize, String)> {
    let word = |from: usize| -> (usize, String) {
        let rest = &code[from..];
        let start = from + (rest.len() - rest.trim_start().len());
        if code[start..].starts_with('*') {
            return (start, "*".to_owned());
        }
        let name = code[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (start, name)
    };
    if !code[at..].trim_start().starts_with('{') {
        return Vec::from([word(at)]).into_iter().filter(|(_, name)| !name.is_empty()).collect();
    }
    let (mut depth, mut found) = (0, Vec::new());
    for (n, c) in code[at..].char_indices() {
        match c {
            '{' => {
                depth += 1;
                if depth == 1 {
                    found.push(word(at + n + 1));
                }
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ',' if depth == 1 => found.push(word(at + n + 1)),
            _ => {}
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// Where an item ends that begins at the start of `code`: after its `;`, or its matching brace.
fn block_end(code: &str) -> usize {
    let mut depth = 0;
    for (n, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return n + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return n + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn blank_range(text: &mut String, start: usize, end: usize) {
    let blanks: String =
        text[start..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(start..end, &blanks);
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Comments, and strings too if asked, replaced by blanks of the same length in bytes.
fn blank(text: &str, strings: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (end, wipe) = token_end(bytes, at);
        if end > at + 1 && (wipe == Wipe::Comment || (wipe == Wipe::Text && strings)) {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[derive(PartialEq)]
enum Wipe {
    Comment,
    Text,
    Nothing,
}

/// The end of the comment, string or character at `at`; else of the one byte there.
fn token_end(bytes: &[u8], at: usize) -> (usize, Wipe) {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        return (at + end, Wipe::Comment);
    }
    if rest.starts_with(b"/*") {
        return (at + comment_end(rest), Wipe::Comment);
    }
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest[0] == b'r' && (!word_before || bytes[at - 1] == b'b') {
        let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            let body = 2 + hashes;
            let end = rest[body..].windows(close.len()).position(|w| w == close);
            return (at + end.map_or(rest.len(), |n| body + n + close.len()), Wipe::Text);
        }
    }
    match rest[0] {
        b'"' => (at + quoted_end(rest, b'"'), Wipe::Text),
        // A character: `'x'` or an escape; else a lifetime.
        b'\'' if rest.get(1) == Some(&b'\\') => (at + quoted_end(rest, b'\''), Wipe::Text),
        b'\'' => {
            let width = match rest.get(1) {
                Some(b) if *b < 0x80 => 1,
                Some(b) if *b < 0xE0 => 2,
                Some(b) if *b < 0xF0 => 3,
                _ => 4,
            };
            if rest.get(1 + width) == Some(&b'\'') {
                (at + width + 2, Wipe::Text)
            } else {
                (at + 1, Wipe::Nothing)
            }
        }
        _ => (at + 1, Wipe::Nothing),
    }
}

fn comment_end(rest: &[u8]) -> usize {
    let (mut depth, mut n) = (0, 0);
    while n < rest.len() {
        if rest[n..].starts_with(b"/*") {
            depth += 1;
            n += 2;
        } else if rest[n..].starts_with(b"*/") {
            depth -= 1;
            n += 2;
            if depth == 0 {
                return n;
            }
        } else {
            n += 1;
        }
    }
    n
}

fn quoted_end(rest: &[u8], close: u8) -> usize {
    let mut n = 1;
    while n < rest.len() {
        match rest[n] {
            b'\\' => n += 2,
            b if b == close => return n + 1,
            _ => n += 1,
        }
    }
    rest.len()
}
