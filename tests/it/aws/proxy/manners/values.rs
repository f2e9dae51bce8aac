//! `BeforeContext`, `AfterContext`, and the values in each detail, of a change set's description.

use serde_json::{Value, json};

use super::super::call::{element, escape};
use super::Template;

/// The description with the values in it.
pub(super) fn insert(text: &str, before: Option<&Template>, after: Option<&Template>) -> String {
    let mut parts = text.split("<ResourceChange>");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("<ResourceChange>");
        out.push_str(&one(part, before, after));
    }
    out
}

fn one(part: &str, before: Option<&Template>, after: Option<&Template>) -> String {
    let Some(name) = element(part, "LogicalResourceId") else { return part.to_owned() };
    let properties = |template: Option<&Template>| template.and_then(|t| t.properties(name));
    let (before, after) = (properties(before), properties(after));
    let mut out = String::new();
    for (tag, properties) in [("BeforeContext", &before), ("AfterContext", &after)] {
        if let Some(properties) = properties {
            let context = json!({"Properties": properties}).to_string();
            out.push_str(&format!("<{tag}>{}</{tag}>", escape(&context)));
        }
    }
    let mut details = part.split("<Target>");
    out.push_str(details.next().unwrap_or_default());
    for detail in details {
        out.push_str("<Target>");
        if element(detail, "Attribute") == Some("Properties")
            && let Some(property) = element(detail, "Name")
        {
            let value = |all: &Option<Value>| all.as_ref()?.get(property).map(plain);
            let (was, is) = (value(&before), value(&after));
            let kind = match (&was, &is) {
                (None, _) => "Add",
                (_, None) => "Remove",
                _ => "Modify",
            };
            out.push_str(&format!(
                "<Path>/Properties/{property}</Path><AttributeChangeType>{kind}</AttributeChangeType>"
            ));
            for (tag, value) in [("BeforeValue", was), ("AfterValue", is)] {
                if let Some(value) = value {
                    out.push_str(&format!("<{tag}>{}</{tag}>", escape(&value)));
                }
            }
        }
        out.push_str(detail);
    }
    out
}

/// A text as it is, all else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Template {
    /// A resource's properties, with the values of parameters in place of references to them. What
    /// is not known before it is applied stands as AWS writes it.
    fn properties(&self, name: &str) -> Option<Value> {
        let resource = self.body["Resources"].get(name)?;
        Some(self.resolved(resource.get("Properties").unwrap_or(&json!({}))))
    }

    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => match members.iter().next() {
                Some((key, Value::String(name))) if key == "Ref" => {
                    let parameter = &self.body["Parameters"][name];
                    if parameter["NoEcho"] == json!(true) || parameter["NoEcho"] == json!("true") {
                        return json!("****");
                    }
                    let given = self.parameters.get(name).map(|value| json!(value));
                    let default = || parameter.get("Default").cloned();
                    given.or_else(default).unwrap_or_else(|| json!(UNKNOWN))
                }
                Some((key, _)) if key.starts_with("Fn::") => json!(UNKNOWN),
                _ => members.iter().map(|(k, v)| (k.clone(), self.resolved(v))).collect(),
            },
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            other => other.clone(),
        }
    }
}

/// What stands for a value that is not known yet.
const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";
