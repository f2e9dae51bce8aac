//! Waves that are edited, and versions that are taken back, while a version is on its way: nobody is left
//! out, and nobody comes before their turn.

use super::rollout::{DEV, PINNED, PROD, moody, shown, version, waves, world};
use crate::world::{Edit, World, ask, catalog, request};

/// With requests in two more environments.
fn wide(rollout: &str) -> World {
    let world = world("");
    let places = ["test", "staging"];
    world.catalog.commit(places.map(|name| catalog::environment(name, &world.output.url(), "")));
    world.catalog.commit([waves(rollout)]);
    world.requests.commit(
        places.map(|name| ask(&format!("orders/{name}/c"), request("note@~1.1", "{text: hi}"))),
    );
    world.apply();
    world.again_nothing();
    world
}

const TEST: &str = "orders/test/c";
const STAGING: &str = "orders/staging/c";

/// Who has 1.1.1.
fn have(world: &World) -> Vec<&'static str> {
    let all = [DEV, TEST, STAGING, PROD];
    let has = |id: &&str| {
        let status = world.status_or_none(id);
        status.is_some_and(|status| status["template"]["version"] == "1.1.1")
    };
    all.into_iter().filter(has).collect()
}

/// A version of the template `note` that has come so far.
fn with(lifecycle: &str, version: &str) -> Vec<Edit> {
    let (was, is) =
        (format!("version: {version}"), format!("version: {version}, lifecycle: {lifecycle}"));
    let change = |edit| match edit {
        Edit::Write(path, text) => Edit::Write(path, text.replace(&was, &is)),
        other => other,
    };
    catalog::note(version).into_iter().map(change).collect()
}

