//! Which relative paths may be written. Whatever is not plainly harmless is refused.

/// Longest path, in bytes.
const PATH_MAX: usize = 512;

/// The file that says whose a folder is.
pub(super) const MARKER: &str = ".vend";

/// The parts of a relative path, or what is wrong with it, as half a sentence.
///
/// Each part is of `[A-Za-z0-9._-]` and starts with neither `-` nor `.`: that leaves no way up, no
/// marker, no `.git`, no option for a program, and nothing that a terminal would obey.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, String> {
    if path.is_empty() || path.len() > PATH_MAX {
        return Err(format!("has {} bytes, and 1 to {PATH_MAX} are allowed", path.len()));
    }
    path.split('/').map(|part| check(part).map(|()| part)).collect()
}

fn check(part: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if part.is_empty() {
        return Err("has an empty part".into());
    }
    if part.starts_with(['.', '-']) {
        return Err(format!("has a part that starts with `{}`", &part[..1]));
    }
    if !part.bytes().all(allowed) {
        return Err("may hold only letters, digits, `.`, `_`, `-` and `/`".into());
    }
    Ok(())
}

/// Text from outside as it may be shown: escaped, and cut at 80 characters.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.escape_debug().take(80).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plainly_harmless_paths_pass() {
        for good in ["a", "a/b.yaml", "A_1/x-y.z", "a..b"] {
            assert!(parts(good).is_ok(), "{good}");
        }
        let long = "a/".repeat(300) + "a";
        let bad = [
            "",
            "/etc",
            "a/",
            "a//b",
            "..",
            "../x",
            "a/../b",
            ".vend",
            "a/.vend",
            ".git/config",
            "-rf",
            "a/--x",
            "x\0y",
            "a\nb",
            "a b",
            "a\\b",
            "C:x",
            "é",
            "\u{202e}x",
            "a/./b",
            &long,
        ];
        for bad in bad {
            assert!(parts(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shown_text_is_escaped_and_cut() {
        assert_eq!(shown("a\x1b[2J"), "a\\u{1b}[2J");
        assert_eq!(shown(&"x".repeat(200)).chars().count(), 81);
    }
}
