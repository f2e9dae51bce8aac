//! `vend catalog check`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::Desk;
use crate::world::{Edit, Output, World, catalog, remove, write};

/// `CODE file:line` of everything that was found.
fn found(output: &Output) -> BTreeSet<String> {
    let value = output.json();
    let one = |d: &serde_json::Value| {
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        let place = &d["place"];
        format!("{} {}:{}", text(&d["code"]), text(&place["file"]), place["line"])
    };
    value["diagnostics"].as_array().unwrap().iter().map(one).collect()
}

fn set<'t>(lines: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    lines.into_iter().map(str::to_owned).collect()
}

/// A template whose every part has something wrong with it.
fn bad() -> Vec<Edit> {
    let components = "    - {name: base, provider: files, source: base.yaml.hbs}\n    - {name: top, provider: files, source: top.yaml.hbs}\n    - {name: other, provider: filez, source: other.yaml.hbs}\n";
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"used": {"type": "string"}, "unused": {"type": "string", "x-reference": {"template": "nothing"}}}}"#;
    let sources = [
        ("base.yaml.hbs", "{{#if parameters.usd}}\na: {{parameters.used}}\n{{/if}}\nb: 1\n"),
        ("top.yaml.hbs", "c: {{components.base.outputs.comit}}\n"),
        ("other.yaml.hbs", "d: 1\n"),
        ("partials/spare.hbs", "e: 1\n"),
        (
            "tests/lost.yaml",
            "apiVersion: vend.dev/v1\nkind: TemplateTest\nspec:\n  environment: prd\n  expect: {diagnostics: []}\n",
        ),
    ];
    catalog::template("bad", "1.0.0", components, "{path: {from: base.pth}}", schema, &sources)
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let check = |code| desk.ends(code, &["catalog", "check", "--format", "json"]);

    // Nothing is wrong with the small catalog, and something is missing.
    let missing = ["note/1.1.0", "pair/1.0.0", "reader/1.0.0"].into_iter().flat_map(|version| {
        let file = format!("templates/{version}/template.yaml:1");
        ["CAT031", "CAT032", "CAT033"].map(|code| format!("{code} {file}"))
    });
    let missing: BTreeSet<String> = missing.collect();
    assert_eq!(found(&check(0)), missing);
    desk.ends(3, &["catalog", "check", "--strict"]);
    let said = desk.ends(0, &["catalog", "check"]).stdout;
    assert!(said.ends_with("Checked 4 template versions: 0 errors, 9 warnings.\n"), "{said}");

    desk.edit(bad());
    let environment = "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  providers:\n    files: {repository: 7}\n    flies: {}\n  templates: [nota, pa*, zz*]\n";
    desk.edit([write("environments/test.yaml", environment)]);
    let new: BTreeSet<String> = found(&check(3)).difference(&missing).cloned().collect();
    let at = "templates/bad/1.0.0";
    let expected = [
        format!("CAT031 {at}/template.yaml:1"),
        format!("CAT032 {at}/template.yaml:1"),
        format!("CAT034 {at}/schema.json:1"),
        format!("ENV001 {at}/tests/lost.yaml:4"),
        "ENV005 environments/test.yaml:6".into(),
        "ENV006 environments/test.yaml:8".into(),
        format!("SUP002 {at}/template.yaml:9"),
        "SUP002 environments/test.yaml:7".into(),
        format!("TPL014 {at}/base.yaml.hbs:1"),
        format!("TPL015 {at}/schema.json:1"),
        format!("TPL016 {at}/template.yaml:10"),
        format!("TPL016 {at}/top.yaml.hbs:1"),
        format!("TPL018 {at}/partials/spare.hbs:1"),
        format!("TPL019 {at}/top.yaml.hbs:1"),
    ];
    assert_eq!(new, set(expected.iter().map(String::as_str)));

    // In a workflow, from a folder below, and from elsewhere: the same.
    let github = desk.ends(3, &["catalog", "check", "--format", "github"]).stdout;
    assert!(github.contains("::error file=templates/bad/1.0.0/top.yaml.hbs,line=1"), "{github}");
    let sarif = desk.ends(3, &["catalog", "check", "--format", "sarif"]).json();
    assert_eq!(sarif["version"], "2.1.0");
    let inside = desk.folder.join("templates/bad");
    let below = desk.command_in(&inside, &["catalog", "check", "--format", "json"]);
    let there = desk.folder.display().to_string();
    let args = ["catalog", "check", &there, "--format", "json"];
    let apart = desk.command_in(world.root(), &args);
    for command in [below, apart] {
        let again = crate::cli::run(command);
        assert_eq!(again.code, 3);
        assert_eq!(found(&again), missing.union(&new).cloned().collect());
    }

    // Put right, there is nothing more to say.
    desk.edit([remove("environments/test.yaml")]);
    std::fs::remove_dir_all(desk.folder.join("templates/bad")).unwrap();
    assert_eq!(found(&check(0)), missing);
}

