//! What AWS refuses and the server takes.

use serde_json::Value;

use super::super::call::{Answer, Call, Sent};
use super::{ask, form_parameters};

/// The refusal of a call, where AWS would refuse it.
pub(super) async fn of(upstream: &str, call: &Call, sent: &Sent) -> Option<Answer> {
    let takes_template = ["CreateStack", "UpdateStack", "CreateChangeSet"];
    if !takes_template.contains(&call.action.as_str()) {
        return None;
    }
    if let Some(text) = serde_json::from_str(call.get("TemplateBody"))
        .ok()
        .and_then(|template| unknown_parameters(call, &template).or_else(|| unresolved(&template)))
    {
        return Some(Answer::error(400, "ValidationError", &text));
    }
    if call.action == "CreateStack" {
        return None;
    }
    let answer = ask(upstream, sent, "DescribeStacks", call.get("StackName")).await;
    let (status, id) = (answer.element("StackStatus")?, answer.element("StackId")?);
    let text = if call.kind == "CREATE" {
        (status != "REVIEW_IN_PROGRESS" && status != "DELETE_COMPLETE").then(|| {
            let set = call.get("ChangeSetName");
            let stack = &call.stack;
            format!("Stack [{stack}] already exists and cannot be created again with the changeSet [{set}].")
        })
    } else {
        (!updatable(&status))
            .then(|| format!("Stack:{id} is in {status} state and can not be updated."))
    };
    Some(Answer::error(400, "ValidationError", &text?))
}

/// By the table of stack states in CloudFormation's user guide.
fn updatable(status: &str) -> bool {
    [
        "CREATE_COMPLETE",
        "CREATE_FAILED",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    ]
    .contains(&status)
}

fn unknown_parameters(call: &Call, template: &Value) -> Option<String> {
    let known = |name: &String| template["Parameters"].get(name).is_some();
    let mut unknown: Vec<String> =
        form_parameters(&call.form, None).into_keys().filter(|name| !known(name)).collect();
    unknown.sort();
    let listed = unknown.join(", ");
    (!unknown.is_empty()).then(|| format!("Parameters: [{listed}] do not exist in the template"))
}

fn unresolved(template: &Value) -> Option<String> {
    let mut missing = Vec::new();
    references(&template["Resources"], &mut |name| {
        let known = name.starts_with("AWS::")
            || template["Resources"].get(name).is_some()
            || template["Parameters"].get(name).is_some();
        if !known && !missing.contains(&name.to_owned()) {
            missing.push(name.to_owned());
        }
    });
    let listed = missing.join(", ");
    (!missing.is_empty()).then(|| {
        format!(
            "Template format error: Unresolved resource dependencies [{listed}] in the Resources \
             block of the template"
        )
    })
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                match (name.as_str(), inner) {
                    ("Ref", Value::String(name)) => found(name),
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        found(parts.first().and_then(Value::as_str).unwrap_or_default());
                    }
                    ("Fn::GetAtt", Value::String(path)) => {
                        found(path.split('.').next().unwrap_or_default());
                    }
                    _ => references(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
