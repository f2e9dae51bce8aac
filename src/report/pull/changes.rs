//! What would be done, request by request: folded, with what the provider says and the difference.

use std::collections::{BTreeMap, BTreeSet};

use super::{danger, link, made};
use crate::digest::Digest;
use crate::model::{
    Action, Artifact, Brief, Changed, Hold, Part, RequestId, ResourceAction, Rewritten, Shared,
    Step, nothing_reviewed, nothing_seen, nothing_shown, visible,
};
use crate::report::hold;
use crate::report::markdown::{Page, code, fence, html, line, listed, plural, short_code};
use crate::report::plan::{Artifacts, Options, bullets, diff, difference, is_dangerous, verb};

/// More requests than this are counted by team and environment first; no more are folded each.
const MANY: usize = 20;

/// Rows of that table.
const ROWS: usize = 20;

/// So many that change alike are shown together.
const ALIKE: usize = 4;

/// The differences of so many are looked at.
const COMPARED: usize = 2_000;

/// Room for the line that says how many did not fit.
const REST: usize = 200;

/// What a list of holds may take of the page.
const HELD: usize = 15;

/// The steps of one request.
struct Group<'a> {
    id: &'a RequestId,
    steps: Vec<&'a Step>,
    /// Where, within a line of HTML, when that is not the same of the whole plan.
    places: String,
}

impl Group<'_> {
    fn is_dangerous(&self) -> bool {
        self.steps.iter().any(|step| is_dangerous(step) && !step.may_change())
    }

    fn may_change(&self) -> bool {
        self.steps.iter().all(|step| step.may_change())
    }
}

/// What is dangerous first; each with its difference while there is room, else in one line of a list.
/// Many that change alike are one.
pub(super) fn put(page: &mut Page, brief: &Brief, artifacts: &Artifacts, options: &Options) {
    let groups = groups(brief);
    // The picture of a catalog's change has counted them already.
    if groups.len() > MANY && brief.blast.is_none() {
        page.put(&[table(&groups)]);
    }
    let entries = entries(brief, &groups, artifacts, options);
    // Every request keeps room for its line before any gets its difference.
    let mut kept: usize = entries.iter().map(|entry| entry.flat.len()).sum::<usize>() + REST;
    let (mut left, mut shown) = (Vec::new(), 0);
    for entry in &entries {
        let room = page.room().saturating_sub(kept - entry.flat.len());
        if shown < MANY && entry.folded.len() <= room && page.put(&[&entry.folded]) {
            kept -= entry.flat.len();
            shown += 1;
        } else {
            left.push(entry);
        }
    }
    put_left(page, &left, shown == 0);
}

/// One fold, or a line of a list in its place.
struct Entry {
    folded: String,
    flat: String,
    count: usize,
}

/// The changes, those that are alike together at the place of the first.
fn entries(
    brief: &Brief,
    groups: &[Group],
    artifacts: &Artifacts,
    options: &Options,
) -> Vec<Entry> {
    let told = danger::told(brief);
    let untold =
        groups.iter().filter(|g| !g.steps.iter().all(|step| told.contains(&step.target.key)));
    let mut alike: Vec<(Vec<&Group>, String)> = Vec::new();
    let mut at: BTreeMap<(String, &str, String), usize> = BTreeMap::new();
    for (n, group) in untold.enumerate() {
        let body = if n < COMPARED { body(group, artifacts, options) } else { String::new() };
        if n >= COMPARED || body.is_empty() {
            alike.push((vec![group], body));
            continue;
        }
        let place = *at.entry((verbs(group), &group.places, body.clone())).or_insert(alike.len());
        match alike.get_mut(place) {
            Some((members, _)) => members.push(group),
            None => alike.push((vec![group], body)),
        }
    }
    let each = alike.into_iter().flat_map(|(members, body)| {
        if members.len() >= ALIKE {
            return vec![together(&members, &body)];
        }
        let one =
            |group: &&Group| Entry { folded: fold(group, &body), flat: flat(group), count: 1 };
        members.iter().map(one).collect()
    });
    each.collect()
}

