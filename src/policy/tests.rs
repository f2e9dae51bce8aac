//! Rules over facts, and expressions that mean harm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::compile::{Compiled, Scope, compile};
use super::eval::{Outcome, evaluate};
use super::*;
use crate::model::{Artifact, Place, Slot, Symbol};

fn scope() -> Scope {
    let names = ["retentionDays", "fifo", "name", "vpcId", "list"].map(str::to_owned);
    Scope { parameters: Some(Arc::new(names.into())) }
}

fn compiled(text: &str) -> Compiled {
    match compile(text, &scope()) {
        Ok(compiled) => compiled,
        Err(mistakes) => panic!("{text}: {}", mistakes[0].message),
    }
}

fn mistakes(text: &str) -> String {
    match compile(text, &scope()) {
        Ok(_) => "no mistake".into(),
        Err(found) => {
            let line = |m: &Mistake| {
                let help = m.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
                format!("{}: {}{help}", m.at, m.message)
            };
            found.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

fn fact(name: &str) -> Value {
    match name {
        "request" => Value::json(&json!({
            "id": "orders/prod/events", "team": "orders", "environment": "prod", "name": "events",
            "labels": {"service": "orders"}, "protect": true, "reason": null, "adopt": false,
        })),
        "parameters" => Value::map([
            ("retentionDays", Value::Int(14)),
            ("fifo", Value::Bool(false)),
            ("name", Value::Null),
            ("list", Value::json(&json!(["a", "b"]))),
            ("vpcId", Value::Unknown("platform/prod/network#vpc.VpcId".into())),
        ]),
        "environment" => {
            Value::json(&json!({"name": "prod", "variables": {"tier": 1}, "protect": true}))
        }
        "template" => Value::json(&json!({"name": "q", "version": "1.0.0", "lifecycle": "stable"})),
        _ => Value::json(&json!({
            "creates": 1, "updates": 0, "replaces": 0, "deletes": 0, "adopts": 0, "iam": true,
            "resources": [
                {"component": "q", "logicalId": "Queue", "type": "AWS::SQS::Queue", "action": "create", "replacement": false},
                {"component": "q", "logicalId": "Role", "type": "AWS::IAM::Role", "action": "create", "replacement": false},
            ],
        })),
    }
}

fn outcome(text: &str) -> Outcome {
    evaluate(&compiled(text), &fact)
}

#[test]
fn expressions_say_what_cel_says() {
    for yes in [
        "true",
        "parameters.retentionDays > 7 && environment.name == 'prod'",
        "parameters.retentionDays > 7.5",
        "parameters.retentionDays == 14.0",
        "!parameters.fifo",
        "has(parameters.retentionDays) && !has(parameters.name) && !has(request.reason)",
        "request.labels.service == 'orders' && 'service' in request.labels",
        "!('tier' in request.labels) && environment.variables.tier == 1",
        "plan.resources.exists(r, r.type.startsWith('AWS::IAM::'))",
        "plan.resources.exists_one(r, r.type == 'AWS::IAM::Role')",
        "!plan.resources.all(r, r.action != 'create')",
        "plan.resources.filter(r, r.type == 'AWS::SQS::Queue').size() == 1",
        "plan.resources.map(r, r.logicalId) == ['Queue', 'Role']",
        "size(parameters.list) == 2 && parameters.list[1] == 'b'",
        "request.name.matches('^ev') && request.name.endsWith('ts') && request.name.contains('en')",
        "request.team in ['orders', 'payments']",
        "(template.lifecycle == 'stable' ? 1 : 2) == 1",
        "int('7') + 1 == 8 && string(3) == '3' && double(1) / 2.0 == 0.5",
        "{'prod': 30, 'dev': 7}[environment.name] == 30",
        "-parameters.retentionDays < 0 && 7 / 2 == 3 && 7 % 2 == 1",
        "[[1, 2], [3]].map(x, x.size()) == [2, 1]",
        "'é'.size() == 1 && 'a' < 'b'",
    ] {
        assert_eq!(outcome(yes), Outcome::Yes, "{yes}");
    }
    assert_eq!(outcome("parameters.fifo"), Outcome::No);
}

#[test]
fn what_is_not_known_is_neither_true_nor_false() {
    let waits = Outcome::Unknown("platform/prod/network#vpc.VpcId".into());
    for text in [
        "parameters.vpcId == 'vpc-1'",
        "parameters.vpcId != 'vpc-1'",
        "has(parameters.vpcId)",
        "!(parameters.vpcId.startsWith('vpc-'))",
        "parameters.vpcId in ['a', 'b']",
        "'x' in [parameters.vpcId]",
        "size(parameters.vpcId) > 3",
        "parameters.vpcId == 'a' && environment.name == 'prod'",
        "environment.name == 'dev' || parameters.vpcId == 'a'",
        "parameters.vpcId == 'a' ? true : false",
        "['a'].exists(x, x == parameters.vpcId)",
        "['a'].all(x, x == parameters.vpcId)",
        "[parameters.vpcId] == ['a']",
    ] {
        assert_eq!(outcome(text), waits, "{text}");
    }
    // What decides by itself decides, on whichever side it stands.
    for (text, decided) in [
        ("environment.name == 'dev' && parameters.vpcId == 'a'", Outcome::No),
        ("parameters.vpcId == 'a' && environment.name == 'dev'", Outcome::No),
        ("parameters.vpcId == 'a' || environment.name == 'prod'", Outcome::Yes),
        ("['a', 'b'].exists(x, x == parameters.vpcId || x == 'b')", Outcome::Yes),
        ("[parameters.vpcId, 'a'] == ['b', 'b']", Outcome::No),
        ("'a' in [parameters.vpcId, 'a']", Outcome::Yes),
    ] {
        assert_eq!(outcome(text), decided, "{text}");
    }
}

#[test]
fn what_cannot_be_told_fails_with_a_reason_and_no_values() {
    let why = |text: &str| match outcome(text) {
        Outcome::Failed(why) => why,
        other => panic!("{text}: {other:?}"),
    };
    insta::assert_snapshot!(why("parameters.name > 3"), @"something that it compares has no value; ask with `has(…)` first");
    insta::assert_snapshot!(why("request.labels.tier == 'x'"), @"`request.labels` has no `tier`; ask with `has(…)` first");
    insta::assert_snapshot!(why("parameters.retentionDays.x == 1"), @"`parameters.retentionDays` is a number, and has no `x`");
    insta::assert_snapshot!(why("parameters.retentionDays / 0 == 1"), @"it divides by zero");
    insta::assert_snapshot!(why("parameters.retentionDays * 9223372036854775807 > 1"), @"a number is out of range");
    insta::assert_snapshot!(why("parameters.retentionDays"), @"it gives a number, not true or false");
    insta::assert_snapshot!(why("parameters.list[2] == 'x'"), @"a list has no item at that number");
    // An item that decides makes up for one that fails.
    assert_eq!(outcome("[0, 1].exists(x, 1 / x == 1)"), Outcome::Yes);
    assert_eq!(outcome("[0, 1].all(x, 1 / x == 2)"), Outcome::No);
    assert_eq!(outcome("1 / 0 == 1 || environment.name == 'prod'"), Outcome::Yes);
    assert!(matches!(outcome("[0, 1].all(x, 1 / x == 1)"), Outcome::Failed(_)));
}

#[test]
fn mistakes_show_before_any_request_is_there() {
    insta::assert_snapshot!(mistakes("parameters.retentionDay > 7"), @"10: the template has no parameter `retentionDay` (did you mean `retentionDays`?)");
    insta::assert_snapshot!(mistakes("parameter.fifo"), @"0: nothing is called `parameter` (did you mean `parameters`?)");
    insta::assert_snapshot!(mistakes("plan.replace > 0"), @"4: `plan` has no field `replace` (did you mean `replaces`?)");
    insta::assert_snapshot!(mistakes("plan.resources.exists(r, r.typ == 'x')"), @"26: there is no field `typ` (did you mean `type`?)");
    insta::assert_snapshot!(mistakes("plan.creates"), @"4: it gives a number, and a rule is true or false (compare it with something)");
    insta::assert_snapshot!(mistakes("plan.creates == 'one'"), @"13: a number never equals a string");
    insta::assert_snapshot!(mistakes("request.team in ['a', 'b'] && request.team in [1]"), @"no mistake");
    insta::assert_snapshot!(mistakes("request.adopt in ['yes']"), @"14: a boolean is never in a list of strings");
    insta::assert_snapshot!(mistakes("parameters.fifo &&"), @"18: it is not a CEL expression: mismatched input '<EOF>'");
    insta::assert_snapshot!(mistakes("upper(request.name) == 'A'"), @"5: there is no function `upper` (there are size, contains, startsWith, endsWith, matches, int, double, string, has, all, exists, filter, map)");
    insta::assert_snapshot!(mistakes("request.name.startWith('a')"), @"22: there is no function `startWith` (did you mean `startsWith`?)");
    insta::assert_snapshot!(mistakes("request.name.matches('(?=a)b')"), @"20: the pattern cannot be read (look-around and back references are not known)");
    insta::assert_snapshot!(mistakes("request.name.matches(request.team)"), @"20: the pattern of `matches` is not written out");
    insta::assert_snapshot!(mistakes("size(request.name) == 3u"), @"22: unsigned numbers are not known here (write `3`)");
    insta::assert_snapshot!(mistakes("request.nam == 'x' || plan.x == 1"), @"
    7: `request` has no field `nam` (did you mean `name`?)
    26: `plan` has no field `x` (there are creates, updates, replaces, deletes, adopts, iam, resources)
    ");
    insta::assert_snapshot!(mistakes(" "), @"0: it is empty");
    let anywhere = compile("parameters.whatever == 1", &Scope { parameters: None });
    assert!(anywhere.is_ok(), "an environment's rules meet every template");
}

/// An expression that means harm is refused, or ends in a failure, and soon.
fn harmless(text: &str) {
    let begun = Instant::now();
    if let Ok(compiled) = compile(text, &scope()) {
        let _ = evaluate(&compiled, &fact);
    }
    // Generous: builds without optimisation on a busy machine. Without bounds these take for ever.
    let shown = &text[..text.len().min(60)];
    assert!(begun.elapsed() < Duration::from_secs(20), "{shown} took {:?}", begun.elapsed());
}

#[test]
fn hostile_expressions_neither_crash_nor_hang_nor_fill_the_memory() {
    let items = (0..400).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let nested = format!(
        "[{items}].all(a, [{items}].all(b, a + b >= 0 && [1,2,3,4,5,6,7,8,9].all(c, c > 0)))"
    );
    assert!(matches!(outcome(&nested), Outcome::Failed(why) if why.contains("steps")), "nested");
    let doubled =
        format!("['{}'].{}.size() == 1", "a".repeat(64), vec!["map(x, x + x)"; 40].join("."));
    assert!(matches!(outcome(&doubled), Outcome::Failed(why) if why.contains("steps")), "doubled");
    let grown = format!("[[1,2,3]].{}.size() == 1", vec!["map(x, x + x)"; 40].join("."));
    assert!(matches!(outcome(&grown), Outcome::Failed(why) if why.contains("steps")), "lists");
    for text in [
        "(".repeat(3_000),
        format!("{}true{}", "(".repeat(1_500), ")".repeat(1_500)),
        format!("{}true{}", "(".repeat(6), ")".repeat(6)),
        format!("{}1{} == [1]", "[".repeat(6), "]".repeat(6)),
        format!("{}1{} == {{}}", "{'a':".repeat(6), "}".repeat(6)),
        format!("{}true", "!".repeat(3_500)),
        format!("{}1 == 1", "-".repeat(3_500)),
        format!("{}true", "true ? true : ".repeat(8)),
        format!("{}true", "true ? true : ".repeat(250)),
        format!("true{}", " && true".repeat(480)),
        format!("1{} > 0", " + 1".repeat(900)),
        format!("request{}", ".a".repeat(1_900)),
        format!("request.name{}", "[0]".repeat(1_200)),
        format!("{}1{} == 1", "int(".repeat(6), ")".repeat(6)),
        format!("[1]{}.size() == 1", ".map(x, x)".repeat(350)),
        format!("{}true{}", "[1].all(a, ".repeat(6), ")".repeat(6)),
        format!("request.name.matches('{}')", "(a{1,99}){1,99}".repeat(200)),
        format!("request.name.matches('{}a{}')", "(".repeat(23), ")".repeat(23)),
        "'a'.matches('(((((a{1,100}){1,100}){1,100}){1,100}){1,100})')".to_owned(),
        format!("'{}' == ''", "x".repeat(3_900)),
        format!("'{}", "x".repeat(3_900)),
        "\u{202e}\u{0}\u{feff}".to_owned(),
        "a".repeat(4_001),
        "'\\".to_owned(),
        "b'\\xff' == b''".to_owned(),
        "1".repeat(3_000),
        "1e999999 > 0.0".to_owned(),
        "-9223372036854775808 / -1 == 1".to_owned(),
        "int(1e300) == 1 || int(0.0 / 0.0) == 1".to_owned(),
        "@result".to_owned(),
        "has(request)".to_owned(),
        "[1].all(1, true)".to_owned(),
        "[1].all(request, request > 0)".to_owned(),
        "google.protobuf.Int32Value{value: 1} == 1".to_owned(),
    ] {
        harmless(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    /// Whatever stands there, it ends: with a mistake, or with an outcome.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 .,:?!&|()\\[\\]{}'\"+*/%<=>@\\\\-]{0,60}") {
        harmless(&text);
    }

    /// The same of what is nearly an expression.
    #[test]
    fn any_sequence_of_words_is_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "parameters", ".", "fifo", "(", ")", "[", "]", "&&", "||", "==", "1", "'a'", "?",
                ":", "!", "-", "has", "size", "all", ",", "x", "in", "plan", "resources", "{", "}",
            ]),
            0..16,
        ),
    ) {
        harmless(&words.concat());
        harmless(&words.join(" "));
    }
}

#[test]
fn facts_keep_apart_what_an_apply_will_tell() {
    let symbol = Symbol {
        request: crate::model::RequestId::parse("platform/prod/network").unwrap(),
        component: None,
        output: "vpcId".into(),
    };
    let slots = [
        ("a".to_owned(), Slot::Known(json!({"b": [1, 1.5, null]}))),
        ("c".to_owned(), Slot::Unknown(symbol.clone())),
    ];
    let (parameters, waits) = Facts::parameters(slots.iter().map(|(n, s)| (n, s)));
    let nothing = Value::Null;
    let facts = Facts {
        request: nothing.clone(),
        parameters,
        environment: nothing.clone(),
        template: nothing,
        waits,
    };
    let deny = |text: &str| DenyRule {
        deny: compile(text, &Scope { parameters: None }).unwrap(),
        text: text.to_owned(),
        message: "no".into(),
        place: Place::file("template.yaml"),
    };
    let rules = Rules {
        deny: vec![
            deny("parameters.c == 'x'"),
            deny("parameters.a.b[1] == 1.5"),
            deny("plan.deletes > 0"),
            deny("parameters.d == 1"),
        ],
        approvals: Vec::new(),
    };
    let found = judge([&rules], &facts, None);
    let [
        Finding::Undecided { what, .. },
        Finding::Denied { parameters, .. },
        Finding::Broken { .. },
    ] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(facts.waits_for(what), Some(&symbol));
    assert_eq!(parameters, &["a"]);
}

fn stack(template: &serde_json::Value) -> Artifact {
    Artifact { files: [("stack.json".to_owned(), template.to_string())].into(), digest: None }
}

#[test]
fn b60_types_outside_the_list_are_found_wherever_they_hide() {
    let allowed =
        Allowed { patterns: vec!["AWS::SQS::*".into()], place: Place::file("template.yaml") };
    let outside = |template: serde_json::Value| {
        let found = outside(&allowed, &stack(&template));
        found.into_iter().map(|o| format!("{} {}", o.name, o.kind.unwrap_or("?".into()))).collect()
    };
    let none: [String; 0] = [];
    let is = |template, wanted: &[&str]| {
        let found: Vec<String> = outside(template);
        assert_eq!(found, wanted);
    };
    assert_eq!(outside(json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})) as Vec<_>, none);
    is(
        json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}, "R": {"Type": "AWS::IAM::Role"}}}),
        &["R AWS::IAM::Role"],
    );
    is(
        json!({"Resources": {"Fn::ForEach::All": ["X", ["a"], {"R${X}": {"Type": "AWS::IAM::Role"}}]},
            "Transform": "AWS::LanguageExtensions"}),
        &["R${X} AWS::IAM::Role"],
    );
    is(
        json!({"Resources": {"Fn::ForEach::All": ["X", ["IAM::Role"], {"R": {"Type": "AWS::${X}"}}]},
            "Transform": ["AWS::LanguageExtensions"]}),
        &["R ?"],
    );
    is(json!({"Transform": "Mine", "Resources": {}}), &["Transform ?"]);
    is(json!({"Fn::Transform": {"Name": "AWS::Include"}, "Resources": {}}), &["Transform ?"]);
    is(json!({"Resources": {"Fn::Transform": {"Name": "AWS::Include"}}}), &["Fn::Transform ?"]);
    is(
        json!({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Fn::Transform": {"Name": "Mine"}}}}),
        &["Q ?"],
    );
    is(json!({"Resources": {"Q": {"Type": {"Ref": "T"}}}}), &["Q ?"]);
    is(json!({"Resources": {"Q": {"Type": "aws::sqs::queue"}}}), &["Q aws::sqs::queue"]);
}
