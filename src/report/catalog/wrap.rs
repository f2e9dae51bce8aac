//! Text that fits the width it has.

use crate::model::visible;

/// The least that a column of text gets, however narrow the terminal is.
const LEAST: usize = 20;

/// The most characters of one text that are shown.
const TEXT_MAX: usize = 2_000;

/// The words of `text` in lines of at most `width` characters; a longer word has a line of its own. The
/// text may be anybody's: it moves no cursor.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let width = width.max(LEAST);
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let word = visible(word, TEXT_MAX);
        let long = word.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + long <= width => {
                line.push(' ');
                line.push_str(&word);
                used += 1 + long;
            }
            _ => {
                lines.push(word);
                used = long;
            }
        }
    }
    lines
}

/// As [`lines`], each moved right by `indent`, with a line break after each.
pub(super) fn block(text: &str, indent: usize, width: usize) -> String {
    let lines = lines(text, width.saturating_sub(indent)).into_iter();
    lines.map(|line| format!("{:indent$}{line}\n", "")).collect()
}

/// A text after `head`, on one line with it, its other lines below its first one where there is room.
pub(super) fn hanging(head: &str, text: &str, width: usize) -> String {
    let long = head.chars().count();
    let indent = if long + LEAST <= width { long } else { 6 };
    let lines = lines(text, width.saturating_sub(indent));
    let mut out = head.to_owned();
    for (n, line) in lines.iter().enumerate() {
        if n > 0 || indent != long {
            out.truncate(out.trim_end().len());
            out.push_str(&format!("\n{:indent$}", ""));
        }
        out.push_str(line);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_there_is_room() {
        let text = "A queue with a dead-letter queue  and an\nalarm about its age.";
        insta::assert_snapshot!(block(text, 2, 30), @"
          A queue with a dead-letter
          queue and an alarm about its
          age.
        ");
        assert_eq!(lines(&"x".repeat(50), 20), ["x".repeat(50)]);
        assert_eq!(lines("a\u{1b}[2Jb \u{202e}c", 3), ["a\\u{1B}[2Jb", "\\u{202E}c"]);
        assert!(lines(" \n ", 30).is_empty());
        insta::assert_snapshot!(hanging("  name  ", "some words beside a name", 28), @"
          name  some words beside a
                name
        ");
        insta::assert_snapshot!(hanging("  a-long-name  ", "some words below a name", 28), @"
          a-long-name
              some words below a
              name
        ");
        assert_eq!(hanging("  name  ", "", 28), "  name\n");
    }
}
