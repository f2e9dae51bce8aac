//! The store in one SQLite file.
//!
//! One connection writes, another reads: a long read does not keep a commit waiting. Every call
//! runs on a thread where it may block.

mod fail;
mod fence;
mod index;
mod journal;
mod open;
mod place;
mod read;
mod schema;
mod sweep;
mod write;

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod power_test;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde_json::Value;

use super::{
    Acquired, Holder, Index, Lease, Line, PersonWrite, Quiet, RecordEntry, StatusRow, Store,
    StoreError, Swept, TemplateRow, Write,
};
use crate::digest::Digest;
use crate::fault::{Fault, point};
use crate::model::{Artifact, Desired, Event, InstanceId, Journalled, Record, RequestId};

/// What can be set about the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lines of its own history kept for each request.
    pub events_per_request: usize,
    /// Lines kept for each request of what happened to parts of its targets.
    pub happenings_per_request: usize,
    /// Lines of each of these two kinds kept in all.
    pub events: usize,
    /// How long to wait for another process's write.
    pub busy: Duration,
    /// Check the whole file at the start, also after a clean end.
    pub check: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            events_per_request: 100,
            happenings_per_request: 1_000,
            events: 100_000,
            // A commit of 10,000 requests takes well under a second.
            busy: Duration::from_secs(5),
            check: false,
        }
    }
}

/// The store in one SQLite file.
#[derive(Clone)]
pub struct Sqlite(Arc<Inner>);

struct Inner {
    path: PathBuf,
    options: Options,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// Why nothing is written any more.
    broken: OnceLock<String>,
    /// Why nothing was ever written.
    read_only: Option<String>,
}

/// It was opened where nothing can be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}; what is in it can be read")]
struct ReadOnly(String);

/// An earlier failure, in its words.
#[derive(Debug, thiserror::Error)]
#[error("an earlier write failed: {0}")]
struct Earlier(String);

impl Sqlite {
    /// Opens the store, or makes it where there is none. Blocks: up to seconds where the whole file
    /// has to be checked, which is after the machine went down with the store open.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    /// Makes the store of a vend that lost its own, in a file beside the place that it is for: its leases
    /// go on after `epoch`. What an earlier try left there is taken away.
    pub fn create_beside(
        place: &Path,
        instance: &InstanceId,
        epoch: u64,
    ) -> Result<(Self, PathBuf), StoreError> {
        let half = place::beside(place, ".rebuilding");
        place::discard(&half)?;
        let store = Self::open(&half)?;
        let instance = instance.to_string();
        store.0.write(move |db, _| {
            write::run(db, "UPDATE state SET instance = ?", [instance])?;
            write::run(db, "UPDATE lease SET epoch = ?", [epoch.cast_signed()])
        })?;
        Ok((store, half))
    }

    /// Puts a whole store that nobody has open in its place, durably; one that stands there was never
    /// used and goes.
    ///
    /// # Errors
    /// `Unsuitable` for one that was not closed.
    pub fn put(from: &Path, to: &Path) -> Result<(), StoreError> {
        place::put(from, to)
    }

    /// As [`Self::open`], with options.
    pub fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let open::Opened { writer, reader, read_only } = open::open(path, &options, schema::STEPS)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            options,
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            broken: OnceLock::new(),
            read_only,
        })))
    }

    /// Reads the whole file and says what is wrong with it: `Corrupt`.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.read(sweep::quick_check).await
    }

    /// Answers a question as of one instant.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        blocking(move || {
            let mut connection = lock(&inner.reader);
            let answer = connection
                .transaction()
                .map_err(StoreError::from)
                .and_then(|transaction| question(&transaction));
            // Damage that was met by reading is no ground to write on.
            answer.map_err(|error| match error {
                StoreError::Corrupt { .. } => inner.settle(error),
                error => error,
            })
        })
        .await
    }

    /// Makes a change, all or nothing, durably.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>, &Options) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.0.clone();
        blocking(move || inner.write(change)).await
    }
}

impl Inner {
    fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>, &Options) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = lock(&self.writer);
        if let Some(why) = &self.read_only {
            return Err(StoreError::Broken(ReadOnly(why.clone()).into()));
        }
        if let Some(earlier) = self.broken.get() {
            return Err(StoreError::Broken(Earlier(earlier.clone()).into()));
        }
        let result = (|| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&transaction, &self.options)?;
            transaction.commit()?;
            Ok(value)
        })();
        result.map_err(|error| self.settle(error))
    }

    /// Tells a full disk from a failing one, and stops writing for good after the latter.
    fn settle(&self, error: StoreError) -> StoreError {
        if fail::may_lack_space(&error) && place::is_full(&self.path) {
            let StoreError::Broken(cause) = error else {
                return error;
            };
            return StoreError::Full(cause);
        }
        if matches!(error, StoreError::Broken(_) | StoreError::Corrupt { .. }) {
            let _ = self.broken.set(crate::error::chain(&error));
            // The next start checks the file. Where even this cannot be written, it is told by the
            // log that stays behind, or by a check on demand.
            let _ = File::create(place::beside(&self.path, open::SUSPECT));
        }
        error
    }
}

/// A panic below a lock leaves no half-made change: the transaction is rolled back on its way out.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Broken(error.into())),
    }
}

/// What is committed and not known to be.
fn broken(fault: Fault) -> StoreError {
    StoreError::Broken(fault.into())
}

/// Counts a change.
fn count(db: &Connection) -> Result<(), StoreError> {
    write::run(db, "UPDATE state SET stamp = stamp + 1", [])
}