/// Those that change alike: who, then what once.
fn together(members: &[&Group], body: &str) -> Entry {
    let (count, verbs) = (members.len(), members.first().map(|g| verbs(g)).unwrap_or_default());
    let names: Vec<String> = members.iter().map(|group| code(group.id.as_str())).collect();
    let resources = members.first().map(|g| resources(&g.steps)).unwrap_or_default();
    let resources =
        if resources.is_empty() { resources } else { format!(" &middot; each {resources}") };
    let places = members.first().map(|group| group.places.as_str()).unwrap_or_default();
    let title = format!("<b>{verbs}</b> {count} requests alike{places}{resources}");
    Entry {
        folded: format!(
            "<details><summary>{title}</summary>\n\n{}\n\n{}\n\n</details>\n\n",
            names.join(", "),
            body.trim()
        ),
        flat: format!("- {verbs} {count} requests alike{places}: {}\n", listed(names, 10)),
        count,
    }
}

/// The lines of those that got no fold of their own, folded when there are many.
fn put_left(page: &mut Page, left: &[&Entry], all: bool) {
    if left.is_empty() {
        return;
    }
    let title = if all { "Every change" } else { "Every other change" };
    let (mut lines, mut shown) = (String::new(), 0);
    for entry in left {
        if lines.len() + entry.flat.len() + REST > page.room() {
            break;
        }
        lines.push_str(&entry.flat);
        shown += entry.count;
    }
    let count: usize = left.iter().map(|entry| entry.count).sum();
    let more = count - shown;
    let more = if more > 0 {
        format!("\n{more} more; the whole plan is in the check and in `vend plan`.\n")
    } else {
        "\nTheir differences are in the check and in `vend plan`.\n".to_owned()
    };
    let head = format!("<details><summary>{title}: {}</summary>\n\n", plural(count, "request"));
    page.put(&[format!("{head}{lines}{more}\n</details>\n\n"), more]);
}

/// By request, in the plan's order, what is dangerous first and what only may change last.
fn groups(brief: &Brief) -> Vec<Group<'_>> {
    let mut at: BTreeMap<&RequestId, usize> = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for step in &brief.plan.steps {
        let id = &step.target.key.request;
        let n = *at.entry(id).or_insert(groups.len());
        match groups.get_mut(n) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group { id, steps: vec![step], places: String::new() }),
        }
    }
    if made::are_several(brief) {
        for group in &mut groups {
            let places: BTreeSet<String> =
                group.steps.iter().filter_map(|step| made::within(step)).collect();
            let places: Vec<String> =
                places.into_iter().map(|place| format!(" in {place}")).collect();
            group.places = places.join(" and");
        }
    }
    groups.sort_by_key(|group| (!group.is_dangerous(), group.may_change()));
    groups
}

/// `create`, or `update, delete`.
fn verbs(group: &Group) -> String {
    if group.may_change() {
        return "may change".to_owned();
    }
    let mut seen: Vec<&str> = Vec::new();
    for step in group.steps.iter().filter(|step| !step.may_change()) {
        let verb = verb(step.action);
        if !seen.contains(&verb) {
            seen.push(verb);
        }
    }
    seen.join(", ").to_lowercase()
}

fn flat(group: &Group) -> String {
    let resources = resources(&group.steps);
    let resources = if resources.is_empty() { resources } else { format!(": {resources}") };
    format!("- {} {}{}{resources}\n", verbs(group), code(group.id.as_str()), group.places)
}

