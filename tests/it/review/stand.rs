//! What stands on the forge is what was said, whatever others make of it.

use serde_json::json;

use super::approval::{newer, settled, swap};
use super::{Desk, SECRET};
use crate::daemon::eventually;
use crate::github::{Fault, signature};
use crate::world::{ask, catalog, note, request};

/// Somebody's idea of what we should have said.
const FORGED: &str = "APPROVED BY SECURITY, 0 deletions";

/// A desk that hears webhooks, and polls so rarely that nothing else wakes it.
fn hearing(mut desk: Desk) -> Desk {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["forge"]["webhook"] = json!({"listen": listen, "secretFile": secret});
    });
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    desk
}

fn with_token() -> Desk {
    let mut desk = Desk::new();
    desk.repo().permit("robot", "write");
    let token = desk.world.root().join("token");
    std::fs::write(&token, desk.hub.token("robot")).unwrap();
    let api = desk.hub.api();
    desk.world.configure(|c| c["forge"] = json!({"github": {"api": api, "tokenFile": token}}));
    desk
}

/// Delivers an event about a commit, as the forge would.
#[track_caller]
fn deliver(desk: &Desk, event: &str, body: serde_json::Value) {
    let mut body = body;
    body["repository"] = json!({"full_name": "acme/requests"});
    let body = body.to_string();
    let signed = signature(SECRET, body.as_bytes());
    assert_eq!(desk.hub.forge(event, body.as_bytes(), Some(&signed)), Ok(204));
}

fn state(desk: &Desk, at: &str, context: &str) -> Option<String> {
    let all = desk.repo().statuses(at);
    all.into_iter().find(|it| it.context == context).map(|it| it.state)
}

#[track_caller]
fn stands(desk: &Desk, at: &str, context: &str, wanted: &str) {
    eventually(&format!("{context} is {wanted}"), || {
        (state(desk, at, context).as_deref() == Some(wanted)).then_some(())
    });
}

#[test]
fn a_comment_that_others_edit_or_delete_is_as_it_was_with_the_next_news() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let said = desk.says(n, &["1 to create"]);
    desk.again_nothing();
    let id = desk.comment(n).unwrap().id;
    desk.repo().edit_comment("grace", id, FORGED);
    desk.repo().comment("grace", n, "Looks fine.");
    assert_eq!(desk.says(n, &["1 to create"]), said);
    assert_eq!(desk.comment(n).unwrap().id, id, "it is the same one");
    desk.again_nothing();
    desk.repo().delete_comment("grace", id);
    desk.repo().comment("grace", n, "Where is it?");
    assert_eq!(desk.says(n, &["1 to create"]), said);
    desk.again_nothing();
}

#[test]
fn with_webhooks_an_edit_is_news_by_itself() {
    let desk = hearing(Desk::new());
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let said = desk.says(n, &["1 to create"]);
    desk.hub.settle();
    let id = desk.comment(n).unwrap().id;
    desk.repo().edit_comment("grace", id, FORGED);
    assert_eq!(desk.says(n, &["1 to create"]), said);
    // Whoever wants the last word gets it for a while, and not for good.
    for _ in 0..2 {
        desk.repo().edit_comment("grace", id, FORGED);
        assert_eq!(desk.says(n, &["1 to create"]), said);
    }
}

#[test]
fn a_status_that_somebody_else_set_is_set_right() {
    let desk = hearing(with_token());
    let output = desk.world.output.url();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    stands(&desk, &head, "vend/approval", "pending");
    stands(&desk, &head, "vend", "success");
    eventually("it is said", || {
        let said = desk.repo().comments(n);
        said.iter().any(|said| said.author == "robot").then_some(())
    });
    desk.hub.settle();
    // Whoever may write can set it.
    desk.repo().set_status("ada", &head, "vend/approval", "success");
    assert_eq!(state(&desk, &head, "vend/approval").as_deref(), Some("success"));
    deliver(&desk, "status", json!({"sha": head, "context": "vend/approval", "state": "success"}));
    stands(&desk, &head, "vend/approval", "pending");
    // Without that delivery the next news of the pull request does.
    desk.repo().set_status("ada", &head, "vend/approval", "success");
    desk.repo().comment("grace", n, "Looks fine.");
    stands(&desk, &head, "vend/approval", "pending");
}

