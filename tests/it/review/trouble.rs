//! When GitHub is down, slow, forgetful or lied about.

use super::{Desk, SECRET};
use crate::daemon::eventually;
use crate::github::{Fault, Verdict};
use crate::world::{ask, catalog, note, to_approve};

#[test]
fn a_lost_reply_and_a_deleted_comment_leave_exactly_one() {
    let desk = Desk::new();
    desk.hub.fault("POST", "/repos/*/*/issues/*/comments", Some(1), Fault::Lost);
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    let id = desk.comment(n).unwrap().id;
    desk.repo().delete_comment("grace", id);
    desk.repo().push("ada", "one", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["2 to create"]);
    assert_ne!(desk.comment(n).unwrap().id, id);
}

#[test]
fn github_down_during_the_apply_delays_only_what_is_said() {
    let mut desk = Desk::new();
    let daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["erged"]);
    desk.hub.fault("*", "/repos/acme/requests/pulls/**", None, Fault::Status(502));
    desk.hub.fault("*", "/repos/acme/requests/issues/**", None, Fault::Status(502));
    desk.hub.fault("*", "/repos/acme/requests/check-runs/**", None, Fault::Status(502));
    eventually("it is applied", || {
        let status = desk.world.status_or_none("orders/dev/one")?;
        (status["phase"] == "Ready").then_some(())
    });
    desk.hub.mend();
    desk.says(n, &["Done"]);
    let _ = (&mut desk, daemon);
}

#[test]
fn one_pull_request_that_github_cannot_read_stops_no_other() {
    let desk = Desk::new();
    let commits = "/repos/acme/requests/pulls/1/commits";
    desk.hub.fault("GET", commits, None, Fault::Status(502));
    let mut daemon = desk.serve();
    let first = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    assert_eq!(first, 1);
    let second = desk.propose("ada", "two", [ask("orders/dev/two", note("two"))]);
    desk.says(second, &["1 to create"]);
    desk.repo().merge("grace", second);
    desk.says(second, &["Done"]);
    desk.ready("orders/dev/two");
    assert!(desk.comment(first).is_none(), "nobody knows who pushed to it");
    // It would be asked about again after a while; a start waits for nothing.
    daemon.kill();
    desk.hub.mend();
    let _daemon = desk.serve();
    desk.says(first, &["1 to create"]);
    desk.repo().merge("grace", first);
    desk.says(first, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn one_commit_that_github_cannot_read_holds_up_no_other_merge() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    desk.hub.fault("GET", "/repos/acme/requests/commits/*/pulls", None, Fault::Status(502));
    desk.repo().push("grace", "main", [ask("orders/dev/a", note("a"))]);
    eventually("it was asked about", || {
        desk.hub.calls("GET", "/repos/acme/requests/commits/*/pulls").last().map(|_| ())
    });
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    // It would be asked about again after a while; a start waits for nothing.
    daemon.kill();
    desk.hub.mend();
    let _daemon = desk.serve();
    let said = eventually("it is held", || {
        let said = desk.world.status_or_none("orders/dev/a")?["waitingFor"].as_str()?.to_owned();
        said.contains("without a pull request").then_some(said)
    });
    desk.world.vend_ends(0, &["approve", &to_approve(&said)]);
    desk.ready("orders/dev/a");
    desk.again_nothing();
}

#[test]
fn f56_f57_webhooks_wake_and_forged_ones_do_nothing() {
    let mut desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["reconcile"] = serde_json::json!({"interval": "1h"});
        c["server"] = serde_json::json!({"listen": "127.0.0.1:0"});
        c["forge"]["webhook"] = serde_json::json!({"listen": listen, "secretFile": secret});
    });
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    let daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    // Somebody presses *Re-run*: told in no other way, and made again once.
    let run = desk.check(&desk.repo().at("one"), "vend", "success");
    desk.repo().rerequest("ada", run.id);
    let is_again = |it: &crate::github::CheckRun| it.name == "vend" && it.id != run.id;
    eventually("the check is made again", || {
        desk.repo().checks(&desk.repo().at("one")).into_iter().find(is_again)
    });
    let again = desk.hub.deliveries().last().unwrap().id.clone();
    assert_eq!(desk.hub.forge("push", b"{}", None).unwrap(), 401);
    let foreign = crate::github::signature("another secret", b"{}");
    for wrong in ["sha256=00", foreign.as_str()] {
        assert_eq!(desk.hub.forge("push", b"{}", Some(wrong)).unwrap(), 401, "{wrong}");
    }
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.hub.forget();
    let first = desk.hub.deliveries().first().unwrap().id.clone();
    let heard = |outcome: &str| {
        let name = format!("vend_webhooks_total{{outcome=\"{outcome}\"}}");
        crate::observe::sample(&daemon, &name).unwrap()
    };
    desk.hub.settle();
    let (woke, ignored) = (heard("woke"), heard("ignored"));
    desk.hub.replay(&first, 10_000);
    desk.hub.replay(&again, 10);
    desk.hub.settle();
    // Each is answered, and none wakes anybody; the last words on the merge may still have been on their way.
    assert!(heard("ignored") >= ignored + 10_010.0 && heard("woke") < woke + 10.0);
    let asked = desk.hub.log();
    assert!(asked.len() < 120, "{} calls for one delivery", asked.len());
    // The last words on the merge may still have been on their way: nothing is said a thousand times.
    let is_write = |e: &&crate::github::Entry| e.method != "GET" && !e.path.contains(".git/");
    let writes: Vec<_> = asked.iter().filter(is_write).collect();
    assert!(writes.len() < 6, "{writes:#?}");
    assert!(desk.comment(n).is_some());
    drop(daemon);
}

