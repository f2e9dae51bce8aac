//! A slow stack, watched while it is made.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Aws, REGION, stack};
use crate::world::{World, ask, catalog, request, write};

const ID: &str = "orders/dev/slow";

/// Requests of `slow@1.0.0` become stacks that wait for a signal.
fn world(aws: &Aws) -> World {
    let mut world = World::empty();
    let environment = format!(
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  providers:\n    cloudformation: {{region: {REGION}}}\n"
    );
    let kind =
        "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\nspec: {format: 1}\n";
    let mut files = vec![write("catalog.yaml", kind), write("environments/dev.yaml", environment)];
    files.extend(catalog::template(
        "slow",
        "1.0.0",
        "    - {name: stack, provider: cloudformation, source: stack.yaml.hbs}\n",
        "{}",
        r#"{"type": "object", "additionalProperties": false}"#,
        &[("stack.yaml.hbs", &vend::yaml::write_json(&stack::slow(60)))],
    ));
    world.catalog.commit(files);
    world.configure(|c| c["providers"]["cloudformation"] = json!({"endpoint": aws.endpoint()}));
    world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    world
}

fn vend(world: &World, aws: &Aws, args: &[&str]) -> Command {
    let mut command = world.command(args);
    command.envs(aws.environment());
    command
}

#[test]
fn a_slow_stack_is_seen_resource_by_resource_while_it_is_made() {
    let aws = Aws::new();
    let world = world(&aws);
    let apply = |args: &[&str]| {
        let output = vend(&world, &aws, args).output().unwrap();
        assert!(output.status.success(), "{output:?}\n{}", aws.history());
    };
    apply(&["apply"]);
    let (name, _) = aws.stacks().pop().unwrap();
    let mut child =
        vend(&world, &aws, &["logs", ID, "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut says = |words: &[&str]| {
        let mut seen = Vec::new();
        let all = |line: &String| words.iter().all(|word| line.contains(word));
        let found = lines.by_ref().inspect(|line| seen.push(line.clone())).any(|line| all(&line));
        assert!(found, "never said {words:?}: {seen:#?}");
    };
    aws.eventually("a pass hears of it", || {
        apply(&["apply"]);
        let output = vend(&world, &aws, &["logs", ID]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("Wait (").then_some(())
    });
    says(&["CREATE_IN_PROGRESS", "stack/Wait (AWS::CloudFormation::WaitCondition)"]);
    let status = vend(&world, &aws, &["status", ID, "--format", "json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let resources = status["applying"][0]["resources"].as_array().unwrap();
    let wait = resources.iter().find(|r| r["what"] == "Wait").unwrap();
    assert_eq!(wait["state"], "CREATE_IN_PROGRESS", "{status:#}");

    aws.signal(&name, "Handle", "SUCCESS");
    apply(&["apply", "--wait"]);
    says(&["CREATE_COMPLETE", "stack/Wait "]);
    says(&["Created"]);
    child.kill().unwrap();
    child.wait().unwrap();
    aws.assert_sound();
}
