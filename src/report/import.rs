//! What an import did not carry over, line by line: `IMPORT.md` beside the new version.

use crate::model::{Diagnostic, escape};

/// The page. `from` says in words what was imported.
pub fn page(from: &str, template: &str, notes: &[Diagnostic]) -> String {
    let mut out = format!("# Import of {template}\n\nMade from {from} by `vend catalog import`.\n");
    let lost: Vec<_> = notes.iter().filter(|note| note.code == "IMP002").collect();
    let changed: Vec<_> = notes.iter().filter(|note| note.code == "IMP003").collect();
    section(&mut out, "Left out", &lost);
    section(&mut out, "To look at", &changed);
    let others = notes.iter().filter(|note| note.code != "IMP002" && note.code != "IMP003");
    section(&mut out, "Problems of the new version", &others.collect::<Vec<_>>());
    if notes.is_empty() {
        out.push_str("\nEverything was carried over.\n");
    }
    out.push_str("\nRemove this file once all of it is dealt with; a version that is published never changes.\n");
    out
}

fn section(out: &mut String, title: &str, notes: &[&Diagnostic]) {
    if notes.is_empty() {
        return;
    }
    out.push_str(&format!("\n## {title}\n\n"));
    for note in notes {
        let place = format!("{}:{}", escape(&note.place.file, 200), note.place.line);
        out.push_str(&format!("- `{place}`: {}", note.message));
        if !note.help.is_empty() {
            out.push_str(&format!(" ({})", note.help));
        }
        out.push('\n');
    }
}

/// What a person reads on the terminal once it is done.
pub fn done(folder: &str, notes: &[Diagnostic]) -> String {
    let count = |code: &str| notes.iter().filter(|note| note.code == code).count();
    let things = |n: usize| if n == 1 { "1 thing".to_owned() } else { format!("{n} things") };
    let mut out = format!("Wrote {folder}.\n");
    if notes.is_empty() {
        out.push_str("Everything was carried over.\n");
        return out;
    }
    let (lost, changed) = (count("IMP002"), count("IMP003"));
    out.push_str(&format!("Left out: {}; to look at: {}", things(lost), things(changed)));
    // What the catalog would have against it as it stands.
    if let Some(wrong) = notes.len().checked_sub(lost + changed).filter(|wrong| *wrong > 0) {
        out.push_str(&format!("; wrong with the new version: {}", things(wrong)));
    }
    out.push_str(&format!(". {folder}/IMPORT.md lists them.\n"));
    out
}
