//! Approvals: what is needed, who gave theirs, what is missing.

use std::collections::{BTreeMap, BTreeSet};

use super::link;
use crate::model::{Brief, Discount, Discounted, Need, RequestId};
use crate::report::markdown::{code, listed, prose, short_code};

/// At most so many names in one line.
const NAMES: usize = 5;

/// At most so many lines of what is needed.
const LINES: usize = 15;

/// Needs that the same people answer, for the same reason: of whatever many steps.
struct Group<'a> {
    need: &'a Need,
    requests: Vec<&'a RequestId>,
}

/// In the order of the first of each.
fn grouped(brief: &Brief) -> Vec<Group<'_>> {
    let mut at = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for need in &brief.needs {
        let Need { requests, why, teams, count, had } = need;
        let n = *at.entry((why, teams, count, had)).or_insert(groups.len());
        if n == groups.len() {
            groups.push(Group { need, requests: Vec::new() });
        }
        groups[n].requests.extend(requests);
    }
    for group in &mut groups {
        let mut seen = BTreeSet::new();
        group.requests.retain(|id| seen.insert(*id));
    }
    groups
}

/// Of whom how many are missing: one review is one for all that the same people are asked for.
fn open(brief: &Brief) -> Vec<(usize, &Need)> {
    let mut open: Vec<(usize, &Need)> = Vec::new();
    let mut at = BTreeMap::new();
    for need in brief.needs.iter().filter(|need| !need.is_met()) {
        let n = *at.entry((&need.teams, &need.had)).or_insert(open.len());
        match open.get_mut(n) {
            Some((most, _)) => *most = short(need).max(*most),
            None => open.push((short(need), need)),
        }
    }
    open
}

/// How many approvals are missing in all.
pub(super) fn missing(brief: &Brief) -> usize {
    open(brief).into_iter().map(|(short, _)| short).sum()
}

fn short(need: &Need) -> usize {
    (need.count as usize).saturating_sub(need.had.len())
}

/// One line of plain text: `2 approvals are missing: 1 of dba, 1 of security`.
pub(super) fn title(brief: &Brief) -> String {
    let open = open(brief);
    match (brief.needs.len(), open.len()) {
        (0, _) => "No approval is needed".to_owned(),
        (_, 0) => "Approved".to_owned(),
        _ => {
            let each = open.iter().map(|(short, need)| format!("{short} of {}", bare(need)));
            format!("Missing: {}", listed(each.collect(), NAMES))
        }
    }
}

/// Each with its state, what is missing first; empty when none is needed.
pub(super) fn list(brief: &Brief) -> String {
    if brief.needs.is_empty() {
        return String::new();
    }
    let mut groups = grouped(brief);
    groups.sort_by_key(|group| group.need.is_met());
    let mut lines: String = groups.iter().take(LINES).map(|group| line(brief, group)).collect();
    let rest = groups.get(LINES..).unwrap_or_default();
    let missing = rest.iter().filter(|group| !group.need.is_met()).count();
    if !rest.is_empty() {
        lines.push_str(&format!("- {} more, {missing} of them missing\n", rest.len()));
    }
    let more = brief.discounted.len().saturating_sub(NAMES);
    let discounted: String = brief.discounted.iter().take(NAMES).map(discounted).collect();
    let more = if more > 0 { format!("- {more} more that do not count\n") } else { String::new() };
    let how = match groups.iter().all(|group| group.need.is_met()) {
        true => "",
        false => {
            "\nAn approving review counts for this plan, as it stands here: when that becomes another, it is \
             asked for again.\n"
        }
    };
    format!("#### Approvals\n\n{lines}{discounted}{more}{how}\n")
}

fn discounted(Discounted { by, why }: &Discounted) -> String {
    let why = match why {
        Discount::Pushed => "said yes and pushed to it: does not count",
        Discount::Early => "said yes before this plan was shown: does not count, say it again",
        Discount::Former => "said yes to another plan: does not count, say it again",
        Discount::TeamsUnread => {
            "said yes, and vend may not read teams: give the App *Members: read*"
        }
        Discount::RightsUnread => {
            "said yes, and vend may not read who may write: give the App *Metadata: read*"
        }
    };
    format!("- {} {why}\n", short_code(by, 60))
}

fn line(brief: &Brief, Group { need, requests }: &Group) -> String {
    let Need { requests: _, why, teams: _, count, had } = need;
    let given = listed(had.iter().map(|by| short_code(by, 60)).collect(), NAMES);
    let state = match (need.is_met(), had.is_empty()) {
        (true, _) => format!("**Given** by {given}"),
        (false, true) => {
            let review = if *count == 1 { "an approving review" } else { "approving reviews" };
            format!("**Missing**: {review} by {count} of {}", who(brief, need))
        }
        (false, false) => {
            let (short, who) = (short(need), who(brief, need));
            let review = if short == 1 { "an approving review" } else { "approving reviews" };
            format!("**Missing**: {review} by {short} more of {who}, beside {given}")
        }
    };
    let why = if why.is_empty() { String::new() } else { format!(", because {}", prose(why)) };
    let names = listed(requests.iter().map(|id| code(id.as_str())).collect(), NAMES);
    let of = if names.is_empty() { String::new() } else { format!(" ({names})") };
    format!("- {state}{why}{of}\n")
}

/// As the forge names a team: a mention that mentions nobody.
fn who(brief: &Brief, need: &Need) -> String {
    if need.teams.is_empty() {
        return "those who may write here".to_owned();
    }
    let owner = link::owner(brief);
    let team = |team: &String| match owner {
        Some(owner) if !team.contains('/') => short_code(&format!("{owner}/{team}"), 120),
        _ => short_code(team, 80),
    };
    need.teams.iter().map(team).collect::<Vec<_>>().join(" or ")
}

fn bare(need: &Need) -> String {
    if need.teams.is_empty() {
        return "those who may write here".to_owned();
    }
    let teams = need.teams.iter().map(|team| crate::model::escape(team, 80));
    teams.collect::<Vec<_>>().join(" or ")
}
