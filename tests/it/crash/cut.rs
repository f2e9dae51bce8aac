//! A store that dies after so many commits, and a provider that loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use vend::digest::Digest;
use vend::model::{
    Artifact, Change, Desired, Event, InstanceId, Journalled, Map, Observation, Preview, Progress,
    Record, RequestId, Target, TargetKey, Ticket, Token,
};
use vend::provider::{Provider, ProviderError};
use vend::store::{
    Acquired, Holder, Index, Lease, Line, PersonWrite, Quiet, RecordEntry, Sqlite, StatusRow,
    Store, StoreError, Swept, TemplateRow, Write,
};

/// Dies at its n-th commit: `before` it is written, or after.
pub struct Cut {
    inner: Sqlite,
    left: AtomicUsize,
    before: bool,
}

impl Cut {
    pub fn new(inner: Sqlite, commits: usize, before: bool) -> Self {
        Self { inner, left: AtomicUsize::new(commits), before }
    }

    pub fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

fn dead() -> StoreError {
    StoreError::Broken("the process is gone".into())
}

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl Store for Cut {
    async fn commit(&self, lease: &Lease, writes: Vec<Write>) -> Answer<()> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        match left {
            0 => Err(dead()),
            1 if self.before => Err(dead()),
            1 => self.inner.commit(lease, writes).await.and(Err(dead())),
            _ => self.inner.commit(lease, writes).await,
        }
    }
    async fn instance(&self) -> Answer<InstanceId> {
        self.inner.instance().await
    }
    async fn acquire(&self, h: &Holder, now: Timestamp, ttl: SignedDuration) -> Answer<Acquired> {
        self.inner.acquire(h, now, ttl).await
    }
    async fn renew(&self, l: &Lease, now: Timestamp, ttl: SignedDuration) -> Answer<Lease> {
        self.inner.renew(l, now, ttl).await
    }
    async fn release(&self, lease: Lease) -> Answer<()> {
        self.inner.release(lease).await
    }
    async fn note(&self, writes: Vec<PersonWrite>) -> Answer<()> {
        self.inner.note(writes).await
    }
    async fn index(&self) -> Answer<Index> {
        self.inner.index().await
    }
    async fn standing(&self) -> Answer<Index> {
        self.inner.standing().await
    }
    async fn stamp(&self) -> Answer<u64> {
        self.inner.stamp().await
    }
    async fn basis(&self) -> Answer<u64> {
        self.inner.basis().await
    }
    async fn desired(&self, ids: &[RequestId]) -> Answer<Vec<Desired>> {
        self.inner.desired(ids).await
    }
    async fn records(&self, ids: &[RequestId]) -> Answer<Vec<Record>> {
        self.inner.records(ids).await
    }
    async fn statuses(&self, ids: &[RequestId]) -> Answer<Vec<StatusRow>> {
        self.inner.statuses(ids).await
    }
    async fn statuses_after(
        &self,
        after: Option<&RequestId>,
        limit: usize,
    ) -> Answer<Vec<StatusRow>> {
        self.inner.statuses_after(after, limit).await
    }
    async fn unpublished(&self, limit: usize) -> Answer<Vec<StatusRow>> {
        self.inner.unpublished(limit).await
    }
    async fn unpublished_drops(&self, limit: usize) -> Answer<Vec<RequestId>> {
        self.inner.unpublished_drops(limit).await
    }
    async fn artifact(&self, digest: &Digest) -> Answer<Option<Artifact>> {
        self.inner.artifact(digest).await
    }
    async fn artifacts(&self, digests: &[Digest]) -> Answer<Vec<Artifact>> {
        self.inner.artifacts(digests).await
    }
    async fn events(&self, request: Option<&RequestId>, limit: usize) -> Answer<Vec<Event>> {
        self.inner.events(request, limit).await
    }
    async fn history(&self, r: &RequestId, after: Option<u64>, limit: usize) -> Answer<Vec<Line>> {
        self.inner.history(r, after, limit).await
    }
    async fn ending(&self, until: Timestamp) -> Answer<Vec<RecordEntry>> {
        self.inner.ending(until).await
    }
    async fn under_way(&self, request: Option<&RequestId>) -> Answer<Vec<Journalled>> {
        self.inner.under_way(request).await
    }
    async fn quiet(&self) -> Answer<Option<Quiet>> {
        self.inner.quiet().await
    }
    async fn last_line(&self) -> Answer<u64> {
        self.inner.last_line().await
    }
    async fn lines_after(&self, after: u64, limit: usize) -> Answer<Vec<(u64, RequestId)>> {
        self.inner.lines_after(after, limit).await
    }
    async fn templates(&self) -> Answer<Vec<TemplateRow>> {
        self.inner.templates().await
    }
    async fn value(&self, key: &str) -> Answer<Option<Value>> {
        self.inner.value(key).await
    }
    async fn sweep(&self, lease: &Lease, limit: usize) -> Answer<Swept> {
        self.inner.sweep(lease, limit).await
    }
}

/// How a provider's first answers are wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The effect is made, and nobody hears of it.
    Lost,
    /// Nothing is made, and nobody hears of it either.
    Never,
    /// It cannot be reached.
    Away,
    /// Its code panics after the effect.
    Panics,
}

/// The real provider, whose first `left` calls go wrong.
pub struct Faulty {
    pub inner: Arc<dyn Provider>,
    pub fault: Fault,
    pub left: AtomicUsize,
}

#[async_trait]
impl Provider for Faulty {
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return self.inner.submit(changes).await;
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if matches!(self.fault, Fault::Lost | Fault::Panics) {
            self.inner.submit(changes).await;
        }
        let error = match self.fault {
            Fault::Lost | Fault::Never => ProviderError::unknown("connection reset"),
            Fault::Away => ProviderError::unavailable("connection refused"),
            Fault::Panics => panic!("a bug of the provider"),
        };
        changes.iter().map(|c| (c.token.clone(), Err(error.clone()))).collect()
    }
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
    fn lane(&self, target: &Target) -> String {
        self.inner.lane(target)
    }
    fn batch(&self) -> usize {
        self.inner.batch()
    }
    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        self.inner.settle(settings, key)
    }
    fn known(&self, target: &Target, artifact: &Artifact) -> Map {
        self.inner.known(target, artifact)
    }
    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.inner.observe(targets).await
    }
    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        self.inner.preview(change).await
    }
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.inner.poll(ticket).await
    }
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.inner.cancel(ticket).await
    }
}
