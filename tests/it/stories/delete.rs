//! What stands between a removed file and what it made.

use std::collections::BTreeSet;

use crate::world::{World, ask, drop_request, note, request_with};

fn many(team: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{team}/dev/note-{n:03}")).collect()
}

/// Folders of targets that are there in the output repository.
fn standing(world: &World) -> BTreeSet<String> {
    let files = world.output.files("main", "");
    let notes = files.iter().filter_map(|f| f.strip_suffix("/note/note.yaml"));
    notes.map(str::to_owned).collect()
}

#[test]
fn b84_thirty_of_a_hundred_go_only_when_a_person_approves_that_very_set() {
    let world = World::new();
    let ids: Vec<String> = (0..4).flat_map(|n| many(&format!("team-{n}"), 25)).collect();
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    let said = world.apply();
    assert!(said.contains("Applied: 100 created, 100 ready."), "{said}");
    assert_eq!(world.output_log().len(), 1, "one commit for all of a pass");

    let gone: Vec<&String> = ids.iter().step_by(10).chain(ids.iter().skip(1).step_by(5)).collect();
    assert_eq!(gone.len(), 30);
    let removal = world.requests.commit(gone.iter().map(|id| drop_request(id)));
    let said = world.apply();
    assert!(said.contains("nothing done, 30 held"), "{said}");
    let sentence = world.held(gone[0], "TooManyDeletes");
    assert!(sentence.contains("30 of 100 requests"), "{sentence}");
    assert!(sentence.contains(&removal[..10]), "{sentence}");
    assert_eq!(standing(&world).len(), 100);
    world.again_nothing();

    world.approve(&sentence);
    let said = world.apply();
    assert!(said.contains("Applied: 30 deleted, 70 ready."), "{said}");
    let left = standing(&world);
    assert_eq!(left.len(), 70);
    assert!(gone.iter().all(|id| world.status_or_none(id).is_none()));
    world.again_nothing();

    // The approval was for that set, and not for another.
    let rest: Vec<&String> = ids.iter().filter(|id| !gone.contains(id)).take(10).collect();
    world.requests.commit(rest.iter().map(|id| drop_request(id)));
    world.apply();
    let another = world.held(rest[0], "TooManyDeletes");
    assert!(another.contains("10 of 70 requests"), "{another}");
    assert_eq!(standing(&world), left);
    world.again_nothing();
}

#[test]
fn b84_a_set_that_grows_after_its_approval_is_asked_for_again() {
    let world = World::new();
    let ids = many("orders", 20);
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    world.apply();
    world.requests.commit(ids[..5].iter().map(|id| drop_request(id)));
    world.apply();
    let five = world.held(&ids[0], "TooManyDeletes");

    world.approve(&five);
    world.requests.commit(ids[5..10].iter().map(|id| drop_request(id)));
    world.apply();

    let ten = world.held(&ids[0], "TooManyDeletes");
    assert!(ten.contains("10 of 20 requests"), "{ten}");
    assert_eq!(standing(&world).len(), 20);

    // The files of the second half are put back: the first half is what was approved.
    world.requests.commit(ids[5..10].iter().map(|id| ask(id, note("hello"))));
    world.apply();
    assert_eq!(standing(&world).len(), 15);
    world.again_nothing();
}

#[test]
fn b84_all_of_a_team_of_three_stop_and_ask() {
    let world = World::new();
    let (team, others) = (many("small", 3), many("large", 40));
    world.requests.commit(team.iter().chain(&others).map(|id| ask(id, note("hello"))));
    world.apply();

    world.requests.commit(team.iter().map(|id| drop_request(id)));
    world.apply();
    let sentence = world.held(&team[0], "TooManyDeletes");
    assert!(sentence.contains("all 3 requests of team `small`"), "{sentence}");
    assert_eq!(standing(&world).len(), 43);

    // Another team's single removal goes on.
    world.requests.commit([drop_request(&others[0])]);
    world.apply();
    assert_eq!(standing(&world).len(), 42);

    world.approve(&world.held(&team[0], "TooManyDeletes"));
    world.apply();
    assert_eq!(standing(&world).len(), 39);
    world.again_nothing();
}

