//! A provider whose changes take an hour.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use vend::model::{
    Action, Artifact, Change, HoldReason, Live, Map, Observation, Owner, PassReport, Preview,
    Progress, Target, Ticket, Token,
};
use vend::provider::{Provider, ProviderError, Providers, Scope};
use vend::reconcile::review::Question;

use super::lab::{Clock, Run, store};
use crate::world::{World, ask, drop_request, note, request_with};

/// How what is at work ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Failed,
}

#[derive(Default)]
struct State {
    made: BTreeMap<String, Change>,
    at_work: BTreeMap<String, Change>,
    /// Tokens in the order in which they were first sent.
    sent: Vec<Token>,
    refusals: VecDeque<ProviderError>,
    /// How often changes were submitted, again too.
    submitted: usize,
    /// A submission has no answer before it lets it through, one for each permit.
    gate: Option<Arc<Semaphore>>,
    cancelled: usize,
    ends: BTreeMap<Token, End>,
}

#[derive(Clone, Default)]
struct Slow(Arc<Mutex<State>>);

impl Slow {
    fn end(&self, end: End) -> Vec<Change> {
        let mut state = self.0.lock().unwrap();
        let ended: Vec<Change> = std::mem::take(&mut state.at_work).into_values().collect();
        for change in &ended {
            state.ends.insert(change.token.clone(), end);
            if end == End::Failed {
                continue;
            }
            let name = change.target.name.to_string();
            if change.action == Action::Delete {
                state.made.remove(&name);
            } else {
                state.made.insert(name, change.clone());
            }
        }
        ended
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn sent(&self) -> usize {
        self.0.lock().unwrap().sent.len()
    }

    fn refuse(&self, errors: impl IntoIterator<Item = ProviderError>) {
        self.0.lock().unwrap().refusals.extend(errors);
    }
}

fn ticket(change: &Change) -> Progress {
    let ticket =
        Ticket { token: change.token.clone(), target: change.target.clone(), data: json!({}) };
    Progress::Running { ticket, events: Vec::new() }
}

#[async_trait]
impl Provider for Slow {
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
        let state = self.0.lock().unwrap();
        let look = |target: &Target| match state.made.get(target.name.as_str()) {
            None => Observation::Absent,
            Some(change) => Observation::Present(Live {
                owner: Owner::Ours,
                digest: change.artifact.as_ref().and_then(|a| a.digest),
                token: Some(change.token.clone()),
                state: "DONE".into(),
                busy: state.at_work.contains_key(target.name.as_str()),
                drift: Vec::new(),
                pending: false,
                unchecked: None,
                guarded: None,
                touched: None,
                adoptable: false,
                stuck: None,
                outputs: Map::new(),
            }),
        };
        targets.iter().map(|t| (t.clone(), Ok(look(t)))).collect()
    }
    async fn preview(&self, _: &Change) -> Result<Preview, ProviderError> {
        Ok(Preview::default())
    }
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let gate = self.with(|state| {
            state.submitted += changes.len();
            state.gate.clone()
        });
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut state = self.0.lock().unwrap();
        let mut answers = Vec::new();
        for change in changes {
            if !state.sent.contains(&change.token) {
                state.sent.push(change.token.clone());
            }
            let answer = match state.refusals.pop_front() {
                Some(error) => Err(error),
                None => {
                    state.at_work.insert(change.target.name.to_string(), change.clone());
                    Ok(ticket(change))
                }
            };
            answers.push((change.token.clone(), answer));
        }
        answers
    }
    async fn poll(&self, asked: &Ticket) -> Result<Progress, ProviderError> {
        let state = self.0.lock().unwrap();
        let name = asked.target.name.as_str();
        if let Some(change) = state.at_work.get(name).filter(|c| c.token == asked.token) {
            return Ok(ticket(change));
        }
        let events = Vec::new();
        Ok(match state.ends.get(&asked.token) {
            Some(End::Well) => Progress::Succeeded {
                outputs: Map::new(),
                state: "DONE".into(),
                mark: None,
                events,
            },
            Some(End::Failed) => {
                let error = "quota exceeded".to_owned();
                Progress::Failed { error, state: "FAILED".into(), events }
            }
            None => return Err(ProviderError::unknown("never heard of it")),
        })
    }
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        let mut state = self.0.lock().unwrap();
        state.cancelled += 1;
        state.at_work.remove(ticket.target.name.as_str());
        state.ends.insert(ticket.token.clone(), End::Failed);
        let error = "it was stopped".to_owned();
        Ok(Progress::Failed { error, state: "BACK".into(), events: Vec::new() })
    }
}

