//! What vend remembers between passes: recorded state, the journal, events, the lease.
//!
//! # Guarantees
//! - A commit is one durable transaction: when it returns, it survives a power cut; when it fails,
//!   nothing of it was written.
//! - A commit under a lease that another took over is refused (`Fenced`) and writes nothing.
//! - At most one effect is in flight on a target, and its artifact can be read for as long as it is.
//! - What is read is what was written: anything else is `Corrupt`.
//!
//! # Caveats
//! - A future that is dropped may still finish what it began: read before deciding what happened.
//! - Nothing in here reads the clock: `now` is an argument.

mod codec;
mod column;
mod error;
mod lease;
mod location;
mod postgres;
mod row;
mod rule;
mod spot;
mod sqlite;

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod sample;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::digest::Digest;
use crate::model::{Artifact, Desired, Event, InstanceId, Journalled, Record, RequestId};

pub use error::{Cause, StoreError};
use lease::Held;
pub use lease::{Acquired, Holder, Lease};
pub use location::{Location, Made};
pub use postgres::{Postgres, Server};
pub use row::{
    ASIDE, DesiredEntry, DesiredRow, HeldRow, Index, Line, PersonWrite, Quiet, RecordEntry,
    StatusRow, Swept, TemplateRow, Write, passage_key, unattended_key, word_key,
};
pub use spot::{Frames, Spot};
pub use sqlite::{Options, Sqlite};

/// Where recorded state lives.
///
/// Questions for several ids answer for those that are there, sorted by id.
#[async_trait]
pub trait Store: Send + Sync {
    /// The random id of this vend, made when the store was.
    async fn instance(&self) -> Result<InstanceId, StoreError>;

    /// Asks for the right to write until `now + ttl`. Each success raises the epoch, which fences
    /// all former leases. A holder that is provably dead is not waited for.
    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Acquired, StoreError>;

    /// The same lease until `now + ttl`; `Fenced` if another took it or it was released.
    async fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Lease, StoreError>;

    /// Gives the lease back, so that another need not wait; harmless if another has it by now.
    async fn release(&self, lease: Lease) -> Result<(), StoreError>;

    /// Tells whoever leads that something may have changed somewhere. It may be lost: who leads looks by
    /// itself as well, only later.
    async fn ring(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What is rung at other replicas from now on; `None` where there can be none.
    fn bell(&self) -> Option<mpsc::Receiver<()>> {
        None
    }

    /// Writes all or nothing, durably, in one transaction; `Fenced` if the lease is not current.
    async fn commit(&self, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Writes what people do, all or nothing, durably, without the lease.
    async fn note(&self, writes: Vec<PersonWrite>) -> Result<(), StoreError>;

    /// Everything small that a pass starts from, as of one instant.
    async fn index(&self) -> Result<Index, StoreError>;

    /// As [`Self::index`], but without the two lists of all requests: what is held, under way and
    /// known of sources costs the same whatever their number.
    async fn standing(&self) -> Result<Index, StoreError>;

    /// Raised by one with each note and each commit of more than a [`Write::Quiet`]: one cheap read that tells
    /// whether there is anything new to show.
    async fn stamp(&self) -> Result<u64, StoreError>;

    /// [`Index::basis`] as it is now: one cheap read that tells whether an index is still good.
    async fn basis(&self) -> Result<u64, StoreError>;

    /// The small parts of the records of those that end at `until` or before, the earliest end first.
    async fn ending(&self, until: Timestamp) -> Result<Vec<RecordEntry>, StoreError>;

    /// The whole desired states of these.
    async fn desired(&self, ids: &[RequestId]) -> Result<Vec<Desired>, StoreError>;

    /// The whole records of these.
    async fn records(&self, ids: &[RequestId]) -> Result<Vec<Record>, StoreError>;

    /// The statuses of these.
    async fn statuses(&self, ids: &[RequestId]) -> Result<Vec<StatusRow>, StoreError>;

    /// Up to `limit` statuses after `after`, by id: pages through all of them.
    async fn statuses_after(
        &self,
        after: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<StatusRow>, StoreError>;

    /// Up to `limit` statuses that the status branch does not hold as they are, by id.
    async fn unpublished(&self, limit: usize) -> Result<Vec<StatusRow>, StoreError>;

    /// Up to `limit` requests whose status is gone and whose file is still published, by id.
    async fn unpublished_drops(&self, limit: usize) -> Result<Vec<RequestId>, StoreError>;

    /// An artifact with its text.
    async fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>, StoreError>;

    /// The artifacts of these digests that are there, sorted by digest.
    async fn artifacts(&self, digests: &[Digest]) -> Result<Vec<Artifact>, StoreError>;

    /// The newest `limit` lines of the own history of one request, or of all; the newest last.
    /// What happened to parts of targets is not among them: see [`Self::history`].
    async fn events(
        &self,
        request: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// All lines of one request, what happened to parts of its targets as well: the first `limit`
    /// after line number `after`, or the newest `limit`; the newest last.
    async fn history(
        &self,
        request: &RequestId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError>;

    /// The number of the newest line of history, of whatever; 0: there is none.
    async fn last_line(&self) -> Result<u64, StoreError>;

    /// Which requests the first `limit` lines after line number `after` are about, without those about parts
    /// of targets.
    async fn lines_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RequestId)>, StoreError>;

    /// Effects in flight of one request, or all, by token; as in [`Index::journal`].
    async fn under_way(&self, request: Option<&RequestId>) -> Result<Vec<Journalled>, StoreError>;

    /// Whether the last pass found nothing to do, and nothing was written since: one cheap read.
    async fn quiet(&self) -> Result<Option<Quiet>, StoreError>;

    /// The published template versions, by name and version.
    async fn templates(&self) -> Result<Vec<TemplateRow>, StoreError>;

    /// A small named value.
    async fn value(&self, key: &str) -> Result<Option<Value>, StoreError>;

    /// Removes up to `limit` artifacts and as many lines of history that nothing needs any more.
    async fn sweep(&self, lease: &Lease, limit: usize) -> Result<Swept, StoreError>;
}
