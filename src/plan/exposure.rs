//! What a CloudFormation template opens to others: whom it lets do what, and what anybody on the
//! internet may reach. For a reviewer's second look; nothing is decided by it.
//!
//! # Flow
//! A resource comes to a set of facts: rules of traffic, settings, what each statement of a policy allows
//! whom. Those that it had not before are what it opens.
//!
//! # Caveats
//! It reads the template, not the account: values that only an apply will tell are taken as they are
//! written. Conditions are not understood: a statement with others is another one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{Artifact, Opening};
use crate::yaml;

/// A resource that opens something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exposed {
    /// Its name in the template.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// It was not there before.
    pub is_new: bool,
    /// What it opens that it did not before: what the internet may reach first, `*` before the rest.
    pub openings: Vec<Opening>,
}

/// The resources of `new` that open something that they do not open in `old`, by name.
pub fn exposures(old: Option<&Artifact>, new: &Artifact) -> Vec<Exposed> {
    let before: BTreeMap<String, Value> = old.map(resources).unwrap_or_default();
    let mut found = Vec::new();
    for (name, resource) in resources(new) {
        let was = before.get(&name);
        if was == Some(&resource) {
            continue;
        }
        let Some(kind) = kind(&resource) else { continue };
        // Of another type it is another thing.
        let was = was.filter(|was| self::kind(was) == Some(kind));
        let mut openings: Vec<Opening> = opened(kind, was, &resource).into_iter().collect();
        openings.sort_by_key(|opening| (std::cmp::Reverse(opening.exposure()), !is_all(opening)));
        // Whatever a new one of these says, it says who may do what.
        if !openings.is_empty() || (was.is_none() && is_of_iam(kind)) {
            let (kind, is_new) = (kind.to_owned(), was.is_none());
            found.push(Exposed { resource: name, kind, is_new, openings });
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

fn kind(resource: &Value) -> Option<&str> {
    resource.get("Type").and_then(Value::as_str)
}

fn properties(resource: &Value) -> &Value {
    resource.get("Properties").unwrap_or(&Value::Null)
}

fn is_of_iam(kind: &str) -> bool {
    kind.starts_with("AWS::IAM::")
}

/// Everything, or everybody.
fn is_all(opening: &Opening) -> bool {
    match opening {
        Opening::Everybody { action, .. } | Opening::Allows { action, .. } => action == "*",
        Opening::Trusts { principal, .. } => principal == "*",
        Opening::Traffic { what, .. } => what == ALL_TRAFFIC,
        Opening::Setting { .. }
        | Opening::GuardOff { .. }
        | Opening::Attaches { .. }
        | Opening::Denial
        | Opening::Otherwise { .. } => false,
    }
}

/// What is open now and was not.
fn opened(kind: &str, was: Option<&Value>, now: &Value) -> BTreeSet<Opening> {
    let (before, after) = (was.map(properties), properties(now));
    let facts = |properties: &Value| {
        let mut facts = Facts::default();
        facts.of_kind(kind, properties);
        facts.of_statements(properties, false);
        facts
    };
    let (old, new) = (before.map(facts).unwrap_or_default(), facts(after));
    let mut opened: BTreeSet<Opening> = new.open.difference(&old.open).cloned().collect();
    if !old.denied.is_subset(&new.denied) {
        opened.insert(Opening::Denial);
    }
    if let Some(before) = before {
        let guards = |properties: &Value| -> BTreeSet<String> {
            let block = properties.get(BLOCK).and_then(Value::as_object).into_iter().flatten();
            block.filter(|(_, value)| is_true(value)).map(|(name, _)| name.clone()).collect()
        };
        let off = guards(before).difference(&guards(after)).cloned().collect::<Vec<_>>();
        opened.extend(off.into_iter().map(|guard| Opening::GuardOff { guard }));
        if is_of_iam(kind) {
            opened.extend(otherwise(before, after));
        }
    }
    opened
}

/// Where a bucket says what of it can never be public.
const BLOCK: &str = "PublicAccessBlockConfiguration";

/// Properties of IAM that are not understood here and differ. What they come to is for people to say.
fn otherwise<'a>(before: &'a Value, after: &'a Value) -> impl Iterator<Item = Opening> + 'a {
    const UNDERSTOOD: &[&str] = &[
        "AssumeRolePolicyDocument",
        "Description",
        "ManagedPolicyArns",
        "Policies",
        "PolicyDocument",
    ];
    let names = [before, after].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys());
    let names: BTreeSet<&String> = names.collect();
    let differ = names.into_iter().filter(|name| before.get(name) != after.get(name));
    differ
        .filter(|name| !UNDERSTOOD.contains(&name.as_str()))
        .map(|name| Opening::Otherwise { property: name.clone() })
}

/// What a resource opens.
#[derive(Default)]
struct Facts {
    open: BTreeSet<Opening>,
    /// Statements that deny, as they are written.
    denied: BTreeSet<String>,
}

impl Facts {
    /// What its type makes of its own properties.
    fn of_kind(&mut self, kind: &str, properties: &Value) {
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        let mut setting = |name: &str, open: &[&str]| {
            if let Some(value) = text(name).filter(|value| open.contains(value)) {
                self.open.insert(Opening::Setting { text: format!("{name}: {value}") });
            }
        };
        match kind {
            "AWS::S3::Bucket" => {
                setting("AccessControl", &["PublicRead", "PublicReadWrite"]);
                let block = properties.get(BLOCK).and_then(Value::as_object).into_iter().flatten();
                let off = block.filter(|(_, value)| is_false(value));
                self.open.extend(off.map(|(name, _)| Opening::GuardOff { guard: name.clone() }));
            }
            "AWS::Lambda::Url" => setting("AuthType", &["NONE"]),
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => setting("Scheme", &["internet-facing"]),
            "AWS::Lambda::Permission" => self.of_permission(properties),
            "AWS::EC2::SecurityGroupIngress" => self.of_traffic(properties),
            "AWS::EC2::SecurityGroup" => {
                let rules = properties.get("SecurityGroupIngress").into_iter();
                rules.flat_map(each).for_each(|rule| self.of_traffic(rule));
            }
            _ => {}
        }
        if properties.get("PubliclyAccessible").is_some_and(is_true) {
            self.open.insert(Opening::Setting { text: "PubliclyAccessible: true".into() });
        }
        let attached = properties.get("ManagedPolicyArns").filter(|_| is_of_iam(kind));
        let attached = attached.into_iter().flat_map(each);
        self.open.extend(attached.map(|arn| Opening::Attaches { policy: said(arn) }));
    }

    /// Traffic from everywhere into a security group.
    fn of_traffic(&mut self, rule: &Value) {
        let cidrs = ["CidrIp", "CidrIpv6"].into_iter().filter_map(|name| rule.get(name)?.as_str());
        let what = traffic(rule);
        for from in cidrs.filter(|cidr| ["0.0.0.0/0", "::/0"].contains(cidr)) {
            self.open.insert(Opening::Traffic { what: what.clone(), from: from.to_owned() });
        }
    }

    /// A statement in other words.
    fn of_permission(&mut self, properties: &Value) {
        let get = |name: &str| properties.get(name).map(said);
        let action = get("Action").unwrap_or_else(|| "*".into());
        let limits = ["SourceArn", "SourceAccount", "PrincipalOrgID", "EventSourceToken"];
        let limits = limits.iter().filter_map(|name| Some(format!("{name} {}", get(name)?)));
        let condition = Some(limits.collect::<Vec<_>>().join(", ")).filter(|c| !c.is_empty());
        let (principal, resource) = (get("Principal"), get("FunctionName"));
        self.open.insert(match (principal.as_deref(), &condition) {
            (Some("*"), None) => Opening::Everybody { action, resource },
            _ => Opening::Allows { action, resource, principal, condition },
        });
    }

    /// The statements anywhere below; `trust`: they say who may act as it.
    fn of_statements(&mut self, value: &Value, trust: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.of_statements(item, trust)),
            Value::Object(map) => match map.get("Effect").and_then(Value::as_str) {
                Some("Allow") => self.of_statement(value, trust),
                Some("Deny") => {
                    let mut words = map.clone();
                    words.remove("Sid");
                    self.denied.insert(Value::Object(words).to_string());
                }
                _ => {
                    for (name, below) in map {
                        self.of_statements(below, trust || name == "AssumeRolePolicyDocument");
                    }
                }
            },
            _ => {}
        }
    }

    fn of_statement(&mut self, statement: &Value, trust: bool) {
        let list = |name: &str| {
            let some = statement.get(name).map(|value| each(value).map(said).collect());
            // What is left out of a list that is let do all but that, it may do.
            some.or_else(|| {
                let but: Vec<String> =
                    each(statement.get(format!("Not{name}"))?).map(said).collect();
                Some(vec![format!("all but {}", but.join(", "))])
            })
        };
        let condition = statement.get("Condition").map(Value::to_string);
        let actions: Vec<String> = list("Action").unwrap_or_else(|| vec!["*".into()]);
        let principals: Option<Vec<String>> = match statement.get("Principal") {
            Some(principal) => Some(principals(principal)),
            None => list("Principal"),
        };
        let optional = |list: Option<Vec<String>>| -> Vec<Option<String>> {
            list.map_or_else(|| vec![None], |list| list.into_iter().map(Some).collect())
        };
        let (resources, principals) = (optional(list("Resource")), optional(principals));
        if actions.len().saturating_mul(resources.len()).saturating_mul(principals.len()) > TRIPLES
        {
            self.of_long(&actions, &resources, &principals, condition.as_ref());
            return;
        }
        for principal in &principals {
            let everybody = principal.as_deref() == Some("*") && condition.is_none();
            if trust && !everybody {
                let principal = principal.clone().unwrap_or_default();
                self.open.insert(Opening::Trusts { principal, condition: condition.clone() });
                continue;
            }
            let each =
                actions.iter().flat_map(|action| resources.iter().map(move |on| (action, on)));
            self.open.extend(each.map(|(action, resource)| {
                let (action, resource) = (action.clone(), resource.clone());
                match everybody {
                    true => Opening::Everybody { action, resource },
                    false => Opening::Allows {
                        action,
                        resource,
                        principal: principal.clone(),
                        condition: condition.clone(),
                    },
                }
            }));
        }
    }

    /// Of a statement of very many: each action, resource and principal by itself.
    fn of_long(
        &mut self,
        actions: &[String],
        resources: &[Option<String>],
        principals: &[Option<String>],
        condition: Option<&String>,
    ) {
        let mut add = |action: &str, resource: &Option<String>, principal: &Option<String>| {
            let (action, condition) = (action.to_owned(), condition.cloned());
            let (resource, principal) = (resource.clone(), principal.clone());
            self.open.insert(match principal.as_deref() == Some("*") && condition.is_none() {
                true => Opening::Everybody { action, resource },
                false => Opening::Allows { action, resource, principal, condition },
            });
        };
        actions.iter().for_each(|action| add(action, &None, &None));
        resources.iter().for_each(|resource| add(LISTED, resource, &None));
        principals.iter().for_each(|principal| add(LISTED, &None, principal));
    }
}

