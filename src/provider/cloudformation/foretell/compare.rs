//! One property before and after.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::schema::{Part, Schema};
use super::template::{Source, Template, function, text};
use super::{shown, weighed};
use crate::model::{PropertyChange, Recreates, ResourceAction};

/// The beginning of what stands for a value that is known after other steps.
const NOT_KNOWN_YET: &str = "<known after apply: ";

/// One change, and what it comes through when the property itself stays as it is written.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Detail {
    pub(super) change: PropertyChange,
    pub(super) through: Option<String>,
}

/// How sure a change is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Evidence {
    Perhaps,
    Sure,
}

/// One property of a resource.
pub(super) struct Property<'a> {
    name: &'a str,
    /// As they are written.
    written: (Option<&'a Value>, Option<&'a Value>),
    /// With what the templates tell put in.
    before: Option<Value>,
    after: Option<Value>,
    /// Resources that the value afterwards is taken from.
    refers: BTreeSet<(String, Option<String>)>,
}

/// All properties of a resource before and after, by name.
pub(super) fn properties<'a>(
    (before, old): (Template<'a>, &'a Value),
    (after, new): (Template<'a>, &'a Value),
) -> Vec<Property<'a>> {
    let of = |resource: &'a Value| resource.get("Properties").and_then(Value::as_object);
    let names: BTreeSet<&'a str> =
        [old, new].into_iter().filter_map(of).flat_map(Map::keys).map(String::as_str).collect();
    let property = |name: &'a str| {
        let value = |resource: &'a Value| of(resource)?.get(name);
        let written = (value(old), value(new));
        let told = |template: Template<'_>, value: Option<&Value>| {
            value.map(|v| template.worked_out(v)).filter(|v| !v.is_null())
        };
        let (was, is) = (told(before, written.0), told(after, written.1));
        let mut sources = BTreeSet::new();
        is.iter().for_each(|value| after.sources(value, &mut sources));
        let refers = sources.into_iter().filter_map(|source| match source {
            Source::Resource(name, attribute) => Some((name, attribute)),
            Source::Parameter(_) | Source::Condition(_) | Source::Mapping(_) => None,
        });
        Property { name, written, before: was, after: is, refers: refers.collect() }
    };
    names.into_iter().map(property).collect()
}

impl Property<'_> {
    /// What differs by the templates themselves.
    pub(super) fn details(
        &self,
        schema: Schema,
        before: Template<'_>,
        after: Template<'_>,
        hidden: &[String],
    ) -> Vec<Detail> {
        let as_written = self.written.0 == self.written.1;
        let evidence = |old: &[&Value], new: &[&Value]| evidence(old, new, as_written);
        let (old, new) = (Vec::from_iter(&self.before), Vec::from_iter(&self.after));
        if evidence(&old, &new).is_none() {
            return Vec::new();
        }
        let through = as_written.then(|| self.through(before, after)).flatten();
        let detail = |part: &str, old: Option<&Value>, new: Option<&Value>, recreates| {
            let path = match part {
                "" => self.name.to_owned(),
                part => format!("{}.{}", self.name, part.replace('/', ".")),
            };
            let (before, after) = (shown(old, hidden), shown(new, hidden));
            let change = PropertyChange { path, before, after, recreates };
            Detail { change, through: through.clone() }
        };
        let part = |Part { path, recreates }: Part| {
            let (old, open) = inside(self.before.as_ref(), path);
            let (new, opens) = inside(self.after.as_ref(), path);
            let evidence = evidence(&old, &new)?;
            let evidence = if open || opens { Evidence::Perhaps } else { evidence };
            let one = |values: &[&'_ Value]| (values.len() == 1).then(|| values[0].clone());
            let (old, new) = (one(&old), one(&new));
            Some(detail(path, old.as_ref(), new.as_ref(), weighed(recreates, evidence)))
        };
        let parts: Vec<Detail> = schema.parts(self.name).into_iter().filter_map(part).collect();
        if !parts.is_empty() {
            return parts;
        }
        vec![detail("", self.before.as_ref(), self.after.as_ref(), Recreates::Never)]
    }

    /// Through which definitions a property changes that is written as before.
    fn through(&self, before: Template<'_>, after: Template<'_>) -> Option<String> {
        let mut sources = BTreeSet::new();
        self.written.1.iter().for_each(|value| after.sources(value, &mut sources));
        let differs = |source: &Source| before.definition(source) != after.definition(source);
        let named = sources.into_iter().filter(differs).filter_map(|source| match source {
            Source::Parameter(name) => Some(format!("parameter {name}")),
            Source::Condition(name) => Some(format!("condition {name}")),
            Source::Mapping(name) => Some(format!("mapping {name}")),
            Source::Resource(..) => None,
        });
        let named: Vec<String> = named.collect();
        (!named.is_empty()).then(|| named.join(", "))
    }

    /// What differs since a resource that it is taken from changes: the identifier of one that is
    /// made anew is another, and any change may give an attribute another value.
    pub(super) fn moved(
        &self,
        schema: Schema,
        fates: &BTreeMap<&str, ResourceAction>,
    ) -> Vec<Detail> {
        let mut details = Vec::new();
        for (name, attribute) in &self.refers {
            let Some(fate) = fates.get(name.as_str()) else { continue };
            let evidence = match (fate, attribute) {
                (ResourceAction::Replace, _) => Evidence::Sure,
                (ResourceAction::MayReplace, _) | (_, Some(_)) => Evidence::Perhaps,
                (_, None) => continue,
            };
            let through = match attribute {
                Some(attribute) => format!("{name}.{attribute}"),
                None => name.clone(),
            };
            let parts = schema.parts(self.name);
            let touched = parts.iter().filter(|part| {
                let (values, open) = inside(self.after.as_ref(), part.path);
                open || values.iter().any(|value| names(value, name, attribute.as_deref()))
            });
            let recreates = touched.map(|part| weighed(part.recreates, evidence)).max();
            let change = PropertyChange {
                path: self.name.to_owned(),
                before: None,
                after: None,
                recreates: recreates.unwrap_or_default(),
            };
            details.push(Detail { change, through: Some(through) });
        }
        details
    }
}

