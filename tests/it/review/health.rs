//! What those who watch vend are told of trouble with pull requests.

use serde_json::json;
use vend::store::{ASIDE, Store as _, Write};

use super::Desk;
use crate::crash::lab;
use crate::daemon::{Serving, eventually};
use crate::github::{Fault, Verdict};
use crate::observe::counted;
use crate::world::{ask, catalog, note};

#[test]
fn a_forge_that_cannot_be_asked_is_told_and_counted_until_it_can() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["server"] = json!({"listen": "127.0.0.1:0"}));
    let daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    let counted = |daemon: &Serving, count: u64| {
        let line = format!("vend_pull_requests_unattended {count}");
        eventually(&line, || {
            let (_, text) = daemon.get("/metrics");
            text.lines().any(|it| it == line).then_some(())
        });
    };
    let looked = |daemon: &Serving| -> f64 {
        let (_, text) = daemon.get("/metrics");
        let line = text.lines().find_map(|it| it.strip_prefix("vend_last_forge_look_timestamp "));
        line.unwrap().parse().unwrap()
    };
    let says = || {
        let said = desk.world.vend_ends(0, &["status"]).stdout;
        said.lines().find(|line| line.contains("are not looked after")).map(str::to_owned)
    };
    counted(&daemon, 0);
    assert_eq!(says(), None);
    let before = looked(&daemon);
    assert!(before > 0.0);
    desk.hub.fault("GET", "/repos/acme/requests/pulls", None, Fault::Status(502));
    let said = eventually("status tells it", says);
    assert!(said.contains("`requests`") && said.contains("502"), "{said}");
    counted(&daemon, 1);
    desk.hub.mend();
    eventually("status is silent", || says().is_none().then_some(()));
    counted(&daemon, 0);
    assert!(looked(&daemon) > before);
    desk.again_nothing();
}

#[test]
fn a_forge_that_is_dead_is_counted_while_no_pull_request_is_open() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["server"] = json!({"listen": "127.0.0.1:0"}));
    let daemon = desk.serve();
    counted(&daemon, "vend_forge_sources_unattended 0");
    desk.hub.fault("GET", "/repos/acme/requests/pulls", None, Fault::Status(502));
    counted(&daemon, "vend_forge_sources_unattended 1");
    counted(&daemon, "vend_pull_requests_unattended 0");
    desk.hub.mend();
    counted(&daemon, "vend_forge_sources_unattended 0");
    desk.again_nothing();
}

#[test]
fn what_cannot_be_remembered_any_more_is_said_with_what_is_lost() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger"]);
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.says(n, &["1 to create", "platform"]);
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    daemon.stop();
    let of_newer = json!({"pull": "in the words of another vend"});
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = lab::store(&desk.world);
        let lease = lab::lease(&store, &lab::Clock::new()).await;
        let key = format!("{ASIDE}pull/requests#{n}");
        assert!(store.value(&key).await.unwrap().is_some());
        let write = Write::Value { key, value: Some(of_newer) };
        store.commit(&lease, vec![write]).await.unwrap();
        store.release(lease).await.unwrap();
    });
    let daemon = desk.serve();
    let line = daemon.logged("what is remembered of pull requests cannot be read");
    assert!(
        line.contains(&format!("requests#{n}")) && line.contains("ask for them again"),
        "{line}"
    );
    // The same comment says it, to whom it concerns.
    desk.says(n, &["1 to create", "`edsger`"]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.again_nothing();
}
