//! What a CloudFormation template opens to others: whom it lets do what, and what anybody on the
//! internet may reach. For a reviewer's second look; nothing is decided by it.
//!
//! # Caveats
//! It reads the template, not the account: values that only an apply will tell are not seen, and a
//! policy's conditions are taken at their word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{Artifact, Exposure};
use crate::yaml;

/// A resource that deserves a second look: its name, its type, and why.
pub type Exposed = (String, String, Exposure);

/// The resources of `new` that open something and are not the same in `old`, by name.
pub fn exposures(old: Option<&Artifact>, new: &Artifact) -> Vec<Exposed> {
    let before: BTreeMap<String, Value> = old.map(resources).unwrap_or_default();
    let mut found = Vec::new();
    for (name, resource) in resources(new) {
        if before.get(&name) == Some(&resource) {
            continue;
        }
        let Some(kind) = resource.get("Type").and_then(Value::as_str) else { continue };
        let properties = resource.get("Properties").unwrap_or(&Value::Null);
        let was = before.get(&name).and_then(|r| r.get("Properties"));
        let opened = |what: fn(&str, &Value) -> bool| {
            what(kind, properties)
                // What was as open before is no news.
                && was.is_none_or(|was| !what(kind, was) || permissions(kind, properties))
        };
        if opened(public) {
            found.push((name, kind.to_owned(), Exposure::Public));
        } else if opened(permissions) {
            found.push((name, kind.to_owned(), Exposure::Permissions));
        }
    }
    found
}

/// The resources of every file of an artifact that is a template.
fn resources(artifact: &Artifact) -> BTreeMap<String, Value> {
    let read = |(path, text): (&String, &String)| {
        let read = yaml::read(&path.as_str().into(), text.as_bytes(), &yaml::Options::rendered());
        read.ok()?.pop().map(|document| document.to_json())
    };
    let documents = artifact.files.iter().filter_map(read);
    let listed =
        documents.filter_map(|mut document| document.get_mut("Resources").map(Value::take));
    listed
        .filter_map(|resources| match resources {
            Value::Object(map) => Some(map),
            _ => None,
        })
        .flatten()
        .collect()
}

/// Whether a resource says who may do what.
fn permissions(kind: &str, properties: &Value) -> bool {
    const POLICIES: &[&str] =
        &["PolicyDocument", "KeyPolicy", "ResourcePolicy", "RepositoryPolicyText"];
    kind.starts_with("AWS::IAM::")
        || kind == "AWS::Lambda::Permission"
        || POLICIES.iter().any(|name| properties.get(name).is_some())
}

/// Whether anybody on the internet may reach it.
fn public(kind: &str, properties: &Value) -> bool {
    let is = |name: &str, value: &str| properties.get(name).and_then(Value::as_str) == Some(value);
    let by_kind = match kind {
        "AWS::S3::Bucket" => {
            is("AccessControl", "PublicRead")
                || is("AccessControl", "PublicReadWrite")
                || properties
                    .get("PublicAccessBlockConfiguration")
                    .and_then(Value::as_object)
                    .is_some_and(|block| block.values().any(is_false))
        }
        "AWS::Lambda::Url" => is("AuthType", "NONE"),
        "AWS::Lambda::Permission" => is("Principal", "*"),
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => is("Scheme", "internet-facing"),
        _ => properties.get("PubliclyAccessible").is_some_and(is_true),
    };
    by_kind || reaches(kind, properties) || allows_anybody(properties)
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || value == "true"
}

fn is_false(value: &Value) -> bool {
    value == &Value::Bool(false) || value == "false"
}

/// Traffic from everywhere into a security group.
fn reaches(kind: &str, properties: &Value) -> bool {
    let anywhere = |rule: &Value| {
        let from = |name: &str| rule.get(name).and_then(Value::as_str);
        from("CidrIp") == Some("0.0.0.0/0") || from("CidrIpv6").is_some_and(|c| c == "::/0")
    };
    match kind {
        "AWS::EC2::SecurityGroupIngress" => anywhere(properties),
        "AWS::EC2::SecurityGroup" => {
            let rules = properties.get("SecurityGroupIngress").and_then(Value::as_array);
            rules.is_some_and(|rules| rules.iter().any(anywhere))
        }
        _ => false,
    }
}

/// A statement anywhere below that lets everybody do something without a condition.
fn allows_anybody(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(allows_anybody),
        Value::Object(map) => {
            let everybody = map.get("Effect").is_some_and(|effect| effect == "Allow")
                && !map.contains_key("Condition")
                && map.get("Principal").is_some_and(names_everybody);
            everybody || map.values().any(allows_anybody)
        }
        _ => false,
    }
}

fn names_everybody(principal: &Value) -> bool {
    let names: BTreeSet<&str> = match principal {
        Value::String(one) => [one.as_str()].into(),
        Value::Object(map) => map
            .values()
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                Value::String(one) => vec![one.as_str()],
                _ => Vec::new(),
            })
            .collect(),
        _ => BTreeSet::new(),
    };
    names.contains("*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(resources: &str) -> Artifact {
        let text = format!("{{\"Resources\": {resources}}}");
        Artifact { files: [("stack.json".to_owned(), text)].into(), digest: None }
    }

    fn found(old: Option<&str>, new: &str) -> Vec<String> {
        let old = old.map(template);
        let found = exposures(old.as_ref(), &template(new));
        found.into_iter().map(|(name, _, why)| format!("{name} {why:?}")).collect()
    }

    #[test]
    fn b87_what_opens_is_named_once_and_only_when_it_is_new() {
        let role = r#"{"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "a"}},
            "Queue": {"Type": "AWS::SQS::Queue"}}"#;
        assert_eq!(found(None, role), ["Role Permissions"]);
        assert!(found(Some(role), role).is_empty());
        let other = role.replace("\"a\"", "\"b\"");
        assert_eq!(found(Some(role), &other), ["Role Permissions"]);
    }

    #[test]
    fn what_the_internet_may_reach_is_public() {
        let open = r#"{
            "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties":
                {"SecurityGroupIngress": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "0.0.0.0/0"}]}},
            "Database": {"Type": "AWS::RDS::DBInstance", "Properties": {"PubliclyAccessible": true}},
            "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": {"Statement":
                [{"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "s3:GetObject"}]}}},
            "Guarded": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {"Statement":
                [{"Effect": "Allow", "Principal": "*", "Condition": {"ArnEquals": {}}}]}}},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties":
                {"PublicAccessBlockConfiguration": {"BlockPublicAcls": false}}},
            "Closed": {"Type": "AWS::S3::Bucket", "Properties":
                {"PublicAccessBlockConfiguration": {"BlockPublicAcls": true}}}}"#;
        let expected = [
            "Bucket Public",
            "Database Public",
            "Group Public",
            "Guarded Permissions",
            "Policy Public",
        ];
        assert_eq!(found(None, open), expected);
        // As open as before, and otherwise changed: no news for a security group.
        let renamed = open.replace("\"10.0.0.0/8\"", "\"10.1.0.0/16\"");
        assert!(found(Some(open), &renamed).is_empty());
    }
}
