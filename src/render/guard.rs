//! What is looked at before the parser of the crate `handlebars` sees a text.
//!
//! That parser recurses with every block and parenthesis, counts lines from the start of the text
//! for every tag, and searches to the end of the text for what is not closed. So the tags of a text
//! are found here first, counted and bounded, and what we do not offer is refused by name. Linear in
//! the text, whatever it is.
//!
//! A tag that is let through ends for the parser where it ends here, or is an error there: quotes
//! inside `[…]` and braces inside a tag, which the two might read differently, are refused. `parse`
//! holds the places of both against each other.

use super::ast::Span;
use super::problem::Problem;
use crate::model::quote;

/// The most blocks inside one another; each `else if` is one.
pub(super) const BLOCKS_MAX: usize = 48;
/// The most parentheses inside one another.
const CALLS_MAX: usize = 16;
/// The most bytes of one tag.
const TAG_MAX: usize = 4 * 1024;
/// The most that the tags times the bytes of a text may come to: 1,024 tags in 256 KiB, for which
/// the parser takes about a second.
const WORK_MAX: usize = 256 * 1024 * 1024;
/// The most problems of one text that are told.
pub(super) const PROBLEMS_MAX: usize = 100;

/// White space inside a tag.
pub(super) const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TagKind {
    Output,
    Open,
    Else,
    /// `{{else if …}}`
    Chain,
    Close,
    Partial,
    Comment,
}

#[derive(Debug)]
pub(super) struct Tag {
    pub kind: TagKind,
    /// Braces included.
    pub span: Span,
    /// Where it begins, as the parser counts: from one, in characters.
    pub line: usize,
    pub column: usize,
}

/// The tags of a text in their order, and the deepest nesting of its blocks.
pub(super) struct Guarded {
    pub tags: Vec<Tag>,
    pub depth: usize,
}

/// Finds the tags of a text; or what keeps the text from the parser.
pub(super) fn guard(text: &str) -> Result<Guarded, Vec<Problem>> {
    let mut guard = Guard {
        text,
        at: (0, 1, 1),
        tags: Vec::new(),
        open: Vec::new(),
        depth: 0,
        problems: Vec::new(),
    };
    if guard.run().is_some() {
        guard.unclosed();
    }
    let Guard { tags, depth, problems, .. } = guard;
    if problems.is_empty() { Ok(Guarded { tags, depth }) } else { Err(problems) }
}

/// What the parser takes for a letter of a name.
pub(super) fn is_symbol(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$' | ':') || !c.is_ascii()
}

/// A block whose end has not been met.
struct Open {
    span: Span,
    name: Span,
    /// Opened by `else if`: ends with the block around it.
    chained: bool,
    /// Its `else` has been met.
    inverted: bool,
}

struct Guard<'a> {
    text: &'a str,
    /// A byte, its line and its column.
    at: (usize, usize, usize),
    tags: Vec<Tag>,
    open: Vec<Open>,
    depth: usize,
    problems: Vec<Problem>,
}

