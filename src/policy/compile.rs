//! An expression's text into something that can be evaluated, with every mistake that shows before
//! any request is there: grammar, names, kinds.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::parser::{Expression, Parser};
use regex::Regex;

use super::value::Value;
use crate::model::{nearest, quote};

/// Bytes of an expression; the schemas say the same.
const LENGTH: usize = 4_000;

/// Brackets in brackets. The parser takes some 170 kB of stack for each in a build that is not
/// optimised, a thread has two megabytes, and the parser's own limit counts to far more.
const BRACKETS: usize = 6;

/// Conditions in one expression: the parser recurses on them too, at a tenth of the price.
const FORKS: usize = 8;

/// Dots, operators and brackets: of a chain of them the parser makes as deep a tree, and walks it.
const LINKS: usize = 500;

/// Nodes in nodes, as the parser makes them: `a + a + a` is three deep. Evaluation takes a frame each.
const DEPTH: usize = 48;

/// Memory of a compiled pattern.
const PATTERN: usize = 64 * 1_024;

/// What an expression may name.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The parameters that there are; `None` where any may be, as for an environment.
    pub parameters: Option<Arc<BTreeSet<String>>>,
}

/// What is wrong with an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Characters before it in the expression.
    pub at: u32,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// An expression that can be evaluated.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(super) root: Node,
    /// Whether it looks at the plan, which is not there when a request is read.
    pub uses_plan: bool,
    /// The parameters that it names, in the order of the text.
    pub parameters: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Characters before it in the text.
    pub at: u32,
    pub op: Op,
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Literal(Value),
    /// A name from the facts.
    Fact(String),
    /// A name that a macro made; the innermost counts.
    Local(String),
    Field(Box<Node>, String),
    /// `has(…)`.
    Has(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// For a macro's loop: everything but false goes on.
    GoesOn(Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Two(Two, Box<Node>, Box<Node>),
    Negate(Box<Node>),
    Size(Box<Node>),
    ToInt(Box<Node>),
    ToDouble(Box<Node>),
    ToText(Box<Node>),
    Matches(Box<Node>, Regex),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Fold(Box<Fold>),
}

/// What is done with two values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Two {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    In,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub range: Node,
    pub item: String,
    pub carried: String,
    pub first: Node,
    pub goes_on: Node,
    pub step: Node,
    pub result: Node,
}

/// What is known of a value before there is one.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Known {
    Any,
    Null,
    Bool,
    Number,
    Text,
    List(&'static Known),
    Map(&'static Known),
    Record(&'static [(&'static str, Known)]),
    Parameters,
}

use Known::{Any, Bool, Number, Text};

const TEXTS: Known = Known::Map(&Text);
const VALUES: Known = Known::Map(&Any);

const RESOURCE: Known = Known::Record(&[
    ("component", Text),
    ("logicalId", Text),
    ("type", Text),
    ("action", Text),
    ("replacement", Bool),
]);

/// The names that an expression starts from.
const ROOT: &[(&str, Known)] = &[
    (
        "request",
        Known::Record(&[
            ("id", Text),
            ("team", Text),
            ("environment", Text),
            ("name", Text),
            ("labels", TEXTS),
            ("protect", Bool),
            ("reason", Text),
            ("adopt", Bool),
        ]),
    ),
    ("parameters", Known::Parameters),
    ("environment", Known::Record(&[("name", Text), ("variables", VALUES), ("protect", Bool)])),
    ("template", Known::Record(&[("name", Text), ("version", Text), ("lifecycle", Text)])),
    (
        "plan",
        Known::Record(&[
            ("creates", Number),
            ("updates", Number),
            ("replaces", Number),
            ("deletes", Number),
            ("adopts", Number),
            ("iam", Bool),
            ("resources", Known::List(&RESOURCE)),
        ]),
    ),
];

