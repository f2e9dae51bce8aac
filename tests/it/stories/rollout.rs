//! A newer version reaches those whose range admits it, wave by wave.

use std::time::Instant;

use crate::world::{Edit, World, ask, catalog, drop_request, note, remove, request, write};

pub(super) const DEV: &str = "orders/dev/a";
pub(super) const PROD: &str = "orders/prod/b";
const SHORT: &str = "orders/dev/short";
pub(super) const PINNED: &str = "orders/dev/pinned";

pub(super) fn version(world: &World, id: &str) -> String {
    world.status(id)["template"]["version"].as_str().unwrap().to_owned()
}

pub(super) fn waves(waves: &str) -> Edit {
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    write("catalog.yaml", format!("{head}spec: {{format: 1, rollout: [{waves}]}}\n"))
}

/// A world in which all have 1.1.0, and newer versions are rolled out so.
pub(super) fn world(rollout: &str) -> World {
    let world = World::new();
    world.catalog.commit([waves(rollout)]);
    world.requests.commit([
        ask(DEV, request("note@~1.1", "{text: hello}")),
        ask(PROD, request("note@^1.1", "{text: hello}")),
        ask(PINNED, request("note@1.1.0", "{text: hello}")),
    ]);
    world.apply();
    for id in [DEV, PROD, PINNED] {
        assert_eq!(version(&world, id), "1.1.0");
    }
    world.again_nothing();
    world
}

pub(super) fn shown(world: &World) -> String {
    world.vend_ends(0, &["catalog", "rollout"]).stdout
}

/// A version that does not take the text of these requests.
fn tight(version: &str) -> Vec<Edit> {
    let change = |edit| match edit {
        Edit::Write(path, text) => Edit::Write(
            path,
            text.replace(
                r#""text": {"type": "string"}"#,
                r#""text": {"type": "string", "maxLength": 3}"#,
            ),
        ),
        other => other,
    };
    catalog::note(version).into_iter().map(change).collect()
}

/// The same version with another text, so that there is something to do and to approve.
pub(super) fn moody(version: Vec<Edit>) -> Vec<Edit> {
    let change = |edit| match edit {
        Edit::Write(path, text) => Edit::Write(path, text.replace("\ntone: ", "\nmood: ")),
        other => other,
    };
    version.into_iter().map(change).collect()
}

#[test]
fn a_version_goes_from_environment_to_environment() {
    let world = world("{environment: dev}, {environment: prod, share: 100%}");
    assert!(shown(&world).contains("no version has come since the catalog has a `rollout`"));
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.1".into()));
    assert_eq!(version(&world, PINNED), "1.1.0");
    assert!(shown(&world).contains("note@1.1.1  is rolled out"), "{}", shown(&world));
    world.again_nothing();

    // A changed file of a request is no reason to go back, nor is a change of the waves.
    world.requests.commit([ask(DEV, request("note@~1.1", "{text: changed}"))]);
    world.catalog.commit([waves("{environment: dev, share: 0%}")]);
    world.apply();
    assert_eq!(version(&world, DEV), "1.1.1");
    world.again_nothing();
}

