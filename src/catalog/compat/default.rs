//! Defaults: whoever says nothing gets another value.

use serde_json::Value;

use super::claim::Bump;
use super::same::target;
use super::{Reason, TemplateVersion};
use crate::catalog::explain::{Part, escape};
use crate::catalog::parameters::annotation;
use crate::model::{Place, quote};

/// Deeper than any default that is filled in.
const DEPTH_MOST: usize = 8;
/// A schema that refers to itself in many ways ends here.
const STEPS_MOST: usize = 2_000;

/// Defaults of parameters that both versions have, and that differ: what a request that leaves them
/// out renders to differs with them.
pub(super) fn compare(old: &TemplateVersion, new: &TemplateVersion) -> Vec<Reason> {
    let mut walk = Walk {
        old: &old.parameters.schema.raw,
        new: &new.parameters.schema.raw,
        found: Vec::new(),
        left: STEPS_MOST,
    };
    walk.schemas(walk.old, walk.new, "", "", 0);
    let place = |at: &str| {
        let place = new.parameters.place(at, Part::Value);
        place.unwrap_or_else(|| Place::file(new.file()))
    };
    let reason =
        |(what, at): (String, String)| Reason { bump: Bump::Major, what, place: place(&at) };
    walk.found.into_iter().map(reason).collect()
}

struct Walk<'a> {
    old: &'a Value,
    new: &'a Value,
    /// What, and where in the newer schema.
    found: Vec<(String, String)>,
    left: usize,
}

impl<'a> Walk<'a> {
    fn schemas(&mut self, old: &'a Value, new: &'a Value, at: &str, subject: &str, depth: usize) {
        if depth > DEPTH_MOST || self.left == 0 {
            return;
        }
        self.left -= 1;
        let (old, _) = resolved(self.old, old, "");
        let (new, at) = resolved(self.new, new, at);
        let both = |keyword: &str| Some((old.get(keyword)?, new.get(keyword)?));
        if let Some((Value::Object(was), Value::Object(now))) = both("properties") {
            for (name, now) in now {
                let Some(was) = was.get(name) else { continue };
                let at = format!("{at}/properties/{}", escape(name));
                let subject =
                    if subject.is_empty() { name.clone() } else { format!("{subject}.{name}") };
                self.default(was, now, &at, &subject);
                self.schemas(was, now, &at, &subject, depth + 1);
            }
        }
        for (keyword, part) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some((was, now)) = both(keyword) {
                let (at, subject) = (format!("{at}/{keyword}"), format!("{subject}{part}"));
                self.schemas(was, now, &at, &subject, depth + 1);
            }
        }
    }

    fn default(&mut self, was: &'a Value, now: &'a Value, at: &str, subject: &str) {
        let was = annotation(self.old, was, "default");
        let now = annotation(self.new, now, "default");
        if was == now {
            return;
        }
        let word = |value: Option<&Value>| match value {
            Some(value) => quote(&value.to_string()),
            None => "none".to_owned(),
        };
        let what = format!(
            "the default of {} is {}, and was {}: requests that leave it out render otherwise",
            quote(subject),
            word(now),
            word(was)
        );
        self.found.push((what, format!("{at}/default")));
    }
}

/// What a schema refers to, where it says nothing of its own beside that.
fn resolved<'a>(root: &'a Value, schema: &'a Value, at: &str) -> (&'a Value, String) {
    let (mut schema, mut at) = (schema, at.to_owned());
    // References are acyclic; the bound is for whoever calls it otherwise.
    for _ in 0..32 {
        let is_plain = ["properties", "items", "additionalProperties"]
            .iter()
            .all(|keyword| schema.get(*keyword).is_none());
        match schema.get("$ref").and_then(|reference| target(root, reference)) {
            Some((other, pointer)) if is_plain => (schema, at) = (other, pointer),
            _ => break,
        }
    }
    (schema, at)
}
