//! What every provider must do, as stories. A provider's own tests bring a [`World`] and call
//! [`keeps`].

use std::sync::Arc;

use super::{Provider, ProviderError};
use crate::digest::Digest;
use crate::model::{
    Action, Artifact, Change, ComponentName, InstanceId, Live, Map, Observation, Owner, Progress,
    RequestId, ResourceAction, Target, TargetKey, TargetName, Ticket, Token,
};

/// A provider, and the hands of the people around it.
pub(crate) trait World {
    /// The provider under test.
    fn provider(&self) -> &dyn Provider;
    /// Settings of an environment, as yet unsettled.
    fn settings(&self) -> Map;
    /// What version `n` of a component's artifact is; each differs from the others.
    fn artifact(&self, n: u8) -> Artifact;
    /// Somebody changes a part of the target behind our back.
    fn meddle(&self, target: &Target);
    /// Whether the world that the tests have can undo that; the real one can.
    fn can_revert(&self) -> bool {
        true
    }
}

/// The target of that name, of an instance.
pub(crate) fn target(world: &dyn World, instance: &str, name: &str) -> Target {
    let request = RequestId::new("orders", "prod", name).unwrap();
    let key = TargetKey { request, component: ComponentName::new("main") };
    let instance = InstanceId::new(instance);
    let settings = world.provider().settle(&world.settings(), &key).unwrap();
    let provider = world.provider().kind().to_owned();
    let name = TargetName::compute(&instance, &key);
    Target { name, key, instance, provider, settings, id: None }
}

/// A change with a token of its own.
pub(crate) fn change(
    target: &Target,
    token: &str,
    action: Action,
    artifact: Option<Artifact>,
    expect: Option<Digest>,
) -> Change {
    Change {
        token: Token::new(format!("vend-{token}-{}", target.name)),
        target: target.clone(),
        action,
        artifact: artifact.map(Arc::new),
        expect,
        labels: Default::default(),
        former: None,
        commit: None,
        template: None,
        protect: false,
        adopt: false,
        timeout: None,
        preview: None,
    }
}

async fn observe(world: &dyn World, target: &Target) -> Observation {
    let mut seen = world.provider().observe(std::slice::from_ref(target)).await;
    assert_eq!(seen.len(), 1);
    let (about, seen) = seen.remove(0);
    assert_eq!(&about, target);
    seen.unwrap()
}

async fn live(world: &dyn World, target: &Target) -> Live {
    match observe(world, target).await {
        Observation::Present(live) => live,
        Observation::Absent => panic!("{} is not there", target.name),
    }
}

