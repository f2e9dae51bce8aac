//! Who may ask for what, and what goes wrong.

use std::time::Duration;

use serde_json::json;

use super::client::Client;
use crate::github::{Fault, GitHub, Verdict};
use crate::world::write;

const COMMENTS: &str = "/repos/acme/requests/issues/1/comments";

fn hub() -> GitHub {
    let hub = GitHub::start();
    let repo = hub.create("acme/requests");
    repo.permit("ada", "write");
    repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
    repo.push_branch("ada", "topic", "main", [write("a.yaml", "a: 2\n")]);
    repo.open_pull("ada", "topic", "main", "Two");
    drop(repo);
    hub
}

#[test]
fn only_who_may_see_a_repository_finds_it() {
    let hub = hub();
    let path = "/repos/acme/requests";
    Client::nobody(&hub).get(path).is(404);
    Client::with(&hub, "ghp_nobodys").get(path).is(401);
    Client::with(&hub, &hub.token("mallory")).get(path).is(404);
    Client::with(&hub, &hub.token("ada")).get(path).is(200);
    Client::app(&hub).get("/app").is(200);
    Client::app(&hub).get("/app/installations").is(200);
    Client::app(&hub).get("/repos/acme/requests/installation").is(200);
    Client::app(&hub).get("/repos/acme/nothing/installation").is(404);
    let vend = Client::installed(&hub, "acme");
    vend.get(path).is(200);
    hub.advance(Duration::from_secs(3601));
    vend.get(path).is(401);
}

#[test]
fn what_github_refuses_is_refused() {
    let hub = hub();
    let vend = Client::installed(&hub, "acme");
    let long = json!({"body": "x".repeat(65_537)});
    vend.post(COMMENTS, long).is(422);
    let unknown = json!({"name": "vend", "head_sha": "0".repeat(40)});
    vend.post("/repos/acme/requests/check-runs", unknown.clone()).is(422);
    let ada = Client::with(&hub, &hub.token("ada"));
    ada.post("/repos/acme/requests/check-runs", unknown).is(403);
    let approve = json!({"event": "APPROVE"});
    ada.post("/repos/acme/requests/pulls/1/reviews", approve).is(422);
    let repo = hub.repo("acme/requests");
    repo.lock(1);
    let anybody = hub.token("mallory");
    repo.publish();
    Client::with(&hub, &anybody).post(COMMENTS, json!({"body": "hm"})).is(403);
    repo.delete_pull(1);
    vend.get("/repos/acme/requests/pulls/1").is(404);
    vend.post(COMMENTS, json!({"body": "late"})).is(410);
}

#[test]
fn what_is_not_in_the_description_is_told() {
    let hub = hub();
    let vend = Client::installed(&hub, "acme");
    vend.get("/repos/acme/requests/rubbish").is(404);
    vend.get("/repos/acme/requests/pulls?state=closde").is(422);
    vend.post(COMMENTS, json!({"text": "hello"})).is(422);
    let wrong = hub.violations();
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
    assert!(wrong[0].starts_with("unknown operation: GET /repos/acme/requests/rubbish"));
    assert!(wrong[1].contains("`state`"), "{wrong:#?}");
}

#[test]
fn faults_come_and_go() {
    let hub = hub();
    let vend = Client::installed(&hub, "acme");
    let say = || vend.send("POST", COMMENTS, Some(json!({"body": "hello"})), &[]);
    hub.fault("POST", "/repos/*/*/issues/*/comments", Some(1), Fault::Lost);
    assert!(say().is_err());
    assert_eq!(hub.repo("acme/requests").comments(1).len(), 1);
    hub.fault("POST", "/repos/**", Some(1), Fault::SecondaryLimit(Some(7)));
    assert_eq!(say().unwrap().is(403).header("retry-after"), "7");
    hub.fault("*", "/**", Some(2), Fault::Status(502));
    say().unwrap().is(502);
    vend.get("/repos/acme/requests").is(502);
    hub.fault("*", "/**", Some(1), Fault::PrimaryLimit(60));
    assert_eq!(say().unwrap().is(429).header("x-ratelimit-remaining"), "0");
    say().unwrap().is(201);
    assert_eq!(hub.calls("POST", COMMENTS).len(), 5);
    hub.limit(1);
    vend.get("/repos/acme/requests").is(200);
    vend.get("/repos/acme/requests").is(403);
    vend.get("/rate_limit").is(200);
}

#[test]
fn many_writes_in_a_minute_are_too_many() {
    let hub = hub();
    let vend = Client::installed(&hub, "acme");
    hub.limit_writes(Some(2));
    let say = || vend.post(COMMENTS, json!({"body": "hello"}));
    say().is(201);
    say().is(201);
    assert_eq!(say().is(403).header("retry-after"), "60");
    vend.get(COMMENTS).is(200);
    hub.advance(Duration::from_secs(61));
    say().is(201);
}

#[test]
fn pages_and_tags() {
    let hub = hub();
    let repo = hub.repo("acme/requests");
    for n in 0..5 {
        repo.comment("ada", 1, &format!("{n}"));
    }
    let vend = Client::installed(&hub, "acme");
    let page = vend.get(&format!("{COMMENTS}?per_page=2&page=2")).is(200);
    assert_eq!(page.body[0]["body"], "2");
    let url = format!("{}{COMMENTS}?per_page=2", hub.api());
    assert!(page.header("link").contains(&format!("<{url}&page=3>; rel=\"next\"")));
    let tag = page.header("etag");
    let path = format!("{COMMENTS}?per_page=2&page=2");
    let again = vend.send("GET", &path, None, &[("if-none-match", tag)]).unwrap();
    assert_eq!(again.status, 304);
    repo.comment("ada", 1, "5");
    let again = vend.send("GET", &path, None, &[("if-none-match", tag)]).unwrap();
    assert_eq!(again.status, 304, "another page");
}

#[test]
fn teams_and_permissions() {
    let hub = hub();
    hub.team("acme", "owners", &["ada"]);
    hub.invite("acme", "owners", "grace");
    let vend = Client::installed(&hub, "acme");
    let membership =
        |login: &str| vend.get(&format!("/orgs/acme/teams/owners/memberships/{login}"));
    assert_eq!(membership("ada").is(200).body["state"], "active");
    assert_eq!(membership("grace").is(200).body["state"], "pending");
    membership("mallory").is(404);
    let members = vend.get("/orgs/acme/teams/owners/members").is(200);
    assert_eq!(members.body.as_array().unwrap().len(), 1);
    let path = "/repos/acme/requests/collaborators/ada/permission";
    assert_eq!(vend.get(path).is(200).body["permission"], "write");
    hub.repo("acme/requests").review("grace", 1, Verdict::Comment);
}
