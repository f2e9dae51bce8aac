//! What is held of any bytes whatever: one function for each reader of what others write. None of them
//! may panic, and each says what must hold of what it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use vend::catalog::Verdict;
use vend::forge::{Repo, Secret, command, is_ours, marker, webhook};
use vend::git::{Location, Trust};
use vend::model::{
    Artifact, Diagnostic, Files, Reference, RequestId, Slot, Source, Status, visible,
};
use vend::render::{Context, Flavour, Limits};
use vend::yaml::{self, Options};

use crate::pull::{self, reader, stories};

/// A reader with its name, which is that of its folder of inputs.
pub type Body = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Body; 25] = [
    ("yaml", yaml_text),
    ("request", request),
    ("schema", schema),
    ("template", template),
    ("value", value),
    ("webhook", webhook_body),
    ("signature", signature),
    ("command", commands),
    ("marker", markers),
    ("location", location),
    ("status", status),
    ("difference", difference),
    ("comment", comment),
    ("redaction", redaction),
    ("tree", super::tree::tree),
    ("row", super::row::row),
    ("merge", super::merge::merge),
    ("import", super::catalog::import),
    ("catalog", super::catalog::catalog),
    ("policy", super::policy::policy),
    ("mark", super::mark::mark),
    ("branch", super::branch::branch),
    ("answer", super::answer::answer),
    ("stack", super::stack::stack),
    ("document", super::document::document),
];

/// The one of that name.
pub fn named(name: &str) -> fn(&[u8]) {
    let found = ALL.into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no reader is called `{name}`")).1
}

fn file() -> Arc<str> {
    "fuzzed.yaml".into()
}

fn id() -> RequestId {
    RequestId::parse("orders/dev/events").unwrap()
}

/// The two halves of an input, at its first NUL.
pub(super) fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}

/// Every place lies in the file, and every message can be shown anywhere.
pub(super) fn are_tellable(problems: &[Diagnostic], data: &[u8]) {
    let lines = data.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() + 2;
    for problem in problems {
        let line = usize::try_from(problem.place.line).unwrap();
        assert!(line <= lines, "{problem:?} lies behind the end");
    }
    are_plain(problems);
}

pub(super) fn are_plain(problems: &[Diagnostic]) {
    for problem in problems {
        let text = format!("{} {}", problem.message, problem.help);
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    }
}

/// What was read is what the full reader reads alone, and means the same when it is written and read
/// again.
fn yaml_text(data: &[u8]) {
    for options in [Options::request(), Options::rendered()] {
        let read = yaml::read(&file(), data, &options);
        assert_eq!(read, yaml::read_fully(&file(), data, &options));
        match read {
            Err(problems) => {
                assert!(!problems.is_empty());
                are_tellable(&problems, data);
            }
            Ok(nodes) if nodes.len() == 1 => {
                let json = nodes[0].to_json();
                let again =
                    yaml::read(&file(), yaml::write_json(&json).as_bytes(), &Options::rendered());
                let again = again.unwrap_or_else(|problems| panic!("{json}: {problems:?}"));
                assert_eq!(again[0].to_json(), json);
            }
            Ok(_) => {}
        }
    }
}

/// A request that is taken says nothing that the schema does not know.
fn request(data: &[u8]) {
    if let Err(problems) = vend::catalog::request(&file(), &id(), data) {
        assert!(!problems.is_empty());
        are_tellable(&problems, data);
    }
}

/// A template's schema, and the parameters of a request that are held against it.
fn schema(data: &[u8]) {
    let (schema, parameters) = halves(data);
    let mut files = Files::default();
    let mut put = |path: &str, bytes: &[u8]| files.insert(path, bytes);
    put(
        "catalog.yaml",
        b"apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: c}\nspec: {format: 1}\n",
    );
    put(
        "environments/dev.yaml",
        b"apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  providers:\n    files: {repository: /out}\n",
    );
    put(
        "templates/queue/1.0.0/template.yaml",
        b"apiVersion: vend.dev/v1\nkind: Template\nmetadata: {name: queue, version: 1.0.0}\nspec:\n  components:\n    - {name: main, provider: files, source: a.yaml.hbs}\n",
    );
    put("templates/queue/1.0.0/schema.json", schema);
    put("templates/queue/1.0.0/a.yaml.hbs", b"a: 1\n");
    let (catalog, problems) = vend::catalog::load(&files, None);
    are_tellable(&problems, data);
    let mut text =
        b"apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: queue@1.0.0\n  parameters: "
            .to_vec();
    text.extend(parameters.iter().filter(|b| !matches!(b, b'\n' | b'\r')));
    let Ok(request) = vend::catalog::request(&file(), &id(), &text) else { return };
    let fill = |_: &Reference, _: Option<&str>| unreachable!("nothing refers to anything");
    match vend::catalog::check(&catalog, &request, None, &["files"], &fill) {
        Verdict::Checked(_) | Verdict::Waiting(..) => {}
        Verdict::Invalid(problems) => are_tellable(&problems, &text),
    }
}

