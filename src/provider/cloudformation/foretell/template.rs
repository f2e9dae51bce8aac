//! A template's values, worked out as far as it tells by itself: parameters' defaults, conditions,
//! mappings. What only the service knows stays as it is written.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Deeper nesting, or conditions that name each other in a ring, stay as they are written.
const DEPTH_MAX: usize = 64;

/// A template's sections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template<'a>(&'a Value);

/// What a value takes from elsewhere in its template.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Source {
    Parameter(String),
    Condition(String),
    Mapping(String),
    /// Another resource's identifier, or an attribute of it.
    Resource(String, Option<String>),
}

impl<'a> Template<'a> {
    /// `None`: it has no resources, and is no template.
    pub(super) fn new(value: &'a Value) -> Option<Self> {
        value.get("Resources")?.as_object()?;
        Some(Self(value))
    }

    fn section(self, name: &str) -> Option<&'a Map<String, Value>> {
        self.0.get(name)?.as_object()
    }

    pub(super) fn resources(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.section("Resources").into_iter().flatten();
        resources.map(|(name, resource)| (name.as_str(), resource))
    }

    pub(super) fn resource(self, name: &str) -> Option<&'a Value> {
        self.section("Resources")?.get(name)
    }

    /// What a source is defined as.
    pub(super) fn definition(self, source: &Source) -> Option<&'a Value> {
        match source {
            Source::Parameter(name) => self.section("Parameters")?.get(name),
            Source::Condition(name) => self.section("Conditions")?.get(name),
            Source::Mapping(name) => self.section("Mappings")?.get(name),
            Source::Resource(name, _) => self.resource(name),
        }
    }

    /// Whether a condition holds, where the template alone tells.
    pub(super) fn holds(self, name: &str) -> Option<bool> {
        self.condition(name, 0)?.as_bool()
    }

    /// The value with all that the template tells put in. Nothing at all is `null`, which no template
    /// may hold.
    pub(super) fn worked_out(self, value: &Value) -> Value {
        self.value(value, 0)
    }

    fn value(self, value: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return value.clone();
        }
        let inner = |value: &Value| self.value(value, depth + 1);
        match value {
            Value::Array(items) => items.iter().map(inner).filter(|item| !item.is_null()).collect(),
            Value::Object(object) => match function(value) {
                Some(("Ref", name)) => self.reference(name).unwrap_or_else(|| value.clone()),
                Some(("Fn::If", arguments)) => self.choice(arguments, depth),
                Some(("Fn::FindInMap", arguments)) => self.looked_up(&inner(arguments)),
                Some(("Fn::Join", arguments)) => joined(&inner(arguments)),
                Some(("Fn::Sub", arguments)) => self.substituted(arguments, depth),
                Some((name @ ("Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not"), arguments)) => {
                    decided(name, &inner(arguments))
                }
                _ => {
                    let entries = object.iter().map(|(key, value)| (key.clone(), inner(value)));
                    Value::Object(entries.filter(|(_, value)| !value.is_null()).collect())
                }
            },
            other => other.clone(),
        }
    }

    fn reference(self, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        if name == "AWS::NoValue" {
            return Some(Value::Null);
        }
        let parameter = self.section("Parameters")?.get(name)?;
        let default = parameter.get("Default")?;
        let kind = parameter.get("Type").and_then(Value::as_str).unwrap_or_default();
        Some(match default {
            // Its value lies elsewhere: the default is where.
            _ if kind.starts_with("AWS::SSM::Parameter::Value<") => {
                json!({"Fn::Stored": [kind, default]})
            }
            Value::String(text) if kind.contains("List") => {
                text.split(',').map(|item| Value::from(item.trim())).collect()
            }
            other => text(other).map_or_else(|| other.clone(), Value::String),
        })
    }

    /// `null`: there is no such condition.
    fn condition(self, name: &str, depth: usize) -> Option<Value> {
        let definition = self.section("Conditions")?.get(name)?;
        Some(self.decision(definition, depth + 1))
    }

    /// As [`Template::value`], where `Condition` names one.
    fn decision(self, value: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return value.clone();
        }
        match function(value) {
            Some(("Condition", Value::String(name))) => {
                self.condition(name, depth).unwrap_or_else(|| value.clone())
            }
            Some((name @ ("Fn::And" | "Fn::Or" | "Fn::Not"), Value::Array(items))) => {
                decided(name, &items.iter().map(|item| self.decision(item, depth + 1)).collect())
            }
            _ => self.value(value, depth),
        }
    }

    fn choice(self, arguments: &Value, depth: usize) -> Value {
        let Some([Value::String(name), yes, no]) = arguments.as_array().map(Vec::as_slice) else {
            return json!({"Fn::If": arguments});
        };
        let condition = self.condition(name, depth);
        match condition.as_ref().and_then(Value::as_bool) {
            Some(true) => self.value(yes, depth + 1),
            Some(false) => self.value(no, depth + 1),
            None => {
                let (yes, no) = (self.value(yes, depth + 1), self.value(no, depth + 1));
                json!({"Fn::If": [condition, yes, no]})
            }
        }
    }

    /// Where the first key is not known, what may be found stands for it.
    fn looked_up(self, arguments: &Value) -> Value {
        let keep = || json!({"Fn::FindInMap": arguments});
        let Some([map, first, second, ..]) = arguments.as_array().map(Vec::as_slice) else {
            return keep();
        };
        let map = map.as_str().and_then(|name| self.section("Mappings")?.get(name)?.as_object());
        let (Some(map), Some(second)) = (map, text(second)) else { return keep() };
        match text(first) {
            Some(first) => {
                map.get(&first).and_then(|m| m.get(&second)).cloned().unwrap_or_else(keep)
            }
            None => {
                let some =
                    map.iter().filter_map(|(k, v)| Some((k.clone(), v.get(&second)?.clone())));
                json!({"Fn::FindInMap": [Value::Object(some.collect()), first]})
            }
        }
    }

    fn substituted(self, arguments: &Value, depth: usize) -> Value {
        let (pattern, given) = match arguments {
            Value::String(pattern) => (pattern.as_str(), None),
            Value::Array(both) => match both.as_slice() {
                [Value::String(pattern), Value::Object(given)] => (pattern.as_str(), Some(given)),
                _ => return json!({"Fn::Sub": arguments}),
            },
            _ => return json!({"Fn::Sub": arguments}),
        };
        let (mut out, mut open) = (Vec::new(), false);
        for piece in pieces(pattern) {
            let value = match piece {
                Piece::Text(text) => Value::from(text),
                Piece::Name(name) => match given.and_then(|given| given.get(name)) {
                    Some(value) => self.value(value, depth + 1),
                    None => self
                        .reference(&Value::from(name))
                        .unwrap_or_else(|| json!({"Fn::Sub": format!("${{{name}}}")})),
                },
            };
            open |= text(&value).is_none();
            out.push(value);
        }
        if open {
            // One list of what it is made of: names that stand for the same value are the same.
            return json!({"Fn::Join": ["", out]});
        }
        Value::String(out.iter().filter_map(text).collect())
    }

    /// What a value takes from elsewhere: also what conditions that it names take.
    pub(super) fn sources(self, value: &Value, out: &mut BTreeSet<Source>) {
        match function(value) {
            Some(("Ref", Value::String(name))) => self.source(name, None, out),
            Some(("Fn::GetAtt", arguments)) => {
                let parts =
                    arguments.as_array().map(|parts| parts.iter().filter_map(Value::as_str));
                let parts: Option<Vec<_>> = parts.map(Iterator::collect);
                let whole = parts.map(|p| p.join(".")).or(arguments.as_str().map(Into::into));
                if let Some((name, attribute)) = whole.as_deref().and_then(|w| w.split_once('.')) {
                    self.source(name, Some(attribute), out);
                }
            }
            Some(("Fn::Sub", arguments)) => {
                let pattern = arguments.as_str().or_else(|| arguments.get(0)?.as_str());
                let given = arguments.get(1).and_then(Value::as_object);
                for piece in pieces(pattern.unwrap_or_default()) {
                    let Piece::Name(name) = piece else { continue };
                    if given.is_some_and(|given| given.contains_key(name)) {
                        continue;
                    }
                    match name.split_once('.') {
                        Some((name, attribute)) => self.source(name, Some(attribute), out),
                        None => self.source(name, None, out),
                    }
                }
                given.into_iter().flat_map(Map::values).for_each(|v| self.sources(v, out));
            }
            Some(("Condition", Value::String(name))) => self.of_condition(name, out),
            Some((name, arguments)) => {
                let first = arguments.get(0).and_then(Value::as_str);
                match (name, first) {
                    ("Fn::If", Some(condition)) => self.of_condition(condition, out),
                    ("Fn::FindInMap", Some(map)) => {
                        out.insert(Source::Mapping(map.to_owned()));
                    }
                    _ => {}
                }
                self.sources(arguments, out);
            }
            None => match value {
                Value::Array(items) => items.iter().for_each(|item| self.sources(item, out)),
                Value::Object(object) => object.values().for_each(|v| self.sources(v, out)),
                _ => {}
            },
        }
    }

    fn source(self, name: &str, attribute: Option<&str>, out: &mut BTreeSet<Source>) {
        let parameter = Source::Parameter(name.to_owned());
        if attribute.is_none() && self.definition(&parameter).is_some() {
            out.insert(parameter);
        } else if self.resource(name).is_some() {
            out.insert(Source::Resource(name.to_owned(), attribute.map(ToOwned::to_owned)));
        }
    }

    fn of_condition(self, name: &str, out: &mut BTreeSet<Source>) {
        let source = Source::Condition(name.to_owned());
        // Looked into once: those that name each other end there.
        if let Some(definition) = self.definition(&source)
            && out.insert(source)
        {
            self.sources(definition, out);
        }
    }
}

