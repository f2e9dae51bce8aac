//! What an update from one template to another would do, as the two and the published schemas tell:
//! shown to people before anybody has credentials, never decided upon.
//!
//! # Caveats
//! * Only CloudFormation knows what a pseudo parameter, a stored parameter, an attribute of a resource
//!   or a macro comes to: where that decides, a resource *may* be replaced.
//! * The stack may have been changed by hand since.

mod compare;
mod schema;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::compare::{Detail, Evidence, Property};
use self::schema::Schema;
use self::template::{Source, Template, text};
use super::outline::{self, Fate};
use super::{each, echo};
use crate::model::{
    Artifact, HIDDEN, Preview, PropertyChange, Recreates, ResourceAction, ResourceChange,
};

/// Attributes of a resource that are compared beside its properties. A change of one of them alone
/// never makes it anew.
const ATTRIBUTES: [&str; 5] =
    ["Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy"];

/// A longer value is not shown beside another: the difference of the texts has it.
const VALUE_MAX: usize = 200;

/// `None`: one of them is no template that can be read.
pub(super) fn foretell(applied: &Artifact, desired: &Artifact) -> Option<Preview> {
    let read = |artifact| {
        let template = serde_json::from_str::<Value>(super::template::text(artifact).ok()?).ok()?;
        Some(each::written_out(template))
    };
    let (before, after) = (read(applied)?, read(desired)?);
    let hidden: Vec<String> = [&before, &after].into_iter().flat_map(echo::values).collect();
    let resources = resources(Template::new(&before)?, Template::new(&after)?, &hidden);
    let is_unpublished = |change: &&ResourceChange| match change.action {
        ResourceAction::Replace | ResourceAction::MayReplace | ResourceAction::Update => {
            Schema::of(&change.kind).is_unknown()
        }
        ResourceAction::Create | ResourceAction::Delete | ResourceAction::Retain => false,
    };
    let unpublished = resources.iter().filter(is_unpublished).map(|change| change.kind.clone());
    let unpublished: BTreeSet<String> = unpublished.collect();
    let unpublished = unpublished.into_iter().collect();
    Some(Preview { resources, handle: None, foretold: true, unpublished })
}

/// A resource that is there before and after.
struct Pair<'a> {
    name: &'a str,
    before: &'a Value,
    after: &'a Value,
    schema: Schema,
    properties: Vec<Property<'a>>,
    /// What differs in the templates themselves.
    own: Vec<Detail>,
    /// Only CloudFormation can tell whether it is there at all.
    condition: Option<String>,
}

fn resources<'a>(
    before: Template<'a>,
    after: Template<'a>,
    hidden: &[String],
) -> Vec<ResourceChange> {
    let names: BTreeSet<&str> =
        before.resources().chain(after.resources()).map(|(name, _)| name).collect();
    let (mut changes, mut pairs) = (Vec::new(), Vec::new());
    for name in names {
        let standing = |template: Template<'a>| {
            template.resource(name).filter(|r| is_there(template, r) != Some(false))
        };
        match (standing(before), standing(after)) {
            (Some(old), None) => {
                changes.push(outline::change(name, old, told(before, old, outline::fate)));
            }
            (None, Some(new)) => {
                changes.push(outline::change(name, new, told(after, new, outline::made)));
            }
            (Some(old), Some(new)) => {
                pairs.push(Pair::new(name, (before, old), (after, new), hidden));
            }
            (None, None) => {}
        }
    }
    changes.extend(settled(&pairs, after));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

/// Whether a resource is there, where the template tells.
fn is_there(template: Template<'_>, resource: &Value) -> Option<bool> {
    match resource.get("Condition").and_then(Value::as_str) {
        None => Some(true),
        Some(name) => template.holds(name),
    }
}

/// What comes or goes, without the condition that is known to hold.
fn told(template: Template<'_>, resource: &Value, fate: fn(&Value) -> Fate) -> Fate {
    let mut resource = resource.clone();
    if is_there(template, &resource).is_some()
        && let Some(resource) = resource.as_object_mut()
    {
        resource.remove("Condition");
    }
    fate(&resource)
}

/// What becomes of those that stay, once what each does to those that refer to it is followed to its
/// end. Fates only get worse on the way, so that there is one.
fn settled(pairs: &[Pair<'_>], after: Template<'_>) -> Vec<ResourceChange> {
    let mut fates: BTreeMap<&str, ResourceAction> = BTreeMap::new();
    loop {
        let mut moved = false;
        for pair in pairs {
            let Some(fate) = action(&pair.details(&fates)) else { continue };
            moved |= fates.insert(pair.name, fate) != Some(fate);
        }
        if !moved {
            break;
        }
    }
    let change = |pair: &Pair<'_>| {
        let details = pair.details(&fates);
        let action = action(&details)?;
        let cause = cause(&details, action);
        let properties = details.into_iter().map(|detail| detail.change).collect();
        let left = match action {
            ResourceAction::Replace | ResourceAction::MayReplace => left(after, pair.after),
            _ => None,
        };
        let kind = outline::kind(pair.after).to_owned();
        Some(ResourceChange { name: pair.name.into(), kind, action, cause, properties, left })
    };
    pairs.iter().filter_map(change).collect()
}

