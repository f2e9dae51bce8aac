//! What the published schemas foretell, held against what change sets of a real CloudFormation say.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::Account;
use crate::cli::Laptop;
use crate::world::catalog::template;
use crate::world::{Edit, ask, path_of, request};

const ID: &str = "orders/dev/events";

/// Templates, each with the one that it is changed to.
fn cases() -> Vec<(&'static str, Value, Value)> {
    let queue = |properties: Value| json!({"Type": "AWS::SQS::Queue", "Properties": properties});
    let topic = json!({"Type": "AWS::SNS::Topic", "Properties": {}});
    let stored = |name: &str, value: Value| json!({"Type": "AWS::SSM::Parameter", "Properties": {"Name": name, "Type": "String", "Value": value}});
    let case = |name, before: Value, after: Value| {
        (name, json!({"Resources": before}), json!({"Resources": after}))
    };
    let named = |name: &str| {
        let parameter = json!({"Type": "String", "Default": name});
        json!({
            "Parameters": {"Name": parameter},
            "Resources": {"Queue": queue(json!({"QueueName": {"Ref": "Name"}}))},
        })
    };
    vec![
        case(
            "in-place",
            json!({"Queue": queue(json!({"DelaySeconds": 1}))}),
            json!({"Queue": queue(json!({"DelaySeconds": 2}))}),
        ),
        case(
            "renamed",
            json!({"Queue": queue(json!({"QueueName": "r-a"}))}),
            json!({"Queue": queue(json!({"QueueName": "r-b"}))}),
        ),
        case(
            "added",
            json!({"Queue": queue(json!({}))}),
            json!({"Queue": queue(json!({})), "Topic": topic}),
        ),
        case(
            "removed",
            json!({"Queue": queue(json!({})), "Topic": topic}),
            json!({"Queue": queue(json!({}))}),
        ),
        case(
            "retained",
            json!({"Queue": queue(json!({})), "Topic": {"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain"}}),
            json!({"Queue": queue(json!({}))}),
        ),
        case(
            "referred",
            json!({"Queue": queue(json!({"QueueName": "f-a"})), "Reads": stored("f", json!({"Ref": "Queue"}))}),
            json!({"Queue": queue(json!({"QueueName": "f-b"})), "Reads": stored("f", json!({"Ref": "Queue"}))}),
        ),
        case(
            "attribute",
            json!({"Queue": queue(json!({"DelaySeconds": 1})), "Reads": stored("t", json!({"Fn::GetAtt": ["Queue", "Arn"]}))}),
            json!({"Queue": queue(json!({"DelaySeconds": 2})), "Reads": stored("t", json!({"Fn::GetAtt": ["Queue", "Arn"]}))}),
        ),
        case(
            "chain",
            json!({
                "Queue": queue(json!({"QueueName": "c-a"})),
                "Follows": queue(json!({"QueueName": {"Fn::Sub": "c-x-${Queue.QueueName}"}})),
            }),
            json!({
                "Queue": queue(json!({"QueueName": "c-b"})),
                "Follows": queue(json!({"QueueName": {"Fn::Sub": "c-x-${Queue.QueueName}"}})),
            }),
        ),
        case(
            "policy",
            json!({"Queue": queue(json!({}))}),
            json!({"Queue": {"Type": "AWS::SQS::Queue", "Properties": {}, "DeletionPolicy": "Retain"}}),
        ),
        ("parameter", named("a"), named("b")),
    ]
}

fn files() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {}}"#;
    let components = "    - {name: stack, provider: cloudformation, source: stack.json.hbs}\n";
    let both = |(name, before, after): (&str, Value, Value)| {
        let version = |version: &str, text: &Value| {
            let text = text.to_string();
            template(name, version, components, "{}", schema, &[("stack.json.hbs", &text)])
        };
        [version("1.0.0", &before), version("2.0.0", &after)].concat()
    };
    cases().into_iter().flat_map(both).collect()
}

fn step(plan: &Value, name: &str) -> Value {
    let id = format!("orders/dev/{name}");
    let mut steps = plan["steps"].as_array().unwrap().iter();
    steps.find(|s| s["request"] == *id).unwrap_or_else(|| panic!("{name}: {plan:#}")).clone()
}

/// What becomes of each resource, and the properties that make one anew.
fn told(step: &Value) -> BTreeMap<String, (String, String)> {
    let resources = step["preview"]["resources"].as_array().cloned();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |resource: &Value| {
        let anew = |p: &&Value| p["recreates"] != "never";
        let properties = resource["properties"].as_array().cloned().unwrap_or_default();
        let mut paths: Vec<String> =
            properties.iter().filter(anew).map(|p| text(&p["path"])).collect();
        paths.dedup();
        (text(&resource["name"]), (text(&resource["action"]), paths.join(", ")))
    };
    resources.unwrap_or_else(|| panic!("{step:#}")).iter().map(told).collect()
}

