//! What a reviewer must not miss: what goes, what is made anew, what opens to others.

use std::collections::{BTreeMap, BTreeSet};

use super::opening;
use crate::model::{Action, Arrival, Brief, Exposure, ResourceAction, ResourceChange, Step};
use crate::model::{TargetKey, Warned};
use crate::report::blast::when;
use crate::report::markdown::{code, listed, plural, prose, short_code};

/// At most so many lines of one rank: none keeps out what is of another.
const MOST: usize = 10;

/// So many that differ only in whose they are stand in one line.
const ALIKE: usize = 3;

/// At most so many resources in one line.
const NAMES: usize = 6;

/// At most so many requests in one line; of deletions more, since their names are all there is to say.
const REQUESTS: usize = 5;
const DELETED: usize = 20;

/// The most serious first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Deletes,
    Replaces,
    MayReplace,
    Public,
    Permissions,
}

impl Rank {
    fn more(self, n: usize) -> String {
        match self {
            Self::Deletes => plural(n, "more deletion"),
            Self::Replaces => plural(n, "more replacement"),
            Self::MayReplace => plural(n, "more possible replacement"),
            Self::Public => format!("{} to the public", plural(n, "more opening")),
            Self::Permissions => format!("{} of permissions", plural(n, "more change")),
        }
    }

    fn names(self) -> usize {
        match self {
            Self::Deletes => DELETED,
            Self::Replaces | Self::MayReplace | Self::Public | Self::Permissions => REQUESTS,
        }
    }
}

/// One thing to fear, around the name of whose it is.
struct Line<'a> {
    rank: Rank,
    before: String,
    key: &'a TargetKey,
    /// It is about the whole target, and not about something in it.
    whole: bool,
    after: String,
    /// The same without values that may be each one's own.
    loose: String,
}

/// Lines that differ only in whose they are.
struct Group<'a> {
    of: Vec<&'a Line<'a>>,
    loose: bool,
}

/// Targets of which the alert says all there is to say: they need not be said again.
pub(super) fn told(brief: &Brief) -> BTreeSet<&TargetKey> {
    let lines = lines(brief);
    let (shown, _) = shown(&lines);
    let named = shown.iter().flat_map(|group| match group.of.len() {
        n if n < ALIKE => group.of.as_slice(),
        _ => &group.of[..group.of.len().min(group.of[0].rank.names())],
    });
    let named: BTreeSet<&TargetKey> = named
        .filter(|line| line.rank == Rank::Deletes && line.whole)
        .map(|line| line.key)
        .collect();
    let plan = brief.plan.steps.iter().filter(|step| tells(step)).map(|step| &step.target.key);
    plan.filter(|key| named.contains(key)).collect()
}

/// Whether a line of the alert has room for all there is to say of a step.
fn tells(step: &Step) -> bool {
    let resources = step.preview.as_ref().map_or(0, |preview| preview.resources.len());
    let plain = step.remarks.is_empty() && step.after.is_empty() && step.unknown.is_empty();
    step.action == Action::Delete && plain && resources <= NAMES
}

/// The alert, unfolded; empty when there is nothing to fear.
pub(super) fn alert(brief: &Brief) -> String {
    let lines = lines(brief);
    if lines.is_empty() {
        return String::new();
    }
    let (shown, more) = shown(&lines);
    let mut out = "> [!CAUTION]\n".to_owned();
    for rank in [Rank::Deletes, Rank::Replaces, Rank::MayReplace, Rank::Public, Rank::Permissions] {
        for group in shown.iter().filter(|group| group.of[0].rank == rank) {
            out.push_str(&format!("> - {}\n", group.text()));
        }
        if let Some(n) = more.get(&rank) {
            out.push_str(&format!("> - {}\n", rank.more(*n)));
        }
    }
    out + "\n"
}

/// The groups that have room, and how many lines of each rank have none.
fn shown<'a>(lines: &'a [Line<'a>]) -> (Vec<Group<'a>>, BTreeMap<Rank, usize>) {
    let mut by: BTreeMap<Rank, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        by.entry(line.rank).or_default().push(line);
    }
    let (mut shown, mut more) = (Vec::new(), BTreeMap::new());
    for (rank, lines) in by {
        let exact = grouped(&lines, false);
        let groups = if exact.len() > MOST { grouped(&lines, true) } else { exact };
        let left: usize = groups.iter().skip(MOST).map(|group| group.of.len()).sum();
        if left > 0 {
            more.insert(rank, left);
        }
        shown.extend(groups.into_iter().take(MOST));
    }
    (shown, more)
}

/// What is alike together, each at the place of the first; few are shown one by one.
fn grouped<'a>(lines: &[&'a Line<'a>], loose: bool) -> Vec<Group<'a>> {
    let mut at: BTreeMap<(&str, &str, Option<&str>), usize> = BTreeMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for line in lines {
        let after = if loose { &line.loose } else { &line.after };
        let component = line.whole.then(|| line.key.component.as_str());
        let n = *at.entry((&line.before, after, component)).or_insert(groups.len());
        match groups.get_mut(n) {
            Some(group) => group.of.push(line),
            None => groups.push(Group { of: vec![line], loose }),
        }
    }
    let few = |group: Group<'a>| match group.of.len() < ALIKE {
        true => group.of.into_iter().map(|line| Group { of: vec![line], loose: false }).collect(),
        false => vec![group],
    };
    groups.into_iter().flat_map(few).collect()
}