impl Guard<'_> {
    fn problem(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: &str) {
        self.problems.push(Problem::new(code, span, message).help(help));
    }

    /// Goes over the whole text; `None` when it cannot be read on.
    fn run(&mut self) -> Option<()> {
        let (mut from, mut search) = (0, 0);
        while let Some(found) = self.text[search..].find("{{") {
            let open = search + found;
            let slashes = self.text[from..open].bytes().rev().take_while(|b| *b == b'\\').count();
            if slashes == 1 {
                // `\{{` is the text `{{`, and `\{{{{` four braces.
                search = open + 2 + if self.text[open + 2..].starts_with("{{") { 2 } else { 0 };
                from = search;
                continue;
            }
            let (kind, span) = self.tag(open)?;
            (from, search) = (span.end, span.end);
            if let Some(kind) = kind {
                let (line, column) = self.position(open);
                self.tags.push(Tag { kind, span: span.clone(), line, column });
                if self.tags.len() * self.text.len() > WORK_MAX {
                    let message = format!("too many tags for a file of {} bytes", self.text.len());
                    self.problem("TPL006", span, message, "split it into several files");
                    return None;
                }
            }
            if self.problems.len() >= PROBLEMS_MAX {
                return None;
            }
        }
        Some(())
    }

    fn position(&mut self, to: usize) -> (usize, usize) {
        let (from, mut line, mut column) = self.at;
        for c in self.text[from..to].chars() {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        self.at = (to, line, column);
        (line, column)
    }

    /// The tag at `open`, without a kind when it is refused.
    fn tag(&mut self, open: usize) -> Option<(Option<TagKind>, Span)> {
        if self.text[open + 2..].starts_with('!') {
            return Some((Some(TagKind::Comment), self.comment(open)?));
        }
        let rest = self.text[open + 2..].trim_start_matches(SPACE);
        let rest = rest.strip_prefix('~').unwrap_or(rest).trim_start_matches(SPACE);
        let sigil = rest.chars().next();
        let inner = rest.strip_prefix(['#', '/', '>', '^']).unwrap_or(rest);
        let inner = inner.trim_start_matches(SPACE);
        let from = self.text.len() - inner.len();
        if let Some((code, message, help)) = refused(sigil, inner) {
            let from = from + inner.len() - inner.trim_start_matches(['{', '&']).len();
            let end = self.close(open, from)?;
            // `{{{x}}}` has a brace more at its end, and a raw block two.
            let after = &self.text[end..];
            let braces = (after.len() - after.trim_start_matches('}').len()).min(2);
            let span = open..end + braces;
            self.problem(code, span.clone(), message, help);
            if sigil == Some('#') {
                // So that its end is not another problem.
                let name = inner[1..].trim_start_matches(SPACE);
                let name = self.word(self.text.len() - name.len()..end - 2);
                self.open.push(Open { span: span.clone(), name, chained: false, inverted: false });
            }
            return Some((None, span));
        }
        let end = self.close(open, from)?;
        let span = open..end;
        if span.len() > TAG_MAX {
            let message = format!("this tag is longer than {} KiB", TAG_MAX / 1024);
            self.problem("TPL006", open..open + 2, message, "");
            return None;
        }
        let said = self.text[from..end - 2].trim_end_matches(SPACE);
        let said = said.strip_suffix('~').unwrap_or(said).trim_end_matches(SPACE);
        let inner = from..from + said.len();
        let (kind, inner) = self.kind(sigil, inner, &span);
        if kind == TagKind::Partial && !said.starts_with(is_partial_symbol) {
            let message = "the name of a partial must be written out";
            self.problem("TPL001", span.clone(), message, "a name cannot come from data");
        }
        self.balance(kind, inner, &span)?;
        Some((Some(kind), span))
    }

    /// What a tag is, and what is said in it without the word `else`.
    fn kind(&mut self, sigil: Option<char>, inner: Span, span: &Span) -> (TagKind, Span) {
        let said = &self.text[inner.clone()];
        match sigil {
            Some('#') => return (TagKind::Open, inner),
            Some('/') => return (TagKind::Close, inner),
            Some('>') => return (TagKind::Partial, inner),
            Some('^') if said.is_empty() => return (TagKind::Else, inner),
            Some('^') => {
                let message = "`^` opens no block here";
                self.problem("TPL007", span.clone(), message, "write `{{#unless …}}`");
                return (TagKind::Output, inner);
            }
            _ => {}
        }
        let Some(after) = said.strip_prefix("else") else { return (TagKind::Output, inner) };
        let rest = inner.end - after.trim_start_matches(SPACE).len()..inner.end;
        if after.is_empty() {
            return (TagKind::Else, rest);
        }
        if after.starts_with(SPACE) {
            return (TagKind::Chain, rest);
        }
        // The parser needs no space there, and would read `elsewhere` as `else where`.
        if after.starts_with(is_symbol) {
            let help = "write `{{else if …}}`, or `this.` before a name that begins so";
            self.problem("TPL007", span.clone(), "`else` needs a space after it", help);
        }
        (TagKind::Output, inner)
    }

    /// The byte after the braces of a tag. Those in strings and in `[…]` do not count.
    fn close(&mut self, open: usize, from: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut parens = Vec::new();
        let mut n = from;
        while let Some(&byte) = bytes.get(n) {
            match byte {
                b'"' | b'\'' => n = self.string(open, n)?,
                b'[' => n = self.bracket(n)?,
                b'(' => {
                    if parens.len() == CALLS_MAX {
                        let message =
                            format!("more than {CALLS_MAX} parentheses inside one another");
                        self.problem("TPL006", n..n + 1, message, "");
                        return None;
                    }
                    parens.push(n);
                }
                b')' => {
                    parens.pop();
                }
                b'{' => {
                    let help = "close it with `}}`; maps cannot be written in a tag";
                    self.problem("TPL007", open..open + 2, "this tag is not closed", help);
                    return None;
                }
                b'}' if bytes.get(n + 1) == Some(&b'}') => {
                    if let Some(paren) = parens.first() {
                        let span = *paren..paren + 1;
                        self.problem("TPL007", span, "`(` is not closed", "close it with `)`");
                    }
                    return Some(n + 2);
                }
                _ => {}
            }
            n += 1;
        }
        self.problem("TPL007", open..open + 2, "this tag is not closed", "close it with `}}`");
        None
    }

    /// The last byte of the string that begins at `from`.
    fn string(&mut self, open: usize, from: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut n = from + 1;
        while let Some(&byte) = bytes.get(n) {
            match byte {
                b'\\' => n += 1,
                byte if byte == bytes[from] => return Some(n),
                _ => {}
            }
            n += 1;
        }
        let message = "a string in this tag is not closed";
        self.problem("TPL007", open..open + 2, message, "close it with `}}`");
        None
    }

    /// The last byte of the `[…]` that begins at `from`.
    fn bracket(&mut self, from: usize) -> Option<usize> {
        let Some(length) = self.text[from..].find(']') else {
            let message = "`[` is not closed";
            self.problem("TPL007", from..from + 1, message, "close it with `]`");
            return None;
        };
        let span = from..from + length + 1;
        if self.text[from + 1..from + length].contains(['"', '\'', '[']) {
            let message = "`[…]` holds one name, without quotes and brackets";
            let help = "write `(lookup map \"name\")`; lists cannot be written in a tag";
            self.problem("TPL007", span, message, help);
        }
        Some(from + length)
    }

    fn comment(&mut self, open: usize) -> Option<Span> {
        let rest = &self.text[open + 3..];
        let dashes = rest.trim_start_matches(SPACE);
        let (rest, mark, help) = match dashes.strip_prefix("--") {
            // Without that end the parser would search for it in the whole text, for every comment.
            Some(rest) => (rest, "--}}", "close it with `--}}`"),
            None => (rest, "}}", "close it with `}}`"),
        };
        let Some(length) = rest.find(mark) else {
            self.problem("TPL007", open..open + 2, "this comment is not closed", help);
            return None;
        };
        Some(open..self.text.len() - rest.len() + length + mark.len())
    }

    /// Follows the blocks; `None` when they are too deep.
    fn balance(&mut self, kind: TagKind, inner: Span, span: &Span) -> Option<()> {
        match kind {
            TagKind::Open => self.push(inner, span, false)?,
            TagKind::Else | TagKind::Chain => {
                match self.open.last_mut() {
                    None => self.problem("TPL007", span.clone(), "`else` outside of a block", ""),
                    Some(open) if open.inverted => {
                        self.problem("TPL007", span.clone(), "second `else` of a block", "");
                    }
                    Some(open) => open.inverted = true,
                }
                if kind == TagKind::Chain && !self.open.is_empty() {
                    self.push(inner, span, true)?;
                }
            }
            TagKind::Close => self.pop(&inner, span),
            TagKind::Output | TagKind::Partial | TagKind::Comment => {}
        }
        Some(())
    }

    fn push(&mut self, inner: Span, span: &Span, chained: bool) -> Option<()> {
        let name = self.word(inner);
        let word = &self.text[name.clone()];
        // Other names the parser can read, and `parse` says what they are not.
        if !word.chars().all(is_symbol) {
            let message = format!("unknown block {}", quote(word));
            let help = "there are `if`, `unless`, `each` and `with`";
            self.problem("TPL008", name.clone(), message, help);
        }
        self.open.push(Open { span: span.clone(), name, chained, inverted: false });
        self.depth = self.depth.max(self.open.len());
        if self.open.len() > BLOCKS_MAX {
            let message = format!("more than {BLOCKS_MAX} blocks inside one another");
            let help = "use partials, or fewer `else if`";
            self.problem("TPL006", span.clone(), message, help);
            return None;
        }
        Some(())
    }

    /// The first word of what a tag says.
    fn word(&self, inner: Span) -> Span {
        let said = &self.text[inner.clone()];
        let ends = |c: char| SPACE.contains(&c) || matches!(c, '(' | '"' | '\'');
        inner.start..inner.start + said.find(ends).unwrap_or(said.len())
    }

    fn pop(&mut self, inner: &Span, span: &Span) {
        let text = self.text;
        let said = quote(&text[span.clone()]);
        // The block that the tag closes: the innermost that no `else if` opened.
        let Some(first) = self.open.iter().rposition(|open| !open.chained) else {
            return self.problem("TPL007", span.clone(), format!("{said} closes nothing"), "");
        };
        let name = self.open[first].name.clone();
        self.open.truncate(first);
        if text[name.clone()] != text[inner.clone()] {
            let message = format!("{said} closes {}", quote(&text[name.clone()]));
            let help = format!("write `{{{{/{}}}}}`", &text[name]);
            self.problem("TPL007", span.clone(), message, &help);
        }
    }

    fn unclosed(&mut self) {
        for Open { span, name, chained, .. } in std::mem::take(&mut self.open) {
            if !chained {
                let name = &self.text[name];
                let message = format!("{} is not closed", quote(&format!("{{{{#{name}}}}}")));
                self.problem("TPL007", span, message, &format!("add `{{{{/{name}}}}}`"));
            }
        }
    }
}

fn is_partial_symbol(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '/' | '.') || !c.is_ascii()
}

/// What the language of the crate has, and ours has not.
fn refused(sigil: Option<char>, inner: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let braces = "nothing is escaped: write two braces";
    let file = "put the text into a file of its own in `partials/`";
    match sigil? {
        '{' => Some(("TPL004", "triple braces and raw blocks are not accepted", braces)),
        '&' => Some(("TPL004", "`&` is not accepted", braces)),
        '*' => Some(("TPL008", "there are no decorators", "leave it out")),
        '#' if inner.starts_with('*') => Some(("TPL002", "inline partials are not accepted", file)),
        '#' if inner.starts_with('>') => Some(("TPL002", "partial blocks are not accepted", file)),
        _ => None,
    }
}
