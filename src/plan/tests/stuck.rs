//! What stands in the way: without a mark, or in a state in which nothing can be done to it.

use insta::assert_snapshot;

use super::world::*;
use crate::digest::sha256;
use crate::model::{HoldReason, Owner, Remark, Retry, Stuck};

fn left(owner: Owner, empty: Option<bool>) -> Thing {
    let stuck = empty.map(|empty| Stuck { advice: "look at it".into(), unmade: empty });
    Thing {
        digest: sha256(b"x"),
        owner,
        drift: vec![],
        busy: false,
        pending: false,
        unchecked: None,
        guarded: None,
        stuck,
    }
}

/// A new request where that stands already.
fn met(file: File, thing: Thing) -> World {
    let mut world = World::empty();
    world.put("a/prod/one", file);
    let name = world.plan().steps[0].target.name.clone();
    world.things.insert(("files".into(), name), thing);
    world
}

#[test]
fn what_carries_no_mark_is_taken_over_only_when_the_request_says_so() {
    let mut world = met(File::default(), left(Owner::Nobody, None));
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: NotOurs adoptable
    0 settled
    ");
    world.file("a/prod/one").adopt = true;
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    Update a/prod/one#main (Adopts)
    0 settled
    ");
    assert_eq!(plan.steps[0].remarks, [Remark::Adopts]);
    world.done();
    // Once it is ours, the word has done its work.
    world.file("a/prod/one").adopt = false;
    world.done();
}

/// A request whose creation failed, and left that.
fn failed(thing: Option<Thing>) -> World {
    let mut world = match thing {
        Some(thing) => met(File::default(), thing),
        None => {
            let mut world = World::empty();
            world.put("a/prod/one", File::default());
            world
        }
    };
    let target = crate::model::Target { id: None, ..first_target() };
    let record = World::of([("a/prod/one", File::default())]).records.into_values().next().unwrap();
    let record = crate::model::Record { components: Default::default(), ..record };
    let retry = Retry {
        fingerprint: Some(world.desired_fingerprint("a/prod/one")),
        attempts: 1,
        until: at(2_000_000_000),
        error: "no room".into(),
        refused: true,
        ended: true,
        left: Some(Box::new(crate::model::Left { target, record })),
    };
    world.retries.insert(key("a/prod/one#main"), retry);
    world.files.clear();
    world
}

fn first_target() -> crate::model::Target {
    let mut world = World::empty();
    world.put("a/prod/one", File::default());
    world.plan().steps[0].target.clone()
}

