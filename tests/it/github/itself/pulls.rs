//! Pull requests, from opened to merged.

use serde_json::json;

use super::client::{Client, installation_token};
use crate::github::{GitHub, Method, Repo, Verdict};
use crate::world::write;

fn opened(hub: &GitHub) -> (Repo<'_>, u64) {
    let repo = hub.create("acme/requests");
    repo.permit("ada", "write");
    repo.permit("grace", "write");
    repo.push("ada", "main", [write("a.yaml", "a: 1\n"), write("b.yaml", "b: 1\n")]);
    repo.push_branch("ada", "topic", "main", [write("a.yaml", "a: 2\n")]);
    let n = repo.open_pull("ada", "topic", "main", "Two");
    (repo, n)
}

#[test]
fn a_pull_request_is_reviewed_checked_and_merged() {
    let hub = GitHub::start();
    let (repo, n) = opened(&hub);
    let vend = Client::installed(&hub, "acme");
    let pulls = vend.get("/repos/acme/requests/pulls").is(200);
    assert_eq!(pulls.body[0]["number"], n);
    let head = repo.at("topic");
    assert_eq!(pulls.body[0]["head"]["sha"], *head);
    let files = vend.get(&format!("/repos/acme/requests/pulls/{n}/files")).is(200);
    assert_eq!(files.body[0]["filename"], "a.yaml");
    assert_eq!(files.body[0]["patch"], "@@ -1 +1 @@\n-a: 1\n+a: 2");
    let commits = vend.get(&format!("/repos/acme/requests/pulls/{n}/commits")).is(200);
    assert_eq!(commits.body[0]["sha"], *head);

    let run = json!({
        "name": "vend", "head_sha": head, "status": "in_progress", "external_id": "one",
        "output": {"title": "Plan", "summary": "1 change"},
    });
    let run = vend.post("/repos/acme/requests/check-runs", run).is(201);
    let path = format!("/repos/acme/requests/check-runs/{}", run.body["id"]);
    let annotation = json!({
        "path": "a.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no",
    });
    let output = json!({"title": "Plan", "summary": "done", "annotations": [annotation]});
    let done = json!({"status": "completed", "conclusion": "success", "output": output});
    vend.send("PATCH", &path, Some(done), &[]).unwrap().is(200);
    vend.get(&format!("{path}/annotations")).is(200);
    let found =
        vend.get(&format!("/repos/acme/requests/commits/{head}/check-runs?check_name=vend"));
    assert_eq!(found.body["check_runs"][0]["conclusion"], "success");
    assert_eq!(repo.checks("topic")[0].annotations.len(), 1);

    let comments = format!("/repos/acme/requests/issues/{n}/comments");
    let comment = vend.post(&comments, json!({"body": "A plan"})).is(201);
    assert_eq!(comment.body["user"]["login"], "vend[bot]");
    let path = format!("/repos/acme/requests/issues/comments/{}", comment.body["id"]);
    vend.send("PATCH", &path, Some(json!({"body": "Another"})), &[]).unwrap().is(200);
    vend.post(&format!("{path}/reactions"), json!({"content": "eyes"})).is(201);
    vend.post(&format!("{path}/reactions"), json!({"content": "eyes"})).is(200);
    assert_eq!(repo.comments(n)[0].body, "Another");
    assert_eq!(vend.get(&comments).body.as_array().unwrap().len(), 1);

    let status = json!({"state": "pending", "context": "vend", "description": "waits"});
    vend.post(&format!("/repos/acme/requests/statuses/{head}"), status).is(201);
    let combined = vend.get(&format!("/repos/acme/requests/commits/{head}/status")).is(200);
    assert_eq!(combined.body["state"], "pending");

    repo.review("grace", n, Verdict::Approve);
    let reviews = vend.get(&format!("/repos/acme/requests/pulls/{n}/reviews")).is(200);
    assert_eq!(reviews.body[0]["state"], "APPROVED");
    assert_eq!(reviews.body[0]["commit_id"], *head);
    let tip = repo.merge("grace", n);
    assert_eq!(repo.at("main"), tip);
    let pull = vend.get(&format!("/repos/acme/requests/pulls/{n}")).is(200);
    assert_eq!((&pull.body["merged"], &pull.body["merge_commit_sha"]), (&json!(true), &json!(tip)));
    let of = vend.get(&format!("/repos/acme/requests/commits/{tip}/pulls")).is(200);
    assert_eq!(of.body[0]["number"], n);
    let back = repo.revert("ada", n);
    repo.merge_by("grace", back, Method::Squash);
    assert_eq!(repo.git().read("main", "a.yaml").as_deref(), Some("a: 1\n"));
}

#[test]
fn a_push_over_http_moves_the_pull_request() {
    let hub = GitHub::start();
    let (repo, n) = opened(&hub);
    let token = installation_token(&hub, "acme");
    let place = tempfile::TempDir::new().unwrap();
    let git = |args: &[&str]| crate::world::git(place.path(), args, "");
    let url = repo.url().replace("http://", &format!("http://x-access-token:{token}@"));
    git(&["clone", "--quiet", "--branch", "topic", &url, place.path().join("c").to_str().unwrap()]);
    let at = place.path().join("c");
    let at = at.to_str().unwrap();
    std::fs::write(place.path().join("c/a.yaml"), "a: 3\n").unwrap();
    let me = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"];
    git(&[&["-C", at], me.as_slice(), &["commit", "--quiet", "-am", "three"]].concat());
    git(&["-C", at, "push", "--quiet"]);
    let head = repo.at("topic");
    assert_eq!(repo.at(&format!("refs/pull/{n}/head")), head);
    let merge = repo.at(&format!("refs/pull/{n}/merge"));
    assert_eq!(repo.git().read(&merge, "a.yaml").as_deref(), Some("a: 3\n"));
    let events: Vec<_> = hub.deliveries().into_iter().map(|it| it.event).collect();
    assert_eq!(events[events.len() - 2..], ["check_suite", "pull_request"]);
}

#[test]
fn a_fork_conflicts_and_is_told_so() {
    let hub = GitHub::start();
    let (repo, n) = opened(&hub);
    repo.merge("grace", n);
    let fork = hub.fork("acme/requests", "mallory");
    fork.push_branch("mallory", "mine", "main", [write("b.yaml", "b: 2\n")]);
    let other = repo.open_pull("mallory", "mallory:mine", "main", "Mine");
    assert_eq!(repo.at(&format!("refs/pull/{other}/head")), fork.at("mine"));
    let vend = Client::installed(&hub, "acme");
    let path = format!("/repos/acme/requests/pulls/{other}");
    let pull = vend.get(&path).is(200);
    assert_eq!(pull.body["head"]["repo"]["full_name"], "mallory/requests");
    assert_eq!(pull.body["mergeable"], true);
    repo.push("ada", "main", [write("b.yaml", "b: 3\n")]);
    assert_eq!(vend.get(&path).body["mergeable"], false);
}
