use serde_json::json;

use super::*;

fn artifact(template: &Value) -> Artifact {
    let files = BTreeMap::from([("stack.json".to_owned(), template.to_string())]);
    Artifact { files, digest: None }
}

fn show(before: &Value, after: &Value) -> String {
    let preview = foretell(&artifact(before), &artifact(after)).unwrap();
    assert!(preview.foretold);
    let property = |p: &PropertyChange| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
        format!("  {} {} -> {} {:?}\n", p.path, value(&p.before), value(&p.after), p.recreates)
    };
    let line = |r: &ResourceChange| {
        let said: Vec<_> = r.cause.iter().chain(&r.left).cloned().collect();
        let properties: String = r.properties.iter().map(property).collect();
        let line = format!("{:?} {} {}", r.action, r.name, said.join("; "));
        format!("{}\n{properties}", line.trim_end())
    };
    preview.resources.iter().map(line).collect()
}

/// Both templates hold the same but for the resources' own parts.
fn resources(before: &Value, after: &Value) -> String {
    show(&json!({"Resources": before}), &json!({"Resources": after}))
}

fn queue(properties: &Value) -> Value {
    json!({"Type": "AWS::SQS::Queue", "Properties": properties})
}

#[test]
fn what_comes_goes_stays_changes_and_is_replaced() {
    let before = json!({
        "Gone": {"Type": "AWS::SNS::Topic"},
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
        "Same": queue(&json!({"DelaySeconds": 1})),
        "Slower": queue(&json!({"DelaySeconds": 1, "Tags": [{"Key": "a", "Value": "b"}]})),
        "Named": queue(&json!({"QueueName": "a"})),
        "Other": queue(&json!({})),
        "Data": {"Type": "AWS::DynamoDB::Table", "UpdateReplacePolicy": "Retain", "Properties": {"TableName": "a"}},
        "Base": {"Type": "AWS::RDS::DBInstance", "UpdateReplacePolicy": "Snapshot", "Properties": {"Engine": "postgres"}},
        "Repo": {"Type": "AWS::SageMaker::CodeRepository", "Properties": {"GitConfig": {"Branch": "a", "SecretArn": "x"}}},
        "Fork": {"Type": "AWS::SageMaker::CodeRepository", "Properties": {"GitConfig": {"Branch": "a", "SecretArn": "x"}}},
        "Seed": {"Type": "Custom::Seed", "Properties": {"Rows": 1}},
        "Held": {"Type": "AWS::SQS::Queue", "DeletionPolicy": "Delete"},
    });
    let mut after = before.clone();
    let object = after.as_object_mut().unwrap();
    object.remove("Gone");
    object.remove("Kept");
    object.insert("New".into(), queue(&json!({})));
    after["Slower"]["Properties"] = json!({"DelaySeconds": 2});
    after["Named"]["Properties"] = json!({"QueueName": "b"});
    after["Other"]["Type"] = json!("AWS::SNS::Topic");
    after["Data"]["Properties"]["TableName"] = json!("b");
    after["Base"]["Properties"]["Engine"] = json!("mysql");
    after["Repo"]["Properties"]["GitConfig"]["SecretArn"] = json!("y");
    after["Fork"]["Properties"]["GitConfig"]["Branch"] = json!("b");
    after["Seed"]["Properties"]["Rows"] = json!(2);
    after["Held"]["DeletionPolicy"] = json!("Retain");
    insta::assert_snapshot!(resources(&before, &after), @r#"
    MayReplace Base Engine; UpdateReplacePolicy: Snapshot
      Engine postgres -> mysql Conditionally
    Replace Data TableName; the old one stays: UpdateReplacePolicy: Retain
      TableName a -> b Always
    Replace Fork GitConfig.Branch
      GitConfig.Branch a -> b Always
    Delete Gone
    Update Held
      DeletionPolicy Delete -> Retain Never
    Retain Kept DeletionPolicy: Retain
    Replace Named QueueName
      QueueName a -> b Always
    Create New
    Replace Other Type
      Type AWS::SQS::Queue -> AWS::SNS::Topic Always
    Update Repo
      GitConfig {"Branch":"a","SecretArn":"x"} -> {"Branch":"a","SecretArn":"y"} Never
    MayReplace Seed Rows
      Rows 1 -> 2 Conditionally
    Update Slower
      DelaySeconds 1 -> 2 Never
      Tags [{"Key":"a","Value":"b"}] -> ? Never
    "#);
    insta::assert_snapshot!(resources(&after, &after), @"");
}

#[test]
fn what_refers_to_a_resource_made_anew_follows_it() {
    let before = json!({
        "Queue": queue(&json!({"QueueName": "a"})),
        "Calm": queue(&json!({"DelaySeconds": 1})),
        // A policy's queues change in place.
        "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}]}},
        "Topic": {"Type": "AWS::SNS::Subscription", "Properties": {
            "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]}, "TopicArn": "t"}},
        "Chain": {"Type": "AWS::SNS::Subscription", "Properties": {
            "Endpoint": {"Fn::Sub": "x-${Topic}"}, "TopicArn": "t"}},
        "Reads": {"Type": "AWS::SNS::Subscription", "Properties": {
            "Endpoint": {"Fn::GetAtt": "Calm.Arn"}, "TopicArn": "t"}},
        "Names": {"Type": "AWS::SNS::Subscription", "Properties": {
            "Endpoint": {"Ref": "Calm"}, "TopicArn": "t"}},
    });
    let mut after = before.clone();
    after["Queue"]["Properties"]["QueueName"] = json!("b");
    after["Calm"]["Properties"]["DelaySeconds"] = json!(2);
    insta::assert_snapshot!(resources(&before, &after), @"
    Update Calm
      DelaySeconds 1 -> 2 Never
    Replace Chain Endpoint (Topic)
      Endpoint ? -> ? Always
    Update Policy Queue
      Queues ? -> ? Never
    Replace Queue QueueName
      QueueName a -> b Always
    MayReplace Reads Endpoint (Calm.Arn)
      Endpoint ? -> ? Conditionally
    Replace Topic Endpoint (Queue.Arn)
      Endpoint ? -> ? Always
    ");
}

#[test]
fn a_change_through_parameters_conditions_and_mappings_says_so() {
    let template = |name: &str, stage: &str, size: u8| {
        json!({
            "Parameters": {"Name": {"Type": "String", "Default": name}, "Stage": {"Type": "String", "Default": stage}},
            "Conditions": {
                "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
                "Here": {"Fn::Equals": [{"Ref": "AWS::Region"}, stage]},
            },
            "Mappings": {"Sizes": {"all": {"delay": size}}},
            "Resources": {
                "Queue": queue(&json!({"QueueName": {"Fn::Sub": "q-${Name}"}})),
                "Size": queue(&json!({"DelaySeconds": {"Fn::FindInMap": ["Sizes", "all", "delay"]}})),
                "Either": queue(&json!({"QueueName": {"Fn::If": ["IsProd", "p", "d"]}})),
                "Alarm": {"Type": "AWS::SNS::Topic", "Condition": "IsProd"},
                "Local": {"Type": "AWS::SNS::Topic", "Condition": "Here"},
                "Where": queue(&json!({"QueueName": {"Fn::If": ["Here", "p", "d"]}})),
                "Plain": queue(&json!({"DelaySeconds": 1})),
            },
        })
    };
    insta::assert_snapshot!(show(&template("a", "dev", 1), &template("b", "prod", 2)), @r#"
    Create Alarm
    Replace Either QueueName (parameter Stage)
      QueueName d -> p Always
    MayReplace Local Condition (condition Here)
      Condition ? -> ? Conditionally
    Replace Queue QueueName (parameter Name)
      QueueName q-a -> q-b Always
    Update Size mapping Sizes
      DelaySeconds 1 -> 2 Never
    MayReplace Where QueueName (condition Here)
      QueueName {"Fn::If":[{"Fn::Equals":[{"Ref":"AWS::Region"},"dev"]},"p","d"]} -> {"Fn::If":[{"Fn::Equals":[{"Ref":"AWS::Region"},"prod"]},"p","d"]} Conditionally
    "#);
    insta::assert_snapshot!(show(&template("a", "prod", 1), &template("a", "dev", 1)), @r#"
    Delete Alarm
    Replace Either QueueName (parameter Stage)
      QueueName p -> d Always
    MayReplace Local Condition (condition Here)
      Condition ? -> ? Conditionally
    MayReplace Where QueueName (condition Here)
      QueueName {"Fn::If":[{"Fn::Equals":[{"Ref":"AWS::Region"},"prod"]},"p","d"]} -> {"Fn::If":[{"Fn::Equals":[{"Ref":"AWS::Region"},"dev"]},"p","d"]} Conditionally
    "#);
    // A name in place of the value that it stands for changes nothing.
    let mut named = template("a", "dev", 1);
    named["Resources"]["Plain"]["Properties"]["DelaySeconds"] =
        json!({"Fn::FindInMap": ["Sizes", "all", "delay"]});
    named["Resources"]["Queue"]["Properties"]["QueueName"] = json!("q-a");
    assert_eq!(show(&template("a", "dev", 1), &named), "");
}

#[test]
fn what_cannot_be_told_may_replace_and_secrets_stay_hidden() {
    let before = json!({
        "Parameters": {"Password": {"Type": "String", "NoEcho": true, "Default": "hunter2"}},
        "Resources": {
            "Queue": queue(&json!({"QueueName": "7"})),
            "Later": queue(&json!({"QueueName": "now"})),
            "Door": {"Type": "AWS::RDS::DBInstance", "Properties": {"MasterUserPassword": {"Ref": "Password"}}},
        },
    });
    let mut after = before.clone();
    after["Resources"]["Queue"]["Properties"]["QueueName"] = json!(7);
    after["Resources"]["Later"]["Properties"]["QueueName"] =
        json!("<known after apply: a/b/c#d.e>");
    after["Parameters"]["Password"]["Default"] = json!("swordfish");
    let shown = show(&before, &after);
    assert!(!shown.contains("hunter2") && !shown.contains("swordfish"), "{shown}");
    insta::assert_snapshot!(shown, @"
    Update Door parameter Password
      MasterUserPassword (sensitive) -> (sensitive) Never
    MayReplace Later QueueName
      QueueName now -> <known after apply: a/b/c#d.e> Conditionally
    MayReplace Queue QueueName
      QueueName 7 -> 7 Conditionally
    ");
}

#[test]
fn what_is_no_template_foretells_nothing() {
    let good = artifact(&json!({"Resources": {}}));
    for bad in ["", "[]", "{}", "{\"Resources\": []}", "null"] {
        let files = BTreeMap::from([("stack.json".to_owned(), bad.to_owned())]);
        let bad = Artifact { files, digest: None };
        assert_eq!(foretell(&good, &bad), None);
        assert_eq!(foretell(&bad, &good), None);
    }
    let odd = json!({"Resources": {"A": 7, "B": {"Type": [], "Properties": 3, "Condition": {}}}});
    assert_eq!(show(&odd, &odd), "");
    show(&json!({"Resources": {}}), &odd);
}
