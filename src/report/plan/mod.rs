//! A plan for people and for programs: what would be done, what not and why, and the difference it
//! makes to what is rendered.

pub(super) mod diff;
mod json;
mod markdown;
pub(super) mod terminal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{drift, expiry};
use crate::model::{
    Action, Artifact, NewEnd, Plan, Preview, PropertyChange, Recreates, Remark, RequestId,
    ResourceAction, Step, escape,
};

pub use json::json;
pub(super) use json::step as json_step;
pub use markdown::markdown;
pub(super) use markdown::{bullets, difference, ends};
pub use terminal::terminal;

/// Finds the artifact that was applied, and the one that is desired, for a step; `None` where there is
/// none, or it is not to be had.
pub type Artifacts<'a> = dyn Fn(&Step) -> (Option<Arc<Artifact>>, Option<Arc<Artifact>>) + 'a;

/// How a plan is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whether the terminal shows colours.
    pub colour: bool,
    /// The terminal's width in characters: longer lines of a difference are cut.
    pub width: usize,
    /// The most lines of difference shown for one target.
    pub diff_lines: usize,
    /// The most lines of difference shown in all.
    pub diff_total: usize,
    /// Values that are never shown.
    pub secrets: Vec<String>,
    /// The most characters of Markdown.
    pub limit: usize,
    /// Whether Markdown counts what stays as it is. On a pull request that is no part of it, and would be
    /// news there whenever another one is merged.
    pub unchanged: bool,
}

impl Default for Options {
    fn default() -> Self {
        let secrets = Vec::new();
        // GitHub takes 65,536 characters; the rest is room for what goes around the plan.
        Self {
            colour: false,
            width: 120,
            diff_lines: 40,
            diff_total: 2000,
            secrets,
            limit: 60_000,
            unchanged: true,
        }
    }
}

/// How many of each: `Plan: 2 to create, 1 to update; 3 held; 120 unchanged`. What may stay as it is
/// is counted apart.
pub fn summary(plan: &Plan) -> String {
    format!("{}; {} unchanged", changes(plan), plan.settled)
}

/// The same without what stays as it is.
fn changes(plan: &Plan) -> String {
    let sure = || plan.steps.iter().filter(|s| !s.may_change());
    let count = |action| sure().filter(|s| s.action == action).count();
    let always = [
        (Action::Create, "create"),
        (Action::Update, "update"),
        (Action::Replace, "replace"),
        (Action::Delete, "delete"),
    ];
    let rare = [(Action::Restore, "restore"), (Action::Move, "move"), (Action::Forget, "forget")];
    let mut parts: Vec<_> = always.map(|(a, verb)| format!("{} to {verb}", count(a))).into();
    let rare = rare.into_iter().filter(|(a, _)| count(*a) > 0);
    parts.extend(rare.map(|(a, verb)| format!("{} to {verb}", count(a))));
    let may = plan.steps.len() - sure().count();
    let may = if may > 0 { format!("; {may} may change") } else { String::new() };
    let held = plan.holds.len();
    format!("Plan: {}{may}; {held} held", parts.join(", "))
}

/// Requests of which nothing is applied but that they end at another time.
pub(super) fn new_ends(plan: &Plan) -> Vec<(&RequestId, &NewEnd)> {
    let ends = plan.settle.iter().filter_map(|one| Some((&one.request, one.end.as_ref()?)));
    ends.collect()
}

/// Requests that use what a plan changes, and of which no step can be told.
pub fn untold<'a>(ids: impl ExactSizeIterator<Item = &'a RequestId>) -> Option<String> {
    (ids.len() > 0).then(|| {
        let ids = some(ids.map(|id| format!("`{id}`")));
        format!(
            "These use outputs that change, and what becomes of them cannot be told before: {ids}."
        )
    })
}

/// What is told of a step beside its difference: notes, then its resources.
pub(super) fn told(step: &Step) -> Vec<String> {
    notes(step).into_iter().chain(resources(step)).collect()
}

