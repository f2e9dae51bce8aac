//! A clone with uncommitted changes, no daemon and no credentials.

use serde_json::{Value, json};

use super::Laptop;
use crate::world::{World, ask, catalog, note, path_of, request, request_with};

/// What a plan comes to: its digest, and of each step everything that is decided.
fn gist(plan: &Value) -> Value {
    let steps = plan["steps"].as_array().unwrap().iter();
    let steps =
        steps.map(|s| json!([s["request"], s["action"], s["target"], s["artifact"], s["digest"]]));
    json!({"digest": plan["digest"], "steps": steps.collect::<Vec<_>>(), "summary": plan["summary"]})
}

#[test]
fn the_laptop_and_the_operator_plan_the_same() {
    let world = World::new();
    for n in 0..5 {
        world.requests.commit([ask(&format!("orders/dev/n{n}"), note("hello"))]);
    }
    world.apply();
    let laptop = Laptop::new(&world);
    world.apply();

    laptop.write(&path_of("orders/dev/n0"), note("goodbye"));
    laptop.remove(&path_of("orders/dev/n1"));
    laptop.write(&path_of("orders/dev/new"), note("fresh"));
    laptop.write(&path_of("orders/dev/bad"), "apiVersion: vend.dev/v1\n");
    let text = laptop.ends(3, &["plan"]).stdout;
    assert!(text.contains("Live state was not looked at; recorded state is of"), "{text}");
    assert!(text.contains("since it left `main` at"), "{text}");
    laptop.remove(&path_of("orders/dev/bad"));
    let before = laptop.ends(4, &["plan", "--exit-code", "--format", "json"]).json();
    assert_eq!(before["steps"].as_array().unwrap().len(), 3, "{before}");

    laptop.push();
    let after = world.vend_ends(4, &["plan", "--exit-code", "--format", "json"]).json();
    let strip = |mut v: Value| {
        v["summary"].take();
        v
    };
    assert_eq!(strip(gist(&before)), strip(gist(&after)));
    world.apply();
    laptop.git(&["fetch", "-q"]);
    let nothing = laptop.ends(0, &["plan", "--all", "--exit-code", "--format", "json"]).json();
    assert_eq!(nothing["steps"], json!([]), "{nothing}");
}

#[test]
fn what_follows_from_a_changed_output_is_shown_too() {
    let world = World::new();
    let (gives, reads, chain) = ("orders/dev/gives", "payments/dev/reads", "payments/dev/chain");
    let of = |id: &str| {
        let references = format!("references: {{of: {{request: {id}, output: commit}}}}");
        request_with("reader@1.0.0", "{}", &references)
    };
    let path = format!("references: {{of: {{request: {gives}, output: path}}}}");
    world.requests.commit([
        ask(gives, note("hello")),
        ask(reads, of(gives)),
        ask(chain, of(reads)),
        ask("payments/dev/still", request_with("reader@1.0.0", "{}", &path)),
    ]);
    world.apply();
    let laptop = Laptop::new(&world);
    laptop.write(&path_of(gives), note("changed"));
    for all in [&["plan"][..], &["plan", "--all"]] {
        let plan = laptop.ends(0, &[all, &["--format", "json"]].concat()).json();
        let steps = plan["steps"].as_array().unwrap().iter();
        let steps: Vec<Value> = steps.map(|s| json!([s["request"], s["mayChange"]])).collect();
        assert_eq!(steps, [json!([gives, false]), json!([reads, true]), json!([chain, true])]);
        let counts = "1 to update, 0 to replace, 0 to delete; 2 may change; 0 held";
        assert!(plan["summary"].as_str().unwrap().contains(counts), "{plan}");
    }
    let text = laptop.ends(0, &["plan"]).stdout;
    assert!(text.contains(&format!("<known after apply: {gives}#note.commit>")), "{text}");
    assert_eq!(text.matches("-reads: ").count(), 2, "what is applied is shown: {text}");
}