impl Group<'_> {
    fn text(&self) -> String {
        let Some(first) = self.of.first() else { return String::new() };
        let Line { rank, before, key, whole, after, loose } = first;
        if let [_] = self.of.as_slice() {
            let whose = name(key);
            return match whole {
                true => format!("{before} {whose}{after}"),
                false => format!("{before} in {whose}{after}"),
            };
        }
        let mut seen = BTreeSet::new();
        let requests = self.of.iter().map(|line| &line.key.request);
        let requests: Vec<_> = requests.filter(|id| seen.insert(*id)).collect();
        let count = plural(requests.len(), "request");
        let names = requests.iter().map(|id| code(id.as_str())).collect();
        let names = listed(names, rank.names());
        let after = if self.loose { loose } else { after };
        match whole {
            true => {
                let each = after.strip_prefix(", ").map(|rest| format!(", each {rest}"));
                let (component, after) = (code(key.component.as_str()), each.as_ref());
                let after = after.unwrap_or(&first.after);
                format!("{before} {component} of {count} ({names}){after}")
            }
            false => format!("{before} in {count} ({names}){after}"),
        }
    }
}

/// What stands in the alert.
fn lines(brief: &Brief) -> Vec<Line<'_>> {
    let mut lines: Vec<Line> = brief.plan.steps.iter().flat_map(of_step).collect();
    lines.extend(brief.warnings.iter().flat_map(exposed));
    // What a wave brings is in no plan yet.
    for hit in brief.blast.iter().flat_map(|blast| &blast.hits) {
        if let Some(arrival) = &hit.arrival {
            lines.extend(hit.steps.iter().flat_map(of_step).map(|line| line.with(arrival)));
        }
    }
    lines
}

impl Line<'_> {
    /// With the wave that brings it.
    fn with(mut self, arrival: &Arrival) -> Self {
        let when = prose(&when(arrival));
        let when = when.replacen("Later", "later", 1).replacen("At once", "at once", 1);
        self.after.push_str(&format!(" ({when})"));
        self.loose.push_str(&format!(" ({when})"));
        self
    }
}

fn of_step(step: &Step) -> Vec<Line<'_>> {
    let resources = || step.preview.iter().flat_map(|p| &p.resources);
    let key = &step.target.key;
    let whole = |rank, before: &str, after: String| Line {
        rank,
        before: before.to_owned(),
        key,
        whole: true,
        loose: after.clone(),
        after,
    };
    if step.action == Action::Delete {
        return vec![whole(Rank::Deletes, "**Deletes**", fate(resources()))];
    }
    let may = if step.may_change() { " (if it changes at all)" } else { "" };
    let mut lines: Vec<_> = resources().filter_map(|r| of_resource(r, key, may)).collect();
    // Its parts say it better than the whole.
    if step.action == Action::Replace && lines.is_empty() {
        let after = format!(": it is deleted and made anew{may}");
        lines.push(whole(Rank::Replaces, "**Replaces**", after));
    }
    lines
}

fn of_resource<'a>(resource: &ResourceChange, key: &'a TargetKey, may: &str) -> Option<Line<'a>> {
    let (rank, verb) = match resource.action {
        ResourceAction::Delete => (Rank::Deletes, "Deletes"),
        ResourceAction::Replace => (Rank::Replaces, "Replaces"),
        ResourceAction::MayReplace => (Rank::MayReplace, "May replace"),
        ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => return None,
    };
    let (cause, values) = match (resource.action, resource.why()) {
        (ResourceAction::Delete, _) | (_, None) => Default::default(),
        (_, Some(why)) => (format!(": {} changes", short_code(&why, 200)), values(resource)),
    };
    Some(Line {
        rank,
        before: format!("**{verb}** {}", called(resource)),
        key,
        whole: false,
        after: format!("{cause}{values}{may}"),
        loose: format!("{cause}{may}"),
    })
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

/// What a resource opens, one line for each way.
fn exposed(warned: &Warned) -> Vec<Line<'_>> {
    let Warned::Exposes { target, resource, kind, is_new, openings, arrival } = warned else {
        return Vec::new();
    };
    let called = format!("{} ({})", short_code(resource, 200), short_code(kind, 120));
    let said = opening::sentences(&called, kind, *is_new, openings);
    let lines = said.into_iter().map(|(exposure, before, after)| {
        let (rank, title) = match exposure {
            Exposure::Public => (Rank::Public, "Public"),
            Exposure::Permissions => (Rank::Permissions, "Permissions"),
        };
        let before = format!("**{title}**: {before}");
        let line = Line { rank, before, key: target, whole: false, loose: after.clone(), after };
        match arrival {
            Some(arrival) => line.with(arrival),
            None => line,
        }
    });
    lines.collect()
}

fn name(key: &TargetKey) -> String {
    code(&key.to_string())
}