/// `None`: they are the same. What CloudFormation would read alike, and what is not known yet, may be.
fn evidence(old: &[&Value], new: &[&Value], as_written: bool) -> Option<Evidence> {
    if old == new {
        return None;
    }
    let alike = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| plain(a) == plain(b));
    let all = || old.iter().chain(new);
    if alike || all().any(|value| holds(value, &is_not_known_yet)) {
        return Some(Evidence::Perhaps);
    }
    // Where it is written otherwise, it is taken to be another value, as change sets take it.
    let open = as_written && all().any(|value| holds(value, &|v| function(v).is_some()));
    Some(if open { Evidence::Perhaps } else { Evidence::Sure })
}

/// With all that is plain as text.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(k, v)| (k.clone(), plain(v))).collect())
        }
        other => text(other).map_or_else(|| other.clone(), Value::String),
    }
}

fn is_not_known_yet(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(NOT_KNOWN_YET))
}

/// Whether something within is so.
fn holds(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    is(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| holds(item, is)),
            Value::Object(object) => object.values().any(|item| holds(item, is)),
            _ => false,
        }
}

/// Whether a value is taken from a resource.
fn names(value: &Value, resource: &str, attribute: Option<&str>) -> bool {
    let whole = attribute.map_or_else(|| resource.to_owned(), |a| format!("{resource}.{a}"));
    holds(value, &|value| match function(value) {
        Some(("Ref", name)) => name.as_str() == Some(&whole),
        Some(("Fn::GetAtt", Value::String(name))) => *name == whole,
        Some(("Fn::GetAtt", Value::Array(parts))) => {
            let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            parts.join(".") == whole
        }
        Some(("Fn::Sub", Value::String(text))) => *text == format!("${{{whole}}}"),
        _ => false,
    })
}

/// What stands at a path within a value, and whether a function on the way leaves that open.
fn inside<'v>(value: Option<&'v Value>, path: &str) -> (Vec<&'v Value>, bool) {
    let (mut found, mut open) = (Vec::from_iter(value), false);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        open |= found.iter().any(|value| function(value).is_some());
        found = match part {
            "*" => found.iter().filter_map(|v| v.as_array()).flatten().collect(),
            part => found.iter().filter_map(|v| v.get(part)).collect(),
        };
    }
    (found, open)
}