#[async_trait]
impl Store for Sqlite {
    async fn instance(&self) -> Result<InstanceId, StoreError> {
        self.read(read::instance).await
    }

    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Acquired, StoreError> {
        let holder = holder.clone();
        let acquired = self.write(move |db, _| {
            let acquired = fence::acquire(db, &holder, now, ttl)?;
            point!("store.acquire.before")?;
            Ok(acquired)
        });
        let acquired = acquired.await?;
        point!("store.acquire.after").map_err(broken)?;
        Ok(acquired)
    }

    async fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Lease, StoreError> {
        let epoch = lease.epoch();
        let until = self.write(move |db, _| {
            let until = fence::renew(db, epoch, now, ttl)?;
            point!("store.renew.before")?;
            Ok(until)
        });
        let until = until.await?;
        point!("store.renew.after").map_err(broken)?;
        Ok(Lease::new(epoch, lease.holder().clone(), until))
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let epoch = lease.epoch();
        let released = self.write(move |db, _| {
            fence::release(db, epoch)?;
            Ok(point!("store.release.before")?)
        });
        released.await?;
        point!("store.release.after").map_err(broken)
    }

    async fn commit(&self, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError> {
        let epoch = lease.epoch();
        self.write(move |db, options| {
            fence::check(db, epoch)?;
            if writes.iter().any(|write| !matches!(write, Write::Quiet(_))) {
                count(db)?;
            }
            if writes.iter().any(|write| !write.keeps_quiet()) {
                write::end_quiet(db)?;
            }
            let mut touched = BTreeSet::new();
            let quiet = writes.iter().rev().find_map(|write| match write {
                Write::Quiet(quiet) => Some(quiet.clone()),
                _ => None,
            });
            for write in writes {
                write::write(db, write, &mut touched)?;
            }
            for request in touched {
                let (own, parts) = (options.events_per_request, options.happenings_per_request);
                write::trim(db, &request, own, parts)?;
            }
            quiet.map_or(Ok(()), |quiet| write::quiet(db, quiet.as_ref()))?;
            Ok(point!("store.commit.before")?)
        })
        .await?;
        point!("store.commit.after").map_err(broken)
    }

    async fn note(&self, writes: Vec<PersonWrite>) -> Result<(), StoreError> {
        self.write(move |db, _| {
            count(db)?;
            write::end_quiet(db)?;
            write::run(db, "UPDATE state SET notes = notes + 1", [])?;
            writes.into_iter().try_for_each(|write| write::note(db, write))?;
            Ok(point!("store.note.before")?)
        })
        .await?;
        point!("store.note.after").map_err(broken)
    }

    async fn index(&self) -> Result<Index, StoreError> {
        self.read(index::load).await
    }

    async fn standing(&self) -> Result<Index, StoreError> {
        self.read(index::standing).await
    }

    async fn stamp(&self) -> Result<u64, StoreError> {
        self.read(read::stamp).await
    }

    async fn basis(&self) -> Result<u64, StoreError> {
        self.read(|db| Ok(read::counters(db)?.0)).await
    }

    async fn desired(&self, ids: &[RequestId]) -> Result<Vec<Desired>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |db| read::desired(db, &ids)).await
    }

    async fn records(&self, ids: &[RequestId]) -> Result<Vec<Record>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |db| read::records(db, &ids)).await
    }

    async fn statuses(&self, ids: &[RequestId]) -> Result<Vec<StatusRow>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |db| read::statuses(db, &ids)).await
    }

    async fn statuses_after(
        &self,
        after: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<StatusRow>, StoreError> {
        let after = after.cloned();
        self.read(move |db| read::statuses_after(db, after.as_ref(), limit)).await
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<StatusRow>, StoreError> {
        self.read(move |db| read::unpublished(db, limit)).await
    }

    async fn unpublished_drops(&self, limit: usize) -> Result<Vec<RequestId>, StoreError> {
        self.read(move |db| read::unpublished_drops(db, limit)).await
    }

    async fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>, StoreError> {
        Ok(self.artifacts(&[*digest]).await?.pop())
    }

    async fn artifacts(&self, digests: &[Digest]) -> Result<Vec<Artifact>, StoreError> {
        let digests = digests.to_vec();
        self.read(move |db| read::artifacts(db, &digests)).await
    }

    async fn events(
        &self,
        request: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let request = request.cloned();
        self.read(move |db| read::events(db, request.as_ref(), limit)).await
    }

    async fn history(
        &self,
        request: &RequestId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        let request = request.clone();
        self.read(move |db| read::history(db, &request, after, limit)).await
    }

    async fn last_line(&self) -> Result<u64, StoreError> {
        self.read(read::last_line).await
    }

    async fn lines_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RequestId)>, StoreError> {
        self.read(move |db| read::lines_after(db, after, limit)).await
    }

    async fn ending(&self, until: Timestamp) -> Result<Vec<RecordEntry>, StoreError> {
        self.read(move |db| index::ending(db, until)).await
    }

    async fn under_way(&self, request: Option<&RequestId>) -> Result<Vec<Journalled>, StoreError> {
        let request = request.cloned();
        self.read(move |db| read::journal(db, request.as_ref())).await
    }

    async fn quiet(&self) -> Result<Option<Quiet>, StoreError> {
        self.read(read::quiet).await
    }

    async fn templates(&self) -> Result<Vec<TemplateRow>, StoreError> {
        self.read(read::templates).await
    }

    async fn value(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let key = key.to_owned();
        self.read(move |db| read::value(db, &key)).await
    }

    async fn sweep(&self, lease: &Lease, limit: usize) -> Result<Swept, StoreError> {
        let epoch = lease.epoch();
        let swept = self.write(move |db, options| {
            fence::check(db, epoch)?;
            let swept = sweep::sweep(db, limit, options.events)?;
            point!("store.sweep.before")?;
            Ok(swept)
        });
        let swept = swept.await?;
        point!("store.sweep.after").map_err(broken)?;
        Ok(swept)
    }
}
