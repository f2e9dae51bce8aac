//! The alert rules and the dashboard: checked by promtool, and held against what a daemon prints and what
//! the pages say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;
use serde_json::Value;

use super::metrics::rows;
use crate::lacking::not_run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The alerts, each with its fields.
fn alerts() -> Vec<Value> {
    let text = read("docs/observability/alerts.yaml");
    let file = "alerts.yaml".into();
    let read = vend::yaml::read(&file, text.as_bytes(), &vend::yaml::Options::rendered());
    let rules = read.ok().unwrap().remove(0).to_json();
    let groups = rules["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

/// Every `expr` of the dashboard, and the queries of its variables.
fn expressions(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner) {
                    ("expr" | "definition", Value::String(text)) => out.push(text.clone()),
                    _ => expressions(inner, out),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| expressions(inner, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The metrics and the labels with values that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\bvend_\w+").unwrap();
    let part = ["_bucket", "_sum", "_count"];
    let whole = |name: &str| {
        let base = part.iter().find_map(|suffix| name.strip_suffix(suffix));
        base.unwrap_or(name).to_owned()
    };
    name.find_iter(expression).map(|found| whole(found.as_str())).collect()
}

/// promtool; `None` where there is none, which is said.
fn promtool(test: &str) -> Option<PathBuf> {
    let ours = root().join(".tools/prometheus/usr/bin/promtool");
    let found = ours.is_file().then_some(ours).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|at| at.join("promtool")).find(|it| it.is_file())
    });
    if found.is_none() {
        not_run(test, "promtool", "there is no promtool (prometheus)");
    }
    found
}

fn run(tool: &Path, folder: &Path, args: &[&str]) -> Output {
    Command::new(tool).args(args).current_dir(folder).output().unwrap()
}

#[test]
fn every_rule_is_sound_fires_where_it_should_and_nowhere_else() {
    let Some(tool) = promtool("alert rules") else { return };
    let folder = root().join("docs/observability");
    for args in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"]] {
        let said = run(&tool, &folder, &args);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
    // The tests can fail: each alert that never fires is missed.
    let broken = tempfile::tempdir().unwrap();
    let tests = read("docs/observability/alerts-test.yaml");
    std::fs::write(broken.path().join("alerts-test.yaml"), tests).unwrap();
    let never = Regex::new(r"(?m)^( +)for: .*$").unwrap();
    let rules = read("docs/observability/alerts.yaml");
    let rules = never.replace_all(&rules, "${1}for: 9w");
    std::fs::write(broken.path().join("alerts.yaml"), rules.as_bytes()).unwrap();
    let said = run(&tool, broken.path(), &["test", "rules", "alerts-test.yaml"]);
    assert!(!said.status.success());
    let said =
        String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    for alert in alerts() {
        let fires = format!("{} fires", alert["alert"].as_str().unwrap());
        assert!(said.contains(&fires), "{fires} is not tested:\n{said}");
    }
}

/// The dashboard's queries as recording rules: what Grafana puts in their place stands for its variables.
fn as_rules(expressions: &[String]) -> String {
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(n, expression)| {
            let expression = expression.replace("$job", ".*").replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("dashboard:n{n}"), "expr": expression})
        })
        .collect();
    // JSON is YAML.
    serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()
}

#[test]
fn every_query_of_the_dashboard_is_one_that_prometheus_takes() {
    let Some(tool) = promtool("queries of the dashboard") else { return };
    let board: Value = serde_json::from_str(&read("docs/observability/dashboard.json")).unwrap();
    let mut shown = Vec::new();
    expressions(&board["panels"], &mut shown);
    assert!(shown.len() > 20, "{shown:?}");
    let folder = tempfile::tempdir().unwrap();
    let check = |expressions: &[String]| {
        std::fs::write(folder.path().join("rules.yaml"), as_rules(expressions)).unwrap();
        let said = run(&tool, folder.path(), &["check", "rules", "rules.yaml"]);
        let words = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
        (said.status.success(), words.into_owned())
    };
    let (sound, words) = check(&shown);
    assert!(sound && !shown.iter().any(|it| it.contains("${")), "{words}");
    assert!(words.contains(&format!("{} rules found", shown.len())), "{words}");
    // It can fail: a parenthesis is lost.
    let broken = shown[0].replacen(')', "", 1);
    assert_ne!(broken, shown[0]);
    assert!(!check(&[broken]).0);
}

