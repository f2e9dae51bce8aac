//! What people do at the very moment at which vend is between looking and writing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::daemon::eventually;
use crate::world::{STATUS, World, ask, drop_request, note, write};

/// A pass that waits at a point until it is let go.
struct Waiting<'w> {
    world: &'w World,
    child: Child,
}

impl<'w> Waiting<'w> {
    fn at(world: &'w World, point: &str) -> Self {
        let (log, go) = (world.root().join("passed"), world.root().join("go"));
        let mut command = world.command(&["apply"]);
        command.env("VEND_FAULT", format!("{point}=wait"));
        command.env("VEND_FAULT_LOG", &log).env("VEND_FAULT_GO", &go);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let said = |log: &Path| std::fs::read_to_string(log).unwrap_or_default();
        let line = format!("{point} wait\n");
        eventually(&line, || said(&log).contains(&line).then_some(()));
        Self { world, child }
    }

    fn goes_on(mut self) -> Option<i32> {
        std::fs::write(self.world.root().join("go"), "").unwrap();
        self.child.wait().unwrap().code()
    }
}

fn one() -> World {
    let world = World::new();
    world.requests.commit([ask("orders/dev/one", note("one"))]);
    world.apply();
    world
}

#[test]
fn f16_a_commit_that_comes_just_before_the_push_stays() {
    let world = one();
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    let waiting = Waiting::at(&world, "pass.publish.before");
    let theirs = world.requests.commit_to(STATUS, [write("notes.md", "Mine.\n")]);
    assert_eq!(waiting.goes_on(), Some(0));
    assert_eq!(world.requests.read(STATUS, "notes.md").as_deref(), Some("Mine.\n"));
    assert!(world.requests.log(STATUS).iter().any(|(id, _)| *id == theirs), "their commit is gone");
    world.ready("orders/dev/two");
    world.again_nothing();
}

#[test]
fn another_writers_commit_on_the_output_stays() {
    let world = one();
    world.requests.commit([ask("orders/dev/one", note("changed"))]);
    let waiting = Waiting::at(&world, "git.push.before");
    world.output.commit([write("theirs.txt", "Mine.\n")]);
    assert_eq!(waiting.goes_on(), Some(0));
    assert_eq!(world.output_file("theirs.txt").as_deref(), Some("Mine.\n"));
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create", "update"]);
    world.ready("orders/dev/one");
    world.again_nothing();
}

#[test]
fn f13_a_commit_that_comes_in_the_middle_of_a_pass_waits_for_the_next() {
    let world = one();
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    let waiting = Waiting::at(&world, "pass.intent.before");
    world.requests.commit([drop_request("orders/dev/two"), ask("orders/dev/one", note("new"))]);
    assert_eq!(waiting.goes_on(), Some(0));
    world.ready("orders/dev/two");
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create"], "not of this pass");
    world.apply();
    assert_eq!(world.actions("vend-orders-dev-two-note"), ["create", "delete"]);
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn f44_what_was_never_sent_and_is_refused_can_be_mended() {
    let world = one();
    let hook = world.output.path().join("hooks/pre-receive");
    let script = "#!/bin/sh\nread old new ref\ngit show \"$new\" | grep -q '^+text: bad' || exit 0\necho 'no such text here' >&2\nexit 1\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.requests.commit([ask("orders/dev/one", note("bad"))]);
    let mut command = world.command(&["apply"]);
    command.env("VEND_FAULT", "pass.submit.before=kill").stdout(Stdio::null());
    assert_eq!(command.stderr(Stdio::null()).status().unwrap().code(), None);
    world.vend(&["apply"]);
    let (phase, _, sentence) = world.standing("orders/dev/one");
    assert_eq!(phase, "Failed", "{sentence}");
    assert!(sentence.contains("no such text here"), "{sentence}");
    world.requests.commit([ask("orders/dev/one", note("good"))]);
    world.vend(&["apply"]);
    world.ready("orders/dev/one");
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn f35_an_answer_that_was_lost_is_said_to_be() {
    let world = one();
    world.requests.commit([ask("orders/dev/one", note("changed"))]);
    let mut command = world.command(&["apply"]);
    command.env("VEND_FAULT", "pass.submit.after=error").stdout(Stdio::null());
    command.stderr(Stdio::null()).status().unwrap();
    let (phase, _, sentence) = world.standing("orders/dev/one");
    assert_eq!(phase, "Unknown", "{sentence}");
    assert!(sentence.contains("may or may not have happened"), "{sentence}");
    eventually("it is looked up", || {
        world.vend(&["apply"]);
        (world.standing("orders/dev/one").0 == "Ready").then_some(())
    });
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create", "update"]);
    world.again_nothing();
}
