//! Every code that the program can say is explained in `docs/diagnostics.md`.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

fn codes(at: &Path, pattern: &Regex, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            codes(&path, pattern, found);
        } else if path.extension().is_some_and(|e| e == "rs")
            && !path.to_string_lossy().contains("tests")
        {
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.extend(pattern.captures_iter(code).map(|c| c[1].to_owned()));
        }
    }
}

#[test]
fn every_code_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quoted = Regex::new(r#""([A-Z]{3,4}\d{3})""#).unwrap();
    let mut said = BTreeSet::new();
    codes(&root.join("src"), &quoted, &mut said);
    let page = std::fs::read_to_string(root.join("docs/diagnostics.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([A-Z]{3,4}\d{3})` \|").unwrap();
    let rows: Vec<String> = row.captures_iter(&page).map(|c| c[1].to_owned()).collect();
    let explained: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), explained.len(), "a code is explained twice");
    let missing: Vec<_> = said.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/diagnostics.md lacks {missing:?}");
}
