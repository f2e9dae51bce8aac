//! Versions come, stay and go.

use crate::world::{Edit, World, ask, catalog, note, remove, request, write};

const ID: &str = "orders/dev/hello";
const RANGED: &str = "orders/dev/ranged";

fn version(world: &World, id: &str) -> String {
    world.status(id)["template"]["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_catalog_with_errors_is_told_of_by_every_pass_until_it_is_mended() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/hello", note("hello"))]);
    world.apply();
    let schema = "templates/broken/1.0.0/template.yaml";
    world.catalog.commit([crate::world::write(schema, "apiVersion: vend.dev/v1\nkind: Nothing\n")]);
    for _ in 0..3 {
        let output = world.vend_ends(3, &["apply"]);
        assert!(output.stdout.contains(schema), "{output:?}");
    }
    world.ready("orders/dev/hello");
    world.catalog.commit([crate::world::remove(schema)]);
    world.apply();
    world.again_nothing();
    world.vend_ends(0, &["apply"]);
}

#[test]
fn a_new_version_moves_nobody_until_their_file_changes() {
    let world = World::new();
    world
        .requests
        .commit([ask(ID, note("hello")), ask(RANGED, request("note@^1.0", "{text: hello}"))]);
    world.apply();
    assert_eq!((version(&world, ID), version(&world, RANGED)), ("1.0.0".into(), "1.1.0".into()));
    let output = world.output.refs();

    world.catalog.commit(catalog::note("1.2.0"));
    world.apply();
    assert_eq!((version(&world, ID), version(&world, RANGED)), ("1.0.0".into(), "1.1.0".into()));
    assert_eq!(world.status(ID)["template"]["upgrade"], "1.2.0");
    assert_eq!(world.output.refs(), output);
    world.again_nothing();

    world.requests.commit([ask(RANGED, request("note@^1.0", "{text: changed}"))]);
    world.apply();
    assert_eq!(version(&world, RANGED), "1.2.0");
    world.again_nothing();
}

#[test]
fn f14_a_version_that_the_catalog_does_not_have_yet_is_waited_for() {
    let world = World::new();
    world.requests.commit([ask(ID, request("note@1.2.0", "{text: hello}"))]);
    world.apply();
    let (phase, reason, sentence) = world.standing(ID);
    assert_eq!((phase.as_str(), reason.as_str()), ("Waiting", "WaitingFor"));
    assert!(sentence.contains("note@1.2.0"), "{sentence}");
    world.again_nothing();

    world.catalog.commit(catalog::note("1.2.0"));
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn an_edited_version_is_used_as_it_was_published() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask(RANGED, request("note@^1.0", "{text: a}"))]);
    world.apply();
    let output = world.output.refs();

    let edited = write("templates/note/1.0.0/note.yaml.hbs", "said: {{parameters.text}}\n");
    world.catalog.commit([edited, write("templates/note/1.0.0/more.md", "More.\n")]);
    let said = world.vend_ends(3, &["apply"]);
    assert!(said.stdout.contains("CAT010"), "{said:?}");
    assert!(said.stdout.contains("templates/note/1.0.0/template.yaml"), "{said:?}");
    world.ready(ID);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();

    // Each `apply` is a process of its own: what was published is known after a restart as well.
    world.requests.commit([
        ask(ID, note("changed")),
        ask("orders/dev/new", note("new")),
        ask(RANGED, request("note@^1.0", "{text: b}")),
    ]);
    world.vend_ends(3, &["apply"]);
    world.ready(ID);
    let file = |name: &str| world.output_file(&format!("dev/orders/{name}/note/note.yaml"));
    assert_eq!(file("hello").unwrap(), "text: changed\n");
    assert_eq!(file("new").unwrap(), "text: new\n");
    assert_eq!(file("ranged").unwrap(), "text: b\ntone: plain\n");
    world.again_nothing();

    world
        .catalog
        .commit(catalog::note("1.0.0").into_iter().chain([remove("templates/note/1.0.0/more.md")]));
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn an_edited_version_whose_history_is_gone_is_refused() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    let facts = world.requests.read_yaml(crate::world::STATUS, "catalog/note/1.0.0.yaml").unwrap();
    assert!(facts["digest"].as_str().unwrap().starts_with("sha256:"), "{facts}");
    assert_eq!(facts["catalogCommit"].as_str().unwrap().len(), 40, "{facts}");

    let edited = write("templates/note/1.0.0/note.yaml.hbs", "said: {{parameters.text}}\n");
    let files = catalog::files(&world.output.url());
    let tip = world.catalog.rewrite(files.into_iter().chain([edited]));
    std::fs::remove_dir_all(world.root().join("state/mirrors")).unwrap();
    world.vend(&["apply"]);
    world.vend_ends(0, &["approve", &format!("catalog@{tip}")]);
    world.vend_ends(3, &["apply"]);
    let sentence = world.held(ID, "Invalid");
    assert!(sentence.contains("CAT010"), "{sentence}");
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn a_number_that_says_too_little_is_told_and_stops_no_request() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let tight = catalog::note("1.1.1").into_iter().map(|edit| match edit {
        Edit::Write(path, text) => Edit::Write(
            path,
            text.replace(
                r#""text": {"type": "string"}"#,
                r#""text": {"type": "string", "maxLength": 9}"#,
            ),
        ),
        other => other,
    });
    world.catalog.commit(tight);
    let said = world.apply();
    assert!(said.contains("VER001"), "{said}");
    world.requests.commit([ask(ID, request("note@1.1.1", "{text: hello}"))]);
    world.apply();
    world.ready(ID);
    assert_eq!(version(&world, ID), "1.1.1");
    world.again_nothing();
}

