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
fn the_sample_requests_are_valid() {
    let output = vend("sample-requests", &["--format", "json", "validate"]);
    assert!(output.status.success(), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["diagnostics"], serde_json::json!([]));
    assert_eq!(found["requests"], super::sample_requests().len());
}