/// Reads an expression that is to be true or false.
///
/// # Errors
/// All mistakes in it, in the order of the text.
pub fn compile(text: &str, scope: &Scope) -> Result<Compiled, Vec<Mistake>> {
    bounded(text).map_err(|mistake| vec![mistake])?;
    let parser = Parser::new().max_recursion_depth(96).error_recovery_limit(1);
    // The parser is somebody else's, and generated: a panic in it is this expression's alone.
    let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        parser.parse_with_source_info(text)
    }));
    let Ok(parsed) = parsed else {
        let help = Some("write it more simply".into());
        return Err(vec![Mistake { at: 0, message: "it cannot be read".into(), help }]);
    };
    let (expression, source) = parsed.map_err(|errors| unread(text, &errors))?;
    let mut lowering = Lowering {
        scope,
        source,
        locals: Vec::new(),
        mistakes: Vec::new(),
        uses_plan: false,
        parameters: Vec::new(),
    };
    let (root, known) = lowering.lower(&expression, 0);
    if !matches!(known, Bool | Any) {
        let message = format!("it gives {}, and a rule is true or false", noun(known));
        let help = Some("compare it with something".into());
        lowering.mistakes.push(Mistake { at: root.at, message, help });
    }
    let Lowering { mut mistakes, uses_plan, parameters, .. } = lowering;
    mistakes.sort_by_key(|mistake| mistake.at);
    if mistakes.is_empty() { Ok(Compiled { root, uses_plan, parameters }) } else { Err(mistakes) }
}

/// What must hold before the parser sees it, whose stack has no other bound.
fn bounded(text: &str) -> Result<(), Mistake> {
    let mistake = |at: usize, message: String| Mistake {
        at: at as u32,
        message,
        help: Some("split it into several rules".into()),
    };
    if text.trim().is_empty() {
        return Err(Mistake { at: 0, message: "it is empty".into(), help: None });
    }
    if text.len() > LENGTH {
        return Err(mistake(0, format!("it is longer than {LENGTH} bytes")));
    }
    let (mut open, mut forks, mut links) = (0_usize, 0_usize, 0_usize);
    for (at, c) in text.chars().enumerate() {
        links += usize::from(".([{+-*/%<>=!".contains(c));
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '?' => forks += 1,
            _ => {}
        }
        // Brackets in strings count as well; nobody needs so many.
        if open > BRACKETS {
            return Err(mistake(at, format!("brackets are nested more than {BRACKETS} deep")));
        }
        if links > LINKS {
            return Err(mistake(
                at,
                format!("it has more than {LINKS} dots, operators and brackets"),
            ));
        }
        if forks > FORKS {
            return Err(mistake(at, format!("it has more than {FORKS} `?`")));
        }
    }
    Ok(())
}

fn unread(text: &str, errors: &cel::ParseErrors) -> Vec<Mistake> {
    let mistake = |error: &cel::ParseError| {
        let (line, column) = error.pos;
        let before = text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0));
        let before: usize = before.map(|line| line.chars().count()).sum();
        let at = before + usize::try_from(column - 1).unwrap_or(0);
        // The generated parser lists all that it would have taken.
        let said = error.msg.split(" expecting ").next().unwrap_or_default();
        let said = said.strip_prefix("Syntax error: ").unwrap_or(said);
        let message = match said.starts_with("OtherError") {
            true => "it is not a CEL expression, or too deep a one".to_owned(),
            false => format!("it is not a CEL expression: {}", crate::model::escape(said, 120)),
        };
        Mistake { at: at.min(text.chars().count()) as u32, message, help: None }
    };
    let mut mistakes: Vec<Mistake> = errors.errors.iter().take(1).map(mistake).collect();
    if mistakes.is_empty() {
        mistakes.push(Mistake { at: 0, message: "it is not a CEL expression".into(), help: None });
    }
    mistakes
}

