//! Names inside trees. A tree can hold any bytes but NUL and `/`; some of them are traps.

use std::fmt;

/// Longest path, in bytes.
pub(super) const PATH_MAX: usize = 512;

/// Why a path in a tree is not read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PathProblem {
    /// Not UTF-8.
    NotUtf8,
    /// A control, invisible or direction-changing character.
    Control,
    /// A backslash, which is a separator elsewhere.
    Backslash,
    /// Empty, `.`, `..`, or `.git` in any spelling that a file system may take for it.
    Reserved,
    /// Longer than 512 bytes.
    TooLong,
    /// Neither file, link, submodule nor folder: an unknown mode in a tree, a socket on a disk.
    NotAFile,
    /// On a disk: whoever runs this may not read it.
    NotReadable,
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::Control => "a control or invisible character",
            Self::Backslash => "a backslash",
            Self::Reserved => "a reserved name",
            Self::TooLong => "longer than 512 bytes",
            Self::NotAFile => "not a regular file",
            Self::NotReadable => "it may not be read",
        })
    }
}

/// Checks one name of a tree; gives it as text.
pub(super) fn check(name: &[u8]) -> Result<&str, PathProblem> {
    let name = std::str::from_utf8(name).map_err(|_| PathProblem::NotUtf8)?;
    if name.chars().any(is_hidden) {
        return Err(PathProblem::Control);
    }
    if name.contains('\\') {
        return Err(PathProblem::Backslash);
    }
    if name.contains('/') || matches!(name, "" | "." | "..") || is_dot_git(name) {
        return Err(PathProblem::Reserved);
    }
    Ok(name)
}

/// `.git` as NTFS or a case-insensitive file system would read it.
fn is_dot_git(name: &str) -> bool {
    let stem = name.split(':').next().unwrap_or(name).trim_end_matches([' ', '.']);
    stem.eq_ignore_ascii_case(".git") || stem.eq_ignore_ascii_case("git~1")
}

/// Characters that do not show, or that change how others show.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Bytes as text that is safe to print: `a\nb`, `\x1b`, `\u{202e}`, `\\`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\\' => out.push_str("\\\\"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
                c if is_hidden(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// A folder or file path that a caller names: relative, each part a [`check`]ed name.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, PathProblem> {
    let path = path.trim_matches('/');
    if path.is_empty() || path == "." {
        return Ok(Vec::new());
    }
    if path.len() > PATH_MAX {
        return Err(PathProblem::TooLong);
    }
    path.split('/').map(|part| check(part.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b29_b30_traps_are_named() {
        for (name, problem) in [
            (&b".."[..], PathProblem::Reserved),
            (b".", PathProblem::Reserved),
            (b"", PathProblem::Reserved),
            (b".git", PathProblem::Reserved),
            (b".GiT", PathProblem::Reserved),
            (b".git. .", PathProblem::Reserved),
            (b".git::$INDEX_ALLOCATION", PathProblem::Reserved),
            (b"GIT~1", PathProblem::Reserved),
            (b"a/b", PathProblem::Reserved),
            (b"a\nb.yaml", PathProblem::Control),
            (b"\x1b[2J", PathProblem::Control),
            ("a\u{202e}b".as_bytes(), PathProblem::Control),
            ("a\u{200b}b".as_bytes(), PathProblem::Control),
            (b"a\\b", PathProblem::Backslash),
            (b"\xff", PathProblem::NotUtf8),
        ] {
            assert_eq!(check(name), Err(problem), "{}", escape(name));
        }
        for good in ["a.yaml", ".github", ".gitignore", "-rf.yaml", "CON.yaml", "ü", "a b"] {
            assert_eq!(check(good.as_bytes()), Ok(good));
        }
    }

    #[test]
    fn what_is_shown_is_one_line_and_tells_names_apart() {
        assert_eq!(escape(b"a\nb.yaml"), "a\\nb.yaml");
        assert_eq!(escape(b"a\\nb.yaml"), "a\\\\nb.yaml");
        assert_eq!(escape("\u{202e}\u{1b}x".as_bytes()), "\\u{202e}\\x1bx");
        assert_eq!(escape(b"\xffx"), "\\xffx");
    }
}
