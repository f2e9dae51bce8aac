//! `Fn::ForEach` in a template's resources, written out: by itself such an entry looks like a resource
//! without a type.
//!
//! What the template alone tells is written out: a list that stands there, or the default of a parameter
//! that is one. An entry over anything else stands once, under the name with its placeholder.

use serde_json::{Map, Value};

/// How such an entry's name begins.
const EACH: &str = "Fn::ForEach::";

/// Entries within entries: the service takes no more.
const DEPTH: usize = 5;

/// Resources that are written out at most: CloudFormation's quota for a template. What is more is refused there.
const MOST: usize = 500;

/// Bodies that are gone through at most: what is written out may be one name again and again.
const TURNS: usize = 20_000;

/// The template with its resources written out.
pub(super) fn written_out(mut template: Value) -> Value {
    let Some(resources) = template.get("Resources").and_then(Value::as_object) else {
        return template;
    };
    if !resources.keys().any(|name| name.starts_with(EACH)) {
        return template;
    }
    let (mut all, mut turns) = (Map::new(), TURNS);
    for (name, resource) in resources {
        write_out(&template, name, resource, DEPTH, (&mut all, &mut turns));
    }
    template["Resources"] = Value::Object(all);
    template
}

fn write_out(
    template: &Value,
    name: &str,
    entry: &Value,
    depth: usize,
    (all, turns): (&mut Map<String, Value>, &mut usize),
) {
    let Some(left) = turns.checked_sub(1).filter(|_| all.len() < MOST) else { return };
    *turns = left;
    if !name.starts_with(EACH) || depth == 0 {
        all.insert(name.to_owned(), entry.clone());
        return;
    }
    let parts = entry.as_array().map(Vec::as_slice);
    let Some([Value::String(placeholder), collection, Value::Object(bodies)]) = parts else {
        all.insert(name.to_owned(), entry.clone());
        return;
    };
    for value in values(template, collection).unwrap_or_else(|| vec![format!("${{{placeholder}}}")])
    {
        for (key, body) in bodies {
            if *turns == 0 {
                return;
            }
            let put = |text: &str| put(text, placeholder, &value);
            write_out(template, &put(key), &with(body, &put), depth - 1, (&mut *all, &mut *turns));
        }
    }
}

/// What an entry is over, where the template alone tells.
fn values(template: &Value, collection: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(items) = collection.as_array() {
        return items.iter().map(text).collect();
    }
    let parameter = template.get("Parameters")?.get(collection.get("Ref")?.as_str()?)?;
    let is_list = parameter.get("Type")?.as_str()? == "CommaDelimitedList";
    let default = parameter.get("Default")?.as_str().filter(|_| is_list)?;
    Some(default.split(',').map(|item| item.trim().to_owned()).collect())
}

/// `&{…}` leaves out what no logical id may have.
fn put(text: &str, placeholder: &str, value: &str) -> String {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = if value.starts_with("${") { value } else { &plain };
    text.replace(&format!("${{{placeholder}}}"), value)
        .replace(&format!("&{{{placeholder}}}"), plain)
}

fn with(value: &Value, put: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(put(text)),
        Value::Array(items) => items.iter().map(|item| with(item, put)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (put(key), with(value, put))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_template_tells_is_written_out_and_nothing_else() {
        let queue =
            |name: &str| json!({"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}});
        let template = written_out(json!({
            "Parameters": {
                "Names": {"Type": "CommaDelimitedList", "Default": "x, y"},
                "Other": {"Type": "CommaDelimitedList"},
            },
            "Resources": {
                "Fn::ForEach::Two": ["N", ["a.b", "c"], {"Queue&{N}": queue("${N}")}],
                "Fn::ForEach::Param": ["N", {"Ref": "Names"}, {"Of${N}": queue("q-${N}")}],
                "Fn::ForEach::Later": ["N", {"Ref": "Other"}, {"Later${N}": queue("${N}")}],
                "Fn::ForEach::Outer": ["A", ["1", "2"], {
                    "Fn::ForEach::Inner": ["B", ["3", "4"], {"In${A}${B}": queue("${A}-${B}")}],
                }],
                "Fn::ForEach::Odd": "none",
                "Plain": queue("p"),
            },
        }));
        let names = |resource: (&String, &Value)| {
            format!(
                "{} {}",
                resource.0,
                resource.1["Properties"]["QueueName"].as_str().unwrap_or("-")
            )
        };
        let all: Vec<String> =
            template["Resources"].as_object().unwrap().iter().map(names).collect();
        assert_eq!(
            all.join("\n"),
            "Fn::ForEach::Odd -\nIn13 1-3\nIn14 1-4\nIn23 2-3\nIn24 2-4\nLater${N} ${N}\nOfx q-x\nOfy q-y\nPlain p\nQueueab a.b\nQueuec c"
        );
        let again = written_out(template.clone());
        assert_eq!(again, template, "again: nothing");
    }

    #[test]
    fn a_list_of_lists_does_not_grow_without_end() {
        let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let mut body = json!({"R${A}${B}${C}": {"Type": "T"}});
        for name in ["C", "B", "A"] {
            body = json!({format!("Fn::ForEach::{name}"): [name, many, body]});
        }
        let template = written_out(json!({"Resources": body}));
        assert_eq!(template["Resources"].as_object().unwrap().len(), MOST);
    }
}
