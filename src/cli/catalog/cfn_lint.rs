//! cfn-lint, where it is installed: one process for all that the tests of templates render to.
//!
//! It is given files in a folder of its own and says what it found as JSON. That it is not there, fails,
//! takes too long or says what cannot be understood is a note and never an error: it is not part of vend.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::git::Group;
use crate::model::{Diagnostic, Place, Severity, visible};
use crate::reconcile::lint::Stack;

/// It takes some seconds to start, and a tenth of one for each stack.
const DEADLINE: Duration = Duration::from_secs(180);

/// More than that is no list of problems.
const OUTPUT_MAX: u64 = 16 * 1024 * 1024;

/// What the linter is told from our own environment: where it and its Python lie.
const VARIABLES: [&str; 6] = ["PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"];

/// What it found.
#[derive(Default)]
pub(super) struct Found {
    /// Each once, though several tests may show it.
    pub problems: Vec<Diagnostic>,
    /// What was rendered, by the name that problems use.
    pub texts: BTreeMap<String, Arc<str>>,
}

/// Why it was not asked, or has not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unasked {
    #[error(
        "cfn-lint is not installed, so what CloudFormation would be given was not held against it"
    )]
    NotInstalled,
    #[error("cfn-lint did not end within {} s and was stopped", DEADLINE.as_secs())]
    TooSlow,
    #[error("cfn-lint could not be asked: {0}")]
    Failed(String),
}

impl From<std::io::Error> for Unasked {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotInstalled,
            _ => Self::Failed(crate::error::chain(&error)),
        }
    }
}

/// Asks about all of them.
pub(super) async fn ask(stacks: &[Stack]) -> Result<Found, Unasked> {
    let failed = |error: std::io::Error| Unasked::Failed(crate::error::chain(&error));
    let folder = tempfile::Builder::new().prefix("vend-cfn-lint-").tempdir().map_err(failed)?;
    let mut names = Vec::new();
    for (n, stack) in stacks.iter().enumerate() {
        let name = format!("{n}.json");
        std::fs::write(folder.path().join(&name), pretty(&stack.text)).map_err(failed)?;
        names.push(name);
    }
    understood(stacks, &run(folder.path(), stacks, &names).await?)
}

/// What it printed, as ours.
fn understood(stacks: &[Stack], said: &[u8]) -> Result<Found, Unasked> {
    let said: Vec<Said> = serde_json::from_slice(said)
        .map_err(|_| Unasked::Failed("what it said is not the JSON that it promises".into()))?;
    Ok(translate(stacks, said))
}

/// On many lines, so that a place means something.
fn pretty(text: &str) -> String {
    let value = serde_json::from_str::<Value>(text).ok();
    value.and_then(|v| serde_json::to_string_pretty(&v).ok()).unwrap_or_else(|| text.to_owned())
}

async fn run(folder: &Path, stacks: &[Stack], names: &[String]) -> Result<Vec<u8>, Unasked> {
    let mut command = Command::new("cfn-lint");
    command.args(["--format", "json"]);
    // Of several regions it would hold each stack against each, whereever its own is.
    let regions: BTreeSet<&str> = stacks.iter().filter_map(|s| s.region.as_deref()).collect();
    if let (1, Some(region)) = (regions.len(), regions.first()) {
        command.arg("--regions").arg(region);
    }
    command.arg("--").args(names).current_dir(folder).env_clear().env("LC_ALL", "C.UTF-8");
    command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    // Dropped, as after the deadline, it takes all along that it started.
    let group = child.id().map(Group::of);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (said, complained) = tokio::try_join!(all_of(out), all_of(err))?;
        Ok::<_, Unasked>((said, complained, child.wait().await?))
    };
    let (said, complained, status) =
        tokio::time::timeout(DEADLINE, all).await.map_err(|_| Unasked::TooSlow)??;
    drop(group);
    // It ends with other codes than 0 when it found something, and with JSON all the same.
    if said.is_empty() && !status.success() {
        let text = String::from_utf8_lossy(&complained);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        return Err(Unasked::Failed(visible(last.trim(), 200)));
    }
    Ok(if said.is_empty() { b"[]".to_vec() } else { said })
}