/// `1 to replace, 3 to update`, of what its provider says.
fn resources(steps: &[&Step]) -> String {
    let mut counts: BTreeMap<ResourceAction, usize> = BTreeMap::new();
    for resource in steps.iter().filter_map(|s| s.preview.as_ref()).flat_map(|p| &p.resources) {
        *counts.entry(resource.action).or_default() += 1;
    }
    let said = counts.into_iter().map(|(action, n)| {
        let word = match action {
            ResourceAction::Delete => "to delete",
            ResourceAction::Replace => "to replace",
            ResourceAction::MayReplace => "perhaps to replace",
            ResourceAction::Create => "to create",
            ResourceAction::Update => "to update",
            ResourceAction::Retain => "to let go of",
        };
        (n, word)
    });
    let said = said.enumerate().map(|(at, (n, word))| match at {
        0 => format!("{} {word}", plural(n, "resource")),
        _ => format!("{n} {word}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn fold(group: &Group, body: &str) -> String {
    let resources = resources(&group.steps);
    let resources = if resources.is_empty() { resources } else { format!(" &middot; {resources}") };
    let name = match group.steps.as_slice() {
        [one] => one.target.key.to_string(),
        _ => group.id.to_string(),
    };
    let (verbs, places) = (verbs(group), &group.places);
    let title = format!("<b>{verbs}</b> <code>{}</code>{places}{resources}", html(&name));
    if body.is_empty() {
        return format!("{title}<br>\n\n");
    }
    format!("<details><summary>{title}</summary>\n\n{body}\n\n</details>\n\n")
}

fn body(group: &Group, artifacts: &Artifacts, options: &Options) -> String {
    let alone = group.steps.len() == 1;
    let parts = group.steps.iter().map(|step| part(step, alone, artifacts, options));
    parts.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn part(step: &Step, alone: bool, artifacts: &Artifacts, options: &Options) -> String {
    let head = if alone {
        String::new()
    } else {
        let component = code(step.target.key.component.as_str());
        format!("**{}** {component}\n\n", verb(step.action).to_lowercase())
    };
    let (bullets, difference) = (bullets(step), difference(step, artifacts, options));
    let gap = if bullets.is_empty() || difference.is_empty() { "" } else { "\n" };
    format!("{head}{bullets}{gap}{difference}")
}

/// How many of each, by team and environment.
fn table(groups: &[Group]) -> String {
    let columns = [
        (Action::Create, "create"),
        (Action::Update, "update"),
        (Action::Replace, "replace"),
        (Action::Delete, "delete"),
        (Action::Restore, "restore"),
        (Action::Move, "move"),
        (Action::Forget, "forget"),
    ];
    let mut rows: BTreeMap<(&str, &str), BTreeMap<Action, usize>> = BTreeMap::new();
    for group in groups {
        let row = rows.entry((group.id.team(), group.id.environment())).or_default();
        for step in group.steps.iter().filter(|s| !s.may_change()) {
            *row.entry(step.action).or_default() += 1;
        }
    }
    let used: BTreeSet<Action> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let columns: Vec<_> = columns.into_iter().filter(|(action, _)| used.contains(action)).collect();
    let heads: Vec<&str> = columns.iter().map(|(_, verb)| *verb).collect();
    let mut out = format!(
        "| team | environment | {} |\n|---|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(columns.len())
    );
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|(_, row)| std::cmp::Reverse(row.values().sum::<usize>()));
    for ((team, environment), row) in sorted.iter().take(ROWS) {
        let cell = |(action, _): &(Action, &str)| {
            row.get(action).map_or(String::new(), ToString::to_string)
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        out.push_str(&format!("| {team} | {environment} | {} |\n", cells.join(" | ")));
    }
    let more = sorted.len().saturating_sub(ROWS);
    if more > 0 {
        out.push_str(&format!("\n{more} more teams and environments.\n"));
    }
    out + "\n"
}

/// What is held and why, with the lines that let it go on.
pub(super) fn held(brief: &Brief, holds: &[&Hold]) -> String {
    if holds.is_empty() {
        return String::new();
    }
    let groups = hold::grouped(holds.iter().copied());
    let mut out = "#### Held\n\n".to_owned();
    for (said, group) in groups.iter().take(HELD) {
        let reason = group.first().map_or("", |held| held.reason.name());
        let asks = group.first().and_then(|held| hold::digest(&held.reason));
        let line = sentence(said, asks.map(|d| d.to_string()).as_deref());
        let title = group.first().map_or("", |held| hold::title(&held.reason));
        out.push_str(&format!("- **{title}** {} (`{reason}`): {line}\n", names(group)));
        if let Some(digest) = asks {
            // Within the item, so that the block stands with what it is for.
            let block = fence("text", &format!("/vend approve {digest}"));
            out.push_str(&block.lines().map(|l| format!("  {l}\n")).collect::<String>());
            out.extend(
                brief.shared.iter().filter(|it| it.digest == digest).map(|it| shared(brief, it)),
            );
        }
    }
    let more = groups.len().saturating_sub(HELD);
    if more > 0 {
        out.push_str(&format!("- {more} more: `vend plan` names them\n"));
    }
    out + "\n"
}

/// What the same yes is for besides, pull request by pull request.
fn shared(brief: &Brief, Shared { digest: _, others, more }: &Shared) -> String {
    let mut by: BTreeMap<Option<(u64, Option<&str>)>, Vec<String>> = BTreeMap::new();
    for Part { request, pull } in others {
        let pull = pull.as_ref().map(|(number, author)| (*number, author.as_deref()));
        by.entry(pull).or_default().push(code(request.as_str()));
    }
    let parts = by.into_iter().map(|(pull, ids)| {
        let ids = listed(ids, 5);
        match pull {
            None => ids,
            Some((number, author)) => {
                let by = author.map(|author| format!(" by {}", short_code(author, 60)));
                format!("{ids} of {}{}", link::pull(brief, number), by.unwrap_or_default())
            }
        }
    });
    let more = (*more > 0).then(|| plural(*more, "more request"));
    let all: Vec<String> = parts.chain(more).collect();
    format!(
        "\n  The same yes is for {}. Nobody gives it who opened or pushed to any of them.\n",
        listed(all, SHARED)
    )
}

/// Pull requests that are named with what the same yes is for of theirs.
const SHARED: usize = 10;

fn names(group: &[&Hold]) -> String {
    match group {
        [Hold { request, component: Some(component), .. }] => {
            code(&format!("{request}#{component}"))
        }
        _ => {
            let ids = hold::requests(group).into_iter().map(|id| code(id.as_str()));
            listed(ids.collect(), 5)
        }
    }
}

/// Lines of difference of one component's rendered files that are kept.
const REWRITTEN_LINES: usize = 200;
const LINE: usize = 500;

/// What differs in rendered files, a line each with its sign, in `room` bytes.
pub fn rewritten(old: Option<&Artifact>, new: &Artifact, room: usize) -> Vec<String> {
    let all = diff::lines(old, Some(new), &[], REWRITTEN_LINES);
    let (mut lines, mut size) = (Vec::new(), 0);
    let count = all.len();
    for line in all.iter().map(diff::Line::signed) {
        size += line.len() + 1;
        if size > room {
            let more = count - lines.len();
            lines.push(format!("… {more} more lines"));
            break;
        }
        lines.push(line);
    }
    lines
}

/// Whether that stands for a review that there was none of.
fn is_of_nothing(reviewed: &Digest) -> bool {
    [nothing_reviewed(), nothing_seen(), nothing_shown()].contains(reviewed)
}

/// What differs, each request's folded.
pub(super) fn rewrites(changed: &Changed) -> String {
    let mut by: BTreeMap<&RequestId, Vec<&Rewritten>> = BTreeMap::new();
    for rewritten in &changed.rendered {
        by.entry(&rewritten.target.request).or_default().push(rewritten);
    }
    let each = by.into_iter().map(|(id, parts)| {
        let parts = parts.into_iter().map(|Rewritten { target, reviewed, lines }| {
            let against = match reviewed {
                true => "against what was reviewed",
                false if is_of_nothing(&changed.reviewed) => "against what is applied",
                false => "what was reviewed is not kept: against what is applied",
            };
            let lines: Vec<String> = lines.iter().map(|line| visible(line, LINE)).collect();
            let block = fence("diff", &lines.join("\n"));
            format!("{}, {against}:\n\n{block}", code(target.component.as_str()))
        });
        let parts: Vec<String> = parts.collect();
        format!(
            "<details><summary>What differs in <code>{}</code></summary>\n\n{}\n</details>\n\n",
            html(id.as_str()),
            parts.join("\n")
        )
    });
    each.collect()
}

/// A hold's sentence as a comment says it: what is typed at a terminal is a line to paste here.
pub(super) fn sentence(said: &str, asks: Option<&str>) -> String {
    let said = match asks {
        Some(digest) => said.replace(&format!("`vend approve {digest}`"), "the line below"),
        None => said.to_owned(),
    };
    line(&said.replace("`vend retry`", "`/vend retry`"))
}
