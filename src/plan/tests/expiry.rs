//! Time that is over: held from then on, and what becomes of the file.

use insta::assert_snapshot;

use super::world::*;
use crate::model::{Fate, HoldReason, Length, Lifetime, NewEnd, SourceName, Term};

const DAY: i64 = 86_400;

/// A file whose request lives for so long.
fn lives(text: &str) -> File {
    let term = Term::For(Length::parse(text).unwrap());
    File { lifetime: Some(Lifetime { term, max: None, imposed: false }), ..File::default() }
}

fn later(world: &mut World, days: i64) {
    world.now = at(world.now.as_second() + days * DAY);
}

/// Holds with what becomes of the files.
fn fates(world: &World) -> String {
    let holds = world.plan().holds;
    let shown = holds.iter().map(|hold| match &hold.reason {
        HoldReason::Expired { fate: Fate::TooMany { count, recorded, team, .. }, .. } => {
            format!("{}: {count} of {recorded} at once {team:?}", hold.request)
        }
        HoldReason::Expired { fate, .. } => format!("{}: {fate:?}", hold.request),
        other => format!("{}: {}", hold.request, other.name()),
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_lives_until_its_time_is_over_and_is_held_from_then_on() {
    let mut world = World::of([("a/dev/one", lives("14d"))]);
    later(&mut world, 13);
    assert_snapshot!(world.show(), @"1 settled");
    later(&mut world, 1);
    assert_snapshot!(fates(&world), @"a/dev/one: Commit { error: None }");
    // What is asked for then is not done.
    world.file("a/dev/one").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold a/dev/one Update: Expired
    0 settled
    ");
    // The file goes, and what it made with it.
    world.remove("a/dev/one");
    assert_snapshot!(world.show(), @"
    Delete a/dev/one#main
    0 settled
    ");
    world.converge();
    world.again();
}

#[test]
fn an_extension_is_recorded_and_counts_from_the_beginning() {
    let mut world = World::of([("a/dev/one", lives("14d"))]);
    later(&mut world, 15);
    world.put("a/dev/one", lives("21d"));
    assert_snapshot!(world.show(), @"
    settle a/dev/one
    1 settled
    ");
    let NewEnd { was, ends } = world.plan().settle[0].end.unwrap();
    let Some(Term::Until(ends)) = ends else { panic!("{ends:?}") };
    assert_eq!(ends.duration_since(was.unwrap()).as_hours(), 7 * 24);
    world.converge();
    world.again();
    later(&mut world, 5);
    assert_snapshot!(fates(&world), @"");
    later(&mut world, 1);
    assert_snapshot!(fates(&world), @"a/dev/one: Commit { error: None }");
}

#[test]
fn a_term_that_comes_later_begins_then() {
    let mut world = World::of([("a/dev/one", File::default())]);
    later(&mut world, 100);
    world.put("a/dev/one", lives("14d"));
    assert_snapshot!(world.show(), @"
    settle a/dev/one
    1 settled
    ");
    world.converge();
    later(&mut world, 13);
    world.again();
}

#[test]
fn a_creation_says_when_it_ends() {
    let mut world = World::empty();
    world.put("a/dev/one", lives("14d"));
    assert_snapshot!(world.show(), @"
    Create a/dev/one#main (Ends)
    0 settled
    ");
}

#[test]
fn what_is_over_stays_while_something_keeps_it() {
    let mut world = World::of([
        ("a/dev/guarded", File { protect: true, ..lives("14d") }),
        ("a/dev/let-go", File { protect: true, tombstone: true, ..lives("14d") }),
        ("a/dev/resting", lives("14d")),
        ("a/dev/used", lives("14d")),
        ("a/dev/user", File::default().referring("arn", "a/dev/used")),
        ("a/dev/other", File { source: "other", ..lives("14d") }),
    ]);
    world.fates.insert(SourceName::new("other"), Fate::PullRequest);
    world.file("a/dev/resting").suspend = true;
    world.converge();
    later(&mut world, 14);
    assert_snapshot!(fates(&world), @"
    a/dev/guarded: Protected
    a/dev/let-go: Commit { error: None }
    a/dev/other: PullRequest
    a/dev/resting: Suspended
    a/dev/used: Referenced { by: [a/dev/user] }
    ");
}

#[test]
fn too_many_at_once_wait_for_a_person_and_are_asked_about_once() {
    let names: Vec<String> = (0..5).map(|n| format!("team{n}/dev/one")).collect();
    let mut world = World::of(names.iter().map(|name| (name.as_str(), lives("14d"))));
    later(&mut world, 14);
    assert_snapshot!(fates(&world), @"
    team0/dev/one: 5 of 5 at once None
    team1/dev/one: 5 of 5 at once None
    team2/dev/one: 5 of 5 at once None
    team3/dev/one: 5 of 5 at once None
    team4/dev/one: 5 of 5 at once None
    ");
    let asked = world.plan().holds.iter().find_map(|hold| match &hold.reason {
        HoldReason::Expired { fate: Fate::TooMany { digest, .. }, .. } => Some(*digest),
        _ => None,
    });
    world.approvals.insert(asked.unwrap());
    assert_snapshot!(fates(&world), @"
    team0/dev/one: Commit { error: None }
    team1/dev/one: Commit { error: None }
    team2/dev/one: Commit { error: None }
    team3/dev/one: Commit { error: None }
    team4/dev/one: Commit { error: None }
    ");
    let plan = world.plan();
    world.apply(&plan);
    // Once their files are gone nothing is asked again.
    for name in &names {
        world.remove(name);
    }
    assert_snapshot!(world.show(), @"
    Delete team0/dev/one#main
    Delete team1/dev/one#main
    Delete team2/dev/one#main
    Delete team3/dev/one#main
    Delete team4/dev/one#main
    0 settled
    ");
    world.converge();
    world.again();
}
