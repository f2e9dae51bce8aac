//! `vend catalog test`.

use serde_json::{Value, json};

use super::Desk;
use crate::world::{Edit, World, catalog, remove, write};

const NOTE: &str = "templates/note/1.1.0";

fn desk(world: &World, more: impl IntoIterator<Item = Edit>) -> Desk<'_> {
    let files = catalog::files(&world.output.url());
    Desk::new(world, files.into_iter().chain(more))
}

/// A test of a version; `spec` is what comes after its environment, `dev`.
fn test(folder: &str, name: &str, spec: &str) -> Edit {
    let text =
        format!("apiVersion: vend.dev/v1\nkind: TemplateTest\nspec:\n  environment: dev\n{spec}");
    write(format!("{folder}/tests/{name}.yaml"), text)
}

fn basic() -> Edit {
    let spec = "  request: {parameters: {text: hello}}\n  expect: {rendered: golden/basic/}\n";
    test(NOTE, "basic", spec)
}

#[test]
fn expected_files_are_written_compared_and_mended() {
    let world = World::new();
    let desk = desk(&world, [basic()]);
    let golden = desk.folder.join(NOTE).join("tests/golden/basic/note/note.yaml");

    let said = desk.ends(1, &["catalog", "test"]).stdout;
    assert!(said.contains("FAILED  note@1.1.0 basic"), "{said}");
    assert!(
        said.contains("tests/basic.yaml:6:22: `tests/golden/basic/` is not there yet"),
        "{said}"
    );
    assert!(!golden.exists());

    let said = desk.ends(0, &["catalog", "test", "--bless"]).stdout;
    assert!(
        said.contains("wrote templates/note/1.1.0/tests/golden/basic/note/note.yaml"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&golden).unwrap(), "text: hello\ntone: plain\n");
    let said = desk.ends(0, &["catalog", "test"]).stdout;
    assert_eq!(said, "ok      note@1.1.0 basic\n1 test: 1 passed.\n");

    // One fact changes: the template's text. And somebody left a file there.
    desk.edit([
        write(format!("{NOTE}/note.yaml.hbs"), "text: {{parameters.text}}\ntone: loud\n"),
        write(format!("{NOTE}/tests/golden/basic/note/old.yaml"), "a: 1\n"),
        write(format!("{NOTE}/tests/golden/gone/note/note.yaml"), "a: 1\n"),
    ]);
    let said = desk.ends(1, &["catalog", "test"]).stdout;
    for line in [
        "other files are rendered than `tests/golden/basic/` has: `--bless` writes them",
        "          note/note.yaml\n           text: hello\n          -tone: plain\n          +tone: loud\n",
        "          note/old.yaml (removed)\n",
        "note: no test names templates/note/1.1.0/tests/golden/gone/note/note.yaml",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let told = desk.ends(1, &["catalog", "test", "--format", "json"]).json();
    assert_eq!(told["failed"], 1);
    assert_eq!(told["tests"][0]["failures"][0]["kind"], "Rendered");
    assert_eq!(told["unused"].as_array().unwrap().len(), 1);

    let told = desk.ends(0, &["catalog", "test", "--bless", "--format", "json"]).json();
    assert_eq!(told["written"], json!([format!("{NOTE}/tests/golden/basic/note/note.yaml")]));
    let gone = ["basic/note/old.yaml", "gone/note/note.yaml"];
    assert_eq!(told["removed"], json!(gone.map(|g| format!("{NOTE}/tests/golden/{g}"))));
    assert!(!desk.folder.join(NOTE).join("tests/golden/gone").exists());

    // Again: nothing to do.
    let told = desk.ends(0, &["catalog", "test", "--bless", "--format", "json"]).json();
    assert_eq!((&told["written"], &told["removed"]), (&json!([]), &json!([])));
    assert_eq!(desk.ends(0, &["catalog", "test", "-q"]).stdout, "");
}

#[test]
fn only_what_is_named_is_run() {
    let world = World::new();
    let note = "  request: {parameters: {text: hello}}\n  expect: {diagnostics: []}\n";
    let pair = "  expect: {diagnostics: []}\n";
    let desk = desk(
        &world,
        [
            test("templates/note/1.0.0", "old", note),
            test(NOTE, "new", note),
            test(NOTE, "newer", note),
            test("templates/pair/1.0.0", "two", pair),
        ],
    );
    let names = |args: &[&str]| {
        let args = [&["catalog", "test", "--format", "json"], args].concat();
        let told = desk.ends(0, &args).json();
        let tests = told["tests"].as_array().unwrap().clone();
        tests.iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["old", "new", "newer", "two"]);
    assert_eq!(names(&["note"]), ["old", "new", "newer"]);
    assert_eq!(names(&["note@1.0.0", "pair"]), ["old", "two"]);
    assert_eq!(names(&["note@^1.1"]), ["new", "newer"]);
    assert_eq!(names(&["--only", "newer"]), ["newer"]);
    assert_eq!(names(&["reader"]), [""; 0]);
    let said = desk.ends(0, &["catalog", "test", "reader"]).stdout;
    assert_eq!(said, "There is no test to run.\n");

    let said = desk.ends(2, &["catalog", "test", "notes"]).stderr;
    assert!(
        said.contains("no template is called `notes`") && said.contains("did you mean `note`?")
    );
    let said = desk.ends(2, &["catalog", "test", "note@9.0.0"]).stderr;
    assert!(said.contains("there are `1.0.0`, `1.1.0`"), "{said}");
    let said = desk.ends(2, &["catalog", "test", "note@x"]).stderr;
    assert!(said.contains("neither an exact version"), "{said}");
}

#[test]
fn a_broken_file_stops_no_other_test() {
    let world = World::new();
    let sound = "  request: {parameters: {text: hello}}\n  expect: {diagnostics: []}\n";
    let desk = desk(
        &world,
        [
            test(NOTE, "sound", sound),
            test(NOTE, "misspelt", "  expect: {rendred: golden/x/}\n"),
            test(
                NOTE,
                "outside",
                "  request: {parameters: {text: a}}\n  expect: {rendered: ../../../x}\n",
            ),
            test(NOTE, "newer", "  upgradeFrom: 1.2.0\n  expect: {replaces: 0}\n"),
            test(NOTE, "new", "  expect: {deletes: 0}\n"),
            test("templates/note/1.0.0", "fails", "  expect: {diagnostics: []}\n"),
        ],
    );
    let told = desk.ends(3, &["catalog", "test", "--format", "json"]).json();
    let codes: Vec<&str> = told["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["SCH001", "TST004", "TST003", "TST002"]);
    let outcome = |name: &str| {
        let tests = told["tests"].as_array().unwrap();
        tests.iter().find(|t| t["name"] == name).map(|t| t["outcome"].clone())
    };
    assert_eq!(outcome("sound"), Some("passed".into()));
    assert_eq!(outcome("outside"), Some("notRun".into()));
    assert_eq!(outcome("misspelt"), None);
    assert_eq!(outcome("fails"), Some("failed".into()));
    // What is wrong elsewhere is not this template's.
    desk.ends(1, &["catalog", "test", "note@1.0.0"]);
    let said = desk.ends(3, &["catalog", "test"]).stdout;
    assert!(said.contains("did you mean `rendered`?"), "{said}");
    // `vend validate` says the same.
    let found = desk.ends(3, &["validate", "--format", "json"]).json();
    assert_eq!(found["errors"], 4);

    // Nothing is written outside of the tests' own folders.
    desk.ends(3, &["catalog", "test", "--bless"]);
    assert!(!desk.folder.join("x").exists() && !desk.folder.join("templates/x").exists());
    let [misspelt, outside, newer, new] = ["misspelt", "outside", "newer", "new"]
        .map(|name| remove(format!("{NOTE}/tests/{name}.yaml")));
    desk.edit([misspelt, outside, newer, new]);
    desk.ends(0, &["catalog", "test", "note@1.1.0"]);
}

#[test]
fn expected_errors_are_by_code_and_by_parameter() {
    let world = World::new();
    let request = "  request: {parameters: {text: 4, tone: 5, volume: 6}}\n";
    let expect = |codes: &str| {
        test(NOTE, "wrong", &format!("{request}  expect: {{diagnostics: [{codes}]}}\n"))
    };
    let desk = desk(&world, [expect("SCH001, SCH003, SCH003")]);
    desk.ends(0, &["catalog", "test"]);
    desk.edit([expect("SCH003, SCH003@text, SCH001@volume")]);
    desk.ends(0, &["catalog", "test"]);

    desk.edit([expect("SCH003@tone, SCH003@volume, SCH001")]);
    let said = desk.ends(1, &["catalog", "test"]).stdout;
    assert!(
        said.contains("tests/wrong.yaml:6:39: `SCH003@volume` is expected and was not found"),
        "{said}"
    );
    // It is said where the test has the value.
    assert!(said.contains("tests/wrong.yaml:5:32: unexpected SCH003: "), "{said}");
    desk.edit([expect("")]);
    let told = desk.ends(1, &["catalog", "test", "--format", "json"]).json();
    assert_eq!(told["tests"][0]["failures"].as_array().unwrap().len(), 3);
}

#[test]
fn rules_deny_and_ask_in_a_test_as_in_a_pass() {
    let world = World::new();
    let rules = "  policy:\n    - {deny: \"parameters.text == 'bye'\", message: Nobody says goodbye here.}\n    - {deny: \"plan.creates > 1\", message: One at a time.}\n  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform, security], count: 2}\n";
    let denied = |policy: &str, approvals: &str| {
        let expect = format!("  expect: {{policy: [{policy}], approvals: [{approvals}]}}\n");
        test(NOTE, "denied", &format!("  request: {{parameters: {{text: bye}}}}\n{expect}"))
    };
    let asked = test(
        NOTE,
        "asked",
        "  request: {parameters: {text: hello}}\n  expect: {policy: [], approvals: [{teams: [security, platform], count: 2}]}\n",
    );
    let twice = test("templates/pair/1.0.0", "twice", "  expect: {policy: [One at a time.]}\n");
    let desk = desk(
        &world,
        [
            catalog::environment("dev", &world.output.url(), rules),
            denied("Nobody says goodbye here.", ""),
            asked,
            twice,
        ],
    );
    desk.ends(0, &["catalog", "test"]);

    desk.edit([denied("Nobody says hello here.", "")]);
    let said = desk.ends(1, &["catalog", "test"]).stdout;
    assert!(
        said.contains("no rule denies it with the message `Nobody says hello here.`"),
        "{said}"
    );
    assert!(said.contains("unexpected POL002: Nobody says goodbye here."), "{said}");

    let plain = "  request: {parameters: {text: hello}}\n  expect: {approvals: []}\n";
    desk.edit([denied("Nobody says goodbye here.", ""), test(NOTE, "asked", plain)]);
    let said = desk.ends(1, &["catalog", "test"]).stdout;
    let words = "expected that nobody is asked, and `platform` or `security` (2 people) is asked";
    assert!(said.contains(words), "{said}");
}

#[test]
fn outputs_are_those_that_a_plan_knows() {
    let world = World::new();
    let expect = |outputs: &str| {
        let spec = format!(
            "  request: {{parameters: {{text: hello}}}}\n  expect: {{outputs: {{{outputs}}}}}\n"
        );
        test(NOTE, "outputs", &spec)
    };
    let desk = desk(&world, [expect("path: dev/example/outputs/note, commit: null")]);
    desk.ends(0, &["catalog", "test"]);
    desk.edit([expect("path: elsewhere, commit: 4711, url: x")]);
    let said = desk.ends(1, &["catalog", "test"]).stdout;
    for words in [
        "output `path` is to be `\"elsewhere\"`, and is `\"dev/example/outputs/note\"`",
        "output `commit` is to be `4711`, and only an apply tells it",
        "the template promises no output `url`",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}

/// A template of CloudFormation's: `queue`, whose queue is named by the version.
fn queue(version: &str, name: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"days": {"type": "integer", "default": 4, "x-change": "grow-only"}, "fifo": {"type": "boolean", "default": false, "x-change": "immutable"}}}"#;
    let source = format!(
        "AWSTemplateFormatVersion: \"2010-09-09\"\nResources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: {name}\n      MessageRetentionPeriod: {{{{parameters.days}}}}\n{}Outputs:\n  Url: {{Value: !Ref Queue}}\n",
        if version == "1.0.0" { "  Failed: {Type: AWS::SQS::Queue}\n" } else { "" },
    );
    let components = "    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = "{url: {from: queue.Url}}";
    catalog::template("queue", version, components, outputs, schema, &[("stack.yaml.hbs", &source)])
}

fn with_queues(world: &World, more: impl IntoIterator<Item = Edit>) -> Desk<'_> {
    let dev = "    cloudformation: {region: eu-north-1}\n";
    let files = [catalog::environment("dev", &world.output.url(), dev)];
    let queues = queue("1.0.0", "first").into_iter().chain(queue("1.1.0", "second"));
    desk(world, files.into_iter().chain(queues).chain(more))
}

