//! Bytes into text: size, encoding, control characters.

use std::sync::Arc;

use super::{Mark, Options, Span, problem};
use crate::model::{Diagnostic, Place};

/// A file's text and where it begins.
pub(super) struct Text<'a> {
    /// Without the byte order mark.
    pub(super) text: &'a str,
    /// The length of the byte order mark.
    pub(super) offset: u32,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

pub(super) fn decode<'a>(
    file: &Arc<str>,
    bytes: &'a [u8],
    options: &Options,
) -> Result<Text<'a>, Vec<Diagnostic>> {
    if bytes.len() > options.max_bytes.min(u32::MAX as usize) {
        let what = format!("larger than {}", problem::size(options.max_bytes));
        return Err(vec![
            Diagnostic::error("LIM001", Place::file(Arc::clone(file)), what)
                .help("split the file, or keep large data elsewhere and refer to it"),
        ]);
    }
    let (bytes, offset) = match bytes.strip_prefix(BOM) {
        Some(rest) => (rest, 3),
        None => (bytes, 0),
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| vec![not_utf8(file, bytes, offset, error.valid_up_to())])?;
    if bytes.iter().enumerate().any(|(n, byte)| suspect(bytes, n, *byte)) {
        return Err(control(file, text, offset));
    }
    Ok(Text { text, offset })
}

/// Control characters other than tab and line breaks; U+0080 to U+009F begin with C2 in UTF-8.
fn suspect(bytes: &[u8], n: usize, byte: u8) -> bool {
    match byte {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 | 0x7F => true,
        0xC2 => bytes.get(n + 1).is_some_and(|next| *next < 0xA0),
        _ => false,
    }
}

fn not_utf8(file: &Arc<str>, bytes: &[u8], offset: u32, valid: usize) -> Diagnostic {
    let encoding = match bytes {
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => "this looks like UTF-16; ",
        _ => "",
    };
    // The prefix is valid by what `valid_up_to` says.
    let before = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
    let start = mark_after(before, offset);
    let end = Mark { byte: start.byte + 1, column: start.column + 1, ..start };
    let what = format!("not UTF-8: byte 0x{:02X} at offset {}", bytes[valid], start.byte);
    Diagnostic::error("YAML004", Span { start, end }.place(file), what)
        .help(format!("{encoding}save the file as UTF-8"))
}

fn control(file: &Arc<str>, text: &str, offset: u32) -> Vec<Diagnostic> {
    let mut at = Mark { byte: offset, line: 1, column: 1 };
    let mut found = Vec::new();
    for c in text.chars() {
        let start = at;
        advance(&mut at, c);
        if is_refused(c) {
            let span = Span { start, end: Mark { column: start.column + 1, ..at } };
            found.push(problem::control(file, span, c));
        }
        if found.len() == problem::MOST {
            break;
        }
    }
    found
}

/// Whether a character may stand neither in a file nor, by an escape, in a string.
pub(super) fn is_refused(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

fn mark_after(text: &str, offset: u32) -> Mark {
    let mut at = Mark { byte: offset, line: 1, column: 1 };
    text.chars().for_each(|c| advance(&mut at, c));
    at
}

fn advance(at: &mut Mark, c: char) {
    // A file is smaller than 4 GiB, and so are its lines.
    at.byte += c.len_utf8() as u32;
    if c == '\n' {
        at.line += 1;
        at.column = 1;
    } else {
        at.column += 1;
    }
}
