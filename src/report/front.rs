//! The front page of the status branch: counts, and the requests that need somebody.

use std::collections::BTreeMap;

use crate::model::{Diagnostic, Hold, RequestId, RequestPhase, SourceName, SourceProblem};
use crate::report::hold;

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

/// The page, in Markdown. Text from files is in code spans: never live.
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
        out.push_str(&format!("- {}\n", plain(&super::source::sentence(name, problem))));
    }
    for d in facts.diagnostics.iter().take(MAX_LISTED) {
        out.push_str(&format!(
            "- `{}` {}:{}: {}\n",
            d.code,
            code(&d.place.file),
            d.place.line,
            plain(&d.message)
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
            plain(&hold::sentence(hold))
        ));
    }
    if facts.holds.len() > MAX_LISTED {
        out.push_str(&format!("\n{} more are not listed.\n", facts.holds.len() - MAX_LISTED));
    }
}

/// Text that stays text in a Markdown table: no mention, link, image, HTML or table cell.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut in_code = false;
    for c in text.chars() {
        match c {
            '`' => {
                in_code = !in_code;
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            '|' => out.push_str("\\|"),
            '<' | '>' | '[' | ']' | '!' | '*' | '_' | '#' | '\\' if !in_code => {
                out.push('\\');
                out.push(c);
            }
            // A zero-width space keeps a name from being a mention.
            '@' if !in_code => out.push_str("@\u{200B}"),
            c => out.push(c),
        }
    }
    if in_code {
        out.push('`');
    }
    out
}

fn code(text: &str) -> String {
    format!("`{}`", crate::model::escape(text, 200).replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(plain("a|b <i> @you [x](y)"), "a\\|b \\<i\\> @\u{200B}you \\[x\\](y)");
        assert_eq!(plain("open `code"), "open `code`");
    }

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
