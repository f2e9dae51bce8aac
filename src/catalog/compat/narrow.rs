//! Whether every value that one schema takes is taken by another.
//!
//! # Flow
//! Each keyword of the newer schema has to follow from the older one, which is a list of schemas that
//! all hold: a reference and what stands beside it, or `allOf`. What does not follow is found.
//!
//! # Guarantees
//! - Nothing found means that nothing is refused that was taken. To find too much is no mistake, to
//!   find too little is.

mod bound;
mod entries;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::claim::Bump;
use super::same::{Same, judges, target};
use super::{Reason, TemplateVersion};
use crate::catalog::explain::Part;
use crate::catalog::parameters::Parameters;
use crate::model::{Place, quote};

/// What does not follow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Lack {
    /// A type that was taken.
    Type { now: String, was: String },
    /// These values were taken.
    Values(Vec<String>),
    /// There is a list of values now.
    Listed,
    /// A bound is tighter, or new.
    Bound { keyword: String, now: String },
    /// An entry has to be there.
    Required,
    /// An entry that could be given cannot any more.
    Gone,
    /// Entries that no schema names could be given.
    Closed,
    /// Nothing is taken.
    Nothing,
    /// It differs, and what that comes to cannot be told.
    Unjudged(String),
    /// There is more of it than is looked through.
    TooMuch,
}

/// One thing that does not follow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Finding {
    /// The part of the parameters that it is about, such as `rules[].port`; empty: all of them.
    pub subject: String,
    /// What.
    pub lack: Lack,
    /// Where in the newer schema, as a JSON pointer.
    pub at: String,
}

/// What `new` narrows, and what it takes that `old` does not.
pub(super) fn compare(old: &TemplateVersion, new: &TemplateVersion) -> Vec<Reason> {
    let (a, b) = (&old.parameters, &new.parameters);
    let narrowed = narrowed(&a.schema.raw, &b.schema.raw);
    let place =
        |pointer: &str| b.place(pointer, Part::Value).unwrap_or_else(|| Place::file(new.file()));
    let key_of = |finding: &Finding| (finding.subject.clone(), keyword(&finding.lack).to_owned());
    let said: BTreeSet<_> = narrowed.iter().map(key_of).collect();
    let widened = self::narrowed(&b.schema.raw, &a.schema.raw);
    let widened = widened.into_iter().filter(|finding| !said.contains(&key_of(finding)));
    let mut reasons: Vec<Reason> = narrowed
        .iter()
        .map(|found| Reason {
            bump: Bump::Major,
            what: narrower(&found.subject, &found.lack),
            place: place(&found.at),
        })
        .collect();
    reasons.extend(widened.map(|found| Reason {
        bump: Bump::Minor,
        what: wider(&found.subject, &found.lack),
        place: declared(b, new, &found.subject),
    }));
    reasons.extend(annotated(a, b, new));
    reasons
}

/// Where a parameter is declared, or where parameters are.
pub(super) fn declared(parameters: &Parameters, new: &TemplateVersion, subject: &str) -> Place {
    let name = subject.split(['.', '[']).next().unwrap_or_default();
    let pointer = format!("/properties/{}", crate::catalog::explain::escape(name));
    parameters.place(&pointer, Part::Key).unwrap_or_else(|| Place::file(new.file()))
}

/// What vend itself reads in a schema, and holds requests against.
fn annotated(old: &Parameters, new: &Parameters, version: &TemplateVersion) -> Vec<Reason> {
    use crate::model::ChangeRule::{GrowOnly, Immutable, Replace, Update};
    let mut reasons = Vec::new();
    for name in old.names.intersection(&new.names) {
        let shown = quote(name);
        let mut say = |bump, what: String| {
            let place = declared(new, version, name);
            reasons.push(Reason { bump, what, place });
        };
        match (old.sensitive.contains(name), new.sensitive.contains(name)) {
            (false, true) => {
                say(Bump::Major, format!("{shown} is sensitive now: a value in a file is refused"));
            }
            (true, false) => say(Bump::Minor, format!("{shown} is not sensitive any more")),
            (false, false) | (true, true) => {}
        }
        match (old.filled_by.get(name), new.filled_by.get(name)) {
            (was, Some(now)) if was != Some(now) => {
                say(Bump::Major, format!("{shown} is filled from `{now}` only (`x-reference`)"));
            }
            (Some(_), None) => {
                say(Bump::Minor, format!("{shown} may be filled from any template"));
            }
            _ => {}
        }
        let rule = |of: &Parameters| of.change_rules.get(name).copied().unwrap_or(Update);
        let (was, now) = (rule(old), rule(new));
        if was != now {
            match now {
                Immutable => say(Bump::Major, format!("{shown} may not be changed any more")),
                GrowOnly if was != Immutable => {
                    say(Bump::Major, format!("{shown} may only grow now"));
                }
                Replace if was == Update => {
                    say(Bump::Major, format!("a change of {shown} replaces what it updated"));
                }
                GrowOnly | Replace | Update => {
                    say(Bump::Minor, format!("{shown} may be changed more freely"));
                }
            }
        }
    }
    reasons
}