#[test]
fn what_is_gone_or_locked_after_the_merge_holds_up_nothing() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let gone = desk.propose("ada", "gone", [ask("orders/dev/gone", note("gone"))]);
    let locked = desk.propose("ada", "locked", [ask("orders/dev/locked", note("locked"))]);
    let after = desk.propose("ada", "after", [ask("orders/dev/after", note("after"))]);
    for n in [gone, locked, after] {
        desk.says(n, &["1 to create"]);
    }
    let comments = format!("/repos/acme/requests/issues/{gone}/comments");
    desk.hub.fault("*", &comments, None, Fault::Refused(404, "Not Found".into()));
    let own = format!("/repos/acme/requests/issues/comments/{}", desk.comment(gone).unwrap().id);
    desk.hub.fault("*", &own, None, Fault::Refused(404, "Not Found".into()));
    desk.repo().lock(locked);
    for n in [gone, locked, after] {
        desk.repo().merge("grace", n);
    }
    desk.says(after, &["Done"]);
    for id in ["orders/dev/gone", "orders/dev/locked", "orders/dev/after"] {
        desk.ready(id);
    }
    desk.again_nothing();
}

#[test]
fn what_github_refuses_is_not_said_over_and_over() {
    let desk = Desk::new();
    let comments = "/repos/*/*/issues/*/comments";
    desk.hub.fault("POST", comments, None, Fault::Status(403));
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.check(&desk.repo().at("one"), "vend", "success");
    eventually("it was tried", || (!desk.hub.calls("POST", comments).is_empty()).then_some(()));
    desk.again_nothing();
    desk.repo().merge("grace", n);
    eventually("it is applied", || {
        let status = desk.world.status_or_none("orders/dev/one")?;
        (status["phase"] == "Ready").then_some(())
    });
}

#[test]
fn killed_between_saying_and_writing_down_it_says_it_once() {
    let desk = Desk::new();
    let comments = "/repos/*/*/issues/*/comments";
    desk.hub.fault("POST", comments, Some(1), Fault::Lost);
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    eventually("it is said", || desk.comment(n));
    daemon.kill();
    let mut daemon = desk.serve();
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    desk.repo().merge("grace", n);
    eventually("it came", || {
        desk.hub.calls("GET", "/repos/acme/requests/pulls").last().map(|_| ())
    });
    daemon.kill();
    let _daemon = desk.serve();
    desk.says(n, &["Done"]);
    desk.again_nothing();
}

