//! Changes that a template's schema forbids, found before anything is merged.

use std::sync::Arc;

use crate::model::{ChangeRule, Desired, Diagnostic, Place, Record, quote};
use crate::plan;
use crate::yaml::{self, Node};

/// What in the file `text` changes although `x-change` says that it may not. A pass would hold it.
pub fn forbidden_changes(desired: &Desired, record: &Record, text: &str) -> Vec<Diagnostic> {
    let file = &desired.origin.path;
    let read = yaml::read(file, text.as_bytes(), &yaml::Options::request());
    let node = read.ok().and_then(|mut documents| documents.pop());
    let at = |name: &str| {
        node.as_ref().map_or_else(|| Place::file(file.clone()), |node| place(node, file, name))
    };
    forbidden_at(desired, record, &at)
}

/// As [`forbidden_changes`], where `place` tells where a parameter is given.
pub(in crate::reconcile) fn forbidden_at(
    desired: &Desired,
    record: &Record,
    place: &dyn Fn(&str) -> Place,
) -> Vec<Diagnostic> {
    let Some(spec) = desired.spec() else { return Vec::new() };
    let one = |(name, rule): (String, ChangeRule)| {
        let rule = match rule {
            ChangeRule::GrowOnly => "may only grow",
            ChangeRule::Immutable | ChangeRule::Update | ChangeRule::Replace => "may not change",
        };
        let is_secret = spec.sensitive.contains(&name) || record.sensitive.contains(&name);
        let was = record.parameters.get(&name).filter(|_| !is_secret);
        let was = was.map(|v| format!(", and {} is recorded", quote(&v.to_string())));
        let message = format!("{} {rule}{}", quote(&name), was.unwrap_or_default());
        Diagnostic::error("REQ008", place(&name), message)
            .help("put the recorded value back, or make a request of another name")
    };
    plan::forbidden(record, spec).into_iter().map(one).collect()
}

/// Where the file gives the parameter; the start of what it asks for where it leaves that out.
fn place(node: &Node, file: &Arc<str>, name: &str) -> Place {
    let token = name.replace('~', "~0").replace('/', "~1");
    let pointers = [
        format!("/spec/parameters/{token}"),
        format!("/spec/references/{token}"),
        "/spec/template".into(),
    ];
    let found = pointers.iter().find_map(|pointer| node.at(pointer));
    found.unwrap_or(node).place(file)
}
