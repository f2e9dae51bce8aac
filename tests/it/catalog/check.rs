//! `vend catalog check`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::Desk;
use super::release::Clone;
use crate::daemon::eventually;
use crate::world::{Edit, Output, World, ask, catalog, remove, request, write};

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
fn an_empty_catalog_is_one_and_an_end_names_environments_that_there_are() {
    let world = World::new();
    let head =
        "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: empty}\nspec: {format: 1}\n";
    let desk = Desk::new(&world, [write("catalog.yaml", head)]);
    let said = desk.ends(0, &["catalog", "check"]).stdout;
    assert!(said.ends_with("Checked 0 template versions: 0 errors, 1 warning.\n"), "{said}");
    let said = desk.ends(0, &["validate", "."]).stdout;
    assert!(said.ends_with("Checked 0 template versions: 0 errors, 0 warnings.\n"), "{said}");

    let mut files = catalog::files(&world.output.url());
    files.extend(catalog::note("2.0.0"));
    desk.edit(files);
    let file = "templates/note/2.0.0/template.yaml";
    let ttl = |environments: &str| {
        let template = catalog::note("2.0.0").remove(0);
        let ttl = format!("  ttl: {{max: 30d, environments: [{environments}]}}\n  components:");
        desk.edit([template.and_replace("  components:", &ttl)]);
        let all = found(&desk.ends(0, &["catalog", "check", "--format", "json"]));
        all.into_iter().filter(|line| line.starts_with("ENV006")).collect::<Vec<_>>()
    };
    assert_eq!(ttl("dev, prdo"), [format!("ENV006 {file}:6")]);
    let said = desk.ends(0, &["catalog", "check"]).stdout;
    assert!(said.contains("no environment is called `prdo`"), "{said}");
    assert!(said.contains("did you mean `prod`?"), "{said}");
    assert_eq!(ttl("dev, prod"), [""; 0]);
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
        // This folder is in no Git repository.
        let notes = notes.filter(|note| !note.starts_with("there was nothing to compare with"));
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
    // One that says more than anybody could read, with a child that nobody waits for.
    let pid = desk.folder.parent().unwrap().join("pid");
    let script = format!("sleep 600 & echo $! >{}; yes", pid.display());
    let (none, note) = check(&linter(&desk, &script), 0);
    assert!(none.is_empty() && note.contains("it says more than 16 MiB"), "{note}");
    let pid = std::fs::read_to_string(pid).unwrap();
    eventually("what it started is ended", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
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

/// Problems in what `vend catalog check --format json` says, as `CODE severity file`, without warnings
/// about what is missing.
fn about(said: &str) -> Vec<String> {
    let value: serde_json::Value =
        serde_json::from_str(said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let one = |d: &serde_json::Value| {
        let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
        let (code, severity) = (text(&d["code"]), text(&d["severity"]));
        format!("{code} {severity} {}", text(&d["place"]["file"]))
    };
    let all = value["diagnostics"].as_array().unwrap().iter().map(one);
    all.filter(|line| !line.starts_with("CAT03")).collect()
}

const CHECK: [&str; 2] = ["--format", "json"];

#[test]
fn an_edit_of_what_is_published_is_an_error_wherever_the_clone_stands() {
    let world = World::new();
    let clone = Clone::new(&world);
    let edited = ["CAT010 error templates/note/1.1.0/template.yaml".to_owned()];
    let said = clone.ends(0, "check", &[]);
    assert!(said.contains("against `origin/"), "{said}");
    assert!(!said.contains("nothing to compare with"), "{said}");

    // How far a version has come may change; nothing else of it.
    let (template, source) = (clone.read("1.1.0/template.yaml"), clone.read("1.1.0/note.yaml.hbs"));
    let old = template.replace("version: 1.1.0", "version: 1.1.0, lifecycle: deprecated");
    assert_ne!(old, template);
    std::fs::write(clone.path("1.1.0/template.yaml"), old).unwrap();
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [""; 0]);
    std::fs::write(clone.path("1.1.0/template.yaml"), &template).unwrap();
    std::fs::write(clone.path("1.1.0/note.yaml.hbs"), format!("more: 1\n{source}")).unwrap();
    assert_eq!(about(&clone.ends(3, "check", &CHECK)), edited);

    // Committed on a branch, it is no less an edit.
    clone.git(&["checkout", "-qb", "edit"]);
    clone.git(&["commit", "-qam", "Edit"]);
    assert_eq!(about(&clone.ends(3, "check", &CHECK)), edited);
    clone.git(&["push", "-q", "origin", "edit"]);

    // A workflow's clone of one commit cannot know, and says so, until it is given what to compare with.
    let shallow = Clone::shallow(&world, "edit");
    let said = shallow.ends(0, "check", &[]);
    assert!(
        said.contains("note: there was nothing to compare with, since this clone has no branch"),
        "{said}"
    );
    assert!(said.contains("fetch-depth: 0"), "{said}");
    let said = shallow.ends(2, "check", &["--base", "origin/main"]);
    assert!(said.contains("`origin/main`") && said.contains("fetch-depth: 0"), "{said}");
    shallow.git(&["fetch", "-q", "--depth", "1", "origin", "main"]);
    let with_base = ["--base", "FETCH_HEAD", "--format", "json"];
    assert_eq!(about(&shallow.ends(3, "check", &with_base)), edited);
    shallow.git(&["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    assert_eq!(about(&shallow.ends(3, "check", &CHECK)), edited);

    // After it landed all the same: the commit before has what it was, and so has the status branch.
    world.apply();
    clone.git(&["push", "-q", "origin", "edit:main"]);
    clone.git(&["checkout", "-q", "main"]);
    clone.git(&["pull", "-q"]);
    assert_eq!(about(&clone.ends(3, "check", &CHECK)), edited);
    clone.git(&["commit", "-q", "--allow-empty", "-m", "Later"]);
    clone.git(&["push", "-q", "origin", "main"]);
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [""; 0]);
    let status = world.requests.url();
    let said = clone.ends(3, "check", &["--status", &status, "--format", "json"]);
    assert_eq!(about(&said), edited);
    assert!(said.contains("the status branch at"), "{said}");
    let said = clone.ends(0, "check", &["--status", "/nowhere"]);
    assert!(said.contains("note: what the status branch says of versions was not read"), "{said}");
}

#[test]
fn a_published_version_that_is_gone_is_said_as_far_as_somebody_may_have_it() {
    let world = World::new();
    let clone = Clone::new(&world);
    world.requests.commit([ask("orders/dev/a", request("note@^1.1", "{text: hello}"))]);
    std::fs::remove_dir_all(clone.path("1.0.0")).unwrap();
    let gone = |version: &str, word: &str| {
        [format!("CAT021 {word} templates/note/{version}/template.yaml")]
    };
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), gone("1.0.0", "warning"));
    // Who has which version is known by the status branch.
    world.apply();
    let status = world.requests.url();
    let check = ["--status", &status, "--format", "json"];
    assert_eq!(about(&clone.ends(0, "check", &check)), [""; 0], "nobody has it");
    std::fs::remove_dir_all(clone.path("1.1.0")).unwrap();
    let said = clone.ends(3, "check", &check);
    assert_eq!(about(&said), gone("1.1.0", "error"));
    assert!(said.contains("`orders/dev/a` was made with it"), "{said}");
}

#[test]
fn a_number_that_says_too_little_fails_and_the_files_own_word_counts() {
    let world = World::new();
    let clone = Clone::new(&world);
    clone.ends(0, "release", &["note"]);
    let schema = clone
        .read("1.1.1/schema.json")
        .replace("{\"type\": \"string\"}", "{\"type\": \"string\", \"maxLength\": 3}");
    std::fs::write(clone.path("1.1.1/schema.json"), schema).unwrap();
    let file = "templates/note/1.1.1/template.yaml";
    assert_eq!(about(&clone.ends(3, "check", &CHECK)), [format!("VER001 error {file}")]);
    let said = clone.ends(3, "check", &[]);
    assert!(said.contains("`text` is bounded by `maxLength: 3` now"), "{said}");
    assert!(said.contains("call it `2.0.0` or higher"), "{said}");

    let template = clone.read("1.1.1/template.yaml");
    let own = template.replace("spec:\n", "spec:\n  versionBump: patch\n");
    std::fs::write(clone.path("1.1.1/template.yaml"), own).unwrap();
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [format!("VER002 warning {file}")]);
    let said = clone.ends(0, "check", &[]);
    assert!(said.contains("by what differs it is a major one"), "{said}");

    // Once it is published it stays as it is, and that is a warning.
    std::fs::write(clone.path("1.1.1/template.yaml"), template).unwrap();
    clone.git(&["add", "-A"]);
    clone.git(&["commit", "-qm", "note 1.1.1"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [format!("VER001 warning {file}")]);
}

#[test]
fn what_tests_render_to_counts_as_a_change_too() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let queue = |version: &str, name: &str, more: &str| {
        let components = "    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}\n";
        let schema = r#"{"type": "object", "additionalProperties": false}"#;
        let source = format!(
            "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: {name}\n{more}"
        );
        let test = "apiVersion: vend.dev/v1\nkind: TemplateTest\nmetadata: {name: plain}\nspec:\n  environment: aws\n  expect: {diagnostics: []}\n";
        let sources = [("stack.yaml.hbs", source.as_str()), ("tests/plain.yaml", test)];
        catalog::template("queue", version, components, "{}", schema, &sources)
    };
    desk.edit(stack(false, "{}"));
    desk.edit(queue("1.0.0", "first", ""));
    desk.edit(queue("1.0.1", "first", "      DelaySeconds: 1\n"));
    let check = |code| {
        let args = ["catalog", "check", "--no-cfn-lint", "--format", "json"];
        let output = desk.ends(code, &args);
        assert!(output.stdout.contains("there was nothing to compare with"), "{}", output.stdout);
        about(&output.stdout)
    };
    assert_eq!(check(0), [""; 0]);
    // Nothing of the schema differs, and those who have it lose their messages.
    desk.edit(queue("1.0.1", "second", ""));
    let file = "templates/queue/1.0.1/template.yaml";
    assert_eq!(check(3), [format!("VER001 error {file}")]);
    let said = desk.ends(3, &["catalog", "check", "--no-cfn-lint"]).stdout;
    let words =
        "in the test `plain`, `Queue` of type `AWS::SQS::Queue` would be replaced (`QueueName`)";
    assert!(said.contains(words), "{said}");
    // Under another name it is the same component, and its queue is lost as well.
    let renamed = |edit: Edit| match edit {
        Edit::Write(path, text) => {
            let other = "{name: jobs, movedFrom: queue, provider: cloudformation";
            Edit::Write(path, text.replace("{name: queue, provider: cloudformation", other))
        }
        other => other,
    };
    desk.edit(queue("1.0.1", "second", "").into_iter().map(renamed));
    assert_eq!(check(3), [format!("VER001 error {file}")]);
    let said = desk.ends(3, &["catalog", "check", "--no-cfn-lint"]).stdout;
    assert!(said.contains(words), "{said}");
    // One that another follows is published, as far as can be told here.
    desk.edit(queue("2.0.0", "third", ""));
    assert_eq!(check(0), [""; 0]);
}

