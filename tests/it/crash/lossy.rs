//! A provider whose changes lose things, fail in pieces, and whose looks for drift take their time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vend::digest::Digest;
use vend::model::{
    Action, Approval, Artifact, Change, DriftItem, HoldReason, Live, Map, Observation, Owner,
    PassReport, Preview, Progress, RequestId, ResourceAction, ResourceChange, Stuck, Target,
    Ticket, Token,
};
use vend::provider::{Provider, ProviderError, Providers};
use vend::store::{PersonWrite, Store};

use super::lab::{Clock, Run, store};
use crate::world::{World, ask, note};

#[derive(Clone)]
struct Thing {
    digest: Option<Digest>,
    token: Token,
    rubble: bool,
}

#[derive(Default)]
struct State {
    things: BTreeMap<String, Thing>,
    /// What every preview says is lost.
    lost: Option<ResourceAction>,
    error: Option<ProviderError>,
    /// Targets of previews, in their order.
    previewed: Vec<String>,
    discarded: Vec<Value>,
    /// What was carried out: action and the preview's handle.
    done: Vec<(Action, Option<Value>)>,
    fails: bool,
    /// How many looks for drift are not at their end.
    looking: usize,
    inspected: usize,
    /// Looks for drift have no answer before it lets them through, one for each permit.
    gate: Option<Arc<tokio::sync::Semaphore>>,
    drift: Vec<DriftItem>,
}

#[derive(Clone, Default)]
struct Lossy(Arc<Mutex<State>>);

impl Lossy {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

type Observed = Vec<(Target, Result<Observation, ProviderError>)>;

#[async_trait]
impl Provider for Lossy {
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
    fn previews(&self) -> bool {
        true
    }
    async fn observe(&self, targets: &[Target]) -> Observed {
        let look = |target: &Target, state: &State| match state.things.get(target.name.as_str()) {
            None => Observation::Absent,
            Some(thing) => Observation::Present(Live {
                owner: Owner::Ours,
                digest: thing.digest,
                token: Some(thing.token.clone()),
                state: if thing.rubble { "ROLLED_BACK" } else { "DONE" }.into(),
                busy: false,
                drift: Vec::new(),
                pending: false,
                unchecked: None,
                guarded: None,
                touched: None,
                adoptable: false,
                stuck: thing
                    .rubble
                    .then(|| Stuck { advice: "its creation failed".into(), unmade: true }),
                outputs: Map::new(),
            }),
        };
        self.with(|s| targets.iter().map(|t| (t.clone(), Ok(look(t, s)))).collect())
    }
    async fn inspect(&self, targets: &[Target]) -> Observed {
        let mut seen = self.observe(targets).await;
        let gate = self.with(|state| state.gate.clone());
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.with(|state| {
            state.inspected += 1;
            for (_, seen) in &mut seen {
                if let Ok(Observation::Present(live)) = seen {
                    live.pending = state.looking > 0;
                    live.drift = if live.pending { Vec::new() } else { state.drift.clone() };
                }
            }
            state.looking = state.looking.saturating_sub(1);
        });
        seen
    }
    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        self.with(|state| {
            if let Some(error) = &state.error {
                return Err(error.clone());
            }
            state.previewed.push(change.target.name.to_string());
            let resource = |action| ResourceChange {
                name: "Queue".into(),
                kind: "Test::Queue".into(),
                action,
                cause: Some("Name".into()),
                properties: Vec::new(),
                left: None,
            };
            let resources = state.lost.into_iter().map(resource).collect();
            let handle = Some(json!(state.previewed.len()));
            Ok(Preview { resources, handle, ..Preview::default() })
        })
    }
    async fn discard(&self, _: &Target, handle: &Value) {
        self.with(|state| state.discarded.push(handle.clone()));
    }
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let mut answers = Vec::new();
        for change in changes {
            let answer = self.with(|state| {
                let name = change.target.name.to_string();
                state.done.push((change.action, change.preview.clone()));
                if change.action == Action::Delete {
                    state.things.remove(&name);
                } else {
                    let digest = change.artifact.as_ref().and_then(|a| a.digest);
                    let (token, rubble) = (change.token.clone(), state.fails);
                    state.things.insert(name, Thing { digest, token, rubble });
                }
                let (word, events) = ("DONE".to_owned(), Vec::new());
                if state.fails && change.action != Action::Delete {
                    return Progress::Failed { error: "no room".into(), state: word, events };
                }
                Progress::Succeeded { outputs: Map::new(), state: word, mark: None, events }
            });
            answers.push((change.token.clone(), Ok(answer)));
        }
        answers
    }
    async fn poll(&self, _: &Ticket) -> Result<Progress, ProviderError> {
        Err(ProviderError::unknown("it is always done at once"))
    }
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.poll(ticket).await
    }
}

