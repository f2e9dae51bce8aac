//! A plan for people and for programs: what would be done, what not and why, and the difference it
//! makes to what is rendered.

mod diff;
mod json;
mod markdown;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Action, Artifact, DriftItem, Plan, Remark, RequestId, Step, escape};

pub use json::json;
pub use markdown::markdown;
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
}

impl Default for Options {
    fn default() -> Self {
        let secrets = Vec::new();
        // GitHub takes 65,536 characters; the rest is room for what goes around the plan.
        Self { colour: false, width: 120, diff_lines: 40, diff_total: 2000, secrets, limit: 60_000 }
    }
}

/// How many of each: `Plan: 2 to create, 1 to update; 3 held; 120 unchanged`.
pub fn summary(plan: &Plan) -> String {
    let count = |action| plan.steps.iter().filter(|s| s.action == action).count();
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
    let held = plan.holds.len();
    format!("Plan: {}; {held} held; {} unchanged", parts.join(", "), plan.settled)
}

/// Requests that are not in the plan and use outputs of what is, directly or by others: they are read
/// again when those outputs have changed, in the same pass. `uses` are pairs of user and used.
pub fn knock_on(plan: &Plan, uses: &[(RequestId, RequestId)]) -> Option<String> {
    let changes = |s: &&Step| match s.action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => true,
        Action::Delete | Action::Forget | Action::Move => false,
    };
    let in_plan: BTreeSet<&RequestId> =
        plan.steps.iter().filter(changes).map(|s| &s.target.key.request).collect();
    let mut users: BTreeMap<&RequestId, Vec<&RequestId>> = BTreeMap::new();
    for (user, used) in uses {
        users.entry(used).or_default().push(user);
    }
    let mut reached = in_plan.clone();
    let mut next: Vec<&RequestId> = in_plan.iter().copied().collect();
    while let Some(id) = next.pop() {
        let new = users.get(id).into_iter().flatten().copied().filter(|user| reached.insert(user));
        next.extend(new.collect::<Vec<_>>());
    }
    let follow: Vec<_> = reached.difference(&in_plan).map(|id| format!("`{id}`")).collect();
    let what = "uses outputs of these and follows where they change";
    (!follow.is_empty()).then(|| format!("What {what}: {}.", some(follow.into_iter())))
}

/// What a reader must not miss: something that is there now goes.
fn is_dangerous(step: &Step) -> bool {
    let loses = step.preview.iter().flat_map(|p| &p.resources).any(|r| r.loses());
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

fn verb(action: Action) -> &'static str {
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

/// Everything about a step that is not its difference, a line each.
fn notes(step: &Step) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(from) = &step.moved_from {
        notes.push(format!("its record moves from {from}; nothing is touched"));
    }
    if step.action == Action::Forget {
        notes.push("it is gone already; only its record is dropped".into());
    }
    notes.extend(step.remarks.iter().map(remark));
    if !step.after.is_empty() {
        notes.push(format!("after {}", some(step.after.iter().map(ToString::to_string))));
    }
    let unknown = step.unknown.iter().map(|symbol| escape(&symbol.to_string(), 200));
    if !step.unknown.is_empty() {
        notes.push(format!("known after apply: {}", some(unknown)));
    }
    for resource in step.preview.iter().flat_map(|p| &p.resources) {
        let action = format!("{:?}", resource.action).to_lowercase();
        let (kind, name) = (escape(&resource.kind, 120), escape(&resource.name, 200));
        let cause = resource.cause.iter().map(|c| format!(" ({})", escape(c, 200)));
        notes.push(format!("{action} {kind} {name}{}", cause.collect::<String>()));
    }
    notes
}

fn remark(remark: &Remark) -> String {
    match remark {
        Remark::Downgrade { from, to } => format!("a downgrade from {from} to {to}"),
        Remark::Swap { from, to } => {
            format!("another template: {} instead of {}", escape(to, 100), escape(from, 100))
        }
        Remark::Drifted(items) if items.is_empty() => "it was changed outside of vend".into(),
        Remark::Drifted(items) => {
            let item = |DriftItem { what, how }: &DriftItem| {
                format!("{} {}", escape(what, 200), escape(how, 40))
            };
            format!("changed outside of vend: {}", some(items.iter().map(item)))
        }
        Remark::ComponentGone => "it is no longer in the template".into(),
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
