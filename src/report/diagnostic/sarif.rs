//! Diagnostics as SARIF 2.1.0 (OASIS), as code scanning services take them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::word;
use crate::model::{Diagnostic, Fix, Place};

/// One run of `vend` of that version, with one rule for each code that occurs.
pub fn sarif(diagnostics: &[Diagnostic], version: &str) -> Value {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|found| &*found.code).collect();
    let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
    let index = |code: &str| codes.iter().position(|known| *known == code);
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "vend", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(|d| result(d, index(&d.code))).collect::<Vec<_>>(),
        }],
    })
}

fn result(found: &Diagnostic, rule: Option<usize>) -> Value {
    let Diagnostic { code, severity, place, message, help, related, fix } = found;
    let text = if help.is_empty() { message.clone() } else { format!("{message}\nhelp: {help}") };
    let mut result = json!({
        "ruleId": code,
        "ruleIndex": rule,
        "level": word(*severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": location(place) }],
    });
    if !related.is_empty() {
        let one = |(place, label): &(Place, String)| json!({ "physicalLocation": location(place), "message": { "text": label } });
        result["relatedLocations"] = related.iter().map(one).collect();
    }
    if let Some(Fix { place, replacement }) = fix {
        result["fixes"] = json!([{
            "artifactChanges": [{
                "artifactLocation": artifact(place),
                "replacements": [{
                    "deletedRegion": region(place),
                    "insertedContent": { "text": replacement },
                }],
            }],
        }]);
    }
    result
}

fn location(place: &Place) -> Value {
    json!({ "artifactLocation": artifact(place), "region": region(place) })
}

fn region(place: &Place) -> Value {
    json!({
        "startLine": place.line, "startColumn": place.column,
        "endLine": place.end_line, "endColumn": place.end_column,
    })
}

/// A relative URI reference: a path with everything else percent-encoded, so that no name reads as
/// a scheme, a query or a fragment (RFC 3986).
fn artifact(place: &Place) -> Value {
    let mut uri = String::new();
    for byte in place.file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            byte => _ = write!(uri, "%{byte:02X}"),
        }
    }
    json!({ "uri": uri })
}
