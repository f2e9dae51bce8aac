//! The program itself, in the folders as they lie here.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

use super::root;

fn vend(folder: &str, arguments: &[&str]) -> Output {
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
fn the_sample_requests_lack_nothing_but_a_provider_that_comes_later() {
    let output = vend("sample-requests", &["--format", "json", "validate"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors =
        found["diagnostics"].as_array().unwrap().iter().filter(|d| d["severity"] == "error");
    let errors: BTreeSet<String> = errors
        .map(|d| {
            format!("{} {}", d["code"].as_str().unwrap(), d["place"]["file"].as_str().unwrap())
        })
        .collect();
    let expected: BTreeSet<String> = super::needing("cloudformation")
        .iter()
        .map(|id| format!("SUP002 requests/{id}.yaml"))
        .collect();
    assert_eq!(errors, expected);
    assert_eq!(found["requests"], super::sample_requests().len());
}