struct Story {
    world: World,
    lossy: Lossy,
    clock: Clock,
}

const ONE: &str = "orders/dev/one";
const TWO: &str = "orders/dev/two";

impl Story {
    /// These requests, made.
    async fn of(ids: &[&str], at_once: usize) -> (Self, Run) {
        let mut world = World::new();
        world.configure(|c| c["reconcile"] = json!({"perAccount": at_once}));
        world.requests.commit(ids.iter().map(|id| ask(id, note("first"))));
        let story = Self { world, lossy: Lossy::default(), clock: Clock::new() };
        let mut run = story.run().await;
        story.pass(&mut run).await;
        story.lossy.with(|s| s.done.clear());
        (story, run)
    }

    async fn run(&self) -> Run {
        let providers = Providers::new().with(self.lossy.clone());
        Run::start(&self.world, Arc::new(store(&self.world)), providers, &self.clock).await
    }

    async fn pass(&self, run: &mut Run) -> PassReport {
        let report = run.pass(&self.clock).await.unwrap();
        run.engine.standing(report).await.unwrap()
    }

    fn change(&self, id: &str, text: &str) {
        self.world.requests.commit([ask(id, note(text))]);
    }

    async fn approve(&self, digest: Digest) {
        let approval =
            Approval { digest, by: "ada".into(), by_id: None, teams: None, at: self.clock.now() };
        store(&self.world).note(vec![PersonWrite::Approve(approval)]).await.unwrap();
    }

    fn phase(&self, id: &str) -> Value {
        self.world.status(id)["phase"].clone()
    }

    fn previews(&self) -> usize {
        self.lossy.with(|s| s.previewed.len())
    }
}