/// The difference that a step makes to what is rendered, with signs.
pub(super) fn lines(step: &Step, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let all = difference_lines(step, artifacts, options, options.diff_lines);
    all.iter().map(diff::Line::signed).collect()
}

/// Of that only the lines that come and go.
pub(super) fn changed_lines(step: &Step, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let all = difference_lines(step, artifacts, options, usize::MAX).into_iter();
    let some = all.filter(|line| line.kind != diff::Kind::Same);
    some.map(|line| line.signed()).collect()
}

fn difference_lines(
    step: &Step,
    artifacts: &Artifacts,
    options: &Options,
    most: usize,
) -> Vec<diff::Line> {
    match step.action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => {}
        Action::Delete | Action::Forget | Action::Move => return Vec::new(),
    }
    let (old, new) = artifacts(step);
    diff::lines(old.as_deref(), new.as_deref(), &options.secrets, most)
}

/// At most so many of the steps that may stay as they are: they are read by few, and may be many.
const MAY_SHOWN: usize = 20;

/// The steps that come, then the first of those that only may, and how many more there are.
fn sorted(plan: &Plan) -> (Vec<&Step>, Vec<&Step>, usize) {
    let (may, sure): (Vec<_>, Vec<_>) = plan.steps.iter().partition(|s| s.may_change());
    let more = may.len().saturating_sub(MAY_SHOWN);
    (sure, may.into_iter().take(MAY_SHOWN).collect(), more)
}

/// What a reader must not miss: something that is there now goes.
pub(super) fn is_dangerous(step: &Step) -> bool {
    let fates = step.preview.iter().flat_map(|p| &p.resources).map(|r| r.action);
    let loses = fates.into_iter().any(|fate| fate <= ResourceAction::MayReplace);
    match step.action {
        Action::Delete | Action::Replace => true,
        Action::Create | Action::Update | Action::Restore | Action::Forget | Action::Move => loses,
    }
}

fn sign(action: Action) -> &'static str {
    match action {
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Delete => "-",
        Action::Restore => "^",
        Action::Forget => "x",
        Action::Move => ">",
    }
}

pub(super) fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "REPLACE",
        Action::Delete => "DELETE",
        Action::Restore => "restore",
        Action::Forget => "forget",
        Action::Move => "move",
    }
}

/// What is to be said of a step beside its resources and its difference, a line each.
fn notes(step: &Step) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(from) = &step.moved_from {
        notes.push(format!("its record moves from {from}; nothing is touched"));
    }
    if step.action == Action::Forget {
        notes.push("it is gone already; only its record is dropped".into());
    }
    if step.target.called() != step.target.name.as_str() {
        notes.push(format!("it is called `{}`", escape(step.target.called(), 200)));
    }
    notes.extend(step.remarks.iter().map(remark));
    if !step.needs.is_empty() {
        notes.push(crate::report::hold::asked_for(&step.needs));
    }
    if !step.after.is_empty() {
        notes.push(format!("after {}", some(step.after.iter().map(ToString::to_string))));
    }
    let unknown = step.unknown.iter().map(|symbol| escape(&symbol.to_string(), 200));
    if !step.unknown.is_empty() {
        notes.push(format!("known after apply: {}", some(unknown)));
    }
    notes
}

/// At most so many resources of one step, and properties of one resource.
const RESOURCES_SHOWN: usize = 60;
const PROPERTIES_SHOWN: usize = 12;

/// What CloudFormation says in the place of a value that only an apply tells.
const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// Said where no provider was asked.
const FORETOLD: &str = "by the published schemas alone, nobody was asked:";

fn nothing(preview: &Preview) -> &'static str {
    if preview.foretold {
        "by the published schemas no resource changes; nobody was asked"
    } else {
        "its provider says that nothing changes there"
    }
}

/// What a provider says of a step, resource by resource, what goes first.
fn resources(step: &Step) -> Vec<String> {
    let text = |text: &str, most: usize| escape(text, most);
    parts(step, &text).into_iter().map(|(depth, line)| "  ".repeat(depth) + &line).collect()
}

