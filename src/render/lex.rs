//! Text into tags and what stands between them, with Handlebars' rules about white space. Linear
//! in the text, whatever it is.

use super::ast::Span;
use super::problem::Problem;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TagKind {
    Output,
    Open,
    Else,
    Close,
    Partial,
}

#[derive(Debug)]
pub(super) enum Item {
    Text(Span),
    Tag {
        kind: TagKind,
        /// Braces included.
        span: Span,
        /// What is said inside, without sigil, `~` and the word `else`.
        inner: Span,
        /// White space before a partial that stands alone on its line.
        indent: Span,
    },
}

/// What a tag does to the text beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strip {
    Nothing,
    /// The rest of the line: the tag stands alone on it.
    Line,
    /// `~`
    All,
}

struct Tag {
    /// `None` for a comment.
    kind: Option<TagKind>,
    span: Span,
    inner: Span,
    before: Strip,
    after: Strip,
}

/// The text and the tags of a template in their order; or everything that is not accepted in it.
pub(super) fn lex(text: &str) -> Result<Vec<Item>, Vec<Problem>> {
    let mut lexer =
        Lexer { text, items: Vec::new(), problems: Vec::new(), pending: Strip::Nothing };
    lexer.run();
    if lexer.problems.is_empty() { Ok(lexer.items) } else { Err(lexer.problems) }
}

struct Lexer<'a> {
    text: &'a str,
    items: Vec<Item>,
    problems: Vec<Problem>,
    /// What the last tag does to the text after it.
    pending: Strip,
}

