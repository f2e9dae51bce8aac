//! Evaluating an expression: bounded, and honest about what is not known yet.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::{Compiled, Fold, Node, Op, Two};
use super::value::Value;

/// Steps of one evaluation. A value that is made counts as many as it has items, or as eight bytes of
/// text; some ten milliseconds in all.
const STEPS: usize = 200_000;

/// What came of a rule.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    Yes,
    No,
    /// What it waits to learn, for people.
    Unknown(Arc<str>),
    /// Why it cannot be told, as a sentence. Says nothing of values.
    Failed(String),
}

/// Evaluates an expression over `facts`, a value for each name.
pub(super) fn evaluate(expression: &Compiled, facts: &dyn Fn(&str) -> Value) -> Outcome {
    let mut machine = Machine { facts, locals: Vec::new(), left: STEPS };
    match machine.eval(&expression.root) {
        Ok(Value::Bool(true)) => Outcome::Yes,
        Ok(Value::Bool(false)) => Outcome::No,
        Ok(Value::Unknown(what)) => Outcome::Unknown(what),
        Ok(other) => Outcome::Failed(format!("it gives {}, not true or false", other.noun())),
        Err(Halt::Failed(why)) => Outcome::Failed(why),
        Err(Halt::Spent) => Outcome::Failed(format!("it takes more than {STEPS} steps")),
    }
}

enum Halt {
    /// The other side of an `&&` or `||` may make up for it.
    Failed(String),
    /// Nothing makes up for it.
    Spent,
}

type Result<T = Value> = std::result::Result<T, Halt>;

fn failed<T>(why: impl Into<String>) -> Result<T> {
    Err(Halt::Failed(why.into()))
}

struct Machine<'a> {
    facts: &'a dyn Fn(&str) -> Value,
    locals: Vec<(&'a str, Value)>,
    left: usize,
}