fn context(x: &str) -> Context {
    Context {
        request: json!({"id": "orders/dev/events", "team": "orders", "environment": "dev", "name": "events", "labels": {}}),
        parameters: BTreeMap::from([
            ("x".to_owned(), Slot::Known(json!(x))),
            ("l".to_owned(), Slot::Known(json!([x, 1, {"a": x}]))),
        ]),
        environment: json!({"name": "dev", "variables": {}}),
        template: json!({"name": "queue", "version": "1.0.0"}),
        components: BTreeMap::new(),
        pending: BTreeSet::new(),
        request_id: id(),
        secrets: BTreeSet::new(),
    }
}

fn compiled(text: &str, flavour: Flavour) -> Option<vend::render::Compiled> {
    let sources = BTreeMap::from([("a.yaml.hbs".to_owned(), Source::Template(text.into()))]);
    vend::render::compile(&sources, "", &BTreeMap::new(), "templates/queue/1.0.0", flavour).ok()
}

/// A template that is taken renders the same twice, within its limits.
fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for flavour in [Flavour::Plain, Flavour::CloudFormation] {
        let Some(compiled) = compiled(text, flavour) else { continue };
        let limits = Limits::default();
        let first = compiled.render(&context("plain"), &limits).ok();
        assert_eq!(first, compiled.render(&context("plain"), &limits).ok());
        if let Some(first) = first {
            let size: usize = first.artifact.files.values().map(String::len).sum();
            assert!(size <= limits.output * 2);
        }
    }
}

/// Whatever a value holds, what comes out has the same shape, and the value in its place.
fn value(data: &[u8]) {
    let Ok(x) = std::str::from_utf8(data) else { return };
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if x.contains(is_control) {
        return;
    }
    value_of_a_stack(x);
    if x.contains(RESOLVE) {
        return;
    }
    const TEXT: &str = "a: {{parameters.x}}\nb: [{{parameters.x}}, 1]\nc: \"<{{parameters.x}}>\"\n";
    let compiled = compiled(TEXT, Flavour::Plain).unwrap();
    let rendered = compiled.render(&context(x), &Limits::default());
    let rendered = rendered.unwrap_or_else(|problems| panic!("{x:?}: {problems:?}"));
    let text = rendered.artifact.files.values().next().unwrap();
    let found = yaml::read(&file(), text.as_bytes(), &Options::rendered());
    let found = found.unwrap_or_else(|problems| panic!("{x:?}: {problems:?}"))[0].to_json();
    assert_eq!(found, json!({"a": x, "b": [x, 1], "c": format!("<{x}>")}));
}

/// How CloudFormation is told to fetch something.
const RESOLVE: &str = "{{resolve:";

/// The same in a stack's template, where also what CloudFormation would do with it counts: nothing is fetched, and what
/// `Fn::Sub` makes of a text is that text. What begins or ends as such a reference does is refused, and nothing else.
fn value_of_a_stack(x: &str) {
    const TEXT: &str = "a: {{parameters.x}}\nb: [{{parameters.x}}, 1]\nc: \"<{{parameters.x}}>\"\n\
        d: {Fn::Sub: \"<{{parameters.x}}>\"}\ne: !Sub \"<{{parameters.x}}>\"\n\
        f: {Fn::Sub: [\"<{{parameters.x}}>\", {n: \"{{parameters.x}}\"}]}\n\
        g: {Fn::Join: [\"-\", [\"{{parameters.x}}\", \"<{{parameters.x}}>\"]]}\n";
    let ends = |n: usize| x.ends_with(&RESOLVE[..n]);
    let means_more =
        x.contains(RESOLVE) || x.starts_with(&RESOLVE[1..]) || (2..RESOLVE.len()).any(ends);
    let compiled = compiled(TEXT, Flavour::CloudFormation).unwrap();
    let rendered = match compiled.render(&context(x), &Limits::default()) {
        Ok(rendered) => rendered,
        Err(problems) => {
            assert!(
                means_more && problems.iter().all(|p| p.code == "TPL005"),
                "{x:?}: {problems:?}"
            );
            return;
        }
    };
    assert!(!means_more, "{x:?} is taken");
    let text = rendered.artifact.files.values().next().unwrap();
    let mut found: serde_json::Value = serde_json::from_str(text).unwrap();
    for at in ["/d/Fn::Sub", "/e/Fn::Sub", "/f/Fn::Sub/0"] {
        let text = found.pointer_mut(at).unwrap();
        let written = text.as_str().unwrap();
        let names = written.split("${").skip(1).any(|after| !after.starts_with('!'));
        assert!(!names, "{x:?}: {written:?} names something");
        *text = written.replace("${!", "${").into();
    }
    let inside = format!("<{x}>");
    let wanted = json!({
        "a": x, "b": [x, 1], "c": inside,
        "d": {"Fn::Sub": inside}, "e": {"Fn::Sub": inside}, "f": {"Fn::Sub": [inside, {"n": x}]},
        "g": {"Fn::Join": ["-", [x, inside]]},
    });
    assert_eq!(found, wanted);
}