/// A version as it was published, with another word on how far it has come.
fn come(version: &str, lifecycle: &str) -> Edit {
    let file = format!("templates/note/{version}/template.yaml");
    let edit = catalog::note(version)
        .into_iter()
        .find(|edit| matches!(edit, Edit::Write(path, _) if *path == file))
        .unwrap();
    let (from, to) =
        (format!("version: {version}}}"), format!("version: {version}, {lifecycle}}}"));
    edit.and_replace(&from, &to)
}

#[test]
fn a_published_version_grows_old() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask(RANGED, request("note@~1.0", "{text: a}"))]);
    world.apply();
    let output = world.output.refs();

    world.catalog.commit([come("1.0.0", "lifecycle: deprecated, replacedBy: note@^1.1")]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
    assert!(!world.vend_ends(0, &["plan"]).stdout.contains("LIF001"), "nothing of it is planned");
    world.requests.commit([ask(ID, note("hello again"))]);
    let plan = world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("warning[LIF001]") && plan.contains("1 to update"), "{plan}");
    world.apply();
    world.again_nothing();
    let said = world.vend_ends(0, &["explain", ID]).stdout;
    assert!(said.contains("LIF001") && said.contains("`note@1.0.0` is deprecated"), "{said}");
    assert!(said.contains("use `note@^1.1`"), "{said}");

    // Retired: nobody new, and those that are there go on, changed files and ranges as well.
    world.catalog.commit([come("1.0.0", "lifecycle: retired, replacedBy: note@^1.1")]);
    world.requests.commit([
        ask(ID, note("changed")),
        ask(RANGED, request("note@~1.0", "{text: b}")),
        ask("orders/dev/new", note("new")),
    ]);
    world.vend(&["apply"]);
    world.ready(ID);
    world.ready(RANGED);
    let file = |name: &str| world.output_file(&format!("dev/orders/{name}/note/note.yaml"));
    assert_eq!(file("hello").unwrap(), "text: changed\n");
    assert_eq!(file("ranged").unwrap(), "text: b\n");
    let sentence = world.held("orders/dev/new", "TemplateRetired");
    assert!(sentence.contains("takes no new requests"), "{sentence}");
    assert_eq!(file("new"), None);
    world.again_nothing();

    // Gone at last: what runs is left alone, and can be deleted.
    world.requests.commit([crate::world::drop_request("orders/dev/new")]);
    world.catalog.commit([remove("templates/note/1.0.0")]);
    world.vend(&["apply"]);
    assert_eq!(file("hello").unwrap(), "text: changed\n");
    world.requests.commit([crate::world::drop_request(ID), crate::world::drop_request(RANGED)]);
    world.apply();
    assert_eq!((file("hello"), file("ranged")), (None, None));
    world.again_nothing();
}