/// A statement of more than so many pairs is not multiplied out.
const TRIPLES: usize = 10_000;

/// In the place of the actions of such a statement.
const LISTED: &str = "what is listed there";

/// Of a rule of all protocols, or of all ports of one.
const ALL_TRAFFIC: &str = "all traffic";

/// `TCP 22`, `UDP 1000-2000`, `all traffic`.
fn traffic(rule: &Value) -> String {
    let text = |name: &str| rule.get(name).map(said);
    let protocol = text("IpProtocol").unwrap_or_else(|| "-1".into());
    if protocol == "-1" {
        return ALL_TRAFFIC.to_owned();
    }
    let name = match protocol.as_str() {
        "6" => "TCP".to_owned(),
        "17" => "UDP".to_owned(),
        "1" => "ICMP".to_owned(),
        other => other.to_uppercase(),
    };
    match (text("FromPort"), text("ToPort")) {
        (Some(from), Some(to)) if from == to => format!("{name} {from}"),
        (Some(from), Some(to)) if !["-1", "0"].contains(&from.as_str()) || to != "65535" => {
            format!("{name} {from}-{to}")
        }
        (Some(port), None) | (None, Some(port)) => format!("{name} {port}"),
        _ => format!("{name} on all ports"),
    }
}

/// `{AWS: [a, b]}` as `a`, `b`.
fn principals(principal: &Value) -> Vec<String> {
    match principal {
        Value::Object(map) if function(principal).is_none() => {
            map.values().flat_map(each).map(said).collect()
        }
        other => each(other).map(said).collect(),
    }
}

