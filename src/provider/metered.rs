//! A provider whose calls are counted and timed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use serde_json::Value;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::{Objection, Provider, ProviderError};
use crate::meter::meter;
use crate::model::{
    Action, Artifact, Change, Map, Observation, Preview, Progress, Target, TargetKey, Ticket, Token,
};
use crate::trace;

/// See the module.
pub(super) struct Metered(Arc<dyn Provider>);

impl Metered {
    pub(super) fn new(inner: Arc<dyn Provider>) -> Self {
        meter().provider(inner.kind());
        Self(inner)
    }

    /// Waits for a call, and counts what came of it.
    async fn call<T>(
        &self,
        operation: &'static str,
        about: About<'_>,
        call: impl Future<Output = T>,
        outcomes: impl FnOnce(&T) -> Vec<&'static str>,
    ) -> T {
        let kind = self.0.kind();
        let About { count, one } = about;
        let span =
            tracing::info_span!("provider", kind, operation, targets = count, request = Empty);
        if let Some(key) = one {
            span.record("request", tracing::field::display(&key.request));
        }
        trace::calls(&span);
        let began = Instant::now();
        let answer = call.instrument(span).await;
        meter().took(kind, operation, began.elapsed());
        for outcome in outcomes(&answer) {
            meter().answered(kind, operation, outcome);
        }
        answer
    }
}

/// What a call is about.
struct About<'a> {
    count: usize,
    /// Where it is one target.
    one: Option<&'a TargetKey>,
}

fn many<'a>(mut keys: impl ExactSizeIterator<Item = &'a TargetKey>) -> About<'a> {
    match keys.len() {
        1 => About { count: 1, one: keys.next() },
        count => About { count, one: None },
    }
}

fn about(key: &TargetKey) -> About<'_> {
    About { count: 1, one: Some(key) }
}

fn each<K, T>(answers: &[(K, Result<T, ProviderError>)]) -> Vec<&'static str> {
    answers.iter().map(|(_, answer)| outcome(answer)).collect()
}

fn one<T>(answer: &Result<T, ProviderError>) -> Vec<&'static str> {
    vec![outcome(answer)]
}

fn outcome<T>(answer: &Result<T, ProviderError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        // Who says for how long it wants to be left alone was asked too much.
        Err(ProviderError::Unavailable { retry_after: Some(_), .. }) => "throttled",
        Err(ProviderError::Unavailable { retry_after: None, .. }) => "unavailable",
        Err(ProviderError::Stale(_)) => "stale",
        Err(ProviderError::Refused(_)) => "refused",
        Err(ProviderError::Unknown { .. }) => "unknown",
    }
}

/// What is not handed on would be the trait's own default, and nobody would notice.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Metered {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn lane(&self, target: &Target) -> String {
        self.0.lane(target)
    }

    fn view(&self, target: &Target) -> String {
        self.0.view(target)
    }

    fn batch(&self) -> usize {
        self.0.batch()
    }

    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        self.0.settle(settings, key)
    }

    fn objections(
        &self,
        settings: &Map,
        key: &TargetKey,
        labels: &BTreeMap<String, String>,
        artifact: &Artifact,
    ) -> Vec<Objection> {
        self.0.objections(settings, key, labels, artifact)
    }

    fn known(&self, target: &Target, artifact: &Artifact) -> Map {
        self.0.known(target, artifact)
    }

    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.call(
            "observe",
            many(targets.iter().map(|t| &t.key)),
            self.0.observe(targets),
            |seen| each(seen),
        )
        .await
    }

    async fn inspect(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.call(
            "inspect",
            many(targets.iter().map(|t| &t.key)),
            self.0.inspect(targets),
            |seen| each(seen),
        )
        .await
    }

    async fn recall(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.call("recall", many(targets.iter().map(|t| &t.key)), self.0.recall(targets), |seen| {
            each(seen)
        })
        .await
    }

    fn can_adopt(&self) -> bool {
        self.0.can_adopt()
    }

    fn is_text_of(&self, touched: &Value, applied: &Artifact) -> bool {
        self.0.is_text_of(touched, applied)
    }

    fn guards(&self) -> bool {
        self.0.guards()
    }

    fn reach(&self, recorded: &Map, id: Option<&str>, now: Option<&Map>) -> Map {
        self.0.reach(recorded, id, now)
    }

    fn previews(&self) -> bool {
        self.0.previews()
    }

    fn outline(&self, action: Action, artifact: &Artifact) -> Option<Preview> {
        self.0.outline(action, artifact)
    }

    fn foretell(&self, applied: &Artifact, desired: &Artifact) -> Option<Preview> {
        self.0.foretell(applied, desired)
    }

    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        self.call("preview", about(&change.target.key), self.0.preview(change), one).await
    }

    async fn discard(&self, target: &Target, handle: &Value) {
        self.0.discard(target, handle).await;
    }

    async fn sweep(&self, targets: &[Target]) {
        self.0.sweep(targets).await;
    }

    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        self.call(
            "submit",
            many(changes.iter().map(|c| &c.target.key)),
            self.0.submit(changes),
            |told| each(told),
        )
        .await
    }

    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.call("poll", about(&ticket.target.key), self.0.poll(ticket), one).await
    }

    fn link(&self, ticket: &Ticket) -> Option<String> {
        self.0.link(ticket)
    }

    fn identity(&self, ticket: &Ticket) -> Option<String> {
        self.0.identity(ticket)
    }

    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.call("cancel", about(&ticket.target.key), self.0.cancel(ticket), one).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Scope;

    #[test]
    fn each_remedy_is_counted_by_itself() {
        let of = |error: ProviderError| outcome::<()>(&Err(error));
        let after = Some(std::time::Duration::from_secs(20));
        let throttled = ProviderError::unavailable_to(Scope::Lane, after, "too fast");
        assert_eq!(outcome(&Ok(())), "ok");
        assert_eq!(of(throttled), "throttled");
        assert_eq!(of(ProviderError::unavailable("down")), "unavailable");
        assert_eq!(of(ProviderError::Stale("x".into())), "stale");
        assert_eq!(of(ProviderError::Refused("x".into())), "refused");
        assert_eq!(of(ProviderError::unknown("lost")), "unknown");
    }
}