#[test]
fn the_schemas_foretell_what_change_sets_say() {
    let mut it = Account::new();
    // Else what is lost is held, and is no step.
    it.world.configure(|config| config["reconcile"] = json!({"replacements": "apply"}));
    it.world.catalog.commit(files());
    let all = |version: &str| {
        let one = |(name, _, _): (&str, Value, Value)| {
            ask(&format!("orders/dev/{name}"), request(&format!("{name}@{version}"), "{}"))
        };
        cases().into_iter().map(one).collect::<Vec<_>>()
    };
    it.world.requests.commit(all("1.0.0"));
    it.apply();

    it.world.requests.commit(all("2.0.0"));
    let plan = |args: &[&str]| {
        let args = [&["plan", "--format", "json"], args].concat();
        it.world.vend_ends(0, &args).json()
    };
    let foretold = it.aws.only_looks(|| plan(&[]));
    let observed = plan(&["--preview"]);
    for (name, ..) in cases() {
        let (foretold, observed) = (step(&foretold, name), step(&observed, name));
        assert_eq!(foretold["preview"]["foretold"], true, "{name}: {foretold:#}");
        assert!(observed["preview"].get("foretold").is_none(), "{name}: {observed:#}");
        assert_eq!(told(&foretold), told(&observed), "{name}");
        assert_eq!(foretold["from"], observed["from"], "{name}");
    }
    // What was foretold is no part of what is approved.
    let step = step(&foretold, "renamed");
    let [bare, seen] = ["in-place", "renamed"].map(|name| self::step(&observed, name));
    assert_eq!(self::step(&foretold, "in-place")["digest"], bare["digest"]);
    assert_ne!(step["digest"], seen["digest"], "an observed replacement is");

    it.world.requests.commit(all("1.0.0"));
    it.apply();
    it.again_nothing();
}

#[test]
fn a_working_copy_shows_a_replacement_before_anybody_is_asked() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{name: first}"))]);
    it.apply();
    let laptop = Laptop::new(&it.world);
    it.apply();
    laptop.write(&path_of(ID), request("queue@1.0.0", "{name: second}"));
    let calls = it.aws.calls().len();
    let plan = laptop.ends(0, &["plan"]).stdout;
    assert!(plan.contains("by the published schemas alone, nobody was asked:"), "{plan}");
    assert!(plan.contains("REPLACE AWS::SQS::Queue Queue (QueueName)"), "{plan}");
    assert!(plan.contains("QueueName: first -> second (makes it anew)"), "{plan}");
    assert_eq!(it.aws.calls().len(), calls, "{}", it.aws.history());
    laptop.write(&path_of(ID), request("queue@1.0.0", "{name: first}"));
    let nothing = laptop.ends(0, &["plan", "--exit-code"]).stdout;
    assert!(nothing.contains("0 to replace"), "{nothing}");
    it.again_nothing();
}

#[test]
fn the_table_is_what_the_linters_schemas_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let printed = Command::new("python3")
        .arg(root.join("scripts/cloudformation-schemas"))
        .arg("--print")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{said}");
    let kept =
        std::fs::read(root.join("src/provider/cloudformation/foretell/schemas.json")).unwrap();
    assert!(kept == printed.stdout, "run scripts/cloudformation-schemas, and read what differs");
}

#[test]
fn a_catalogs_change_counts_what_it_replaces_and_may_be_previewed() {
    let it = Account::new();
    let ids = ["orders/dev/a", "orders/dev/b", "orders/prod/c"];
    let ask_for = |id: &&str| {
        let name = id.replace('/', "-");
        ask(id, request("queue@1.0.0", &format!("{{name: {name}}}")))
    };
    it.world.requests.commit(ids.iter().map(ask_for).collect::<Vec<_>>());
    it.apply();
    let clone = Laptop::catalog(&it.world);
    let source = "templates/queue/1.0.0/stack.yaml.hbs";
    let text = std::fs::read_to_string(clone.clone.join(source)).unwrap();
    let text = text.replace("{{parameters.name}}", "{{parameters.name}}-2");
    clone.write(source, text.replace("QueueName:", "DelaySeconds: 1\n      QueueName:"));
    let config = it.world.config_file();
    let args = ["catalog", "diff", "--config", config.to_str().unwrap()];
    let told = it.aws.only_looks(|| clone.ends(0, &args).stdout);
    let top = "3 resources are replaced; 3 of 3 requests";
    assert!(told.starts_with(top), "{told}");
    assert!(told.contains("REPLACES: 3 requests\n  orders: dev 2, prod 1\n  3 alike"), "{told}");
    assert!(told.contains("by the published schemas alone"), "{told}");

    let preview = [&args[..], &["--preview", "--format", "json"]].concat();
    let asked = clone.ends(0, &preview).json();
    let first = &asked["groups"][0]["requests"][0]["steps"][0]["preview"];
    assert!(first.get("foretold").is_none(), "{asked:#}");
    assert_eq!(asked["losses"]["replaced"], 3);
    assert!(it.aws.count("CreateChangeSet") == 3 && it.aws.count("DeleteChangeSet") == 3);
    it.again_nothing();
}