/// What a person is asked to approve.
#[track_caller]
fn asked(report: &PassReport) -> Digest {
    match report.holds.as_slice() {
        [hold] => match &hold.reason {
            HoldReason::NeedsApproval { digest, .. }
            | HoldReason::Stuck { digest: Some(digest), .. } => *digest,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_waits_for_a_person_and_is_previewed_once() {
    let (story, mut run) = Story::of(&[ONE, TWO], 100).await;
    story.lossy.with(|s| s.lost = Some(ResourceAction::Replace));
    story.change(ONE, "second");
    let report = story.pass(&mut run).await;
    assert_eq!(story.phase(ONE), "Held", "a loss that was foretold went on, and nobody was asked");
    asked(&report);
    let waits = story.world.status(ONE)["waitingFor"].to_string();
    assert!(waits.contains("replace `Queue` (Test::Queue, since `Name` changes)"), "{waits}");
    assert_eq!(story.lossy.with(|s| (s.previewed.len(), s.discarded.len())), (1, 1));

    // What happens elsewhere, and a restart, ask nobody again; and nothing else is held up.
    story.lossy.with(|s| s.lost = None);
    story.change(TWO, "second");
    story.pass(&mut run).await;
    assert_eq!((story.phase(TWO), story.previews()), (json!("Ready"), 2));
    drop(run);
    let mut run = story.run().await;
    let report = story.pass(&mut run).await;
    assert_eq!(story.previews(), 2, "the hold keeps what the preview said");

    story.lossy.with(|s| s.lost = Some(ResourceAction::Replace));
    story.approve(asked(&report)).await;
    story.pass(&mut run).await;
    assert_eq!(story.phase(ONE), "Ready");
    let conditions = story.world.status(ONE)["conditions"].clone();
    assert_eq!(conditions[1]["reason"], "OutputsMissing", "it gives none of those promised");
    let last = story.lossy.with(|s| s.done.last().cloned());
    assert_eq!(last, Some((Action::Update, Some(json!(3)))), "the one made after the approval");

    // That yes is used up: the same change again asks again.
    for text in ["first", "second"] {
        story.change(ONE, text);
        let report = story.pass(&mut run).await;
        let digest = asked(&report);
        if text == "first" {
            story.approve(digest).await;
            story.pass(&mut run).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_does_not_cover_what_was_not_seen() {
    let (story, mut run) = Story::of(&[ONE], 100).await;
    story.lossy.with(|s| s.lost = Some(ResourceAction::Replace));
    story.change(ONE, "second");
    let digest = asked(&story.pass(&mut run).await);
    story.lossy.with(|s| s.lost = Some(ResourceAction::Delete));
    story.approve(digest).await;
    let report = story.pass(&mut run).await;
    assert_ne!(asked(&report), digest);
    assert!(story.lossy.with(|s| s.done.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_may_say_that_nobody_is_asked() {
    let (mut story, run) = Story::of(&[ONE], 100).await;
    drop(run);
    story.world.configure(|c| c["reconcile"] = json!({"replacements": "apply"}));
    let mut run = story.run().await;
    story.lossy.with(|s| s.lost = Some(ResourceAction::Replace));
    story.change(ONE, "second");
    story.pass(&mut run).await;
    assert_eq!(story.phase(ONE), "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_fails_holds_its_request_and_is_tried_again() {
    let (story, mut run) = Story::of(&[ONE, TWO], 100).await;
    story.lossy.with(|s| s.error = Some(ProviderError::unavailable("throttled")));
    story.change(ONE, "second");
    story.world.requests.commit([ask("orders/dev/new", note("x"))]);
    let report = story.pass(&mut run).await;
    assert!(matches!(report.holds[0].reason, HoldReason::NotObserved { .. }), "{report:#?}");
    assert_eq!(story.phase("orders/dev/new"), "Ready", "what needs no preview goes on");
    story.lossy.with(|s| s.error = Some(ProviderError::Refused("not allowed".into())));
    story.clock.advance(60);
    let report = story.pass(&mut run).await;
    assert!(matches!(report.holds[0].reason, HoldReason::Refused { .. }), "{report:#?}");
    story.lossy.with(|s| s.error = None);
    story.clock.advance(60);
    story.change(TWO, "second");
    story.pass(&mut run).await;
    assert_eq!(story.previews(), 1, "a refusal waits");
    story.clock.advance(4000);
    story.pass(&mut run).await;
    assert_eq!(story.phase(ONE), "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_previewed_than_can_begin_and_each_is_carried_out() {
    let ids: Vec<String> = (0..6).map(|n| format!("orders/dev/n{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (story, mut run) = Story::of(&ids, 2).await;
    story.world.requests.commit(ids.iter().map(|id| ask(id, note("second"))));
    run.settle(&story.clock).await;
    let (previews, handles) = story.lossy.with(|s| {
        let handles: Vec<_> = s.done.iter().filter_map(|(_, handle)| handle.clone()).collect();
        (s.previewed.len(), handles.len())
    });
    assert_eq!((previews, handles), (6, 6));
    assert!(story.lossy.with(|s| s.discarded.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_drift_that_goes_on_is_asked_about_soon_and_holds_nobody_up() {
    let (story, mut run) = Story::of(&[ONE, TWO], 100).await;
    story.lossy.with(|s| s.looking = 2);
    story.clock.advance(4000);
    let report = story.pass(&mut run).await;
    assert!(report.holds.is_empty() && story.lossy.with(|s| s.inspected) == 1, "{report:#?}");
    let soon = report.due.unwrap().duration_since(story.clock.now()).as_secs();
    assert!((10..=31).contains(&soon), "{soon}");
    story.change(TWO, "second");
    story.pass(&mut run).await;
    assert_eq!(story.phase(TWO), "Ready");
    assert_eq!(story.lossy.with(|s| s.inspected), 1, "not before its time");
    let item = DriftItem::new("Queue", "changed");
    story.lossy.with(|s| s.drift = vec![item]);
    for _ in 0..2 {
        story.clock.advance(31);
        story.pass(&mut run).await;
    }
    assert_eq!(story.world.status(ONE)["drift"]["state"], "Drifted");
    let inspected = story.lossy.with(|s| s.inspected);
    story.clock.advance(60);
    story.pass(&mut run).await;
    assert_eq!(story.lossy.with(|s| s.inspected), inspected, "the next look is an interval away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_for_drift_that_has_no_answer_yet_leaves_all_as_it_was() {
    let (story, mut run) = Story::of(&[ONE], 100).await;
    let ids = [RequestId::parse(ONE).unwrap()];
    let record = run.engine.store().records(&ids).await.unwrap();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    story.lossy.with(|s| {
        s.gate = Some(gate.clone());
        s.drift = vec![DriftItem::new("Queue", "changed")];
    });
    story.clock.advance(4000);
    // What it does not wait for holds nothing, and was not looked at.
    let report = story.pass(&mut run).await;
    assert!(report.holds.is_empty(), "{report:#?}");
    assert_eq!(story.phase(ONE), "Ready");
    assert_eq!(run.engine.store().records(&ids).await.unwrap(), record, "nobody has looked");
    let soon = report.due.unwrap().duration_since(story.clock.now()).as_secs();
    assert!((1..=15).contains(&soon), "{soon}");

    // Whichever pass comes next takes the answer.
    gate.add_permits(1);
    let answered = async {
        while story.world.status(ONE)["drift"]["state"] != "Drifted" {
            story.clock.advance(16);
            story.pass(&mut run).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.unwrap();
    assert_eq!(story.phase(ONE), "Ready");
    story.lossy.with(|s| s.gate = None);
    story.clock.advance(60);
    story.pass(&mut run).await;
    assert_eq!(story.lossy.with(|s| s.inspected), 1, "again: nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_failed_creation_goes_when_a_person_says_so() {
    let (story, mut run) = Story::of(&[TWO], 100).await;
    story.lossy.with(|s| s.fails = true);
    story.change(ONE, "first");
    let report = story.pass(&mut run).await;
    assert_eq!((report.failures(), story.phase(ONE)), (1, json!("Failed")));
    let waits = story.world.status(ONE)["waitingFor"].to_string();
    assert!(waits.contains("it failed (no room)"), "{waits}");
    assert_eq!(story.lossy.with(|s| s.done.len()), 1, "tried once, whatever is looked at");
    story.lossy.with(|s| s.fails = false);
    story.change(TWO, "first in other words");
    let again = story.pass(&mut run).await;
    let digest = asked(&report);
    assert_eq!(asked(&again), digest);
    story.lossy.with(|s| s.done.clear());
    story.approve(digest).await;
    story.pass(&mut run).await;
    assert_eq!(story.phase(ONE), "Ready");
    let done = story.lossy.with(|s| s.done.iter().map(|(a, _)| *a).collect::<Vec<_>>());
    assert_eq!(done, [Action::Delete, Action::Create]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f31_where_nothing_is_made_a_pass_comes_by_for_what_previews_left() {
    let (world, lossy, clock) = (World::new(), Lossy::default(), Clock::new());
    let story = Story { world, lossy, clock };
    let mut run = story.run().await;
    run.pass(&story.clock).await.unwrap();
    let report = run.pass(&story.clock).await.unwrap();
    let due = report.due.expect("nothing else would wake one").duration_since(story.clock.now());
    assert!(report.quiet && due.as_hours() <= 6, "{due}");
}
