//! `vend init`: what it writes works at once.

use std::path::Path;
use std::process::{Command, Output};

fn vend(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vend"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nowhere")
        .env("XDG_CACHE_HOME", folder.join("../cache"))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}{}", output.status, String::from_utf8(text).unwrap())
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_init_writes_is_applied_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let made = vend(temp.path(), &["init", "start"]);
    assert!(made.status.success(), "{}", said(&made));
    let start = temp.path().join("start");

    let checked = vend(&start.join("requests"), &["validate"]);
    insta::assert_snapshot!(said(&checked), @"exit status: 0Checked 1 request: 0 errors, 0 warnings.");
    let catalog = vend(&start, &["validate", "catalog"]);
    insta::assert_snapshot!(said(&catalog), @"exit status: 0Checked 1 template version: 0 errors, 0 warnings.");

    let applied = vend(&start, &["apply"]);
    insta::assert_snapshot!(said(&applied), @r"
    exit status: 0done created   web/dev/settings#config
    Applied: 1 created, 1 ready.
    ");
    let written =
        git(&start.join("deployments.git"), &["show", "main:dev/web/settings/config/config.yaml"]);
    assert!(written.ends_with("data:\n  LOG_LEVEL: info\n"), "{written}");
    insta::assert_snapshot!(said(&vend(&start, &["apply"])), @"exit status: 0Nothing to do.");
    let there = vend(&start.join("requests"), &["status"]);
    insta::assert_snapshot!(said(&there), @"exit status: 0web/dev/settings  Ready      app-config@1.0.0");
    for name in ["catalog", "requests"] {
        assert_eq!(git(&start.join(name), &["status", "--porcelain"]), "", "{name} is committed");
    }
}

#[test]
fn the_schema_for_editors_is_the_one_that_the_command_writes() {
    let temp = tempfile::tempdir().unwrap();
    assert!(vend(temp.path(), &["init", "start"]).status.success());
    let requests = temp.path().join("start/requests");
    let written = std::fs::read(requests.join(".vend/request.schema.json")).unwrap();
    let printed = vend(&requests, &["schema"]);
    assert_eq!(said(&printed), format!("exit status: 0{}", String::from_utf8(written).unwrap()));
}

#[test]
fn a_folder_with_anything_in_it_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("mine"), "").unwrap();
    let refused = vend(temp.path(), &["init", "."]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    let refused = vend(temp.path(), &["init", "mine"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}