#[test]
fn tests_of_what_is_published_follow_what_they_render_with() {
    let world = World::new();
    let url = world.output.url();
    let dev =
        |mood: &str| catalog::environment("dev", &url, &format!("  variables: {{mood: {mood}}}\n"));
    let components = "    - {name: mood, provider: files, source: mood.yaml.hbs}\n";
    let schema = r#"{"type": "object", "additionalProperties": false}"#;
    let test = "apiVersion: vend.dev/v1\nkind: TemplateTest\nspec:\n  environment: dev\n  expect: {rendered: golden/}\n";
    let sources = [
        ("mood.yaml.hbs", "mood: {{environment.variables.mood}}\n"),
        ("tests/plain.yaml", test),
        ("tests/golden/mood/mood.yaml", "mood: calm\n"),
    ];
    world.catalog.commit(
        catalog::template("mood", "1.0.0", components, "{}", schema, &sources)
            .into_iter()
            .chain([dev("calm")]),
    );
    world.requests.commit([ask("orders/dev/a", request("mood@1.0.0", "{}"))]);
    world.apply();
    world.again_nothing();

    // The environment changes, and with it what the version renders.
    let clone = Clone::new(&world);
    let put = |edit: Edit| match edit {
        Edit::Write(path, text) => std::fs::write(clone.folder.join(path), text).unwrap(),
        _ => panic!("a file is written"),
    };
    put(dev("bright"));
    clone.ends(1, "test", &["mood"]);
    clone.ends(0, "test", &["mood", "--bless"]);
    clone.ends(0, "test", &["mood"]);
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [""; 0]);
    clone.git(&["commit", "-qam", "Be bright"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    let said = world.apply();
    assert!(!said.contains("CAT010"), "{said}");
    assert_eq!(world.output_file("dev/orders/a/mood/mood.yaml").unwrap(), "mood: bright\n");
    world.again_nothing();
    assert_eq!(about(&clone.ends(0, "check", &CHECK)), [""; 0]);

    // All else stays as it was published.
    put(write("templates/mood/1.0.0/mood.yaml.hbs", "mood: none\n"));
    let edited = "CAT010 error templates/mood/1.0.0/template.yaml";
    assert_eq!(about(&clone.ends(3, "check", &CHECK)), [edited]);
    clone.git(&["commit", "-qam", "Have none"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(said.contains("CAT010"), "{said}");
    assert_eq!(world.output_file("dev/orders/a/mood/mood.yaml").unwrap(), "mood: bright\n");
    world.again_nothing();
}

#[test]
fn a_new_version_of_an_older_line_is_asked_for_what_it_lacks() {
    let world = World::new();
    world.catalog.commit(catalog::note("2.0.0"));
    let clone = Clone::new(&world);
    let lacks = || {
        let said = clone.ends(0, "check", &CHECK);
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        let all = value["diagnostics"].as_array().unwrap().clone();
        let lacking = all.into_iter().filter(|d| d["code"] == "CAT031");
        let files = lacking.map(|d| d["place"]["file"].as_str().unwrap().to_owned());
        files.filter(|file| file.starts_with("templates/note/")).collect::<BTreeSet<_>>()
    };
    let highest = "templates/note/2.0.0/template.yaml";
    assert_eq!(lacks(), set([highest]));
    for edit in catalog::note("1.1.1") {
        let Edit::Write(path, text) = edit else { continue };
        let path = clone.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(lacks(), set([highest, "templates/note/1.1.1/template.yaml"]));
    // Once it has landed it can get none any more.
    clone.git(&["add", "-A"]);
    clone.git(&["commit", "-qm", "note 1.1.1"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    clone.git(&["commit", "-q", "--allow-empty", "-m", "Go on"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(lacks(), set([highest]));
}

/// One round is enough: what is wrong with one part hides nothing that is wrong with another.
#[test]
fn no_mistake_hides_another() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let components = "    - {name: a, provider: files, source: a.yaml.hbs}\n    - {name: b, provider: files, source: b.yaml.hbs}\n    - {name: c, provider: files, source: nowhere.yaml.hbs}\n";
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"box": {"type": "object", "additionalProperties": false, "properties": {"lid": {"type": "string"}}}, "list": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"one": {"type": "string"}}}}, "size": {"type": "integer", "maximum": 9}}}"#;
    let sources = [
        (
            "a.yaml.hbs",
            "a: {{uper parameters.size}}\nb: {{parameters.sise}}\nc: {{parameters.box.lit}}\nd: {{environment.variables.vcpId}}\n",
        ),
        (
            "b.yaml.hbs",
            "mode: 0644\nlist:\n{{#each parameters.list as |item|}}\n- {{item.won}}\n{{/each}}\n",
        ),
    ];
    let outputs = "{path: {from: a.path}, other: {from: z.path}}";
    desk.edit(catalog::template("bad", "1.0.0", components, outputs, schema, &sources));
    desk.edit([write(
        "environments/test.yaml",
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  variables: {vpcId: x}\n  locked: {bad: {size: x}}\n",
    )]);
    let output = desk.ends(3, &["catalog", "check", "--format", "json"]);
    let errors: BTreeSet<String> = output.json()["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["severity"] == "error")
        .map(|d| {
            format!(
                "{} {}:{}",
                d["code"].as_str().unwrap(),
                d["place"]["file"].as_str().unwrap(),
                d["place"]["line"]
            )
        })
        .collect();
    let at = "templates/bad/1.0.0";
    let expected = [
        // The name of the helper, the parameter, the field, the variable.
        format!("TPL008 {at}/a.yaml.hbs:1"),
        format!("TPL014 {at}/a.yaml.hbs:2"),
        format!("TPL014 {at}/a.yaml.hbs:3"),
        format!("TPL014 {at}/a.yaml.hbs:4"),
        // The scalar that is refused whenever it is rendered, and the field of an item.
        format!("TPL009 {at}/b.yaml.hbs:1"),
        format!("TPL014 {at}/b.yaml.hbs:4"),
        // The file and the component that are not there.
        format!("CAT014 {at}/template.yaml:9"),
        format!("CAT016 {at}/template.yaml:10"),
    ];
    assert_eq!(errors, set(expected.iter().map(String::as_str)), "{}", output.stdout);
}
