//! Problems as text: for a terminal, as JSON, as GitHub's workflow commands, as SARIF.
//!
//! Paths, messages and excerpts come from whoever wrote the file: in each form they can neither hide,
//! nor move the cursor, nor end the field they stand in.

mod excerpt;
mod github;
mod json;
mod mask;
mod sarif;
mod terminal;

pub use github::{github, github_notices};
pub use json::json;
pub use sarif::sarif;
pub use terminal::terminal;

use std::fmt::Write as _;

use crate::model::{Diagnostic, Severity, is_invisible};

/// How many there are: `2 errors, 1 warning in 2 files`; empty for none.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let counted = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (count(diagnostics, severity), word(severity)))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| plural(n, word));
    let counts: Vec<String> = counted.collect();
    if counts.is_empty() {
        return String::new();
    }
    let mut files: Vec<&str> = diagnostics.iter().map(|d| &*d.place.file).collect();
    files.sort_unstable();
    files.dedup();
    format!("{} in {}", counts.join(", "), plural(files.len(), "file"))
}

/// One on a line of its own, where there is no room for its place.
pub fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, message, help, .. } = diagnostic;
    let help = if help.is_empty() { String::new() } else { format!(" ({help})") };
    clean(&format!("{code}: {message}{help}"))
}

fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|found| found.severity == severity).count()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Text on one line, with what is invisible or moves the cursor escaped.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_clean(&mut out, c);
    }
    out
}

fn push_clean(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("    "),
        // `##[` starts an old workflow command anywhere in a line of a GitHub log.
        '[' if out.ends_with("##") => {
            out.pop();
            out.push_str("\\u{23}[");
        }
        c if c.is_control() || is_invisible(c) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:X}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests;
