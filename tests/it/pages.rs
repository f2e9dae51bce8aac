//! The pages that list things list all of them.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `path.to.each[].setting` of a schema of objects and lists.
pub fn settings(schema: &serde_json::Value, prefix: &str, out: &mut Vec<(String, serde_json::Value)>) {
    let Some(properties) = schema.get("properties").and_then(|p| p.as_object()) else { return };
    for (name, inner) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let (path, inner) = match inner.get("items").filter(|i| i.get("properties").is_some()) {
            Some(items) => (format!("{path}[]"), items),
            None => (path, inner),
        };
        if inner.get("properties").is_some() {
            settings(inner, &path, out);
        } else {
            out.push((path, inner.clone()));
        }
    }
}

#[test]
fn every_setting_is_explained_with_its_default() {
    let page = read("docs/configuration.md");
    let schema = serde_json::from_str(&read("catalog-schema/vend.schema.json")).unwrap();
    let mut all = Vec::new();
    settings(&schema, "", &mut all);
    assert!(all.len() > 30);
    for (path, setting) in all {
        let row = page.lines().find(|l| l.starts_with('|') && l.contains(&format!("`{path}`")));
        if setting.get("x-not-supported").is_some() {
            assert!(page.contains(&format!("`{path}`")), "{path} is not mentioned");
            continue;
        }
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row of `{path}`"));
        let default = match setting.get("default") {
            Some(serde_json::Value::String(text)) => format!("| `{text}` |"),
            Some(other) => format!("| {other} |"),
            None => continue,
        };
        assert!(row.contains(&default), "the default of `{path}` is {default}: {row}");
    }
}

#[test]
fn every_reason_to_hold_is_explained() {
    let source = read("src/model/hold.rs");
    let name = Regex::new(r#"Self::\w+(?: \{ \.\. \})? => "(\w+)""#).unwrap();
    let named: BTreeSet<String> = name.captures_iter(&source).map(|c| c[1].to_owned()).collect();
    assert!(named.len() > 20);
    let row = Regex::new(r"(?m)^\| `([A-Z]\w+)` \|").unwrap();
    let page = read("docs/operate.md");
    let explained: BTreeSet<String> = row.captures_iter(&page).map(|c| c[1].to_owned()).collect();
    assert_eq!(explained, named);
}

#[test]
fn the_floors_are_those_that_the_code_is_held_against() {
    let row = Regex::new(r"(?m)^\| (\w+) \| `(\w+)` \|").unwrap();
    let page = read("ARCHITECTURE.md");
    let mut drawn: Vec<(String, String)> =
        row.captures_iter(&page).map(|c| (c[2].to_owned(), c[1].to_owned())).collect();
    let mut held: Vec<(String, String)> = crate::layering::floors();
    drawn.sort();
    held.sort();
    assert_eq!(drawn, held);
}

#[test]
fn every_decision_is_in_the_list() {
    let list = read("docs/decisions/README.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("({name})")), "{name} is not listed");
    }
}
