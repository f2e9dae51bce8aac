//! Problems of the files that a pull request changes.

use crate::model::{Brief, Diagnostic, Severity, visible};
use crate::report::markdown::{capital, prose};
use crate::report::{diagnostic, source};

use super::link;

/// At most so many of each severity; the check has them all.
const ERRORS: usize = 10;
const OTHERS: usize = 5;

/// Characters of what is said of a branch.
const TROUBLE: usize = 1_000;

/// `2 errors, 1 warning in 2 files`.
pub(super) fn count(brief: &Brief) -> String {
    diagnostic::summary(&brief.diagnostics)
}

/// What is wrong with its branch, with what helps: until that is over, what is merged waits.
pub(super) fn troubles(brief: &Brief) -> String {
    let said = brief.troubles.iter().map(|(name, problem)| {
        format!("> - {}\n", prose(&visible(&source::sentence(name, problem), TROUBLE)))
    });
    let said: String = said.collect();
    match said.is_empty() {
        true => said,
        false => format!("> [!WARNING]\n> What is merged waits:\n{said}\n"),
    }
}

/// Errors, the first few, with where, what and how to mend it.
pub(super) fn errors(brief: &Brief, most: usize) -> String {
    let errors: Vec<_> = brief.diagnostics.iter().filter(|d| d.is_error()).collect();
    if errors.is_empty() {
        return String::new();
    }
    let all = if errors.len() > 1 { "these are" } else { "this is" };
    let mut out = format!("Until {all} mended, vend leaves alone what the files made before.\n\n");
    out.push_str(&list(brief, &errors, most));
    out + "\n"
}

/// The rest, in a list of their own.
pub(super) fn others(brief: &Brief, most: usize) -> String {
    let others: Vec<_> =
        brief.diagnostics.iter().filter(|d| d.severity != Severity::Error).collect();
    list(brief, &others, most)
}

/// How many are shown in a comment.
pub(super) fn in_comment(brief: &Brief) -> (String, String) {
    (errors(brief, ERRORS), others(brief, OTHERS))
}

fn list(brief: &Brief, found: &[&Diagnostic], most: usize) -> String {
    let mut out: String = found.iter().take(most).map(|d| item(brief, d)).collect();
    let more = found.len().saturating_sub(most);
    if more > 0 {
        out.push_str(&format!("- {more} more: each stands on its line, in the check\n"));
    }
    out
}

fn item(brief: &Brief, found: &Diagnostic) -> String {
    let Diagnostic { code, severity: _, place, message, help, related, fix: _ } = found;
    let at = link::place(brief, &place.file, place.line, place.column);
    let mut out = format!("- {at} **{code}** {}\n", prose(message));
    if !help.is_empty() {
        out.push_str(&format!("  <br>{}\n", prose(&capital(help))));
    }
    for (place, label) in related {
        let at = link::place(brief, &place.file, place.line, place.column);
        out.push_str(&format!("  <br>See {at}: {}\n", prose(label)));
    }
    out
}
