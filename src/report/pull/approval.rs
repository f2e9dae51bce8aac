//! Approvals: what is needed, who gave theirs, what is missing.

use crate::model::{Brief, Discount, Discounted, Need, RequestId};
use crate::report::markdown::{code, listed, prose, short_code};

/// At most so many names in one line.
const NAMES: usize = 5;

/// How many approvals are missing in all.
pub(super) fn missing(brief: &Brief) -> usize {
    brief.needs.iter().map(short).sum()
}

fn short(need: &Need) -> usize {
    (need.count as usize).saturating_sub(need.had.len())
}

/// One line of plain text: `2 approvals are missing: 1 of dba, 1 of security`.
pub(super) fn title(brief: &Brief) -> String {
    let open: Vec<_> = brief.needs.iter().filter(|need| !need.is_met()).collect();
    match (brief.needs.len(), open.len()) {
        (0, _) => "No approval is needed".to_owned(),
        (_, 0) => "Approved".to_owned(),
        _ => {
            let each = open.iter().map(|need| format!("{} of {}", short(need), bare(need)));
            format!("Missing: {}", listed(each.collect(), NAMES))
        }
    }
}

/// Each with its state, what is missing first; empty when none is needed.
pub(super) fn list(brief: &Brief) -> String {
    if brief.needs.is_empty() {
        return String::new();
    }
    let mut needs: Vec<&Need> = brief.needs.iter().collect();
    needs.sort_by_key(|need| need.is_met());
    let lines: String = needs.into_iter().map(line).collect();
    let more = brief.discounted.len().saturating_sub(NAMES);
    let discounted: String = brief.discounted.iter().take(NAMES).map(discounted).collect();
    let more = if more > 0 { format!("- {more} more that do not count\n") } else { String::new() };
    format!("#### Approvals\n\n{lines}{discounted}{more}\n")
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

fn line(need: &Need) -> String {
    let Need { requests, why, teams: _, count, had } = need;
    let given = listed(had.iter().map(|by| short_code(by, 60)).collect(), NAMES);
    let state = match (need.is_met(), had.is_empty()) {
        (true, _) => format!("**Given** by {given}"),
        (false, true) => format!("**Missing**: {count} of {}", who(need)),
        (false, false) => {
            format!("**Missing**: {} more of {}, beside {given}", short(need), who(need))
        }
    };
    let why = if why.is_empty() { String::new() } else { format!(": {}", prose(why)) };
    let names = listed(requests.iter().map(|id: &RequestId| code(id.as_str())).collect(), NAMES);
    let of = if names.is_empty() { String::new() } else { format!(" ({names})") };
    format!("- {state}{why}{of}\n")
}

fn who(need: &Need) -> String {
    if need.teams.is_empty() {
        return "those who may write here".to_owned();
    }
    need.teams.iter().map(|team| short_code(team, 80)).collect::<Vec<_>>().join(" or ")
}

fn bare(need: &Need) -> String {
    if need.teams.is_empty() {
        return "those who may write here".to_owned();
    }
    let teams = need.teams.iter().map(|team| crate::model::escape(team, 80));
    teams.collect::<Vec<_>>().join(" or ")
}
