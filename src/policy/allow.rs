//! Which types of resources may be made.

use serde_json::Value;

use crate::model::{Artifact, Place};

/// A list of types that may be made, with `*`.
#[derive(Clone, PartialEq, Debug)]
pub struct Allowed {
    /// The patterns.
    pub patterns: Vec<String>,
    /// Where they are written.
    pub place: Place,
}

impl Allowed {
    /// Whether a type is on the list.
    pub fn allows(&self, kind: &str) -> bool {
        self.patterns.iter().any(|pattern| crate::model::matches(pattern, kind))
    }
}

/// A resource that is not on the list; its logical id, and its type where that can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outside {
    /// The logical id.
    pub name: String,
    /// The type.
    pub kind: Option<String>,
}

/// Resources of a rendered stack template that a list does not allow. What cannot be told is outside:
/// a macro may write anything.
pub fn outside(allowed: &Allowed, artifact: &Artifact) -> Vec<Outside> {
    let Some(resources) = template(artifact).as_ref().map(listed) else {
        return vec![Outside { name: "Transform".into(), kind: None }];
    };
    let is_outside = |kind: &Option<String>| kind.as_deref().is_none_or(|k| !allowed.allows(k));
    let outside = resources.into_iter().filter(|(_, kind)| is_outside(kind));
    outside.map(|(name, kind)| Outside { name, kind }).collect()
}

/// The template, when its resources are those that it names.
fn template(artifact: &Artifact) -> Option<Value> {
    let mut files = artifact.files.values();
    let (Some(text), None) = (files.next(), files.next()) else { return None };
    let template: Value = serde_json::from_str(text).ok()?;
    let tells = match template.get("Transform") {
        None => template.get("Fn::Transform").is_none(),
        // Its loops are read below; it brings nothing of its own.
        Some(Value::String(name)) => name == EXTENSIONS,
        Some(Value::Array(names)) => names.iter().all(|name| name == EXTENSIONS),
        Some(_) => false,
    };
    tells.then_some(template)
}

const EXTENSIONS: &str = "AWS::LanguageExtensions";

fn listed(template: &Value) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    list(template.get("Resources"), &mut found);
    found
}

fn list(resources: Option<&Value>, found: &mut Vec<(String, Option<String>)>) {
    match resources {
        Some(Value::Object(resources)) => {
            for (name, resource) in resources {
                match resource {
                    // `Fn::ForEach::<name>: [identifier, items, {<id>: <resource>}]`
                    Value::Array(parts) if name.starts_with("Fn::ForEach::") => {
                        list(parts.get(2), found);
                    }
                    resource => {
                        let own = resource.get("Type").and_then(Value::as_str);
                        // A macro at a resource may rewrite all of it, and a loop its type.
                        let is_plain = |kind: &&str| {
                            !kind.contains('{') && resource.get("Fn::Transform").is_none()
                        };
                        found.push((name.clone(), own.filter(is_plain).map(str::to_owned)));
                    }
                }
            }
        }
        None => {}
        Some(_) => found.push(("Resources".into(), None)),
    }
}