impl<'a> Machine<'a> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Halt::Spent),
        }
    }

    fn eval(&mut self, node: &'a Node) -> Result {
        self.spend(1)?;
        match &node.op {
            Op::Literal(value) => Ok(value.clone()),
            Op::Fact(name) => Ok((self.facts)(name)),
            Op::Local(name) => {
                let local = self.locals.iter().rev().find(|(local, _)| local == name);
                Ok(local.map_or(Value::Null, |(_, value)| value.clone()))
            }
            Op::Field(of, field) => field_of(&self.eval(of)?, field, of),
            Op::Has(of, field) => Ok(match self.eval(of)? {
                Value::Map(entries) => match entries.get(field) {
                    // Every declared parameter is there, without a value where none was given.
                    None | Some(Value::Null) => Value::Bool(false),
                    Some(Value::Unknown(what)) => Value::Unknown(what.clone()),
                    Some(_) => Value::Bool(true),
                },
                Value::Unknown(what) => Value::Unknown(what),
                Value::Null => Value::Bool(false),
                other => return failed(format!("`has` looks into a map, not {}", other.noun())),
            }),
            Op::Index(of, index) => {
                let (of, index) = (self.eval(of)?, self.eval(index)?);
                index_of(&of, &index)
            }
            Op::And(left, right) => self.logic(left, right, false),
            Op::Or(left, right) => self.logic(left, right, true),
            Op::Not(of) => match self.eval(of)? {
                Value::Bool(truth) => Ok(Value::Bool(!truth)),
                Value::Unknown(what) => Ok(Value::Unknown(what)),
                other => failed(format!("`!` is for true and false, not for {}", other.noun())),
            },
            Op::GoesOn(of) => match self.eval(of) {
                Ok(Value::Bool(truth)) => Ok(Value::Bool(truth)),
                Err(Halt::Spent) => Err(Halt::Spent),
                Ok(_) | Err(Halt::Failed(_)) => Ok(Value::Bool(true)),
            },
            Op::If(of, yes, no) => match self.eval(of)? {
                Value::Bool(true) => self.eval(yes),
                Value::Bool(false) => self.eval(no),
                Value::Unknown(what) => Ok(Value::Unknown(what)),
                other => failed(format!("`?` is for true and false, not for {}", other.noun())),
            },
            Op::Two(two, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                self.two(*two, &left, &right)
            }
            Op::Negate(of) => match self.eval(of)? {
                Value::Int(number) => match number.checked_neg() {
                    Some(number) => Ok(Value::Int(number)),
                    None => failed("a number is out of range"),
                },
                Value::Double(number) => Ok(Value::Double(-number)),
                Value::Unknown(what) => Ok(Value::Unknown(what)),
                other => failed(format!("`-` is for numbers, not for {}", other.noun())),
            },
            Op::Size(of) => {
                let of = self.eval(of)?;
                self.size(of)
            }
            Op::ToInt(of) => to_int(self.eval(of)?),
            Op::ToDouble(of) => to_double(self.eval(of)?),
            Op::ToText(of) => to_text(self.eval(of)?),
            Op::Matches(of, pattern) => match self.eval(of)? {
                Value::Text(text) => {
                    self.spend(text.len())?;
                    Ok(Value::Bool(pattern.is_match(&text)))
                }
                Value::Unknown(what) => Ok(Value::Unknown(what)),
                other => failed(format!("`matches` is for strings, not for {}", other.noun())),
            },
            Op::List(items) => {
                let items: Vec<Value> =
                    items.iter().map(|item| self.eval(item)).collect::<Result<_>>()?;
                Ok(Value::List(items.into()))
            }
            Op::Map(entries) => self.map(entries),
            Op::Fold(fold) => self.fold(fold),
        }
    }

    /// `&&` and `||`: either side alone may decide, whatever the other comes to.
    fn logic(&mut self, left: &'a Node, right: &'a Node, decides: bool) -> Result {
        let one = self.eval(left);
        match &one {
            Ok(Value::Bool(truth)) if *truth == decides => return Ok(Value::Bool(decides)),
            Err(Halt::Spent) => return Err(Halt::Spent),
            _ => {}
        }
        let other = self.eval(right);
        match &other {
            Ok(Value::Bool(truth)) if *truth == decides => return Ok(Value::Bool(decides)),
            Err(Halt::Spent) => return Err(Halt::Spent),
            _ => {}
        }
        match (one, other) {
            (Ok(Value::Unknown(what)), _) | (_, Ok(Value::Unknown(what))) => {
                Ok(Value::Unknown(what))
            }
            (Err(halt), _) | (_, Err(halt)) => Err(halt),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decides)),
            (Ok(Value::Bool(_)), Ok(other)) | (Ok(other), Ok(_)) => {
                failed(format!("{} is neither true nor false", other.noun()))
            }
        }
    }

    fn two(&mut self, two: Two, left: &Value, right: &Value) -> Result {
        if let (Value::Unknown(what), _) | (_, Value::Unknown(what)) = (left, right) {
            return Ok(Value::Unknown(what.clone()));
        }
        match two {
            Two::Equal => self.equal(left, right).map(Truth::value),
            Two::NotEqual => Ok(match self.equal(left, right)? {
                Truth::Is(truth) => Value::Bool(!truth),
                Truth::Unknown(what) => Value::Unknown(what),
            }),
            Two::Less | Two::LessEqual | Two::Greater | Two::GreaterEqual => {
                let Some(order) = self.order(left, right)? else {
                    return Ok(Value::Bool(false)); // not a number
                };
                Ok(Value::Bool(match two {
                    Two::Less => order == Ordering::Less,
                    Two::LessEqual => order != Ordering::Greater,
                    Two::Greater => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                }))
            }
            Two::Add => self.add(left, right),
            Two::Subtract | Two::Multiply | Two::Divide | Two::Modulo => reckon(two, left, right),
            Two::In => self.is_in(left, right),
            Two::Contains | Two::StartsWith | Two::EndsWith => {
                let (Value::Text(text), Value::Text(part)) = (left, right) else {
                    return failed(format!(
                        "strings are looked into for strings, not {} for {}",
                        left.noun(),
                        right.noun()
                    ));
                };
                self.spend(text.len() / 8)?;
                Ok(Value::Bool(match two {
                    Two::Contains => text.contains(&**part),
                    Two::StartsWith => text.starts_with(&**part),
                    _ => text.ends_with(&**part),
                }))
            }
        }
    }

    fn equal(&mut self, left: &Value, right: &Value) -> Result<Truth> {
        self.spend(1)?;
        Ok(match (left, right) {
            (Value::Unknown(what), _) | (_, Value::Unknown(what)) => Truth::Unknown(what.clone()),
            (Value::List(left), Value::List(right)) => {
                if left.len() != right.len() {
                    return Ok(Truth::Is(false));
                }
                let mut all = Truth::Is(true);
                for (left, right) in left.iter().zip(right.iter()) {
                    all = all.and(self.equal(left, right)?);
                }
                all
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() || !left.keys().eq(right.keys()) {
                    self.spend(left.len())?;
                    return Ok(Truth::Is(false));
                }
                let mut all = Truth::Is(true);
                for (left, right) in left.values().zip(right.values()) {
                    all = all.and(self.equal(left, right)?);
                }
                all
            }
            (Value::Text(left), Value::Text(right)) => {
                self.spend(left.len().min(right.len()) / 8)?;
                Truth::Is(left == right)
            }
            (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
                Truth::Is(self.order(left, right)? == Some(Ordering::Equal))
            }
            (Value::Null, Value::Null) => Truth::Is(true),
            (Value::Bool(left), Value::Bool(right)) => Truth::Is(left == right),
            _ => Truth::Is(false),
        })
    }

    fn order(&mut self, left: &Value, right: &Value) -> Result<Option<Ordering>> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => Ok(Some(left.cmp(right))),
            (Value::Double(left), Value::Double(right)) => Ok(left.partial_cmp(right)),
            (Value::Int(left), Value::Double(right)) => Ok(across(*left, *right)),
            (Value::Double(left), Value::Int(right)) => {
                Ok(across(*right, *left).map(Ordering::reverse))
            }
            (Value::Text(left), Value::Text(right)) => {
                self.spend(left.len().min(right.len()) / 8)?;
                Ok(Some(left.cmp(right)))
            }
            (Value::Null, _) | (_, Value::Null) => {
                failed("something that it compares has no value; ask with `has(…)` first")
            }
            _ => failed(format!("{} and {} have no order", left.noun(), right.noun())),
        }
    }

    fn add(&mut self, left: &Value, right: &Value) -> Result {
        match (left, right) {
            (Value::Text(one), Value::Text(other)) => {
                self.spend((one.len() + other.len()) / 8 + 1)?;
                Ok(Value::Text(format!("{one}{other}").into()))
            }
            (Value::List(one), Value::List(other)) => {
                self.spend(one.len() + other.len())?;
                Ok(Value::List(one.iter().chain(other.iter()).cloned().collect()))
            }
            _ => reckon(Two::Add, left, right),
        }
    }

    fn is_in(&mut self, left: &Value, right: &Value) -> Result {
        match right {
            Value::List(items) => {
                let mut any = Truth::Is(false);
                for item in items.iter() {
                    match self.equal(left, item)? {
                        Truth::Is(true) => return Ok(Value::Bool(true)),
                        Truth::Is(false) => {}
                        unknown @ Truth::Unknown(_) => any = unknown,
                    }
                }
                Ok(any.value())
            }
            Value::Map(entries) => match left {
                Value::Text(key) => Ok(match entries.get(&**key) {
                    None | Some(Value::Null) => Value::Bool(false),
                    // It may come to nothing.
                    Some(Value::Unknown(what)) => Value::Unknown(what.clone()),
                    Some(_) => Value::Bool(true),
                }),
                other => failed(format!("a map's keys are strings, not {}", other.noun())),
            },
            other => failed(format!("nothing is `in` {}", other.noun())),
        }
    }

    fn size(&mut self, of: Value) -> Result {
        let size = match of {
            Value::Text(text) => {
                self.spend(text.len() / 8)?;
                text.chars().count()
            }
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            Value::Unknown(what) => return Ok(Value::Unknown(what)),
            other => return failed(format!("{} has no size", other.noun())),
        };
        Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let value = (self.eval(key)?, self.eval(value)?);
            match value {
                (Value::Text(key), value) => map.insert(key.to_string(), value),
                (Value::Unknown(what), _) => return Ok(Value::Unknown(what)),
                (other, _) => {
                    return failed(format!("a map's keys are strings, not {}", other.noun()));
                }
            };
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn fold(&mut self, fold: &'a Fold) -> Result {
        let items: Vec<Value> = match self.eval(&fold.range)? {
            Value::List(items) => {
                self.spend(items.len())?;
                items.to_vec()
            }
            Value::Map(entries) => {
                self.spend(entries.len())?;
                entries.keys().map(Value::text).collect()
            }
            Value::Unknown(what) => return Ok(Value::Unknown(what)),
            other => return failed(format!("{} has no items", other.noun())),
        };
        // A failure of one item is a value of the fold, which another item may make up for.
        let mut carried = self.eval(&fold.first);
        for item in items {
            let bound = self.locals.len();
            let before = match carried {
                Ok(value) => value,
                Err(Halt::Spent) => return Err(Halt::Spent),
                Err(Halt::Failed(why)) => {
                    self.locals.truncate(bound);
                    carried = self.past_failure(fold, item, why);
                    continue;
                }
            };
            self.locals.push((&fold.carried, before));
            self.locals.push((&fold.item, item));
            let next = match self.eval(&fold.goes_on) {
                Ok(Value::Bool(false)) => None,
                Ok(_) => Some(self.eval(&fold.step)),
                Err(halt) => Some(Err(halt)),
            };
            self.locals.truncate(bound + 1);
            let before = self.locals.pop().map(|(_, value)| value).unwrap_or(Value::Null);
            match next {
                Some(next) => carried = next,
                None => {
                    carried = Ok(before);
                    break;
                }
            }
        }
        let bound = self.locals.len();
        self.locals.push((&fold.carried, carried?));
        let result = self.eval(&fold.result);
        self.locals.truncate(bound);
        result
    }

    /// After a failure, an item that decides by itself still does: `all` is false and `exists` true
    /// whatever another item comes to.
    fn past_failure(&mut self, fold: &'a Fold, item: Value, why: String) -> Result {
        let (test, decides) = match &fold.step.op {
            Op::And(_, test) => (test, false),
            Op::Or(_, test) => (test, true),
            _ => return Err(Halt::Failed(why)),
        };
        let bound = self.locals.len();
        self.locals.push((&fold.item, item));
        let tested = self.eval(test);
        self.locals.truncate(bound);
        match tested {
            Ok(Value::Bool(truth)) if truth == decides => Ok(Value::Bool(decides)),
            Err(Halt::Spent) => Err(Halt::Spent),
            _ => Err(Halt::Failed(why)),
        }
    }
}