/// The one function that an object is.
pub(super) fn function(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let (name, arguments) = object.iter().next().filter(|_| object.len() == 1)?;
    let is = name == "Ref" || name == "Condition" || name.starts_with("Fn::");
    is.then_some((name.as_str(), arguments))
}

/// A plain value as CloudFormation takes it: all of them are text.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn joined(arguments: &Value) -> Value {
    let plain = |arguments: &Value| {
        let items = arguments.get(1)?.as_array()?;
        let items: Option<Vec<String>> = items.iter().map(text).collect();
        Some(Value::String(items?.join(arguments.get(0)?.as_str()?)))
    };
    plain(arguments).unwrap_or_else(|| json!({"Fn::Join": arguments}))
}

fn decided(name: &str, arguments: &Value) -> Value {
    let items = arguments.as_array().map(Vec::as_slice).unwrap_or_default();
    let known = || items.iter().map(Value::as_bool);
    let verdict = match (name, items) {
        ("Fn::Equals", [one, other]) => match (text(one), text(other)) {
            (Some(one), Some(other)) => Some(one == other),
            _ => None,
        },
        ("Fn::Not", [one]) => one.as_bool().map(|is| !is),
        ("Fn::And", _) if known().any(|k| k == Some(false)) => Some(false),
        ("Fn::And", _) => known().all(|k| k == Some(true)).then_some(true),
        ("Fn::Or", _) if known().any(|k| k == Some(true)) => Some(true),
        ("Fn::Or", _) => known().all(|k| k == Some(false)).then_some(false),
        _ => None,
    };
    verdict.map_or_else(|| json!({name: arguments}), Value::Bool)
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// The text and the `${names}` of a `Fn::Sub`; `${!literal}` is text.
fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let (mut out, mut rest) = (Vec::new(), pattern);
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}') else { break };
        let (before, inner) = (&rest[..at], &rest[at + 2..at + end]);
        out.extend((!before.is_empty()).then_some(Piece::Text(before)));
        match inner.strip_prefix('!') {
            Some(_) => out.push(Piece::Text(&rest[at..=at + end])),
            None => out.push(Piece::Name(inner.trim())),
        }
        rest = &rest[at + end + 1..];
    }
    out.extend((!rest.is_empty()).then_some(Piece::Text(rest)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(more: &Value, value: &Value) -> String {
        let mut template = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}});
        template.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Template::new(&template).unwrap().worked_out(value).to_string()
    }

    #[test]
    fn what_a_template_tells_is_put_in_and_the_rest_stays() {
        let more = json!({
            "Parameters": {
                "Name": {"Type": "String", "Default": "orders"},
                "Count": {"Type": "Number", "Default": 3},
                "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
                "Image": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/image"},
                "Asked": {"Type": "String"},
            },
            "Conditions": {
                "Many": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Count"}, "1"]}]},
                "Here": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-north-1"]},
                "Both": {"Fn::And": [{"Condition": "Many"}, {"Condition": "Here"}]},
                "Either": {"Fn::Or": [{"Condition": "Many"}, {"Condition": "Here"}]},
                "Ring": {"Fn::Not": [{"Condition": "Ring"}]},
            },
            "Mappings": {"Sizes": {"dev": {"disk": 10}, "prod": {"disk": 100, "cpu": 2}}},
        });
        let show = |value: Value| show(&more, &value);
        insta::assert_snapshot!(show(json!([
            {"Ref": "Name"}, {"Ref": "Count"}, {"Ref": "Zones"}, {"Ref": "Image"}, {"Ref": "Asked"},
        ])), @r#"["orders","3",["a","b"],{"Fn::Stored":["AWS::SSM::Parameter::Value<String>","/image"]},{"Ref":"Asked"}]"#);
        insta::assert_snapshot!(show(json!({
            "Many": {"Fn::If": ["Many", {"Ref": "Name"}, "no"]},
            "Either": {"Fn::If": ["Either", "yes", "no"]},
            "Gone": {"Fn::If": ["Many", {"Ref": "AWS::NoValue"}, "no"]},
        })), @r#"{"Either":"yes","Many":"orders"}"#);
        insta::assert_snapshot!(show(json!({"Fn::If": ["Both", 1, 2]})), @r#"{"Fn::If":[{"Fn::And":[true,{"Fn::Equals":[{"Ref":"AWS::Region"},"eu-north-1"]}]},1,2]}"#);
        insta::assert_snapshot!(show(json!({"Fn::FindInMap": ["Sizes", "prod", "disk"]})), @"100");
        insta::assert_snapshot!(show(json!({"Fn::FindInMap": ["Sizes", {"Ref": "Asked"}, "disk"]})), @r#"{"Fn::FindInMap":[{"dev":10,"prod":100},{"Ref":"Asked"}]}"#);
        insta::assert_snapshot!(show(json!({"Fn::Sub": "a-${Name}-${Count}-${!Name}"})), @r#""a-orders-3-${!Name}""#);
        insta::assert_snapshot!(show(json!({"Fn::Sub": ["${x}/${Queue.Arn}", {"x": {"Ref": "Name"}}]})), @r#"{"Fn::Join":["",["orders","/",{"Fn::Sub":"${Queue.Arn}"}]]}"#);
        insta::assert_snapshot!(show(json!({"Fn::Join": ["-", [{"Ref": "Name"}, 1]]})), @r#""orders-1""#);
        assert!(show(json!({"Fn::If": ["Ring", 1, 2]})).contains("Ring"), "it ends");
    }

    #[test]
    fn mistakes_stay_as_they_are_written() {
        for value in [
            json!({"Fn::If": "x"}),
            json!({"Fn::If": ["None", 1]}),
            json!({"Fn::FindInMap": []}),
            json!({"Fn::Sub": 7}),
            json!({"Fn::Sub": ["${a}"]}),
            json!({"Fn::Join": "x"}),
            json!({"Fn::Equals": [1]}),
            json!({"Ref": ["x"]}),
            json!({"Fn::Sub": "${open"}),
        ] {
            let shown = show(&json!({}), &value);
            let plain = value == json!({"Fn::Sub": "${open"});
            assert_eq!(shown, if plain { "\"${open\"".to_owned() } else { value.to_string() });
        }
    }

    #[test]
    fn sources_are_followed_through_conditions() {
        let template = json!({
            "Parameters": {"Stage": {"Type": "String"}},
            "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
            "Resources": {"Queue": {}, "Topic": {}},
        });
        let value = json!({
            "A": {"Fn::If": ["IsProd", {"Fn::GetAtt": ["Queue", "Arn"]}, {"Fn::GetAtt": "Queue.Url.X"}]},
            "B": {"Fn::Sub": ["${Topic}-${given}", {"given": {"Fn::FindInMap": ["M", "a", "b"]}}]},
        });
        let mut sources = BTreeSet::new();
        Template::new(&template).unwrap().sources(&value, &mut sources);
        insta::assert_snapshot!(format!("{sources:?}"), @r#"{Parameter("Stage"), Condition("IsProd"), Mapping("M"), Resource("Queue", Some("Arn")), Resource("Queue", Some("Url.X")), Resource("Topic", None)}"#);
    }
}
