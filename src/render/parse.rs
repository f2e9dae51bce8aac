//! Tags into a tree.

use std::sync::Arc;

use serde_json::Value;

use super::ast::{Base, Block, BlockKind, Call, Expr, Local, Node, Partial, Path, Span, Unit};
use super::helper;
use super::lex::{Item, TagKind, lex};
use super::problem::Problem;
use crate::model::{Diagnostic, nearest, quote};

/// The most bytes of a template's source.
pub(super) const SOURCE_MAX: usize = 256 * 1024;
/// The most blocks inside one another; each `else if` is one.
pub(super) const BLOCKS_MAX: usize = 48;
/// The most parentheses inside one another.
const CALLS_MAX: usize = 16;
/// The most arguments of a helper.
const ARGUMENTS_MAX: usize = 32;

/// Reads a template: all of its problems, or its tree.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<Unit, Vec<Diagnostic>> {
    let text = text.replace("\r\n", "\n");
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let located = |problems: Vec<Problem>| {
        problems.into_iter().map(|p| p.at(file, &text)).collect::<Vec<_>>()
    };
    if text.len() > SOURCE_MAX {
        let message = format!("template is larger than {} KiB", SOURCE_MAX / 1024);
        let problem = Problem::new("TPL006", 0..0, message).help("split it into several files");
        return Err(located(vec![problem]));
    }
    let items = lex(&text).map_err(located)?;
    let mut parser = Parser { text: &text, problems: Vec::new(), open: Vec::new(), depth: 0 };
    let nodes = parser.run(items);
    let Parser { problems, depth, .. } = parser;
    if problems.is_empty() {
        Ok(Unit { file: Arc::clone(file), text, nodes, depth })
    } else {
        Err(located(problems))
    }
}

/// A block whose end has not been met.
struct Open {
    kind: BlockKind,
    subject: Expr,
    params: Vec<String>,
    span: Span,
    /// The body, once `else` has been met.
    body: Option<Vec<Node>>,
    /// What stood before it, in the block around it.
    around: Vec<Node>,
    /// Opened by `else if`: ends with the block around it.
    chained: bool,
}

struct Parser<'a> {
    text: &'a str,
    problems: Vec<Problem>,
    open: Vec<Open>,
    depth: usize,
}