/// A world with that provider, and so many effects at once.
struct Story {
    world: World,
    slow: Slow,
    clock: Clock,
}

impl Story {
    fn new(at_once: usize) -> Self {
        let mut world = World::new();
        world.configure(|c| {
            c["reconcile"] = json!({"perAccount": at_once, "concurrency": 1000});
        });
        Self { world, slow: Slow::default(), clock: Clock::new() }
    }

    async fn run(&self) -> Run {
        let providers = Providers::new().with(self.slow.clone());
        Run::start(&self.world, Arc::new(store(&self.world)), providers, &self.clock).await
    }

    async fn pass(&self, run: &mut Run) -> PassReport {
        let report = run.pass(&self.clock).await.unwrap();
        run.engine.standing(report).await.unwrap()
    }

    fn phase(&self, id: &str) -> Value {
        self.world.status(id)["phase"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_long_change_goes_on_over_restarts_and_newer_commits_wait() {
    let story = Story::new(100);
    let id = "orders/dev/queue";
    story.world.requests.commit([ask(id, note("one"))]);
    let mut run = story.run().await;
    assert_eq!(story.pass(&mut run).await.under_way, 1);
    assert_eq!(story.phase(id), "Applying");
    drop(run);
    story.world.requests.commit([ask(id, note("two"))]);
    let mut run = story.run().await;
    let report = story.pass(&mut run).await;
    assert_eq!((report.under_way, story.slow.sent()), (1, 1), "asked about, not sent again");
    let hold = report.holds.iter().find(|h| matches!(h.reason, HoldReason::InFlight { .. }));
    assert_eq!(hold.unwrap().action, Some(Action::Update));
    assert_eq!(story.slow.end(End::Well).len(), 1);
    story.clock.advance(60);
    assert_eq!(story.pass(&mut run).await.under_way, 1, "the newer one has its turn");
    story.slow.end(End::Well);
    story.clock.advance(60);
    story.pass(&mut run).await;
    assert_eq!((story.phase(id), story.slow.sent()), (json!("Ready"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_stopped_for_a_newer_one_where_the_settings_say_so() {
    let mut story = Story::new(100);
    let id = "orders/dev/queue";
    for (how, cancelled) in [("never", 0), ("superseded", 1)] {
        story.world.configure(|c| c["reconcile"] = json!({"cancel": how}));
        story.world.requests.commit([ask(id, note(&format!("{how} one")))]);
        let mut run = story.run().await;
        story.pass(&mut run).await;
        story.slow.end(End::Well);
        story.clock.advance(60);
        story.pass(&mut run).await;
        assert_eq!(story.phase(id), "Ready");
        for text in ["two", "three"] {
            story.world.requests.commit([ask(id, note(&format!("{how} {text}")))]);
            story.clock.advance(60);
            story.pass(&mut run).await;
        }
        story.clock.advance(60);
        assert_eq!(story.pass(&mut run).await.under_way, 1, "{how}");
        assert_eq!(story.slow.0.lock().unwrap().cancelled, cancelled, "{how}");
        while !story.slow.end(End::Well).is_empty() {
            story.clock.advance(60);
            story.pass(&mut run).await;
        }
        assert_eq!(story.phase(id), "Ready", "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_removed_while_it_is_made_is_deleted_afterwards() {
    let story = Story::new(100);
    let id = "orders/dev/queue";
    story.world.requests.commit([ask(id, note("one"))]);
    let mut run = story.run().await;
    story.pass(&mut run).await;
    story.world.requests.commit([drop_request(id)]);
    assert_eq!(story.pass(&mut run).await.under_way, 1);
    story.slow.end(End::Well);
    story.clock.advance(60);
    let report = story.pass(&mut run).await;
    assert_eq!(report.under_way, 1, "{report:#?}");
    assert_eq!(story.phase(id), "Deleting");
    story.slow.end(End::Well);
    story.clock.advance(60);
    assert_eq!(story.pass(&mut run).await.under_way, 0);
    assert_eq!(story.world.status_or_none(id), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_wait_ever_longer_and_refusals_for_a_person() {
    let story = Story::new(100);
    let id = "orders/dev/queue";
    story.world.requests.commit([ask(id, note("one"))]);
    let after = Some(Duration::from_secs(600));
    let wish = ProviderError::unavailable_to(Scope::Target, after, "throttled");
    story.slow.refuse([wish, ProviderError::Refused("not allowed".into())]);
    let mut run = story.run().await;
    let wait = |report: &PassReport| {
        let reason = report.holds.first().map(|h| h.reason.clone());
        match reason {
            Some(HoldReason::Backoff { until, .. } | HoldReason::Refused { until, .. }) => {
                until.duration_since(story.clock.now()).as_secs()
            }
            other => panic!("{other:?}"),
        }
    };
    let report = story.pass(&mut run).await;
    assert_eq!((report.failures(), wait(&report)), (1, 600), "as the provider wishes");
    story.clock.advance(601);
    let report = story.pass(&mut run).await;
    assert!(wait(&report) >= 3600, "a refusal is somebody's to mend");
    assert_eq!(story.slow.sent(), 2);
    assert_eq!(story.phase(id), "Failed");
    for n in 0..4 {
        story.clock.advance(4000);
        story.pass(&mut run).await;
        story.slow.end(End::Failed);
        story.clock.advance(60);
        let report = story.pass(&mut run).await;
        assert!(wait(&report) >= 3500, "{n}: what failed in the target fails again");
    }
    assert_eq!(story.slow.sent(), 6, "each try under a token of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_together_is_tried_again_together() {
    let story = Story::new(100);
    story.world.requests.commit((0..3).map(|n| ask(&format!("orders/dev/n{n}"), note("x"))));
    story
        .slow
        .refuse(["closed", "closed", "not this"].map(|why| ProviderError::Refused(why.into())));
    let mut run = story.run().await;
    let report = story.pass(&mut run).await;
    let mut tries = BTreeMap::new();
    for hold in &report.holds {
        let HoldReason::Refused { error, until } = &hold.reason else { panic!("{hold:?}") };
        *tries.entry((error.as_str(), *until)).or_insert(0) += 1;
    }
    assert_eq!(tries.into_values().collect::<Vec<_>>(), [2, 1], "{:?}", report.holds);
}

fn stale() -> ProviderError {
    ProviderError::Stale("it has changed".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_round_of_the_pass_mends_has_not_failed() {
    let story = Story::new(100);
    story.world.requests.commit([ask("orders/dev/queue", note("one"))]);
    story.slow.refuse([stale()]);
    let mut run = story.run().await;
    let report = story.pass(&mut run).await;
    assert_eq!((report.failures(), report.under_way, story.slow.sent()), (0, 1, 2), "{report:?}");
    story.slow.end(End::Well);
    story.clock.advance(60);
    assert_eq!(story.pass(&mut run).await.failures(), 0);
    assert_eq!(story.phase("orders/dev/queue"), "Ready");

    // The same again and again is a failure, told once, and waits for its next try.
    story.world.requests.commit([ask("orders/dev/queue", note("two"))]);
    story.slow.refuse([stale(), stale()]);
    let report = story.pass(&mut run).await;
    assert_eq!((report.failures(), report.under_way), (1, 0), "{report:?}");
    assert_eq!(story.phase("orders/dev/queue"), "Failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_try_of_what_is_not_wanted_any_more_is_forgotten() {
    let story = Story::new(100);
    let id = "orders/dev/queue";
    story.world.requests.commit([ask(id, note("one"))]);
    let mut run = story.run().await;
    story.pass(&mut run).await;
    story.slow.end(End::Well);
    story.clock.advance(60);
    story.pass(&mut run).await;
    story.slow.refuse([ProviderError::Refused("not allowed".into())]);
    story.world.requests.commit([ask(id, note("two"))]);
    assert_eq!(story.pass(&mut run).await.failures(), 1);
    story.world.requests.commit([ask(id, note("one"))]);
    story.pass(&mut run).await;
    assert_eq!(story.phase(id), "Ready");
    story.clock.advance(3);
    let report = story.pass(&mut run).await;
    assert!(report.quiet, "{report:?}");
    let index = run.engine.store().index().await.unwrap();
    assert!(index.retries.is_empty(), "{:?}", index.retries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_try_goes_along_with_a_move_and_is_forgotten_there() {
    let story = Story::new(100);
    let (id, moved) = ("orders/dev/queue", "orders/dev/events");
    story.world.requests.commit([ask(id, note("one"))]);
    let mut run = story.run().await;
    story.pass(&mut run).await;
    story.slow.end(End::Well);
    story.clock.advance(60);
    story.pass(&mut run).await;
    story.slow.refuse([ProviderError::Refused("not allowed".into())]);
    story.world.requests.commit([ask(id, note("two"))]);
    assert_eq!(story.pass(&mut run).await.failures(), 1);
    let renamed = request_with("note@1.0.0", "{text: one}", &format!("movedFrom: {id}"));
    story.world.requests.commit([drop_request(id), ask(moved, renamed)]);
    story.pass(&mut run).await;
    assert_eq!(story.phase(moved), "Ready");
    let index = run.engine.store().index().await.unwrap();
    assert!(index.retries.is_empty(), "{:?}", index.retries);
    story.clock.advance(3);
    let report = story.pass(&mut run).await;
    assert!(report.quiet, "again: nothing to do: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_team_leaves_room_for_another() {
    let story = Story::new(8);
    story.world.requests.commit((0..40).map(|n| ask(&format!("orders/dev/n{n}"), note("x"))));
    let mut run = story.run().await;
    assert_eq!(story.pass(&mut run).await.under_way, 6, "three quarters of the room");
    story.world.requests.commit([ask("billing/dev/one", note("x"))]);
    assert_eq!(story.pass(&mut run).await.under_way, 7);
    assert_eq!(story.phase("billing/dev/one"), "Applying");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_again_is_not_sent_beside_itself_after_a_review() {
    let story = Story::new(100);
    let id = "orders/dev/queue";
    story.world.requests.commit([ask(id, note("one"))]);
    story.slow.refuse([ProviderError::unknown("the answer was lost")]);
    let mut run = story.run().await;
    story.pass(&mut run).await;
    assert_eq!(story.slow.with(|state| state.submitted), 1);

    let gate = Arc::new(Semaphore::new(0));
    story.slow.with(|state| state.gate = Some(gate.clone()));
    story.clock.advance(600);
    story.pass(&mut run).await;
    assert_eq!(story.slow.with(|state| state.submitted), 2);
    let question =
        Question { at: BTreeMap::new(), also: BTreeSet::new(), previews: false, blind: false };
    run.engine.review(&question, &|| story.clock.now()).await.unwrap();
    story.clock.advance(600);
    let report = story.pass(&mut run).await;
    assert_eq!((report.under_way, story.slow.with(|state| state.submitted)), (1, 2));

    story.slow.with(|state| state.gate = None);
    gate.add_permits(1);
    let end = Instant::now() + Duration::from_secs(30);
    while story.slow.with(|state| state.at_work.is_empty()) {
        assert!(Instant::now() < end, "it was let through, and never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    story.slow.end(End::Well);
    for _ in 0..3 {
        story.clock.advance(600);
        story.pass(&mut run).await;
    }
    assert_eq!(story.phase(id), "Ready");
    assert_eq!((story.slow.with(|state| state.submitted), story.slow.sent()), (2, 1));
    let report = run.pass(&story.clock).await.unwrap();
    assert!(report.quiet, "again: nothing to do");
}
