//! What every CloudFormation template of the samples keeps to, beyond what cfn-lint knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{files, root, sample_catalog};

#[test]
fn every_template_says_what_it_is_and_is_tested() {
    for version in sample_catalog().versions() {
        let id = &version.id;
        let folder = root().join(format!("sample-catalog/templates/{}/{}", id.name, id.version));
        for page in ["README.md", "CHANGELOG.md"] {
            let text = std::fs::read_to_string(folder.join(page)).unwrap_or_default();
            assert!(text.starts_with("# ") && text.lines().count() > 3, "{id}: no {page}");
            let version = format!("## {}\n", id.version);
            assert!(page == "README.md" || text.contains(&version), "{id}: nothing in {page}");
        }
        assert!(!version.tests.is_empty(), "{id} has no tests");
        assert!(!version.outputs.is_empty(), "{id} has no outputs");
        let schema = std::fs::read(folder.join("schema.json")).unwrap();
        let schema: Value = serde_json::from_slice(&schema).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{id}");
        for (name, parameter) in schema["properties"].as_object().unwrap() {
            assert!(parameter["description"].is_string(), "{id}: {name} has no description");
        }
    }
}

/// Every golden stack, with its template's version.
fn stacks() -> Vec<(String, Value)> {
    files("sample-catalog")
        .into_iter()
        .filter(|(path, _)| path.contains("/tests/golden/") && path.ends_with("/stack.json"))
        .map(|(path, text)| (path, serde_json::from_slice(&text).unwrap()))
        .collect()
}

#[test]
fn stacks_give_every_output_that_their_template_promises() {
    let catalog = sample_catalog();
    let mut seen = BTreeSet::new();
    for (path, stack) in stacks() {
        let parts: Vec<&str> = path.split('/').collect();
        let ["templates", name, version, "tests", "golden", _, component, _] = parts[..] else {
            panic!("{path}")
        };
        let version = &catalog.templates[name][&version.parse().unwrap()];
        let given: BTreeSet<&str> =
            stack["Outputs"].as_object().unwrap().keys().map(String::as_str).collect();
        let promised = |spec: &vend::model::OutputSpec| {
            (spec.component.as_str() == component).then(|| spec.output.clone())
        };
        let promised: Vec<String> = version.outputs.values().filter_map(promised).collect();
        let promised: BTreeSet<&str> = promised.iter().map(String::as_str).collect();
        assert_eq!(given, promised, "{path}");
        assert_eq!(stack["AWSTemplateFormatVersion"], "2010-09-09", "{path}");
        seen.insert(version.id.clone());
    }
    let of_provider = catalog.versions().filter(|version| {
        version.components.iter().any(|component| component.provider == "cloudformation")
    });
    assert_eq!(seen, of_provider.map(|version| version.id.clone()).collect());
}

/// Resources that hold what cannot be made again.
const STATEFUL: &[&str] = &[
    "AWS::DynamoDB::Table",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
];

#[test]
fn stateful_resources_say_what_becomes_of_them_and_are_kept_in_production() {
    let mut kept = BTreeSet::new();
    for (path, stack) in stacks() {
        for (name, resource) in stack["Resources"].as_object().unwrap() {
            let kind = resource["Type"].as_str().unwrap();
            if !STATEFUL.contains(&kind) {
                continue;
            }
            let policy = resource["DeletionPolicy"].as_str().unwrap_or_default();
            assert_eq!(resource["UpdateReplacePolicy"], policy, "{path}: {name}");
            assert!(["Delete", "Retain", "Snapshot"].contains(&policy), "{path}: {name}");
            if policy != "Delete" {
                kept.insert(kind.to_owned());
            }
        }
    }
    assert_eq!(Vec::from_iter(kept), STATEFUL);
}

#[test]
fn no_statement_allows_more_than_it_must() {
    fn statements<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
        match value {
            Value::Object(map) => {
                if map.get("Effect").is_some_and(|effect| effect == "Allow") {
                    found.push(value);
                }
                map.values().for_each(|value| statements(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| statements(value, found)),
            _ => {}
        }
    }
    for (path, stack) in stacks() {
        let mut found = Vec::new();
        statements(&stack["Resources"], &mut found);
        for statement in found {
            let text = |value: &Value| value.to_string();
            let actions = text(&statement["Action"]);
            assert!(!actions.contains('*'), "{path}: {statement}");
            // Session Manager's calls know no resources.
            let everywhere = statement["Resource"] == "*";
            assert!(!everywhere || actions.contains("ssmmessages:"), "{path}: {statement}");
            let everyone = statement["Principal"] == "*";
            assert!(!everyone || path.contains("/static-website/"), "{path}: {statement}");
        }
    }
}