#[test]
fn a_range_keeps_the_recorded_version_until_its_file_changes() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", request("note@^1.0", "{text: hello}"))]);
    world.apply();
    world.catalog.commit(catalog::note("1.2.0"));
    let laptop = Laptop::new(&world);

    let plan = laptop.ends(0, &["plan", "--all", "--exit-code", "--format", "json"]).json();
    assert_eq!(plan["steps"], json!([]), "{plan}");
    let status = laptop.ends(0, &["status", "--format", "json"]).json();
    assert_eq!(status["requests"][0]["template"]["version"], "1.1.0");
    laptop.write(&path_of("orders/dev/a"), request("note@^1.0", "{text: other}"));
    assert!(laptop.ends(0, &["explain", "orders/dev/a"]).stdout.contains("note@1.1.0"));
    laptop.push();
    world.apply();
    assert_eq!(world.status("orders/dev/a")["template"]["version"], "1.2.0");
}

#[test]
fn b83_a_change_that_is_forbidden_is_found_by_the_recorded_state_before_it_is_merged() {
    let world = World::new();
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["zone"], "properties": {"zone": {"type": "string", "x-change": "immutable"}, "size": {"type": "integer", "x-change": "grow-only", "default": 5}}}"#;
    let components = "    - {name: disk, provider: files, source: disk.yaml.hbs}\n";
    let source = "zone: {{parameters.zone}}\nsize: {{parameters.size}}\n";
    let files = [("disk.yaml.hbs", source)];
    let outputs = "{path: {from: disk.path}}";
    world.catalog.commit(catalog::template("disk", "1.0.0", components, outputs, schema, &files));
    world.requests.commit([ask("orders/dev/a", request("disk@1.0.0", "{zone: north}"))]);
    world.apply();
    let laptop = Laptop::new(&world);
    laptop.ends(0, &["validate"]);
    laptop.write(&path_of("orders/dev/a"), request("disk@1.0.0", "{zone: south, size: 6}"));
    let found = laptop.ends(3, &["validate"]).stdout;
    assert!(found.contains("requests/orders/dev/a.yaml:5:22"), "{found}");
    assert!(found.contains("`zone` may not change, and `\"north\"` is recorded"), "{found}");
    assert!(found.contains("Checked 1 request: 1 error, 0 warnings."), "{found}");
    laptop.write(&path_of("orders/dev/a"), request("disk@1.0.0", "{zone: north, size: 4}"));
    let found = laptop.ends(3, &["validate", "--format", "json"]).json();
    assert_eq!(found["diagnostics"][0]["code"], "REQ008", "{found}");

    // Elsewhere nothing is recorded of it.
    let elsewhere = world.repository("elsewhere");
    laptop.ends(0, &["validate", "--status", &elsewhere.url()]);
    // Of a repository that is not there nobody knows what is recorded in it.
    let nowhere = world.root().join("nowhere.git").display().to_string();
    let failed = laptop.ends(1, &["status", "--status", &nowhere]);
    assert!(failed.stderr.contains("nowhere.git"), "{}", failed.stderr);
    let said = laptop.ends(0, &["validate", "--status", &nowhere]).stderr;
    assert!(said.contains("recorded state could not be had"), "{said}");
}

#[test]
fn what_a_removed_file_last_said_counts() {
    let world = World::new();
    let plain = request("note@1.0.0", "{text: x}");
    let permits = request_with("note@1.0.0", "{text: x}", "delete: {confirm: two}");
    world.requests.commit([
        ask("orders/prod/one", plain.clone()),
        ask("orders/prod/two", plain.clone()),
        ask("orders/prod/three", plain.clone()),
        ask("orders/prod/four", plain),
    ]);
    world.apply();
    let laptop = Laptop::new(&world);

    laptop.remove(&path_of("orders/prod/one"));
    laptop.write(&path_of("orders/prod/two"), &permits);
    laptop.git(&["commit", "-q", "-am", "permit"]);
    laptop.remove(&path_of("orders/prod/two"));
    laptop.git(&["mv", "requests/orders/prod/three.yaml", "requests/orders/prod/drei.yaml"]);
    let moved = request_with("note@1.0.0", "{text: x}", "movedFrom: orders/prod/three");
    laptop.write(&path_of("orders/prod/drei"), moved);

    let plan = laptop.ends(0, &["plan", "--format", "json"]).json();
    let of = |id: &str| {
        let steps =
            plan["steps"].as_array().unwrap().iter().chain(plan["holds"].as_array().unwrap());
        let found = steps
            .filter(|s| s["request"] == id)
            .map(|s| (s["action"].clone(), s["reason"].clone()));
        found.collect::<Vec<_>>()
    };
    assert_eq!(of("orders/prod/one"), [(json!("delete"), json!("Protected"))], "{plan}");
    assert_eq!(of("orders/prod/two"), [(json!("delete"), Value::Null)], "{plan}");
    assert_eq!(of("orders/prod/three"), [], "{plan}");
    assert!(of("orders/prod/drei").iter().any(|(action, _)| action == "move"), "{plan}");
}