fn keyword(lack: &Lack) -> &str {
    match lack {
        Lack::Type { .. } => "type",
        Lack::Values(_) | Lack::Listed => "enum",
        Lack::Bound { keyword, .. } | Lack::Unjudged(keyword) => keyword,
        Lack::Required => "required",
        Lack::Gone | Lack::Closed => "additionalProperties",
        Lack::Nothing => "false",
        Lack::TooMuch => "",
    }
}

fn of(subject: &str) -> String {
    if subject.is_empty() { "the parameters".into() } else { quote(subject) }
}

/// In words, where the newer version takes less.
fn narrower(subject: &str, lack: &Lack) -> String {
    let of = of(subject);
    match lack {
        Lack::Type { now, was } => format!("the type of {of} is {now}, and was {was}"),
        Lack::Values(gone) => format!("{of} may not be {} any more", gone.join(", ")),
        Lack::Listed => format!("{of} may only be one of listed values now"),
        Lack::Bound { keyword, now } => format!("{of} is bounded by `{keyword}: {now}` now"),
        Lack::Required => format!("{of} is required now"),
        Lack::Gone => format!("{of} cannot be given any more"),
        Lack::Closed => format!("{of} may not have entries of other names any more"),
        Lack::Nothing => format!("{of} takes no value any more"),
        Lack::Unjudged(keyword) => format!(
            "`{keyword}` of {of} changed; what it refuses now cannot be told, so it counts as narrowed"
        ),
        Lack::TooMuch => "the schemas are too large to compare, so they count as narrowed".into(),
    }
}

/// In words, where the newer version takes more: `lack` is what the older one lacks.
fn wider(subject: &str, lack: &Lack) -> String {
    let of = of(subject);
    match lack {
        Lack::Type { now: was, was: now } => format!("the type of {of} is {now}, and was {was}"),
        Lack::Values(new) => format!("{of} may be {} as well", new.join(", ")),
        Lack::Listed => format!("{of} is no list of values any more"),
        Lack::Bound { keyword, now: was } => {
            format!("{of} is not bounded by `{keyword}: {was}` any more")
        }
        Lack::Required => format!("{of} may be left out now"),
        Lack::Gone => format!("{of} may be given"),
        Lack::Closed => format!("{of} may have entries of other names"),
        Lack::Nothing => format!("{of} may be given"),
        Lack::Unjudged(keyword) => format!("`{keyword}` of {of} takes more"),
        Lack::TooMuch => "the schemas are too large to compare".into(),
    }
}

/// What of `new` does not follow from `old`, both of them whole: references lead into themselves.
pub(super) fn narrowed(old: &Value, new: &Value) -> Vec<Finding> {
    let mut comparer = Comparer {
        old,
        new,
        known: BTreeSet::new(),
        found: Vec::new(),
        left: STEPS_MOST,
        depth: 0,
    };
    let olds = comparer.flat([old]);
    comparer.implied(&olds, new, "", "");
    let mut found = comparer.found;
    found.sort();
    found.dedup();
    found
}

/// Pairs of schemas that are looked at: beyond that, somebody made it hard on purpose.
const STEPS_MOST: usize = 5_000;
/// Schemas inside one another, so that a chain of references cannot fill the stack.
const DEPTH_MOST: usize = 64;
/// Values named in one finding.
const NAMED: usize = 5;

type Olds<'a> = Vec<&'a Value>;

