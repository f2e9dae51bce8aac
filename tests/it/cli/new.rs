//! `vend new`: a request file, asked for or given by flags.

use super::Laptop;
use super::terminal::{DOWN, ENTER, STOP};
use crate::world::{Edit, World, ask, catalog, note, path_of, write};

const SCHEMA: &str = r##"{
  "type": "object",
  "additionalProperties": false,
  "required": ["host", "size", "ports", "network"],
  "properties": {
    "host": {"type": "string", "pattern": "^[a-z]+$", "description": "Where it answers."},
    "size": {"enum": ["small", "large"], "description": "How big it is."},
    "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 4, "description": "How long things are kept."},
    "fifo": {"type": "boolean", "default": false},
    "code": {"type": "string", "description": "Any text, `no` among them."},
    "ports": {"type": "array", "minItems": 1, "items": {"type": "integer", "maximum": 65535}},
    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    "network": {"type": "string", "x-reference": {"template": "note"}, "description": "The note that it reads."}
  }
}"##;

fn shop() -> Vec<Edit> {
    let components = "    - {name: shop, provider: files, source: shop.yaml.hbs}\n";
    let source = "host: {{parameters.host}}\nsize: {{parameters.size}}\ndays: {{parameters.days}}\nports: {{parameters.ports}}\nnetwork: {{parameters.network}}\n{{#if parameters.tags}}tags: {{parameters.tags}}\n{{/if}}";
    catalog::template("shop", "1.0.0", components, "{}", SCHEMA, &[("shop.yaml.hbs", source)])
}

fn world() -> World {
    let world = World::new();
    world.catalog.commit(shop());
    world.requests.commit([ask("orders/dev/hello", note("hello"))]);
    world.apply();
    world
}

const FILE: &str = "requests/orders/dev/front.yaml";