#[test]
fn what_a_failed_creation_left_goes_with_its_file_and_nothing_else_does() {
    let unmade = || left(Owner::Ours, Some(true));
    assert_snapshot!(failed(Some(unmade())).show(), @"
    Delete a/prod/one#main (Rubble)
    0 settled
    ");
    // What is stuck may have been whole since, and of use.
    assert_snapshot!(failed(Some(left(Owner::Ours, Some(false)))).show(), @"
    hold a/prod/one#main Delete: Stuck
    0 settled
    ");
    assert_snapshot!(failed(None).show(), @"
    Forget a/prod/one#main
    0 settled
    ");
    assert_snapshot!(failed(Some(left(Owner::Nobody, None))).show(), @"
    Forget a/prod/one#main
    0 settled
    ");
    assert_snapshot!(failed(Some(left(Owner::Ours, None))).show(), @"
    hold a/prod/one#main Delete: Stuck
    0 settled
    ");
    assert_snapshot!(failed(Some(Thing { busy: true, ..unmade() })).show(), @"
    hold a/prod/one#main Delete: Busy
    0 settled
    ");
    let mut world = failed(Some(unmade()));
    let name = first_target().name;
    world.unseen.insert(name);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Delete: NotObserved throttled
    0 settled
    ");
    // What nobody knows of is a stranger's, whatever it says.
    let mut world = failed(Some(unmade()));
    world.retries.clear();
    assert_snapshot!(world.show(), @"0 settled");
}

/// Its file asks for it at another place.
fn moved_elsewhere(world: &mut World) {
    let mut file = File::default();
    file.settings.insert("path".into(), "elsewhere".into());
    world.put("a/prod/one", file);
}

fn paths(world: &World) -> Vec<serde_json::Value> {
    let steps = world.plan().steps;
    steps.into_iter().map(|step| step.target.settings["path"].clone()).collect()
}

#[test]
fn what_a_failed_creation_left_goes_before_it_is_made_elsewhere() {
    let mut world = failed(Some(left(Owner::Ours, Some(true))));
    moved_elsewhere(&mut world);
    assert_snapshot!(world.show(), @"
    Delete a/prod/one#main (Rubble)
    Create a/prod/one#main after a/prod/one#main
    0 settled
    ");
    assert_eq!(paths(&world), ["prod/a/one/main", "elsewhere"]);
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main", "Create a/prod/one#main"]);

    // Where somebody took it away, nothing is to be deleted.
    let mut world = failed(None);
    moved_elsewhere(&mut world);
    world.done();
    assert_eq!(world.log, ["Create a/prod/one#main"]);

    // Somebody has to say what is meant with what may be of use, and it is not forgotten meanwhile.
    let mut world = failed(Some(left(Owner::Ours, Some(false))));
    moved_elsewhere(&mut world);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Delete: Stuck
    hold a/prod/one#main Create: WaitingFor a/prod/one#main
    0 settled
    ");
    world.things.clear();
    world.done();
    assert_eq!(world.log, ["Create a/prod/one#main"]);
}

#[test]
fn what_a_failed_creation_left_is_remembered_over_a_move() {
    let one = || File { components: vec![("main", None, "files", vec![])], ..File::default() };
    let two = || File {
        components: vec![("main", None, "files", vec![]), ("more", None, "files", vec![])],
        ..File::default()
    };
    let mut world = World::of([("a/prod/one", one())]);
    world.put("a/prod/one", two());
    let target = world.plan().steps[0].target.clone();
    let record = world.records[&id("a/prod/one")].clone();
    let retry = Retry {
        fingerprint: Some(world.desired_fingerprint("a/prod/one")),
        attempts: 1,
        until: at(2_000_000_000),
        error: "no room".into(),
        refused: true,
        ended: true,
        left: Some(Box::new(crate::model::Left { target: target.clone(), record })),
    };
    world.retries.insert(key("a/prod/one#more"), retry);
    let place = ("files".to_owned(), target.name);
    world.things.insert(place.clone(), left(Owner::Ours, Some(true)));
    world.remove("a/prod/one");
    world.put("a/prod/two", File { moved_from: Some(id("a/prod/one")), ..two() });
    assert_snapshot!(world.show(), @"
    Move a/prod/two#main from a/prod/one#main
    Delete a/prod/two#more (Rubble)
    Create a/prod/two#more after a/prod/two#more
    0 settled
    ");
    world.done();
    assert_eq!(world.log, ["Delete a/prod/two#more", "Create a/prod/two#more"]);
    assert!(!world.things.contains_key(&place) && world.retries.is_empty());
}

#[test]
fn anothers_is_never_taken_over_and_neither_is_what_is_at_work_or_stuck() {
    let adopt = || File { adopt: true, ..File::default() };
    let other = met(adopt(), left(Owner::Other("b/prod/one".into()), None));
    assert_snapshot!(other.show(), @"
    hold a/prod/one#main Create: NotOurs b/prod/one
    0 settled
    ");
    let busy = met(adopt(), Thing { busy: true, ..left(Owner::Nobody, None) });
    assert_snapshot!(busy.show(), @"
    hold a/prod/one#main Create: Busy
    0 settled
    ");
    let mut stuck = met(adopt(), left(Owner::Nobody, Some(true)));
    assert_snapshot!(stuck.show(), @"
    hold a/prod/one#main Create: Stuck
    0 settled
    ");
    let HoldReason::Stuck { digest, .. } = &stuck.plan().holds[0].reason else { panic!() };
    assert_eq!(*digest, None, "what is not ours is not deleted");
    stuck.remove("a/prod/one");
    stuck.done();
}

#[test]
fn f41_what_is_stuck_waits_for_a_person_and_can_still_be_deleted() {
    let mut world = World::of([("a/prod/one", File::default().with("size", 1))]);
    world.thing("a/prod/one#main").stuck = left(Owner::Ours, Some(false)).stuck;
    world.file("a/prod/one").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Update: Stuck
    drift a/prod/one#main 1
    0 settled
    ");
    world.remove("a/prod/one");
    assert_snapshot!(world.show(), @"
    Delete a/prod/one#main
    0 settled
    ");
    world.done();
}

#[test]
fn the_rest_of_a_failed_try_is_cleared_away_when_a_person_says_so_and_once() {
    let mut world = met(File::default(), left(Owner::Ours, Some(true)));
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Stuck
    0 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    Delete a/prod/one#main (Rubble)
    Create a/prod/one#main after a/prod/one#main
    0 settled
    ");
    world.apply(&plan);
    assert_snapshot!(world.show(), @"
    Create a/prod/one#main
    0 settled
    ");
    // Another try that failed leaves another rest, and another question.
    let name = world.plan().steps[0].target.name.clone();
    let rest = Thing { digest: sha256(b"y"), ..left(Owner::Ours, Some(true)) };
    world.things.insert(("files".into(), name), rest);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Stuck
    0 settled
    ");
    world.things.clear();
    world.done();
}

#[test]
fn what_is_recorded_and_empty_is_cleared_away_too() {
    let mut world = World::of([("a/prod/one", File::default().with("size", 1))]);
    world.thing("a/prod/one#main").stuck = left(Owner::Ours, Some(true)).stuck;
    world.file("a/prod/one").parameters.insert("size".into(), 2.into());
    world.approvals.insert(asked(&world.plan()));
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main", "Create a/prod/one#main"]);
}

#[test]
fn what_failed_is_looked_at_while_it_waits_since_it_may_be_stuck() {
    let mut world = met(File::default(), left(Owner::Ours, Some(true)));
    let retry = Retry {
        fingerprint: Some(world.desired_fingerprint("a/prod/one")),
        attempts: 1,
        until: at(2_000_000),
        error: "no".into(),
        refused: true,
        ended: false,
        left: None,
    };
    world.retries.insert(key("a/prod/one#main"), retry.clone());
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Refused
    0 settled
    ");
    world.retries.insert(key("a/prod/one#main"), Retry { ended: true, ..retry });
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Create: Stuck
    0 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    assert_snapshot!(world.show(), @"
    Delete a/prod/one#main (Rubble)
    Create a/prod/one#main after a/prod/one#main
    0 settled
    ");
}

#[test]
fn nothing_is_known_of_drift_while_a_look_for_it_is_under_way() {
    let mut world = World::of([("a/prod/one", File::default())]);
    world.drift_due = true;
    world.thing("a/prod/one#main").pending = true;
    assert_snapshot!(world.show(), @"1 settled");
}

/// What is left of a creation that failed, and locked by somebody; `protect`: the try would have locked it.
fn locked(protect: bool) -> World {
    let thing = Thing { guarded: Some(true), ..left(Owner::Ours, Some(true)) };
    let mut world = failed(Some(thing));
    let retry = world.retries.get_mut(&key("a/prod/one#main")).unwrap();
    retry.left.as_mut().unwrap().record.protect = protect;
    world
}

fn unlock(world: &mut World) {
    world.things.values_mut().for_each(|thing| thing.guarded = Some(false));
}

#[test]
fn what_somebody_locked_of_a_failed_creation_stays_until_they_unlock_it() {
    let mut world = locked(false);
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    hold a/prod/one#main Delete: Stuck
    0 settled
    ");
    let HoldReason::Stuck { advice, digest: None, .. } = &plan.holds[0].reason else { panic!() };
    assert!(advice.contains("its termination protection is on"), "{advice}");
    unlock(&mut world);
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main"]);

    // Nor does it go where its file asks for it elsewhere.
    let mut world = locked(false);
    moved_elsewhere(&mut world);
    assert_snapshot!(world.show(), @"
    hold a/prod/one#main Delete: Stuck
    hold a/prod/one#main Create: WaitingFor a/prod/one#main
    0 settled
    ");
    unlock(&mut world);
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main", "Create a/prod/one#main"]);

    // The try itself had put it on.
    let mut world = locked(true);
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main"]);
}

#[test]
fn what_somebody_locked_of_a_failed_try_is_not_cleared_away_by_an_approval_either() {
    let mut world = met(File::default(), left(Owner::Ours, Some(true)));
    world.approvals.insert(asked(&world.plan()));
    world.things.values_mut().for_each(|thing| thing.guarded = Some(true));
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    hold a/prod/one#main Create: Stuck
    0 settled
    ");
    let HoldReason::Stuck { advice, digest: None, .. } = &plan.holds[0].reason else { panic!() };
    assert!(advice.contains("its termination protection is on"), "{advice}");
    unlock(&mut world);
    world.done();
    assert_eq!(world.log, ["Delete a/prod/one#main", "Create a/prod/one#main"]);
}

#[test]
fn a_lock_that_was_there_does_not_become_vends() {
    let thing = Thing { guarded: Some(true), ..left(Owner::Nobody, None) };
    let protected = || File { adopt: true, protect: true, ..File::default() };
    let mut world = met(protected(), thing);
    assert!(world.plan().steps[0].locked);
    world.things.values_mut().for_each(|thing| thing.guarded = Some(false));
    assert!(!world.plan().steps[0].locked, "the change puts it on");
    world.done();

    // vend's own is vend's still.
    world.file("a/prod/one").parameters.insert("size".into(), 2.into());
    for (recorded, locked) in [(Some(true), false), (Some(false), true), (None, true)] {
        let record = world.records.get_mut(&id("a/prod/one")).unwrap();
        record.components.values_mut().for_each(|c| c.guarded = recorded);
        world.things.values_mut().for_each(|thing| thing.guarded = Some(true));
        assert_eq!(world.plan().steps[0].locked, locked, "{recorded:?}");
    }
    world.done();
}