impl Parser<'_> {
    fn run(&mut self, items: Vec<Item>) -> Vec<Node> {
        let mut nodes = Vec::new();
        for item in items {
            match item {
                Item::Text(span) => nodes.push(Node::Text(span)),
                Item::Tag { kind, span, inner, indent } => match kind {
                    TagKind::Output => nodes.extend(self.output(inner).map(Node::Output)),
                    TagKind::Partial => {
                        nodes.extend(self.partial(inner, span, indent).map(Node::Partial));
                    }
                    TagKind::Open => self.open(inner, span, &mut nodes, false),
                    TagKind::Else => self.invert(inner, span, &mut nodes),
                    TagKind::Close => self.close(&inner, span, &mut nodes),
                },
            }
            if self.open.len() > BLOCKS_MAX {
                let span = self.open.pop().map_or(0..0, |open| open.span);
                let message = format!("more than {BLOCKS_MAX} blocks inside one another");
                self.problem("TPL006", span, message, "use partials, or fewer `else if`");
                return Vec::new();
            }
        }
        while let Some(open) = self.open.pop() {
            if !open.chained {
                let message = format!("`{{{{#{}}}}}` is not closed", open.kind.name());
                let help = format!("add `{{{{/{}}}}}`", open.kind.name());
                self.problem("TPL007", open.span, message, help);
            }
        }
        nodes
    }

    fn problem(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::new(code, span, message).help(help));
    }

    fn open(&mut self, inner: Span, span: Span, nodes: &mut Vec<Node>, chained: bool) {
        let mut cursor = Cursor { text: self.text, at: inner.start, end: inner.end };
        cursor.space();
        let word = cursor.word();
        let name = &self.text[word.clone()];
        let kind = BlockKind::from_name(name);
        if kind.is_none() {
            let known = ["if", "unless", "each", "with"];
            let help = match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "there are `if`, `unless`, `each` and `with`".to_owned(),
            };
            self.problem("TPL008", word, format!("unknown block {}", quote(name)), help);
        }
        let args = cursor.arguments(0);
        let params = cursor.block_params();
        let (mut args, params) = match (args, params) {
            (Ok(args), Ok(params)) => (args, params),
            (Err(problem), _) | (_, Err(problem)) => {
                self.problems.push(problem);
                (Args::default(), Vec::new())
            }
        };
        // A block with a problem is still opened, so that its end is not another one.
        let kind = kind.unwrap_or(BlockKind::If);
        let most = if kind == BlockKind::Each { 2 } else { usize::from(kind == BlockKind::With) };
        if (args.list.len() != 1 || !args.hash.is_empty() || params.len() > most)
            && self.problems.is_empty()
        {
            let message = format!("`{}` takes one value", kind.name());
            let help = format!("write `{{{{#{} value}}}}`", kind.name());
            self.problem("TPL008", span.clone(), message, help);
        }
        let subject = args.list.pop().unwrap_or_else(|| Expr::Literal(Value::Null, span.clone()));
        let around = std::mem::take(nodes);
        self.open.push(Open { kind, subject, params, span, body: None, around, chained });
        self.depth = self.depth.max(self.open.len());
    }

    fn invert(&mut self, inner: Span, span: Span, nodes: &mut Vec<Node>) {
        match self.open.last_mut() {
            None => self.problem("TPL007", span, "`else` outside of a block", ""),
            Some(open) if open.body.is_some() => {
                self.problem("TPL007", span, "second `else` of a block", "");
            }
            Some(open) => {
                open.body = Some(std::mem::take(nodes));
                if !self.text[inner.clone()].trim().is_empty() {
                    self.open(inner, span, nodes, true);
                }
            }
        }
    }

    fn close(&mut self, inner: &Span, span: Span, nodes: &mut Vec<Node>) {
        let name = self.text[inner.clone()].trim();
        // The block that the tag closes: the innermost that no `else if` opened.
        let Some(first) = self.open.iter().rposition(|open| !open.chained) else {
            let message = format!("{} closes nothing", quote(&self.text[span.clone()]));
            return self.problem("TPL007", span, message, "");
        };
        let kind = self.open[first].kind;
        let opened = self.open[first].span.clone();
        let said =
            self.text[opened].trim_start_matches(['{', '~', '#', ' ', '\n', '\t']).to_owned();
        let same = said
            .strip_prefix(name)
            .is_some_and(|rest| !name.is_empty() && rest.starts_with([' ', '\t', '\n', '}', '~']));
        if !same {
            let message = format!("{} closes `{}`", quote(&self.text[span.clone()]), kind.name());
            self.problem("TPL007", span, message, format!("write `{{{{/{}}}}}`", kind.name()));
        }
        for open in self.open.split_off(first).into_iter().rev() {
            let Open { kind, subject, params, span, body, around, chained: _ } = open;
            let last = std::mem::replace(nodes, around);
            let (body, inverse) = match body {
                Some(body) => (body, last),
                None => (last, Vec::new()),
            };
            let block = Block { kind, subject, params, body, inverse, span };
            nodes.push(Node::Block(Box::new(block)));
        }
    }

    fn output(&mut self, inner: Span) -> Option<Expr> {
        let mut cursor = Cursor { text: self.text, at: inner.start, end: inner.end };
        self.keep(cursor.call_or_value(0).and_then(|expr| cursor.done().map(|()| expr)))
    }

    fn partial(&mut self, inner: Span, span: Span, indent: Span) -> Option<Box<Partial>> {
        let mut cursor = Cursor { text: self.text, at: inner.start, end: inner.end };
        cursor.space();
        let word = cursor.word();
        let name = self.text[word].to_owned();
        if name.is_empty() {
            let message = "the name of a partial must be written out";
            self.problem("TPL001", span, message, "a name cannot come from data");
            return None;
        }
        let args = cursor.arguments(0).and_then(|args| cursor.done().map(|()| args));
        let Args { mut list, hash } = self.keep(args)?;
        if list.len() > 1 {
            self.problem(
                "TPL007",
                span,
                "a partial takes one context",
                "name the others: `key=value`",
            );
            return None;
        }
        let indent = self.text[indent].to_owned();
        Some(Box::new(Partial { name, context: list.pop(), hash, indent, span }))
    }

    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

