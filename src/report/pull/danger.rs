//! What a reviewer must not miss: what goes, what is made anew, what opens to others.

use crate::model::{
    Action, Brief, Exposure, Hit, ResourceAction, ResourceChange, Step, TargetKey, Warned,
};
use crate::report::blast::when;
use crate::report::markdown::{code, listed, plural, prose, short_code};

/// At most so many lines; the rest is counted, and stands with its request.
const MOST: usize = 25;

/// At most so many resources in one line.
const NAMES: usize = 6;

/// Whether the alert says all there is to say of a step, when it has room for all lines: it need not
/// be said again.
pub(super) fn tells(step: &Step) -> bool {
    let resources = step.preview.as_ref().map_or(0, |preview| preview.resources.len());
    let plain = step.remarks.is_empty() && step.after.is_empty() && step.unknown.is_empty();
    step.action == Action::Delete && plain && resources <= NAMES
}

/// Whether the alert has room for all lines.
pub(super) fn has_room(brief: &Brief) -> bool {
    lines(brief).len() <= MOST
}

/// What stands in the alert, each with its rank.
fn lines(brief: &Brief) -> Vec<(u8, String)> {
    let mut lines: Vec<(u8, String)> = brief.plan.steps.iter().flat_map(of_step).collect();
    lines.extend(brief.warnings.iter().filter_map(exposed));
    lines.extend(brief.blast.iter().flat_map(|blast| &blast.hits).flat_map(of_wave));
    lines
}

/// The alert, unfolded; empty when there is nothing to fear.
pub(super) fn alert(brief: &Brief) -> String {
    let mut lines = lines(brief);
    if lines.is_empty() {
        return String::new();
    }
    lines.sort_by_key(|(rank, _)| *rank);
    let mut out = "> [!CAUTION]\n".to_owned();
    for (_, line) in lines.iter().take(MOST) {
        out.push_str(&format!("> - {line}\n"));
    }
    let more = lines.len().saturating_sub(MOST);
    if more > 0 {
        out.push_str(&format!("> - {more} more like these\n"));
    }
    out + "\n"
}

/// What a wave brings is in no plan yet.
fn of_wave(hit: &Hit) -> Vec<(u8, String)> {
    let Some(arrival) = &hit.arrival else { return Vec::new() };
    let when =
        prose(&when(arrival)).replacen("Later", "later", 1).replacen("At once", "at once", 1);
    let lines = hit.steps.iter().flat_map(of_step);
    lines.map(|(rank, line)| (rank, format!("{line} ({when})"))).collect()
}

fn of_step(step: &Step) -> Vec<(u8, String)> {
    let resources = || step.preview.iter().flat_map(|p| &p.resources);
    let key = name(&step.target.key);
    if step.action == Action::Delete {
        return vec![(0, format!("**Deletes** {key}{}", fate(resources())))];
    }
    let may = if step.may_change() { " (if it changes at all)" } else { "" };
    let mut lines: Vec<_> = resources().filter_map(|r| of_resource(r, &key, may)).collect();
    // Its parts say it better than the whole.
    if step.action == Action::Replace && lines.is_empty() {
        lines.push((1, format!("**Replaces** {key}: it is deleted and made anew{may}")));
    }
    lines
}

fn of_resource(resource: &ResourceChange, key: &str, may: &str) -> Option<(u8, String)> {
    let (rank, verb) = match resource.action {
        ResourceAction::Delete => (0, "Deletes"),
        ResourceAction::Replace => (1, "Replaces"),
        ResourceAction::MayReplace => (2, "May replace"),
        ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => return None,
    };
    let cause = match (resource.action, resource.why()) {
        (ResourceAction::Delete, _) | (_, None) => String::new(),
        (_, Some(why)) => format!(": {} changes{}", short_code(&why, 200), values(resource)),
    };
    Some((rank, format!("**{verb}** {} in {key}{cause}{may}", called(resource))))
}

/// From what to what, for the one property that makes it anew.
fn values(resource: &ResourceChange) -> String {
    let mut causes =
        resource.properties.iter().filter(|p| p.recreates != crate::model::Recreates::Never);
    let (Some(one), None) = (causes.next(), causes.next()) else { return String::new() };
    match (&one.before, &one.after) {
        (Some(before), Some(after)) => {
            format!(" from {} to {}", short_code(before, 80), short_code(after, 80))
        }
        _ => String::new(),
    }
}

/// What goes with a target that is deleted, and what stays.
fn fate<'a>(resources: impl Iterator<Item = &'a ResourceChange>) -> String {
    let (stays, goes): (Vec<_>, Vec<_>) = resources
        .filter(|r| r.action == ResourceAction::Retain || r.loses())
        .partition(|r| r.action == ResourceAction::Retain);
    let goes_too = if goes.is_empty() {
        String::new()
    } else {
        format!(", {}: {}", plural(goes.len(), "resource"), some(&goes))
    };
    let stay =
        if stays.is_empty() { String::new() } else { format!("; what stays: {}", some(&stays)) };
    format!("{goes_too}{stay}")
}

fn some(resources: &[&ResourceChange]) -> String {
    listed(resources.iter().map(|r| called(r)).collect(), NAMES)
}

fn called(resource: &ResourceChange) -> String {
    let ResourceChange { name, kind, .. } = resource;
    format!("{} ({})", short_code(name, 200), short_code(kind, 120))
}

fn exposed(warned: &Warned) -> Option<(u8, String)> {
    let Warned::Exposes { target, resource, kind, what } = warned else { return None };
    let at =
        format!("{} ({}) in {}", short_code(resource, 200), short_code(kind, 120), name(target));
    Some(match what {
        Exposure::Public => (3, format!("**Public**: anybody on the internet may reach {at}")),
        Exposure::Permissions => (4, format!("**Permissions**: {at} says who may do what")),
    })
}

fn name(key: &TargetKey) -> String {
    code(&key.to_string())
}
