//! Values that nobody is to see.

use serde_json::json;

use super::{Account, catalog};
use crate::aws::{Fault, Rule};
use crate::world::{STATUS, ask, request, request_with};

const ID: &str = "orders/dev/secret";

#[test]
fn b74_what_is_not_to_be_echoed_is_told_nowhere() {
    let it = Account::new();
    it.world.catalog.commit(catalog::repeating("1.0.0", "canary-the-first"));
    it.world.catalog.commit(catalog::repeating("1.1.0", "canary-the-second"));
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

#[test]
fn b74_what_an_error_repeats_of_a_secret_value_is_told_nowhere() {
    let it = Account::new();
    it.world.catalog.commit(catalog::secret("1.0.0", "canary-the-first"));
    let text = "the value `canary-the-first` of Password is too short";
    it.aws.rule(Rule::on("CreateStack", Fault::Refuse(400, "ValidationError", text)));
    it.world.requests.commit([ask(ID, request("secret@1.0.0", "{}"))]);
    let output = it.world.vend(&["apply", "--wait", "--log", "json"]);
    let (phase, _, sentence) = it.world.standing(ID);
    assert_eq!(phase, "Failed", "{sentence}");
    assert!(sentence.contains("is too short"), "{sentence}");
    let status = it.world.requests.read(STATUS, &format!("status/{ID}.yaml")).unwrap();
    let logs = it.world.vend_ends(0, &["logs", ID]).stdout;
    for told in [&output.stdout, &output.stderr, &status, &logs] {
        assert!(!told.contains("canary-the-first"), "an error tells a secret: {told}");
    }
    it.aws.no_rules();
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    it.world.ready(ID);
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

/// A secret of that name in the account's Secrets Manager; its ARN.
fn keep(it: &Account, name: &str, password: &str) -> String {
    let value = json!({"password": password}).to_string();
    let body = json!({"Name": name, "SecretString": value});
    let made = it.aws.json("secretsmanager", "secretsmanager.CreateSecret", &body);
    made["ARN"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_reaches_its_stack_and_nobody_else() {
    let it = Account::new();
    let secrets = "  secrets: {allow: [\"arn:aws:secretsmanager:*:secret:orders/*\"]}\n";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", secrets)]);
    it.world.catalog.commit(catalog::opened());
    let first = keep(&it, "orders/first", "canary-the-first");
    let second = keep(&it, "orders/second", "canary-the-second");
    let asks = |arn: &str, note: &str| {
        let more =
            format!("secrets: {{password: {{awsSecretsManager: \"{arn}\", key: password}}}}");
        ask(ID, request_with("opened@1.0.0", &format!("{{note: {note}}}"), &more))
    };
    let said = std::cell::RefCell::new(String::new());
    let hear = |args: &[&str]| {
        let output = it.world.vend_ends(0, args);
        said.borrow_mut().push_str(&(output.stdout + &output.stderr));
    };
    for note in ["one", "two"] {
        it.world.requests.commit([asks(&first, note)]);
        hear(&["plan", "--preview"]);
        hear(&["plan", "--preview", "--format", "json"]);
        hear(&["apply", "--wait", "--log", "json"]);
        it.world.ready(ID);
    }
    let stack = it.stack(ID);
    let name = it.aws.physical(&stack, "Kept").unwrap();
    let kept = it.aws.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": name}));
    assert_eq!(kept["Parameter"]["Value"], "canary-the-first", "the stack fetches it by itself");

    // A store that was lost knows the reference by its digest alone.
    std::fs::remove_dir_all(it.world.root().join("state")).unwrap();
    hear(&["state", "rebuild"]);
    it.world.requests.commit([asks(&second, "two")]);
    it.aws.only_looks(|| hear(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "ForbiddenChange");
    assert!(sentence.contains("password"), "{sentence}");
    ["logs", "status", "explain"].iter().for_each(|word| hear(&[word, ID]));
    it.world.requests.commit([asks(&first, "two")]);
    hear(&["apply", "--wait"]);
    it.world.ready(ID);

    let branch = it.world.requests.read(STATUS, &format!("status/{ID}.yaml")).unwrap();
    let said = said.into_inner() + &branch;
    assert!(said.contains("Kept") && said.contains("password"), "it was told of: {said}");
    for canary in ["canary-the-first", "canary-the-second"] {
        assert!(!said.contains(canary), "{canary} in\n{said}");
        for file in walk(&it.world.root().join("state")) {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            assert!(!found, "{canary} is in {}", file.display());
        }
    }
    assert_eq!(it.aws.effects(&stack), ["create", "update"]);
    it.again_nothing();
}
