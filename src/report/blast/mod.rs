//! What a change of the catalog comes to for those who use it: grouped by what would happen, then by
//! team and environment, with what is alike shown once.

mod details;
mod json;
mod markdown;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Arrival, Blast, Diagnostic, Effect, Hit, HoldReason, Losses, Reach, RequestId, TemplateId,
    Wave, WaveReach, escape,
};
use crate::report::hold;
use crate::report::markdown::{plural, thousands};
use crate::report::plan::{Artifacts, Options, changed_lines, told};

pub use details::details;
pub use json::json;
pub use markdown::markdown;
pub use terminal::terminal;

/// Requests of one effect that change alike.
pub(super) struct Fold<'a> {
    pub(super) hits: Vec<&'a Hit>,
    /// What is told of the first one.
    pub(super) told: Vec<String>,
}

/// What would happen, in capitals where something is lost.
pub(super) fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Replaces => "REPLACES",
        Effect::Deletes => "DELETES",
        Effect::MayReplace => "MAY REPLACE",
        Effect::BecomesInvalid => "BECOMES INVALID",
        Effect::CannotTake => "CANNOT TAKE IT, and stays as it is",
        Effect::Waits => "would be held",
        Effect::Updates => "updates",
        Effect::BecomesValid => "becomes valid",
        Effect::Recorded => "only what is recorded changes",
    }
}

/// `2 resources are replaced, 1 is deleted, 3 may be replaced`; `None`: nothing is lost.
pub(super) fn lost(losses: Losses) -> Option<String> {
    let Losses { replaced, deleted, may_be_replaced } = losses;
    let are = |n: u64| if n == 1 { "is" } else { "are" };
    let parts = [
        (replaced, are(replaced), "replaced"),
        (deleted, are(deleted), "deleted"),
        (may_be_replaced, "may be", "replaced"),
    ];
    let some = parts.into_iter().filter(|(n, ..)| *n > 0).enumerate();
    let some = some.map(|(at, (n, verb, fate))| match at {
        0 => format!("{} {verb} {fate}", count(n, "resource")),
        _ => format!("{} {verb} {fate}", thousands(n)),
    });
    let some: Vec<String> = some.collect();
    (!some.is_empty()).then(|| some.join(", "))
}

