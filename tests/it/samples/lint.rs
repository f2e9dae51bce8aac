//! cfn-lint finds nothing in what the samples render to: every request for CloudFormation in its
//! environment, and every template test, all by `vend render`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vend::catalog::RequestFile;
use vend::model::Reference;
use vend::yaml;

use super::program::vend;
use super::render::request_of;
use super::{needing, root, sample_catalog, sample_requests};

/// What another request's output may come to. cfn-lint looks at what identifiers look like.
fn output(reference: &Reference) -> Value {
    let subnet = |letter: char| format!("subnet-0{letter}1b2c3d4e5f60718");
    match reference.output.as_str() {
        "vpcId" => json!("vpc-0a1b2c3d4e5f60718"),
        "privateSubnetIds" => json!(['a', 'b', 'c'].map(subnet).join(",")),
        "privateSubnetA" => json!(subnet('a')),
        "cidr" => json!("10.20.0.0/16"),
        other => panic!("say what `{other}` of a stack looks like"),
    }
}

/// A file that asks for what `request` asks for, with values in place of references.
fn standing_alone(request: &RequestFile) -> String {
    let mut parameters = request.parameters.clone();
    let filled = request.references.iter().map(|(name, from)| (name.clone(), output(from)));
    parameters.extend(filled);
    let mut spec = json!({"template": request.template.to_string(), "parameters": parameters});
    if let Some(reason) = &request.reason {
        spec["reason"] = json!(reason);
    }
    yaml::write_json(&json!({
        "apiVersion": "vend.dev/v1",
        "kind": "Request",
        "metadata": {"labels": request.labels},
        "spec": spec,
    }))
}

/// Renders a request and keeps its stack; tells the file's name.
fn keep(repository: &Path, request: &RequestFile, name: &str) -> String {
    let id = &request.id;
    let path = format!("requests/{id}.yaml");
    let file = repository.join(&path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, standing_alone(request)).unwrap();
    let output = vend(repository, &["render", "--format", "json", id.as_str()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    // The next may be another test's request of the same name.
    std::fs::remove_file(file).unwrap();

    let files: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = files.as_object().unwrap();
    assert_eq!(files.len(), 1, "{name} is one stack");
    let kept = format!("{}.json", name.replace('/', "-"));
    std::fs::write(repository.join(&kept), files.values().next().unwrap().as_str().unwrap())
        .unwrap();
    kept
}

#[test]
fn cfn_lint_finds_nothing_in_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "catalog": {"repository": root().join("sample-catalog")},
        "requests": [{"repository": "."}],
    });
    std::fs::write(folder.path().join("vend.yaml"), config.to_string()).unwrap();

    let (catalog, requests) = (sample_catalog(), sample_requests());
    let from_requests = needing("cloudformation");
    let asked = requests.values().filter(|request| from_requests.contains(request.id.as_str()));
    let mut stacks: Vec<String> =
        asked.map(|request| keep(folder.path(), request, request.id.as_str())).collect();
    for version in catalog.versions() {
        let of_provider = version.components.iter().any(|c| c.provider == "cloudformation");
        for test in &version.tests {
            let expect = &test.document.spec.expect;
            let is_refused = |codes: &Option<Vec<String>>| codes.iter().flatten().next().is_some();
            if of_provider && !is_refused(&expect.diagnostics) && !is_refused(&expect.policy) {
                let name = format!("{}-{}", version.id, test.name);
                stacks.push(keep(folder.path(), &request_of(version, test), &name));
            }
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

#[test]
fn the_sample_catalog_is_as_its_authors_would_like_it() {
    let installed = Command::new(root().join("scripts/python-tools")).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = [root().join(".tools/python/bin")];
    let path = tools.into_iter().chain(std::env::split_paths(&path));
    // Apart from this repository: samples are no published versions, and may be edited.
    let apart = tempfile::tempdir().unwrap();
    let catalog = apart.path().join("catalog");
    let copied =
        Command::new("cp").arg("-R").arg(root().join("sample-catalog")).arg(&catalog).status();
    assert!(copied.unwrap().success());
    let output = Command::new(env!("CARGO_BIN_EXE_vend"))
        .args(["catalog", "check", "--strict"])
        .arg(&catalog)
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(0), "\n{said}");
    // It asked, and nothing else was left out.
    let lines: Vec<&str> = said.lines().collect();
    let [note, checked] = lines[..] else { panic!("\n{said}") };
    assert!(note.starts_with("note: there was nothing to compare with"), "\n{said}");
    assert!(checked.starts_with("Checked "), "\n{said}");
}
