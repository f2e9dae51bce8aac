//! Things as GitHub tells them.

mod account;
mod check;
mod commit;
mod issue;
mod pull;
mod repository;

use git2::Oid;
use serde_json::Value;

/// The opaque name of a thing in GitHub's other API.
fn node(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08X}")
}

/// Moves all entries of one object into another.
fn with(mut base: Value, more: Value) -> Value {
    let (Some(to), Value::Object(more)) = (base.as_object_mut(), more) else { return base };
    to.extend(more);
    base
}

fn sha(id: Oid) -> String {
    id.to_string()
}
