//! Diagnostics for programs.

use serde_json::{Value, json};

use super::count;
use crate::model::{Diagnostic, Fix, Place, Severity};

/// `{version, summary: {errors, warnings, notes}, diagnostics: [{code, severity, place, message,
/// help, related, fix}]}`. Lines and columns count from 1, columns in characters, ends exclusive.
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    json!({
        "version": 1,
        "summary": {
            "errors": count(diagnostics, Severity::Error),
            "warnings": count(diagnostics, Severity::Warning),
            "notes": count(diagnostics, Severity::Note),
        },
        "diagnostics": diagnostics.iter().map(one).collect::<Vec<_>>(),
    })
}

fn one(found: &Diagnostic) -> Value {
    let Diagnostic { code, severity, place, message, help, related, fix } = found;
    let mut value = json!({
        "code": code,
        "severity": severity,
        "place": self::place(place),
        "message": message,
    });
    if !help.is_empty() {
        value["help"] = json!(help);
    }
    if !related.is_empty() {
        let label = |(place, label): &(Place, String)| json!({ "place": self::place(place), "label": label });
        value["related"] = related.iter().map(label).collect();
    }
    if let Some(Fix { place, replacement }) = fix {
        value["fix"] = json!({ "place": self::place(place), "replacement": replacement });
    }
    value
}

fn place(place: &Place) -> Value {
    let Place { file, line, column, end_line, end_column } = place;
    json!({
        "file": file, "line": line, "column": column,
        "endLine": end_line, "endColumn": end_column,
    })
}