/// All of an output, unless that has no end.
async fn all_of(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Unasked> {
    let mut said = Vec::new();
    if let Some(from) = from {
        from.take(OUTPUT_MAX + 1).read_to_end(&mut said).await?;
    }
    if said.len() as u64 > OUTPUT_MAX {
        let text = format!("it says more than {} MiB", OUTPUT_MAX >> 20);
        return Err(Unasked::Failed(text));
    }
    Ok(said)
}

/// One entry of its JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    filename: String,
    level: String,
    message: String,
    location: Location,
    rule: Rule,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Location {
    start: Point,
    end: Point,
    #[serde(default)]
    path: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Point {
    line_number: u32,
    column_number: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    id: String,
}

/// Its findings as ours, at the lines of what was rendered.
fn translate(stacks: &[Stack], said: Vec<Said>) -> Found {
    let mut found = Found::default();
    let mut known = BTreeSet::new();
    for Said { filename, level, message, location, rule } in said {
        let number = filename.strip_suffix(".json").and_then(|n| n.parse::<usize>().ok());
        let Some(stack) = number.and_then(|n| stacks.get(n)) else { continue };
        let path = serde_json::to_string(&location.path).unwrap_or_default();
        let same = (stack.template.clone(), stack.component.clone(), rule.id.clone(), path);
        if !known.insert((same, message.clone())) {
            continue;
        }
        // What it was rendered from is a file; this is what came of it, which lies nowhere.
        let file: Arc<str> =
            format!("{}/{}/{}.json", stack.template, stack.test, stack.component).into();
        let Location { start, end, path: _ } = location;
        let begins = (start.line_number.max(1), start.column_number.max(1));
        // What ends before it begins is nowhere, and ends where it begins.
        let ends = begins.max((end.line_number, end.column_number.max(1)));
        let place = Place {
            file: file.clone(),
            line: begins.0,
            column: begins.1,
            end_line: ends.0,
            end_column: ends.1,
        };
        let severity = match level.as_str() {
            "Error" => Severity::Error,
            "Warning" => Severity::Warning,
            _ => Severity::Note,
        };
        let message = format!("cfn-lint {}: {}", visible(&rule.id, 20), visible(&message, 500));
        let source = Place::file(stack.source.clone());
        let by = format!("rendered from this for the test `{}`", visible(&stack.test, 80));
        let problem = Diagnostic::error("CFN001", place, message).related(source, by);
        found.problems.push(Diagnostic { severity, ..problem });
        found.texts.entry(file.to_string()).or_insert_with(|| pretty(&stack.text).into());
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stack(test: &str) -> Stack {
        Stack {
            template: vend_template(),
            component: crate::model::ComponentName::new("queue"),
            test: test.into(),
            source: "templates/sqs-queue/1.1.0/stack.yaml.hbs".into(),
            region: None,
            text: r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Quue"}}}"#.into(),
        }
    }

    fn vend_template() -> crate::model::TemplateId {
        crate::model::TemplateId {
            name: "sqs-queue".into(),
            version: semver::Version::new(1, 1, 0),
        }
    }

    #[test]
    fn what_two_tests_show_is_said_once_with_the_templates_name() {
        let one = |file: &str| {
            json!({
                "Filename": file, "Level": "Error", "Message": "Resource type `AWS::SQS::Quue`\u{1b}[2J",
                "Rule": {"Id": "E3006", "Description": "x"},
                "Location": {
                    "Start": {"LineNumber": 4, "ColumnNumber": 7},
                    "End": {"LineNumber": 4, "ColumnNumber": 11},
                    "Path": ["Resources", "Queue", "Type"],
                },
            })
        };
        let said = json!([one("0.json"), one("1.json"), one("7.json"), one("../x.json")]);
        let found =
            translate(&[stack("fifo"), stack("plain")], serde_json::from_value(said).unwrap());
        assert_eq!(found.problems.len(), 1);
        let problem = &found.problems[0];
        assert_eq!(&*problem.place.file, "sqs-queue@1.1.0/fifo/queue.json");
        assert_eq!((problem.place.line, problem.place.column), (4, 7));
        assert!(!problem.message.contains('\u{1b}'), "{}", problem.message);
        let text = &found.texts["sqs-queue@1.1.0/fifo/queue.json"];
        assert!(text.lines().nth(3).unwrap().contains("Quue"), "{text}");
    }

    /// A text as a program may print it, with what a terminal would obey.
    fn words() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            "\u{1b}[2J",
            "\n",
            "\r",
            "\u{202e}",
            "`",
            "::error::",
            "é",
            "\0",
        ]);
        prop::collection::vec(prop_oneof![odd.prop_map(str::to_owned), "[ -~]{0,9}"], 0..6)
            .prop_map(|pieces| pieces.concat())
    }

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            40 => (0..9u32).prop_map(Value::from),
            8 => any::<u32>().prop_map(Value::from),
            1 => Just(json!(-1)),
            1 => Just(json!(null)),
        ]
    }

    fn point() -> impl Strategy<Value = Value> {
        (number(), number())
            .prop_map(|(line, column)| json!({"LineNumber": line, "ColumnNumber": column}))
    }

    prop_compose! {
        fn finding()(
            file in prop_oneof![
                prop::sample::select(vec!["0.json", "1.json", "2.json", "../0.json", "0", "-1.json"]).prop_map(str::to_owned),
                words(),
            ],
            level in prop_oneof![prop::sample::select(vec!["Error", "Warning"]).prop_map(str::to_owned), words()],
            (message, rule) in (words(), words()),
            (start, end) in (point(), point()),
            path in prop::option::of(prop::collection::vec(words(), 0..3)),
        ) -> Value {
            json!({
                "Filename": file, "Level": level, "Message": message, "Rule": {"Id": rule},
                "Location": {"Start": start, "End": end, "Path": path},
            })
        }
    }

    proptest! {
        /// Its words are of what it was given, at a place from its start to its end, and can be shown.
        #[test]
        fn whatever_it_says_can_be_shown(
            said in prop_oneof![
                4 => prop::collection::vec(finding(), 0..4).prop_map(|all| json!(all).to_string()),
                1 => words(),
            ],
        ) {
            let stacks = [stack("fifo"), stack("plain")];
            let Ok(found) = understood(&stacks, said.as_bytes()) else { return Ok(()) };
            for problem in &found.problems {
                let place = &problem.place;
                prop_assert!(found.texts.contains_key(&*place.file), "{problem:?}");
                let (start, end) = ((place.line, place.column), (place.end_line, place.end_column));
                prop_assert!(place.line > 0 && place.column > 0 && start <= end, "{problem:?}");
                prop_assert!(!problem.message.contains(|c: char| c.is_control()), "{problem:?}");
            }
            let source = |file: &str| found.texts.get(file).cloned();
            let shown = crate::report::diagnostic::terminal(&found.problems, &source, false);
            prop_assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}', '\0']), "{shown:?}");
            prop_assert_eq!(understood(&stacks, said.as_bytes()).map(|found| found.problems).ok(), Some(found.problems));
        }
    }
}
