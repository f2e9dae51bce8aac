//! A change of the catalog in its own working copy: who would be reached, before anybody is.

use serde_json::{Value, json};

use super::Laptop;
use crate::world::{Edit, World, ask, catalog, note, request, request_with, write};

/// A clone of the catalog, with a `vend.yaml` that says where the requests are.
fn catalog_of(world: &World) -> Laptop<'_> {
    let clone = Laptop::catalog(world);
    clone.write(
        "vend.yaml",
        format!(
            "catalog: {{repository: {}}}\nrequests: [{{repository: {}}}]\n",
            world.catalog.url(),
            world.requests.url()
        ),
    );
    clone
}

fn diff(clone: &Laptop<'_>, more: &[&str]) -> Value {
    let args = [&["catalog", "diff", "--format", "json"], more].concat();
    clone.ends(0, &args).json()
}

/// Effect and identities of each group.
fn groups(diff: &Value) -> Value {
    let group = |group: &Value| {
        let ids: Vec<Value> =
            group["requests"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
        json!([group["effect"], ids])
    };
    diff["groups"].as_array().unwrap().iter().map(group).collect()
}

const SOURCE: &str = "templates/note/1.0.0/note.yaml.hbs";

#[test]
fn only_users_of_what_differs_are_rendered_and_what_is_alike_is_shown_once() {
    let world = World::new();
    let of = |id: &str| {
        let references = format!("references: {{of: {{request: {id}, output: commit}}}}");
        request_with("reader@1.0.0", "{}", &references)
    };
    let mut edits: Vec<_> =
        (0..6).map(|n| ask(&format!("orders/dev/n{n}"), note("hello"))).collect();
    edits.push(ask("payments/prod/n6", note("other")));
    edits.push(ask("payments/dev/newer", request("note@1.1.0", "{text: hello}")));
    edits.push(ask("payments/dev/reads", of("orders/dev/n0")));
    world.requests.commit(edits);
    world.apply();
    let clone = catalog_of(&world);
    let nothing = clone.ends(0, &["catalog", "diff", "--exit-code"]).stdout;
    assert!(nothing.contains("None of 9 requests would change."), "{nothing}");

    clone.write(SOURCE, "text: {{parameters.text}}\nfrom: {{request.name}}\n");
    let told = diff(&clone, &[]);
    assert_eq!(told["requests"], 9);
    assert_eq!(told["rendered"], 7, "{told:#}");
    assert_eq!(told["edited"], json!(["note@1.0.0"]));
    assert_eq!(told["follows"], json!(["payments/dev/reads"]));
    let of_orders = (0..6).map(|n| format!("orders/dev/n{n}"));
    let all: Vec<String> = of_orders.chain(["payments/prod/n6".to_owned()]).collect();
    assert_eq!(groups(&told), json!([["updates", all]]));

    let text = clone.ends(4, &["catalog", "diff", "--exit-code"]).stdout;
    assert!(text.contains("Nothing is lost; 7 of 9 requests would change"), "{text}");
    assert!(text.contains("updates: 7 requests\n  orders: dev 6; payments: prod 1\n"), "{text}");
    assert!(text.contains("7 alike (note@1.0.0); shown is orders/dev/n0:"), "{text}");
    assert_eq!(text.matches("+from: n").count(), 1, "{text}");
    assert!(text.contains("Edited in place: `note@1.0.0`."), "{text}");
    let full = clone.ends(0, &["catalog", "diff", "--full"]).stdout;
    assert_eq!(full.matches("+from: n").count(), 7, "{full}");

    // Committed it is the same, and between commits as well.
    clone.git(&["add", "templates"]);
    clone.git(&["commit", "-q", "-m", "change"]);
    assert_eq!(groups(&diff(&clone, &[])), groups(&told));
    assert_eq!(groups(&diff(&clone, &["HEAD~1..HEAD"])), groups(&told));
    assert_eq!(groups(&diff(&clone, &["HEAD..HEAD~1"])), groups(&told), "and back");
    assert_eq!(groups(&diff(&clone, &["HEAD"])), json!([]));
    clone.ends(2, &["catalog", "diff", "nowhere..HEAD"]);
    world.again_nothing();
}

#[test]
fn what_breaks_and_what_is_mended_have_groups_of_their_own() {
    let world = World::new();
    world.requests.commit([
        ask("orders/dev/a", note("hello")),
        ask("orders/dev/b", note("a text that is much too long")),
        ask("orders/dev/early", request("note@1.2.0", "{text: hello}")),
    ]);
    world.apply();
    let clone = catalog_of(&world);
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 10}}}"#;
    clone.write("templates/note/1.0.0/schema.json", schema);
    clone.put(catalog::note("1.2.0"));
    let told = diff(&clone, &[]);
    let expected = json!([
        ["becomesInvalid", ["orders/dev/b"]],
        ["becomesValid", ["orders/dev/early"]],
        ["recorded", ["orders/dev/a"]],
    ]);
    assert_eq!(groups(&told), expected, "{told:#}");
    let why = &told["groups"][0]["requests"][0]["diagnostics"][0];
    assert!(why["message"].as_str().unwrap().contains("10"), "{why}");
    assert_eq!(told["groups"][1]["requests"][0]["steps"][0]["action"], "create");
    let text = clone.ends(0, &["catalog", "diff"]).stdout;
    assert!(text.contains("BECOMES INVALID: 1 request\n"), "{text}");
    world.again_nothing();
}

