//! Sources in Jinja as sources in Handlebars.
//!
//! What has no counterpart becomes a comment with its own text, and a note. A block whose condition
//! has none is kept, and switched off: `{{#if false}}`.

use super::expression::{Aliases, Hbs, Names, read};
use super::{escape_braces, lost};
use crate::model::{Diagnostic, escape};

/// A translation.
pub(super) struct Translated {
    pub text: String,
    pub notes: Vec<Diagnostic>,
}

/// What the names of a bundle stand for; the second answer is what should be looked at.
pub(super) type Lookup<'a> = &'a mut dyn FnMut(&[String]) -> Result<(Hbs, Option<String>), String>;

/// Translates a source.
pub(super) fn translate(file: &str, text: &str, lookup: Lookup<'_>) -> Translated {
    let mut all = Translator {
        file,
        lookup,
        line: 1,
        out: String::new(),
        notes: Vec::new(),
        open: Vec::new(),
        aliases: vec![Aliases::new()],
        loops: 0,
        alone: None,
        marks: ("", ""),
        is_marked: false,
    };
    all.run(text);
    Translated { text: all.out, notes: all.notes }
}

/// A block that is open.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Open {
    If,
    /// Its condition is lost, and so is all that depends on it.
    LostIf,
    For,
    LostFor,
    /// A block of a kind that is not carried over, by its last tag.
    Other(&'static str),
}

struct Translator<'a> {
    file: &'a str,
    lookup: Lookup<'a>,
    line: u32,
    out: String,
    notes: Vec<Diagnostic>,
    open: Vec<Open>,
    /// The innermost last.
    aliases: Vec<Aliases>,
    loops: usize,
    /// What stands before the tag on its line, where nothing but that and the tag does.
    alone: Option<String>,
    /// The white-space control of the tag that stands for this one, in front and behind.
    marks: (&'static str, &'static str),
    /// A tag was written that has it.
    is_marked: bool,
}

struct Scope<'a, 'b> {
    aliases: &'a [Aliases],
    lookup: &'a mut Lookup<'b>,
    in_a_loop: bool,
    remarks: Vec<String>,
}

impl Names for Scope<'_, '_> {
    fn name(&mut self, path: &[String]) -> Result<Hbs, String> {
        let (first, rest) = (&path[0], &path[1..]);
        if first == "loop" && self.in_a_loop {
            return match rest.first().map(String::as_str) {
                Some("index0") => Ok(Hbs::Path("@index".into())),
                Some("first") => Ok(Hbs::Path("@first".into())),
                Some("last") => Ok(Hbs::Path("@last".into())),
                _ => Err(format!("`{}`", path.join("."))),
            };
        }
        let mut scopes = self.aliases.iter().enumerate().rev();
        if let Some((depth, alias)) = scopes.find_map(|(n, scope)| Some((n, scope.get(first)?))) {
            // What was set outside of all loops is no name of an item; loops name theirs.
            let alias = match self.in_a_loop && depth == 0 {
                true => alias.clone().rooted(),
                false => alias.clone(),
            };
            return match (alias, rest) {
                (alias, []) => Ok(alias),
                (Hbs::Path(base), rest) => Ok(Hbs::Path(format!("{base}.{}", rest.join(".")))),
                _ => Err(format!("a part of `{first}`")),
            };
        }
        let (found, remark) = (self.lookup)(path)?;
        self.remarks.extend(remark);
        Ok(match found {
            // Inside a loop names are those of its item.
            found if self.in_a_loop => found.rooted(),
            found => found,
        })
    }
}

/// Blocks of Jinja that end somewhere, and how.
const BLOCKS: [(&str, &str); 6] = [
    ("macro", "endmacro"),
    ("call", "endcall"),
    ("filter", "endfilter"),
    ("block", "endblock"),
    ("with", "endwith"),
    ("autoescape", "endautoescape"),
];