/// The same with the depth of each line, and names and values as `shown` has them.
fn parts(step: &Step, shown: &dyn Fn(&str, usize) -> String) -> Vec<(usize, String)> {
    let Some(preview) = &step.preview else { return Vec::new() };
    if preview.resources.is_empty() {
        return vec![(0, nothing(preview).into())];
    }
    let mut sorted: Vec<_> = preview.resources.iter().collect();
    sorted.sort_by_key(|resource| resource.action);
    let mut lines = Vec::new();
    lines.extend(preview.foretold.then(|| (0, FORETOLD.to_owned())));
    for resource in sorted.iter().take(RESOURCES_SHOWN) {
        let fate = match resource.action {
            ResourceAction::Delete => "DELETE",
            ResourceAction::Replace => "REPLACE",
            ResourceAction::MayReplace => "MAY REPLACE",
            ResourceAction::Create => "create",
            ResourceAction::Update => "update",
            ResourceAction::Retain => "let go of (it stays)",
        };
        let (kind, name) = (shown(&resource.kind, 120), shown(&resource.name, 200));
        let why = resource.why().map(|why| shown(&why, 200));
        let left = resource.left.as_ref().map(|left| shown(left, 200));
        let said: Vec<String> = why.into_iter().chain(left).collect();
        let said = if said.is_empty() { said.concat() } else { format!(" ({})", said.join("; ")) };
        lines.push((0, format!("{fate} {kind} {name}{said}")));
        let properties = resource.properties.iter().take(PROPERTIES_SHOWN);
        lines.extend(properties.map(|p| (1, property(p, shown))));
        let more = resource.properties.len().saturating_sub(PROPERTIES_SHOWN);
        lines.extend((more > 0).then(|| (1, format!("{more} more properties"))));
    }
    let more = sorted.len().saturating_sub(RESOURCES_SHOWN);
    lines.extend((more > 0).then(|| (0, format!("{more} more resources"))));
    lines
}

fn property(property: &PropertyChange, shown: &dyn Fn(&str, usize) -> String) -> String {
    let PropertyChange { path, before, after, recreates } = property;
    let value = |value: &Option<String>, none: &str| match value.as_deref() {
        None => none.to_owned(),
        Some(LATER) => "(only known when applied)".to_owned(),
        Some(text) => shown(text, 100),
    };
    let values = match (before, after) {
        (None, None) => String::new(),
        _ => format!(
            ": {} -> {}",
            value(before, "(not set, or not told)"),
            value(after, "(removed, or not told)")
        ),
    };
    let recreates = match recreates {
        Recreates::Never => "",
        Recreates::Conditionally => " (may make it anew)",
        Recreates::Always => " (makes it anew)",
    };
    format!("{}{values}{recreates}", shown(path, 200))
}

fn remark(remark: &Remark) -> String {
    match remark {
        Remark::Downgrade { from, to } => format!("a downgrade from {from} to {to}"),
        Remark::Swap { from, to } => {
            format!("another template: {} instead of {}", escape(to, 100), escape(from, 100))
        }
        Remark::Drifted(items) if items.is_empty() => "it was changed outside of vend".into(),
        Remark::Drifted(items) => {
            format!("changed outside of vend: {}", some(items.iter().map(drift::phrase)))
        }
        Remark::ComponentGone => "it is no longer in the template".into(),
        Remark::MayChange => "it may change: all that differs is known after apply".into(),
        Remark::Adopts => "it stands there already, and is taken over".into(),
        Remark::Guards => "its termination protection is off, and is turned on".into(),
        Remark::Ends(term) => expiry::term(*term),
        Remark::Rubble => {
            "it is what is left of an earlier try: it is deleted, with what may still be in it; where its file asks for it, it is made anew"
                .into()
        }
    }
}

fn some(items: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 8;
    let more = items.len().saturating_sub(MOST);
    let mut text = items.take(MOST).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
