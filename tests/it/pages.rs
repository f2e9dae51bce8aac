//! The pages that list things list all of them.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `path.to.each[].setting` of a schema of objects and lists.
pub fn settings(
    schema: &serde_json::Value,
    prefix: &str,
    out: &mut Vec<(String, serde_json::Value)>,
) {
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

/// The head of each table of settings.
const HEAD: &str = "| setting | default | meaning |";

/// A default as the page has it.
fn shown(default: &serde_json::Value) -> String {
    default.as_str().map_or_else(|| default.to_string(), |text| format!("`{text}`"))
}

/// What a setting is for, as the schema has it.
fn described(schema: &serde_json::Value, setting: &serde_json::Value) -> String {
    let kind =
        setting["$ref"].as_str().and_then(|kind| schema.pointer(kind.trim_start_matches('#')));
    let places = [Some(setting), kind].into_iter().flatten();
    places.filter_map(|p| p["description"].as_str()).next().unwrap_or_default().to_owned()
}

/// The page as the schema wants it: rows of settings that there are, with the defaults that they have. What a row
/// says beside that is people's.
fn with_settings(page: &str, schema: &serde_json::Value) -> String {
    let mut all = Vec::new();
    settings(schema, "", &mut all);
    let named = Regex::new(r"`([A-Za-z\[\].]+)`").unwrap();
    let (mut out, mut seen) = (Vec::<String>::new(), BTreeSet::new());
    let mut in_table = false;
    for line in page.lines() {
        in_table = line == HEAD || (in_table && line.starts_with('|'));
        let cells: Vec<&str> = line.splitn(4, '|').collect();
        if !in_table || line == HEAD || line.starts_with("|-") {
            out.push(line.to_owned());
            continue;
        }
        let names: Vec<&str> =
            named.captures_iter(cells[1]).map(|c| c.get(1).unwrap().as_str()).collect();
        let known: Vec<_> = all.iter().filter(|(path, _)| names.contains(&path.as_str())).collect();
        // A row of what is not there goes.
        if known.len() != names.len() || known.is_empty() {
            continue;
        }
        seen.extend(known.iter().map(|(path, _)| path.clone()));
        let default = known.iter().find_map(|(_, s)| s.get("default")).map(shown);
        let default = default.unwrap_or_else(|| cells[2].trim().to_owned());
        let default = if default.is_empty() { " ".to_owned() } else { format!(" {default} ") };
        out.push(format!("|{}|{default}|{}", cells[1], cells[3]));
    }
    // A setting without a row gets one below its nearest relative.
    for (path, setting) in all.iter().filter(|(path, _)| !seen.contains(path)) {
        let common = |line: &String| {
            let name = line.strip_prefix("| `").and_then(|l| l.split('`').next());
            name.map_or(0, |n| n.chars().zip(path.chars()).take_while(|(a, b)| a == b).count())
        };
        let best = out.iter().map(common).max().unwrap();
        let at = out.iter().rposition(|line| common(line) == best).unwrap();
        let default = setting.get("default").map(shown).unwrap_or_default();
        out.insert(at + 1, format!("| `{path}` | {default} | {} |", described(schema, setting)));
    }
    out.join("\n") + "\n"
}

#[test]
fn every_setting_is_explained_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = read("docs/configuration.md");
    // That its defaults are those of the types is held in `cli::config`.
    let schema = serde_json::from_str(&read("catalog-schema/vend.schema.json")).unwrap();
    let wanted = with_settings(&page, &schema);
    if std::env::var_os("VEND_BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    assert_eq!(page, wanted, "VEND_BLESS=1 writes the rows, then read them");

    // It can find something: another default, a row too many, one too few.
    let row = "| `reconcile.lease` | `30s` |";
    assert!(page.contains(row));
    assert_eq!(with_settings(&page.replace(row, "| `reconcile.lease` | `31s` |"), &schema), page);
    let more = page.replace(row, &format!("| `reconcile.leash` | | no such thing |\n{row}"));
    assert_eq!(with_settings(&more, &schema), page);
    let less: String =
        page.lines().filter(|l| !l.starts_with(row)).map(|l| format!("{l}\n")).collect();
    assert!(with_settings(&less, &schema).contains(row), "{}", with_settings(&less, &schema));
}

#[test]
fn every_reason_to_hold_is_explained() {
    let source = read("src/model/hold.rs");
    let name = Regex::new(r#"Self::\w+(?: \{ \.\. \})? => "(\w+)""#).unwrap();
    let named: BTreeSet<String> = name.captures_iter(&source).map(|c| c[1].to_owned()).collect();
    assert!(named.len() > 20);
    let page = read("docs/holds.md");
    let heading = Regex::new(r"(?m)^### `([A-Z]\w+)`$").unwrap();
    let explained: Vec<&str> =
        heading.captures_iter(&page).map(|c| c.get(1).unwrap().as_str()).collect();
    assert_eq!(explained.len(), named.len(), "one heading each");
    assert_eq!(explained.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>(), named);
    // Each says what it means, and what a person does.
    for section in page.split("\n### `").skip(1) {
        let section = section.split("\n## ").next().unwrap();
        assert!(section.contains("\n**What to do.** "), "{section}");
        assert!(section.lines().nth(2).is_some_and(|means| means.len() > 20), "{section}");
    }
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