#[derive(Default)]
struct Args {
    list: Vec<Expr>,
    hash: Vec<(String, Expr)>,
}

/// Reads the inside of one tag.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    fn space(&mut self) {
        self.at = self.end - self.rest().trim_start().len();
    }

    fn done(&mut self) -> Result<(), Problem> {
        self.space();
        if self.at == self.end {
            return Ok(());
        }
        let message = format!("unexpected {}", quote(self.rest()));
        Err(Problem::new("TPL007", self.at..self.end, message))
    }

    /// A name, path or number; `[…]` may hold any characters. Empty when something else stands here.
    fn word(&mut self) -> Span {
        let start = self.at;
        let mut bracket = false;
        let stop = self.rest().char_indices().find(|(_, c)| {
            match c {
                '[' => bracket = true,
                ']' => bracket = false,
                _ => {}
            }
            !bracket && (c.is_whitespace() || matches!(c, '(' | ')' | '|' | '=' | '"' | '\'' | '~'))
        });
        self.at = stop.map_or(self.end, |(n, _)| start + n);
        start..self.at
    }

    /// What a tag or a parenthesis holds: a helper's call, or a value.
    fn call_or_value(&mut self, depth: usize) -> Result<Expr, Problem> {
        self.space();
        let start = self.at;
        let word = self.word();
        let name = &self.text[word.clone()];
        let known = helper::find(name);
        self.space();
        let ends = matches!(self.rest().chars().next(), None | Some(')'));
        if word.is_empty() || (known.is_none() && ends) {
            self.at = start;
            return self.value(depth);
        }
        let Some(helper) = known else {
            let near = nearest(name, helper::names());
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", helper::names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("unknown helper {}", quote(name));
            return Err(Problem::new("TPL008", word, message).help(help));
        };
        let args = self.arguments(depth)?;
        let span = start..self.at;
        if !args.hash.is_empty() || !helper.takes(args.list.len()) {
            let message = format!("`{name}` takes other arguments");
            return Err(
                Problem::new("TPL008", span, message).help(format!("write `{}`", helper.usage))
            );
        }
        Ok(Expr::Call(Call { helper, args: args.list, span }))
    }

    fn arguments(&mut self, depth: usize) -> Result<Args, Problem> {
        let mut args = Args::default();
        loop {
            self.space();
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with(')') || is_block_params(rest) {
                return Ok(args);
            }
            if args.list.len() + args.hash.len() == ARGUMENTS_MAX {
                let message = format!("more than {ARGUMENTS_MAX} arguments");
                return Err(Problem::new("TPL006", self.at..self.end, message));
            }
            let start = self.at;
            let word = self.word();
            if !word.is_empty() && self.rest().starts_with('=') {
                self.at += 1;
                let value = self.value(depth)?;
                args.hash.push((self.text[word].to_owned(), value));
            } else {
                self.at = start;
                args.list.push(self.value(depth)?);
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Expr, Problem> {
        self.space();
        let start = self.at;
        match self.rest().chars().next() {
            Some('(') => {
                if depth == CALLS_MAX {
                    let message = format!("more than {CALLS_MAX} parentheses inside one another");
                    return Err(Problem::new("TPL006", start..self.end, message));
                }
                self.at += 1;
                let expr = self.call_or_value(depth + 1)?;
                self.space();
                if !self.rest().starts_with(')') {
                    let problem = Problem::new("TPL007", start..self.end, "`(` is not closed");
                    return Err(problem.help("close it with `)`"));
                }
                self.at += 1;
                Ok(expr)
            }
            Some('"' | '\'') => {
                let text = self.string()?;
                Ok(Expr::Literal(Value::String(text), start..self.at))
            }
            _ => {
                let word = self.word();
                let text = &self.text[word.clone()];
                match literal(text) {
                    Some(value) => Ok(Expr::Literal(value, word)),
                    None => path(text, word.clone()).map(Expr::Path).ok_or_else(|| {
                        let end = word.end.max(start + 1).min(self.end.max(start));
                        let shown = self.text.get(start..end).unwrap_or_default();
                        let message = match shown {
                            "" => "a value is missing here".to_owned(),
                            shown => format!("expected a value, found {}", quote(shown)),
                        };
                        Problem::new("TPL007", start..end, message)
                    }),
                }
            }
        }
    }

    /// A string with JSON's escapes, in quotes of either kind.
    fn string(&mut self) -> Result<String, Problem> {
        let start = self.at;
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, c)| c);
        let mut inside = String::from("\"");
        let mut closed = None;
        while let Some((n, c)) = chars.next() {
            match c {
                c if Some(c) == quote => {
                    closed = Some(n + 1);
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, '\'')) => inside.push('\''),
                    Some((_, c)) => inside.extend(['\\', c]),
                    None => break,
                },
                '"' => inside.push_str("\\\""),
                '\n' => inside.push_str("\\n"),
                '\t' => inside.push_str("\\t"),
                c => inside.push(c),
            }
        }
        inside.push('"');
        let length = closed.unwrap_or(self.end - start);
        self.at = start + length;
        match (closed, serde_json::from_str(&inside)) {
            (Some(_), Ok(text)) => Ok(text),
            _ => Err(Problem::new("TPL007", start..self.at, "this is not a string")
                .help("the escapes are those of JSON")),
        }
    }

    /// `as |item index|`
    fn block_params(&mut self) -> Result<Vec<String>, Problem> {
        self.space();
        let span = self.at..self.end;
        if !is_block_params(self.rest()) {
            return self.done().map(|()| Vec::new());
        }
        let names = self.rest()[2..].trim();
        let names = names.strip_prefix('|').and_then(|n| n.strip_suffix('|'));
        let names: Vec<_> =
            names.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        self.at = self.end;
        if names.is_empty() || names.len() > 2 || !names.iter().all(|name| is_identifier(name)) {
            let problem = Problem::new("TPL007", span, "expected one or two names");
            return Err(problem.help("write `as |item index|`"));
        }
        Ok(names)
    }
}