/// `10,000 requests`.
fn count(n: u64, word: &str) -> String {
    format!("{} {word}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// Whether the published schemas were looked at for any of it.
fn is_foretold(blast: &Blast) -> bool {
    let steps = blast.hits.iter().flat_map(|hit| &hit.steps);
    steps.filter_map(|step| step.preview.as_ref()).any(|preview| preview.foretold)
}

/// Types that change, and of which no schema is published: whatever changes of them may replace it.
fn unpublished(blast: &Blast) -> Option<String> {
    let steps = blast.hits.iter().flat_map(|hit| &hit.steps);
    let kinds = steps.filter_map(|step| step.preview.as_ref()).flat_map(|p| &p.unpublished);
    let kinds: BTreeSet<&String> = kinds.collect();
    let names = kinds.into_iter().map(|kind| format!("`{}`", escape(kind, 120)));
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| {
        format!("no schema is published of {}: nobody can tell what is lost there", some(names))
    })
}

/// Those of one time by effect, the worst first.
type Groups<'a> = BTreeMap<Effect, Vec<&'a Hit>>;

/// By when it comes: with the change itself, with the waves that begin at once, and with the later ones.
pub(super) fn by_time(blast: &Blast) -> Vec<(Option<&Arrival>, Groups<'_>)> {
    let mut times: BTreeMap<_, (Option<&Arrival>, Groups<'_>)> = BTreeMap::new();
    for hit in &blast.hits {
        let arrival = hit.arrival.as_ref();
        let key = (hit.is_later(), arrival.map(|arrival| (&arrival.version, arrival.wave)));
        let (_, groups) = times.entry(key).or_insert_with(|| (arrival, Groups::new()));
        groups.entry(hit.effect).or_default().push(hit);
    }
    times.into_values().collect()
}

/// Whether a rollout brings anything of it.
pub(super) fn has_waves(blast: &Blast) -> bool {
    blast.hits.iter().any(|hit| hit.arrival.is_some())
}

/// `At once: wave 1 of 2 of queue@1.2.1, dev`.
pub(in crate::report) fn when(arrival: &Arrival) -> String {
    let Arrival { version, wave, of, environment, share, stop_after: _, at_once } = arrival;
    let time = if *at_once { "At once" } else { "Later" };
    let share = if *share == 100 { String::new() } else { format!(" {share} %") };
    format!("{time}: wave {wave} of {of} of {version}, {}{share}", escape(environment, 120))
}

/// All that would change, in one line; then what of it comes at once, and what later.
pub(super) fn head(blast: &Blast) -> (String, Vec<String>) {
    let all = count(blast.requests, "request");
    let nothing = if is_foretold(blast) {
        "Nothing is lost by the published schemas"
    } else {
        "Nothing is lost"
    };
    let head = match (blast.changed(|_| true), lost(blast.losses(|_| true))) {
        (0, _) => format!("None of {all} would change"),
        (n, lost) => format!(
            "{}; {} of {all} would change",
            lost.unwrap_or_else(|| nothing.to_owned()),
            thousands(n as u64)
        ),
    };
    let mut parts = Vec::new();
    if has_waves(blast) {
        for (time, later) in [("at once", false), ("later, wave by wave", true)] {
            let n = blast.changed(|hit| hit.is_later() == later);
            let lost = lost(blast.losses(|hit| hit.is_later() == later));
            parts.push(match (n, lost) {
                (0, _) => format!("{time}: nobody"),
                (n, None) => format!("{time}: {}, nothing is lost", plural(n, "request")),
                (n, Some(lost)) => format!("{time}: {}, {lost}", plural(n, "request")),
            });
        }
    }
    parts.extend(unpublished(blast));
    let left = blast.hits.iter().filter(|hit| hit.effect == Effect::CannotTake).count();
    if left > 0 {
        let stay = if left == 1 { "stays as it is" } else { "stay as they are" };
        parts.push(format!("{} cannot take it and {stay}", plural(left, "request")));
    }
    parts.extend(stops(blast));
    (head, parts)
}

/// Where a rollout stops for those who cannot take the version: they count as failures before anything of
/// the wave is done, those of earlier waves too.
fn stops(blast: &Blast) -> Vec<String> {
    let mut stops: BTreeMap<&TemplateId, (usize, Option<String>)> = BTreeMap::new();
    for (arrival, groups) in by_time(blast) {
        let Some(Arrival { version, wave, of, stop_after, .. }) = arrival else { continue };
        let (failures, stop) = stops.entry(version).or_default();
        *failures += groups.get(&Effect::CannotTake).map_or(0, Vec::len);
        let most = usize::try_from(*stop_after).unwrap_or(usize::MAX).max(1);
        if *failures >= most {
            stop.get_or_insert_with(|| {
                format!(
                    "the rollout of {version} stops in wave {wave} of {of} for that: nobody takes it there, and no wave follows"
                )
            });
        }
    }
    stops.into_values().filter_map(|(_, stop)| stop).collect()
}

/// What the waves bring, for a title; nothing where there are none.
pub fn title(blast: &Blast) -> Option<String> {
    let of = |later| blast.changed(|hit| hit.arrival.is_some() && hit.is_later() == later);
    let (now, later) = (of(false), of(true));
    let Losses { replaced, deleted, may_be_replaced } = blast.losses(|hit| hit.arrival.is_some());
    let unfit = blast.hits.iter().filter(|hit| hit.effect == Effect::CannotTake).count();
    let parts = [
        (replaced, "replaces", "resource"),
        (may_be_replaced, "may replace", "resource"),
        (deleted, "deletes", "resource"),
    ];
    let parts = parts.into_iter().filter(|(n, ..)| *n > 0);
    let mut parts: Vec<String> =
        parts.map(|(n, verb, word)| format!("; {verb} {}", count(n, word))).collect();
    parts.extend((unfit > 0).then(|| format!("; {unfit} cannot take it")));
    has_waves(blast).then(|| {
        let now = plural(now, "request");
        format!("{now} at once, {later} later, in waves{}", parts.concat())
    })
}

/// How many by team, and in it by environment.
pub(super) fn by_place<'a>(
    ids: impl IntoIterator<Item = &'a RequestId>,
) -> BTreeMap<&'a str, BTreeMap<&'a str, usize>> {
    let mut places: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for id in ids {
        *places.entry(id.team()).or_default().entry(id.environment()).or_default() += 1;
    }
    places
}

/// `orders: dev 5, prod 3`, the teams with most of them first.
pub(super) fn places<'a>(ids: impl IntoIterator<Item = &'a RequestId>, most: usize) -> String {
    let mut teams: Vec<_> = by_place(ids).into_iter().collect();
    teams.sort_by_key(|(team, places)| (std::cmp::Reverse(places.values().sum::<usize>()), *team));
    let more = teams.len().saturating_sub(most);
    let team = |(team, places): (&str, BTreeMap<&str, usize>)| {
        let places: Vec<_> = places.into_iter().map(|(name, n)| format!("{name} {n}")).collect();
        format!("{team}: {}", places.join(", "))
    };
    let mut shown: Vec<String> = teams.into_iter().take(most).map(team).collect();
    shown.extend((more > 0).then(|| format!("and {}", plural(more, "more team"))));
    shown.join("; ")
}