impl Translator<'_> {
    fn run(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
            self.plain(&rest[..start]);
            rest = &rest[start..];
            let close = match &rest[..2] {
                "{{" => "}}",
                "{%" => "%}",
                _ => "#}",
            };
            let Some(length) = end_of(rest, close) else {
                self.leave_out(rest, "a tag that does not end");
                return;
            };
            let tag = &rest[..length];
            rest = &rest[length..];
            let inner = tag[2..length - 2].trim_matches(['-', '+']).trim();
            let (left, right) = (tag[2..].starts_with('-'), tag[..length - 2].ends_with('-'));
            let before = &self.out[self.out.rfind('\n').map_or(0, |at| at + 1)..];
            let is_alone =
                before.trim().is_empty() && rest.trim_start_matches(' ').starts_with('\n');
            let alone = is_alone.then(|| before.to_owned());
            // A tag that is alone on its line takes all of it here, dash or not; so does the one beside it.
            // White space that goes is left out then, so that neither is alone any more.
            let takes_more = is_alone && left != right;
            let mark =
                |dash: bool, beside: bool| if dash && !takes_more && !beside { "~" } else { "" };
            self.marks = (
                mark(left, self.out.trim_end().ends_with("}}")),
                mark(right, rest.trim_start().starts_with('{')),
            );
            self.is_marked = false;
            if left && self.marks.0.is_empty() {
                self.out.truncate(self.out.trim_end().len());
            }
            self.alone = alone.filter(|_| !left);
            let at = self.out.len();
            // What follows its own end is not what follows it.
            let is_raw = close == "%}" && inner == "raw";
            match close {
                "}}" => self.value(tag, inner),
                "#}" => self.comment(inner),
                _ if is_raw => rest = self.raw(tag, rest, right),
                _ => self.statement(tag, inner),
            }
            self.line += newlines(tag);
            // Nor has what stands for no tag anything to say it with.
            if left && !self.is_marked {
                let from = self.out[..at].trim_end().len();
                self.out.replace_range(from..at, "");
            }
            if right && !is_raw && (self.marks.1.is_empty() || !self.is_marked) {
                let left_out = rest.len() - rest.trim_start().len();
                self.line += newlines(&rest[..left_out]);
                rest = &rest[left_out..];
            }
        }
        self.plain(rest);
        if !self.open.is_empty() {
            let message = "a block is still open at the end of the file";
            self.notes.push(lost(self.file, self.line, message));
            for _ in std::mem::take(&mut self.open) {
                self.out.push_str("{{/if}}");
            }
        }
    }

    fn plain(&mut self, text: &str) {
        self.out.push_str(&escape_braces(text));
        self.line += newlines(text);
    }

    /// A tag of its own, with white-space control as that which it stands for has it.
    fn tag(&mut self, text: &str) {
        let (left, right) = self.marks;
        self.is_marked = true;
        self.out.push_str(&format!("{{{{{left}{text}{right}}}}}"));
    }

    /// Text up to `{% endraw %}`, as it stands but for what dashes take of it.
    fn raw<'t>(&mut self, tag: &str, rest: &'t str, right: bool) -> &'t str {
        let mut from = 0;
        while let Some(at) = rest[from..].find("{%").map(|at| at + from) {
            let Some(length) = end_of(&rest[at..], "%}") else { break };
            let end = &rest[at + 2..at + length - 2];
            if end.trim_matches(['-', '+']).trim() == "endraw" {
                let text = &rest[..at];
                let text = if right { text.trim_start() } else { text };
                let text = if end.starts_with('-') { text.trim_end() } else { text };
                self.out.push_str(&escape_braces(text));
                let behind = &rest[at + length..];
                let behind = if end.ends_with('-') { behind.trim_start() } else { behind };
                self.line += newlines(&rest[..rest.len() - behind.len()]);
                return behind;
            }
            from = at + length;
        }
        self.leave_out(tag, "a `raw` that does not end");
        rest
    }

    fn comment(&mut self, inner: &str) {
        self.out.push_str(&format!("{{{{!-- {} --}}}}", inner.replace("--", "- -")));
    }

    fn leave_out(&mut self, tag: &str, why: &str) {
        let shown = escape(tag.trim(), 120);
        let message = format!("{why} has no counterpart here: `{shown}`");
        self.notes.push(lost(self.file, self.line, message));
        // One line: a comment of several would move what stands behind it.
        let text = tag.split_whitespace().collect::<Vec<_>>().join(" ").replace("--", "- -");
        self.out.push_str(&format!("{{{{!-- not imported, see IMPORT.md: {text} --}}}}"));
    }

    fn expression(&mut self, text: &str) -> Result<Hbs, String> {
        let mut scope = Scope {
            aliases: &self.aliases,
            lookup: &mut self.lookup,
            in_a_loop: self.loops > 0,
            remarks: Vec::new(),
        };
        let found = read(text, &mut scope);
        let remarks = scope.remarks;
        for remark in remarks {
            self.notes.push(super::changed(self.file, self.line, remark));
        }
        found
    }

    fn value(&mut self, tag: &str, inner: &str) {
        match self.expression(inner) {
            Ok(Hbs::Literal(text)) => {
                let bare = text.trim_matches(['"', '\'']);
                self.out.push_str(&escape_braces(bare));
            }
            Ok(found) => self.tag(&found.text(false)),
            Err(why) => self.leave_out(tag, &why),
        }
    }

    fn statement(&mut self, tag: &str, inner: &str) {
        let (word, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
        match word {
            "if" => match self.expression(rest) {
                Ok(found) => {
                    self.tag(&format!("#if {}", found.text(true)));
                    self.open.push(Open::If);
                }
                Err(why) => self.off(tag, &why, Open::LostIf),
            },
            "elif" => match self.open.last() {
                Some(Open::If) => match self.expression(rest) {
                    Ok(found) => self.tag(&format!("else if {}", found.text(true))),
                    Err(why) => {
                        self.leave_out(tag, &why);
                        self.switch("{{else if false}}");
                        // What follows depended on this one as well.
                        self.open.pop();
                        self.open.push(Open::LostIf);
                    }
                },
                Some(Open::LostIf) => self.still_off(tag),
                _ => self.leave_out(tag, "an `elif` without its `if`"),
            },
            "else" => match self.open.last() {
                Some(Open::If | Open::For) => self.tag("else"),
                Some(Open::LostIf) => self.still_off(tag),
                _ => self.leave_out(tag, "an `else` here"),
            },
            "endif" => self.close(tag, &[Open::If, Open::LostIf]),
            "for" => match self.each(rest) {
                Ok(opened) => {
                    self.tag(&opened);
                    self.open.push(Open::For);
                    self.loops += 1;
                }
                Err(why) => {
                    self.off(tag, &why, Open::LostFor);
                    self.aliases.push(Aliases::new());
                    self.loops += 1;
                }
            },
            "endfor" => {
                let before = self.open.len();
                self.close(tag, &[Open::For, Open::LostFor]);
                if self.open.len() < before {
                    self.aliases.pop();
                    self.loops -= 1;
                }
            }
            "set" => self.set(tag, rest),
            _ => match BLOCKS.iter().find(|(first, _)| *first == word) {
                Some((_, last)) => self.off(tag, &format!("`{word}`"), Open::Other(last)),
                None => match self.open.last() {
                    Some(Open::Other(last)) if *last == word => {
                        self.open.pop();
                        self.tag("/if");
                    }
                    _ => self.leave_out(tag, &format!("`{}`", escape(word, 40))),
                },
            },
        }
    }

    /// Keeps a block's content, and lets nothing of it be rendered.
    fn off(&mut self, tag: &str, why: &str, open: Open) {
        self.leave_out(tag, why);
        self.switch("{{#if false}}");
        self.open.push(open);
    }

    /// A tag behind a comment; on a line of its own where the one it stands for had one, since only
    /// then it takes the line with it.
    fn switch(&mut self, tag: &str) {
        if let Some(indent) = &self.alone {
            self.out.push('\n');
            self.out.push_str(indent);
        }
        self.out.push_str(tag);
    }

    fn still_off(&mut self, tag: &str) {
        self.leave_out(tag, "what depends on a condition that is left out");
        self.switch("{{else if false}}");
    }

    fn close(&mut self, tag: &str, kinds: &[Open]) {
        match self.open.last() {
            Some(last) if kinds.contains(last) => {
                let end = if *last == Open::For { "/each" } else { "/if" };
                self.open.pop();
                self.tag(end);
            }
            _ => self.leave_out(tag, "an end without its beginning"),
        }
    }

    fn each(&mut self, rest: &str) -> Result<String, String> {
        let (names, of) = rest.split_once(" in ").ok_or("a loop without `in`")?;
        if of.contains(" if ") || of.trim_end().ends_with("recursive") {
            return Err("a loop with a condition".into());
        }
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if !names.iter().all(|name| is_name(name)) {
            return Err("the names of this loop".into());
        }
        let (of, shape) = match (names.as_slice(), of.trim()) {
            ([item], of) => (of, format!("|{item}|")),
            ([key, item], of) => {
                let of = of.strip_suffix(".items()").ok_or("a loop over pairs")?;
                (of, format!("|{item} {key}|"))
            }
            _ => return Err("a loop with more than two names".into()),
        };
        let over = self.expression(of)?;
        let own = names.iter().map(|name| ((*name).to_owned(), Hbs::Path((*name).to_owned())));
        self.aliases.push(own.collect());
        Ok(format!("#each {} as {shape}", over.text(true)))
    }

    fn set(&mut self, tag: &str, rest: &str) {
        let Some((name, value)) = rest.split_once('=').filter(|(_, value)| !value.starts_with('='))
        else {
            return self.leave_out(tag, "a `set` of a block");
        };
        // What is set in a branch may not be set at all.
        if !self.open.is_empty() {
            return self.leave_out(tag, "a `set` inside a block");
        }
        match self.expression(value.trim()) {
            Ok(found) => {
                if let Some(scope) = self.aliases.last_mut() {
                    scope.insert(name.trim().to_owned(), found);
                }
            }
            Err(why) => self.leave_out(tag, &why),
        }
    }
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The length of a tag with its end, quotes within it being passed over.
fn end_of(tag: &str, close: &str) -> Option<usize> {
    if close == "#}" {
        return tag.find(close).map(|at| at + 2);
    }
    let mut quote = None;
    for (n, c) in tag.char_indices().skip(2) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if tag[n..].starts_with(close) => return Some(n + 2),
            None => {}
        }
    }
    None
}
