//! When GitHub is down, slow, forgetful or lied about.

use super::{Desk, SECRET};
use crate::daemon::eventually;
use crate::github::Fault;
use crate::world::{ask, note};

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
fn webhooks_wake_and_forged_ones_do_nothing() {
    let mut desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["reconcile"] = serde_json::json!({"interval": "1h"});
        c["forge"]["webhook"] = serde_json::json!({"listen": listen, "secretFile": secret});
    });
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    let daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    assert_eq!(desk.hub.forge("push", b"{}", None).unwrap(), 401);
    assert_eq!(desk.hub.forge("push", b"{}", Some("sha256=00")).unwrap(), 401);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    let first = desk.hub.deliveries().first().unwrap().id.clone();
    desk.hub.replay(&first, 1000);
    drop(daemon);
}