/// Those of one effect, what is alike together; in the order of the first of each. What differs from
/// another only by the request's own names is alike.
pub(super) fn folds<'a>(
    hits: &[&'a Hit],
    artifacts: &Artifacts,
    options: &Options,
    full: bool,
) -> Vec<Fold<'a>> {
    let mut folds: Vec<Fold<'a>> = Vec::new();
    let mut at: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for hit in hits {
        let key = alike(hit, artifacts, options);
        match at.get(&key).and_then(|n| folds.get_mut(*n)).filter(|_| !full) {
            Some(fold) => fold.hits.push(hit),
            None => {
                at.insert(key, folds.len());
                folds.push(Fold { hits: vec![hit], told: tell(hit, artifacts, options) });
            }
        }
    }
    folds
}

/// What makes two changes the same: what happens, what is lost, and the lines that differ.
fn alike(hit: &Hit, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let Hit { request, template, effect: _, steps, settings, problems, held, .. } = hit;
    let mut key = vec![template.as_ref().map(ToString::to_string).unwrap_or_default()];
    for step in steps {
        key.push(format!("{:?} {}", step.action, step.target.key.component));
        key.extend(told(step).into_iter().map(|line| without(&line, request)));
        let lines = changed_lines(step, artifacts, options).into_iter();
        key.extend(lines.map(|line| without(&line, request)));
    }
    key.extend(settings.iter().cloned());
    key.extend(problems.iter().map(|p| format!("{} {}", p.code, without(&p.message, request))));
    key.extend(held.iter().map(|held| without(&hold::reason(held), request)));
    key
}

/// Without the names that a request has of its own, where they stand as words.
fn without(text: &str, id: &RequestId) -> String {
    let names = [(id.as_str(), "<id>"), (id.name(), "<name>"), (id.team(), "<team>")];
    let mut text = text.to_owned();
    for (name, stands) in names.into_iter().chain([(id.environment(), "<environment>")]) {
        if text.contains(name) {
            text = replaced(&text, name, stands);
        }
    }
    text
}

fn replaced(text: &str, name: &str, stands: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let is_part = |c: char| c.is_alphanumeric();
        let begins = !before.chars().next_back().or(out.chars().next_back()).is_some_and(is_part);
        let ends = !after.chars().next().is_some_and(is_part);
        out.push_str(before);
        out.push_str(if begins && ends { stands } else { name });
        rest = after;
    }
    out + rest
}

/// What is said of settings that differ: by themselves they change nothing that stands.
pub(super) fn other_settings(hit: &Hit) -> &'static str {
    match hit.effect {
        Effect::Recorded => "other settings, which follow with the next update",
        Effect::Replaces
        | Effect::Deletes
        | Effect::MayReplace
        | Effect::BecomesInvalid
        | Effect::CannotTake
        | Effect::Waits
        | Effect::Updates
        | Effect::BecomesValid => "other settings",
    }
}

/// What is told of one, line by line.
fn tell(hit: &Hit, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let Hit { request: _, template: _, effect: _, steps, settings, problems, held, arrival: _ } =
        hit;
    let mut lines: Vec<String> = problems.iter().map(problem).collect();
    lines.extend(held.iter().map(hold::reason));
    lines.extend((!settings.is_empty()).then(|| {
        let names: Vec<_> = settings.iter().map(|name| escape(name, 120)).collect();
        format!("{}: {}", other_settings(hit), names.join(", "))
    }));
    for step in steps {
        let verb = super::plan::verb(step.action);
        lines.push(format!("{verb} {}", step.target.key.component));
        lines.extend(told(step).into_iter().map(|line| format!("  {line}")));
        let difference = super::plan::lines(step, artifacts, options).into_iter();
        lines.extend(difference.map(|line| format!("  {line}")));
    }
    lines
}

fn problem(problem: &Diagnostic) -> String {
    let Diagnostic { code, place, message, .. } = problem;
    format!("{}:{}: {code} {}", escape(&place.file, 200), place.line, escape(message, 400))
}

