//! The program itself, in the folders as they lie here.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::root;

pub fn vend(folder: impl AsRef<Path>, arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_vend"))
        .args(arguments)
        .current_dir(root().join(folder))
        .env_remove("VEND_CONFIG")
        .env("XDG_CACHE_HOME", cache.path())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}\n{}", output.status, String::from_utf8(all).unwrap())
}

#[test]
fn the_sample_catalog_is_valid() {
    let output = vend("sample-catalog", &["validate"]);
    let text = text(&output);
    assert!(output.status.success() && text.contains(" 0 errors, 0 warnings."), "{text}");
}

#[test]
fn the_template_tests_of_the_samples_pass() {
    let output = vend("sample-catalog", &["--format", "json", "catalog", "test"]);
    assert!(output.status.success(), "{}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all: usize = super::sample_catalog().versions().map(|version| version.tests.len()).sum();
    assert_eq!(told["passed"], all);
    assert_eq!(told["unused"], serde_json::json!([]));
}

#[test]
fn every_template_is_tested_with_what_it_takes_what_it_refuses_and_its_upgrade() {
    let catalog = super::sample_catalog();
    for version in catalog.versions() {
        let has = |is_it: &dyn Fn(&vend::catalog::file::TestSpec) -> bool| {
            version.tests.iter().any(|test| is_it(&test.document.spec))
        };
        assert!(
            has(&|spec| spec.expect.rendered.is_some() && !spec.is_upgrade()),
            "{}",
            version.id
        );
        assert!(has(&|spec| spec.expect.diagnostics.is_some()), "{}", version.id);
        let older = catalog.templates[&version.id.name].keys().any(|v| *v < version.id.version);
        assert!(!older || has(&|spec| spec.upgrade_from.is_some()), "{}", version.id);
    }
}

#[test]
fn the_sample_requests_are_valid() {
    let output = vend("sample-requests", &["--format", "json", "validate"]);
    assert!(output.status.success(), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["diagnostics"], serde_json::json!([]));
    assert_eq!(found["requests"], super::sample_requests().len());
}

#[test]
fn the_samples_rules_are_kept_and_deny_what_they_name() {
    let root = tempfile::tempdir().unwrap();
    let requests = root.path().join("requests");
    for environment in ["prod", "dev", "test"] {
        let folder = requests.join("orders").join(environment);
        std::fs::create_dir_all(&folder).unwrap();
        let text = "apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: dynamodb-table@1.0.0\n  \
             parameters: {keys: {id: text}, partitionKey: id, allowDeletion: true}\n";
        std::fs::write(folder.join("table.yaml"), text).unwrap();
        let reason = format!("{text}  reason: it is made anew from the events\n");
        std::fs::write(folder.join("explained.yaml"), reason).unwrap();
    }
    let catalog = super::root().join("sample-catalog");
    let config =
        format!("catalog: {{repository: {}}}\nrequests: [{{repository: .}}]\n", catalog.display());
    std::fs::write(root.path().join("vend.yaml"), config).unwrap();
    let output = vend(root.path(), &["validate"]);
    let text = text(&output);
    assert_eq!(text.matches("error[POL002]").count(), 1, "{text}");
    assert!(
        text.contains("requests/orders/prod/table.yaml") && text.contains("`reason`"),
        "{text}"
    );
    assert!(
        std::fs::read_to_string(catalog.join("environments/prod.yaml"))
            .unwrap()
            .contains("teams: [platform]")
    );
}

/// As JSON, which is YAML too, with the keys of every mapping the other way round.
fn backwards(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::String(key.clone()), backwards(value))
            };
            format!("{{{}}}", map.iter().rev().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[test]
fn f28_a_request_renders_to_the_same_bytes_in_any_process_and_order() {
    let root = tempfile::tempdir().unwrap();
    for (path, bytes) in super::files("sample-catalog") {
        let to = root.path().join("sample-catalog").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    let mut turned = 0;
    for (path, bytes) in super::files("sample-requests") {
        let to = root.path().join("sample-requests").join(&path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let is_request = path.starts_with("requests/");
        let text = if is_request {
            let nodes = vend::yaml::read(&path.into(), &bytes, &vend::yaml::Options::request());
            turned += 1;
            backwards(&nodes.unwrap()[0].to_json()).into_bytes()
        } else {
            bytes
        };
        std::fs::write(to, text).unwrap();
    }
    let requests = super::sample_requests();
    assert_eq!(turned, requests.len());
    for id in requests.keys().map(ToString::to_string) {
        let here = vend("sample-requests", &["render", &id]);
        let there = vend(root.path().join("sample-requests"), &["render", &id]);
        assert!(here.status.success() && !here.stdout.is_empty(), "{}", text(&here));
        assert_eq!(text(&here), text(&there), "{id}");
    }
}
