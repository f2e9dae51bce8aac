//! Runs a template over a context. Bounded in steps, output and depth; every problem is collected.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::ast::{Base, Block, BlockKind, Call, Expr, Local, Node, Partial, Path, Span, Text};
use super::helper::{self, Made, Misuse};
use super::problem::Problem;
use super::scope::{Missing, Scope, Turn, Val};
use super::{Context, Library, Limits, text};
use crate::model::{Diagnostic, quote};

/// Copying or reading this many bytes of a value costs a step.
const BYTES_PER_STEP: usize = 64;

/// Rendering cannot go on; why is among the problems.
pub(super) struct Halt;

/// What interpolations become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A marker for each: the text is parsed before values are put in.
    Markers(char),
    /// Their text.
    Text,
}

/// An interpolated value.
pub(super) struct Hole<'a> {
    pub val: Val<'a>,
    pub unit: usize,
    pub span: Span,
}

/// Where a stretch of the output comes from.
struct Piece {
    out: usize,
    unit: usize,
    source: usize,
}

/// What a template wrote.
#[derive(Default)]
pub(super) struct Output<'a> {
    pub text: String,
    pub holes: Vec<Hole<'a>>,
    pieces: Vec<Piece>,
}

impl Output<'_> {
    /// What comes next is written by this byte of a unit.
    pub fn piece(&mut self, unit: usize, source: usize) {
        self.pieces.push(Piece { out: self.text.len(), unit, source });
    }

    /// The unit and byte that wrote this byte of the output.
    pub fn origin(&self, byte: usize) -> (usize, usize) {
        let n = self.pieces.partition_point(|piece| piece.out <= byte);
        match n.checked_sub(1).map(|n| &self.pieces[n]) {
            Some(piece) => (piece.unit, piece.source + (byte - piece.out)),
            None => (0, 0),
        }
    }
}

/// Spent across all files of a component.
pub(super) struct Budget {
    pub steps: u64,
    pub bytes: usize,
}

pub(super) struct Machine<'a, 'b> {
    library: &'a Library,
    context: &'a Context,
    limits: &'b Limits,
    budget: &'b mut Budget,
    mode: Mode,
    unit: usize,
    scopes: Vec<Scope<'a>>,
    indent: String,
    pub out: Output<'a>,
    pub problems: Vec<Diagnostic>,
    /// What a text file interpolates and nobody knows yet.
    pub unknown: BTreeSet<crate::model::Symbol>,
}