#[test]
fn environments_count_and_a_range_keeps_its_version() {
    let world = World::new();
    let mut edits: Vec<_> = (0..3)
        .map(|n| ask(&format!("orders/dev/r{n}"), request("note@~1.1", "{text: hello}")))
        .collect();
    edits.push(ask("orders/dev/pinned", request("note@1.1.0", "{text: hello}")));
    edits.push(ask("orders/prod/set", request("note@1.1.0", "{text: hello, tone: loud}")));
    edits.push(ask("orders/prod/default", request("note@1.1.0", "{text: hello}")));
    world.requests.commit(edits);
    world.apply();
    let clone = catalog_of(&world);
    clone.put(catalog::note("1.1.1"));
    let told = diff(&clone, &[]);
    assert_eq!(told["groups"], json!([]), "nobody is moved by a new version: {told:#}");
    assert_eq!(told["rendered"], 0);
    let remarks = told["remarks"].to_string();
    assert!(remarks.contains("3 requests at ~1.1 may take note@1.1.1"), "{remarks}");
    assert!(remarks.contains("left where they are: 3 requests to 1.1.0"), "{remarks}");
    assert!(!remarks.contains("its rollout"), "{remarks}");

    // With waves it is said whom they come to.
    let waves = "spec: {format: 1, rollout: [{environment: prod}, {environment: dev}]}\n";
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    clone.write("catalog.yaml", format!("{head}{waves}"));
    let told = diff(&clone, &[]);
    let all = "its rollout goes to dev: `orders/dev/r0`, `orders/dev/r1`, `orders/dev/r2`";
    assert!(told["remarks"].to_string().contains(all), "{told:#}");
    let ranged = json!(["orders/dev/r0", "orders/dev/r1", "orders/dev/r2"]);
    assert_eq!(groups(&told), json!([["recorded", ranged]]), "{told:#}");
    assert_eq!(told["groups"][0]["wave"]["wave"], 2, "{told:#}");

    let environment = "  protect: true\n  defaults: {note: {tone: calm}}\n";
    clone.put([catalog::environment("prod", &world.output.url(), environment)]);
    let told = diff(&clone, &[]);
    let expected = json!([["updates", ["orders/prod/default"]], ["recorded", ranged]]);
    assert_eq!(groups(&told), expected, "{told:#}");
    // Requests may be named, also as a folder on this disk.
    let other = world.repository("other");
    other.commit([ask("web/prod/one", request("note@1.1.0", "{text: hi}"))]);
    let named = diff(&clone, &["--requests", &other.url()]);
    assert_eq!(groups(&named), json!([["updates", ["web/prod/one"]]]));
    world.again_nothing();
}

#[test]
fn what_cannot_be_compared_says_what_to_do() {
    let world = World::new();
    let clone = catalog_of(&world);
    let preview = clone.ends(2, &["catalog", "diff", "--preview"]).stderr;
    assert!(preview.contains("--config"), "{preview}");
    // Somewhere else no configuration lies above.
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("catalog");
    let from = clone.clone.to_str().unwrap();
    clone.git(&["clone", "-q", from, folder.to_str().unwrap()]);
    let none = clone.ends_in(&folder, 2, &["catalog", "diff"]).stderr;
    assert!(none.contains("--requests PATH|URL"), "{none}");
    let url = world.requests.url();
    let told = clone.ends_in(&folder, 0, &["catalog", "diff", "--requests", &url]).stdout;
    assert!(told.contains("None of 0 requests"), "{told}");
    let outside = clone.ends_in(elsewhere.path(), 2, &["catalog", "diff"]).stderr;
    assert!(outside.contains("catalog.yaml"), "{outside}");
    clone.write("templates/note/1.0.0/template.yaml", "apiVersion: vend.dev/v1\n");
    let broken = clone.ends(3, &["catalog", "diff"]).stdout;
    assert!(broken.contains("template.yaml"), "{broken}");
}