/// Looks for drift until there is an answer.
async fn inspect(world: &dyn World, target: &Target) -> Live {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let mut seen = world.provider().inspect(std::slice::from_ref(target)).await;
        match seen.remove(0).1.unwrap() {
            Observation::Present(live) if !live.pending => return live,
            Observation::Present(_) => assert!(std::time::Instant::now() < end, "still pending"),
            Observation::Absent => panic!("{} is not there", target.name),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Submits, and asks until the end is seen.
async fn submit(world: &dyn World, change: &Change) -> Result<Map, ProviderError> {
    let mut answers = world.provider().submit(std::slice::from_ref(change)).await;
    assert_eq!(answers.len(), 1);
    let (token, mut answer) = answers.remove(0);
    assert_eq!(token, change.token);
    loop {
        match answer? {
            Progress::Succeeded { outputs, .. } => return Ok(outputs),
            Progress::Failed { error, .. } => panic!("{error}"),
            Progress::Running { ticket, .. } => answer = world.provider().poll(&ticket).await,
        }
    }
}

/// All stories.
pub(crate) async fn keeps(world: &dyn World) {
    a_life(world).await;
    the_same_token_is_the_same_change(world).await;
    what_is_stale_is_refused(world).await;
    a_strangers_is_left_alone(world).await;
    drift_is_seen_and_restored(world).await;
    what_is_gone_comes_back(world).await;
    one_bad_member_fails_alone(world).await;
    the_end_is_found_after_a_crash(world).await;
}

async fn a_life(world: &dyn World) {
    let target = target(world, "i-1", "life");
    assert_eq!(observe(world, &target).await, Observation::Absent);

    let (one, two) = (world.artifact(1), world.artifact(2));
    let create = change(&target, "t1", Action::Create, Some(one.clone()), None);
    let preview = world.provider().preview(&create).await.unwrap();
    assert!(!preview.resources.is_empty());
    assert!(preview.resources.iter().all(|r| r.action == ResourceAction::Create));
    assert_eq!(observe(world, &target).await, Observation::Absent, "a preview makes nothing");

    let outputs = submit(world, &create).await.unwrap();
    let seen = live(world, &target).await;
    assert_eq!(seen.owner, Owner::Ours);
    assert_eq!(seen.digest, one.digest);
    assert!(seen.token.is_none_or(|token| token == create.token));
    assert_eq!(seen.drift, []);
    assert_eq!(seen.outputs, outputs);
    for (name, value) in world.provider().known(&target, &one) {
        assert_eq!(outputs.get(&name), Some(&value), "{name} was known before");
    }

    let update = change(&target, "t2", Action::Update, Some(two.clone()), one.digest);
    assert!(!world.provider().preview(&update).await.unwrap().resources.is_empty());
    submit(world, &update).await.unwrap();
    let seen = live(world, &target).await;
    assert_eq!((seen.digest, seen.drift), (two.digest, vec![]));

    let delete = change(&target, "t3", Action::Delete, None, two.digest);
    let preview = world.provider().preview(&delete).await.unwrap();
    assert!(preview.resources.iter().all(|r| r.action == ResourceAction::Delete));
    submit(world, &delete).await.unwrap();
    assert_eq!(observe(world, &target).await, Observation::Absent);
    submit(world, &delete).await.unwrap();
    let again = change(&target, "t4", Action::Delete, None, None);
    submit(world, &again).await.unwrap();
    assert_eq!(observe(world, &target).await, Observation::Absent, "again: nothing to do");
}

async fn the_same_token_is_the_same_change(world: &dyn World) {
    let target = target(world, "i-1", "same-token");
    let create = change(&target, "t1", Action::Create, Some(world.artifact(1)), None);
    let first = submit(world, &create).await.unwrap();
    let seen = live(world, &target).await;
    assert_eq!(submit(world, &create).await.unwrap(), first);
    assert_eq!(live(world, &target).await, seen, "nothing moved");
}

async fn what_is_stale_is_refused(world: &dyn World) {
    let target = target(world, "i-1", "stale");
    let (one, two) = (world.artifact(1), world.artifact(2));
    let is_stale = |answer| assert!(matches!(answer, Err(ProviderError::Stale(_))), "{answer:?}");
    // It is said to be there, and is not.
    let early = change(&target, "t0", Action::Update, Some(two.clone()), one.digest);
    is_stale(submit(world, &early).await);
    submit(world, &change(&target, "t1", Action::Create, Some(one.clone()), None)).await.unwrap();
    // It is said not to be there, and is.
    is_stale(submit(world, &change(&target, "t2", Action::Create, Some(one.clone()), None)).await);
    // It is said to be another.
    is_stale(
        submit(world, &change(&target, "t3", Action::Update, Some(one.clone()), two.digest)).await,
    );
    is_stale(submit(world, &change(&target, "t4", Action::Delete, None, two.digest)).await);
    let seen = live(world, &target).await;
    assert_eq!((seen.digest, seen.drift), (one.digest, vec![]), "nothing happened");
}

async fn a_strangers_is_left_alone(world: &dyn World) {
    let theirs = target(world, "i-2", "foreign");
    let mut ours = target(world, "i-1", "foreign");
    ours.settings = theirs.settings.clone();
    if world.provider().kind() != "files" {
        // Elsewhere the name is the place.
        ours.name = theirs.name.clone();
    }
    let (one, two) = (world.artifact(1), world.artifact(2));
    submit(world, &change(&theirs, "t1", Action::Create, Some(one.clone()), None)).await.unwrap();
    let before = live(world, &theirs).await;
    assert!(matches!(live(world, &ours).await.owner, Owner::Other(_)));
    let attempts = [
        change(&ours, "t2", Action::Create, Some(two.clone()), None),
        change(&ours, "t3", Action::Update, Some(two.clone()), one.digest),
        change(&ours, "t4", Action::Restore, Some(two), one.digest),
        change(&ours, "t5", Action::Delete, None, one.digest),
    ];
    for attempt in &attempts {
        let answer = submit(world, attempt).await;
        assert!(matches!(answer, Err(ProviderError::Stale(_))), "{answer:?}");
    }
    assert_eq!(live(world, &theirs).await, before);
}

async fn drift_is_seen_and_restored(world: &dyn World) {
    let target = target(world, "i-1", "drift");
    let one = world.artifact(1);
    submit(world, &change(&target, "t1", Action::Create, Some(one.clone()), None)).await.unwrap();
    assert_eq!(inspect(world, &target).await.drift, []);
    world.meddle(&target);
    let seen = inspect(world, &target).await;
    assert_eq!((seen.owner, seen.digest), (Owner::Ours, one.digest));
    assert!(!seen.drift.is_empty());
    if !world.can_revert() {
        return;
    }
    let restore = change(&target, "t2", Action::Restore, Some(one.clone()), one.digest);
    assert!(!world.provider().preview(&restore).await.unwrap().resources.is_empty());
    submit(world, &restore).await.unwrap();
    assert_eq!(inspect(world, &target).await.drift, []);
    assert_eq!(world.provider().preview(&restore).await.unwrap().resources, [], "again: nothing");
}

async fn what_is_gone_comes_back(world: &dyn World) {
    let target = target(world, "i-1", "gone");
    let one = world.artifact(1);
    submit(world, &change(&target, "t1", Action::Create, Some(one.clone()), None)).await.unwrap();
    submit(world, &change(&target, "t2", Action::Delete, None, one.digest)).await.unwrap();
    submit(world, &change(&target, "t3", Action::Restore, Some(one.clone()), None)).await.unwrap();
    let seen = live(world, &target).await;
    assert_eq!((seen.digest, seen.drift), (one.digest, vec![]));
}

async fn one_bad_member_fails_alone(world: &dyn World) {
    let (a, b, c) = (
        target(world, "i-1", "batch-a"),
        target(world, "i-1", "batch-b"),
        target(world, "i-1", "batch-c"),
    );
    let one = world.artifact(1);
    let changes = [
        change(&a, "t1", Action::Create, Some(one.clone()), None),
        change(&b, "t1", Action::Update, Some(one.clone()), one.digest),
        change(&c, "t1", Action::Create, Some(one.clone()), None),
    ];
    let answers = world.provider().submit(&changes).await;
    let tokens: Vec<_> = answers.iter().map(|(token, _)| token).collect();
    assert_eq!(tokens, changes.iter().map(|c| &c.token).collect::<Vec<_>>());
    assert!(answers[0].1.is_ok() && answers[2].1.is_ok(), "{answers:?}");
    assert!(matches!(answers[1].1, Err(ProviderError::Stale(_))), "{answers:?}");
    assert_eq!(observe(world, &b).await, Observation::Absent);
    let seen = world.provider().observe(&[c.clone(), b, a.clone()]).await;
    assert!(matches!(seen[0], (ref t, Ok(Observation::Present(_))) if *t == c));
    assert!(matches!(seen[1].1, Ok(Observation::Absent)));
    assert!(matches!(seen[2], (ref t, Ok(Observation::Present(_))) if *t == a));
}

/// The answer was lost with the process that waited for it.
async fn the_end_is_found_after_a_crash(world: &dyn World) {
    let target = target(world, "i-1", "crash");
    let create = change(&target, "t1", Action::Create, Some(world.artifact(1)), None);
    let ticket = |token: &Token| Ticket {
        token: token.clone(),
        target: target.clone(),
        data: serde_json::Value::Null,
    };
    let early = world.provider().poll(&ticket(&create.token)).await;
    assert!(matches!(early, Err(ProviderError::Unknown { .. })), "{early:?}");
    let outputs = submit(world, &create).await.unwrap();
    match world.provider().poll(&ticket(&create.token)).await.unwrap() {
        Progress::Succeeded { outputs: found, .. } => assert_eq!(found, outputs),
        Progress::Running { .. } | Progress::Failed { .. } => panic!("the end was not found"),
    }
    let stopped = world.provider().cancel(&ticket(&create.token)).await.unwrap();
    assert!(matches!(stopped, Progress::Succeeded { .. }));
}
