//! The text of a request file that vend writes for somebody, and what is said once it is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::file::Secret;
use crate::model::{Map, Reference, visible};
use crate::yaml;

/// A request that has no file yet.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The editor's schema, as a path from the file.
    pub schema: &'a str,
    /// `name@version`.
    pub template: &'a str,
    /// What the template is for.
    pub about: Option<&'a str>,
    /// Values.
    pub parameters: &'a Map,
    /// Values from other requests.
    pub references: &'a BTreeMap<String, Reference>,
    /// Values from secret stores.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// Why, for the history.
    pub reason: Option<&'a str>,
    /// What each parameter is for.
    pub help: &'a BTreeMap<String, String>,
    /// Parameters without a value, each with what it is then.
    pub left_out: &'a [(String, Option<Value>)],
}

/// Columns of a comment, `# ` and indent included.
const WIDTH: usize = 100;
/// Longer text than this belongs into the template's README.
const COMMENT_MOST: usize = 400;

impl Draft<'_> {
    /// The file.
    pub fn text(&self) -> String {
        let Self {
            schema,
            template,
            about,
            parameters,
            references,
            secrets,
            reason,
            help,
            left_out,
        } = self;
        let mut out = format!("# yaml-language-server: $schema={schema}\n");
        out.push_str("apiVersion: vend.dev/v1\nkind: Request\nspec:\n");
        if let Some(about) = about {
            comment(&mut out, 2, about);
        }
        entry(&mut out, 2, "template", &json!(template));
        if !parameters.is_empty() {
            out.push_str("  parameters:\n");
        }
        for (name, value) in *parameters {
            explained(&mut out, help.get(name));
            entry(&mut out, 4, name, value);
        }
        let left_out: Vec<String> = left_out.iter().map(without).collect();
        if !left_out.is_empty() {
            let indent = if parameters.is_empty() { 2 } else { 4 };
            comment(&mut out, indent, &format!("Left out: {}.", left_out.join(", ")));
        }
        let references = references.iter().map(|(name, value)| (name, json!(value)));
        block(&mut out, "references", references, help);
        let secrets = secrets.iter().map(|(name, value)| (name, json!(value)));
        block(&mut out, "secrets", secrets, help);
        if let Some(reason) = reason {
            entry(&mut out, 2, "reason", &json!(reason));
        }
        out
    }
}

fn block<'a>(
    out: &mut String,
    key: &str,
    entries: impl Iterator<Item = (&'a String, Value)>,
    help: &BTreeMap<String, String>,
) {
    for (n, (name, value)) in entries.enumerate() {
        if n == 0 {
            out.push_str(&format!("  {key}:\n"));
        }
        explained(out, help.get(name));
        entry(out, 4, name, &value);
    }
}

fn explained(out: &mut String, help: Option<&String>) {
    if let Some(help) = help {
        comment(out, 4, help);
    }
}

fn without((name, default): &(String, Option<Value>)) -> String {
    let name = visible(name, 100);
    match default {
        Some(default) => format!("{name} ({})", visible(&default.to_string(), 60)),
        None => name,
    }
}

/// Lines of a comment: whatever the text holds, it stays one.
fn comment(out: &mut String, indent: usize, text: &str) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = visible(&words, COMMENT_MOST);
    let mut line = String::new();
    let mut end = |line: &mut String| {
        if !line.is_empty() {
            out.push_str(&format!("{:indent$}#{line}\n", ""));
            line.clear();
        }
    };
    for word in words.split(' ') {
        let length = indent + 2 + line.chars().count() + word.chars().count();
        if length > WIDTH {
            end(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    end(&mut line);
}

fn entry(out: &mut String, indent: usize, name: &str, value: &Value) {
    for line in yaml::write_json(&json!({name: value})).lines() {
        if !line.is_empty() {
            out.push_str(&format!("{:indent$}", ""));
        }
        out.push_str(line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog;
    use crate::model::RequestId;

    #[test]
    fn a_draft_reads_as_what_it_was_made_of() {
        let parameters = Map::from([
            ("days".to_owned(), json!(4)),
            ("no".to_owned(), json!("no")),
            ("odd key: #".to_owned(), json!({"a": ["# x", "a\n\n b\n", {"y": null}], "b": {}})),
            ("text".to_owned(), json!("one\n\n  two\n")),
        ]);
        let id = RequestId::parse("platform/prod/network").unwrap();
        let references =
            BTreeMap::from([("vpc".to_owned(), Reference { request: id, output: "id".into() })]);
        let arn = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:shop/db-AbCdEf";
        let secret = Secret { aws_secrets_manager: arn.into(), key: Some("password".into()) };
        let secrets = BTreeMap::from([("password".to_owned(), secret)]);
        let help = BTreeMap::from([
            ("days".to_owned(), "How long.\nspec: {suspend: true}".to_owned()),
            ("no".to_owned(), format!("A {} text\u{7}", "very long ".repeat(60))),
        ]);
        let draft = Draft {
            schema: "../../../.vend/request.schema.json",
            template: "sqs-queue@1.2.0",
            about: Some("A queue."),
            parameters: &parameters,
            references: &references,
            secrets: &secrets,
            reason: Some("ORD-1: because"),
            help: &help,
            left_out: &[("fifo".to_owned(), Some(json!(false))), ("x".to_owned(), None)],
        };
        let text = draft.text();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("    # How long. spec: {suspend: true}\n    days: 4\n"), "{text}");
        assert!(text.contains("    # Left out: fifo (false), x.\n"), "{text}");
        let path: Arc<str> = "requests/platform/prod/x.yaml".into();
        let own = RequestId::parse("platform/prod/x").unwrap();
        let read = catalog::request(&path, &own, text.as_bytes()).unwrap();
        assert!(read.problems().is_empty(), "{:?}\n{text}", read.problems());
        assert_eq!(read.parameters, parameters);
        assert_eq!(read.references, references);
        assert_eq!(read.secrets, secrets);
        assert_eq!(read.reason.as_deref(), Some("ORD-1: because"));
        assert!(!read.suspend);
    }
}
