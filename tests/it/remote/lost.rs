//! Servers that go away, stop in the middle, or are not heard.

use super::server::Fault;
use super::{hook, https_world, unheard};
use crate::daemon::{Serving, eventually};
use crate::world::{STATUS, ask, note, write};

const ID: &str = "orders/dev/hello";
const OUTPUT: &str = "dev/orders/hello/note/note.yaml";

#[test]
fn f01_a_server_that_goes_away_and_comes_back_while_the_daemon_runs() {
    let (world, mut server) = https_world();
    world.requests.commit([ask(ID, note("hello"))]);
    let mut daemon = Serving::ready(&world);
    eventually("it is applied", || world.status_or_none(ID).filter(|s| s["phase"] == "Ready"));
    let before = world.refs();
    server.down();
    daemon.logged("no answer");
    server.up();
    server.breaks(Fault::Status(503));
    daemon.logged("error: 503");
    assert_eq!(world.refs(), before);
    server.mend();
    world.requests.commit([ask(ID, note("back"))]);
    eventually("it goes on", || {
        (world.output_file(OUTPUT).as_deref() == Some("text: back\n")).then_some(())
    });
    daemon.stop();
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn f02_a_pack_cut_in_the_middle_moves_nothing_and_the_next_fetch_succeeds() {
    let (world, server) = https_world();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    let text: String =
        (0..2_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    world.requests.commit([ask(ID, note("whole")), write("README.md", text)]);
    // In the answer's first line, in the pack's head, and in its middle.
    for most in [2, 60, 4_000] {
        server.breaks(Fault::CutPacks(most));
        let said = world.vend(&["apply"]).stdout;
        assert!(said.contains("`requests` could not be fetched"), "{most}: {said}");
        assert_eq!(world.output.refs(), output, "{most}");
    }
    server.mend();
    world.apply();
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: whole\n");
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn f17_pushes_that_arrive_unheard_are_found_and_not_made_twice() {
    let (world, server) = https_world();
    world.requests.commit([ask(ID, note("hello"))]);
    server.breaks(Fault::LoseReplies);
    world.vend(&["apply", "--wait"]);
    server.mend();
    world.vend(&["apply", "--wait"]);
    world.ready(ID);
    assert_eq!(world.output_log().len(), 1, "one commit in the output");
    world.again_nothing();

    // Killed after the ref has moved and before the server says so: half an answer.
    let hooks = [unheard(&world.output, "main"), unheard(&world.requests, STATUS)];
    world.requests.commit([ask(ID, note("changed"))]);
    world.vend(&["apply", "--wait"]);
    for hook in hooks {
        std::fs::remove_file(hook).unwrap();
    }
    world.vend(&["apply", "--wait"]);
    world.ready(ID);
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    let overwritten = |(_, text): &(String, String)| text.contains("Overwritten");
    assert!(!world.requests.log(STATUS).iter().any(overwritten), "our own commit is no stranger's");
    world.again_nothing();
}

#[test]
fn f18_a_status_push_that_is_refused_delays_no_apply() {
    let (world, server) = https_world();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let status = world.requests.tip(STATUS);
    let hook = hook(&world.requests, "pre-receive", "echo 'status is closed today' >&2; exit 1");
    world.requests.commit([ask(ID, note("changed"))]);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("status is closed today"), "{denied:?}");
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: changed\n");
    std::fs::remove_file(hook).unwrap();

    // A token that may only read there.
    server.rules(|rules| rules.read_only = Some("/requests/".into()));
    world.requests.commit([ask(ID, note("again"))]);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("`: denied: "), "{denied:?}");
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: again\n");
    assert_eq!(world.requests.tip(STATUS), status);

    server.rules(|rules| rules.read_only = None);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}
