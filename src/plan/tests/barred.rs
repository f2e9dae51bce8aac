//! What came in a way that nobody has let through changes nothing, the records neither.

use insta::assert_snapshot;

use super::world::*;
use crate::model::{Fate, HoldReason, Length, Lifetime, Term};
use crate::plan::Gone;

/// A protected request, and one whose end is far.
fn world() -> World {
    World::of([
        ("a/dev/kept", File { protect: true, ..File::default() }),
        ("a/dev/ends", ends_at(2_000_000)),
    ])
}

fn ends_at(second: i64) -> File {
    let term = Term::Until(at(second));
    File { lifetime: Some(Lifetime { term, max: None, imposed: false }), ..File::default() }
}

/// The file comes in a way that nobody has let through: it is held, and the record stays as it was.
fn pushed(world: &mut World, name: &str, file: File) -> String {
    world.put(name, file);
    world.barred.insert(id(name));
    let records = world.records.clone();
    world.converge();
    assert_eq!(world.records, records, "nothing of it is recorded");
    world.show()
}

/// Somebody lets it through.
fn let_through(world: &mut World) {
    world.barred.clear();
    world.done();
}

#[test]
fn b97_protection_is_not_taken_off_by_what_nobody_let_through() {
    let mut world = world();
    let shown = pushed(&mut world, "a/dev/kept", File::default());
    assert_snapshot!(shown, @"
    hold a/dev/kept: NeedsPullRequest
    1 settled
    ");
    // Its deletion, which somebody let through, finds the protection that was recorded.
    let mut gone = world.clone();
    gone.remove("a/dev/kept");
    gone.gone.insert(id("a/dev/kept"), Gone::default());
    gone.barred.clear();
    assert_snapshot!(gone.show(), @"
    hold a/dev/kept Delete: Protected
    1 settled
    ");
    let_through(&mut world);
    assert!(!world.records[&id("a/dev/kept")].protect);
}

#[test]
fn b97_a_tombstone_that_nobody_let_through_permits_nothing() {
    let mut world = world();
    let file = File { protect: true, tombstone: true, ..File::default() };
    let shown = pushed(&mut world, "a/dev/kept", file);
    assert_snapshot!(shown, @"
    hold a/dev/kept: NeedsPullRequest
    1 settled
    ");
    let_through(&mut world);
    assert!(world.records[&id("a/dev/kept")].tombstone);
}

#[test]
fn b97_suspending_it_lets_nothing_by() {
    let mut world = world();
    let shown = pushed(&mut world, "a/dev/kept", File { suspend: true, ..File::default() });
    assert_snapshot!(shown, @"
    hold a/dev/kept: NeedsPullRequest
    1 settled
    ");
    let_through(&mut world);
    assert!(!world.records[&id("a/dev/kept")].protect);
}

#[test]
fn b97_how_a_suspended_one_came_is_asked_although_nothing_is_done_to_it() {
    let mut world = world();
    let file = File { protect: true, tombstone: true, suspend: true, ..File::default() };
    let shown = pushed(&mut world, "a/dev/kept", file.with("size", 2));
    assert_snapshot!(shown, @"
    hold a/dev/kept Update: NeedsPullRequest
    1 settled
    ");
    world.barred.clear();
    assert_snapshot!(world.show(), @"
    hold a/dev/kept Update: Suspended
    1 settled
    ");
}

#[test]
fn b97_an_end_that_nobody_let_through_ends_nothing() {
    for end in [1_500_000, 5] {
        let mut world = world();
        let shown = pushed(&mut world, "a/dev/ends", ends_at(end));
        assert_eq!(shown, "hold a/dev/ends: NeedsPullRequest\n1 settled");
    }
    // One that never was applied is not taken from its branch either.
    let mut world = world();
    let shown = pushed(&mut world, "a/dev/new", ends_at(5));
    assert_snapshot!(shown, @"
    hold a/dev/new Create: NeedsPullRequest
    2 settled
    ");
    let mut world = World::of([("a/dev/ends", ends_at(2_000_000))]);
    let term = Term::For(Length::parse("30d").unwrap());
    let lifetime = Some(Lifetime { term, max: None, imposed: false });
    pushed(&mut world, "a/dev/ends", File { lifetime, ..File::default() });
    let_through(&mut world);
    let life = world.records[&id("a/dev/ends")].life.clone().unwrap();
    assert!(life.ends > at(2_000_000));
}

#[test]
fn an_end_that_is_recorded_comes_whatever_nobody_let_through() {
    let mut world = world();
    world.put("a/dev/ends", ends_at(2_000_000).with("size", 2));
    world.barred.insert(id("a/dev/ends"));
    world.now = at(2_000_001);
    let is_over = |hold: &crate::model::Hold| {
        matches!(hold.reason, HoldReason::Expired { fate: Fate::Commit { .. }, .. })
    };
    assert!(world.plan().holds.iter().any(is_over), "{}", world.show());
    // And a protected one does not go by a word that nobody let through: how that came is asked.
    world.records.get_mut(&id("a/dev/ends")).unwrap().protect = true;
    let is_kept = |hold: &crate::model::Hold| {
        matches!(hold.reason, HoldReason::Expired { fate: Fate::Protected, .. })
    };
    assert!(world.plan().holds.iter().any(is_kept), "{:?}", world.plan().holds);
    world.file("a/dev/ends").tombstone = true;
    assert_snapshot!(world.show(), @"
    hold a/dev/ends Update: NeedsPullRequest
    1 settled
    ");
}

#[test]
fn b97_a_record_takes_no_name_that_nobody_let_through() {
    let renamed = || File { moved_from: Some(id("a/dev/kept")), protect: true, ..File::default() };
    let mut world = world();
    world.remove("a/dev/kept");
    let shown = pushed(&mut world, "b/dev/new", renamed());
    assert_snapshot!(shown, @"
    hold b/dev/new Move: NeedsPullRequest
    1 settled
    ");
    // How the old file went counts as well, and is asked about under its own name.
    world.barred = [id("a/dev/kept")].into();
    assert_snapshot!(world.show(), @"
    hold a/dev/kept Move: NeedsPullRequest
    hold b/dev/new Move: NeedsPullRequest
    1 settled
    ");
    // So it is with one that changes as well.
    world.file("b/dev/new").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold a/dev/kept Move: NeedsPullRequest
    hold b/dev/new Update: NeedsPullRequest
    1 settled
    ");
    let_through(&mut world);
    assert!(world.records.contains_key(&id("b/dev/new")));
}
