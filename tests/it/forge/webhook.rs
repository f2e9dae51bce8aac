//! GitHub's published examples of webhooks, as they are and spoiled.

use std::collections::BTreeSet;

use serde_json::Value;
use vend::forge::webhook::{Wake, parse};

use crate::github::examples;

fn wake(event: &str, body: &Value) -> Option<Wake> {
    parse(event, body.to_string().as_bytes())
}

#[test]
fn f60_every_published_example_wakes_or_is_ignored() {
    let (mut woken, mut ignored) = (BTreeSet::new(), BTreeSet::new());
    for (event, body) in examples() {
        match wake(&event, &body) {
            Some(found) => {
                assert_eq!(found.repo.to_string(), body["repository"]["full_name"], "{event}");
                let number = body["pull_request"]["number"].as_u64();
                assert!(number.is_none() || number == found.pull, "{event}: {found:?}");
                woken.insert(event);
            }
            None => {
                ignored.insert(event);
            }
        }
    }
    for event in ["push", "pull_request", "pull_request_review", "repository", "create", "delete"] {
        assert!(woken.contains(event) && !ignored.contains(event), "{event}");
    }
    for event in ["ping", "star", "installation", "issues", "workflow_run"] {
        assert!(ignored.contains(event) && !woken.contains(event), "{event}");
    }
}

/// Every value inside of a body, by its pointer.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| {
                pointers(
                    inner,
                    &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            });
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, inner)| pointers(inner, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

#[test]
fn f60_null_in_any_field_and_any_other_kind_makes_nothing_panic() {
    let mut seen = BTreeSet::new();
    let spoils = [
        Value::Null,
        Value::from(-1),
        Value::from(1e300),
        Value::from("\u{0}"),
        Value::from(vec![0]),
    ];
    let read = [
        "push",
        "pull_request",
        "pull_request_review",
        "issue_comment",
        "check_run",
        "check_suite",
        "merge_group",
    ];
    for (event, body) in examples() {
        // One of each event that is read at all.
        if !read.contains(&event.as_str()) || !seen.insert(event.clone()) {
            continue;
        }
        let mut found = Vec::new();
        pointers(&body, "", &mut found);
        // What is read lies near the root, or in a check's list of pull requests.
        let is_near = |pointer: &String| {
            pointer.matches('/').count() <= 2 || pointer.contains("/pull_requests")
        };
        found.retain(is_near);
        for pointer in found {
            for spoil in &spoils {
                let mut body = body.clone();
                *body.pointer_mut(&pointer).unwrap() = spoil.clone();
                let _ = wake(&event, &body);
            }
        }
    }
    assert!(seen.len() >= 6, "{seen:?}");
}