impl Lexer<'_> {
    fn run(&mut self) {
        let mut from = 0;
        let mut search = 0;
        while let Some(found) = self.text[search..].find("{{") {
            let open = search + found;
            let slashes = self.text[from..open].bytes().rev().take_while(|b| *b == b'\\').count();
            if slashes == 1 {
                // `\{{` is the text `{{`.
                self.push_text(from..open - 1, Strip::Nothing);
                from = open;
                search = open + 2 + if self.text[open + 2..].starts_with("{{") { 2 } else { 0 };
                continue;
            }
            let Some(tag) = self.tag(open) else { return };
            // Of several backslashes before a tag one is dropped.
            self.push_text(from..open - usize::from(slashes > 1), tag.before);
            let indent = match tag.before {
                Strip::Line => line_start(self.text, open)..open,
                Strip::Nothing | Strip::All => open..open,
            };
            self.pending = tag.after;
            (from, search) = (tag.span.end, tag.span.end);
            if let Some(kind) = tag.kind {
                self.items.push(Item::Tag { kind, span: tag.span, inner: tag.inner, indent });
            }
        }
        self.push_text(from..self.text.len(), Strip::Nothing);
    }

    fn push_text(&mut self, span: Span, before: Strip) {
        let Span { mut start, mut end } = span;
        let text = &self.text[start..end];
        match std::mem::replace(&mut self.pending, Strip::Nothing) {
            Strip::Nothing => {}
            Strip::All => start = end - text.trim_start().len(),
            Strip::Line => {
                let rest = text.trim_start_matches([' ', '\t']);
                start = end - rest.strip_prefix('\n').unwrap_or(rest).len();
            }
        }
        let text = &self.text[start..end];
        match before {
            Strip::Nothing => {}
            Strip::All => end = start + text.trim_end().len(),
            Strip::Line => end = start + text.trim_end_matches([' ', '\t']).len(),
        }
        if start < end {
            self.items.push(Item::Text(start..end));
        }
    }

    /// The tag at `open`; `None` when the text cannot be read on.
    fn tag(&mut self, open: usize) -> Option<Tag> {
        let text = self.text;
        let mut at = open + 2;
        let mut before = Strip::Nothing;
        if text[at..].starts_with('~') {
            before = Strip::All;
            at += 1;
        }
        if text[at..].starts_with('!') {
            return self.comment(open, at, before);
        }
        let refused = match text.as_bytes().get(at) {
            Some(b'{') => Some(("TPL004", "triple braces and raw blocks are not accepted")),
            Some(b'&') => Some(("TPL004", "`&` is not accepted")),
            Some(b'*') => Some(("TPL008", "there are no decorators")),
            Some(b'#') if text[at + 1..].starts_with('*') => {
                Some(("TPL002", "inline partials are not accepted"))
            }
            Some(b'#') if text[at + 1..].starts_with('>') => {
                Some(("TPL002", "partial blocks are not accepted"))
            }
            _ => None,
        };
        let (inner, end, tilde) = self.close(open, at)?;
        if let Some((code, message)) = refused {
            let help = match code {
                "TPL004" => "nothing is escaped: write two braces",
                "TPL002" => "put the text into a file of its own in `partials/`",
                _ => "leave it out",
            };
            // `{{{x}}}` has one brace more at its end.
            let end = end + usize::from(text[end..].starts_with('}'));
            self.problems.push(Problem::new(code, open..end, message).help(help));
            let span = open..end;
            return Some(Tag {
                kind: None,
                span,
                inner,
                before: Strip::Nothing,
                after: Strip::Nothing,
            });
        }
        let (kind, inner) = self.kind(inner, open..end);
        let after = if tilde { Strip::All } else { Strip::Nothing };
        Some(self.alone(Tag { kind, span: open..end, inner, before, after }))
    }

    /// Sorts a tag by its sigil.
    fn kind(&mut self, inner: Span, span: Span) -> (Option<TagKind>, Span) {
        let said = &self.text[inner.clone()];
        let skip = |n: usize| inner.start + n..inner.end;
        match said.as_bytes().first() {
            Some(b'#') => (Some(TagKind::Open), skip(1)),
            Some(b'/') => (Some(TagKind::Close), skip(1)),
            Some(b'>') => (Some(TagKind::Partial), skip(1)),
            Some(b'^') => {
                if !said[1..].trim().is_empty() {
                    let problem = Problem::new("TPL007", span, "`^` opens no block here");
                    self.problems.push(problem.help("write `{{#unless …}}`"));
                }
                (Some(TagKind::Else), inner.end..inner.end)
            }
            _ => match said.trim_start().strip_prefix("else") {
                Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => {
                    (Some(TagKind::Else), inner.end - rest.len()..inner.end)
                }
                _ => (Some(TagKind::Output), inner),
            },
        }
    }

    /// The inside, the end after the braces, and whether `~` stands before them. Braces inside a
    /// string do not count.
    fn close(&mut self, open: usize, at: usize) -> Option<(Span, usize, bool)> {
        let bytes = self.text.as_bytes();
        let mut quote = None;
        let mut n = at;
        while n < bytes.len() {
            match (quote, bytes[n]) {
                (Some(_), b'\\') => n += 1,
                (Some(q), b) if q == b => quote = None,
                (None, b @ (b'"' | b'\'')) => quote = Some(b),
                (None, b'}') if bytes.get(n + 1) == Some(&b'}') => {
                    let tilde = n > at && bytes[n - 1] == b'~';
                    return Some((at..n - usize::from(tilde), n + 2, tilde));
                }
                _ => {}
            }
            n += 1;
        }
        let message = match quote {
            Some(_) => "a string in this tag is not closed",
            None => "this tag is not closed",
        };
        self.problems
            .push(Problem::new("TPL007", open..open + 2, message).help("close it with `}}`"));
        None
    }

    fn comment(&mut self, open: usize, bang: usize, before: Strip) -> Option<Tag> {
        let rest = &self.text[bang..];
        let (marks, skip): (&[&str], _) =
            if rest.starts_with("!--") { (&["--}}", "--~}}"], 3) } else { (&["}}"], 1) };
        let found = marks.iter().filter_map(|m| Some((rest.get(skip..)?.find(m)?, m.len()))).min();
        let Some((length, mark)) = found else {
            self.problems.push(Problem::new(
                "TPL007",
                open..open + 2,
                "this comment is not closed",
            ));
            return None;
        };
        let end = bang + skip + length + mark;
        let tilde = self.text[..end - 2].ends_with('~');
        let after = if tilde { Strip::All } else { Strip::Nothing };
        Some(self.alone(Tag { kind: None, span: open..end, inner: end..end, before, after }))
    }

    /// A tag that writes nothing itself and stands alone on its line takes the line with it.
    fn alone(&self, mut tag: Tag) -> Tag {
        let blank = |c: &u8| matches!(c, b' ' | b'\t');
        let bytes = self.text.as_bytes();
        let before = bytes[..tag.span.start].iter().rev().find(|b| !blank(b));
        let after = bytes[tag.span.end..].iter().find(|b| !blank(b));
        let alone = matches!(before, None | Some(b'\n')) && matches!(after, None | Some(b'\n'));
        if alone && tag.kind != Some(TagKind::Output) {
            if tag.before == Strip::Nothing {
                tag.before = Strip::Line;
            }
            if tag.after == Strip::Nothing {
                tag.after = Strip::Line;
            }
        }
        tag
    }
}

fn line_start(text: &str, at: usize) -> usize {
    at - text.as_bytes()[..at].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count()
}