/// Whether two values are equal, as far as it is known.
enum Truth {
    Is(bool),
    Unknown(Arc<str>),
}

impl Truth {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Is(false), _) | (_, Self::Is(false)) => Self::Is(false),
            (Self::Unknown(what), _) | (_, Self::Unknown(what)) => Self::Unknown(what),
            (Self::Is(true), Self::Is(true)) => Self::Is(true),
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Is(truth) => Value::Bool(truth),
            Self::Unknown(what) => Value::Unknown(what),
        }
    }
}

fn field_of(of: &Value, field: &str, node: &Node) -> Result {
    match of {
        Value::Map(entries) => match entries.get(field) {
            Some(value) => Ok(value.clone()),
            None => failed(format!("{} has no `{field}`; ask with `has(…)` first", name_of(node))),
        },
        Value::Unknown(what) => Ok(Value::Unknown(what.clone())),
        other => failed(format!("{} is {}, and has no `{field}`", name_of(node), other.noun())),
    }
}

/// An expression as it reads, where it is a plain path.
fn name_of(node: &Node) -> String {
    fn path(node: &Node) -> Option<String> {
        match &node.op {
            Op::Fact(name) | Op::Local(name) => Some(name.clone()),
            Op::Field(of, field) => Some(format!("{}.{field}", path(of)?)),
            _ => None,
        }
    }
    path(node).map_or_else(|| "it".to_owned(), |path| format!("`{path}`"))
}