#[test]
fn a_pause_is_quiet_and_ends_by_itself() {
    let world = world("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));
    assert!(shown(&world).contains("the next wave begins at"), "{}", shown(&world));
    world.again_nothing();
    // While it is on its way, no change of a file takes it before its turn.
    world.requests.commit([ask(PROD, request("note@^1.1", "{text: changed}"))]);
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.0");
    world.again_nothing();

    world.catalog.commit([waves("{environment: dev, pause: 1s}, {environment: prod}")]);
    let deadline = Instant::now() + crate::world::PATIENCE;
    while version(&world, PROD) == "1.1.0" {
        assert!(Instant::now() < deadline, "{}", shown(&world));
        world.apply();
    }
    world.apply();
    world.again_nothing();
}

#[test]
fn a_version_that_does_not_suit_stops_and_harms_nobody() {
    let world = world("{environment: dev}, {environment: prod}");
    world.requests.commit([ask(SHORT, request("note@~1.1", "{text: hi}"))]);
    world.apply();
    let output = world.output.refs();
    world.catalog.commit(moody(tight("1.1.1")));
    let said = world.apply();
    assert!(said.contains("ROL002") && said.contains("VER001"), "{said}");
    // One that fails already at reading stops the others of its wave, though they could take it.
    world.held(SHORT, "RolloutStopped");
    assert_eq!(version(&world, SHORT), "1.1.0");
    world.apply();
    for id in [DEV, PROD, PINNED] {
        assert_eq!(version(&world, id), "1.1.0");
        world.ready(id);
    }
    assert_eq!(world.output.refs(), output);
    let text = shown(&world);
    assert!(text.contains("stopped after 1 failure"), "{text}");
    assert!(text.contains(&format!("{DEV} cannot take it")), "{text}");
    world.again_nothing();

    // What is better comes as another version, and is rolled out by itself.
    world.catalog.commit(catalog::note("1.1.2"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.0".into()));
    world.ready(SHORT);
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.2");
    world.ready(DEV);
    world.again_nothing();
}

#[test]
fn people_stop_a_rollout_and_go_on_with_it() {
    let world = world("{environment: dev}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    world.vend_ends(2, &["catalog", "rollout", "resume", "note"]);
    world.vend_ends(0, &["catalog", "rollout", "stop", "note"]);
    let said = world.apply();
    assert!(said.contains("ROL002") && said.contains("ada"), "{said}");
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));
    world.again_nothing();

    world.vend_ends(0, &["catalog", "rollout", "resume", "note@1.1.1"]);
    world.apply();
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.1");
    world.vend_ends(2, &["catalog", "rollout", "stop", "note"]);
    world.again_nothing();

    // Whoever wants to look first says so before it lands.
    let said = world.vend_ends(0, &["catalog", "rollout", "stop", "note@1.1.2"]).stdout;
    assert!(said.contains("No rollout of `note@1.1.2` has begun"), "{said}");
    world.catalog.commit(catalog::note("1.1.2"));
    let said = world.apply();
    assert!(said.contains("ROL002") && said.contains("ada"), "{said}");
    assert_eq!(version(&world, DEV), "1.1.1");
    world.again_nothing();
    world.vend_ends(0, &["catalog", "rollout", "resume", "note"]);
    world.apply();
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.2".into()));
    world.again_nothing();
}

#[test]
fn what_waits_when_a_rollout_is_stopped_does_not_begin() {
    let world = world("{environment: dev}, {environment: prod}");
    let asks = "  approvals: [{when: plan.updates > 0, teams: [platform]}]\n";
    world.catalog.commit([catalog::environment("dev", &world.output.url(), asks)]);
    world.apply();
    world.again_nothing();
    world.catalog.commit(moody(catalog::note("1.1.1")));
    let plan = world.vend(&["plan"]).stdout;
    assert!(plan.contains(DEV) && !plan.contains(PROD), "only the wave that is due: {plan}");
    assert!(shown(&world).contains("no version has come"), "who plans begins nothing");
    world.apply();
    let sentence = world.held(DEV, "NeedsApproval");
    world.vend_ends(0, &["catalog", "rollout", "stop", "note@1.1.1"]);
    world.apply();
    let stopped = world.held(DEV, "RolloutStopped");
    assert!(stopped.contains("vend catalog rollout resume note@1.1.1"), "{stopped}");
    world.approve(&sentence);
    world.apply();
    assert!(world.output_file("dev/orders/a/note/note.yaml").unwrap().contains("tone: "));
    world.again_nothing();

    world.vend_ends(0, &["catalog", "rollout", "resume", "note"]);
    world.apply();
    assert!(world.output_file("dev/orders/a/note/note.yaml").unwrap().contains("mood: "));
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.1");
    world.again_nothing();
}

#[test]
fn waves_that_cannot_be_understood_move_nobody_and_end_nothing() {
    let world = world("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));

    for (broken, code) in [
        (write("catalog.yaml", "spec: ["), "YAML"),
        (remove("catalog.yaml"), "CAT012"),
        (waves("{environment: dve}, {environment: prod}"), "ENV006"),
    ] {
        world.catalog.commit([broken]);
        let said = world.vend_ends(3, &["apply"]).stdout;
        assert!(said.contains(code), "{said}");
        // Nor is it free for whoever edits a file.
        let text = format!("{{text: {}}}", code.to_lowercase());
        world.requests.commit([ask(PROD, request("note@^1.1", &text))]);
        world.vend_ends(3, &["apply"]);
        assert_eq!(version(&world, PROD), "1.1.0", "{code}");
        let text = shown(&world);
        assert!(text.contains("none begins until that is mended"), "{text}");
        assert!(text.contains("note@1.1.1  wave 1 of 2"), "{text}");
    }
    world.again_nothing();
    world.catalog.commit(
        catalog::note("1.1.2")
            .into_iter()
            .chain([waves("{environment: dev}, {environment: prod}")]),
    );
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.2".into(), "1.1.1".into()));
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.2");
    world.apply();
    world.again_nothing();
}

#[test]
fn a_wave_waits_for_requests_that_cannot_be_read() {
    let world = world("{environment: dev}, {environment: prod}");
    // Of a version that is named nobody need wait for it.
    let wrong = |template: &str| request(template, "{text: [1]}");
    world.requests.commit([ask(DEV, wrong("note@~1.1")), ask(PINNED, wrong("note@1.1.0"))]);
    world.vend_ends(3, &["apply"]);
    world.catalog.commit(catalog::note("1.1.1"));
    world.vend_ends(3, &["apply"]);
    world.vend_ends(3, &["apply"]);
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.0".into(), "1.1.0".into()));
    let text = shown(&world);
    assert!(text.contains("1 request to go"), "{text}");
    assert!(text.contains(&format!("{DEV} cannot be read as it is")), "{text}");
    assert!(!text.contains(PINNED), "{text}");
    world.again_nothing();

    // Of what is no request at all nobody knows what it asks for.
    world.requests.commit([ask(DEV, "spec: [".to_owned()), ask(PINNED, note("hello"))]);
    world.vend_ends(3, &["apply"]);
    world.vend_ends(3, &["apply"]);
    assert_eq!(version(&world, PROD), "1.1.0");
    world.again_nothing();
    world.requests.commit([ask(DEV, request("note@~1.1", "{text: hello}"))]);
    world.apply();
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.1".into()));
    world.again_nothing();
}

#[test]
fn a_folder_that_comes_back_goes_on_where_it_was_stopped() {
    let world = world("{environment: dev}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    world.vend_ends(0, &["catalog", "rollout", "stop", "note"]);
    world.apply();
    world.catalog.commit([remove("templates/note/1.1.1")]);
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(!said.contains("ROL002"), "{said}");
    assert!(shown(&world).contains("its folder is gone from the catalog"), "{}", shown(&world));
    world.again_nothing();
    world.catalog.commit(catalog::note("1.1.1"));
    let said = world.apply();
    assert!(said.contains("ROL002") && said.contains("ada"), "{said}");
    world.requests.commit([ask(PROD, request("note@^1.1", "{text: changed}"))]);
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));
    world.again_nothing();
}

#[test]
fn without_waves_nobody_moves_when_waves_come_later() {
    let world = World::new();
    world.requests.commit([ask(DEV, request("note@~1.1", "{text: hello}"))]);
    world.apply();
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    world.catalog.commit([waves("{environment: dev}")]);
    world.apply();
    assert_eq!(version(&world, DEV), "1.1.0");
    world.again_nothing();
    world.requests.commit([ask(DEV, request("note@~1.1", "{text: changed}"))]);
    world.apply();
    assert_eq!(version(&world, DEV), "1.1.1");
    world.again_nothing();
}

#[test]
fn a_folder_that_vanishes_takes_nobody_past_the_waves() {
    let world = world("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    assert_eq!((version(&world, DEV), version(&world, PROD)), ("1.1.1".into(), "1.1.0".into()));
    let made = world.output.refs();
    world.catalog.commit([remove("templates/note/1.1.0")]);
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(said.contains("CAT021") && said.contains(PROD) && said.contains(PINNED), "{said}");
    for id in [PROD, PINNED] {
        let sentence = world.held(id, "TemplateMissing");
        assert!(sentence.contains("`note@1.1.0`, which it was made with, is gone"), "{sentence}");
        assert_eq!(version(&world, id), "1.1.0");
    }
    assert_eq!(version(&world, DEV), "1.1.1");
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
    assert!(world.vend(&["apply"]).stdout.contains("CAT021"), "as long as somebody has it");
    assert!(world.vend(&["plan"]).stdout.contains("CAT021"));

    // A changed file waits for its turn as ever.
    world.requests.commit([ask(PROD, request("note@^1.1", "{text: changed}"))]);
    world.vend_ends(3, &["apply"]);
    world.held(PROD, "TemplateMissing");
    world.again_nothing();
    world.catalog.commit([waves("{environment: dev, pause: 1s}, {environment: prod}")]);
    let deadline = Instant::now() + crate::world::PATIENCE;
    while version(&world, PROD) == "1.1.0" {
        assert!(Instant::now() < deadline, "{}", shown(&world));
        world.vend_ends(3, &["apply"]);
    }
    world.ready(PROD);
    world.held(PINNED, "TemplateMissing");
    world.requests.commit([drop_request(PINNED)]);
    let said = world.apply();
    assert!(!said.contains("CAT021"), "nobody has it any more: {said}");
    world.again_nothing();
}

#[test]
fn who_lost_a_version_and_cannot_take_the_next_counts_as_a_failure_and_stays() {
    let world = world("{environment: dev}, {environment: prod}");
    let made = world.output.refs();
    world.catalog.commit(tight("1.1.1").into_iter().chain([remove("templates/note/1.1.0")]));
    world.vend_ends(3, &["apply"]);
    world.vend_ends(3, &["apply"]);
    let text = shown(&world);
    assert!(text.contains("stopped after 1 failure"), "{text}");
    assert!(text.contains(&format!("{DEV} cannot take it")), "{text}");
    for id in [DEV, PROD, PINNED] {
        world.held(id, "TemplateMissing");
    }
    assert!(world.vend_ends(0, &["explain", DEV]).stdout.contains("ROL001"));
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
    // Back, all is as it was.
    world.catalog.commit(catalog::note("1.1.0"));
    world.apply();
    for id in [DEV, PROD, PINNED] {
        assert_eq!(version(&world, id), "1.1.0");
        world.ready(id);
    }
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
}

#[test]
fn an_edit_neither_takes_a_stopped_version_nor_waits_for_it() {
    const NAMING: &str = "orders/dev/naming";
    let world = world("{environment: dev}, {environment: prod}");
    let asks = |text: &str| request("note@~1.1", &format!("{{text: {text}}}"));
    world.requests.commit([ask(SHORT, asks("hi")), ask(NAMING, asks("hi"))]);
    world.apply();
    world.catalog.commit(moody(tight("1.1.1")));
    world.apply();
    let file = |id: &str| {
        let name = id.rsplit('/').next().unwrap();
        world.output_file(&format!("dev/orders/{name}/note/note.yaml")).unwrap()
    };
    world.held(SHORT, "RolloutStopped");

    // One could take it and waits; one could not. Their edits are done with what they have.
    world.requests.commit([ask(SHORT, asks("ho")), ask(DEV, asks("goodbye"))]);
    world.apply();
    for (id, text) in [(SHORT, "ho"), (DEV, "goodbye")] {
        assert_eq!(version(&world, id), "1.1.0");
        assert!(file(id).contains(text) && file(id).contains("tone: "), "{id}: {}", file(id));
        world.ready(id);
    }
    assert!(shown(&world).contains(&format!("{DEV} cannot take it")), "{}", shown(&world));
    world.again_nothing();
    // Who names it takes it.
    world.requests.commit([ask(NAMING, request("note@~1.1.1", "{text: hi}"))]);
    world.apply();
    assert_eq!(version(&world, NAMING), "1.1.1");
    world.again_nothing();

    // When it goes on, who was edited meanwhile takes it before the next wave begins; and who could not
    // take it is no new failure.
    world.vend_ends(0, &["catalog", "rollout", "resume", "note"]);
    let said = world.apply();
    assert!(!said.contains("ROL002"), "{said}");
    assert_eq!((version(&world, SHORT), version(&world, DEV)), ("1.1.1".into(), "1.1.0".into()));
    world.apply();
    assert_eq!(version(&world, PROD), "1.1.0", "nor can it");
    world.again_nothing();

    // It is still on its way: what did not fit before an edit is not the edit's fault.
    world.requests.commit([ask(PROD, request("note@^1.1", "{text: goodbye}"))]);
    world.apply();
    world.ready(PROD);
    assert_eq!(version(&world, PROD), "1.1.0");
    world.again_nothing();
}
