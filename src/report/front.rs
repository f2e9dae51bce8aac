//! The front page of the status branch: counts, and the requests that need somebody.

use std::collections::BTreeMap;

use crate::model::{Diagnostic, Hold, RequestId, RequestPhase, SourceName, SourceProblem};
use crate::report::{hold, markdown};

/// At most this many requests are listed: the page is for people.
const MAX_LISTED: usize = 200;

/// What the page is made from.
pub struct Facts<'a> {
    /// Requests by `<team>/<environment>` and phase.
    pub counts: &'a BTreeMap<String, BTreeMap<RequestPhase, u64>>,
    /// What is held, by request.
    pub holds: &'a [(&'a RequestId, &'a Hold)],
    /// Sources that cannot be believed now.
    pub problems: &'a [(SourceName, SourceProblem)],
    /// Problems of the catalog and of paths.
    pub diagnostics: &'a [Diagnostic],
}

/// The page, in Markdown. Text from files, and what others answered, stays text: never live.
pub fn page(facts: &Facts<'_>) -> String {
    let mut out = String::from(
        "# What vend has applied\n\nWritten by vend alone; edits here are overwritten. One status file per request lies under `status/`, what it was rendered to under `rendered/`.\n",
    );
    problems(facts, &mut out);
    counts(facts, &mut out);
    holds(facts, &mut out);
    out
}

fn problems(facts: &Facts<'_>, out: &mut String) {
    if facts.problems.is_empty() && facts.diagnostics.is_empty() {
        return;
    }
    out.push_str("\n## Problems\n\n");
    for (name, problem) in facts.problems {
        out.push_str(&format!("- {}\n", markdown::line(&super::source::sentence(name, problem))));
    }
    for d in facts.diagnostics.iter().take(MAX_LISTED) {
        out.push_str(&format!(
            "- `{}` {}:{}: {}\n",
            d.code,
            markdown::short_code(&d.place.file, 200),
            d.place.line,
            markdown::prose(&d.message)
        ));
    }
}

fn counts(facts: &Facts<'_>, out: &mut String) {
    let mut phases: Vec<RequestPhase> =
        facts.counts.values().flat_map(|row| row.keys().copied()).collect();
    phases.sort_unstable();
    phases.dedup();
    if phases.is_empty() {
        out.push_str("\nNo requests.\n");
        return;
    }
    let names: Vec<String> = phases.iter().map(|p| format!("{p:?}")).collect();
    out.push_str(&format!(
        "\n| team | environment | {} |\n|---|---|{}\n",
        names.join(" | "),
        "---:|".repeat(phases.len())
    ));
    for (key, row) in facts.counts {
        let (team, environment) = key.split_once('/').unwrap_or((key, ""));
        let cells: Vec<String> =
            phases.iter().map(|p| row.get(p).map_or(String::new(), u64::to_string)).collect();
        out.push_str(&format!("| {team} | {environment} | {} |\n", cells.join(" | ")));
    }
}

fn holds(facts: &Facts<'_>, out: &mut String) {
    if facts.holds.is_empty() {
        return;
    }
    out.push_str("\n## Not ready\n\n| request | why |\n|---|---|\n");
    for (id, hold) in facts.holds.iter().take(MAX_LISTED) {
        out.push_str(&format!(
            "| [`{id}`](status/{id}.yaml) | {} |\n",
            markdown::cell(&hold::sentence(hold))
        ));
    }
    if facts.holds.len() > MAX_LISTED {
        out.push_str(&format!("\n{} more are not listed.\n", facts.holds.len() - MAX_LISTED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_counts_and_lists() {
        let mut counts = BTreeMap::new();
        counts.insert(
            "orders/dev".to_owned(),
            BTreeMap::from([(RequestPhase::Ready, 3), (RequestPhase::Held, 1)]),
        );
        let page = page(&Facts { counts: &counts, holds: &[], problems: &[], diagnostics: &[] });
        assert!(page.contains("| team | environment | Ready | Held |"), "{page}");
        assert!(page.contains("| orders | dev | 3 | 1 |"), "{page}");
    }
}