#[test]
fn f27_a_version_that_is_gone_leaves_what_runs_and_lets_it_be_deleted() {
    let world = World::new();
    world
        .requests
        .commit([ask(ID, note("hello")), ask(RANGED, request("note@1.1.0", "{text: a}"))]);
    world.apply();
    let output = world.output.refs();

    world.catalog.commit([remove("templates/note/1.0.0")]);
    world.vend(&["apply"]);
    let (phase, _, sentence) = world.standing(ID);
    assert_ne!(phase, "Ready", "{sentence}");
    assert_eq!(world.output.refs(), output);
    world.ready(RANGED);
    world.again_nothing();

    world.requests.commit([crate::world::drop_request(ID)]);
    world.apply();
    assert!(world.output_file("dev/orders/hello/note/note.yaml").is_none());
    assert!(world.status_or_none(ID).is_none());
    world.again_nothing();
}

#[test]
fn f27_a_range_moves_to_no_other_version_when_its_folder_vanishes() {
    let world = World::new();
    world.requests.commit([ask(RANGED, request("note@^1.0", "{text: a}"))]);
    world.apply();
    let output = world.output.refs();
    world
        .catalog
        .commit(catalog::note("1.2.0").into_iter().chain([remove("templates/note/1.1.0")]));
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(
        said.contains("`note@1.1.0` is gone from the catalog, and `orders/dev/ranged` was made"),
        "{said}"
    );
    world.held(RANGED, "TemplateMissing");
    assert_eq!((version(&world, RANGED).as_str(), world.output.refs()), ("1.1.0", output));
    world.again_nothing();

    // Its file takes it on, as it takes any newer version.
    world.requests.commit([ask(RANGED, request("note@^1.0", "{text: b}"))]);
    world.apply();
    world.ready(RANGED);
    assert_eq!(version(&world, RANGED), "1.2.0");
    world.again_nothing();
}

#[test]
fn a_component_that_a_new_version_lacks_is_deleted() {
    let world = World::new();
    world.requests.commit([ask(ID, request("pair@1.0.0", "{}"))]);
    world.apply();
    world.catalog.commit(catalog::pair("2.0.0", false));
    world.requests.commit([ask(ID, request("pair@2.0.0", "{}"))]);
    world.apply();

    world.ready(ID);
    assert!(world.output.files("main", "dev/orders/hello/top").is_empty());
    assert_eq!(world.actions("vend-orders-dev-hello-top-"), ["create", "delete"]);
    assert_eq!(world.status(ID)["components"].as_array().unwrap().len(), 1);
    world.again_nothing();
}

#[test]
fn an_environment_that_is_gone_deletes_nothing() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    world.catalog.commit([remove("environments/dev.yaml")]);
    world.vend_ends(3, &["apply"]);
    world.held(ID, "Invalid");
    assert_eq!(world.output.refs(), output);
    world.catalog.commit([catalog::environment("dev", &world.output.url(), "")]);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn an_emptied_catalog_deletes_nothing() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    world.catalog.commit([Edit::RemoveAll]);
    world.vend(&["apply"]);
    assert_eq!(world.output.refs(), output);
    assert!(world.status_or_none(ID).is_some());
    world.catalog.commit(catalog::files(&world.output.url()));
    world.vend(&["apply"]);
    world.ready(ID);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn f26_a_tighter_schema_of_a_new_version_leaves_what_runs() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let tight = catalog::note("2.0.0").into_iter().map(|edit| match edit {
        Edit::Write(path, text) => Edit::Write(
            path,
            text.replace(r#""text": {"type": "string"}"#, r#""text": {"enum": ["x"]}"#),
        ),
        other => other,
    });
    world.catalog.commit(tight);
    world.apply();
    world.ready(ID);

    world.requests.commit([ask(ID, request("note@2.0.0", "{text: hello}"))]);
    world.vend_ends(3, &["apply"]);
    world.held(ID, "Invalid");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}