/// `412 requests at ~1.2 may take queue@1.2.1; 88 pin 1.2.0 exactly and stay`.
pub(super) fn reach(reach: &Reach, waves: bool) -> Option<String> {
    let Reach { version, ranges, pinned, uses, ends, waves: brought } = reach;
    let count = |n: u64| plural(usize::try_from(n).unwrap_or(usize::MAX), "request");
    let how = match waves {
        true => ", as the catalog's rollout says, else when their files change",
        false => " when their files change",
    };
    let mut parts: Vec<String> = Vec::new();
    let at: Vec<_> = ranges.iter().map(|(range, n)| format!("{} at {range}", count(*n))).collect();
    if !at.is_empty() {
        parts.push(format!("{} may take {version}{how}", at.join(" and ")));
    }
    let pins = pinned.iter().filter(|(pin, _)| **pin != version.version);
    let pins: Vec<_> = pins.map(|(pin, n)| format!("{} to {pin}", count(*n))).collect();
    if !pins.is_empty() {
        let pins = format!("pinned exactly, and left where they are: {}", pins.join(", "));
        parts.push(if parts.is_empty() { format!("{version} is new; {pins}") } else { pins });
    }
    let uses: Vec<_> = uses.iter().map(|(used, n)| format!("{n} use {used}")).collect();
    if !uses.is_empty() {
        parts.push(format!(
            "{version} is new; of those that use the template {}: who asks for a range that it is in may take it{how}; exact versions stay",
            uses.join(", ")
        ));
    }
    if parts.is_empty() {
        return None;
    }
    let wave = |wave: &WaveReach| {
        let share = if wave.share == 100 { String::new() } else { format!(" {} %", wave.share) };
        let names = some(wave.requests.iter().map(|id| format!("`{id}`")).collect());
        format!("{}{share}: {names}", wave.environment)
    };
    let brought: Vec<String> = brought.iter().map(wave).collect();
    if !brought.is_empty() {
        parts.push(format!("its rollout goes to {}", brought.join("; then ")));
    }
    parts.extend(ends.iter().cloned());
    Some(parts.join("; "))
}

/// Versions that are taken away from those who have them.
fn gone(blast: &Blast) -> Vec<String> {
    let mut users: BTreeMap<&TemplateId, usize> = BTreeMap::new();
    for held in blast.hits.iter().filter_map(|hit| hit.held.as_ref()) {
        if let HoldReason::TemplateMissing { version } = held {
            *users.entry(version).or_default() += 1;
        }
    }
    let how = match blast.waves {
        true => "a newer version's rollout reaches it, or its file takes another",
        false => "its file takes another",
    };
    let sentence = |(version, n): (&TemplateId, usize)| {
        let have = if n == 1 { "has" } else { "have" };
        format!(
            "Gone: `{version}`, which {} {have} (CAT021). Who has it stays as it is and is held until {how}. Put that version's folder back.",
            plural(n, "request")
        )
    };
    users.into_iter().map(sentence).collect()
}

/// The first of some names, and how many more there are.
fn some(names: Vec<String>) -> String {
    const MOST: usize = 8;
    let more = names.len().saturating_sub(MOST);
    let mut text = names.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What is to be known besides, a sentence each.
pub(super) fn remarks(blast: &Blast) -> Vec<String> {
    let mut remarks: Vec<String> = Vec::new();
    if !blast.edited.is_empty() {
        let names = some(blast.edited.iter().map(|id| format!("`{id}`")).collect());
        remarks.push(format!(
            "Edited in place: {names}. A version that was published never changes: the daemon refuses it (CAT010), and goes on with what it knew. Publish a new version."
        ));
    }
    remarks.extend(gone(blast));
    let reaches = blast.reaches.iter().filter_map(|one| reach(one, blast.waves));
    remarks.extend(reaches.map(|text| format!("{text}.")));
    for (version, left) in &blast.rerouted {
        let version = escape(&version.to_string(), 200);
        let wave = |wave: &Wave| format!("{} {} %", escape(&wave.environment, 120), wave.share);
        let left: Vec<String> = left.iter().map(wave).collect();
        remarks.push(match left.is_empty() {
            true => format!("`{version}` is on its way while its waves are edited: none is left, and it ends there."),
            false => format!(
                "`{version}` is on its way while its waves are edited. What is left to it: {}.",
                left.join(", then ")
            ),
        });
    }
    if !blast.follows.is_empty() {
        let names = some(blast.follows.iter().map(|id| format!("`{id}`")).collect());
        let verb = if blast.follows.len() == 1 { "uses" } else { "use" };
        remarks.push(format!(
            "{} {verb} outputs of these, and may change after them: {names}.",
            plural(blast.follows.len(), "request")
        ));
    }
    remarks
}
