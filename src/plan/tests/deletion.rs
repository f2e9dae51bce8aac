//! What stands between a deletion and the world.

use insta::assert_snapshot;

use super::world::*;
use crate::model::{HoldReason, Revision, SourceName, SourceProblem};
use crate::plan::Gone;

fn many(teams: &[(&str, usize)]) -> World {
    let names: Vec<String> = teams
        .iter()
        .flat_map(|(team, n)| (0..*n).map(move |i| format!("{team}/prod/r{i}")))
        .collect();
    let file = |name: &str| File::default().with("name", name);
    World::of(names.iter().map(|n| (n.as_str(), file(n))))
}

#[test]
fn a_removed_request_is_deleted() {
    let mut world = many(&[("a", 4)]);
    world.remove("a/prod/r0");
    assert_snapshot!(world.show(), @"
    Delete a/prod/r0#main
    3 settled
    ");
    world.done();
}

#[test]
fn one_that_is_already_absent_is_forgotten() {
    let mut world = many(&[("a", 4)]);
    world.remove("a/prod/r0");
    world.things.retain(|(_, name), _| !name.as_str().contains("r0"));
    assert_snapshot!(world.show(), @"
    Forget a/prod/r0#main
    3 settled
    ");
    world.done();
    assert!(world.log.is_empty());
}

#[test]
fn b85_a_broken_file_is_no_deletion() {
    let mut world = many(&[("a", 4)]);
    world.file("a/prod/r0").broken = true;
    assert_snapshot!(world.show(), @"
    hold a/prod/r0: Invalid
    3 settled
    ");
}

#[test]
fn a_protected_one_needs_its_tombstone() {
    let mut world = many(&[("a", 4)]);
    world.file("a/prod/r0").protect = true;
    world.done();
    world.remove("a/prod/r0");
    assert_snapshot!(world.show(), @"
    hold a/prod/r0 Delete: Protected
    3 settled
    ");
    // The file came back with its tombstone and went again between two passes.
    let gone = Gone { tombstone: true, ..Gone::default() };
    world.gone.insert(id("a/prod/r0"), gone);
    assert_snapshot!(world.show(), @"
    Delete a/prod/r0#main
    3 settled
    ");
    world.gone.clear();

    world.put(
        "a/prod/r0",
        File { tombstone: true, protect: true, ..File::default().with("name", "a/prod/r0") },
    );
    world.done();
    world.remove("a/prod/r0");
    world.done();
}

#[test]
fn taking_protection_away_counts_only_once_it_is_recorded() {
    let mut world = many(&[("a", 4)]);
    world.file("a/prod/r0").protect = true;
    world.done();
    // The last content had no protection any more, and no pass has seen that.
    world.remove("a/prod/r0");
    world.gone.insert(id("a/prod/r0"), Gone::default());
    assert_snapshot!(world.show(), @"
    hold a/prod/r0 Delete: Protected
    3 settled
    ");
    // Protection that came at the end counts at once.
    world.records.get_mut(&id("a/prod/r0")).unwrap().protect = false;
    world.gone.insert(id("a/prod/r0"), Gone { protect: true, ..Gone::default() });
    assert_snapshot!(world.show(), @"
    hold a/prod/r0 Delete: Protected
    3 settled
    ");
    world.gone.insert(id("a/prod/r0"), Gone::default());
    world.done();
}

#[test]
fn a_component_of_a_protected_request_needs_the_tombstone_too() {
    let both = vec![("main", None, "files", vec![]), ("alarm", None, "files", vec![])];
    let mut world =
        World::of([("a/prod/r0", File { protect: true, components: both, ..File::default() })]);
    world.file("a/prod/r0").components.pop();
    assert_snapshot!(world.show(), @"
    hold a/prod/r0#alarm Delete: Protected
    0 settled
    ");
}

#[test]
fn b84_thirty_of_a_hundred_wait_for_a_person() {
    let mut world = many(&[("a", 60), ("b", 40)]);
    for n in 0..30 {
        world.remove(&format!("a/prod/r{n}"));
        let gone = Gone { commit: Some(Revision::new("c0ffee")), ..Gone::default() };
        world.gone.insert(id(&format!("a/prod/r{n}")), gone);
    }
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.holds.len(), plan.settled), (0, 30, 70));
    assert_eq!(show_hold(&plan.holds[0]), "a/prod/r0 Delete: TooManyDeletes 30 of 100 all");
    let HoldReason::TooManyDeletes { commit, .. } = &plan.holds[0].reason else { panic!() };
    assert_eq!(commit.as_ref().unwrap().as_str(), "c0ffee");

    // Another set is another question.
    world.approvals.insert(asked(&plan));
    world.remove("b/prod/r0");
    let other = world.plan();
    assert_eq!((other.steps.len(), other.holds.len()), (0, 31));
    world.put("b/prod/r0", File::default().with("name", "b/prod/r0"));

    // The approval stays good for what is left when some of the set is done.
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.approved.len()), (30, 30));
    let mut half = plan;
    half.steps.truncate(10);
    world.apply(&half);
    assert_eq!(world.plan().steps.len(), 20);
    world.done();
}

#[test]
fn f08_an_empty_folder_deletes_nothing() {
    let mut world = many(&[("a", 5)]);
    world.files.clear();
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.holds.len()), (0, 5));
}

#[test]
fn three_may_go_of_a_few_and_a_tenth_of_many() {
    let mut world = many(&[("a", 60)]);
    for n in 0..6 {
        world.remove(&format!("a/prod/r{n}"));
    }
    assert_eq!(world.plan().steps.len(), 6);
    world.remove("a/prod/r6");
    assert_eq!(world.plan().steps.len(), 0);
}

#[test]
fn all_of_a_team_wait_and_the_others_do_not() {
    let mut world = many(&[("a", 3), ("b", 30), ("c", 2)]);
    for name in ["a/prod/r0", "a/prod/r1", "a/prod/r2"] {
        world.remove(name);
    }
    assert_snapshot!(world.show(), @"
    hold a/prod/r0 Delete: TooManyDeletes 3 of 35 a
    hold a/prod/r1 Delete: TooManyDeletes 3 of 35 a
    hold a/prod/r2 Delete: TooManyDeletes 3 of 35 a
    32 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    world.done();
    // Two are not a team yet.
    world.remove("c/prod/r0");
    world.remove("c/prod/r1");
    world.done();
}

#[test]
fn an_outage_that_ends_little_by_little_lets_no_large_deletion_through() {
    let mut world = many(&[("a", 10)]);
    world.unseen = world.things.keys().skip(1).map(|(_, name)| name.clone()).collect();
    for n in 0..9 {
        world.remove(&format!("a/prod/r{n}"));
    }
    let plan = world.plan();
    assert_eq!((plan.steps.len(), plan.holds.len()), (0, 9));
}

#[test]
fn what_is_referenced_stays_and_dependents_go_first() {
    let mut world = World::of([
        ("p/prod/network", File::default()),
        ("a/prod/app", File::default().referring("vpc", "p/prod/network")),
    ]);
    world.remove("p/prod/network");
    assert_snapshot!(world.show(), @"
    hold p/prod/network Delete: Referenced a/prod/app
    1 settled
    ");
    world.remove("a/prod/app");
    assert_snapshot!(world.show(), @"
    Delete a/prod/app#main
    Delete p/prod/network#main after a/prod/app#main
    0 settled
    ");
    world.done();
}

#[test]
fn a_dependent_that_cannot_go_holds_what_it_stands_on() {
    let mut world = World::of([
        ("p/prod/network", File::default()),
        (
            "a/prod/app",
            File { protect: true, ..File::default().referring("vpc", "p/prod/network") },
        ),
    ]);
    world.remove("p/prod/network");
    world.remove("a/prod/app");
    assert_snapshot!(world.show(), @"
    hold a/prod/app Delete: Protected
    hold p/prod/network Delete: Referenced a/prod/app
    0 settled
    ");
}

#[test]
fn a_dependent_that_lets_go_in_the_same_commit_changes_first() {
    let mut world = World::of([
        ("p/prod/network", File::default()),
        ("a/prod/app", File::default().referring("vpc", "p/prod/network")),
    ]);
    world.remove("p/prod/network");
    world.put("a/prod/app", File::default().with("vpc", "vpc-1"));
    assert_snapshot!(world.show(), @"
    Update a/prod/app#main
    Delete p/prod/network#main after a/prod/app#main
    0 settled
    ");
    world.done();
}

#[test]
fn nothing_is_deleted_from_a_source_in_trouble() {
    let stale = SourceProblem::Stale { error: "timeout".into(), since: at(1) };
    let rewritten =
        SourceProblem::HistoryRewritten { last: Revision::new("a"), tip: Revision::new("b") };
    let mut world = many(&[("a", 4)]);
    world.remove("a/prod/r0");
    world.file("a/prod/r1").parameters.insert("name".into(), "other".into());
    world.put("a/prod/r9", File::default());
    world.sources.insert(SourceName::new("main"), stale);
    assert_snapshot!(world.show(), @"
    Update a/prod/r1#main
    Create a/prod/r9#main
    hold a/prod/r0 Delete: Source
    2 settled
    ");
    world.sources.insert(SourceName::new("main"), rewritten);
    assert_snapshot!(world.show(), @"
    hold a/prod/r0 Delete: Source
    hold a/prod/r1 Update: Source
    hold a/prod/r9 Create: Source
    2 settled
    ");
    world.sources.clear();
    world.done();
}

#[test]
fn components_go_in_reverse() {
    let mut world = World::of([(
        "a/prod/r0",
        File {
            components: vec![
                ("main", None, "files", vec![]),
                ("mid", None, "files", vec!["main"]),
                ("top", None, "files", vec!["mid"]),
            ],
            ..File::default()
        },
    )]);
    world.remove("a/prod/r0");
    assert_snapshot!(world.show(), @"
    Delete a/prod/r0#top
    Delete a/prod/r0#mid after a/prod/r0#top
    Delete a/prod/r0#main after a/prod/r0#mid
    0 settled
    ");
    world.done();
}

#[test]
fn a_record_with_nothing_in_it_is_dropped() {
    let mut world = many(&[("a", 4)]);
    world.remove("a/prod/r0");
    world.records.get_mut(&id("a/prod/r0")).unwrap().components.clear();
    world.things.retain(|(_, name), _| !name.as_str().contains("r0"));
    assert_eq!(world.plan().forget, [id("a/prod/r0")]);
    world.done();
}

#[test]
fn b84_one_that_is_under_way_counts_among_those_that_go() {
    let names = ["a/prod/one", "a/prod/two", "a/prod/three"];
    let mut world = World::of(names.map(|name| (name, File::default())));
    names.iter().for_each(|name| world.remove(name));
    let key = key("a/prod/one#main");
    let (action, since) = (crate::model::Action::Update, at(1));
    let flight = crate::plan::InFlight {
        action,
        artifact: None,
        since,
        unknown: None,
        stopped: false,
        silent: None,
    };
    world.in_flight.insert(key, flight);
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", show(&plan));
    world.in_flight.clear();
    world.converge();
    assert!(world.log.is_empty(), "{:?}", world.log);
    world.approvals.insert(asked(&world.plan()));
    world.done();
    assert_eq!(world.log.len(), 3);
}

#[test]
fn b84_what_comes_meanwhile_lets_no_held_set_go() {
    let names = ["a/prod/one", "a/prod/two", "a/prod/three"];
    let mut world = World::of(names.map(|name| (name, File::default().with("size", 1))));
    names.iter().for_each(|name| world.remove(name));
    world.converge();
    world.put("a/prod/new", File::default().with("size", 9));
    world.put("b/prod/new", File::default().with("size", 8));
    world.converge();
    assert_eq!(world.log.len(), 2, "{:?}", world.log);
    let plan = world.plan();
    assert_eq!(plan.holds.len(), 3, "{}", show(&plan));
    // Who takes one back has looked, and the rest is no longer many.
    let mut back = world.clone();
    back.put("a/prod/one", File::default().with("size", 1));
    back.done();
    assert_eq!(back.log.len(), 4, "{:?}", back.log);
    world.approvals.insert(asked(&plan));
    world.done();
    assert_eq!(world.log.len(), 5);
}

#[test]
fn b84_what_else_holds_one_of_a_set_lets_none_of_it_go() {
    let names = ["a/prod/one", "a/prod/two", "a/prod/three"];
    let mut world = World::of(names.map(|name| (name, File::default().with("size", 1))));
    names.iter().for_each(|name| world.remove(name));
    world.converge();
    // Another team's refers to one of them: two of three are no whole team any more.
    world.put("b/prod/user", File::default().with("size", 9).referring("vpc", "a/prod/one"));
    world.put("a/prod/new", File::default().with("size", 8));
    world.converge();
    let deleted = |world: &World| world.log.iter().filter(|l| l.starts_with("Delete")).count();
    assert_eq!(deleted(&world), 0, "{:?}", world.log);
    // Their source cannot be believed for a while.
    world.remove("b/prod/user");
    let (source, since) = (SourceName::new("main"), at(1));
    world.sources.insert(source, SourceProblem::Stale { error: "x".into(), since });
    world.converge();
    world.sources.clear();
    world.converge();
    assert_eq!(deleted(&world), 0, "four at once by now: {:?}", world.log);
    world.approvals.insert(asked(&world.plan()));
    world.done();
    assert_eq!(deleted(&world), 4);
}

#[test]
fn a_lock_that_vend_did_not_put_on_holds_the_whole_request() {
    let both = vec![("main", None, "files", vec![]), ("alarm", None, "files", vec![])];
    let mut world = many(&[("a", 4)]);
    world.put("a/prod/both", File { components: both, ..File::default() });
    world.done();
    let lock = |world: &mut World, on| {
        let names = world.records[&id("a/prod/both")].components.values();
        let first = names.map(|c| c.target.clone()).min().unwrap();
        world.things.get_mut(&("files".to_owned(), first)).unwrap().guarded = Some(on);
    };
    lock(&mut world, true);
    world.remove("a/prod/both");
    // Of a stranger's lock there is nothing to say.
    let ours = world.things.clone();
    world.things.values_mut().filter(|thing| thing.guarded == Some(true)).for_each(|thing| {
        thing.owner = crate::model::Owner::Other("b/prod/both".into());
    });
    assert_snapshot!(world.show(), @"
    Delete a/prod/both#main
    hold a/prod/both#alarm Delete: NotOurs b/prod/both
    4 settled
    ");
    world.things = ours;
    assert_snapshot!(world.show(), @"
    hold a/prod/both Delete: Protected
    4 settled
    ");
    let gone = Gone { tombstone: true, ..Gone::default() };
    world.gone.insert(id("a/prod/both"), gone);
    assert_snapshot!(world.show(), @"
    Delete a/prod/both#alarm
    Delete a/prod/both#main
    4 settled
    ");
    world.gone.clear();
    // One that vend put on, for a file that protected it once.
    let record = world.records.get_mut(&id("a/prod/both")).unwrap();
    record.components.values_mut().for_each(|c| c.guarded = Some(true));
    world.done();
}