#[test]
fn offline_the_last_copy_is_used_and_its_age_is_said() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello"))]);
    world.apply();
    let laptop = Laptop::new(&world);
    laptop.ends(0, &["plan"]);
    std::fs::rename(world.catalog.path(), world.root().join("away")).unwrap();
    std::fs::rename(world.requests.path(), world.root().join("away-too")).unwrap();

    let said = laptop.ends(0, &["status"]);
    assert!(said.stdout.starts_with("orders/dev/a  Ready"), "{}", said.stdout);
    let expected = "warning: the status branch could not be fetched, so the copy of less than a minute ago is used";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    let said = laptop.ends(0, &["validate"]);
    assert!(said.stderr.contains("the catalog could not be fetched"), "{}", said.stderr);
    assert!(laptop.ends(0, &["validate", "--quiet"]).stderr.is_empty());

    let cold = run_cold(&laptop, &["validate"]);
    assert_eq!(cold.code, 2, "{cold:?}");
    assert!(
        cold.stderr.contains("source `catalog`") || cold.stderr.contains("catalog"),
        "{cold:?}"
    );
}

#[test]
fn what_came_with_a_commit_hands_out_no_secret_of_this_machine() {
    let world = World::new();
    world.apply();
    let laptop = Laptop::new(&world);
    let secret = world.root().join("secret");
    std::fs::write(&secret, "a canary\n").unwrap();
    let plain = std::fs::read_to_string(laptop.clone.join("vend.yaml")).unwrap();
    let (file, elsewhere) = (secret.display(), "https://127.0.0.1:9");
    let hostile = [
        format!("credentials: [{{url: '{elsewhere}', tokenFile: {file}}}]\n"),
        format!("forge: {{github: {{api: '{elsewhere}', tokenFile: {file}}}}}\n"),
        format!("providers: {{cloudformation: {{endpoint: '{elsewhere}'}}}}\n"),
    ];
    for (setting, text) in ["credentials[].tokenFile", "forge", "endpoint"].iter().zip(hostile) {
        laptop.write("vend.yaml", format!("{plain}{text}"));
        for command in [&["plan"][..], &["validate"], &["status"]] {
            let said = laptop.ends(2, command).stderr;
            assert!(said.contains("came with a commit") && said.contains(setting), "{said}");
            assert!(said.contains("--config"), "{said}");
        }
        // Who names it knows it.
        laptop.ends(0, &["--config", "vend.yaml", "validate"]);
        // And one that is nobody's but theirs was written by whoever has this clone.
        laptop.git(&["rm", "-q", "--cached", "vend.yaml"]);
        laptop.git(&["commit", "-q", "-m", "mine"]);
        laptop.ends(0, &["validate"]);
        laptop.git(&["reset", "-q", "HEAD~"]);
        laptop.ends(2, &["validate"]);
    }
    laptop.write("vend.yaml", plain);
    laptop.ends(0, &["validate"]);
}

fn run_cold(laptop: &Laptop<'_>, args: &[&str]) -> crate::world::Output {
    let mut command = laptop.command_in(&laptop.clone, args);
    command.env("XDG_CACHE_HOME", laptop.clone.join("../cold"));
    super::run(command)
}

