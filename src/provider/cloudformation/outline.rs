//! What a template alone tells: what making its stack makes, and what deleting it takes along.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{each, template};
use crate::model::{Action, Artifact, Preview, ResourceAction, ResourceChange};

/// What becomes of a resource when its stack is deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fate {
    pub(super) action: ResourceAction,
    pub(super) cause: Option<String>,
}

/// `None`: the artifact is not a template that can be read, or the action says more than it.
pub(super) fn outline(action: Action, artifact: &Artifact) -> Option<Preview> {
    let template = serde_json::from_str(template::text(artifact).ok()?).ok()?;
    let template = each::written_out(template);
    let resources = template.get("Resources")?.as_object()?.iter();
    let resources = match action {
        Action::Create => resources.map(|(name, r)| change(name, r, made(r))).collect(),
        Action::Delete => resources.map(|(name, r)| change(name, r, fate(r))).collect(),
        Action::Update | Action::Replace | Action::Restore | Action::Forget | Action::Move => {
            return None;
        }
    };
    Some(Preview { resources, ..Preview::default() })
}

/// What becomes of each resource of a template, by its logical id.
pub(super) fn fates(template: &Value) -> BTreeMap<&str, Fate> {
    let resources = template.get("Resources").and_then(Value::as_object);
    resources.into_iter().flatten().map(|(name, r)| (name.as_str(), fate(r))).collect()
}

pub(super) fn change(name: &str, resource: &Value, fate: Fate) -> ResourceChange {
    let Fate { action, cause } = fate;
    let (name, kind) = (name.to_owned(), kind(resource).to_owned());
    ResourceChange { name, kind, action, cause, properties: Vec::new(), left: None }
}

pub(super) fn kind(resource: &Value) -> &str {
    resource.get("Type").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn made(resource: &Value) -> Fate {
    Fate { action: ResourceAction::Create, cause: condition(resource) }
}

/// A condition's value is CloudFormation's to work out.
fn condition(resource: &Value) -> Option<String> {
    let name = resource.get("Condition")?.as_str()?;
    Some(format!("if the condition `{name}` holds"))
}

pub(super) fn fate(resource: &Value) -> Fate {
    let written = resource.get("DeletionPolicy");
    let by_default = by_default(resource);
    let said = |policy: &str| match written {
        Some(_) => format!("DeletionPolicy: {policy}"),
        None => format!("DeletionPolicy: {policy}, by default for its type"),
    };
    let (action, cause) = match written.map_or(Some(by_default), Value::as_str) {
        // The longer one lets go of it only where a creation is rolled back.
        Some(policy @ ("Retain" | "RetainExceptOnCreate")) => {
            (ResourceAction::Retain, Some(said(policy)))
        }
        Some("Delete") => (ResourceAction::Delete, None),
        Some(policy) => (ResourceAction::Delete, Some(said(policy))),
        None => (ResourceAction::Delete, Some("its DeletionPolicy is worked out later".into())),
    };
    Fate { action, cause: cause.or_else(|| condition(resource)) }
}

/// What stays of a resource that is replaced, by the policy for that; `None`: nothing.
pub(super) fn left(policy: Option<&str>) -> Option<String> {
    Some(match policy {
        Some("Delete") => return None,
        Some(policy @ ("Retain" | "RetainExceptOnCreate")) => {
            format!("the old one stays: UpdateReplacePolicy: {policy}")
        }
        Some(policy) => format!("UpdateReplacePolicy: {policy}"),
        None => "its UpdateReplacePolicy is worked out later".into(),
    })
}

/// Databases leave a snapshot behind. Source: "DeletionPolicy attribute" in the CloudFormation
/// user guide.
fn by_default(resource: &Value) -> &'static str {
    let in_a_cluster = || {
        let properties = resource.get("Properties").and_then(Value::as_object);
        properties.is_some_and(|p: &Map<String, Value>| p.contains_key("DBClusterIdentifier"))
    };
    match kind(resource) {
        "AWS::RDS::DBCluster" => "Snapshot",
        "AWS::RDS::DBInstance" if !in_a_cluster() => "Snapshot",
        _ => "Delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn show(action: Action, resources: &Value) -> String {
        let text = json!({"Resources": resources}).to_string();
        let files = BTreeMap::from([("stack.json".to_owned(), text)]);
        let preview = outline(action, &Artifact { files, digest: None }).unwrap();
        let line = |r: &ResourceChange| {
            let cause = r.cause.as_deref().unwrap_or_default();
            format!("{:?} {} {} {cause}", r.action, r.kind, r.name).trim_end().to_owned() + "\n"
        };
        preview.resources.iter().map(line).collect()
    }

    #[test]
    fn a_deletion_tells_what_goes_and_what_stays() {
        let resources = json!({
            "Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
            "Cluster": {"Type": "AWS::RDS::DBCluster"},
            "Database": {"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete"},
            "Log": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "RetainExceptOnCreate"},
            "Maybe": {"Type": "AWS::SNS::Topic", "DeletionPolicy": {"Fn::If": ["P", "Retain", "Delete"]}},
            "Member": {"Type": "AWS::RDS::DBInstance", "Properties": {"DBClusterIdentifier": "x"}},
            "Queue": {"Type": "AWS::SQS::Queue", "Condition": "IsProd"},
            "Single": {"Type": "AWS::RDS::DBInstance", "Properties": {}},
            "Volume": {"Type": "AWS::EC2::Volume", "DeletionPolicy": "Snapshot"},
        });
        insta::assert_snapshot!(show(Action::Delete, &resources), @"
        Retain AWS::S3::Bucket Bucket DeletionPolicy: Retain
        Delete AWS::RDS::DBCluster Cluster DeletionPolicy: Snapshot, by default for its type
        Delete AWS::RDS::DBInstance Database
        Retain AWS::Logs::LogGroup Log DeletionPolicy: RetainExceptOnCreate
        Delete AWS::SNS::Topic Maybe its DeletionPolicy is worked out later
        Delete AWS::RDS::DBInstance Member
        Delete AWS::SQS::Queue Queue if the condition `IsProd` holds
        Delete AWS::RDS::DBInstance Single DeletionPolicy: Snapshot, by default for its type
        Delete AWS::EC2::Volume Volume DeletionPolicy: Snapshot
        ");
        insta::assert_snapshot!(show(Action::Create, &json!({"Queue": resources["Queue"]})), @"Create AWS::SQS::Queue Queue if the condition `IsProd` holds");
    }

    #[test]
    fn what_is_no_template_tells_nothing() {
        for text in ["", "[]", "{}", "Resources: {}", "{\"Resources\": []}"] {
            let files = BTreeMap::from([("stack.json".to_owned(), text.to_owned())]);
            assert_eq!(outline(Action::Delete, &Artifact { files, digest: None }), None, "{text}");
        }
    }
}