struct Comparer<'a> {
    old: &'a Value,
    new: &'a Value,
    /// What was or is being looked at: a schema that refers to itself ends here, since a part of a
    /// value is smaller than the value.
    known: BTreeSet<(Vec<*const Value>, *const Value)>,
    found: Vec<Finding>,
    left: usize,
    depth: usize,
}

impl<'a> Comparer<'a> {
    /// Schemas that all hold, with those that they refer to and consist of.
    fn flat(&self, schemas: impl IntoIterator<Item = &'a Value>) -> Olds<'a> {
        let mut flat: Olds<'a> = Vec::new();
        let mut left: Vec<&Value> = schemas.into_iter().collect();
        while let Some(schema) = left.pop() {
            if flat.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            flat.push(schema);
            let referred = schema.get("$ref").and_then(|r| target(self.old, r));
            left.extend(referred.map(|(schema, _)| schema));
            left.extend(schema.get("allOf").and_then(Value::as_array).into_iter().flatten());
        }
        flat
    }

    fn say(&mut self, subject: &str, at: &str, lack: Lack) {
        let (subject, at) = (subject.to_owned(), at.to_owned());
        self.found.push(Finding { subject, lack, at });
    }

    /// Finds what of `new`, which stands at `at`, does not follow from all of `olds`.
    fn implied(&mut self, olds: &[&'a Value], new: &'a Value, at: &str, subject: &str) {
        let mut pointers: Vec<*const Value> =
            olds.iter().map(|old| std::ptr::from_ref(*old)).collect();
        pointers.sort_unstable();
        if !self.known.insert((pointers, std::ptr::from_ref(new))) {
            return;
        }
        if self.left == 0 || self.depth > DEPTH_MOST {
            return self.say("", at, Lack::TooMuch);
        }
        self.left -= 1;
        let types = Types::of(olds);
        if types == Types::NONE || *new == Value::Bool(true) {
            return;
        }
        if olds.iter().any(|old| Same::new(self.old, self.new).schemas(old, new, 0)) {
            return;
        }
        let Value::Object(entries) = new else {
            return self.say(subject, at, Lack::Nothing);
        };
        self.depth += 1;
        let values = finite(olds, types);
        for (key, value) in entries.iter().filter(|(key, _)| judges(key)) {
            let here = format!("{at}/{}", crate::catalog::explain::escape(key));
            let case = Case { olds, types, values: values.as_deref(), new: entries, subject };
            self.keyword(&case, key, value, &here);
        }
        self.depth -= 1;
    }

    fn keyword(&mut self, case: &Case<'a, '_>, key: &str, value: &'a Value, at: &str) {
        let Case { olds, types, values, subject, .. } = *case;
        match key {
            "$ref" => match target(self.new, value) {
                Some((schema, pointer)) => self.implied(olds, schema, &pointer, subject),
                None => self.say(subject, at, Lack::Unjudged(key.into())),
            },
            "allOf" => {
                for (n, one) in value.as_array().into_iter().flatten().enumerate() {
                    self.implied(olds, one, &format!("{at}/{n}"), subject);
                }
            }
            "anyOf" => self.any_of(case, value, at),
            "type" => {
                let now = Types::named(value);
                if !now.contains(types) {
                    let (now, was) = (now.to_string(), types.to_string());
                    self.say(subject, at, Lack::Type { now, was });
                }
            }
            "enum" => self.listed(case, value.as_array().map_or(&[][..], Vec::as_slice), at),
            "const" => self.listed(case, std::slice::from_ref(value), at),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
            | "minLength" | "maxLength" | "minItems" | "maxItems" | "uniqueItems"
            | "minProperties" | "maxProperties" => {
                if !bound::follows(olds, types, key, value) && !all_pass(values, key, value) {
                    let (keyword, now) = (key.to_owned(), value.to_string());
                    self.say(subject, at, Lack::Bound { keyword, now });
                }
            }
            "pattern" | "format" => {
                let known = olds.iter().any(|old| old.get(key) == Some(value));
                if types.overlaps(Types::STRING) && !known && !all_pass(values, key, value) {
                    self.say(subject, at, Lack::Unjudged(key.into()));
                }
            }
            "required"
            | "dependentRequired"
            | "properties"
            | "patternProperties"
            | "additionalProperties"
            | "propertyNames" => {
                if types.overlaps(Types::OBJECT) {
                    self.entry_keyword(case, key, value, at);
                }
            }
            "items" | "prefixItems" => {
                if types.overlaps(Types::ARRAY) {
                    self.item_keyword(case, key, value, at);
                }
            }
            "contains" => self.together(case, &["contains", "minContains", "maxContains"], at),
            "if" => self.together(case, &["if", "then", "else"], at),
            // They say nothing by themselves; with their partner, that says it.
            "minContains" | "maxContains" | "then" | "else" => {}
            _ if !crate::catalog::parameters::is_keyword(key) => {}
            "contentEncoding" | "contentMediaType" | "contentSchema" => {}
            _ => self.together(case, &[key], at),
        }
    }

    /// Keywords that are not looked into: the same in one of the older schemas, or unjudged. What
    /// hangs on the keywords beside it is never the same by itself.
    fn together(&mut self, case: &Case<'a, '_>, keys: &[&str], at: &str) {
        let alone = !keys.iter().any(|key| key.starts_with("unevaluated"));
        let part = |schema: &Map<String, Value>| -> Map<String, Value> {
            let wanted =
                keys.iter().filter_map(|k| Some(((*k).to_owned(), schema.get(*k)?.clone())));
            wanted.collect()
        };
        let now = Value::Object(part(case.new));
        let known = case.olds.iter().filter_map(|old| old.as_object()).any(|old| {
            let was = Value::Object(part(old));
            Same::new(self.old, self.new).schemas(&was, &now, 0)
        });
        if !(alone && known) {
            self.say(case.subject, at, Lack::Unjudged(keys[0].into()));
        }
    }

    /// One branch follows; or each branch of an older choice leads to one.
    fn any_of(&mut self, case: &Case<'a, '_>, value: &'a Value, at: &str) {
        let branches: Vec<&Value> = value.as_array().into_iter().flatten().collect();
        let choices = case.olds.iter().flat_map(|old| ["anyOf", "oneOf"].map(|key| old.get(key)));
        let choices: Vec<&Vec<Value>> = choices.flatten().filter_map(Value::as_array).collect();
        let follows = self.leads_to_one(case.olds, &branches)
            || choices.into_iter().any(|choice| {
                choice.iter().all(|branch| {
                    let olds = self.flat(case.olds.iter().copied().chain([branch]));
                    self.leads_to_one(&olds, &branches)
                })
            });
        if !follows {
            self.say(case.subject, at, Lack::Unjudged("anyOf".into()));
        }
    }

    /// Whether one of the branches follows.
    fn leads_to_one(&mut self, olds: &[&'a Value], branches: &[&'a Value]) -> bool {
        branches.iter().any(|branch| {
            let left = self.left.min(TRIAL_MOST);
            // What is taken for granted elsewhere is no part of a trial.
            let mut trial = Self { known: BTreeSet::new(), found: Vec::new(), left, ..*self };
            trial.implied(olds, branch, "", "");
            self.left -= left - trial.left;
            trial.found.is_empty()
        })
    }

    fn listed(&mut self, case: &Case<'a, '_>, allowed: &[Value], at: &str) {
        let Some(values) = case.values else {
            return self.say(case.subject, at, Lack::Listed);
        };
        let gone: Vec<&Value> = values.iter().filter(|v| !allowed.contains(v)).collect();
        if !gone.is_empty() {
            let mut shown: Vec<String> =
                gone.iter().take(NAMED).map(|value| shown(value)).collect();
            if gone.len() > NAMED {
                shown.push(format!("{} others", gone.len() - NAMED));
            }
            self.say(case.subject, at, Lack::Values(shown));
        }
    }
}

/// Steps of one trial: a choice of choices of choices is not looked through.
const TRIAL_MOST: usize = 500;

/// A value in a message; schemas are public, and sensitive parameters have no lists of values.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => quote(&other.to_string()),
    }
}