impl<'a, 'b> Machine<'a, 'b> {
    pub fn new(
        library: &'a Library,
        context: &'a Context,
        limits: &'b Limits,
        budget: &'b mut Budget,
        mode: Mode,
    ) -> Self {
        Self {
            library,
            context,
            limits,
            budget,
            mode,
            unit: 0,
            scopes: Vec::new(),
            indent: String::new(),
            out: Output::default(),
            problems: Vec::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Runs one unit of the library over the whole context.
    pub fn run(&mut self, unit: usize) -> Result<(), Halt> {
        self.unit = unit;
        self.scopes = vec![Scope::new(Val::Root)];
        let library = self.library;
        self.nodes(&library.units[unit].nodes)
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> Result<(), Halt> {
        for node in nodes {
            match node {
                Node::Text(text) => self.text(text)?,
                Node::Output(expr) => self.output(expr)?,
                Node::Block(block) => self.block(block)?,
                Node::Partial(partial) => self.partial(partial)?,
            }
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) {
        let unit = &self.library.units[self.unit];
        let found = problem.at(&unit.file, &unit.text);
        // A loop meets the same problem in every turn.
        if !self.problems.contains(&found) {
            self.problems.push(found);
        }
    }

    fn spend(&mut self, steps: usize, span: &Span) -> Result<(), Halt> {
        let left = self.budget.steps.checked_sub(steps as u64);
        self.budget.steps = left.unwrap_or(0);
        match left {
            Some(_) => Ok(()),
            None => Err(self.limit(&format!("{} steps", self.limits.steps), "steps", span)),
        }
    }

    fn write(&mut self, bytes: usize, span: &Span) -> Result<(), Halt> {
        let left = self.budget.bytes.checked_sub(bytes);
        self.budget.bytes = left.unwrap_or(0);
        match left {
            Some(_) => Ok(()),
            None => Err(self.limit(&format!("{} bytes", self.limits.output), "output", span)),
        }
    }

    fn limit(&mut self, what: &str, name: &str, span: &Span) -> Halt {
        let message = format!("{name}: rendering takes more than {what}");
        let help = "render less: fewer turns of loops, or several components";
        self.problem(Problem::new("RenderLimit", span.clone(), message).help(help));
        Halt
    }

    fn text(&mut self, text: &Text) -> Result<(), Halt> {
        let Text { text, span } = text;
        self.spend(1, span)?;
        if self.indent.is_empty() {
            self.write(text.len(), span)?;
            self.piece(span.start);
            self.out.text.push_str(text);
            return Ok(());
        }
        let mut at = span.start;
        for line in text.split_inclusive('\n') {
            let starts = self.out.text.is_empty() || self.out.text.ends_with('\n');
            let margin = if starts && line != "\n" { self.indent.len() } else { 0 };
            self.write(line.len() + margin, span)?;
            self.piece(at);
            if margin > 0 {
                self.out.text.push_str(&self.indent);
                self.piece(at);
            }
            self.out.text.push_str(line);
            at += line.len();
        }
        Ok(())
    }

    fn piece(&mut self, source: usize) {
        self.out.piece(self.unit, source);
    }

    fn output(&mut self, expr: &'a Expr) -> Result<(), Halt> {
        let span = expr.span().clone();
        self.spend(1, &span)?;
        let val = self.value(expr)?;
        if let Val::Failed = val {
            return Ok(());
        }
        self.write(val.json().map_or(64, size), &span)?;
        if !self.indent.is_empty() && self.out.text.ends_with('\n') {
            let margin = self.indent.clone();
            self.out.text.push_str(&margin);
        }
        self.piece(span.start);
        match self.mode {
            Mode::Markers(mark) => {
                use std::fmt::Write as _;
                // Writing to a `String` cannot fail.
                let _ = write!(self.out.text, "{mark}{}{mark}", self.out.holes.len());
                self.out.holes.push(Hole { val, unit: self.unit, span });
            }
            Mode::Text => {
                let formats = expr.helper().and_then(helper::find).is_some_and(|h| h.formats);
                match text::plain(&val, formats) {
                    Ok(text) => self.out.text.push_str(&text),
                    Err(problem) => self.problem(problem.at_span(span)),
                }
                if let Val::Unknown(symbols) = val {
                    self.unknown.extend(symbols.iter().cloned());
                }
            }
        }
        Ok(())
    }

    /// The value of an expression as one JSON value.
    fn value(&mut self, expr: &'a Expr) -> Result<Val<'a>, Halt> {
        let val = self.resolve(expr)?;
        let val = val.whole(self.context).unwrap_or_else(|()| {
            let problem = Problem::new("TPL010", expr.span().clone(), "this names no single value");
            self.problem(problem.help("name one of its parts"));
            Val::Failed
        });
        if let Val::Owned(value) = &val {
            self.spend(size(value) / BYTES_PER_STEP, expr.span())?;
        }
        Ok(val)
    }

    fn resolve(&mut self, expr: &'a Expr) -> Result<Val<'a>, Halt> {
        match expr {
            Expr::Literal(value, _) => Ok(Val::Json(value)),
            Expr::Path(path) => self.path(path),
            Expr::Call(call) => self.call(call),
        }
    }

    fn path(&mut self, path: &'a Path) -> Result<Val<'a>, Halt> {
        self.spend(1, &path.span)?;
        let (start, parts) = match &path.base {
            Base::Root => (Some(Val::Root), &path.parts[..]),
            Base::Local { up, name } => (self.local(*up, *name), &path.parts[..]),
            Base::This { up } => {
                let scope = self.scopes.len().checked_sub(up + 1).map(|n| &self.scopes[n]);
                (scope.map(|scope| scope.this.clone()), &path.parts[..])
            }
            Base::Name => match self.named(&path.parts[0]) {
                Some(val) => (Some(val), &path.parts[1..]),
                None => (self.scopes.last().map(|s| s.this.clone()), &path.parts[..]),
            },
        };
        let Some(mut val) = start else {
            let shown = quote(&self.library.units[self.unit].text[path.span.clone()]);
            let problem =
                Problem::new("TPL003", path.span.clone(), format!("{shown} is not there"));
            let help = match path.base {
                Base::Local { .. } => "it is known only inside `each`",
                _ => "there are fewer blocks around this one",
            };
            self.problem(problem.help(help));
            return Ok(Val::Failed);
        };
        for (n, part) in parts.iter().enumerate() {
            if let Val::Owned(value) = &val {
                let bytes = size(value);
                self.spend(bytes / BYTES_PER_STEP, &path.span)?;
            }
            val = match val.part(part, self.context) {
                Ok(part) => part,
                Err(missing) => {
                    self.missing(path, part, n, missing);
                    return Ok(Val::Failed);
                }
            };
        }
        Ok(val)
    }

    fn missing(&mut self, path: &Path, part: &str, n: usize, missing: Missing) {
        let part = quote(part);
        let first = n == 0 && path.base == Base::Name;
        let rooted = first && super::scope::ROOTS.contains(&path.parts[0].as_str());
        let (message, help) = match missing {
            Missing::NoParts(kind) => (
                format!("unknown name {part}: what stands before it is {kind}"),
                "`lookup` gives null for a part that may be missing".to_owned(),
            ),
            Missing::Name(_) if rooted && self.scopes.len() > 1 => {
                let at = &path.parts[0];
                (format!("unknown name {part} in this block"), format!("write `@root.{at}`"))
            }
            Missing::Name(Some(near)) => {
                (format!("unknown name {part}"), format!("did you mean `{near}`?"))
            }
            Missing::Name(None) => (
                format!("unknown name {part}"),
                "`lookup` gives null for a part that may be missing".to_owned(),
            ),
        };
        self.problem(Problem::new("TPL003", path.span.clone(), message).help(help));
    }

    fn named(&self, name: &str) -> Option<Val<'a>> {
        let mut scopes = self.scopes.iter().rev();
        scopes.find_map(|s| s.names.iter().find(|(n, _)| *n == name)).map(|(_, val)| val.clone())
    }

    fn local(&self, up: usize, name: Local) -> Option<Val<'a>> {
        let turn = self.scopes.iter().rev().filter_map(|s| s.turn.as_ref()).nth(up)?;
        Some(Val::Owned(Rc::new(match name {
            Local::Index => turn.index.into(),
            Local::Key => turn.key?.into(),
            Local::First => (turn.index == 0).into(),
            Local::Last => turn.last.into(),
        })))
    }

    fn call(&mut self, call: &'a Call) -> Result<Val<'a>, Halt> {
        let span = &call.span;
        self.spend(1, span)?;
        if call.helper.name == "lookup" {
            return self.lookup(call);
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.value(arg)?);
        }
        if args.iter().any(|arg| matches!(arg, Val::Failed)) {
            return Ok(Val::Failed);
        }
        let unknown: BTreeSet<_> = args.iter().filter_map(symbols).flatten().cloned().collect();
        if !unknown.is_empty() {
            return Ok(Val::Unknown(Rc::new(unknown)));
        }
        let values: Vec<_> = args.iter().filter_map(Val::json).collect();
        self.spend(values.iter().map(|v| size(v)).sum::<usize>() / BYTES_PER_STEP, span)?;
        let made = call.helper.run(&values);
        match made {
            Ok(Made::Argument(n)) => Ok(args.swap_remove(n)),
            Ok(Made::Value(value)) => {
                let bytes = size(&value);
                self.spend(bytes / BYTES_PER_STEP, span)?;
                if bytes > self.limits.output {
                    let what = format!("{} bytes", self.limits.output);
                    return Err(self.limit(&what, "output", span));
                }
                Ok(Val::Owned(Rc::new(value)))
            }
            // Only `lookup` answers so, and it does not come here.
            Ok(Made::Part) => Ok(Val::Failed),
            Err(misuse) => self.misuse(call, misuse),
        }
    }

    fn misuse(&mut self, call: &Call, misuse: Misuse) -> Result<Val<'a>, Halt> {
        let span = call.span.clone();
        let name = call.helper.name;
        let problem = match misuse {
            Misuse::Argument(message) => {
                let message = format!("`{name}`: {message}");
                Problem::new("TPL010", span, message).help(format!("write `{}`", call.helper.usage))
            }
            Misuse::Required(message) => {
                Problem::new("TPL012", span, crate::model::escape(&message, 400))
            }
            Misuse::TooLarge => {
                let what = format!("{} bytes", self.limits.output);
                return Err(self.limit(&what, "output", &span));
            }
        };
        self.problem(problem);
        Ok(Val::Failed)
    }

    /// A part that may be missing: null then.
    fn lookup(&mut self, call: &'a Call) -> Result<Val<'a>, Halt> {
        static NULL: Value = Value::Null;
        let whole = self.resolve(&call.args[0])?;
        let key = self.value(&call.args[1])?;
        let key = match (&whole, &key) {
            (Val::Failed, _) | (_, Val::Failed) => return Ok(Val::Failed),
            (_, Val::Unknown(_)) => return Ok(key),
            (_, key) => match key.json().map(helper::text) {
                Some(Ok(key)) => key,
                Some(Err(misuse)) => return self.misuse(call, misuse),
                None => return Ok(Val::Failed),
            },
        };
        if let Val::Owned(value) = &whole {
            let bytes = size(value);
            self.spend(bytes / BYTES_PER_STEP, &call.span)?;
        }
        Ok(whole.part(&key, self.context).unwrap_or(Val::Json(&NULL)))
    }

    fn block(&mut self, block: &'a Block) -> Result<(), Halt> {
        self.spend(1, &block.span)?;
        if block.kind == BlockKind::With {
            let subject = self.resolve(&block.subject)?;
            // A path to values, such as `components.db.outputs`, is there: it need not be read.
            if !matches!(subject, Val::Json(_) | Val::Owned(_) | Val::Unknown(_) | Val::Failed) {
                return self.with(block, subject);
            }
        }
        let subject = self.value(&block.subject)?;
        if matches!(subject, Val::Failed) {
            return Ok(());
        }
        let Some(value) = subject.json() else {
            let shown = symbols(&subject).into_iter().flatten().map(|s| format!("`{s}`"));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let name = block.kind.name();
            let message = format!("`{name}` depends on a value known only after apply: {shown}");
            let problem = Problem::new("TPL011", block.span.clone(), message);
            self.problem(problem.help("decide by a parameter of the request"));
            return Ok(());
        };
        let truthy = helper::truthy(value);
        match block.kind {
            BlockKind::If | BlockKind::Unless => {
                let holds = truthy == (block.kind == BlockKind::If);
                self.nodes(if holds { &block.body } else { &block.inverse })
            }
            BlockKind::With if truthy => self.with(block, subject),
            BlockKind::Each if truthy => self.each(block, &subject),
            BlockKind::With | BlockKind::Each => self.nodes(&block.inverse),
        }
    }

    fn with(&mut self, block: &'a Block, subject: Val<'a>) -> Result<(), Halt> {
        let mut scope = Scope::new(subject.clone());
        scope.names.extend(block.params.first().map(|name| (name.as_str(), subject)));
        self.inside(scope, &block.body)
    }

    fn inside(&mut self, scope: Scope<'a>, body: &'a [Node]) -> Result<(), Halt> {
        self.scopes.push(scope);
        let result = self.nodes(body);
        self.scopes.pop();
        result
    }

    fn each(&mut self, block: &'a Block, subject: &Val<'a>) -> Result<(), Halt> {
        let (count, items): (usize, Vec<(Option<&'a str>, Val<'a>)>) = match subject {
            Val::Json(Value::Array(items)) => {
                (items.len(), items.iter().map(|item| (None, Val::Json(item))).collect())
            }
            Val::Json(Value::Object(map)) => {
                let mut items: Vec<_> =
                    map.iter().map(|(k, v)| (Some(k.as_str()), Val::Json(v))).collect();
                // The order of the map is that of a cargo feature which any dependency may set.
                items.sort_by_key(|(key, _)| *key);
                (map.len(), items)
            }
            Val::Owned(value) if value.is_object() => {
                // `parameters` as a whole: every one is known here.
                let parameters = &self.context.parameters;
                let known = parameters.iter().filter_map(|(name, slot)| match slot {
                    super::Slot::Known(value) => Some((Some(name.as_str()), Val::Json(value))),
                    super::Slot::Unknown(_) => None,
                });
                (parameters.len(), known.collect())
            }
            other => {
                let kind = other.json().map_or("no value", helper::kind);
                let message = format!("`each` goes over a list or a map, not over {kind}");
                self.problem(Problem::new("TPL010", block.span.clone(), message));
                return Ok(());
            }
        };
        for (index, (key, item)) in items.into_iter().enumerate() {
            self.spend(1, &block.span)?;
            let mut scope = Scope::new(item.clone());
            let mut names = block.params.iter().map(String::as_str);
            scope.names.extend(names.next().map(|name| (name, item)));
            let place = match key {
                Some(key) => Value::from(key),
                None => Value::from(index),
            };
            scope.names.extend(names.next().map(|name| (name, Val::Owned(Rc::new(place)))));
            scope.turn = Some(Turn { index, key, last: index + 1 == count });
            self.inside(scope, &block.body)?;
        }
        Ok(())
    }

    fn partial(&mut self, partial: &'a Partial) -> Result<(), Halt> {
        self.spend(1, &partial.span)?;
        let Some(&unit) = self.library.partials.get(&partial.name) else {
            // Compiling found it.
            return Ok(());
        };
        let this = match &partial.context {
            Some(expr) => self.resolve(expr)?,
            None => self.scopes.last().map_or(Val::Root, |scope| scope.this.clone()),
        };
        let mut scope = Scope::new(this);
        for (name, expr) in &partial.hash {
            let val = self.resolve(expr)?;
            scope.names.push((name, val));
        }
        let scopes = std::mem::replace(&mut self.scopes, vec![scope]);
        let caller = std::mem::replace(&mut self.unit, unit);
        let margin = self.indent.len();
        self.indent.push_str(&partial.indent);
        let library = self.library;
        let result = self.nodes(&library.units[unit].nodes);
        self.indent.truncate(margin);
        self.unit = caller;
        self.scopes = scopes;
        result
    }
}

fn symbols<'v>(val: &'v Val<'_>) -> Option<&'v BTreeSet<crate::model::Symbol>> {
    match val {
        Val::Unknown(symbols) => Some(symbols),
        _ => None,
    }
}

/// About as many bytes as the value takes when it is written.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>(),
    }
}
