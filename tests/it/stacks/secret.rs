//! Values that nobody is to see.

use super::{Account, catalog};
use crate::world::{STATUS, ask, request};

const ID: &str = "orders/dev/secret";

#[test]
fn b74_what_is_not_to_be_echoed_is_told_nowhere() {
    let it = Account::new();
    it.world.catalog.commit(catalog::secret("1.0.0", "canary-the-first"));
    it.world.catalog.commit(catalog::secret("1.1.0", "canary-the-second"));
    let mut said = String::new();
    let mut hear = |args: &[&str]| {
        let output = it.world.vend_ends(0, args);
        said.push_str(&output.stdout);
        said.push_str(&output.stderr);
    };
    for version in ["1.0.0", "1.1.0"] {
        it.world.requests.commit([ask(ID, request(&format!("secret@{version}"), "{}"))]);
        hear(&["plan", "--preview", "--format", "json"]);
        hear(&["apply", "--wait", "--log", "json"]);
        it.world.ready(ID);
    }
    hear(&["logs", ID]);
    hear(&["status", ID]);
    hear(&["explain", ID]);
    said.push_str(&it.world.requests.read(STATUS, &format!("status/{ID}.yaml")).unwrap());
    assert!(said.contains("Value") && said.contains("(sensitive)"), "the preview was made: {said}");
    let url = it.aws.output(&it.stack(ID), "QueueUrl").unwrap();
    for canary in ["canary-the-first", "canary-the-second", url.as_str()] {
        assert!(!said.contains(canary), "{canary} in\n{said}");
    }
    // Nor does what is kept hold what only AWS knows.
    for file in walk(&it.world.root().join("state")) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(url.len()).any(|part| part == url.as_bytes());
        assert!(!found, "the output is in {}", file.display());
    }
    it.again_nothing();
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