/// The items of a list; else the one that it is.
fn each(value: &Value) -> std::slice::Iter<'_, Value> {
    match value {
        Value::Array(items) => items.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// The name and the argument of a function in its long form.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, argument) = map.iter().next()?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

/// A value as text: functions by what they name.
fn said(value: &Value) -> String {
    match (value, function(value)) {
        (Value::String(text), _) => text.clone(),
        (_, Some(("Ref" | "Fn::Sub" | "Fn::GetAtt", Value::String(text)))) => text.clone(),
        (_, Some(("Fn::GetAtt", Value::Array(parts)))) if parts.iter().all(Value::is_string) => {
            parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(".")
        }
        (other, _) => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || value == "true"
}

fn is_false(value: &Value) -> bool {
    value == &Value::Bool(false) || value == "false"
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
        let one = |Exposed { resource, kind: _, is_new, openings }: Exposed| {
            let new = if is_new { "new " } else { "" };
            let said = openings.iter().map(|opening| {
                let value = serde_json::to_value(opening).unwrap();
                let leaves: Vec<String> = match &value {
                    Value::Object(map) => map
                        .iter()
                        .flat_map(|(name, of)| {
                            let of = of.as_object().unwrap();
                            let parts = of.values().filter_map(Value::as_str);
                            std::iter::once(name.clone()).chain(parts.map(ToOwned::to_owned))
                        })
                        .collect(),
                    other => vec![said(other)],
                };
                leaves.join(" ")
            });
            format!("{new}{resource}: {}", said.collect::<Vec<_>>().join("; "))
        };
        found.into_iter().map(one).collect()
    }

    #[test]
    fn b87_what_opens_is_named_once_and_only_when_it_is_new() {
        let role = r#"{"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "a"}},
            "Queue": {"Type": "AWS::SQS::Queue"}}"#;
        assert_eq!(found(None, role), ["new Role: "]);
        assert!(found(Some(role), role).is_empty());
        let other = role.replace("\"a\"", "\"b\"");
        assert_eq!(found(Some(role), &other), ["Role: otherwise RoleName"]);
    }

    #[test]
    fn what_the_internet_may_reach_is_public() {
        let open = r#"{
            "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"SecurityGroupIngress":
                [{"CidrIp": "10.0.0.0/8"},
                 {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 443, "ToPort": "443"}]}},
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
            "new Bucket: guardOff BlockPublicAcls",
            "new Database: setting PubliclyAccessible: true",
            "new Group: traffic 0.0.0.0/0 TCP 443",
            "new Guarded: allows * {\"ArnEquals\":{}} *",
            "new Policy: everybody s3:GetObject",
        ];
        assert_eq!(found(None, open), expected);
        // As open as before, and otherwise changed: a renamed CIDR is no news.
        let renamed = open.replace("\"10.0.0.0/8\"", "\"10.1.0.0/16\"");
        assert!(found(Some(open), &renamed).is_empty());
        // Open before, and now further.
        let ssh = r#"{"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}"#;
        let further = open
            .replace("{\"CidrIp\": \"10.0.0.0/8\"}", ssh)
            .replace("\"s3:GetObject\"", "[\"s3:GetObject\", \"s3:PutObject\"]")
            .replace("\"BlockPublicAcls\": true", "\"BlockPublicPolicy\": true")
            .replace("{\"ArnEquals\": {}}", "{}");
        let expected = [
            "Closed: guardOff BlockPublicAcls",
            "Group: traffic 0.0.0.0/0 TCP 22",
            "Guarded: allows * {} *",
            "Policy: everybody s3:PutObject",
        ];
        assert_eq!(found(Some(open), &further), expected);
        // Back again: a guard is off again, and conditions are others; nothing else.
        let back = ["Closed: guardOff BlockPublicPolicy", "Guarded: allows * {\"ArnEquals\":{}} *"];
        assert_eq!(found(Some(&further), open), back);
    }

    #[test]
    fn only_what_a_role_may_besides_is_told() {
        let role = |statements: &str, more: &str| {
            format!(
                r#"{{"Writer": {{"Type": "AWS::IAM::Role", "Properties": {{
                    "AssumeRolePolicyDocument": {{"Statement": [{{"Effect": "Allow",
                        "Principal": {{"Service": "lambda.amazonaws.com"}}, "Action": "sts:AssumeRole"}}]}},
                    "Policies": [{{"PolicyName": "p", "PolicyDocument": {{"Statement": [{statements}]}}}}]
                    {more}}}}}}}"#
            )
        };
        let read = r#"{"Sid": "a", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}"#;
        let deny = r#", {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}"#;
        let before = role(&format!("{read}{deny}"), "");
        assert_eq!(
            found(None, &before),
            ["new Writer: allows s3:GetObject *; trusts lambda.amazonaws.com"]
        );
        let write = read.replace("\"s3:GetObject\"", "[\"s3:GetObject\", \"s3:PutObject\", \"*\"]");
        let wider = role(&format!("{write}{deny}"), "");
        assert_eq!(found(Some(&before), &wider), ["Writer: allows * *; allows s3:PutObject *"]);
        // Less than before, in another order, under another name.
        assert!(found(Some(&wider), &before).is_empty());
        let renamed = before.replace("\"Sid\": \"a\"", "\"Sid\": \"b\"");
        assert!(found(Some(&before), &renamed).is_empty());
        assert_eq!(found(Some(&before), &role(read, "")), ["Writer: denial"]);
        let arn = r#", "ManagedPolicyArns": [{"Ref": "Other"}], "PermissionsBoundary": "b""#;
        let attached = role(&format!("{read}{deny}"), arn);
        assert_eq!(
            found(Some(&before), &attached),
            ["Writer: attaches Other; otherwise PermissionsBoundary"]
        );
        let trusted =
            before.replace("\"lambda.amazonaws.com\"", "[\"lambda.amazonaws.com\", \"ec2\"]");
        assert_eq!(found(Some(&before), &trusted), ["Writer: trusts ec2"]);
        let all =
            before.replace("\"Action\": \"s3:GetObject\"", "\"NotAction\": [\"iam:*\", \"sts:*\"]");
        assert_eq!(found(Some(&before), &all), ["Writer: allows all but iam:*, sts:* *"]);
    }
}
