//! Markdown as GitHub reads it, with text of others in it that stays text.

use crate::model::{is_invisible, visible};

/// Invisible, and enough that GitHub sees no mention, issue, commit or address.
const BREAK: char = '\u{200B}';

/// A fenced block whose fence is longer than any run of backticks inside.
pub(super) fn fence(kind: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{kind}\n{text}\n{fence}\n")
}

/// Somebody else's words as a block: at most `lines` lines, each on its own and cut, with what is
/// invisible or moves the cursor written out.
pub(super) fn words(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim().lines().collect();
    let mut shown: Vec<_> = all.iter().take(lines).map(|line| wrapped(line)).collect();
    let more = all.len().saturating_sub(lines);
    shown.extend((more > 0).then(|| format!("… {more} more lines")));
    fence("text", &shown.join("\n"))
}

/// A long line on several, so that nobody has to scroll sideways for the end of a sentence.
fn wrapped(line: &str) -> String {
    const CUT: usize = 2_000;
    const WIDTH: usize = 110;
    let line = visible(line, CUT);
    if line.chars().count() <= WIDTH {
        return line;
    }
    let (mut out, mut column) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let length = word.chars().count();
        if column > 0 && column + length > WIDTH {
            out.truncate(out.trim_end().len());
            out.push_str("\n  ");
            column = 2;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// With its first letter as a sentence has it.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// A code span that nothing inside can end.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() {
        return "`\"\"`".to_owned();
    }
    let text = open(text);
    match longest_run(&text) {
        // Spaces at both ends would be taken for padding.
        0 if text.trim() == text => format!("`{text}`"),
        run => {
            let ticks = "`".repeat(run + 1);
            format!("{ticks} {text} {ticks}")
        }
    }
}

/// As [`code`], cut.
pub(super) fn short_code(text: &str, most: usize) -> String {
    code(&visible(text, most))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// On one line, with what is invisible written out.
fn open(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            c if is_invisible(c) => out.push_str(&format!("\\u{{{:X}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// Text within an HTML element.
pub(super) fn html(text: &str) -> String {
    let mut out = String::new();
    for c in open(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Text that stays text: no markup, mention, issue, commit, link, emoji, formula or HTML comes of
/// it. Where GitHub would see one, a break that nobody sees is put between. Not for the start of a
/// line: see [`line`].
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    let (mut hex, mut before) = (0, [' ', ' ', ' ']);
    let text = open(text);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // Seven hexadecimal digits in a row can be a commit.
        hex = if c.is_ascii_hexdigit() { hex + 1 } else { 0 };
        if hex == 7 {
            out.push(BREAK);
            hex = 1;
        }
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '+'
            | '#' | '$' | '^' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        if is_live(before, c) || (c == ':' && chars.peek().is_some_and(|next| is_emoji(*next))) {
            out.push(BREAK);
        }
        before = [before[1], before[2], c];
    }
    out
}

/// Whether what follows could become a mention or address (`@`), an issue (`#`, `GH-`), a formula
/// (`$`) or a link (`://`, `www.`).
fn is_live(before: [char; 3], c: char) -> bool {
    let before = before.map(|c| c.to_ascii_lowercase());
    match c {
        '@' | '#' | '$' => true,
        '-' => before[1..] == ['g', 'h'],
        '/' => before[2] == ':',
        '.' => before == ['w', 'w', 'w'],
        _ => false,
    }
}

/// Whether an emoji's name could begin so, after its colon.
fn is_emoji(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_')
}

/// A sentence in which names stand between backticks: those become code spans, and the rest stays
/// text as with [`plain`].
pub(super) fn prose(text: &str) -> String {
    spans(text, &code)
}

/// As [`prose`], in a cell of a table: a bar ends the cell even within a code span.
pub(super) fn cell(text: &str) -> String {
    spans(text, &|name| code(name).replace('|', "\\|"))
}

fn spans(text: &str, code: &dyn Fn(&str) -> String) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A last backtick without a partner is a character like others.
    let paired = (parts.len() - 1) / 2 * 2;
    let mut out = String::new();
    for (n, part) in parts.iter().enumerate() {
        match n {
            n if n > paired => out.push_str(&format!("\\`{}", plain(part))),
            n if n % 2 == 1 && part.is_empty() => out.push_str("\\`\\`"),
            n if n % 2 == 1 => out.push_str(&code(part)),
            // Two spans that touch would be read as one.
            n if part.is_empty() && n > 0 && n < paired => out.push(BREAK),
            _ => out.push_str(&plain(part)),
        }
    }
    out
}

/// As [`prose`], for the start of a line, where `-` or `1.` would begin a list.
pub(super) fn line(text: &str) -> String {
    let begins = text.starts_with(|c: char| c == '-' || c == '=' || c == ' ' || c.is_ascii_digit());
    format!("{}{}", if begins { "\u{200B}" } else { "" }, prose(text))
}

/// Text that is filled up to a limit in bytes, which no forge's limit in characters is below.
pub(super) struct Page {
    limit: usize,
    text: String,
}

impl Page {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, text: String::new() }
    }

    /// Bytes that are left.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.text.len())
    }

    /// Adds the first form that fits, whole: fences and folds are never cut. Whether one did.
    pub(super) fn put<S: AsRef<str>>(&mut self, forms: &[S]) -> bool {
        let form = forms.iter().map(AsRef::as_ref).find(|form| form.len() <= self.room());
        self.text.push_str(form.unwrap_or_default());
        form.is_some()
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// `a, b and 3 more`.
pub(super) fn listed(mut names: Vec<String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    names.truncate(most);
    let text = names.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// `3 files`, `1 file`.
pub(super) fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// `10,000`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        let said = [0, 999, 1_000, 10_000, 1_234_567].map(thousands);
        assert_eq!(said, ["0", "999", "1,000", "10,000", "1,234,567"]);
    }

    #[test]
    fn names_between_backticks_become_code_and_the_rest_stays_text() {
        assert_eq!(prose("`a/b` waits for *c*"), "`a/b` waits for \\*c\\*");
        assert_eq!(prose("`a``b`"), "`a`\u{200B}`b`");
        assert_eq!(prose("it's `odd"), "it's \\`odd");
        assert_eq!(prose("``x"), "\\`\\`x");
        assert_eq!(cell("`a|b` c|d"), "`a\\|b` c\\|d");
        assert_eq!(code("a``b"), "``` a``b ```");
        assert_eq!(code(" "), "`   `");
        assert_eq!(code(""), "`\"\"`");
    }

    #[test]
    fn b69_what_github_would_bring_to_life_is_broken() {
        assert_eq!(plain("@a #1 GH-1"), "@\u{200B}a \\#\u{200B}1 GH-\u{200B}1");
        assert_eq!(plain(":tada: 1: 2"), ":\u{200B}tada: 1: 2");
        assert_eq!(plain("$x$"), "\\$\u{200B}x\\$\u{200B}");
        assert_eq!(plain("a\u{202E}b"), "a\\\\u\\{202E\\}b");
    }
}
