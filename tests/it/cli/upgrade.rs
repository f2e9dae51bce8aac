//! Request files brought to a newer version of their template.

use super::Laptop;
use crate::world::{Edit, World, ask, catalog, path_of, request_with, write};

/// A version of the template `db`, with migrations as lines of its spec.
fn db(version: &str, schema: &str, migrations: &str) -> Vec<Edit> {
    let folder = format!("templates/db/{version}");
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: db, version: {version}}}\nspec:\n  parameters: schema.json\n  components:\n    - {{name: db, provider: files, source: db.yaml.hbs}}\n  outputs: {{path: {{from: db.path}}}}\n{migrations}"
    );
    let source = match version {
        "1.0.0" => "zone: {{parameters.zone}}\n",
        _ => "zone: {{parameters.zone}}\nport: {{parameters.port}}\n",
    };
    let schema = format!(
        r#"{{"type": "object", "additionalProperties": false, "properties": {{{schema}}}}}"#
    );
    vec![
        write(format!("{folder}/template.yaml"), text),
        write(format!("{folder}/schema.json"), schema),
        write(format!("{folder}/db.yaml.hbs"), source),
    ]
}

const OLD: &str = r#""endpoint": {"type": "string"}, "retentionDays": {"type": "integer"}, "legacy": {"type": "boolean"}, "zone": {"type": "string"}"#;
const NEW: &str = r#""host": {"type": "string"}, "port": {"type": "integer"}, "days": {"type": "integer", "maximum": 30}, "tier": {"type": "string"}, "zone": {"type": "string", "x-change": "immutable"}"#;
const MIGRATIONS: &str = "  migrations:\n    - from: ^1\n      rename: {retentionDays: days}\n      split: {endpoint: {by: \":\", into: [host, port]}}\n      default: {tier: gold}\n      drop: [legacy]\n";

const REQUEST: &str = "\
# yaml-language-server: $schema=../../../.vend/request.schema.json
apiVersion: vend.dev/v1
kind: Request
spec:
  template: db@1.0.0  # until the migration is rehearsed
  parameters:
    # The one in the basement.
    endpoint: 'db.local:5432'
    retentionDays: 4   # ORD-7
    legacy: true
    zone: a
";

const JSON: &str = r#"{
  "apiVersion": "vend.dev/v1",
  "kind": "Request",
  "spec": {
    "template": "db@1.0.0",
    "parameters": {
      "endpoint": "db.local:5432",
      "retentionDays": 4
    }
  }
}
"#;

const UPGRADED: &str = "\
# yaml-language-server: $schema=../../../.vend/request.schema.json
apiVersion: vend.dev/v1
kind: Request
spec:
  template: db@2.0.0  # until the migration is rehearsed
  parameters:
    # The one in the basement.
    host: 'db.local'
    port: 5432
    days: 4   # ORD-7
    zone: a
    tier: gold
";

fn world() -> World {
    let world = World::new();
    world.catalog.commit(db("1.0.0", OLD, ""));
    world.requests.commit([
        ask("orders/dev/a", REQUEST),
        ask("orders/dev/long", REQUEST.replace("retentionDays: 4", "retentionDays: 400")),
        ask("orders/dev/odd", REQUEST.replace("db.local:5432", "db.local")),
        ask("payments/dev/b", REQUEST.replace('\n', "\r\n")),
        ask("payments/dev/json", JSON),
        ask("payments/dev/note", crate::world::note("hello")),
    ]);
    world.apply();
    world.catalog.commit(db("2.0.0", NEW, MIGRATIONS));
    world
}

