//! By whose right things are done, and where.

use std::collections::BTreeSet;

use super::{Account, catalog};
use crate::aws::{Answer, Aws, Call, Fault, REGION, Rule};
use crate::world::{ask, drop_request, request};

const ID: &str = "orders/dev/events";

fn role(aws: &Aws, name: &str) -> String {
    format!("arn:aws:iam::{}:role/{name}", aws.account())
}

/// The roles' sessions that made these calls.
fn whose(aws: &Aws, calls: &[Call], actions: &[&str]) -> BTreeSet<String> {
    let of = calls.iter().filter(|call| actions.contains(&call.action.as_str()));
    let keys: BTreeSet<&String> = of.map(|call| &call.account).collect();
    keys.into_iter().map(|key| aws.caller(key)).collect()
}

const WRITES: [&str; 3] = ["CreateStack", "ExecuteChangeSet", "DeleteStack"];

#[test]
fn a_role_is_taken_on_for_the_request_in_the_account_of_the_role() {
    let it = Account::new();
    let there = Aws::new();
    let settings = format!(", role: \"{}\", externalId: acme-7", role(&there, "vend"));
    it.world.catalog.commit([catalog::environment(&there, "dev", &settings, "")]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.world.ready(ID);
    assert_eq!((it.aws.stacks().len(), there.stacks().len()), (0, 1));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.apply();
    it.again_nothing();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(there.stacks().is_empty());

    let calls = it.aws.calls();
    let session = format!("arn:aws:sts::{}:assumed-role/vend/", there.account());
    assert_eq!(
        whose(&it.aws, &calls, &WRITES),
        [format!("{session}vend-orders-dev-events")].into()
    );
    assert_eq!(whose(&it.aws, &calls, &["DescribeStacks"]), {
        [format!("{session}vend"), format!("{session}vend-orders-dev-events")].into()
    });
    for call in calls.iter().filter(|call| call.action == "AssumeRole") {
        let said = (call.get("RoleArn"), call.get("ExternalId"));
        assert_eq!(said, (role(&there, "vend").as_str(), "acme-7"));
    }
}

#[test]
fn previews_are_made_by_the_role_for_previews_and_nothing_else_is() {
    let it = Account::new();
    let settings = format!(
        ", role: \"{}\", previewRole: \"{}\"",
        role(&it.aws, "vend"),
        role(&it.aws, "reader")
    );
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", &settings, "")]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    let before = it.aws.calls().len();
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("MessageRetentionPeriod"), "{plan}");
    let session = |role: &str, name: &str| {
        format!("arn:aws:sts::{}:assumed-role/{role}/{name}", it.aws.account())
    };
    let calls = it.aws.calls();
    let sets = ["CreateChangeSet", "DescribeChangeSet", "DeleteChangeSet"];
    assert_eq!(whose(&it.aws, &calls[before..], &sets), [session("reader", "vend")].into());
    it.apply();
    it.again_nothing();
    let whose = whose(&it.aws, &it.aws.calls(), &WRITES);
    assert_eq!(whose, [session("vend", "vend-orders-dev-events")].into());
}

#[test]
fn what_a_role_for_previews_may_not_delete_stands_in_nobodys_way() {
    let it = Account::new();
    let settings = format!(
        ", role: \"{}\", previewRole: \"{}\"",
        role(&it.aws, "vend"),
        role(&it.aws, "reader")
    );
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", &settings, "")]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    // All but what the page says of that role, and without what it says that deleting takes.
    for action in ["CreateStack", "DeleteStack", "ExecuteChangeSet", "ListChangeSets", "ListStacks"]
    {
        let text = "User: reader is not authorized to perform that";
        it.aws.rule(Rule::on(action, Fault::Refuse(403, "AccessDenied", text)));
    }
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("AWS::SQS::Queue Queue"), "{plan}");
    it.aws.no_rules();
    let left = it.aws.stacks();
    assert!(matches!(&left[..], [(_, status)] if status == "REVIEW_IN_PROGRESS"), "{left:?}");

    let again = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(again.contains("1 to create"), "{again}");
    let before = it.aws.calls().len();
    let said = it.apply();
    assert!(said.contains("1 created"), "{said}");
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&it.stack(ID)), ["create"]);
    let whose = whose(&it.aws, &it.aws.calls()[before..], &["DeleteStack"]);
    let vend = format!("arn:aws:sts::{}:assumed-role/vend/", it.aws.account());
    assert_eq!(whose, [format!("{vend}vend-orders-dev-events")].into());
    it.again_nothing();
}