const KEPT: &str = "orders/prod/kept";
const FILE: &str = "prod/orders/kept/note/note.yaml";

fn tombstone() -> String {
    request_with("note@1.0.0", "{text: hello}", "delete: {confirm: kept}")
}

#[test]
fn a_protected_request_goes_only_after_its_tombstone() {
    let world = World::new();
    world.requests.commit([ask(KEPT, note("hello"))]);
    world.apply();

    world.requests.commit([drop_request(KEPT)]);
    world.apply();
    let sentence = world.held(KEPT, "Protected");
    assert!(sentence.contains("delete: {confirm: kept}"), "{sentence}");
    assert!(world.output_file(FILE).is_some());
    world.again_nothing();

    // As the sentence says: put back with its tombstone, applied, removed.
    world.requests.commit([ask(KEPT, tombstone())]);
    world.apply();
    world.ready(KEPT);
    world.requests.commit([drop_request(KEPT)]);
    world.apply();
    assert!(world.output_file(FILE).is_none());
    assert!(world.status_or_none(KEPT).is_none());
    world.again_nothing();
}

#[test]
fn tombstone_and_removal_may_land_between_two_passes() {
    let world = World::new();
    world.requests.commit([ask(KEPT, note("hello"))]);
    world.apply();

    world.requests.commit([ask(KEPT, tombstone())]);
    world.requests.commit([drop_request(KEPT)]);
    world.apply();

    assert!(world.output_file(FILE).is_none());
    assert!(world.status_or_none(KEPT).is_none());
    world.again_nothing();
}

#[test]
fn protection_that_came_and_went_with_the_file_between_two_passes_counts() {
    let world = World::new();
    let id = "orders/dev/kept";
    world.requests.commit([ask(id, note("hello"))]);
    world.apply();
    world.requests.commit([ask(id, request_with("note@1.0.0", "{text: hello}", "protect: true"))]);
    world.requests.commit([drop_request(id)]);
    world.apply();
    world.held(id, "Protected");
    world.again_nothing();
}

#[test]
fn taking_protection_away_counts_once_it_is_recorded() {
    let world = World::new();
    let id = "orders/dev/kept";
    let protected = request_with("note@1.0.0", "{text: hello}", "protect: true");
    world.requests.commit([ask(id, protected)]);
    world.apply();

    // Both in one push: the record still says that it is protected.
    world.requests.commit([ask(id, note("hello"))]);
    world.requests.commit([drop_request(id)]);
    world.apply();
    world.held(id, "Protected");

    world.requests.commit([ask(id, note("hello"))]);
    world.apply();
    world.ready(id);
    world.requests.commit([drop_request(id)]);
    world.apply();
    assert!(world.status_or_none(id).is_none());
    assert!(standing(&world).is_empty());
    world.again_nothing();
}

#[test]
fn b84_one_more_than_may_go_at_once_waits() {
    let world = World::new();
    let ids: Vec<String> = (0..5).flat_map(|n| many(&format!("team-{n}"), 4)).collect();
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    world.apply();
    // One of each of some teams: no team loses all of its own.
    let firsts: Vec<&String> = ids.iter().step_by(4).collect();
    world.requests.commit(firsts[..3].iter().map(|id| drop_request(id)));
    world.apply();
    assert_eq!(standing(&world).len(), 17, "three may go");

    let seconds: Vec<&String> = ids.iter().skip(1).step_by(4).take(4).collect();
    world.requests.commit(seconds.iter().map(|id| drop_request(id)));
    world.apply();
    assert!(world.held(seconds[0], "TooManyDeletes").contains("4 of 17 requests"));
    assert_eq!(standing(&world).len(), 17, "four wait");
    world.again_nothing();
}
