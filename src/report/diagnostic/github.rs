//! Diagnostics as GitHub Actions' workflow commands.
//!
//! See GitHub's "Workflow commands", and `actions/toolkit` `command.ts` for the escapes.

use std::fmt::Write as _;

use super::clean;
use crate::model::{Diagnostic, Severity};

/// One command for each, each on a line of its own: `::error file=…,line=…::message`.
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for found in diagnostics {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", command(found));
    }
    out
}

/// What is about no file, such as what was not looked at: `::notice title=vend::message`.
pub fn github_notices(notes: &[String]) -> String {
    let mut out = String::new();
    for note in notes {
        let _ = writeln!(out, "::notice title=vend::{}", clean(note).replace('%', "%25"));
    }
    out
}

fn command(found: &Diagnostic) -> String {
    let Diagnostic { code, severity, place, message, help, related, fix } = found;
    let level = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut command = format!("::{level} file={},line={}", property(&place.file), place.line);
    // Columns of a stretch over several lines are refused; without any the whole line is meant.
    if place.end_line == place.line && place.end_column > place.column {
        let _ = write!(
            command,
            ",col={},endLine={},endColumn={}",
            place.column, place.end_line, place.end_column
        );
    } else if place.end_line > place.line {
        let _ = write!(command, ",endLine={}", place.end_line);
    }
    let _ = write!(command, ",title={}", property(&format!("{code}: {message}")));
    let mut lines = vec![clean(message)];
    if !help.is_empty() {
        lines.push(format!("help: {}", clean(help)));
    }
    for (place, label) in related {
        lines.push(format!("{}:{}: {}", clean(&place.file), place.line, clean(label)));
    }
    if let Some(fix) = fix {
        lines.push(format!("write: {}", clean(&fix.replacement)));
    }
    let lines: Vec<String> = lines.iter().map(|line| line.replace('%', "%25")).collect();
    format!("{command}::{}", lines.join("%0A"))
}

fn property(text: &str) -> String {
    clean(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}
