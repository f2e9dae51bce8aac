//! Which step comes when, and what a hold means for those behind it.

use insta::assert_snapshot;

use super::world::*;
use crate::model::SourceProblem;

#[test]
fn needs_and_references_come_first_and_unknown_values_are_named() {
    let mut world = World::empty();
    world.put("p/prod/network", File::default());
    let components = vec![("main", None, "files", vec!["base"]), ("base", None, "files", vec![])];
    world.put(
        "a/prod/app",
        File { components, ..File::default().referring("vpc", "p/prod/network") },
    );
    assert_snapshot!(world.show(), @"
    Create p/prod/network#main
    Create a/prod/app#base after p/prod/network#main unknown p/prod/network#arn
    Create a/prod/app#main after a/prod/app#base, p/prod/network#main unknown p/prod/network#arn
    0 settled
    ");
    world.done();
    assert_eq!(
        world.log,
        ["Create p/prod/network#main", "Create a/prod/app#base", "Create a/prod/app#main"]
    );
}

#[test]
fn teams_take_turns() {
    let mut world = World::empty();
    for n in 0..4 {
        world.put(&format!("big/prod/r{n}"), File::default());
    }
    world.put("small/prod/r", File::default());
    assert_snapshot!(world.show(), @"
    Create big/prod/r0#main
    Create small/prod/r#main
    Create big/prod/r1#main
    Create big/prod/r2#main
    Create big/prod/r3#main
    0 settled
    ");
}

#[test]
fn b81_a_cycle_is_named_and_nothing_else_stops() {
    let mut world = World::of([
        ("a/prod/one", File::default()),
        ("a/prod/two", File::default().referring("x", "a/prod/one")),
        ("b/prod/fine", File::default()),
    ]);
    // `two` is settled and not among the cases; the cycle goes through it all the same.
    world.put("a/prod/one", File::default().referring("x", "a/prod/two"));
    world.put("b/prod/fine", File::default().with("size", 1));
    world.put("c/prod/self", File::default().referring("x", "c/prod/self"));
    world.put("c/prod/on", File::default().referring("x", "c/prod/self"));
    assert_snapshot!(world.show(), @"
    Update b/prod/fine#main
    hold a/prod/one Update: Invalid DEP001 requests reference each other in a cycle: `a/prod/one` -> `a/prod/two` -> `a/prod/one`
    hold c/prod/on#main Create: WaitingFor c/prod/self
    hold c/prod/self Create: Invalid DEP001 requests reference each other in a cycle: `c/prod/self` -> `c/prod/self`
    1 settled
    ");
}

#[test]
fn two_that_change_places_are_no_cycle() {
    let mut world = World::of([
        ("a/prod/one", File::default().referring("x", "a/prod/two")),
        ("a/prod/two", File::default()),
    ]);
    world.put("a/prod/one", File::default());
    world.put("a/prod/two", File::default().referring("x", "a/prod/one"));
    assert_snapshot!(world.show(), @"
    Update a/prod/one#main
    Update a/prod/two#main after a/prod/one#main
    0 settled
    ");
    world.done();
}

#[test]
fn b81_a_chain_of_a_thousand_is_refused_behind_its_hundredth() {
    let mut world = World::empty();
    world.put("a/prod/r0", File::default());
    for n in 1..1000 {
        let file = File::default().referring("x", &format!("a/prod/r{}", n - 1));
        world.put(&format!("a/prod/r{n}"), file);
    }
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.holds.len()), (100, 900));
    let codes: Vec<_> = plan.holds.iter().map(show_hold).collect();
    assert!(codes.iter().any(|c| c.contains("DEP002 a chain of 101 requests")), "{}", codes[0]);
}

#[test]
fn a_hold_passes_to_whatever_stands_on_it() {
    let mut world = World::empty();
    world.put("p/prod/network", File { suspend: true, ..File::default() });
    world.put("a/prod/app", File::default().referring("vpc", "p/prod/network"));
    world.put("a/prod/web", File::default().referring("app", "a/prod/app"));
    assert_snapshot!(world.show(), @"
    hold a/prod/app#main Create: WaitingFor p/prod/network
    hold a/prod/web#main Create: WaitingFor a/prod/app#main
    hold p/prod/network Create: Suspended
    0 settled
    ");
    world.file("p/prod/network").suspend = false;
    world.done();
}

#[test]
fn a_broken_file_does_not_stop_those_who_use_what_was_applied() {
    let mut world = World::of([
        ("p/prod/network", File::default()),
        ("a/prod/app", File::default().referring("vpc", "p/prod/network")),
    ]);
    world.file("p/prod/network").broken = true;
    world.file("a/prod/app").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    Update a/prod/app#main
    hold p/prod/network: Invalid
    0 settled
    ");
}

#[test]
fn an_output_that_nobody_will_give_is_waited_for_by_name() {
    let mut world = World::empty();
    world.put("a/prod/app", File::default().referring("vpc", "p/prod/network"));
    assert_snapshot!(world.show(), @"
    hold a/prod/app#main Create: WaitingFor p/prod/network#arn
    0 settled
    ");
}

#[test]
fn needs_that_go_in_a_circle_are_held_and_named() {
    let mut world = World::empty();
    let components =
        vec![("main", None, "files", vec!["side"]), ("side", None, "files", vec!["main"])];
    world.put("a/prod/app", File { components, ..File::default() });
    assert_snapshot!(world.show(), @"
    hold a/prod/app#main Create: Invalid DEP001 targets wait for each other in a circle, `a/prod/app#main` among them
    hold a/prod/app#side Create: Invalid DEP001 targets wait for each other in a circle, `a/prod/app#main` among them
    0 settled
    ");
}

#[test]
fn a_source_in_trouble_holds_its_own_and_nobody_elses() {
    let mut world = World::empty();
    world.put("a/prod/one", File { source: "first", ..File::default() });
    world.put("b/prod/two", File { source: "second", ..File::default() });
    let missing = SourceProblem::FolderMissing {
        path: "requests".into(),
        tip: crate::model::Revision::new("a"),
    };
    world.sources.insert(crate::model::SourceName::new("first"), missing);
    assert_snapshot!(world.show(), @"
    Create b/prod/two#main
    hold a/prod/one Create: Source
    0 settled
    ");
}