const QUEUE: &str = "templates/queue/1.1.0";

#[test]
fn an_upgrade_names_what_it_replaces_and_deletes() {
    let world = World::new();
    let expect = |counts: &str| {
        test(QUEUE, "upgrade", &format!("  upgradeFrom: 1.0.0\n  expect: {{{counts}}}\n"))
    };
    let desk = with_queues(&world, [expect("replaces: 1, deletes: 1")]);
    desk.ends(0, &["catalog", "test", "queue"]);

    desk.edit([expect("replaces: 0, deletes: 0")]);
    let said = desk.ends(1, &["catalog", "test", "queue"]).stdout;
    for words in [
        "nothing is to be replaced, and 1 is",
        "queue/Queue (AWS::SQS::Queue)",
        "QueueName",
        "nothing is to be deleted, and 1 is",
        "queue/Failed (AWS::SQS::Queue)",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    // One fact changes: the name stays what it was.
    desk.edit(queue("1.1.0", "first"));
    desk.edit([expect("replaces: 0, deletes: 1")]);
    desk.ends(0, &["catalog", "test", "queue"]);
}

#[test]
fn a_change_is_held_to_what_the_schema_lets_change() {
    let world = World::new();
    let change = |before: &str, now: &str, expect: &str| {
        let spec = format!(
            "  before: {{parameters: {{{before}}}}}\n  request: {{parameters: {{{now}}}}}\n  expect: {{{expect}}}\n"
        );
        test(QUEUE, "change", &spec)
    };
    let desk = with_queues(&world, [change("days: 4", "days: 7", "replaces: 0, deletes: 0")]);
    desk.ends(0, &["catalog", "test", "queue"]);
    desk.edit([change("days: 7", "days: 4", "diagnostics: [REQ008@days]")]);
    desk.ends(0, &["catalog", "test", "queue"]);
    desk.edit([change("fifo: false", "fifo: true", "replaces: 0")]);
    let said = desk.ends(1, &["catalog", "test", "queue"]).stdout;
    assert!(
        said.contains("tests/change.yaml:6:32: unexpected REQ008: `fifo` may not change"),
        "{said}"
    );

    // What it is a change from must be possible itself.
    desk.edit([change("days: many", "days: 4", "replaces: 0")]);
    let said = desk.ends(1, &["catalog", "test", "queue"]).stdout;
    let words = "the request cannot have been applied with `queue@1.1.0`: it has this error";
    assert!(said.contains(words) && said.contains("tests/change.yaml:5:31: SCH003"), "{said}");
}

#[test]
fn components_and_their_outputs_are_upgraded_together() {
    let world = World::new();
    let pair = "templates/pair/1.1.0";
    let spec = "  upgradeFrom: 1.0.0\n  expect: {replaces: 0, deletes: 1, rendered: golden/up/}\n";
    let desk = desk(&world, catalog::pair("1.1.0", false));
    desk.edit([test(pair, "up", spec)]);
    desk.ends(0, &["catalog", "test", "pair", "--bless"]);
    desk.ends(0, &["catalog", "test", "pair"]);
    // What one component gives is not known before the other is applied.
    let first = "  expect: {rendered: golden/first/}\n";
    desk.edit([test("templates/pair/1.0.0", "first", first)]);
    desk.ends(0, &["catalog", "test", "pair", "--bless"]);
    let text = std::fs::read_to_string(
        desk.folder.join("templates/pair/1.0.0/tests/golden/first/top/top.yaml"),
    );
    assert!(text.unwrap().contains("<known after apply: example/dev/first#base.path>"));
    desk.ends(0, &["catalog", "test"]);
}

#[test]
fn references_stand_for_other_requests() {
    let world = World::new();
    let spec = "  request: {references: {of: another}}\n  expect: {rendered: golden/reads/}\n";
    let desk = desk(&world, [test("templates/reader/1.0.0", "reads", spec)]);
    desk.ends(0, &["catalog", "test", "--bless"]);
    let golden = desk.folder.join("templates/reader/1.0.0/tests/golden/reads/reader/reader.yaml");
    assert_eq!(std::fs::read_to_string(golden).unwrap(), "reads: another\n");
    // A value of another kind than the schema takes.
    let wrong = "  request: {references: {of: 4}}\n  expect: {diagnostics: [SCH003@of]}\n";
    desk.edit([test("templates/reader/1.0.0", "wrong", wrong)]);
    desk.ends(0, &["catalog", "test"]);
}

#[test]
fn nothing_is_written_through_a_link_or_into_a_catalog_elsewhere() {
    let world = World::new();
    let desk = desk(&world, [basic()]);
    let outside = desk.folder.parent().unwrap().join("outside");
    std::fs::create_dir(&outside).unwrap();
    desk.edit([Edit::Link(format!("{NOTE}/tests/golden"), outside.display().to_string())]);
    // A link is an error of the version already.
    desk.ends(3, &["catalog", "test", "--bless"]);
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());

    let url = format!("file://{}", world.catalog.url());
    let said = desk.ends(2, &["catalog", "test", "--bless", "--catalog", &url]).stderr;
    assert!(said.contains("not on this disk"), "{said}");
    let said = desk.ends(0, &["catalog", "test", "--catalog", &url]).stdout;
    assert_eq!(said, "There is no test to run.\n");
}