#[test]
fn how_far_a_version_has_come_reaches_nobody_and_a_folder_that_goes_does() {
    let world = World::new();
    world.requests.commit([
        ask("orders/dev/a", note("hello")),
        ask("orders/dev/r", request("note@^1.0", "{text: hello}")),
        ask("orders/prod/r", request("note@^1.0", "{text: hello}")),
    ]);
    world.apply();
    let clone = catalog_of(&world);
    let file = "templates/note/1.0.0/template.yaml";
    let template = std::fs::read_to_string(clone.clone.join(file)).unwrap();
    let old = template.replace("version: 1.0.0", "version: 1.0.0, lifecycle: deprecated");
    assert_ne!(old, template);
    clone.write(file, &old);
    let told = diff(&clone, &[]);
    assert_eq!((&told["edited"], groups(&told)), (&json!([]), json!([])), "{told:#}");
    let text = clone.ends(0, &["catalog", "diff", "--exit-code"]).stdout;
    assert!(!text.contains("CAT010") && text.contains("None of 3 requests"), "{text}");
    clone.write(file, old.replace("deprecated", "deprecated, title: A note"));
    assert_eq!(diff(&clone, &[])["edited"], json!(["note@1.0.0"]), "more than that is an edit");
    clone.write(file, &template);

    std::fs::remove_dir_all(clone.clone.join("templates/note/1.1.0")).unwrap();
    clone.put(catalog::note("1.1.1"));
    let told = diff(&clone, &[]);
    assert_eq!(groups(&told), json!([["waits", ["orders/dev/r", "orders/prod/r"]]]), "{told:#}");
    let text = clone.ends(0, &["catalog", "diff"]).stdout;
    assert!(text.contains("Gone: `note@1.1.0`, which 2 requests have (CAT021)."), "{text}");
    assert!(text.contains("is held until its file takes another."), "{text}");
    assert!(!text.contains("rollout says"), "{text}");
    let check = clone.ends(3, &["catalog", "check"]).stdout;
    assert!(check.contains("error[CAT021]") && check.contains("`orders/prod/r`"), "{check}");
    world.again_nothing();
}

const WAVES: &str = "{environment: dev}, {environment: prod}";

fn waves(list: &str) -> Edit {
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    write("catalog.yaml", format!("{head}spec: {{format: 1, rollout: [{list}]}}\n"))
}