#[test]
fn a_wave_that_is_taken_out_of_the_list_skips_nobody() {
    let world = wide("{environment: dev}, {environment: staging}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!(have(&world), [DEV]);
    world.catalog.commit([waves("{environment: staging}, {environment: prod}")]);
    world.apply();
    assert_eq!(have(&world), [DEV, STAGING]);
    let text = shown(&world);
    assert!(text.contains("note@1.1.1  wave 1 of 2"), "{text}");
    assert!(text.contains("done   staging 100 %") && text.contains("later  prod 100 %"), "{text}");
    world.apply();
    assert_eq!(have(&world), [DEV, STAGING, PROD]);
    assert!(shown(&world).contains("note@1.1.1  is rolled out"), "{}", shown(&world));
    world.again_nothing();
    // It is over: who comes to the list now is asked for the next version.
    world.catalog.commit([waves("{environment: test}, {environment: prod}")]);
    world.apply();
    assert_eq!(have(&world), [DEV, STAGING, PROD]);
    assert!(shown(&world).contains("note@1.1.1  is rolled out"), "{}", shown(&world));
    world.again_nothing();
}

#[test]
fn a_wave_that_is_put_in_front_has_its_turn_and_a_pause_holds_all_the_same() {
    let world = wide("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!(have(&world), [DEV]);
    for list in [
        "{environment: test}, {environment: dev, pause: 1h}, {environment: prod}",
        "{environment: test}, {environment: prod}",
    ] {
        world.catalog.commit([waves(list)]);
        world.apply();
        world.apply();
        assert_eq!(have(&world), [DEV], "{list}");
        assert!(shown(&world).contains("the next wave begins at"), "{}", shown(&world));
        world.again_nothing();
    }
    let text = shown(&world);
    assert!(text.contains("note@1.1.1  2 waves to come"), "{text}");
    assert!(text.contains("done   dev 100 %, then 1h of pause"), "{text}");
    assert!(text.contains("which is in the list no more"), "{text}");
    world.catalog.commit([waves("{environment: test}, {environment: dev}, {environment: prod}")]);
    world.apply();
    assert_eq!(have(&world), [DEV, TEST]);
    world.apply();
    assert_eq!(have(&world), [DEV, TEST, PROD]);
    world.apply();
    assert!(shown(&world).contains("note@1.1.1  is rolled out"), "{}", shown(&world));
    world.again_nothing();
}

#[test]
fn shares_that_become_fewer_leave_nobody_behind() {
    let world = world(
        "{environment: dev}, {environment: prod, share: 25%}, {environment: prod, share: 50%}, {environment: prod}",
    );
    let ids: Vec<String> = (0..12).map(|n| format!("orders/prod/r{n}")).collect();
    world.requests.commit(ids.iter().map(|id| ask(id, request("note@~1.1", "{text: hi}"))));
    world.apply();
    let count = |world: &World| ids.iter().filter(|id| version(world, id) == "1.1.1").count();
    world.catalog.commit(catalog::note("1.1.1"));
    for _ in 0..3 {
        world.apply();
    }
    let some = count(&world);
    assert!(some > 0 && some < ids.len(), "{some}");
    world.catalog.commit([waves("{environment: dev}, {environment: prod}")]);
    world.apply();
    assert_eq!(count(&world), ids.len());
    world.apply();
    assert!(shown(&world).contains("note@1.1.1  is rolled out"), "{}", shown(&world));
    world.again_nothing();
}

#[test]
fn a_list_that_is_taken_away_ends_what_was_on_its_way() {
    let world = world("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    world.catalog.commit([waves("")]);
    world.apply();
    assert!(shown(&world).contains("note@1.1.1  goes no further"), "{}", shown(&world));
    assert_eq!(have(&world), [DEV]);
    world.again_nothing();
    world.catalog.commit([waves("{environment: dev}, {environment: prod}")]);
    world.apply();
    assert_eq!(have(&world), [DEV]);
    assert!(shown(&world).contains("note@1.1.1  goes no further"), "{}", shown(&world));
    world.again_nothing();
}

#[test]
fn a_version_that_is_deprecated_waits_where_it_is_and_goes_on_in_waves() {
    let world = world("{environment: dev}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    for lifecycle in ["deprecated", "retired", "experimental"] {
        world.catalog.commit(with(lifecycle, "1.1.1"));
        for _ in 0..3 {
            world.apply();
        }
        assert_eq!(have(&world), [DEV], "{lifecycle}");
        let text = shown(&world);
        assert!(text.contains("note@1.1.1  wave 1 of 2"), "{text}");
        assert!(text.contains("it is not stable in the catalog any more"), "{text}");
        // Nor does a changed file take it.
        let text = format!("{{text: {lifecycle}}}");
        world.requests.commit([ask(PROD, request("note@^1.1", &text))]);
        world.apply();
        assert_eq!(have(&world), [DEV], "{lifecycle}");
        world.again_nothing();
    }
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!(have(&world), [DEV], "a wave begins in a pass of its own");
    world.apply();
    assert_eq!(have(&world), [DEV, PROD]);
    assert_eq!(version(&world, PINNED), "1.1.0");
    world.again_nothing();
}

#[test]
fn a_version_that_comes_back_waits_for_those_of_its_wave_who_do_not_have_it() {
    let world = world("{environment: dev}, {environment: prod}");
    let asks = "  approvals: [{when: plan.updates > 0, teams: [platform]}]\n";
    world.catalog.commit([catalog::environment("dev", &world.output.url(), asks)]);
    world.apply();
    world.catalog.commit(moody(catalog::note("1.1.1")));
    world.apply();
    let sentence = world.held(DEV, "NeedsApproval");
    world.catalog.commit(moody(with("deprecated", "1.1.1")));
    world.apply();
    world.ready(DEV);
    world.again_nothing();
    world.catalog.commit(moody(catalog::note("1.1.1")));
    for _ in 0..3 {
        world.apply();
        world.held(DEV, "NeedsApproval");
        assert_eq!(version(&world, PROD), "1.1.0");
    }
    world.approve(&sentence);
    world.apply();
    world.apply();
    assert_eq!(have(&world), [DEV, PROD]);
    world.again_nothing();
}

#[test]
fn of_two_on_their_way_the_lower_goes_on_when_the_higher_is_taken_back() {
    let world = world("{environment: dev}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    world.catalog.commit(catalog::note("1.1.2"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.1".into()));
    world.catalog.commit(with("deprecated", "1.1.2"));
    world.apply();
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.1".into()));
    world.again_nothing();
    world.catalog.commit(catalog::note("1.1.2"));
    world.apply();
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.2".into()));
    world.again_nothing();
}

#[test]
fn a_version_that_becomes_stable_goes_in_waves_from_then_on() {
    let world = world("{environment: dev}, {environment: prod}");
    world.catalog.commit(with("experimental", "1.1.1"));
    world.apply();
    assert_eq!(have(&world), [] as [&str; 0]);
    let text = shown(&world);
    assert!(text.contains("note@1.1.1  is published, and goes to nobody until"), "{text}");
    world.again_nothing();
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!(have(&world), [DEV]);
    world.apply();
    assert_eq!(have(&world), [DEV, PROD]);
    world.again_nothing();

    // One that was anybody's before it was deprecated is on its way to nobody when it is stable again.
    world.catalog.commit([waves("")]);
    world.catalog.commit(catalog::note("1.1.2"));
    world.apply();
    world.catalog.commit(with("deprecated", "1.1.2"));
    world.catalog.commit([waves("{environment: dev}, {environment: prod}")]);
    world.apply();
    world.catalog.commit(catalog::note("1.1.2"));
    world.apply();
    world.apply();
    assert_eq!(have(&world), [DEV, PROD]);
    world.again_nothing();
}