#[test]
fn what_is_no_catalog_is_said_to_be_none() {
    let world = World::new();
    let desk = Desk::new(&world, []);
    std::fs::create_dir_all(&desk.folder).unwrap();
    let output = desk.ends(3, &["catalog", "check", ".", "--format", "json"]);
    assert_eq!(found(&output), set(["CAT012 catalog.yaml:1", "ENV009 catalog.yaml:1"]));
    let said = desk.ends(2, &["catalog", "check", "nowhere"]).stderr;
    assert!(said.contains("there is no folder `nowhere`"), "{said}");
    desk.ends(2, &["catalog", "list", "--format", "sarif"]);
}

/// A template for CloudFormation that gives an output only sometimes.
fn stack(tests: bool, outputs: &str) -> Vec<Edit> {
    let components = "    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}\n";
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"fifo": {"type": "boolean", "default": false}}}"#;
    let source = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n{{#if parameters.fifo}}\nOutputs:\n  Url:\n    Value: x\n{{/if}}\n";
    let test = "apiVersion: vend.dev/v1\nkind: TemplateTest\nmetadata: {name: plain}\nspec:\n  environment: aws\n  expect: {diagnostics: []}\n";
    let mut sources = vec![("stack.yaml.hbs", source)];
    if tests {
        sources.push(("tests/plain.yaml", test));
    }
    let mut files = catalog::template("queue", "1.0.0", components, outputs, schema, &sources);
    files.push(write(
        "environments/aws.yaml",
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: aws}\nspec:\n  providers:\n    cloudformation: {region: eu-north-1}\n",
    ));
    files
}

#[test]
fn outputs_of_a_stack_are_held_against_what_it_renders_to() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let check = |code| {
        let args = ["catalog", "check", "--no-cfn-lint", "--format", "json"];
        let all = found(&desk.ends(code, &args));
        all.into_iter().filter(|line| line.starts_with("TPL")).collect::<Vec<_>>()
    };
    let place = "TPL016 templates/queue/1.0.0/template.yaml:8".to_owned();
    // Without a test nothing is rendered: only what stands nowhere at all is surely missing.
    desk.edit(stack(false, "{url: {from: queue.Url}}"));
    assert_eq!(check(0), [""; 0]);
    desk.edit(stack(false, "{url: {from: queue.Uri}}"));
    assert_eq!(check(3), std::slice::from_ref(&place));
    desk.edit(stack(true, "{url: {from: queue.Url}}"));
    assert_eq!(check(3), [place]);
    desk.edit(stack(true, "{}"));
    assert_eq!(check(0), [""; 0]);
}

/// A program in place of cfn-lint.
fn linter(desk: &Desk<'_>, script: &str) -> String {
    let folder = desk.folder.parent().unwrap().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("cfn-lint");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

#[test]
fn a_linter_of_stacks_helps_where_it_is_and_never_harms() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    desk.edit(stack(true, "{}"));
    let check = |path: &str, code: i32| {
        let mut command: Command =
            desk.command_in(&desk.folder, &["catalog", "check", "--format", "json"]);
        command.env("PATH", path);
        let output = crate::cli::run(command);
        assert_eq!(output.code, code, "{output:?}");
        let value = output.json();
        let found = found(&output).into_iter().filter(|line| line.starts_with("CFN"));
        let notes = value["notes"].as_array().unwrap().iter();
        let notes = notes.map(|note| note.as_str().unwrap().to_owned());
        (found.collect::<Vec<_>>(), notes.collect::<Vec<_>>().join("\n"))
    };
    let (none, note) = check("/nowhere", 0);
    assert!(none.is_empty() && note.starts_with("cfn-lint is not installed"), "{note}");
    for (script, says) in [
        ("echo 'no such region' >&2; exit 2", "no such region"),
        ("echo rubbish", "is not the JSON"),
        ("echo '{\"a\": 1}'", "is not the JSON"),
    ] {
        let (none, note) = check(&linter(&desk, script), 0);
        assert!(none.is_empty() && note.contains(says), "{script}: {note}");
    }
    // It sees what CloudFormation would, in the region of the environment, and nothing of ours.
    let script = r#"test "$*" = "--format json --regions eu-north-1 -- 0.json" || exit 9
test -z "$XDG_CACHE_HOME$USER" || exit 9
grep -q AWS::SQS::Queue 0.json || exit 9
cat <<'END'
[{"Filename": "0.json", "Level": "Error", "Message": "no such thing", "Rule": {"Id": "E3002"},
  "Location": {"Start": {"LineNumber": 4, "ColumnNumber": 7}, "End": {"LineNumber": 4, "ColumnNumber": 9}, "Path": null}},
 {"Filename": "0.json", "Level": "Warning", "Message": "hm", "Rule": {"Id": "W1"},
  "Location": {"Start": {"LineNumber": 1, "ColumnNumber": 1}, "End": {"LineNumber": 1, "ColumnNumber": 2}, "Path": null}}]
END
exit 2"#;
    let (said, note) = check(&linter(&desk, script), 3);
    let file = "queue@1.0.0/plain/queue.json";
    assert_eq!(said, [format!("CFN001 {file}:1"), format!("CFN001 {file}:4")]);
    assert_eq!(note, "");
    let (said, _) = check(&linter(&desk, "echo '[]'"), 0);
    assert!(said.is_empty());
}