#[test]
fn who_may_not_list_all_stacks_looks_at_each() {
    let it = Account::new();
    let all = |call: &Call| call.action == "DescribeStacks" && call.get("StackName").is_empty();
    it.aws.rule(Rule::on(
        "DescribeStacks",
        Fault::answer(move |call, answer| {
            if all(call) {
                let text = "User: vend is not authorized to perform: cloudformation:DescribeStacks";
                *answer = Answer::error(403, "AccessDenied", text);
            }
        }),
    ));
    let ids = (0..6).map(|n| format!("orders/dev/queue-{n}"));
    it.world.requests.commit(ids.clone().map(|id| ask(&id, request("queue@1.0.0", "{}"))));
    let said = it.apply();
    assert!(said.contains("6 created") && said.contains("6 ready"), "{said}");
    let asked = it.aws.calls().iter().filter(|call| all(call)).count();
    assert_eq!(asked, 1, "once for a process: {}", it.aws.history());
    it.world.requests.commit(ids.map(|id| drop_request(&id)));
    it.world.vend(&["apply", "--wait"]);
    it.world.approve(&it.world.held("orders/dev/queue-0", "TooManyDeletes"));
    it.apply();
    assert!(it.aws.stacks().is_empty());
    it.again_nothing();
}

#[test]
fn cloudformation_takes_on_the_service_role_for_all_that_it_does() {
    let it = Account::new();
    let service = role(&it.aws, "service");
    let settings = format!(", serviceRole: \"{service}\"");
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", &settings, "")]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.apply();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    it.again_nothing();
    let calls = it.aws.calls();
    for action in ["CreateStack", "CreateChangeSet", "DeleteStack"] {
        let named: Vec<&str> =
            calls.iter().filter(|c| c.action == action).map(|c| c.get("RoleARN")).collect();
        assert!(!named.is_empty() && named.iter().all(|n| *n == service), "{action}: {named:?}");
    }
}

