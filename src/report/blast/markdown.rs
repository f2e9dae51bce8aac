//! As a section of a comment or a check: the counts, and who is reached by what.

use super::{by_place, by_time, has_waves, head, remarks, when, word};
use crate::model::{Arrival, Blast, Hit};
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
    let (line, parts) = head(blast);
    // What is lost stands out.
    let line = match line.split_once("; ") {
        Some((lost, rest)) => format!("**{lost}**; {rest}"),
        None => line,
    };
    let mut head = format!("#### Blast radius\n\n{line}.\n");
    if !parts.is_empty() {
        head.push('\n');
        head.extend(parts.iter().map(|part| format!("- {}\n", prose(part))));
    }
    let waves = has_waves(blast);
    let row = |arrival: Option<&Arrival>, effect, hits: &[&Hit]| {
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
        let time = arrival.map_or_else(|| "At once: with the merge".to_owned(), when);
        let time = if waves { format!("{} | ", prose(&time)) } else { String::new() };
        format!("| {time}{} | {} | {teams} |\n", word(effect), hits.len())
    };
    let times = by_time(blast);
    let rows = times.iter().flat_map(|(arrival, groups)| {
        groups.iter().map(|(effect, hits)| row(*arrival, *effect, hits))
    });
    let rows: String = rows.collect();
    let table = match (rows.is_empty(), waves) {
        (true, _) => String::new(),
        (false, false) => format!("\n| what | requests | where |\n|---|---:|---|\n{rows}"),
        (false, true) => {
            format!("\n| when | what | requests | where |\n|---|---|---:|---|\n{rows}")
        }
    };
    let remarks = if remarks.is_empty() { remarks } else { format!("\n{remarks}") };
    Some([format!("{head}{table}{remarks}\n"), format!("{head}\n")])
}
