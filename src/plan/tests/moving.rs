//! Moving never destroys.

use insta::assert_snapshot;

use super::world::*;
use crate::model::{HoldReason, Revision};
use crate::plan::Gone;

fn one() -> World {
    World::of([("a/prod/old", File::default().with("size", 1)), ("a/prod/other", File::default())])
}

fn from(old: &str) -> File {
    File { moved_from: Some(id(old)), ..File::default().with("size", 1) }
}

#[test]
fn b78_a_renamed_file_that_says_so_keeps_what_it_made() {
    let mut world = one();
    let things: Vec<_> = world.things.keys().cloned().collect();
    world.remove("a/prod/old");
    world.put("a/prod/new", from("a/prod/old"));
    assert_snapshot!(world.show(), @"
    Move a/prod/new#main from a/prod/old#main
    settle a/prod/new
    1 settled
    ");
    world.done();
    assert!(world.log.is_empty());
    assert_eq!(world.things.keys().cloned().collect::<Vec<_>>(), things);
    // An update later finds it where it was put, under the name it was given.
    world.file("a/prod/new").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    Update a/prod/new#main
    1 settled
    ");
    world.done();
    assert_eq!(world.things.keys().cloned().collect::<Vec<_>>(), things);
}

#[test]
fn a_move_with_a_change_moves_first() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/new", from("a/prod/old").with("size", 2));
    assert_snapshot!(world.show(), @"
    Move a/prod/new#main from a/prod/old#main
    Update a/prod/new#main
    1 settled
    ");
    world.done();
    assert_eq!(world.log, ["Update a/prod/new#main"]);
}

#[test]
fn a_move_and_a_renamed_component_at_once() {
    let mut world = one();
    world.remove("a/prod/old");
    let components = vec![("queue", Some("main"), "files", vec![])];
    world.put("a/prod/new", File { components, ..from("a/prod/old").with("size", 2) });
    assert_snapshot!(world.show(), @"
    Move a/prod/new#main from a/prod/old#main
    Move a/prod/new#queue from a/prod/new#main
    Update a/prod/new#queue
    1 settled
    ");
    world.done();
    assert_eq!(world.log, ["Update a/prod/new#queue"]);
}

#[test]
fn b78_without_saying_so_both_are_held_until_somebody_does() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/new", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    let mut meant = world.clone();
    meant.approvals.insert(asked(&meant.plan()));
    meant.done();
    assert_eq!(meant.log.len(), 2);

    world.file("a/prod/new").moved_from = Some(id("a/prod/old"));
    world.done();
    assert!(world.log.is_empty());
}

/// `a/prod/old` went with commit `one`, is protected, and nothing came with it.
fn gone_and_protected() -> World {
    let mut world = one();
    world.remove("a/prod/old");
    let commit = Some(Revision::new("one"));
    world.gone.insert(id("a/prod/old"), Gone { protect: true, commit, ..Gone::default() });
    world
}

fn later(world: &mut World, name: &str) {
    world.put(name, File::default().with("size", 1));
    world.later.insert(id(name), [Revision::new("one")].into());
}

#[test]
fn what_comes_after_it_went_is_another_thing() {
    let mut world = gone_and_protected();
    later(&mut world, "a/prod/new");
    later(&mut world, "b/prod/old");
    world.put("a/dev/old", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    Create a/dev/old#main
    Create b/prod/old#main
    Create a/prod/new#main
    hold a/prod/old Delete: Protected
    1 settled
    ");
    world.converge();
    assert_snapshot!(world.show(), @"
    hold a/prod/old Delete: Protected
    4 settled
    ");
}

#[test]
fn b78_what_came_with_it_is_held_however_protected_it_is() {
    let mut world = gone_and_protected();
    world.put("a/prod/new", File::default().with("size", 1));
    later(&mut world, "a/prod/later");
    assert_snapshot!(world.show(), @"
    Create a/prod/later#main
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    assert_snapshot!(world.show(), @"
    Create a/prod/later#main
    Create a/prod/new#main
    hold a/prod/old Delete: Protected
    1 settled
    ");
}

#[test]
fn what_stood_beside_it_before_it_went_is_another_thing() {
    let mut world = gone_and_protected();
    world.gone.get_mut(&id("a/prod/old")).unwrap().protect = false;
    let suspended = File { suspend: true, ..File::default().with("size", 1) };
    for (name, file) in
        [("a/prod/twin", suspended), ("a/prod/broken", File { broken: true, ..File::default() })]
    {
        world.put(name, file);
        world.untouched.insert(id(name), [Revision::new("one")].into());
    }
    assert_snapshot!(world.show(), @"
    Delete a/prod/old#main
    hold a/prod/broken: Invalid
    hold a/prod/twin Create: Suspended
    1 settled
    ");
    world.converge();
    assert_eq!(world.log, ["Delete a/prod/old#main"]);
    // Had it been a move that the last pass held, they would be no more its correction.
    let mut world = gone_and_protected();
    world.put("a/prod/twin", File::default().with("size", 1));
    world.untouched.insert(id("a/prod/twin"), [Revision::new("one")].into());
    world.may_have_moved.insert(id("a/prod/old"));
    assert_snapshot!(world.show(), @"
    Create a/prod/twin#main
    hold a/prod/old Delete: Protected
    1 settled
    ");
}

#[test]
fn b78_what_corrects_a_held_move_comes_later_and_is_held_as_well() {
    let mut world = gone_and_protected();
    world.gone.get_mut(&id("a/prod/old")).unwrap().protect = false;
    later(&mut world, "a/prod/new");
    world.may_have_moved.insert(id("a/prod/old"));
    assert_snapshot!(world.show(), @"
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    // As long as what came with it stands, it is that one or none.
    world.put("a/prod/first", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    Create a/prod/new#main
    hold a/prod/first Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/first
    1 settled
    ");
}

#[test]
fn b78_what_comes_with_a_later_file_that_cannot_be_read_corrects_nothing() {
    let mut world = gone_and_protected();
    later(&mut world, "a/prod/broken");
    world.file("a/prod/broken").broken = true;
    later(&mut world, "a/prod/new");
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    Create a/prod/new#main
    hold a/prod/broken: Invalid
    hold a/prod/old Delete: LooksLikeAMove a/prod/broken
    1 settled
    ");
    // The next pass takes it for what this one took it for, also where this one made nothing.
    assert!(!plan.holds.iter().any(|hold| hold.reason.is_incomplete_move()));

    // One that came as the other went is half of a move, and what comes later may correct it at once.
    world.later.remove(&id("a/prod/broken"));
    let plan = world.plan();
    assert_snapshot!(show(&plan), @"
    hold a/prod/broken: Invalid
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    assert!(plan.holds.iter().any(|hold| hold.reason.is_incomplete_move()));
    world.file("a/prod/new").moved_from = Some(id("a/prod/old"));
    world.remove("a/prod/broken");
    world.done();
    assert!(world.log.is_empty(), "again: nothing to do");
}

#[test]
fn another_team_is_thought_of_where_the_own_has_nothing_like_it() {
    let mut world = gone_and_protected();
    world.put("b/prod/new", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    hold a/prod/old Delete: LooksLikeAMove b/prod/new
    hold b/prod/new Create: LooksLikeAMove a/prod/old
    1 settled
    ");
    world.put("a/prod/new", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    Create b/prod/new#main
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    // Nobody knows with which commits it went.
    world.remove("a/prod/new");
    world.gone.clear();
    assert_snapshot!(world.show(), @"
    Delete a/prod/old#main
    Create b/prod/new#main
    1 settled
    ");
}

#[test]
fn one_word_says_that_it_is_none_of_several() {
    let mut world = one();
    world.remove("a/prod/old");
    for name in ["a/prod/new1", "a/prod/new2", "b/prod/old"] {
        world.put(name, File::default().with("size", 1));
    }
    assert_snapshot!(world.show(), @"
    hold a/prod/new1 Create: LooksLikeAMove a/prod/old
    hold a/prod/new2 Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new1; a/prod/new2; b/prod/old
    hold b/prod/old Create: LooksLikeAMove a/prod/old
    1 settled
    ");
    let mut said = world.clone();
    said.file("a/prod/new2").moved_from = Some(id("a/prod/old"));
    assert_snapshot!(said.show(), @"
    Move a/prod/new2#main from a/prod/old#main
    Create a/prod/new1#main
    Create b/prod/old#main
    settle a/prod/new2
    1 settled
    ");
    let of_all = world.plan().holds.into_iter().find_map(|hold| match hold.reason {
        HoldReason::LooksLikeAMove { set, .. } => set,
        _ => None,
    });
    world.approvals.insert(of_all.unwrap());
    let plan = world.plan();
    assert_eq!((plan.approved.len(), plan.spent.as_slice()), (3, &[of_all.unwrap()][..]));
    world.approvals = plan.approved.into_iter().collect();
    world.done();
    assert_eq!(world.log.len(), 4);
}

#[test]
fn a_new_file_that_cannot_be_read_yet_may_be_the_moved_one() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/new", File { broken: true, ..File::default() });
    world.put("b/prod/new", File { broken: true, ..File::default() });
    assert_snapshot!(world.show(), @"
    hold a/prod/new: Invalid
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    hold b/prod/new: Invalid
    1 settled
    ");
}

#[test]
fn two_moves_between_two_passes() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/last", from("a/prod/middle"));
    let gone = Gone { moved_from: Some(id("a/prod/old")), ..Gone::default() };
    world.gone.insert(id("a/prod/middle"), gone);
    assert_snapshot!(world.show(), @"
    Move a/prod/last#main from a/prod/old#main
    settle a/prod/last
    1 settled
    ");
    let plan = world.plan();
    world.apply(&plan);
    world.gone.clear();
    world.done();
    assert!(world.log.is_empty());
}

#[test]
fn b78_a_name_that_nobody_knows_may_be_misspelt() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/new", from("a/prod/odl").with("size", 2));
    world.put("a/prod/more", File::default().with("size", 7));
    world.put("a/dev/new", from("a/prod/odl").with("size", 2));
    assert_snapshot!(world.show(), @"
    Create a/dev/new#main
    Create a/prod/more#main
    hold a/prod/new Create: LooksLikeAMove a/prod/old
    hold a/prod/old Delete: LooksLikeAMove a/prod/new
    1 settled
    ");
    let mut meant = world.clone();
    meant.approvals.insert(asked(&meant.plan()));
    meant.done();
    assert_eq!(meant.log.len(), 4);

    world.file("a/prod/new").moved_from = Some(id("a/prod/old"));
    world.remove("a/dev/new");
    world.remove("a/prod/more");
    assert_snapshot!(world.show(), @"
    Move a/prod/new#main from a/prod/old#main
    Update a/prod/new#main
    1 settled
    ");
    world.done();
    assert_eq!(world.log.len(), 1, "an update");
}

#[test]
fn one_that_has_its_own_takes_no_other_and_lets_it_stand() {
    let mut world = one();
    world.remove("a/prod/old");
    world.file("a/prod/other").moved_from = Some(id("a/prod/old"));
    world.converge();
    assert_snapshot!(world.show(), @"
    hold a/prod/old Delete: LooksLikeAMove a/prod/other
    1 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    world.done();
    assert_eq!(world.log, ["Delete a/prod/old#main"]);
}

#[test]
fn a_name_that_nobody_knows_holds_nothing_where_nothing_went() {
    let mut world = one();
    world.put("a/prod/new", from("a/prod/odl"));
    assert_snapshot!(world.show(), @"
    Create a/prod/new#main
    2 settled
    ");
    world.done();
}

#[test]
fn b79_two_that_claim_the_same_are_refused() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/prod/new", from("a/prod/old"));
    world.put("a/prod/new2", from("a/prod/old"));
    assert_snapshot!(world.show(), @"
    hold a/prod/new Create: Invalid MOV001 `a/prod/new2` says `movedFrom: a/prod/old`, and so does this request
    hold a/prod/new2 Create: Invalid MOV001 `a/prod/new` says `movedFrom: a/prod/old`, and so does this request
    hold a/prod/old Delete: LooksLikeAMove a/prod/new; a/prod/new2
    1 settled
    ");
    world.remove("a/prod/new2");
    world.done();
    assert!(world.log.is_empty());
}

#[test]
fn b79_a_copy_is_a_request_of_its_own() {
    let mut world = one();
    world.put("a/prod/copy", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    Create a/prod/copy#main
    2 settled
    ");
    world.done();
}

#[test]
fn naming_one_that_still_stands_is_held() {
    let mut world = one();
    world.put("a/prod/copy", from("a/prod/old"));
    assert_snapshot!(world.show(), @"
    hold a/prod/copy Create: LooksLikeAMove a/prod/old
    2 settled
    ");
}

#[test]
fn nothing_moves_across_environments() {
    let mut world = one();
    world.remove("a/prod/old");
    world.put("a/dev/old", from("a/prod/old"));
    assert_snapshot!(world.show(), @"
    hold a/dev/old Create: Invalid MOV002 `movedFrom` names `a/prod/old`, which is in another environment: what it made cannot follow
    hold a/prod/old Delete: LooksLikeAMove a/dev/old
    1 settled
    ");
}

#[test]
fn one_that_left_its_source_for_another_is_held() {
    let mut world = one();
    world.file("a/prod/old").source = "second";
    assert_snapshot!(world.show(), @"2 settled");
    world.file("a/prod/old").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold a/prod/old Update: LooksLikeAMove source
    1 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    world.done();
}

#[test]
fn who_was_another_request_cannot_refer_to_it() {
    let mut world = World::of([("a/prod/old", File::default())]);
    let moved_from = Some(id("a/prod/old"));
    world.remove("a/prod/old");
    let new = File { moved_from, ..File::default() };
    world.put("a/prod/new", new.clone().referring("vpc", "a/prod/old"));
    let shown = world.show();
    assert!(
        shown.contains("it says that it was `a/prod/old`, and its parameters refer to an output"),
        "{shown}"
    );
    world.converge();
    assert!(world.log.is_empty(), "nothing is made of it");
    world.put("a/prod/new", new);
    world.done();
}

#[test]
fn a_name_that_was_left_can_be_used_again() {
    let mut world = World::of([("a/prod/one", File::default().with("size", 1))]);
    world.remove("a/prod/one");
    world.put(
        "a/prod/three",
        File { moved_from: Some(id("a/prod/one")), ..File::default().with("size", 2) },
    );
    world.done();
    world.remove("a/prod/three");
    world.put("a/prod/one", File::default().with("size", 1));
    assert_snapshot!(world.show(), @"
    Create a/prod/one#main
    Delete a/prod/three#main
    0 settled
    ");
    world.log.clear();
    world.done();
    assert_eq!(world.log.len(), 2, "{:?}", world.log);
    assert_eq!(world.things.len(), 1);
}