struct Lowering<'a> {
    scope: &'a Scope,
    source: SourceInfo,
    /// Names that macros made, with what is known of them.
    locals: Vec<(String, Known)>,
    mistakes: Vec<Mistake>,
    uses_plan: bool,
    parameters: Vec<String>,
}

type Lowered = (Node, Known);

impl Lowering<'_> {
    fn mistake(&mut self, at: u32, message: impl Into<String>, help: Option<String>) {
        self.mistakes.push(Mistake { at, message: message.into(), help });
    }

    /// What stands in for something that cannot be had; it is never evaluated.
    fn nothing(&mut self, at: u32, message: impl Into<String>, help: Option<String>) -> Lowered {
        self.mistake(at, message, help);
        (Node { at, op: Op::Literal(Value::Null) }, Any)
    }

    fn lower(&mut self, expression: &Expression, depth: usize) -> Lowered {
        let at = self.source.offset_for(expression.id).map_or(0, |(start, _)| start);
        if depth > DEPTH {
            let first = self.mistakes.iter().all(|m| !m.message.contains("parts"));
            if first {
                let help = Some("split it into several rules".into());
                self.mistake(at, format!("its parts are more than {DEPTH} deep"), help);
            }
            return (Node { at, op: Op::Literal(Value::Null) }, Any);
        }
        let node = |op| Node { at, op };
        match &expression.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(name) => self.name(at, name),
            Expr::Select(select) => {
                let (of, known) = self.lower(&select.operand, depth + 1);
                let field = select.field.clone();
                let kind = self.field(at, &of, known, &field, select.test);
                if select.test {
                    return (node(Op::Has(Box::new(of), field)), Bool);
                }
                (node(Op::Field(Box::new(of), field)), kind)
            }
            Expr::Call(call) => self.call(at, call, depth),
            Expr::List(list) => {
                let items: Vec<Lowered> =
                    list.elements.iter().map(|item| self.lower(item, depth + 1)).collect();
                let texts = !items.is_empty() && items.iter().all(|(_, known)| *known == Text);
                let known = if texts { Known::List(&Text) } else { Known::List(&Any) };
                (node(Op::List(items.into_iter().map(|(item, _)| item).collect())), known)
            }
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let (key, known) = self.lower(&entry.key, depth + 1);
                    self.expect(&key, known, Text, "a key");
                    entries.push((key, self.lower(&entry.value, depth + 1).0));
                }
                (node(Op::Map(entries)), VALUES)
            }
            Expr::Comprehension(fold) => self.fold(at, fold, depth),
            Expr::Struct(_) => self.nothing(at, "messages with a type are not known here", None),
            Expr::Unspecified => self.nothing(at, "it cannot be read", None),
        }
    }

    fn literal(&mut self, at: u32, literal: &LiteralValue) -> Lowered {
        let (value, known) = match literal {
            LiteralValue::Null => (Value::Null, Known::Null),
            LiteralValue::Boolean(truth) => (Value::Bool(*truth.inner()), Bool),
            LiteralValue::Int(number) => (Value::Int(*number.inner()), Number),
            LiteralValue::Double(number) => (Value::Double(*number.inner()), Number),
            LiteralValue::String(text) => (Value::text(text.inner()), Text),
            LiteralValue::UInt(number) => {
                let help = format!("write `{}`", number.inner());
                return self.nothing(at, "unsigned numbers are not known here", Some(help));
            }
            LiteralValue::Bytes(_) => {
                return self.nothing(at, "bytes are not known here", Some("use a string".into()));
            }
        };
        (Node { at, op: Op::Literal(value) }, known)
    }

    fn name(&mut self, at: u32, name: &str) -> Lowered {
        if let Some((_, known)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return (Node { at, op: Op::Local(name.to_owned()) }, *known);
        }
        let Some((_, known)) = ROOT.iter().find(|(root, _)| *root == name) else {
            let roots = ROOT.iter().map(|(root, _)| *root);
            let help = match nearest(name, roots) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "there are `request`, `parameters`, `environment`, `template` and `plan`"
                    .to_owned(),
            };
            return self.nothing(at, format!("nothing is called {}", quote(name)), Some(help));
        };
        self.uses_plan |= name == "plan";
        (Node { at, op: Op::Fact(name.to_owned()) }, *known)
    }

    /// What is known of a field, and whether it can be there at all.
    fn field(&mut self, at: u32, of: &Node, known: Known, field: &str, test: bool) -> Known {
        match known {
            Any => Any,
            Known::Map(values) => *values,
            Known::Parameters => {
                if !self.parameters.iter().any(|name| name == field) {
                    self.parameters.push(field.to_owned());
                }
                let names = self.scope.parameters.clone();
                if let Some(names) = names.filter(|names| !names.contains(field)) {
                    let help = nearest(field, names.iter().map(String::as_str));
                    let help = help.map(|meant| format!("did you mean `{meant}`?"));
                    let message = format!("the template has no parameter {}", quote(field));
                    self.mistake(at, message, help);
                }
                Any
            }
            Known::Record(fields) => match fields.iter().find(|(name, _)| *name == field) {
                Some((_, known)) => *known,
                None => {
                    let names = fields.iter().map(|(name, _)| *name);
                    let help = match nearest(field, names.clone()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
                    };
                    let message = match &of.op {
                        Op::Fact(name) => format!("`{name}` has no field {}", quote(field)),
                        _ => format!("there is no field {}", quote(field)),
                    };
                    self.mistake(at, message, Some(help));
                    Any
                }
            },
            Known::Null | Bool | Number | Text | Known::List(_) => {
                let what = if test { "be asked for in" } else { "be taken from" };
                let message = format!("{} cannot {what} {}", quote(field), noun(known));
                self.mistake(at, message, None);
                Any
            }
        }
    }

    fn call(&mut self, at: u32, call: &CallExpr, depth: usize) -> Lowered {
        let given: Vec<&Expression> =
            call.target.as_deref().into_iter().chain(&call.args).collect();
        if call.func_name == "matches" {
            return self.matches(at, &given, depth);
        }
        let mut given: Vec<Lowered> =
            given.into_iter().map(|given| self.lower(given, depth + 1)).collect();
        let name = call.func_name.as_str();
        if let ([_, _], Some(two)) = (given.as_slice(), two(name)) {
            let right = given.pop().unwrap_or_else(|| unreachable!("there are two"));
            let left = given.pop().unwrap_or_else(|| unreachable!("there are two"));
            return self.two(at, two, left, right);
        }
        let mut given = given.into_iter();
        let (first, second, third, more) = (given.next(), given.next(), given.next(), given.next());
        let node = |op| Node { at, op };
        match (name, first, second, third, more) {
            ("_&&_", Some(left), Some(right), None, None) => {
                let (left, right) = (self.truth(left), self.truth(right));
                (node(Op::And(left, right)), Bool)
            }
            ("_||_", Some(left), Some(right), None, None) => {
                let (left, right) = (self.truth(left), self.truth(right));
                (node(Op::Or(left, right)), Bool)
            }
            ("!_", Some(of), None, ..) => (node(Op::Not(self.truth(of))), Bool),
            ("@not_strictly_false", Some((of, _)), None, ..) => {
                (node(Op::GoesOn(Box::new(of))), Bool)
            }
            ("_?_:_", Some(of), Some((yes, one)), Some((no, other)), None) => {
                let known = if one == other { one } else { Any };
                (node(Op::If(self.truth(of), Box::new(yes), Box::new(no))), known)
            }
            ("-_", Some((of, known)), None, ..) => {
                self.expect(&of, known, Number, "what `-` stands before");
                (node(Op::Negate(Box::new(of))), Number)
            }
            ("_[_]", Some((of, known)), Some((index, _)), None, None) => {
                let known = match known {
                    Known::List(items) => *items,
                    Known::Map(values) => *values,
                    _ => Any,
                };
                (node(Op::Index(Box::new(of), Box::new(index))), known)
            }
            ("size", Some((of, _)), None, ..) => (node(Op::Size(Box::new(of))), Number),
            ("int", Some((of, _)), None, ..) => (node(Op::ToInt(Box::new(of))), Number),
            ("double", Some((of, _)), None, ..) => (node(Op::ToDouble(Box::new(of))), Number),
            ("string", Some((of, _)), None, ..) => (node(Op::ToText(Box::new(of))), Text),
            _ => {
                const FUNCTIONS: [&str; 13] = [
                    "size",
                    "contains",
                    "startsWith",
                    "endsWith",
                    "matches",
                    "int",
                    "double",
                    "string",
                    "has",
                    "all",
                    "exists",
                    "filter",
                    "map",
                ];
                if FUNCTIONS.contains(&name) {
                    let message = format!("`{name}` is not used so");
                    return self.nothing(at, message, Some("see docs/templates.md".into()));
                }
                let help = match nearest(name, FUNCTIONS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", FUNCTIONS.join(", ")),
                };
                self.nothing(at, format!("there is no function {}", quote(name)), Some(help))
            }
        }
    }

    /// Patterns are compiled once, here, within a size; so they are written out.
    fn matches(&mut self, at: u32, given: &[&Expression], depth: usize) -> Lowered {
        let [of, pattern] = given else {
            return self.nothing(at, "`matches` takes a string and a pattern", None);
        };
        let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
            return self.nothing(at, "the pattern of `matches` is not written out", None);
        };
        let (of, known) = self.lower(of, depth + 1);
        self.expect(&of, known, Text, "what is matched");
        let mut builder = regex::RegexBuilder::new(pattern.inner());
        match builder.size_limit(PATTERN).dfa_size_limit(PATTERN).nest_limit(24).build() {
            Ok(regex) => (Node { at, op: Op::Matches(Box::new(of), regex) }, Bool),
            Err(regex::Error::CompiledTooBig(_)) => {
                self.nothing(at, "the pattern is too large", None)
            }
            Err(_) => {
                let help = "look-around and back references are not known".to_owned();
                self.nothing(at, "the pattern cannot be read", Some(help))
            }
        }
    }

    fn two(&mut self, at: u32, two: Two, left: Lowered, right: Lowered) -> Lowered {
        let ((left, one), (right, other)) = (left, right);
        let known = match two {
            Two::Equal | Two::NotEqual => {
                if is_never(one, other) {
                    let message = format!("{} never equals {}", noun(one), noun(other));
                    self.mistake(at, message, None);
                }
                Bool
            }
            Two::Less | Two::LessEqual | Two::Greater | Two::GreaterEqual => {
                let fits = |known| matches!(known, Any | Number | Text);
                if !fits(one) || !fits(other) || is_never(one, other) {
                    let message = format!("{} and {} have no order", noun(one), noun(other));
                    self.mistake(at, message, None);
                }
                Bool
            }
            Two::Add => match (one, other) {
                (Known::List(items), Known::List(others)) if items == others => one,
                (Known::List(_), Known::List(_)) => Known::List(&Any),
                (Number | Text, _) if one == other => one,
                _ if one == Any || other == Any => Any,
                _ => {
                    let message = format!("{} and {} cannot be added", noun(one), noun(other));
                    self.mistake(at, message, None);
                    Any
                }
            },
            Two::Subtract | Two::Multiply | Two::Divide | Two::Modulo => {
                self.expect(&left, one, Number, "what is reckoned with");
                self.expect(&right, other, Number, "what is reckoned with");
                Number
            }
            Two::In => {
                if !matches!(other, Any | Known::List(_) | Known::Map(_) | Known::Parameters) {
                    let message = format!("nothing is `in` {}", noun(other));
                    self.mistake(at, message, None);
                }
                if let Known::List(items) = other
                    && is_never(one, *items)
                {
                    let message = format!("{} is never in a list of {}s", noun(one), bare(*items));
                    self.mistake(at, message, None);
                }
                Bool
            }
            Two::Contains | Two::StartsWith | Two::EndsWith => {
                self.expect(&left, one, Text, "what is looked into");
                self.expect(&right, other, Text, "what is looked for");
                Bool
            }
        };
        (Node { at, op: Op::Two(two, Box::new(left), Box::new(right)) }, known)
    }

    fn fold(&mut self, at: u32, fold: &ComprehensionExpr, depth: usize) -> Lowered {
        if fold.iter_var2.is_some() {
            return self.nothing(at, "macros with two names are not known here", None);
        }
        let (range, known) = self.lower(&fold.iter_range, depth + 1);
        let item = match known {
            Known::List(items) => *items,
            Known::Map(_) | Known::Parameters => Text,
            Any => Any,
            Known::Null | Bool | Number | Text | Known::Record(_) => {
                self.mistake(at, format!("{} has no items", noun(known)), None);
                Any
            }
        };
        let (first, carried) = self.lower(&fold.accu_init, depth + 1);
        // A list that is gathered is of anything; `true`, `false` and counts stay what they are.
        let carried = if matches!(carried, Known::List(_)) { Known::List(&Any) } else { carried };
        self.locals.push((fold.accu_var.clone(), carried));
        self.locals.push((fold.iter_var.clone(), item));
        let goes_on = self.lower(&fold.loop_cond, depth + 1).0;
        let step = self.lower(&fold.loop_step, depth + 1).0;
        self.locals.pop();
        let (result, known) = self.lower(&fold.result, depth + 1);
        self.locals.pop();
        let fold = Fold {
            range,
            item: fold.iter_var.clone(),
            carried: fold.accu_var.clone(),
            first,
            goes_on,
            step,
            result,
        };
        (Node { at, op: Op::Fold(Box::new(fold)) }, known)
    }

    fn truth(&mut self, (node, known): Lowered) -> Box<Node> {
        if !matches!(known, Bool | Any) {
            let message = format!("{} is neither true nor false", noun(known));
            self.mistake(node.at, message, None);
        }
        Box::new(node)
    }

    fn expect(&mut self, node: &Node, known: Known, wanted: Known, what: &str) {
        if known != Any && known != wanted {
            let message = format!("{what} is {}, not {}", noun(wanted), noun(known));
            self.mistake(node.at, message, None);
        }
    }
}

