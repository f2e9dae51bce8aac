//! What of a template's values is not to be shown: those of parameters that are `NoEcho`, and those that
//! CloudFormation fetches from where secrets are kept. The service hides most of them too; that alone is not
//! relied on.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{Artifact, HIDDEN};
use crate::yaml;

/// A value shorter than this is not looked for in what others say: too much else looks like it.
const LEAST: usize = 4;

/// A template as it stands in its stack: vend's are JSON, a person's may be YAML.
pub(super) fn parsed(text: &str) -> Option<Value> {
    if let Ok(template) = serde_json::from_str(text) {
        return Some(template);
    }
    let name = Arc::from("template");
    let nodes = yaml::read(&name, text.as_bytes(), &yaml::Options::rendered()).ok()?;
    Some(nodes.first()?.to_json())
}

/// The values that a template has for parameters that are not to be shown.
pub(super) fn values(template: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().map(str::to_owned).unwrap_or_else(|| v.to_string());
    let defaults = secrets(template).filter_map(|(_, parameter)| parameter.get("Default"));
    defaults.map(text).filter(|t| !t.is_empty()).collect()
}

/// Those of all templates in an artifact. One that is no template has none.
pub fn hidden(artifact: &Artifact) -> Vec<String> {
    let told = artifact.files.values().filter(|text| text.contains("NoEcho"));
    told.filter_map(|text| parsed(text)).flat_map(|template| values(&template)).collect()
}

/// What somebody else says, without those of `hidden` that it repeats.
pub fn masked(text: String, hidden: &[String]) -> String {
    // The longest first: another may be the beginning of it.
    let mut long: Vec<&String> = hidden.iter().filter(|value| value.len() >= LEAST).collect();
    long.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    long.into_iter().fold(text, |text, value| {
        if text.contains(value.as_str()) { text.replace(value.as_str(), HIDDEN) } else { text }
    })
}

/// A value, unless it has one of `hidden` in it.
pub(super) fn shown(value: &str, hidden: &[String]) -> String {
    let secret = hidden.iter().any(|h| value.contains(h.as_str()));
    if secret { HIDDEN.to_owned() } else { value.to_owned() }
}

fn secrets(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let parameters = template.get("Parameters").and_then(Value::as_object);
    let all = parameters.into_iter().flatten();
    all.filter(|(_, p)| p.get("NoEcho").is_some_and(|n| *n == true || n == "true"))
}

/// Whether the value of a property may be seen by nobody: what the template says of it has such a parameter
/// in it, or a reference to a secret. One of which the template says nothing is not shown either.
///
/// `path` is as CloudFormation writes it: `/Tags/0/Value`.
pub(super) fn is_secret(template: &Value, resource: &str, path: &str) -> bool {
    let properties = template.get("Resources").and_then(|r| r.get(resource)?.get("Properties"));
    let Some(mut said) = properties else { return true };
    // Below an intrinsic function nothing can be followed: all of it counts.
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let next = match said {
            Value::Array(items) => part.parse().ok().and_then(|n: usize| items.get(n)),
            said => said.get(part),
        };
        match next {
            Some(next) => said = next,
            None => break,
        }
    }
    let names: Vec<&str> = secrets(template).map(|(name, _)| name.as_str()).collect();
    mentions(said, &names)
}

fn mentions(said: &Value, names: &[&str]) -> bool {
    match said {
        Value::String(text) => {
            text.contains("{{resolve:")
                || names.iter().any(|name| text == name || text.contains(&format!("${{{name}}}")))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, names)),
        Value::Object(map) => map.values().any(|value| mentions(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_comes_from_a_secret_is_known_by_the_template() {
        let template = json!({
            "Parameters": {
                "Word": {"Type": "String", "NoEcho": true, "Default": "hush"},
                "Size": {"Type": "Number", "Default": 5},
            },
            "Resources": {"Db": {"Type": "T", "Properties": {
                "Size": {"Ref": "Size"},
                "Password": {"Ref": "Word"},
                "Url": {"Fn::Sub": "https://me:${Word}@db"},
                "Key": "{{resolve:secretsmanager:key}}",
                "Tags": [{"Key": "a", "Value": "b"}, {"Key": "a", "Value": {"Ref": "Word"}}],
                "Either": {"Fn::If": ["X", {"Deep": {"Ref": "Word"}}, {"Deep": 1}]},
            }}},
        });
        let secret = |path: &str| is_secret(&template, "Db", path);
        for path in ["/Password", "/Url", "/Key", "/Tags/1/Value", "/Tags", "/Either/Deep", "/New"]
        {
            assert!(secret(path), "{path}");
        }
        for path in ["/Size", "/Tags/0/Value"] {
            assert!(!secret(path), "{path}");
        }
        assert!(is_secret(&template, "Other", "/Size"), "nothing is known of it");
        assert_eq!(values(&template), ["hush"]);
        assert_eq!(shown("a hush b", &values(&template)), HIDDEN);
        let file = ("stack.json".to_owned(), template.to_string());
        let hidden = hidden(&Artifact { files: [file].into(), digest: None });
        assert_eq!(masked("`hush` is too short".into(), &hidden), "`(sensitive)` is too short");
    }
}
