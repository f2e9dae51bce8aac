//! The one seam between our decisions and the outside world: one [`Provider`] per world.

pub mod cloudformation;
#[cfg(test)]
pub(crate) mod contract;
mod error;
pub mod files;
mod metered;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::{
    Action, Artifact, Change, Map, Observation, Preview, Progress, Target, TargetKey, Ticket, Token,
};

pub use cloudformation::{hidden, masked};
pub use error::{Fault, ProviderError, Scope};

/// The one seam between our decisions and the outside world.
///
/// A provider never decides whether something should change: `plan` settled that. It looks, and it
/// does.
///
/// # Flow
///
/// ```text
/// settle ─ known ─▶ observe ─▶ (plan) ─▶ preview ─▶ (journal the intent) ─▶ submit
///                                                                             │
///                        Succeeded | Failed ◀── poll(ticket) … ◀── Running ◀──┤
///                                                                             ▼
///                                            Succeeded | Failed | an error, by remedy
/// ```
///
/// The caller makes the intent durable, with the token, before `submit`, and the end durable after
/// it. Nothing is in flight for a target when another change of it is submitted.
///
/// # Guarantees
///
/// * `observe` and `submit` answer once for each one asked, in the order asked, whatever happens to
///   the others: one bad member never fails a batch.
/// * `Absent` means that the provider answered and nothing is there.
/// * The same token twice is one effect: the second call finds what the first one did, or goes on
///   where it broke off.
/// * What carries another's mark is never changed or removed; what carries nobody's only when
///   `change.adopt` is set.
/// * Deleting what is gone already succeeds.
/// * Where the end of an effect was not seen, the answer is [`ProviderError::Unknown`]; it is never
///   guessed.
///
/// # Assumptions
///
/// * `target.settings` went through [`Provider::settle`] when the target was first planned, and are
///   handed over as recorded, by way of [`Provider::reach`], ever after.
/// * One process at a time submits for an instance (the store's lease).
/// * `change.artifact` is there for every action but a deletion.
///
/// # Caveats
///
/// * `expect` is compared with the mark that the target bears. Somebody who changes the thing and
///   leaves the mark alone makes drift, which only looking shows.
/// * `Running` is a promise to ask again: a ticket outlives the process that got it.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The name that templates and environments use, such as `files`.
    fn kind(&self) -> &'static str;

    /// What bounds concurrency: the account or the repository that the target lives in. Pure.
    fn lane(&self, target: &Target) -> String;

    /// Targets that are looked at together: one of them that hangs keeps those waiting, and no others.
    /// Pure.
    fn view(&self, target: &Target) -> String {
        self.lane(target)
    }

    /// How many changes of one lane one `submit` may carry.
    fn batch(&self) -> usize;

    /// The settings that a target is recorded with, from what its environment and component say:
    /// patterns are filled in, once, when the target is first planned. Pure. The error is one
    /// sentence about the setting that is wrong.
    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        let _ = key;
        Ok(settings.clone())
    }

    /// What the provider would refuse of what a request comes to, as far as that can be told before
    /// anybody is asked. Pure.
    fn objections(
        &self,
        settings: &Map,
        key: &TargetKey,
        labels: &BTreeMap<String, String>,
        artifact: &Artifact,
    ) -> Vec<Objection> {
        let _ = (settings, key, labels, artifact);
        Vec::new()
    }

    /// The outputs that are known before anything is applied. Pure.
    fn known(&self, target: &Target, artifact: &Artifact) -> Map;

    /// Looks without changing. `Absent` is a claim: the provider answered and nothing is there.
    /// Failing to look is an error: an outage must never read as an empty account.
    /// One entry for each asked, so that a provider may look at many at once (paging).
    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)>;

    /// As [`Provider::observe`], and looks for drift too, however long that takes at the provider:
    /// where it is not done yet, or could not be begun since too many others are, the answer is
    /// `pending`, and a later call asks again. It never waits for the end.
    async fn inspect(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.observe(targets).await
    }

    /// As [`Provider::observe`], with every output that the last change gave, however long it takes to
    /// find them out: for a store that is made anew.
    async fn recall(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.observe(targets).await
    }

    /// Whether it can take over what carries nobody's mark, when `change.adopt` says so. Pure.
    fn can_adopt(&self) -> bool {
        false
    }

    /// Whether what [`Live::touched`](crate::model::Live::touched) says is what was applied. Pure.
    fn is_text_of(&self, touched: &Value, applied: &Artifact) -> bool {
        let _ = (touched, applied);
        false
    }

    /// Whether its targets have a guard of their own against deletion, which
    /// [`Change::protect`](crate::model::Change::protect) puts on. Pure.
    fn guards(&self) -> bool {
        false
    }

    /// The settings by which a target that is there is reached now: as `recorded`, and where `now`,
    /// what its environment says at present, means the same place, by whose rights that says; `id` is
    /// the recorded one. `None`: the environment says nothing of it any more. Pure.
    fn reach(&self, recorded: &Map, id: Option<&str>, now: Option<&Map>) -> Map {
        let _ = (id, now);
        recorded.clone()
    }

    /// Whether a change of what is there can lose parts of it that a reviewer of the files cannot
    /// see: then each is previewed before it is begun. Pure.
    fn previews(&self) -> bool {
        false
    }

    /// What making or deleting comes to, as the artifact alone tells; `None` where it tells nothing
    /// that its files do not. Pure.
    fn outline(&self, action: Action, artifact: &Artifact) -> Option<Preview> {
        let _ = (action, artifact);
        None
    }

    /// What an update from one artifact to the other would do, resource by resource, as they and what
    /// is published of the provider tell: marked as [foretold](Preview::foretold). `None` where they
    /// tell nothing that their texts do not. Pure.
    fn foretell(&self, applied: &Artifact, desired: &Artifact) -> Option<Preview> {
        let _ = (applied, desired);
        None
    }

    /// What `change` would do, resource by resource, replacements marked, without doing it.
    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError>;

    /// Drops what [`Provider::preview`] prepared and nobody will submit. Best effort: a provider
    /// clears away by itself what it prepared and was never told of again.
    async fn discard(&self, target: &Target, handle: &Value) {
        let _ = (target, handle);
    }

    /// Clears away what previews of this instance left at targets that are its own, and in their
    /// accounts, so long ago that nobody will ask for it: the process that prepared it ended before
    /// it could [discard](Provider::discard) it. Best effort; called often, and cheap when it is.
    async fn sweep(&self, targets: &[Target]) {
        let _ = targets;
    }

    /// Begins `change`, or finds that it has begun: called again after a crash with the same token.
    /// Refuses with `Stale` when the target is not what `change` says it was.
    /// One entry for each asked: `files` makes one commit of many.
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)>;

    /// Asks how a change begun earlier is getting on; new events since a cursor come with the
    /// answer.
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError>;

    /// The page on which a person sees what a change makes, where there is one. Pure.
    fn link(&self, ticket: &Ticket) -> Option<String> {
        let _ = ticket;
        None
    }

    /// The id of what a change makes, which goes into its record and comes back with every
    /// [`Target`]; `None` where the name is all. Pure.
    fn identity(&self, ticket: &Ticket) -> Option<String> {
        let _ = ticket;
        None
    }

    /// Stops a change where that is safe; where it is not, answers as [`Provider::poll`] does.
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError>;
}

/// What a provider would refuse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objection {
    /// The label that is the matter; `None`: what is rendered, or where it goes.
    pub label: Option<String>,
    /// What and why, in one sentence.
    pub message: String,
    /// It is made all the same, and somebody should look.
    pub tolerable: bool,
}

/// The providers that this process was built and configured with, by kind.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more; it takes the place of another of its kind.
    pub fn with(mut self, provider: impl Provider + 'static) -> Self {
        self.insert(Arc::new(provider));
        self
    }

    /// As [`Providers::with`], for one that others hold too. What is asked of it by way of this is counted.
    pub fn insert(&mut self, provider: Arc<dyn Provider>) {
        self.0.insert(provider.kind(), Arc::new(metered::Metered::new(provider)));
    }

    /// The one of that kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Provider>> {
        self.0.get(kind)
    }

    /// The kinds, sorted: for "did you mean".
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}
