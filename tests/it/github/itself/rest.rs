//! The rest of the REST API: what is answered is as described, whoever asks for it first.

use serde_json::json;

use super::client::Client;
use crate::github::{GitHub, rest};
use crate::world::write;

#[test]
fn each_operation_of_the_list_is_known() {
    let list = include_str!("../../../tools/github-operations.txt");
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.starts_with("HOOK")) {
        let (method, path) = line.split_once(' ').unwrap();
        let (route, _) = rest::find(method, path).unwrap_or_else(|| panic!("{line} is not there"));
        assert_eq!(route.name, line);
    }
}

#[test]
fn refs_commits_and_branches() {
    let hub = GitHub::start();
    let repo = hub.create("acme/requests");
    let first = repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
    let second = repo.push("ada", "main", [write("b/ä.yaml", "a: 1\n")]);
    let vend = Client::installed(&hub, "acme");
    let at = |path: &str| format!("/repos/acme/requests{path}");
    let patch = |path: &str, body| vend.send("PATCH", &at(path), Some(body), &[]).unwrap();

    let commit = vend.get(&at("/commits/main")).is(200);
    assert_eq!(commit.body["files"][0]["filename"], "b/ä.yaml");
    vend.get(&at("/commits/nothing")).is(422);
    let compared = vend.get(&at(&format!("/compare/{first}...main"))).is(200);
    assert_eq!(
        (&compared.body["status"], &compared.body["ahead_by"]),
        (&json!("ahead"), &json!(1))
    );
    assert_eq!(vend.get(&at("/branches")).is(200).body[0]["name"], "main");
    assert_eq!(vend.get(&at("/branches/main")).is(200).body["commit"]["sha"], *second);

    let topic = json!({"ref": "refs/heads/a/topic", "sha": first});
    vend.post(&at("/git/refs"), topic.clone()).is(201);
    vend.post(&at("/git/refs"), topic).is(422);
    assert_eq!(vend.get(&at("/git/ref/heads/a/topic")).is(200).body["object"]["sha"], *first);
    let found = vend.get(&at("/git/matching-refs/heads/a")).is(200);
    assert_eq!(found.body.as_array().unwrap().len(), 1);
    patch("/git/refs/heads/a/topic", json!({"sha": second})).is(200);
    patch("/git/refs/heads/a/topic", json!({"sha": first})).is(422);
    patch("/git/refs/heads/a/topic", json!({"sha": first, "force": true})).is(200);
    vend.send("DELETE", &at("/git/refs/heads/a/topic"), None, &[]).unwrap().is(204);
    vend.get(&at("/git/ref/heads/a/topic")).is(404);
}

#[test]
fn issues_people_and_what_is_left() {
    let hub = GitHub::start();
    let repo = hub.create("acme/requests");
    repo.permit("ada", "write");
    repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
    hub.team("acme", "owners", &["ada"]);
    let vend = Client::installed(&hub, "acme");
    let at = |path: &str| format!("/repos/acme/requests{path}");
    let send = |method: &str, path: &str, body| vend.send(method, &at(path), body, &[]).unwrap();

    let issue = vend.post(&at("/issues"), json!({"title": "Drift", "body": "It drifts."})).is(201);
    assert_eq!(issue.body["number"], 1);
    vend.get(&at("/issues/1")).is(200);
    vend.post(&at("/issues/1/labels"), json!({"labels": ["vend", "two words"]})).is(200);
    send("DELETE", "/issues/1/labels/two%20words", None).is(200);
    assert_eq!(vend.get(&at("/issues/1/labels")).is(200).body[0]["name"], "vend");
    vend.post(&at("/issues/1/reactions"), json!({"content": "+1"})).is(201);
    assert_eq!(vend.get(&at("/issues/1/reactions")).is(200).body[0]["content"], "+1");

    repo.push_branch("ada", "topic", "main", [write("a.yaml", "a: 2\nb: 3\n")]);
    let ada = Client::with(&hub, &hub.token("ada"));
    let wanted = json!({"title": "Two", "head": "topic", "base": "main", "body": "Why"});
    let pull = ada.post(&at("/pulls"), wanted.clone()).is(201);
    assert_eq!(pull.body["user"]["login"], "ada");
    ada.post(&at("/pulls"), wanted).is(422);
    let remark = json!({"path": "a.yaml", "line": 2, "side": "RIGHT", "body": "why?"});
    let elsewhere = json!({"path": "a.yaml", "line": 9, "side": "RIGHT", "body": "why?"});
    let review = |comment| json!({"event": "COMMENT", "body": "Hm.", "comments": [comment]});
    let made = vend.post(&at("/pulls/2/reviews"), review(remark)).is(200);
    vend.post(&at("/pulls/2/reviews"), review(elsewhere)).is(422);
    let of = vend.get(&at(&format!("/pulls/2/reviews/{}/comments", made.body["id"]))).is(200);
    assert_eq!(of.body[0]["line"], 2);
    let single = json!({
        "path": "a.yaml", "line": 1, "side": "RIGHT", "body": "!", "commit_id": repo.at("topic"),
    });
    vend.post(&at("/pulls/2/comments"), single).is(201);
    assert_eq!(vend.get(&at("/pulls/2/comments")).is(200).body.as_array().unwrap().len(), 2);
    send("PATCH", "/pulls/2", Some(json!({"title": "Three", "state": "closed"}))).is(200);
    send("PUT", "/pulls/2/merge", Some(json!({}))).is(405);
    send("PATCH", "/pulls/2", Some(json!({"state": "open"}))).is(200);
    send("PUT", "/pulls/2/merge", Some(json!({"sha": "0".repeat(40)}))).is(409);
    send("PUT", "/pulls/2/merge", Some(json!({"merge_method": "squash"}))).is(200);

    let said = vend.post(&at("/issues/1/comments"), json!({"body": "x"})).is(201);
    let said = format!("/issues/comments/{}", said.body["id"]);
    vend.get(&at(&said)).is(200);
    vend.get(&at(&format!("{said}/reactions"))).is(200);
    send("DELETE", &said, None).is(204);
    vend.get(&at(&said)).is(404);

    let run = json!({"name": "vend", "head_sha": repo.at("main")});
    let run = vend.post(&at("/check-runs"), run).is(201);
    vend.get(&at(&format!("/check-runs/{}", run.body["id"]))).is(200);
    repo.rerequest("ada", run.body["id"].as_u64().unwrap());
    let suites = vend.get(&at("/commits/main/check-suites")).is(200);
    assert_eq!(suites.body["total_count"], 1);
    vend.get(&at("/commits/main/statuses")).is(200);
    vend.get("/orgs/acme").is(200);
    vend.get("/orgs/acme/teams/owners").is(200);
    vend.get("/orgs/acme/teams/others").is(404);
    vend.get("/users/ada").is(200);
    vend.get("/installation/repositories").is(200);
    vend.get("/user").is(403);
    ada.get("/user").is(200);
    let app = Client::app(&hub);
    let installed = app.get("/orgs/acme/installation").is(200);
    app.get(&format!("/app/installations/{}", installed.body["id"])).is(200);
}