/// `None`: nothing changes.
fn action(details: &[Detail]) -> Option<ResourceAction> {
    Some(match details.iter().map(|detail| detail.change.recreates).max()? {
        Recreates::Always => ResourceAction::Replace,
        Recreates::Conditionally => ResourceAction::MayReplace,
        Recreates::Never => ResourceAction::Update,
    })
}

/// The properties that make it anew, and through what; for a change in place, through what, where it
/// is nothing else.
fn cause(details: &[Detail], action: ResourceAction) -> Option<String> {
    if action == ResourceAction::Update {
        let through: Option<BTreeSet<&str>> =
            details.iter().map(|d| d.through.as_deref()).collect();
        return through.map(|t| t.into_iter().collect::<Vec<_>>().join(", "));
    }
    let worst = details.iter().map(|d| d.change.recreates).max()?;
    let causes = details.iter().filter(|d| d.change.recreates == worst).map(|d| match &d.through {
        Some(through) => format!("{} ({through})", d.change.path),
        None => d.change.path.clone(),
    });
    Some(causes.collect::<Vec<_>>().join(", "))
}

/// What stays of the one that is replaced. Unlike a deletion's, no type has a policy by default.
fn left(template: Template<'_>, resource: &Value) -> Option<String> {
    let policy = template.worked_out(resource.get("UpdateReplacePolicy")?);
    outline::left(policy.as_str())
}

impl<'a> Pair<'a> {
    fn new(
        name: &'a str,
        (before, old): (Template<'a>, &'a Value),
        (after, new): (Template<'a>, &'a Value),
        hidden: &[String],
    ) -> Self {
        let kinds = (outline::kind(old), outline::kind(new));
        let schema = if kinds.0 == kinds.1 { Schema::of(kinds.1) } else { Schema::Known(&[]) };
        let mut pair = Self {
            name,
            before: old,
            after: new,
            schema,
            properties: compare::properties((before, old), (after, new)),
            own: Vec::new(),
            condition: None,
        };
        pair.own = pair.compared(kinds, before, after, hidden);
        pair
    }

    fn compared(
        &mut self,
        (was, is): (&str, &str),
        before: Template<'_>,
        after: Template<'_>,
        hidden: &[String],
    ) -> Vec<Detail> {
        let mut own = Vec::new();
        if was != is {
            own.push(Detail {
                change: PropertyChange {
                    path: "Type".into(),
                    before: Some(was.into()),
                    after: Some(is.into()),
                    recreates: Recreates::Always,
                },
                through: None,
            });
        }
        let named = |resource: &Value| {
            resource.get("Condition").and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let defined = |template: Template<'_>, name: Option<String>| {
            let source = Source::Condition(name?);
            template.definition(&source).map(|d| template.worked_out(d))
        };
        let open = is_there(before, self.before).is_none() || is_there(after, self.after).is_none();
        if open && defined(before, named(self.before)) != defined(after, named(self.after)) {
            self.condition = named(self.after).or_else(|| named(self.before));
        }
        own.extend(self.condition.iter().map(|name| Detail {
            change: PropertyChange {
                path: "Condition".into(),
                before: None,
                after: None,
                recreates: Recreates::Conditionally,
            },
            through: Some(format!("condition {name}")),
        }));
        for property in &self.properties {
            own.extend(property.details(self.schema, before, after, hidden));
        }
        for attribute in ATTRIBUTES {
            let value = |t: Template<'_>, r: &Value| r.get(attribute).map(|v| t.worked_out(v));
            let (old, new) = (value(before, self.before), value(after, self.after));
            if old != new {
                let (before, after) = (shown(old.as_ref(), hidden), shown(new.as_ref(), hidden));
                let change = PropertyChange {
                    path: attribute.into(),
                    before,
                    after,
                    recreates: Recreates::Never,
                };
                own.push(Detail { change, through: None });
            }
        }
        own
    }

    /// With what becomes of the resources that it refers to.
    fn details(&self, fates: &BTreeMap<&str, ResourceAction>) -> Vec<Detail> {
        let mut details = self.own.clone();
        for property in &self.properties {
            for detail in property.moved(self.schema, fates) {
                let same = details.iter_mut().find(|d| d.change.path == detail.change.path);
                match same {
                    Some(same) if same.change.recreates >= detail.change.recreates => {}
                    Some(same) => *same = detail,
                    None => details.push(detail),
                }
            }
        }
        details
    }
}

/// A value for people: plain or short, and none that is not to be echoed.
fn shown(value: Option<&Value>, hidden: &[String]) -> Option<String> {
    let value = value?;
    let text = text(value).unwrap_or_else(|| value.to_string());
    if hidden.iter().any(|secret| text.contains(secret.as_str())) {
        return Some(HIDDEN.to_owned());
    }
    (text.chars().count() <= VALUE_MAX).then_some(text)
}

/// How sure a change is, and what it does: a change that only may come only may make it anew.
fn weighed(recreates: Recreates, evidence: Evidence) -> Recreates {
    match (recreates, evidence) {
        (Recreates::Always, Evidence::Perhaps) => Recreates::Conditionally,
        (recreates, Evidence::Perhaps | Evidence::Sure) => recreates,
    }
}

#[cfg(test)]
mod tests;