/// A keyword's surroundings.
struct Case<'a, 'c> {
    /// The older schemas, which all hold.
    olds: &'c [&'a Value],
    /// The types that they let through.
    types: Types,
    /// The values that they let through, where these are few.
    values: Option<&'c [Value]>,
    /// The newer schema.
    new: &'a Map<String, Value>,
    subject: &'c str,
}

impl Copy for Case<'_, '_> {}
impl Clone for Case<'_, '_> {
    fn clone(&self) -> Self {
        *self
    }
}

/// All values that can pass, where a list of them stands in one of the schemas.
fn finite(olds: &[&Value], types: Types) -> Option<Vec<Value>> {
    let lists = olds.iter().flat_map(|old| {
        let one = old.get("const").map(|value| vec![value.clone()]);
        [one, old.get("enum").and_then(Value::as_array).cloned()]
    });
    let mut values: Option<Vec<Value>> = None;
    for list in lists.flatten() {
        values = Some(match values {
            None => list,
            Some(values) => {
                let kept = values.into_iter();
                kept.filter(|value| list.iter().any(|other| alike(value, other))).collect()
            }
        });
    }
    let few = || match types {
        Types::NULL => Some(vec![Value::Null]),
        Types::BOOLEAN => Some(vec![Value::Bool(false), Value::Bool(true)]),
        _ => None,
    };
    let values = values.or_else(few)?;
    Some(values.into_iter().filter(|value| types.contains(Types::of_value(value))).collect())
}