#[test]
fn a_person_answers_and_gets_a_file_that_is_applied() {
    let world = world();
    let laptop = Laptop::new(&world);
    let said = laptop.answers(
        0,
        &["new"],
        &[
            // What is typed narrows a list: Enter takes what it says, not what was marked before.
            ("Template:", "shop\r"),
            ("Team:", ENTER),
            ("Environment:", ENTER),
            ("Name:", "hello\r"),
            ("Name:", "Front\r"),
            ("use only a-z", "\u{8}\u{8}\u{8}\u{8}\u{8}"),
            ("Name:", "front\r"),
            ("Where it answers.", "Shop\r"),
            ("host", "\u{8}\u{8}\u{8}\u{8}"),
            ("host", "shop\r"),
            ("network:", ENTER),
            ("ports, number 1:", "80\r"),
            ("Another for ports?", "y"),
            ("ports, number 2:", "70000\r"),
            ("65535", "443\r"),
            ("Another for ports?", "n"),
            ("size:", "nothing\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}lar\r"),
            ("Set any of these, too?", &format!(" {DOWN} {DOWN}{DOWN} {ENTER}")),
            ("code:", "no\r"),
            ("days [4]:", "15\r"),
            ("14", "7\r"),
            ("A key of tags", "owner\r"),
            ("tags.owner:", "yes\r"),
            ("A key of tags", ENTER),
        ],
    );
    assert!(said.stdout.contains("`orders/dev/hello` is there already"), "{}", said.stdout);
    assert!(said.stdout.contains(&format!("Wrote {FILE}.")), "{}", said.stdout);
    assert!(said.stdout.contains("vend plan"), "{}", said.stdout);
    let text = std::fs::read_to_string(laptop.clone.join(FILE)).unwrap();
    insta::assert_snapshot!(text, @r#"
    # yaml-language-server: $schema=../../../.vend/request.schema.json
    apiVersion: vend.dev/v1
    kind: Request
    spec:
      template: shop@1.0.0
      parameters:
        # Any text, `no` among them.
        code: "no"
        # How long things are kept.
        days: 7
        # Where it answers.
        host: shop
        ports:
          - 80
          - 443
        # How big it is.
        size: large
        tags:
          owner: "yes"
        # Left out: fifo (false).
      references:
        # The note that it reads.
        network:
          output: commit
          request: orders/dev/hello
    "#);
    let checked = laptop.ends(0, &["validate", FILE]);
    assert!(checked.stdout.contains("1 request: 0 errors"), "{}", checked.stdout);
    laptop.push();
    world.apply();
    world.ready("orders/dev/front");
    world.again_nothing();
}

#[test]
fn flags_are_typed_by_the_schema_and_nobody_is_asked() {
    let world = world();
    let laptop = Laptop::new(&world);
    let common = ["new", "shop", "--team", "orders", "--environment", "dev", "--name", "front"];
    let more = [
        "--set",
        "host=shop",
        "--set",
        "size=small",
        "--set",
        "days=7",
        "--set",
        "code=0777",
        "--set",
        "ports=80,443",
        "--set",
        "tags.owner=no",
        "--set-json",
        "fifo=true",
        "--reference",
        "network=orders/dev/hello.path",
        "--reason",
        "SHOP-1: a front",
    ];
    let whole = [&common[..], &more[..]].concat();
    let dry = laptop.ends(0, &[&whole[..], &["--dry-run"]].concat());
    assert!(!laptop.clone.join(FILE).exists());
    laptop.ends(0, &whole);
    let text = std::fs::read_to_string(laptop.clone.join(FILE)).unwrap();
    assert_eq!(dry.stdout, text);
    for line in [
        "# yaml-language-server: $schema=../../../.vend/request.schema.json",
        "  template: shop@1.0.0",
        "    # How long things are kept.",
        "    days: 7",
        "    code: \"0777\"",
        "    fifo: true",
        "      owner: \"no\"",
        "      request: orders/dev/hello",
        "  reason: \"SHOP-1: a front\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let again = laptop.ends(2, &whole);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(laptop.clone.join(FILE)).unwrap(), text);
    laptop.push();
    world.apply();
    world.ready("orders/dev/front");
    world.again_nothing();
}

#[test]
fn what_would_not_be_valid_is_not_written() {
    let world = world();
    let laptop = Laptop::new(&world);
    let common = ["new", "shop", "--team", "orders", "--environment", "dev", "--name", "front"];
    let with = |more: &[&str]| laptop.ends(3, &[&common[..], more].concat()).stderr;
    let said = with(&["--set", "host=Shop", "--set", "hots=x", "--set", "days=four"]);
    for text in
        ["SCH", "did you mean `host`", "`size` is missing", "days: four", "nothing was written"]
    {
        assert!(said.contains(text), "{text}\n{said}");
    }
    let usage = |args: &[&str]| laptop.ends(2, args).stderr;
    let lacking = usage(&["new", "shop"]);
    assert!(lacking.contains("--team, --environment, --name are needed"), "{lacking}");
    assert!(usage(&["new", "shp"]).contains("did you mean `shop`"));
    assert!(usage(&["new", "shop@^2"]).contains("can be requested"));
    let wrong = usage(&[&common[..], &["--set", "host"]].concat());
    assert!(wrong.contains("name=value"), "{wrong}");
    let wrong = usage(&["new", "shop", "--team", "../x", "--environment", "dev", "--name", "a"]);
    assert!(wrong.contains("--team"), "{wrong}");
    assert!(!laptop.clone.join("requests/orders/dev/front.yaml").exists());
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");
}

#[test]
fn ctrl_c_writes_nothing_and_leaves_the_terminal_as_it_was() {
    let world = world();
    let laptop = Laptop::new(&world);
    let place = ["new", "shop", "--team", "orders", "--environment", "dev", "--name", "front"];
    for at in ["host:", "network:"] {
        let mut answers = vec![("host:", "shop\r")];
        answers.retain(|(question, _)| *question != at);
        answers.push((at, STOP));
        let said = laptop.answers(1, &place, &answers).stdout;
        assert!(said.contains("stopped; nothing was written"), "{said}");
    }
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");
}

#[test]
fn nothing_is_written_through_a_link() {
    let world = world();
    let laptop = Laptop::new(&world);
    let outside = world.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, laptop.clone.join("requests/away")).unwrap();
    let args =
        ["new", "note", "--team", "away", "--environment", "dev", "--name", "x", "--set", "text=x"];
    let said = laptop.ends(2, &args);
    assert!(said.stderr.contains("symbolic link"), "{}", said.stderr);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn secrets_are_named_and_never_typed() {
    let world = World::new();
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["password"], "properties": {"password": {"type": "string", "x-sensitive": true}}}"#;
    let components = "    - {name: db, provider: cloudformation, source: db.yaml.hbs}\n";
    let source = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: {{parameters.password}}\n";
    world.catalog.commit(catalog::template(
        "db",
        "1.0.0",
        components,
        "{}",
        schema,
        &[("db.yaml.hbs", source)],
    ));
    let place = "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: lab}\nspec:\n  providers:\n    cloudformation: {account: \"123456789012\", region: eu-north-1}\n  secrets: {allow: [\"arn:aws:secretsmanager:*:secret:{team}/*\"]}\n";
    world.catalog.commit([write("environments/lab.yaml", place)]);
    let laptop = Laptop::new(&world);
    let place = ["new", "db", "--team", "orders", "--environment", "lab", "--name", "main"];
    let arn = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:orders/db-AbCdEf";
    let literal = laptop.ends(3, &[&place[..], &["--set", "password=hunter2"]].concat());
    assert!(literal.stderr.contains("SEC001"), "{}", literal.stderr);
    let all = format!("{}{}", literal.stdout, literal.stderr);
    assert!(!all.contains("hunter2") && !all.contains("it is in Git"), "{all}");
    let value = format!("{arn}#password\r");
    let said = laptop.answers(
        0,
        &place,
        &[
            ("password", "hunter2\r"),
            ("its value never goes", "\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}"),
            ("password", &value),
        ],
    );
    assert!(said.stdout.contains("Wrote"), "{}", said.stdout);
    let path = laptop.clone.join(path_of("orders/lab/main"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("    password:\n      awsSecretsManager: arn:aws"), "{text}");
    assert!(text.contains("      key: password\n"), "{text}");
    std::fs::remove_file(path).unwrap();
    laptop.ends(0, &[&place[..], &["--secret", &format!("password={arn}")]].concat());
}