#[test]
fn two_tests_do_not_overwrite_each_other() {
    let world = World::new();
    let of = |text: &str, folder: &str| {
        format!("  request: {{parameters: {{text: {text}}}}}\n  expect: {{rendered: {folder}}}\n")
    };
    let desk = desk(
        &world,
        [test(NOTE, "one", &of("a", "golden/x")), test(NOTE, "two", &of("b", "golden/x/"))],
    );
    let said = desk.ends(1, &["catalog", "test", "--bless"]).stderr;
    assert!(said.contains("render to different files"), "{said}");
    desk.edit([test(NOTE, "two", &of("b", "golden/x/y"))]);
    let said = desk.ends(3, &["catalog", "test"]).stdout;
    assert!(said.contains("TST002") && said.contains("this folder lies in that of the test `one`"));
    // What the wrong one expects is not thrown away while the other is written.
    let theirs = format!("{NOTE}/tests/golden/x/y/note/note.yaml");
    desk.edit([write(theirs.clone(), "text: b\n")]);
    for only in [&[][..], &["--only", "one"]] {
        desk.ends(3, &[&["catalog", "test", "--bless"], only].concat());
        assert!(desk.folder.join(&theirs).exists());
        assert!(desk.folder.join(NOTE).join("tests/golden/x/note/note.yaml").exists());
    }
    std::fs::remove_dir_all(desk.folder.join(NOTE).join("tests/golden")).unwrap();
    // The same files may be kept once.
    desk.edit([test(NOTE, "two", &of("a", "golden/x"))]);
    desk.ends(0, &["catalog", "test", "--bless"]);
    desk.ends(0, &["catalog", "test"]);
}

