//! What is told while a change is under way: each happening once, whoever is asked and however
//! often.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use vend::model::{
    Artifact, Change, Happening, Map, Observation, Preview, Progress, Target, Ticket, Token,
};
use vend::provider::{Provider, ProviderError, Providers};

use super::lab::{Clock, Run, store};
use crate::world::{World, ask, note};

const ID: &str = "orders/dev/queue";

/// A provider with one change under way, that tells all that happened whenever it is asked: as one
/// does that has lost its place.
#[derive(Clone, Default)]
struct Telling(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    told: Vec<Happening>,
    error: Option<String>,
    ended: bool,
}

impl Telling {
    fn happens(&self, clock: &Clock, what: &str, state: &str, message: Option<&str>) {
        self.0.lock().unwrap().told.push(Happening {
            at: clock.now(),
            what: what.into(),
            kind: Some("AWS::SQS::Queue".into()),
            state: state.into(),
            message: message.map(str::to_owned),
        });
    }

    fn ends(&self, error: Option<&str>) {
        let mut state = self.0.lock().unwrap();
        state.ended = true;
        state.error = error.map(str::to_owned);
    }

    fn answer(&self, token: &Token, target: &Target) -> Progress {
        let state = self.0.lock().unwrap();
        let events = state.told.clone();
        match &state.error {
            _ if !state.ended => {
                let (token, target) = (token.clone(), target.clone());
                Progress::Running { ticket: Ticket { token, target, data: json!({}) }, events }
            }
            None => Progress::Succeeded {
                outputs: Map::new(),
                state: "DONE".into(),
                mark: None,
                events,
            },
            Some(error) => {
                Progress::Failed { error: error.clone(), state: "FAILED".into(), events }
            }
        }
    }
}

#[async_trait]
impl Provider for Telling {
    fn kind(&self) -> &'static str {
        "files"
    }
    fn lane(&self, _: &Target) -> String {
        "account".into()
    }
    fn batch(&self) -> usize {
        1
    }
    fn known(&self, _: &Target, _: &Artifact) -> Map {
        Map::new()
    }
    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        targets.iter().map(|t| (t.clone(), Ok(Observation::Absent))).collect()
    }
    async fn preview(&self, _: &Change) -> Result<Preview, ProviderError> {
        Ok(Preview::default())
    }
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let answer = |c: &Change| (c.token.clone(), Ok(self.answer(&c.token, &c.target)));
        changes.iter().map(answer).collect()
    }
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        Ok(self.answer(&ticket.token, &ticket.target))
    }
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.poll(ticket).await
    }
}

struct Story {
    world: World,
    told: Telling,
    clock: Clock,
}

impl Story {
    fn new() -> Self {
        let world = World::new();
        world.requests.commit([ask(ID, note("one"))]);
        Self { world, told: Telling::default(), clock: Clock::new() }
    }

    async fn run(&self) -> Run {
        let providers = Providers::new().with(self.told.clone());
        Run::start(&self.world, Arc::new(store(&self.world)), providers, &self.clock).await
    }

    async fn pass(&self, run: &mut Run) {
        self.clock.advance(60);
        run.pass(&self.clock).await.unwrap();
    }

    /// The words of the lines of the request's history, without times.
    fn logs(&self, args: &[&str]) -> Vec<String> {
        let args = [&["logs", ID], args].concat();
        let text = self.world.vend_ends(0, &args).stdout;
        text.lines()
            .map(|line| line[20..].split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn spawn(&self, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = self.world.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }
}

#[track_caller]
fn says(lines: &mut Lines<BufReader<ChildStdout>>, words: &str) {
    let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(words));
    assert!(found, "never said {words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_happening_is_told_once_over_polls_and_restarts() {
    let story = Story::new();
    story.told.happens(&story.clock, "Queue", "CREATE_IN_PROGRESS", Some(""));
    let mut run = story.run().await;
    story.pass(&mut run).await;
    story.pass(&mut run).await;
    let first = "CREATE_IN_PROGRESS note/Queue (AWS::SQS::Queue)";
    assert_eq!(story.logs(&[]), [first]);
    drop(run);
    let mut run = story.run().await;
    story.told.happens(&story.clock, "Queue", "CREATE_FAILED", Some("taken\u{1b}[2J\nby another"));
    story.pass(&mut run).await;
    let second = r"CREATE_FAILED note/Queue (AWS::SQS::Queue): taken\u{1B}[2J\nby another";
    assert_eq!(story.logs(&[]), [first, second]);
    assert_eq!(story.logs(&["-n", "1"]), [second]);
    assert!(story.logs(&["--since", "2100-01-01T00:00:00Z"]).is_empty());

    // Where it stands names the resource and its reason.
    let status = story.world.vend_ends(0, &["status", ID, "--format", "json"]).json();
    let queue = &status["applying"][0]["resources"][0];
    assert_eq!(queue["state"], "CREATE_FAILED", "{status:#}");
    assert_eq!(queue["failure"]["message"], "taken\u{1b}[2J\nby another");

    story.told.ends(Some("the queue could not be made"));
    story.pass(&mut run).await;
    let logs = story.logs(&[]);
    assert_eq!(logs[..2], [first, second]);
    assert!(logs[2].starts_with("Failed note `vend-orders-dev-queue"), "{logs:?}");
    assert_eq!(logs.len(), 3);
    // For programs: an object a line, with numbers that only grow.
    let text = story.world.vend_ends(0, &["logs", ID, "--format", "json"]).stdout;
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.is_sorted_by_key(|line| line["n"].as_u64()));
    assert_eq!((lines.len(), &lines[2]["kind"]), (3, &json!("Failed")));
    // It has ended, and not well.
    story.world.vend_ends(1, &["logs", ID, "--until-done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_hears_of_it_while_it_goes_on() {
    let story = Story::new();
    let (mut logs, mut told) = story.spawn(&["logs", ID, "--follow"]);
    let (mut status, mut seen) = story.spawn(&["status", ID, "--watch"]);
    let mut run = story.run().await;
    for state in ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"] {
        story.told.happens(&story.clock, "Queue", state, None);
        story.pass(&mut run).await;
        says(&mut told, &format!("{state:<18}  note/Queue (AWS::SQS::Queue)"));
        says(&mut seen, &format!("{ID}#note  Queue (AWS::SQS::Queue)  {state}  since "));
    }
    story.told.ends(None);
    story.pass(&mut run).await;
    says(&mut told, "Created");
    says(&mut seen, &format!("{ID}  Ready"));
    for child in [&mut logs, &mut status] {
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "asked to end, it ends well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatty_change_costs_bounded_space_and_no_history() {
    let story = Story::new();
    for n in 0..1_500 {
        story.told.happens(&story.clock, &format!("R{n}"), "CREATE_COMPLETE", None);
    }
    story.told.ends(None);
    let mut run = story.run().await;
    story.pass(&mut run).await;
    let logs = story.logs(&[]);
    assert_eq!(logs.len(), 1_001);
    assert!(logs[999].contains("note/R1499 "), "{}", logs[999]);
    assert!(logs[1_000].starts_with("Created"), "{}", logs[1_000]);
}
