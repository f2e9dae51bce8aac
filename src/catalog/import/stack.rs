//! What a CloudFormation template tells about the template that it becomes.

use serde_json::{Map, Value, json};

use super::{changed, entries, line_of, text_of};
use crate::model::Diagnostic;
use crate::yaml::Node;

/// Settings that its resources need.
pub(super) fn settings(stack: &Node, stack_name: Option<&str>) -> Map<String, Value> {
    let mut with = Map::new();
    let types = || entries(stack.get("Resources")).iter().filter_map(|(_, r)| text_of(r, "Type"));
    let mut capabilities = Vec::new();
    if types().any(|kind| kind.starts_with("AWS::IAM::")) {
        capabilities.push("CAPABILITY_NAMED_IAM");
    }
    if stack.get("Transform").is_some() || types().any(|kind| kind == "AWS::CloudFormation::Stack")
    {
        capabilities.push("CAPABILITY_AUTO_EXPAND");
    }
    if !capabilities.is_empty() {
        with.insert("capabilities".into(), json!(capabilities));
    }
    if let Some(name) = stack_name {
        with.insert("stackName".into(), json!(name));
    }
    with
}

/// Its outputs, as those of the component `stack`.
pub(super) fn outputs(
    file: &str,
    stack: &Node,
    notes: &mut Vec<Diagnostic>,
) -> Vec<(String, Value)> {
    let mut outputs = Vec::new();
    for (key, output) in entries(stack.get("Outputs")) {
        let mut value = json!({"from": format!("stack.{}", key.name)});
        if let Some(about) = text_of(output, "Description") {
            value["description"] = json!(about.trim());
        }
        if output.get("Condition").is_some() {
            let message = format!(
                "output `{}` is there under a condition only, and a template's outputs are promised",
                crate::model::escape(&key.name, 80)
            );
            notes.push(
                changed(file, key.span.start.line, message)
                    .help("take it out of `outputs`, or give it in every case"),
            );
        }
        if output.get("Export").is_some() {
            let line = output.get("Export").map_or(1, line_of);
            let message = "an export stays in the stack; users of vend refer to the output instead";
            notes.push(changed(file, line, message));
        }
        outputs.push((key.name.clone(), value));
    }
    outputs
}
