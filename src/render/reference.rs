//! CloudFormation's dynamic references, which no value may begin: `{{resolve:…}}` is found by the
//! service also in what its functions put together.

use serde_json::Value;

use crate::yaml::{Data, Node};

/// How they begin.
pub(super) const RESOLVE: &str = "{{resolve:";

/// Whether a value could be the first or the last part of such a beginning. A brace alone is not
/// enough: what follows it would have to be the rest.
pub(super) fn may_complete(value: &str) -> bool {
    may_end(value) || may_begin(value)
}

/// Whether a text ends with the first part of it, `{{` at least.
pub(super) fn may_end(text: &str) -> bool {
    (2..RESOLVE.len()).any(|n| text.ends_with(&RESOLVE[..n]))
}

/// Whether a text begins with all of it but its first brace.
pub(super) fn may_begin(text: &str) -> bool {
    text.starts_with(&RESOLVE[1..])
}

/// As [`may_complete`], for whatever stands in a value.
pub(super) fn may_complete_in(value: &Value) -> bool {
    match value {
        Value::String(text) => may_complete(text),
        Value::Array(items) => items.iter().any(may_complete_in),
        Value::Object(map) => map.values().any(may_complete_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a function puts the beginning of a reference together from parts that are none.
pub(super) fn is_assembled(node: &Node) -> bool {
    let Some((name, argument)) = function(node) else { return false };
    match name {
        "Fn::Join" | "Fn::Sub" => {
            let mut text = Text::default();
            text.put(node);
            text.holds_assembled()
        }
        // What is split is put together again without what parted it.
        "Fn::Split" => is_split(argument),
        _ => false,
    }
}

fn function(node: &Node) -> Option<(&str, &Node)> {
    match &node.data {
        Data::Map(entries) => match &entries[..] {
            [(key, argument)] => Some((key.name.as_str(), argument)),
            _ => None,
        },
        _ => None,
    }
}

fn is_split(argument: &Node) -> bool {
    let Data::List(parts) = &argument.data else { return false };
    let [Node { data: Data::String(delimiter), .. }, parted] = &parts[..] else { return false };
    let mut text = Text::default();
    text.put(parted);
    !delimiter.is_empty() && text.all.replace(delimiter, "").contains(RESOLVE)
}

/// What a function comes to, part by part.
#[derive(Default)]
struct Text {
    all: String,
    /// Where each part ends.
    ends: Vec<usize>,
}

/// Stands for what only the service knows.
const ANYTHING: &str = "\u{FFFF}";

impl Text {
    fn part(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    fn holds_assembled(&self) -> bool {
        let across = |at: usize| self.ends.iter().any(|end| at < *end && *end < at + RESOLVE.len());
        self.all.match_indices(RESOLVE).any(|(at, _)| across(at))
    }

    fn put(&mut self, node: &Node) {
        match (&node.data, function(node)) {
            (Data::String(text), _) => self.part(text),
            (Data::Number(number), _) => self.part(&number.to_string()),
            (Data::Bool(yes), _) => self.part(if *yes { "true" } else { "false" }),
            (_, Some(("Fn::Join", argument))) => self.join(argument),
            (_, Some(("Fn::Sub", argument))) => self.sub(argument),
            _ => self.part(ANYTHING),
        }
    }

    fn join(&mut self, argument: &Node) {
        let Data::List(parts) = &argument.data else { return self.part(ANYTHING) };
        let [delimiter, items] = &parts[..] else { return self.part(ANYTHING) };
        let Data::List(items) = &items.data else { return self.part(ANYTHING) };
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.put(delimiter);
            }
            self.put(item);
        }
    }

    fn sub(&mut self, argument: &Node) {
        let (text, variables) = match &argument.data {
            Data::String(text) => (text.as_str(), None),
            Data::List(parts) => match &parts[..] {
                [Node { data: Data::String(text), .. }, variables] => {
                    (text.as_str(), Some(variables))
                }
                _ => return self.part(ANYTHING),
            },
            _ => return self.part(ANYTHING),
        };
        let variable = |name: &str| match &variables?.data {
            Data::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, v)| v),
            _ => None,
        };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            self.part(before);
            let Some((name, then)) = after.split_once('}') else { break };
            match (name.strip_prefix('!'), variable(name)) {
                (Some(literal), _) => self.part(&format!("${{{literal}}}")),
                (None, Some(value)) => self.put(value),
                (None, None) => self.part(ANYTHING),
            }
            rest = then;
        }
        self.part(rest);
    }
}