/// Whether two values may be the same to a validator, to which `1` is `1.0`.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Whether each of a few values passes a keyword by itself.
fn all_pass(values: Option<&[Value]>, key: &str, value: &Value) -> bool {
    let Some(values) = values else { return false };
    let alone = Value::Object([(key.to_owned(), value.clone())].into_iter().collect());
    crate::catalog::schema::Schema::compile(alone)
        .is_ok_and(|schema| values.iter().all(|value| schema.validator.is_valid(value)))
}

/// A set of types; numbers with and without a fraction apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Types(u8);

impl Types {
    const NONE: Self = Self(0);
    const NULL: Self = Self(1);
    const BOOLEAN: Self = Self(2);
    const INTEGER: Self = Self(4);
    const FRACTION: Self = Self(8);
    const NUMBER: Self = Self(4 | 8);
    const STRING: Self = Self(16);
    const ARRAY: Self = Self(32);
    const OBJECT: Self = Self(64);
    const ALL: Self = Self(127);

    fn of(olds: &[&Value]) -> Self {
        let mut types = Self::ALL;
        for old in olds {
            if **old == Value::Bool(false) {
                return Self::NONE;
            }
            if let Some(named) = old.get("type") {
                types = types.and(Self::named(named));
            }
            if let Some(value) = old.get("const") {
                types = types.and(Self::of_value(value));
            }
            if let Some(values) = old.get("enum").and_then(Value::as_array) {
                let listed = values.iter().map(Self::of_value).fold(Self::NONE, Self::or);
                types = types.and(listed);
            }
        }
        types
    }

    fn named(named: &Value) -> Self {
        let one = |name: &Value| match name.as_str() {
            Some("null") => Self::NULL,
            Some("boolean") => Self::BOOLEAN,
            Some("integer") => Self::INTEGER,
            Some("number") => Self::NUMBER,
            Some("string") => Self::STRING,
            Some("array") => Self::ARRAY,
            Some("object") => Self::OBJECT,
            _ => Self::NONE,
        };
        match named {
            Value::Array(names) => names.iter().map(one).fold(Self::NONE, Self::or),
            name => one(name),
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) => match number.as_f64() {
                Some(float) if float.fract() != 0.0 => Self::FRACTION,
                _ => Self::INTEGER,
            },
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::ALL {
            return f.write_str("anything");
        }
        let named = BTreeMap::from([
            (0, (Self::NULL, "null")),
            (1, (Self::BOOLEAN, "boolean")),
            (2, (Self::NUMBER, "number")),
            (3, (Self::INTEGER, "integer")),
            (4, (Self::STRING, "string")),
            (5, (Self::ARRAY, "array")),
            (6, (Self::OBJECT, "object")),
        ]);
        let is_number = self.contains(Self::NUMBER);
        let has = |types: &Self| match *types {
            Self::INTEGER => !is_number && self.overlaps(Self::NUMBER),
            types => self.contains(types),
        };
        let names: Vec<&str> =
            named.into_values().filter(|(types, _)| has(types)).map(|(_, name)| name).collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(" or ") })
    }
}