#[test]
fn a_folder_in_no_repository_is_checked_from_anywhere_in_it() {
    let world = World::new();
    let folder = world.root().join("plain");
    let inner = folder.join("requests/orders/dev");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(inner.join("a.yaml"), note("hello")).unwrap();
    std::fs::write(inner.join("b.yaml"), note("hello").replace("text", "txet")).unwrap();
    let config = format!(
        "catalog: {{repository: {}}}\nrequests: [{{repository: .}}]\nstatus: {{repository: {}}}\n",
        world.catalog.url(),
        world.requests.url()
    );
    std::fs::write(folder.join("vend.yaml"), config).unwrap();
    let laptop = Laptop { world: &world, clone: folder };

    let said = laptop.ends_in(&inner, 3, &["validate"]).stdout;
    assert!(said.contains("requests/orders/dev/b.yaml:5:16"), "{said}");
    assert!(said.contains("Checked 2 requests: "), "{said}");
    laptop.ends_in(&inner, 0, &["validate", "a.yaml"]);
    let plan = laptop.ends_in(&inner, 3, &["plan"]).stdout;
    assert!(
        plan.contains("The whole is shown, since this folder is in no Git repository."),
        "{plan}"
    );
    assert!(plan.contains("1 to create"), "{plan}");
}

#[test]
fn the_kinds_of_clones_that_git_makes() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello"))]);
    world.apply();
    let laptop = Laptop::new(&world);
    laptop.write(&path_of("orders/dev/b"), note("b"));

    let one = |laptop: &Laptop<'_>, folder: &std::path::Path| {
        let plan = laptop.ends_in(folder, 0, &["plan", "--format", "json"]).json();
        let ids: Vec<_> =
            plan["steps"].as_array().unwrap().iter().map(|s| s["request"].clone()).collect();
        assert_eq!(ids, ["orders/dev/b"], "{plan}");
    };
    one(&laptop, &laptop.clone);
    laptop.git(&["checkout", "-q", "--detach"]);
    one(&laptop, &laptop.clone);
    laptop.git(&["worktree", "add", "-q", "../tree", "main"]);
    let tree = world.root().join("tree");
    std::fs::write(tree.join(path_of("orders/dev/b")), note("b")).unwrap();
    one(&laptop, &tree);

    let shallow = Laptop::clone(&world, &["--depth=1"]);
    shallow.write(&path_of("orders/dev/b"), note("b"));
    one(&shallow, &shallow.clone);

    let fresh = world.root().join("fresh");
    world.requests.git(&["init", "-q", "--initial-branch=main", fresh.to_str().unwrap()]);
    for file in ["vend.yaml", "requests/orders/dev/b.yaml"] {
        std::fs::create_dir_all(fresh.join(file).parent().unwrap()).unwrap();
        std::fs::copy(shallow.clone.join(file), fresh.join(file)).unwrap();
    }
    let plan = shallow.ends_in(&fresh, 0, &["plan"]).stdout;
    assert!(plan.contains("since this repository has no commit yet"), "{plan}");
}

#[test]
fn whose_yes_a_plan_takes_is_said_before_anything_is_pushed() {
    let world = World::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    world.catalog.commit([catalog::environment("dev", &world.output.url(), rules)]);
    world.apply();
    let laptop = Laptop::new(&world);
    laptop.write(&path_of("orders/dev/new"), note("fresh"));
    let text = laptop.ends(0, &["plan"]).stdout;
    assert!(text.contains("somebody of `platform` must approve it"), "{text}");
}

#[test]
fn why_a_template_cannot_be_had_is_said_once() {
    let world = World::new();
    let template = catalog::note("1.0.0").remove(0);
    let retired = template.and_replace("version: 1.0.0}", "version: 1.0.0, lifecycle: retired}");
    world.catalog.commit([retired]);
    let laptop = Laptop::new(&world);
    laptop.write(&path_of("orders/dev/new"), note("hello"));
    let said = laptop.ends(3, &["validate"]).stdout;
    assert!(said.contains("error[LIF002]"), "{said}");
    assert_eq!(said.matches("takes no new requests").count(), 1, "{said}");
    let told = laptop.ends(3, &["validate", "--format", "json"]).json();
    assert_eq!(told["waiting"][0]["reason"]["reason"], "TemplateRetired");
}