#[test]
fn files_are_edited_in_place_and_what_would_be_invalid_stays() {
    let world = world();
    let laptop = Laptop::new(&world);
    let file = |id: &str| std::fs::read_to_string(laptop.clone.join(path_of(id))).unwrap();
    let upgrade = ["upgrade", "--template", "db"];

    let shown = laptop.ends(3, &[&upgrade[..], &["--dry-run"]].concat()).stdout;
    assert!(shown.contains("orders/dev/a  db@1.0.0 -> db@2.0.0, as `db@2.0.0`"), "{shown}");
    assert!(shown.contains("`endpoint` became `host` and `port`"), "{shown}");
    assert!(shown.contains("orders/dev/odd  left as it is: `endpoint` would be split at `:` into 2 parts, and has 1"), "{shown}");
    assert!(shown.contains("orders/dev/long  left as it is: it would have errors"), "{shown}");
    assert!(shown.contains("400"), "why not is told with the value: {shown}");
    // It is told of the file that lies there, where that gives the value.
    assert!(shown.contains("requests/orders/dev/long.yaml:9:20"), "{shown}");
    assert!(shown.contains("9 |     retentionDays: 400   # ORD-7"), "{shown}");
    assert!(shown.contains("Plan: 0 to create, 3 to update"), "{shown}");
    assert!(shown.contains("Would edit 3 files; 2 left as they are."), "{shown}");
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");

    let only = [&upgrade[..], &["--team", "orders", "--format", "json"]].concat();
    let told = laptop.ends(3, &only).json();
    assert_eq!(told["upgrades"][0]["request"], "orders/dev/a", "{told}");
    assert_eq!(told["left"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(told["plan"]["steps"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(file("orders/dev/a"), UPGRADED);
    assert!(file("orders/dev/odd").contains("db@1.0.0"));
    laptop.ends(3, &upgrade);
    assert_eq!(file("payments/dev/b"), UPGRADED.replace('\n', "\r\n"), "line ends are kept");

    let json: serde_json::Value = serde_json::from_str(&file("payments/dev/json")).unwrap();
    let wanted = serde_json::json!({"host": "db.local", "port": 5432, "days": 4, "tier": "gold"});
    assert_eq!(json["spec"], serde_json::json!({"template": "db@2.0.0", "parameters": wanted}));

    laptop.ends(0, &["validate"]);
    laptop.push();
    world.apply();
    assert_eq!(world.status("orders/dev/a")["template"]["version"], "2.0.0");
    let again = laptop.ends(0, &["upgrade", "--template", "db", "--team", "payments"]).stdout;
    assert_eq!(again, "Edited 0 files; 0 left as they are.\n");
    world.vend_ends(0, &["plan", "--exit-code"]);
}

#[test]
fn a_branch_has_the_edits_and_the_working_copy_stays() {
    let world = world();
    let laptop = Laptop::new(&world);
    let upgrade = ["upgrade", "--template", "db", "--team", "orders", "--branch", "vend/db-2"];
    laptop.write("requests/orders/dev/note.yaml", crate::world::note("mine"));
    let told = laptop.ends(3, &upgrade).stdout;
    assert!(told.contains("Edited 1 file on the branch `vend/db-2`"), "{told}");
    assert_eq!(
        laptop.git(&["show", "vend/db-2:requests/orders/dev/a.yaml"]).trim_end(),
        UPGRADED.trim_end()
    );
    assert_eq!(
        laptop.git(&["diff", "--name-only", "HEAD", "vend/db-2"]).trim(),
        "requests/orders/dev/a.yaml"
    );
    assert_eq!(laptop.git(&["status", "--porcelain"]).trim(), "?? requests/orders/dev/note.yaml");
    let subject = laptop.git(&["log", "-1", "--format=%s", "vend/db-2"]);
    assert_eq!(subject.trim(), "Upgrade orders/dev/a to db@2.0.0");

    let again = laptop.ends(1, &upgrade).stderr;
    assert!(again.contains("there is one of that name already"), "{again}");
    laptop.ends(1, &["upgrade", "--template", "db", "--branch", "a..b"]);
    laptop.write(&path_of("orders/dev/a"), REQUEST.replace("zone: a", "zone: b"));
    let changed = ["upgrade", "--template", "db", "--team", "orders", "--branch", "other"];
    let told = laptop.ends(3, &changed).stdout;
    assert!(
        told.contains("orders/dev/a  left as it is: it has changes that are not committed"),
        "{told}"
    );
}

#[test]
fn a_range_moves_and_an_output_in_use_keeps_its_version() {
    let world = World::new();
    let of = "references: {of: {request: orders/dev/gives, output: commit}}";
    world.requests.commit([
        ask("orders/dev/range", crate::world::request("note@^1.0", "{text: hello}")),
        ask("orders/dev/gives", crate::world::note("hello")),
        ask("orders/dev/reads", request_with("reader@1.0.0", "{}", of)),
    ]);
    world.apply();
    world.catalog.commit(catalog::note("1.2.0"));
    let schema = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let source = [("note.yaml.hbs", "text: {{parameters.text}}\n")];
    let outputs = "{path: {from: note.path}}";
    world.catalog.commit(catalog::template("note", "2.0.0", components, outputs, schema, &source));
    let laptop = Laptop::new(&world);
    let file = |id: &str| std::fs::read_to_string(laptop.clone.join(path_of(id))).unwrap();

    let to = |version| ["upgrade", "--template", "note", "--to", version, "--no-diff"];
    let told = laptop.ends(0, &to("2.0.0")).stdout;
    let why = "`orders/dev/reads` uses its output `commit`, which that version does not have";
    assert!(told.contains(why), "{told}");
    assert!(file("orders/dev/range").contains("template: note@^2.0\n"));
    laptop.git(&["checkout", "-q", "."]);
    laptop.ends(0, &to("1.2.0"));
    assert!(file("orders/dev/range").contains("template: note@^1.2\n"));
    assert!(file("orders/dev/gives").contains("template: note@1.2.0\n"));
    laptop.ends(2, &["upgrade", "--team", "nobody"]);
    laptop.push();
    world.apply();
    world.apply();
    assert_eq!(world.status("orders/dev/range")["template"]["version"], "1.2.0");
    world.vend_ends(0, &["plan", "--exit-code"]);
}

/// What a daemon would do with a version that was edited after it was published is what is shown: not the edit.
#[test]
fn an_edit_of_a_published_version_is_no_part_of_the_plan() {
    let world = World::new();
    world.catalog.commit(db("1.0.0", OLD, ""));
    world.catalog.commit(db("2.0.0", NEW, MIGRATIONS));
    world.requests.commit([ask("orders/dev/a", REQUEST)]);
    world.apply();
    let laptop = Laptop::new(&world);
    let upgrade = ["upgrade", "--template", "db", "--dry-run"];
    let plain = laptop.ends(0, &upgrade);
    assert!(!plain.stderr.contains("CAT010"), "{}", plain.stderr);

    // How far a version has come may change, what it makes may not.
    let stable = db("2.0.0", NEW, MIGRATIONS).remove(0);
    let old = stable.and_replace("version: 2.0.0", "version: 2.0.0, replacedBy: db@^3");
    world.catalog.commit([old]);
    let retold = laptop.ends(0, &upgrade);
    assert!(!retold.stderr.contains("CAT010"), "{}", retold.stderr);
    assert_eq!(retold.stdout, plain.stdout);

    let source = "templates/db/2.0.0/db.yaml.hbs";
    world.catalog.commit([write(source, "zone: {{parameters.zone}}\nextra: edited\n")]);
    let edited = laptop.ends(0, &upgrade);
    let why = "CAT010: `db@2.0.0` was edited after it was published; it is used as it was at";
    assert!(edited.stderr.contains(why), "{}", edited.stderr);
    assert_eq!(edited.stdout, plain.stdout);

    laptop.ends(0, &["upgrade", "--template", "db"]);
    let plan = laptop.ends(0, &["plan"]);
    assert!(plan.stderr.contains("CAT010") && !plan.stdout.contains("edited"), "{}", plan.stdout);
    laptop.push();
    // It tells of the edit, and applies what was published.
    world.vend_ends(3, &["apply"]);
    assert_eq!(world.status("orders/dev/a")["template"]["version"], "2.0.0");
    let told = laptop.ends(0, &["upgrade", "--template", "db"]).stdout;
    assert_eq!(told, "Edited 0 files; 0 left as they are.\n");
}

#[test]
fn a_lock_is_not_lost_on_the_way_and_no_file_of_the_template_is_passed_over() {
    let world = World::new();
    let old = OLD.replace("legacy", "encrypted");
    world.catalog.commit(db("1.0.0", &old, ""));
    let locked = |values: &str| {
        let spec = format!("  locked: {{db: {values}}}\n");
        [catalog::environment("prod", &world.output.url(), &spec)]
    };
    world.catalog.commit(locked("{encrypted: true}"));
    let request = "apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: db@1.0.0\n  parameters: {zone: a}\n";
    let broken = request.replace("db@1.0.0", "db@1");
    world.requests.commit([
        ask("orders/prod/a", request),
        ask("orders/prod/other", request.replace("db@1.0.0", "note@1")),
        ask("orders/dev/a", request),
    ]);
    world.vend_ends(3, &["apply"]);
    let new = NEW
        .replace("tier", "secure")
        .replace(r#""secure": {"type": "string"}"#, r#""secure": {"type": "boolean"}"#);
    let migrations =
        "  migrations: [{from: ^1, rename: {encrypted: secure}, default: {port: 1}}]\n";
    world.catalog.commit(db("2.0.0", &new, migrations));
    let laptop = Laptop::new(&world);
    let upgrade = ["upgrade", "--template", "db", "--no-diff"];
    laptop.write("requests/orders/dev/torn.yaml", broken);
    // One that says that it is of another template is not spoken of.
    let said = laptop.ends(3, &upgrade).stdout;
    let why = "orders/prod/a  left as it is: the lock of `encrypted` in `prod` has no effect in that version: lock `secure` as well";
    assert!(said.contains(why), "{said}");
    assert!(
        said.contains("orders/dev/torn  left as it is: its file has errors as it is"),
        "{said}"
    );
    assert!(!said.contains("other"), "{said}");
    assert!(said.contains("Edited 1 file; 2 left as they are."), "{said}");

    world.catalog.commit(locked("{encrypted: true, secure: true}"));
    laptop.remove("requests/orders/dev/torn.yaml");
    let said = laptop.ends(0, &upgrade).stdout;
    assert!(said.contains("Edited 1 file; 0 left as they are."), "{said}");
    let again = laptop.ends(0, &upgrade).stdout;
    assert_eq!(again, "Edited 0 files; 0 left as they are.\n");
}
