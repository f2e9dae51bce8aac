//! What goes, what only moves, and what a person said yes to.

use crate::world::{World, ask, drop_request, note, to_approve};

const ID: &str = "orders/dev/hello";

#[test]
fn b84_a_yes_to_a_large_deletion_is_used_up_by_it() {
    let world = World::new();
    let ids = ["orders/dev/one", "orders/dev/two", "orders/dev/three", "orders/dev/four"];
    let all = || ids.map(|id| ask(id, note(&id.replace('/', "-"))));
    world.requests.commit(all());
    world.apply();
    world.requests.commit(ids.map(drop_request));
    world.apply();
    let sentence = world.held(ids[0], "TooManyDeletes");
    world.vend_ends(0, &["approve", &to_approve(&sentence)]);
    let said = world.apply();
    assert!(said.contains("Applied: 4 deleted"), "{said}");

    // They come back, and go once more: this time perhaps by accident.
    world.requests.commit(all());
    world.apply();
    world.requests.commit(ids.map(drop_request));
    let said = world.apply();

    assert!(said.contains("nothing done, 4 held"), "{said}");
    world.held(ids[0], "TooManyDeletes");
    world.again_nothing();
}
