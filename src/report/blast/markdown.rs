//! As a section of a comment or a check: the counts, and who is reached by what.

use super::{by_effect, by_place, lost, remarks, word};
use crate::model::{Blast, Hit};
use crate::report::markdown::{code, plural, prose};

/// At most so many teams in a row of the table.
const TEAMS: usize = 8;

/// The forms that it may take, the longest first; `None`: nobody is reached, and nothing is new.
pub fn markdown(blast: &Blast) -> Option<[String; 2]> {
    let remarks: String =
        remarks(blast).iter().map(|remark| format!("- {}\n", prose(remark))).collect();
    if blast.is_empty() && remarks.is_empty() {
        return None;
    }
    let all = plural(usize::try_from(blast.requests).unwrap_or(usize::MAX), "request");
    let head = match blast.hits.len() {
        0 => format!("#### Blast radius\n\nNone of {all} would change.\n"),
        hits => format!(
            "#### Blast radius\n\n**{}**; {hits} of {all} would change.\n",
            lost(blast.losses())
        ),
    };
    let groups = by_effect(blast);
    let row = |(effect, hits): (_, &Vec<&Hit>)| {
        let mut teams: Vec<_> = by_place(hits.iter().map(|hit| &hit.request)).into_iter().collect();
        teams.sort_by_key(|(_, places)| std::cmp::Reverse(places.values().sum::<usize>()));
        let team = |(team, places): (&str, std::collections::BTreeMap<&str, usize>)| {
            let places: Vec<_> =
                places.into_iter().map(|(name, n)| format!("{} {n}", code(name))).collect();
            format!("{}: {}", code(team), places.join(", "))
        };
        let more = teams.len().saturating_sub(TEAMS);
        let mut teams: Vec<String> = teams.into_iter().take(TEAMS).map(team).collect();
        teams.extend((more > 0).then(|| format!("and {}", plural(more, "more team"))));
        let teams = teams.join("; ");
        format!("| {} | {} | {teams} |\n", word(effect), hits.len())
    };
    let rows: String = groups.iter().map(|(effect, hits)| row((*effect, hits))).collect();
    let table = match rows.is_empty() {
        true => String::new(),
        false => format!("\n| what | requests | where |\n|---|---:|---|\n{rows}"),
    };
    let remarks = if remarks.is_empty() { remarks } else { format!("\n{remarks}") };
    Some([format!("{head}{table}{remarks}\n"), format!("{head}\n")])
}