/// Its name, its attributes and its text.
type Element = (String, Vec<(String, String)>, String);

/// The elements of a document; panics where it is no XML.
fn elements(text: &str) -> Vec<Element> {
    use xmlparser::{ElementEnd, Token, Tokenizer};
    let plain = |text: &str| {
        let mut out = text.to_owned();
        for (from, to) in [
            ("&#10;", "\n"),
            ("&#9;", "\t"),
            ("&#13;", "\r"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&apos;", "'"),
            ("&amp;", "&"),
        ] {
            out = out.replace(from, to);
        }
        out
    };
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for token in Tokenizer::from(text) {
        match token.unwrap() {
            Token::ElementStart { local, .. } => {
                open.push(found.len());
                found.push((local.to_string(), Vec::new(), String::new()));
            }
            Token::Attribute { local, value, .. } => {
                found.last_mut().unwrap().1.push((local.to_string(), plain(&value)));
            }
            Token::ElementEnd { end: ElementEnd::Close(_, local), .. } => {
                assert_eq!(found[open.pop().unwrap()].0, local.as_str());
            }
            Token::ElementEnd { end: ElementEnd::Empty, .. } => {
                open.pop();
            }
            Token::Text { text } => {
                if let Some(at) = open.last() {
                    found[*at].2.push_str(&plain(&text));
                }
            }
            _ => {}
        }
    }
    assert!(open.is_empty());
    found
}

#[test]
fn junit_is_read_back_whatever_the_text_is() {
    let world = World::new();
    let hostile = "]]> <script>&amp; \\\" '";
    let spec = format!(
        "  request: {{parameters: {{text: hello}}}}\n  expect: {{policy: [\"{hostile}\"], outputs: {{path: \"{hostile}\"}}}}\n"
    );
    let desk = desk(
        &world,
        [basic(), test(NOTE, "hostile", &spec), test(NOTE, "broken", "  expect: {rendred: 1}\n")],
    );
    let file = desk.folder.join("../junit.xml");
    let args = ["catalog", "test", "--junit", file.to_str().unwrap()];
    desk.ends(3, &args);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    let found = elements(&text);
    let get = |at: usize, name: &str| {
        let attributes = &found[at].1;
        attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(found[0].0, "testsuites");
    assert_eq!([get(0, "tests"), get(0, "failures"), get(0, "errors")], ["3", "2", "1"]);
    let cases: Vec<usize> = (0..found.len()).filter(|at| found[*at].0 == "testcase").collect();
    let names: Vec<String> = cases.iter().map(|at| get(*at, "name")).collect();
    assert_eq!(names, ["basic", "hostile", &format!("{NOTE}/tests/broken.yaml")]);
    let failure = &found[cases[1] + 1];
    assert_eq!(failure.0, "failure");
    assert!(failure.2.contains("]]> <script>&amp; \" '"), "{failure:?}");
    assert_eq!(found[cases[2] + 1].0, "error");

    desk.edit([
        remove(format!("{NOTE}/tests/broken.yaml")),
        remove(format!("{NOTE}/tests/hostile.yaml")),
    ]);
    desk.ends(0, &["catalog", "test", "--bless"]);
    desk.ends(0, &args);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!elements(&text).iter().any(|(name, _, _)| name == "failure" || name == "error"));
    // A file that cannot be written is said, and is no success.
    desk.ends(1, &["catalog", "test", "--junit", "/nonexistent/x.xml"]);
    let _: Value = desk.ends(0, &["catalog", "test", "--format", "json"]).json();
}