/// The event's name, and the body.
fn webhook_body(data: &[u8]) {
    let (event, body) = halves(data);
    let events = ["push", "pull_request", "issue_comment", "check_run", "merge_group"];
    let event = std::str::from_utf8(event).unwrap_or_default();
    for event in events.into_iter().chain([event]) {
        let _ = webhook::parse(event, body);
    }
}

/// No header but the right one is taken.
fn signature(data: &[u8]) {
    let header = std::str::from_utf8(data).ok();
    for secret in ["planted", ""] {
        let verified = webhook::verify(&Secret::new(secret), b"{}", header);
        assert!(verified.is_err(), "{header:?} is taken for the signature");
    }
}

/// A command that is found is said by a line that begins with it.
fn commands(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in command::commands(&text) {
        let said = |line: &str| line.trim_start().starts_with("/vend");
        assert!(text.lines().any(said), "{found} in {text:?}");
    }
}

/// Nobody writes our marker who does not know the key.
fn markers(data: &[u8]) {
    let (key, repo) = ([7; 32], Repo::parse("acme/requests").unwrap());
    let text = String::from_utf8_lossy(data);
    let right = marker(&key, "plan", &repo, 1);
    // A fuzzer that sees what is compared with what writes even that.
    assert!(text.contains(&right) || !is_ours(&key, "plan", &repo, 1, &text), "{text:?}");
    let ours = format!("{right}\n{text}");
    assert!(is_ours(&key, "plan", &repo, 1, &ours));
    assert!(!is_ours(&key, "plan", &repo, 2, &ours));
}

/// An address that is taken from content leads by https or ssh, and is no option of a program.
fn location(data: &[u8]) {
    let (url, branch) = halves(data);
    let (url, branch) = (String::from_utf8_lossy(url), String::from_utf8_lossy(branch));
    for branch in ["main", &branch] {
        let _ = Location::parse(&url, branch, Trust::Operator);
        if Location::parse(&url, branch, Trust::Content).is_ok() {
            // `host:path` is ssh as well, as Git has it.
            let is_ssh = url.starts_with("ssh://") || (url.contains(':') && !url.contains("://"));
            assert!(url.starts_with("https://") || is_ssh, "{url:?}");
            assert!(!url.starts_with('-') && !branch.starts_with('-'), "{url:?} {branch:?}");
            assert!(!url.contains(|c: char| c.is_control()), "{url:?}");
        }
    }
}

/// A status that somebody wrote becomes a record or none.
fn status(data: &[u8]) {
    let Ok(nodes) = yaml::read(&file(), data, &Options::rendered()) else { return };
    let Ok(status) = serde_json::from_value::<Status>(nodes[0].to_json()) else { return };
    if let Some(record) = vend::reconcile::local::record(&status) {
        assert_eq!(record.id, status.metadata.id);
        assert_eq!(record.components.len(), status.components.len());
    }
}

/// What two texts differ in fits the room, line by line, and what is shown of any text is seen.
fn difference(data: &[u8]) {
    let (old, new) = halves(data);
    let artifact = |text: &[u8]| Artifact {
        files: BTreeMap::from([("a.yaml".to_owned(), String::from_utf8_lossy(text).into_owned())]),
        digest: None,
    };
    let lines = vend::report::pull::rewritten(Some(&artifact(old)), &artifact(new), 2_000);
    assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= 2_100, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains('\n')), "{lines:?}");
    let shown = visible(&String::from_utf8_lossy(data), 200);
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
}

/// What others wrote is never alive in a comment: no link, mention or HTML but the frame's.
fn comment(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for story in [stories::planted(&text), stories::planted_after(&text)] {
        let written = pull::written(&story);
        reader::assert_frame_only(&written);
        assert_eq!(written.matches(pull::MARKER).count(), 1, "{written}");
        assert_eq!(written.matches("<!--").count(), 1, "{written}");
    }
}

/// A parameter that is not to be echoed stands in no difference and in nobody's words.
fn redaction(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // What begins and ends in a way of its own is nothing that the frame says by itself.
    let secret = format!("q7{text}7q");
    let artifact = |note: &str| {
        let template = json!({
            "Parameters": {"Word": {"Type": "String", "NoEcho": true, "Default": secret}},
            "Resources": {"Queue": {"Properties": {"Note": note, "Url": format!("https://{secret}@db")}}},
        });
        let text = serde_json::to_string_pretty(&template).unwrap();
        Artifact { files: BTreeMap::from([("stack.json".to_owned(), text)]), digest: None }
    };
    let (old, new) = (artifact("before"), artifact(&format!("after {secret}")));
    let hidden = vend::provider::hidden(&new);
    assert_eq!(hidden, std::slice::from_ref(&secret));
    let said = format!("Value {secret} at 'Word' failed: {secret}{secret}");
    let masked = vend::provider::masked(said, &hidden);
    assert!(!masked.contains(&secret), "{masked:?}");
    let escaped = serde_json::to_string(&secret).unwrap();
    let escaped = &escaped[1..escaped.len() - 1];
    for (old, new) in [(None, &new), (Some(&old), &new)] {
        let lines = vend::report::pull::rewritten(old, new, 20_000).join("\n");
        assert!(!lines.contains(&secret) && !lines.contains(escaped), "{lines}");
    }
}
