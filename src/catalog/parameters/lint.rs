//! Traps in a template's schema, each found where it stands.

use std::collections::BTreeMap;

use jsonschema::draft202012;
use serde_json::{Value, json};

use super::bundle::Text;
use super::walk::{keywords, visit};
use crate::catalog::explain::{self, Part, Subject, escape};
use crate::catalog::schema::Schema;
use crate::model::{ChangeRule, Diagnostic, nearest, quote};

/// The only dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What is wrong with one file's schema on its own.
pub(super) fn lint(text: &Text, problems: &mut Vec<Diagnostic>) {
    let before = problems.len();
    invalid(text, problems);
    if problems.len() > before {
        return;
    }
    visit(&text.raw, "", &mut |at, schema| {
        let Some(entries) = schema.as_object() else { return };
        for (key, value) in entries {
            let pointer = format!("{at}/{}", escape(key));
            keyword(text, at.is_empty(), key, value, &pointer, problems);
        }
        if schema.get("x-sensitive") == Some(&Value::Bool(true)) && schema.get("default").is_some()
        {
            let place = text.place(&format!("{at}/default"), Part::Key);
            problems.push(
                Diagnostic::warning(
                    "CAT007",
                    place,
                    "a sensitive parameter has a default; it is not used",
                )
                .help("take it out: the catalog is no place for secrets"),
            );
        }
    });
}

/// Holds it against the schema of schemas.
fn invalid(text: &Text, problems: &mut Vec<Diagnostic>) {
    let place = |pointer: &str, part: Part| text.place(pointer, part);
    let subject = Subject { place: &place, hidden: &|_| false, scalar: &|_| None, noun: "keyword" };
    let meta = draft202012::meta::validator();
    let errors: Vec<_> = meta.iter_errors(&text.raw).collect();
    let mut found = Vec::new();
    explain::problems(&errors, &Value::Null, &subject, &mut found);
    problems
        .extend(found.into_iter().map(|problem| Diagnostic { code: "CAT006".into(), ..problem }));
}

fn keyword(
    text: &Text,
    is_root: bool,
    key: &str,
    value: &Value,
    pointer: &str,
    problems: &mut Vec<Diagnostic>,
) {
    let at = |part| text.place(pointer, part);
    let mut error =
        |code, part, message: String| problems.push(Diagnostic::error(code, at(part), message));
    match key {
        "$schema" if value.as_str().map(|v| v.trim_end_matches('#')) != Some(DIALECT) => {
            error("CAT006", Part::Value, format!("expected `{DIALECT}`"));
        }
        "$id" if !is_root => {
            error("CAT006", Part::Key, "`$id` may only stand at the top of a schema".into());
        }
        "pattern" => pattern(value.as_str().unwrap_or_default(), &mut |message| {
            error("CAT003", Part::Value, message);
        }),
        "patternProperties" => {
            for one in value.as_object().into_iter().flatten().map(|(one, _)| one) {
                pattern(one, &mut |message| error("CAT003", Part::Key, message));
            }
        }
        "x-change" if serde_json::from_value::<ChangeRule>(value.clone()).is_err() => {
            let message = "expected one of `update`, `replace`, `immutable`, `grow-only`";
            error("CAT004", Part::Value, message.into());
        }
        "x-sensitive" if !value.is_boolean() => {
            error("CAT004", Part::Value, "expected `true` or `false`".into());
        }
        "x-reference" => {
            let template = value.get("template").and_then(Value::as_str);
            let alone = value.as_object().is_some_and(|entries| entries.len() == 1);
            if !alone || !template.is_some_and(crate::model::is_name) {
                let message = "expected `{template: <name of a template>}`";
                error("CAT004", Part::Value, message.into());
            }
        }
        "default" | "const" | "examples" | "enum" if holds_secret(value) => problems.push(
            Diagnostic::warning(
                "CAT007",
                at(Part::Key),
                format!("the value of `{key}` looks like a secret"),
            )
            .help("whoever reads the catalog reads it; take it out, and change the secret"),
        ),
        _ if !key.starts_with("x-") && !keywords().any(|known| known == key) => {
            let message = format!("unknown keyword {}: it has no effect", quote(key));
            let problem = Diagnostic::warning("CAT009", at(Part::Key), message);
            problems.push(match nearest(key, keywords()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("keywords of one's own begin with `x-`"),
            });
        }
        _ => {}
    }
}

fn pattern(pattern: &str, say: &mut dyn FnMut(String)) {
    if Schema::compile(json!({"pattern": pattern})).is_ok() {
        return;
    }
    let looks = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|mark| pattern.contains(mark));
    say(if looks {
        format!("look-around is not supported in {}: patterns run in linear time", quote(pattern))
    } else {
        format!(
            "{} is not a pattern that can be used: patterns run in linear time, without back-references",
            quote(pattern)
        )
    });
}

/// Beginnings that only credentials have.
const SECRETS: [&str; 10] = [
    "-----BEGIN",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "sk_live_",
];

pub(in crate::catalog) fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let word = |start: &str| text.starts_with(start) && text.len() >= start.len() + 12;
            SECRETS.iter().any(|start| word(start)) || is_token(text)
        }
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(entries) => entries.values().any(holds_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A JSON Web Token: three parts, of which the first is the beginning of a JSON object in base64.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.len() > 40 && text.split('.').count() == 3
}

/// What is wrong with the whole.
pub(super) fn lint_top(main: &Text, problems: &mut Vec<Diagnostic>) {
    let Some(entries) = main.raw.as_object() else {
        let place = main.place("", Part::Key);
        let message = "expected a schema of an object";
        problems.push(Diagnostic::error("CAT006", place, message));
        return;
    };
    let kind = entries.get("type");
    if kind.is_some_and(|kind| kind != "object") {
        let place = main.place("/type", Part::Value);
        let message = "parameters are an object: expected `type: object`";
        problems.push(Diagnostic::error("CAT006", place, message));
    }
    let closed = ["additionalProperties", "unevaluatedProperties"];
    if !closed.iter().any(|key| entries.contains_key(*key)) {
        let place = main.place("", Part::Key);
        problems.push(
            Diagnostic::warning(
                "CAT008",
                place,
                "`additionalProperties` is not set: misspelt parameters would pass",
            )
            .help("add `additionalProperties: false`"),
        );
    }
}

/// Defaults that the schema itself would refuse.
pub(super) fn lint_defaults(
    schema: &Schema,
    defaults: &crate::model::Map,
    place: &dyn Fn(&str, Part) -> crate::model::Place,
    problems: &mut Vec<Diagnostic>,
) {
    for (name, default) in defaults {
        let alone: BTreeMap<_, _> = [(name, default)].into();
        let value = json!(alone);
        let own = format!("/{}", escape(name));
        let bad = schema.validator.iter_errors(&value).any(|error| {
            let path = error.instance_path().as_str();
            path == own || path.starts_with(&format!("{own}/"))
        });
        if bad {
            let at = place(&format!("/properties{own}/default"), Part::Value);
            let message = format!("the default of {} does not fit its own schema", quote(name));
            problems.push(Diagnostic::error("CAT011", at, message));
        }
    }
}