/// Another text, and less of it.
fn moody(version: &str) -> Vec<Edit> {
    let change = |edit| match edit {
        Edit::Write(path, text) => {
            let text = text.replace("\ntone: ", "\nmood: ");
            let (was, is) =
                (r#""text": {"type": "string""#, r#""text": {"type": "string", "maxLength": 9"#);
            Edit::Write(path, text.replace(was, is))
        }
        other => other,
    };
    catalog::note(version).into_iter().map(change).collect()
}

fn lifecycle(version: &str, lifecycle: &str) -> Vec<Edit> {
    let (was, is) =
        (format!("version: {version}"), format!("version: {version}, lifecycle: {lifecycle}"));
    let change = |edit| match edit {
        Edit::Write(path, text) => Edit::Write(path, text.replace(&was, &is)),
        other => other,
    };
    moody(version).into_iter().map(change).collect()
}

/// A world whose requests ask for ranges, and one for an exact version.
fn ranged(list: &str) -> World {
    let world = World::new();
    world.catalog.commit([waves(list)]);
    world.requests.commit([
        ask("orders/dev/a", request("note@~1.1", "{text: hello}")),
        ask("orders/prod/b", request("note@^1.1", "{text: hello}")),
        ask("orders/prod/pinned", request("note@1.1.0", "{text: hello}")),
    ]);
    world.apply();
    world
}

#[test]
fn a_new_version_is_shown_wave_by_wave_and_who_cannot_take_it() {
    let world = ranged(WAVES);
    let long = request("note@~1.1", "{text: much too long}");
    world.requests.commit([ask("orders/dev/long", long)]);
    world.apply();
    let clone = catalog_of(&world);
    clone.put(moody("1.1.1"));
    let told = diff(&clone, &[]);
    let expected = json!([
        ["cannotTake", ["orders/dev/long"]],
        ["updates", ["orders/dev/a"]],
        ["updates", ["orders/prod/b"]],
    ]);
    assert_eq!(groups(&told), expected, "{told:#}");
    let counts = [&told["changed"], &told["atOnce"]["changed"], &told["later"]["changed"]];
    assert_eq!(counts, [2, 1, 1], "{told:#}");
    assert_eq!(told["rendered"], 3, "who pins another is not rendered: {told:#}");
    let why = told["groups"][0]["requests"][0]["diagnostics"].to_string();
    assert!(why.contains("orders/dev/long.yaml") && why.contains('9'), "{why}");
    let text = clone.ends(4, &["catalog", "diff", "--exit-code"]).stdout;
    let order = [
        "Nothing is lost; 2 of 4 requests would change\n".to_owned(),
        "  at once: 1 request, nothing is lost\n".to_owned(),
        "  later, wave by wave: 1 request, nothing is lost\n".to_owned(),
        "  1 request cannot take it and stays as it is\n".to_owned(),
        "  the rollout of note@1.1.1 stops in wave 1 of 2 for that".to_owned(),
        "\nAt once: wave 1 of 2 of note@1.1.1, dev\n\nCANNOT TAKE IT".to_owned(),
        "-tone: plain\n".to_owned(),
        "\nLater: wave 2 of 2 of note@1.1.1, prod\n\nupdates: 1 request\n".to_owned(),
        "+mood: plain\n".to_owned(),
        "left where they are: 1 request to 1.1.0".to_owned(),
    ];
    let mut rest = text.as_str();
    for part in order {
        let at = rest.find(&part).unwrap_or_else(|| panic!("{part}\n{text}"));
        rest = &rest[at..];
    }
    // As it was said, so it comes.
    world.catalog.commit(moody("1.1.1"));
    let said = world.apply();
    assert!(said.contains("ROL002"), "{said}");
    world.apply();
    world.again_nothing();
}

#[test]
fn how_far_a_version_has_come_is_known_in_a_clone() {
    let world = ranged("{environment: dev, pause: 1h}, {environment: prod}");
    world.catalog.commit(moody("1.1.1"));
    world.apply();
    let version = |id: &str| world.status(id)["template"]["version"].clone();
    assert_eq!(
        (version("orders/dev/a"), version("orders/prod/b")),
        (json!("1.1.1"), json!("1.1.0"))
    );

    // A changed file does not take what has not reached it, and the plan says so.
    let laptop = Laptop::new(&world);
    world.apply();
    laptop.put([ask("orders/prod/b", request("note@^1.1", "{text: other}"))]);
    let plan = laptop.ends(0, &["plan"]).stdout;
    assert!(plan.contains("+text: other") && !plan.contains("mood"), "{plan}");

    // Waves that are edited meanwhile.
    let clone = catalog_of(&world);
    clone.put([waves("{environment: prod, share: 50%}, {environment: prod}")]);
    let told = clone.ends(0, &["catalog", "diff"]).stdout;
    let left = "`note@1.1.1` is on its way while its waves are edited. What is left to it: prod 50 %, then prod 100 %.";
    assert!(told.contains(left), "{told}");
    clone.git(&["checkout", "-q", "catalog.yaml"]);

    // Taken back and put forward again it goes on in its waves, and none of them at once.
    world.catalog.commit(lifecycle("1.1.1", "deprecated"));
    world.apply();
    clone.git(&["pull", "-q"]);
    clone.put(moody("1.1.1"));
    let told = diff(&clone, &[]);
    assert_eq!(groups(&told), json!([["updates", ["orders/prod/b"]]]), "{told:#}");
    assert_eq!(told["groups"][0]["wave"]["atOnce"], false, "{told:#}");
    world.again_nothing();
}

#[test]
fn a_version_that_becomes_stable_is_new_to_everybody() {
    let world = ranged(WAVES);
    world.catalog.commit(lifecycle("1.1.1", "experimental"));
    world.apply();
    let clone = catalog_of(&world);
    clone.put(moody("1.1.1"));
    let told = diff(&clone, &[]);
    let expected = json!([["updates", ["orders/dev/a"]], ["updates", ["orders/prod/b"]]]);
    assert_eq!(groups(&told), expected, "{told:#}");
    assert_eq!(told["groups"][0]["wave"]["atOnce"], true, "{told:#}");
    world.again_nothing();
}

#[test]
fn settings_that_follow_with_the_next_update_are_no_update() {
    let it = crate::stacks::Account::new();
    let id = "orders/dev/events";
    it.world.requests.commit([ask(id, request("queue@1.0.0", "{}"))]);
    it.apply();
    let clone = catalog_of(&it.world);
    let tagged = crate::stacks::catalog::environment(&it.aws, "dev", ", tags: {cost: a}", "");
    clone.put(vec![tagged.clone()]);
    let told = diff(&clone, &[]);
    assert_eq!(groups(&told), json!([["recorded", [id]]]), "{told:#}");
    assert_eq!(told["groups"][0]["requests"][0]["settings"], json!(["queue: tags"]));
    let text = clone.ends(0, &["catalog", "diff"]).stdout;
    let follows = "other settings, which follow with the next update: queue: tags";
    assert!(text.contains(follows) && !text.contains("updates:"), "{text}");

    // As it is said, so it is.
    it.world.catalog.commit([tagged]);
    it.aws.only_looks(|| it.apply());
    it.again_nothing();

    // Another place is more than that.
    let named = ", tags: {cost: a}, stackName: \"{team}-{name}\"";
    clone.put(vec![crate::stacks::catalog::environment(&it.aws, "dev", named, "")]);
    assert_eq!(groups(&diff(&clone, &[]))[0][0], "updates");
}