fn is_block_params(rest: &str) -> bool {
    rest.strip_prefix("as").is_some_and(|rest| rest.trim_start().starts_with('|'))
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':'))
        && literal(name).is_none()
        && name != "this"
}

fn literal(word: &str) -> Option<Value> {
    match word {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        "null" => return Some(Value::Null),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| serde_json::from_str(word).ok())?
}

/// Reads a path such as `parameters.db.name`, `../name`, `@root.request.id`, `this.[a key]`.
fn path(word: &str, span: Span) -> Option<Path> {
    let (mut rest, local) = match word.strip_prefix('@') {
        Some(rest) => (rest, true),
        None => (word, false),
    };
    let mut up = 0;
    while let Some(after) = rest.strip_prefix("..") {
        up += 1;
        rest = match after.strip_prefix('/') {
            Some(after) => after,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    let mut explicit = up > 0;
    if up == 0 && !local {
        if matches!(rest, "." | "this") {
            return Some(Path { base: Base::This { up }, parts: Vec::new(), span });
        }
        for prefix in ["./", "this.", "this/"] {
            if let Some(after) = rest.strip_prefix(prefix) {
                (rest, explicit) = (after, true);
                break;
            }
        }
    }
    let mut parts = segments(rest)?;
    if parts.is_empty() && (local || up == 0) {
        return None;
    }
    let base = if local {
        if parts.len() > 1 && parts[0] != "root" {
            return None;
        }
        match parts.remove(0).as_str() {
            "root" if up == 0 => Base::Root,
            "index" => Base::Local { up, name: Local::Index },
            "key" => Base::Local { up, name: Local::Key },
            "first" => Base::Local { up, name: Local::First },
            "last" => Base::Local { up, name: Local::Last },
            _ => return None,
        }
    } else if explicit {
        Base::This { up }
    } else {
        Base::Name
    };
    (parts.len() <= 32).then_some(Path { base, parts, span })
}

fn segments(mut rest: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, after) = match rest.strip_prefix('[') {
            Some(raw) => {
                let (part, after) = raw.split_once(']')?;
                (part, after)
            }
            None => {
                let end = rest.find(['.', '/']).unwrap_or(rest.len());
                let part = &rest[..end];
                let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':');
                if part.is_empty() || !part.chars().all(fits) {
                    return None;
                }
                (part, &rest[end..])
            }
        };
        parts.push(part.to_owned());
        rest = match after.strip_prefix(['.', '/']) {
            Some("") => return None,
            Some(after) => after,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(parts)
}