#[test]
fn a_quiet_turn_asks_a_handful_of_things_that_cost_nothing() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    for name in ["one", "two", "three"] {
        let n = desk.propose("ada", name, [ask(&format!("orders/dev/{name}"), note(name))]);
        desk.says(n, &["1 to create"]);
    }
    eventually("turns become quiet", || {
        desk.hub.forget();
        desk.again_nothing();
        let asked = desk.hub.log();
        let turns = desk.hub.calls("GET", "/repos/acme/requests/pulls").len() / 2;
        let calls: Vec<_> = asked.iter().filter(|e| !e.path.contains(".git/")).collect();
        let free = calls.iter().all(|e| e.status == 304);
        (calls.len() <= turns * 4 + 4 && free).then_some(())
    });
}

#[test]
fn what_could_not_be_seen_passes_no_gate_and_is_looked_at_again() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.updates > 0\", teams: [platform]}\n";
    let environment = catalog::environment("dev", &desk.world.output.url(), rules);
    desk.world.catalog.commit([environment]);
    let _daemon = desk.serve();
    super::approval::settled(&desk, "orders/dev/it");
    let output = desk.world.output.path().to_owned();
    let away = output.with_extension("away");
    std::fs::rename(&output, &away).unwrap();
    let n = desk.propose("ada", "change", [ask("orders/dev/it", note("b"))]);
    let head = desk.repo().at("change");
    desk.says(n, &["1 held"]);
    let run = |name: &str| {
        let runs = desk.repo().checks(&head);
        runs.into_iter().rfind(|run| run.name == name).expect("it is said before the comment")
    };
    for name in ["vend", "vend/approval"] {
        assert_ne!(run(name).conclusion.as_deref(), Some("success"), "{name}");
    }
    // Nothing is pushed, written or merged: it is seen again by itself.
    std::fs::rename(&away, &output).unwrap();
    desk.says(n, &["1 to update", "platform"]);
    desk.check(&head, "vend", "success");
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
}

#[test]
fn an_app_that_may_not_read_teams_says_so_and_goes_on() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let environment = catalog::environment("dev", &desk.world.output.url(), rules);
    desk.world.catalog.commit([environment]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    desk.hub.grant("acme", "members", "");
    let _daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("it"))]);
    let head = desk.repo().at("it");
    desk.says(n, &["1 to create", "platform"]);
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.says(n, &["**Missing**", "`edsger` said yes, and vend may not read teams"]);
    desk.check(&head, "vend/approval", "action_required");
    // What is new is planned and said all the same.
    desk.repo().push("ada", "it", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["2 to create"]);
    desk.repo().merge("grace", n);
    let body = desk.says(n, &["/vend approve "]);
    let line = format!("/vend approve {}", super::approval::to_approve(&body));
    let asked = desk.repo().comment("edsger", n, &line);
    desk.reacted(n, asked, "-1");
    desk.says(n, &["vend may not read teams"]);
    desk.again_nothing();
}

#[test]
fn f58_f59_webhooks_that_come_late_in_any_order_or_never_change_nothing() {
    let mut desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["forge"]["webhook"] = serde_json::json!({"listen": listen, "secretFile": secret});
    });
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    // All of them are lost: it is found by asking.
    desk.hub.hook_times(0);
    let _daemon = desk.serve();
    let before = desk.hub.deliveries().len();
    for text in ["first", "second"] {
        let n = desk.propose("ada", text, [ask("orders/dev/it", note(text))]);
        desk.says(n, &["orders/dev/it"]);
        desk.repo().merge("grace", n);
        desk.says(n, &["Done"]);
    }
    desk.ready("orders/dev/it");
    desk.again_nothing();
    let settled = desk.world.refs();
    let lost = desk.hub.deliveries().split_off(before);
    let pushes = lost.iter().filter(|one| one.event == "push").count();
    assert!(pushes >= 2 && lost.iter().all(|one| one.answers.is_empty()), "{lost:#?}");
    // They come after all, the newest first.
    for one in lost.iter().rev() {
        desk.hub.replay(&one.id, 1);
        desk.hub.settle();
    }
    let taken = desk.hub.deliveries();
    let late = &taken[before..before + lost.len()];
    assert!(late.iter().all(|one| one.answers == [Ok(204)]), "{late:#?}");
    desk.again_nothing();
    assert_eq!(desk.world.refs(), settled);
    let text = desk.world.output_file("dev/orders/it/note/note.yaml");
    assert_eq!(text.as_deref(), Some("text: second\n"));
}