fn index_of(of: &Value, index: &Value) -> Result {
    match (of, index) {
        (Value::Unknown(what), _) | (_, Value::Unknown(what)) => Ok(Value::Unknown(what.clone())),
        (Value::List(items), Value::Int(at)) => {
            match usize::try_from(*at).ok().and_then(|at| items.get(at)) {
                Some(item) => Ok(item.clone()),
                None => failed("a list has no item at that number"),
            }
        }
        (Value::Map(entries), Value::Text(key)) => match entries.get(&**key) {
            Some(value) => Ok(value.clone()),
            None => failed("a map has no such key; ask with `in` first"),
        },
        _ => failed(format!("{} cannot be looked up by {}", of.noun(), index.noun())),
    }
}

fn across(whole: i64, other: f64) -> Option<Ordering> {
    // Beyond 2^53 a whole number has no exact double; what differs by more decides before that.
    if other >= 9.3e18 {
        return Some(Ordering::Less);
    }
    if other <= -9.3e18 {
        return Some(Ordering::Greater);
    }
    if other.is_nan() {
        return None;
    }
    let order = i128::from(whole).cmp(&(other.trunc() as i128));
    let rest = || 0.0_f64.partial_cmp(&other.fract()).unwrap_or(Ordering::Equal);
    Some(order.then_with(rest))
}

