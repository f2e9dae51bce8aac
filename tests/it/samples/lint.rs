//! cfn-lint finds nothing in what the samples render to: every request for CloudFormation in its
//! environment, and every template test.

use std::process::Command;

use serde_json::json;
use vend::catalog::Filled;
use vend::model::Reference;

use super::render::{rendered, request_of};
use super::{needing, root, sample_catalog, sample_requests};

/// What another request's output may come to. cfn-lint looks at what identifiers look like.
fn output(reference: &Reference) -> Filled {
    let subnet = |letter: char| format!("subnet-0{letter}1b2c3d4e5f60718");
    Filled::Known(match reference.output.as_str() {
        "vpcId" => json!("vpc-0a1b2c3d4e5f60718"),
        "privateSubnetIds" => json!(['a', 'b', 'c'].map(subnet).join(",")),
        "privateSubnetA" => json!(subnet('a')),
        "cidr" => json!("10.20.0.0/16"),
        other => panic!("say what `{other}` of a stack looks like"),
    })
}

#[test]
fn cfn_lint_finds_nothing_in_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut stacks = Vec::new();
    let mut keep = |name: String, files: Vec<(String, String)>| {
        for (path, text) in files.into_iter().filter(|(path, _)| path.ends_with("/stack.json")) {
            let path = format!("{}-{}", name.replace('/', "-"), path.replace('/', "-"));
            std::fs::write(folder.path().join(&path), text).unwrap();
            stacks.push(path);
        }
    };

    let (catalog, requests) = (sample_catalog(), sample_requests());
    let from_requests = needing("cloudformation");
    for (id, request) in requests.iter().filter(|(id, _)| from_requests.contains(id.as_str())) {
        keep(id.to_string(), rendered(&catalog, request, &|reference, _| output(reference)));
    }
    let nothing = |_: &Reference, _: Option<&str>| unreachable!("no references here");
    for version in catalog.versions() {
        for test in version.tests.iter().filter(|t| t.document.spec.expect.diagnostics.is_none()) {
            let name = format!("{}-{}", version.id, test.name);
            keep(name, rendered(&catalog, &request_of(version, test), &nothing));
        }
    }
    assert!(stacks.len() > from_requests.len() + 10, "{stacks:?}");

    let installed = Command::new(root().join("scripts/python-tools")).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    // One process for all: it takes longer to start than to read them.
    let found = Command::new(root().join(".tools/python/bin/cfn-lint"))
        .args(["--non-zero-exit-code", "warning", "--regions", "eu-north-1", "--"])
        .args(&stacks)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = [&found.stdout[..], &found.stderr[..]].concat();
    assert!(found.status.success(), "\n{}", String::from_utf8_lossy(&text));
}