#[test]
fn checks_are_made_again_for_who_asks_and_not_over_and_over() {
    let desk = hearing(Desk::new());
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.says(n, &["1 to create"]);
    let runs = |name: &str| {
        let runs = desk.repo().checks(&head).into_iter().filter(|run| run.name == name);
        runs.map(|run| run.conclusion).collect::<Vec<_>>()
    };
    let success = Some("success".to_owned());
    assert_eq!(runs("vend"), std::slice::from_ref(&success));
    // Of a fork the forge names no pull request.
    let body =
        json!({"action": "rerequested", "check_run": {"head_sha": head, "pull_requests": []}});
    deliver(&desk, "check_run", body.clone());
    for name in ["vend", "vend/approval"] {
        eventually("it is made again", || {
            (runs(name) == [success.clone(), success.clone()]).then_some(())
        });
    }
    desk.hub.settle();
    for _ in 0..20 {
        deliver(&desk, "check_run", body.clone());
    }
    // What comes after it is done all the same.
    desk.repo().push("ada", "one", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["2 to create"]);
    assert_eq!(runs("vend").len(), 2);
}

#[test]
fn a_merge_is_no_news_of_other_pull_requests() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let names = ["one", "two", "three"];
    let open: Vec<u64> = names
        .iter()
        .map(|name| desk.propose("ada", name, [ask(&format!("orders/dev/{name}"), note(name))]))
        .collect();
    let taken = desk.propose("ada", "swap", [ask("orders/dev/it", swap("b"))]);
    for n in &open {
        desk.says(*n, &["1 to create"]);
    }
    desk.says(taken, &["**Missing**"]);
    desk.again_nothing();
    desk.hub.forget();
    desk.repo().merge("grace", open[0]);
    desk.says(open[0], &["Done"]);
    desk.again_nothing();
    let heads: Vec<String> = ["two", "three", "swap"].map(|name| desk.repo().at(name)).into();
    let runs: Vec<u64> =
        heads.iter().flat_map(|head| desk.repo().checks(head)).map(|run| run.id).collect();
    let comments: Vec<u64> = [open[1], open[2], taken].map(|n| desk.comment(n).unwrap().id).into();
    let log = desk.hub.log();
    let is_theirs = |entry: &&crate::github::Entry| {
        let last: Option<u64> = entry.path.rsplit('/').next().and_then(|id| id.parse().ok());
        let is_one = last.is_some_and(|id| runs.contains(&id) || comments.contains(&id));
        let is_new = heads.iter().any(|head| entry.body["head_sha"] == head.as_str());
        entry.method != "GET" && (is_one || is_new)
    };
    let said: Vec<_> = log.iter().filter(is_theirs).collect();
    assert!(said.is_empty(), "{said:#?}");
    // A review of one is news of that one, and of its comment nothing but what it changes.
    desk.repo().review("grace", taken, crate::github::Verdict::Approve);
    desk.says(taken, &["**Given** by `grace`"]);
    desk.again_nothing();
}

#[test]
fn those_of_which_nothing_was_said_go_first() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let follows = |text: &str| request("note@^1.0.0", &format!("{{text: {text}}}"));
    for name in ["one", "two", "three"] {
        let n = desk.propose("ada", name, [ask(&format!("orders/dev/{name}"), follows(name))]);
        desk.says(n, &["1 to create"]);
    }
    desk.again_nothing();
    // While nobody can ask for pull requests, there comes something new for all of them, and a new one.
    desk.hub.fault("GET", "/repos/*/*/pulls", None, Fault::Status(502));
    desk.world.catalog.commit(newer());
    desk.repo().push("grace", "main", [ask("orders/dev/direct", note("direct"))]);
    eventually("a pass has read both", || desk.world.status_or_none("orders/dev/direct"));
    let n = desk.propose("ada", "new", [ask("orders/dev/new", follows("new"))]);
    desk.hub.forget();
    desk.hub.mend();
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    let said = desk.hub.log();
    let of_checks = said.iter().filter(|e| e.method != "GET" && e.path.contains("/check-runs"));
    let heads: Vec<_> = of_checks.map(|e| e.body["head_sha"].as_str().map(str::to_owned)).collect();
    assert!(heads.len() > 2, "the others were said anew: {heads:?}");
    assert_eq!(heads[0], Some(desk.repo().at("new")), "{heads:?}");
}