fn reckon(two: Two, left: &Value, right: &Value) -> Result {
    let whole = |result: Option<i64>| match result {
        Some(number) => Ok(Value::Int(number)),
        None => failed("a number is out of range"),
    };
    match (left, right) {
        (Value::Int(_), Value::Int(0)) if matches!(two, Two::Divide | Two::Modulo) => {
            failed("it divides by zero")
        }
        (Value::Int(left), Value::Int(right)) => match two {
            Two::Add => whole(left.checked_add(*right)),
            Two::Subtract => whole(left.checked_sub(*right)),
            Two::Multiply => whole(left.checked_mul(*right)),
            Two::Divide => whole(left.checked_div(*right)),
            _ => whole(left.checked_rem(*right)),
        },
        (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
            let (left, right) = (double(left), double(right));
            Ok(Value::Double(match two {
                Two::Add => left + right,
                Two::Subtract => left - right,
                Two::Multiply => left * right,
                Two::Divide => left / right,
                _ => left % right,
            }))
        }
        (Value::Null, _) | (_, Value::Null) => {
            failed("something that it reckons with has no value; ask with `has(…)` first")
        }
        _ => failed(format!("{} and {} cannot be reckoned with", left.noun(), right.noun())),
    }
}

fn double(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        _ => f64::NAN,
    }
}

fn to_int(value: Value) -> Result {
    match value {
        Value::Int(_) | Value::Unknown(_) => Ok(value),
        Value::Double(number) if number.abs() < 9.2e18 => Ok(Value::Int(number as i64)),
        Value::Text(text) => match text.parse() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => failed("a string is no whole number"),
        },
        other => failed(format!("{} is no whole number", other.noun())),
    }
}

fn to_double(value: Value) -> Result {
    match value {
        Value::Double(_) | Value::Unknown(_) => Ok(value),
        Value::Int(number) => Ok(Value::Double(number as f64)),
        Value::Text(text) => match text.parse() {
            Ok(number) => Ok(Value::Double(number)),
            Err(_) => failed("a string is no number"),
        },
        other => failed(format!("{} is no number", other.noun())),
    }
}

fn to_text(value: Value) -> Result {
    match value {
        Value::Text(_) | Value::Unknown(_) => Ok(value),
        Value::Bool(truth) => Ok(Value::text(truth.to_string())),
        Value::Int(number) => Ok(Value::text(number.to_string())),
        Value::Double(number) => Ok(Value::text(number.to_string())),
        other => failed(format!("{} is no string", other.noun())),
    }
}
