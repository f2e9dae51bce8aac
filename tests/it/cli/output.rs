//! Exit codes and formats of every subcommand.

use std::process::Stdio;

use serde_json::Value;

use super::{Laptop, run};
use crate::world::{World, ask, drop_request, note, path_of, write};

#[test]
fn exit_codes() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello"))]);
    // 2: the command line or the surroundings.
    for args in [
        &["frobnicate"][..],
        &["plan", "--frobnicate"],
        &["--config", "/nowhere/vend.yaml", "plan"],
        &["--config", "/nowhere/vend.yaml", "validate"],
        &["explain", "not-an-id"],
        &["render", "../x/y/z"],
        &["approve", "this"],
        &["retry", "that"],
    ] {
        let said = world.vend_ends(2, args);
        assert!(said.stderr.contains("error"), "{args:?}: {said:?}");
        assert!(!said.stderr.contains("panicked"), "{said:?}");
    }
    // 0 and 4.
    world.vend_ends(0, &["--help"]);
    world.vend_ends(0, &["--version"]);
    world.vend_ends(0, &["completions", "bash"]);
    world.vend_ends(0, &["schema"]);
    world.vend_ends(0, &["plan"]);
    world.vend_ends(4, &["plan", "--exit-code"]);
    // 1: asked for and not there.
    world.vend_ends(1, &["explain", "orders/dev/none"]);
    world.vend_ends(1, &["status", "orders/dev/none"]);
    world.vend_ends(0, &["apply"]);
    world.vend_ends(0, &["apply", "--exit-code"]);
    world.vend_ends(0, &["plan", "--exit-code"]);
    for args in [&["status"][..], &["status", "orders"], &["explain", "orders/dev/a"]] {
        world.vend_ends(0, args);
    }
    // 0 with a line for what is held, 4 on demand; 3 beats it.
    world.requests.commit([ask("orders/prod/p", note("x"))]);
    world.apply();
    world.requests.commit([drop_request("orders/prod/p")]);
    world.vend_ends(0, &["apply"]);
    world.vend_ends(4, &["apply", "--exit-code"]);
    world.requests.commit([ask("orders/dev/bad", "rubbish")]);
    world.vend_ends(3, &["apply", "--exit-code"]);
    world.vend_ends(3, &["plan", "--exit-code"]);
}

#[test]
fn every_command_gives_one_json_document() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello")), ask("orders/dev/bad", "rubbish")]);
    let keys = |value: &Value| {
        let object = value.as_object().unwrap_or_else(|| panic!("{value}"));
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let mut lines = Vec::new();
    let mut note_keys = |world: &World, code: i32, args: &[&str]| {
        let args = [args, &["--format", "json"]].concat();
        let value = world.vend_ends(code, &args).json();
        lines.push(format!("{}: {}", args[0], keys(&value)));
    };
    note_keys(&world, 3, &["plan"]);
    note_keys(&world, 3, &["apply"]);
    note_keys(&world, 0, &["status"]);
    note_keys(&world, 0, &["explain", "orders/dev/a"]);
    note_keys(&world, 1, &["explain", "orders/dev/none"]);
    note_keys(&world, 2, &["approve", "nothing"]);
    let laptop = Laptop::new(&world);
    for (code, args) in [
        (3, &["validate"][..]),
        (0, &["render", "orders/dev/a"]),
        (3, &["render", "orders/dev/bad"]),
        (0, &["plan"]),
        (0, &["status"]),
        (0, &["explain", "orders/dev/bad"]),
    ] {
        let args = [args, &["--format", "json"]].concat();
        let value = laptop.ends(code, &args).json();
        lines.push(format!("laptop {}: {}", args[0], keys(&value)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    plan: diagnostics digest drifts ends forget holds refresh remarks sources steps summary unchanged
    apply: counts diagnostics done due evaluated holds publishError published quiet sources summary underWay unremoved
    status: attention counts problems requests
    explain: approvals desired events holds retries status underWay
    explain: diagnostics error exitCode hints
    approve: diagnostics error exitCode hints
    laptop validate: against diagnostics errors notes requests summary templates version waiting
    laptop render: note/note.yaml
    laptop render: diagnostics summary version
    laptop plan: diagnostics digest drifts ends forget holds refresh remarks sources steps summary unchanged
    laptop status: attention counts problems requests
    laptop explain: approvals desired events holds retries status underWay
    ");
}

#[test]
fn sarif_and_github_say_where() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    laptop.write(&path_of("orders/dev/bad"), note("x").replace("text", "txet"));
    let sarif = laptop.ends(3, &["validate", "--format", "sarif"]).json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "vend");
    let rules: Vec<&Value> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().collect();
    for result in run["results"].as_array().unwrap() {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "requests/orders/dev/bad.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    let github = laptop.ends(3, &["validate", "--format", "github"]).stdout;
    assert!(github.starts_with("::error file=requests/orders/dev/bad.yaml,line="), "{github}");
    assert!(github.lines().all(|line| line.starts_with("::")), "{github}");
    // Only validate writes those.
    laptop.ends(2, &["plan", "--format", "sarif"]);
    laptop.ends(2, &["status", "--format", "github"]);
}

#[test]
fn quiet_and_a_reader_that_goes_away() {
    let world = World::new();
    let edits = (0..60).map(|n| ask(&format!("orders/dev/n{n}"), note("hello")));
    world.requests.commit(edits);
    let said = world.vend_ends(0, &["apply", "--quiet"]);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    for args in [&["status"][..], &["status", "--format", "json"], &["schema"]] {
        let mut child =
            world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!said.contains("panicked") && ended.status.code() == Some(0), "{args:?}: {said}");
    }
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello")), write("requests/README.md", "x")]);
    world.apply();
    let is_coloured = |text: &str| text.contains('\u{1b}');
    assert!(!is_coloured(&world.vend_ends(0, &["status"]).stdout));
    let on_a_terminal = |variable: Option<(&str, &str)>| {
        let plain = world.command(&["status"]);
        let line = format!("{} status", plain.get_program().to_str().unwrap());
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(world.root()).env_clear();
        command.envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.envs(variable);
        run(command).stdout
    };
    if std::process::Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` here to make a terminal with");
        return;
    }
    let shown = on_a_terminal(None);
    assert!(shown.contains("orders/dev/a") && is_coloured(&shown), "{shown:?}");
    let shown = on_a_terminal(Some(("NO_COLOR", "1")));
    assert!(shown.contains("orders/dev/a") && !is_coloured(&shown), "{shown:?}");
}