fn two(name: &str) -> Option<Two> {
    Some(match name {
        "_==_" => Two::Equal,
        "_!=_" => Two::NotEqual,
        "_<_" => Two::Less,
        "_<=_" => Two::LessEqual,
        "_>_" => Two::Greater,
        "_>=_" => Two::GreaterEqual,
        "_+_" => Two::Add,
        "_-_" => Two::Subtract,
        "_*_" => Two::Multiply,
        "_/_" => Two::Divide,
        "_%_" => Two::Modulo,
        "@in" => Two::In,
        "contains" => Two::Contains,
        "startsWith" => Two::StartsWith,
        "endsWith" => Two::EndsWith,
        _ => return None,
    })
}

/// Whether two kinds of values are never equal. Anything may be null.
fn is_never(one: Known, other: Known) -> bool {
    let is_null = |known| matches!(known, Any | Known::Null);
    !is_null(one) && !is_null(other) && bare(one) != bare(other)
}

fn bare(known: Known) -> &'static str {
    match known {
        Any => "value",
        Known::Null => "null",
        Bool => "boolean",
        Number => "number",
        Text => "string",
        Known::List(_) => "list",
        Known::Map(_) | Known::Record(_) | Known::Parameters => "map",
    }
}

fn noun(known: Known) -> String {
    match known {
        Known::Null => "null".into(),
        _ => format!("a {}", bare(known)),
    }
}