#[test]
fn one_pass_goes_to_two_regions_and_two_accounts() {
    let it = Account::new();
    let there = Aws::new();
    let settings = format!(", role: \"{}\"", role(&there, "vend"));
    it.world.catalog.commit([
        catalog::environment(&it.aws, "south", "", "").and_replace(REGION, "eu-south-1"),
        catalog::environment(&there, "other", &settings, ""),
    ]);
    let ids = [ID, "orders/south/events", "orders/other/events"];
    it.world.requests.commit(ids.map(|id| ask(id, request("queue@1.0.0", "{}"))));
    let said = it.apply();
    assert!(said.contains("3 created, 3 ready"), "{said}");
    let calls = it.aws.calls();
    let made = calls.iter().filter(|call| call.action == "CreateStack");
    let regions: Vec<(&str, &str)> = made
        .map(|call| (call.stack.split('-').nth(2).unwrap_or_default(), call.region.as_str()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(regions, [("dev", REGION), ("other", REGION), ("south", "eu-south-1")]);
    assert_eq!((it.aws.stacks().len(), there.stacks().len()), (1, 1));
    let url = it.world.status(ids[1])["outputs"]["arn"].as_str().unwrap().to_owned();
    assert!(url.contains(":eu-south-1:"), "{url}");
    it.again_nothing();
}

#[test]
fn a_life_where_aws_asks_for_every_right() {
    let it = Account::of(Aws::strict());
    it.world.requests.commit([ask(ID, request("role@1.0.0", "{}"))]);
    it.apply();
    it.world.ready(ID);
    let stack = it.stack(ID);
    it.again_nothing();
    it.world.requests.commit([ask(ID, request("role@1.0.0", "{note: changed}"))]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stacks().is_empty());
    assert_eq!(it.aws.effects(&stack), ["create", "update", "delete"]);
    it.again_nothing();
}

#[test]
fn missing_credentials_are_those_of_an_environment_and_what_was_tried_is_said() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    let mut command = it.world.command(&["apply"]);
    let output = command.env_remove("AWS_ACCESS_KEY_ID").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("no AWS credentials for the environment"), "{said}");
    assert!(said.contains("tried AWS_ACCESS_KEY_ID, the profile in ~/.aws"), "{said}");
    assert!(it.world.held(ID, "NotObserved").contains("set one of them"));
    assert!(it.aws.calls().is_empty(), "{}", it.aws.history());

    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

#[test]
fn settings_that_an_environment_lacks_are_said_with_its_file_and_line() {
    let it = Account::new();
    let text = "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  providers:\n    cloudformation: {account: \"123456789012\"}\n";
    it.world.catalog.commit([crate::world::write("environments/dev.yaml", text)]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.world.vend_ends(3, &["apply"]);
    let sentence = it.world.held(ID, "Invalid");
    assert!(sentence.contains("environments/dev.yaml:6"), "{sentence}");
    assert!(sentence.contains("region"), "{sentence}");
}

#[test]
fn a_yes_to_what_is_not_done_any_more_is_named_where_the_new_effect_is_held() {
    let it = Account::new();
    let named = |name: &str| ask(ID, request("queue@1.0.0", &format!("{{name: {name}}}")));
    it.world.requests.commit([named("first")]);
    it.apply();
    it.world.requests.commit([named("second")]);
    it.apply();
    it.world.approve(&it.world.held(ID, "NeedsApproval"));
    // Before it is used, something else is wanted.
    it.world.requests.commit([named("third")]);
    it.apply();
    let sentence = it.world.held(ID, "NeedsApproval");
    assert!(sentence.contains("approved before was another effect"), "{sentence}");
    assert!(sentence.contains("ada"), "{sentence}");
    let digest = crate::world::to_approve(&sentence);
    let said = it.world.vend_ends(0, &["approve", &vend::digest::sha256(b"x").to_string()]).stdout;
    assert!(said.contains("nothing that is held asks for that digest"), "{said}");

    it.world.vend_ends(0, &["approve", &digest]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

/// Whoever takes that role on is refused.
fn gone(aws: &Aws, name: &'static str) {
    let role = role(aws, name);
    aws.rule(Rule::on(
        "AssumeRole",
        Fault::answer(move |call, answer| {
            if call.get("RoleArn") == role {
                let text = "User: vend is not authorized to perform: sts:AssumeRole";
                *answer = Answer::error(403, "AccessDenied", text);
            }
        }),
    ));
}

#[test]
fn f45_a_role_that_was_replaced_locks_nothing_that_was_made_by_it() {
    let mut it = Account::new();
    let with = |it: &Account, name: &str| {
        let settings = format!(", role: \"{}\"", role(&it.aws, name));
        it.world.catalog.commit([catalog::environment(&it.aws, "dev", &settings, "")]);
    };
    with(&it, "old");
    let ids = [ID, "orders/dev/going"];
    it.world.requests.commit(ids.map(|id| ask(id, request("queue@1.0.0", "{}"))));
    it.apply();

    // Nobody has said yet which role is the next one.
    gone(&it.aws, "old");
    it.world.configure(|c| c["reconcile"] = serde_json::json!({"driftInterval": "1ms"}));
    it.world.vend(&["apply", "--wait"]);
    let sentence = it.world.held(ID, "NotObserved");
    let words = format!("the role `{}` of the environment `dev` cannot be", role(&it.aws, "old"));
    assert!(sentence.contains(&words) && sentence.contains("AccessDenied: User"), "{sentence}");
    assert!(!sentence.contains("Error {"), "{sentence}");

    with(&it, "new");
    it.world
        .requests
        .commit([drop_request(ids[1]), ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.world.configure(|c| c["reconcile"] = serde_json::json!({"driftInterval": "1h"}));
    let before = it.aws.calls().len();
    let said = it.apply();
    assert!(said.contains("1 updated") && said.contains("1 deleted"), "{said}");
    it.world.ready(ID);
    let asked: Vec<Call> = it.aws.calls().drain(before..).collect();
    let asked = asked.iter().filter(|c| c.action == "AssumeRole");
    assert!(asked.into_iter().all(|c| c.get("RoleArn") == role(&it.aws, "new")));
    it.again_nothing();
}

#[test]
fn what_was_begun_by_a_role_that_is_gone_comes_to_its_end() {
    let it = Account::new();
    let with = |name: &str| {
        let settings = format!(", role: \"{}\"", role(&it.aws, name));
        it.world.catalog.commit([catalog::environment(&it.aws, "dev", &settings, "")]);
    };
    with("old");
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    it.world.vend(&["apply"]);
    let stack = it.aws.stacks()[0].0.clone();
    gone(&it.aws, "old");
    with("new");
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

#[test]
fn only_a_version_declares_what_its_stacks_may_do() {
    let it = Account::new();
    let settings = ", capabilities: [CAPABILITY_NAMED_IAM]";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    it.world.requests.commit([ask(ID, request("undeclared@1.0.0", "{}"))]);
    let said = it.world.vend_ends(3, &["apply", "--wait"]).stdout;
    assert!(said.contains("SCH007") && said.contains("environments/dev.yaml:6"), "{said}");
    it.world.held(ID, "Invalid");
    assert!(it.aws.stacks().is_empty());
}

#[test]
fn what_an_environment_tags_is_not_what_a_label_says() {
    let it = Account::new();
    let settings = ", tags: {owner: platform}";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    let text = request("queue@1.0.0", "{}");
    let labels = "kind: Request\nmetadata:\n  labels:\n    owner: me\n    service: shop\n";
    it.world.requests.commit([ask(ID, text.replace("kind: Request\n", labels))]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("PRV002") && plan.contains("events.yaml:5"), "{plan}");
    it.apply();
    let stack = it.stack(ID);
    assert_eq!(it.aws.tag(&stack, "owner").as_deref(), Some("platform"));
    assert_eq!(it.aws.tag(&stack, "service").as_deref(), Some("shop"));
    it.again_nothing();

    let wrong = labels.replace("service: shop", "service: \"5 €?\"");
    let text = request("queue@1.0.0", "{}").replace("kind: Request\n", &wrong);
    it.world.requests.commit([ask(ID, text)]);
    it.world.vend_ends(3, &["plan"]);
    it.world.vend_ends(3, &["apply"]);
    let sentence = it.world.held(ID, "Invalid");
    assert!(sentence.contains("PRV001") && sentence.contains("events.yaml:6"), "{sentence}");
}

/// The calls that the provider's sources make, by the service's own names.
fn calls_made() -> BTreeSet<String> {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider/cloudformation");
    let mut calls = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let text: String = text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect();
        for (before, service) in
            [("client.", "cloudformation"), ("sts.", "sts"), ("from_conf(config).", "s3")]
        {
            for rest in text.split(before).skip(1) {
                let name: String =
                    rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if !rest[name.len()..].starts_with("()") {
                    continue;
                }
                let words =
                    name.split('_').map(|w| format!("{}{}", w[..1].to_uppercase(), &w[1..]));
                calls.insert(format!("{service}:{}", words.collect::<String>()));
            }
        }
    }
    calls
}

#[test]
fn every_call_that_is_made_is_among_the_rights_that_the_page_lists() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cloudformation.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rights) = page.split_once("## What the role needs").unwrap();
    let list = rights.trim().split("\n\n").next().unwrap();
    let calls = calls_made();
    for call in ["cloudformation:CreateStack", "sts:GetCallerIdentity", "s3:PutObject"] {
        assert!(calls.contains(call), "the sources are read: {calls:?}");
    }
    let is_listed = |call: &&String| {
        let (service, name) = call.split_once(':').unwrap();
        let names = [format!("`{name}`"), format!("`{service}:{name}`")];
        names.iter().any(|name| list.contains(name))
    };
    let missing: Vec<&String> = calls.iter().filter(|call| !is_listed(call)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}