#[test]
fn every_alert_says_what_it_means_and_what_to_do() {
    let page = read("docs/operate.md");
    let mut sections = page.split("\n### ").skip(1);
    let mut explained = BTreeSet::new();
    for section in sections.by_ref().filter(|section| section.starts_with("Vend")) {
        let (heading, text) = section.split_once('\n').unwrap();
        let text = text.split("\n## ").next().unwrap().trim();
        assert!(text.len() > 60, "{heading} says nothing to do");
        explained.insert(heading.to_owned());
    }
    let tests = read("docs/observability/alerts-test.yaml");
    let mut named = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let notes = &alert["annotations"];
        for field in ["summary", "description"] {
            assert!(notes[field].as_str().is_some_and(|it| it.len() > 10), "{name} has no {field}");
        }
        let link = notes["runbook_url"].as_str().unwrap();
        assert_eq!(link, format!("docs/operate.md#{}", name.to_lowercase()), "{name}");
        assert!(matches!(alert["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}");
        for kind in ["fires", "does not fire"] {
            assert!(tests.contains(&format!("- name: {name} {kind}\n")), "{name} {kind}: no test");
        }
        assert!(named.insert(name.clone()), "{name} twice");
    }
    assert_eq!(explained, named);
}

#[test]
fn every_metric_in_a_rule_or_on_the_dashboard_is_one_that_there_is() {
    let rows = rows();
    let board: Value = serde_json::from_str(&read("docs/observability/dashboard.json")).unwrap();
    let mut shown = Vec::new();
    expressions(&board, &mut shown);
    assert!(shown.len() > 20, "{shown:?}");
    let rules: Vec<String> =
        alerts().iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect();
    let label = Regex::new(r"(\w+)(?:=|!=|=~|!~)\x22").unwrap();
    for expression in rules.iter().chain(&shown) {
        let metrics = named(expression);
        assert!(!metrics.is_empty(), "{expression}");
        for metric in &metrics {
            assert!(rows.contains_key(metric), "{metric} in {expression} is printed by nobody");
        }
        // Whatever is asked by is a label of one of them, or of the scrape.
        for found in label.captures_iter(expression) {
            let known = metrics.iter().any(|metric| rows[metric].contains(&found[1]));
            assert!(known || &found[1] == "job", "{} in {expression}", &found[1]);
        }
    }
    // All that is printed is looked at by somebody; a moment may stand for the age that it gives.
    let used: BTreeSet<String> = rules.iter().chain(&shown).flat_map(|it| named(it)).collect();
    let unused: Vec<&String> = rows.keys().filter(|metric| !used.contains(*metric)).collect();
    assert!(unused.is_empty(), "{unused:?}");
    let inputs = board["templating"]["list"].as_array().unwrap();
    assert!(inputs.iter().any(|it| it["name"] == "datasource" && it["type"] == "datasource"));
    let own = Regex::new(r#""uid": "([^"]*)""#).unwrap();
    for uid in own.captures_iter(&read("docs/observability/dashboard.json")) {
        assert!(["${datasource}", "vend-overview"].contains(&&uid[1]), "{}", &uid[1]);
    }
}

#[test]
fn the_alert_on_what_is_held_names_the_reasons_that_want_a_person() {
    let source = read("src/model/hold.rs");
    let (_, rest) = source.split_once("fn wants_a_person").unwrap();
    let (body, _) = rest.split_once("Self::NotObserved").unwrap();
    let reason = Regex::new(r"Self::(\w+)").unwrap();
    let wanting: BTreeSet<String> =
        reason.captures_iter(body).map(|found| found[1].to_owned()).collect();
    assert!(wanting.len() > 10);
    let alerts = alerts();
    let alert = alerts.iter().find(|alert| alert["alert"] == "VendHeldForAPerson").unwrap();
    let listed = Regex::new(r#"reason=~"([^"]*)""#).unwrap();
    let listed = listed.captures(alert["expr"].as_str().unwrap()).unwrap();
    let listed: BTreeSet<String> = listed[1].split('|').map(str::to_owned).collect();
    assert_eq!(listed, wanting);
}
