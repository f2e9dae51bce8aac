//! Waiting: for an end, for a retry, for somebody.

use insta::assert_snapshot;

use super::world::*;
use crate::model::{Action, Retry};
use crate::plan::InFlight;

fn flight(action: Action) -> InFlight {
    InFlight { action, artifact: None, since: at(5), unknown: None, stopped: false, silent: None }
}

#[test]
fn nothing_happens_to_a_target_in_flight_and_a_newer_wish_says_so() {
    let mut world = World::of([("a/prod/one", File::default().with("size", 1))]);
    world.file("a/prod/one").parameters.insert("size".into(), 2.into());
    let digest = world.plan().steps[0].artifact;
    let sent = InFlight { artifact: digest, ..flight(Action::Update) };
    world.in_flight.insert(key("a/prod/one#main"), sent);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main: InFlight
    0 settled
    ");
    world.file("a/prod/one").parameters.insert("size".into(), 3.into());
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Update: InFlight
    0 settled
    ");
    world.remove("a/prod/one");
    let lost = InFlight { unknown: Some("reset".into()), ..flight(Action::Update) };
    world.in_flight.insert(key("a/prod/one#main"), lost);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Delete: Unknown
    0 settled
    ");
}

#[test]
fn a_create_in_flight_whose_file_is_gone_is_not_forgotten() {
    let mut world = World::empty();
    world.in_flight.insert(key("a/prod/one#main"), flight(Action::Create));
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Delete: InFlight
    0 settled
    ");
}

#[test]
fn a_move_waits_for_what_is_in_flight() {
    let mut world = World::of([("a/prod/old", File::default())]);
    world.in_flight.insert(key("a/prod/old#main"), flight(Action::Update));
    world.remove("a/prod/old");
    world.put("a/prod/new", File { moved_from: Some(id("a/prod/old")), ..File::default() });
    assert_snapshot!(world.show(), @"
    hold a/prod/new Move: WaitingFor a/prod/old#main
    hold a/prod/old#main Delete: InFlight
    0 settled
    ");
    world.in_flight.clear();
    world.done();
    assert!(world.log.is_empty());
}

#[test]
fn dependents_wait_for_what_is_in_flight() {
    let mut world = World::of([
        ("p/prod/network", File::default()),
        ("a/prod/app", File::default().referring("vpc", "p/prod/network")),
    ]);
    world.in_flight.insert(key("p/prod/network#main"), flight(Action::Update));
    world.file("a/prod/app").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold a/prod/app#main Update: WaitingFor p/prod/network#main
    hold p/prod/network#main Update: InFlight
    0 settled
    ");
}

#[test]
fn what_failed_waits_its_time_and_another_wish_is_tried_at_once() {
    let mut world = World::empty();
    world.put("a/prod/one", File::default());
    let fingerprint = world.desired_fingerprint("a/prod/one");
    let retry = Retry {
        fingerprint: Some(fingerprint),
        attempts: 3,
        until: at(1_000_060),
        error: "throttled".into(),
        refused: false,
        ended: false,
        left: None,
    };
    world.retries.insert(key("a/prod/one#main"), retry.clone());
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Backoff
    0 settled
    ");
    world.retries.insert(key("a/prod/one#main"), Retry { refused: true, ..retry });
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Refused
    0 settled
    ");
    let mut other = world.clone();
    other.put("a/prod/one", File::default().with("size", 2));
    assert_snapshot!(other.show(), @"
    Create a/prod/one#main
    0 settled
    ");
    world.now = at(1_000_060);
    assert_snapshot!(world.show(), @"
    Create a/prod/one#main
    0 settled
    ");
}

#[test]
fn a_suspended_request_is_left_alone_even_when_it_drifts() {
    let mut world = World::of([("a/prod/one", File::default().with("size", 1))]);
    world.file("a/prod/one").suspend = true;
    assert_snapshot!(world.show(), @"
    settle a/prod/one
    1 settled
    ");
    world.done();
    world.things.clear();
    world.drift_due = true;
    assert_snapshot!(world.show(), @"
    hold a/prod/one Restore: Suspended
    drift a/prod/one#main 1
    0 settled
    ");
}
