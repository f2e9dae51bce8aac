//! The store in a schema of a PostgreSQL database, for several replicas.
//!
//! # Flow
//! Whoever writes locks the row of the lease first: there is one writer at a time, and what it sees is
//! what the one before left. Questions of several parts are asked in one snapshot.
//!
//! # Guarantees
//! - A commit whose answer was lost is looked up by its transaction's number: it is told as made or as
//!   not made, and as `Broken` where that cannot be found out.
//! - A write that its process does not go on with, stopped or cut off, is rolled back by the server.
//!
//! # Caveats
//! - Needs a session of its own: a pooler that hands out another one for each transaction will not do.

mod bell;
mod fail;
mod index;
mod open;
mod pending;
mod read;
mod schema;
mod sweep;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection as _, FromRow as _};
use tokio::sync::mpsc;

use self::fail::Silent;
pub use self::open::Server;
use self::read::ask;
use self::write::Writer;
use super::codec::{damaged, nanoseconds, timestamp};
use super::lease::end;
use super::sqlite::Options;
use super::{
    Acquired, Held, Holder, Index, Lease, Line, PersonWrite, Quiet, RecordEntry, StatusRow, Store,
    StoreError, Swept, TemplateRow, Write, rule,
};
use crate::digest::Digest;
use crate::fault::{Fault, point};
use crate::model::{Artifact, Desired, Event, InstanceId, Journalled, Record, RequestId};

/// How long a call may last; after that the connection is given up.
const SILENCE: Duration = Duration::from_secs(75);

/// How long it is tried to find out what became of a commit.
const DOUBT: Duration = Duration::from_secs(60);

/// The store in a PostgreSQL database.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    server: Server,
    options: Options,
    pool: PgPool,
}

impl Postgres {
    /// Opens the store, or makes it where there is none.
    pub async fn open(server: &Server) -> Result<Self, StoreError> {
        Self::open_with(server, Options::default()).await
    }

    /// As [`Self::open`]; of the options, what is kept counts.
    pub async fn open_with(server: &Server, options: Options) -> Result<Self, StoreError> {
        let pool = open::pool(server, server.options()?);
        let store = Self(Arc::new(Inner { server: server.clone(), options, pool }));
        let mut session = store.session().await?;
        open::inspect(session.db(), server).await?;
        open::migrate(session.db(), server).await?;
        session.give_back();
        Ok(store)
    }

    /// Makes the store of a vend that lost its own, beside the place that it is for: its leases go on after
    /// `epoch`. What an earlier try left there is taken away.
    pub async fn create_beside(
        server: &Server,
        instance: &InstanceId,
        epoch: u64,
    ) -> Result<Self, StoreError> {
        let beside = server.beside();
        let mut db = connect(server).await?;
        ask(format!("DROP SCHEMA IF EXISTS {} CASCADE", beside.schema)).execute(&mut db).await?;
        db.close().await?;
        let store = Self::open(&beside).await?;
        let mut session = store.session().await?;
        ask("UPDATE state SET instance = $1").bind(instance.as_str()).execute(session.db()).await?;
        ask("UPDATE lease SET epoch = $1").bind(epoch.cast_signed()).execute(session.db()).await?;
        session.give_back();
        Ok(store)
    }

    /// Puts the store that was made beside `server` in its place; one that stands there goes, which was
    /// never used.
    pub async fn put(self, server: &Server) -> Result<(), StoreError> {
        self.0.pool.close().await;
        let mut db = connect(server).await?;
        let mut transaction = db.begin().await?;
        let (place, beside) = (&server.schema, server.beside().schema);
        for sql in [
            format!("DROP SCHEMA IF EXISTS {place} CASCADE"),
            format!("ALTER SCHEMA {beside} RENAME TO {place}"),
        ] {
            ask(sql).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// A session, for whoever asks alone.
    async fn session(&self) -> Result<Session, StoreError> {
        let Inner { server, pool, .. } = &*self.0;
        let first = pool.acquire().await;
        let session = match first {
            Err(error) if open::is_refused(&error) => {
                // Passwords are changed while the daemon runs.
                pool.set_connect_options(server.options()?);
                pool.acquire().await.map_err(|error| unreachable(server, error))?
            }
            other => other.map_err(|error| unreachable(server, error))?,
        };
        Ok(Session(Some(session)))
    }

    /// Begins to write: nobody else does until this ends.
    async fn begin(&self) -> Result<Writing, StoreError> {
        let mut session = self.session().await?;
        ask("BEGIN").execute(session.db()).await?;
        let sql = "SELECT epoch, holder, until, pg_current_xact_id()::text, pg_backend_pid()
            FROM lease FOR UPDATE";
        let row = ask(sql).fetch_one(session.db()).await?;
        let (epoch, holder, until, number, process) =
            <(i64, Option<String>, Option<i64>, String, i32)>::from_row(&row)?;
        let by = match holder.zip(until) {
            Some((holder, until)) => {
                let holder = serde_json::from_str(&holder).map_err(|_| damaged("lease", ""))?;
                Some((holder, timestamp(until)))
            }
            None => None,
        };
        Ok(Writing { session, held: Held { epoch: epoch.cast_unsigned(), by }, number, process })
    }

    /// Ends a write, all or nothing.
    async fn end(&self, writing: Writing) -> Result<(), StoreError> {
        let Writing { mut session, number, process, .. } = writing;
        let answer = within(async { Ok(ask("COMMIT").execute(session.db()).await) }).await;
        match answer {
            Ok(Ok(_)) => {
                session.give_back();
                Ok(())
            }
            // The server's own word: it is rolled back.
            Ok(Err(error)) if error.as_database_error().is_some() => Err(error.into()),
            Ok(Err(error)) => self.outcome(&number, process, error.into()).await,
            Err(error) => self.outcome(&number, process, error).await,
        }
    }

    /// What became of a commit whose answer was lost.
    async fn outcome(
        &self,
        number: &str,
        process: i32,
        lost: StoreError,
    ) -> Result<(), StoreError> {
        let until = Instant::now() + DOUBT;
        while Instant::now() < until {
            let asked = within(async {
                let mut session = self.session().await?;
                // It may still wait for an answer of ours that never comes.
                let sql = "SELECT pg_xact_status($1::xid8), CASE
                    WHEN pg_xact_status($1::xid8) = 'in progress' THEN pg_terminate_backend($2) END";
                let row = ask(sql).bind(number).bind(process).fetch_one(session.db()).await?;
                session.give_back();
                Ok(<(Option<String>, Option<bool>)>::from_row(&row)?.0)
            });
            match asked.await {
                Ok(Some(word)) if word == "committed" => return Ok(()),
                Ok(Some(word)) if word == "aborted" => return Err(lost),
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Err(StoreError::Broken(Unsure(crate::error::chain(&lost)).into()))
    }

    /// Answers a question as of one instant.
    async fn snapshot(&self) -> Result<Session, StoreError> {
        let mut session = self.session().await?;
        ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(session.db()).await?;
        Ok(session)
    }
}

/// Whether what was written is written is not known.
#[derive(Debug, thiserror::Error)]
#[error("whether a commit was made cannot be found out: {0}")]
struct Unsure(String);

/// A connection that is given up unless it is given back: a transaction may be open in it, or an answer on
/// its way.
struct Session(Option<PoolConnection<sqlx::Postgres>>);

impl Session {
    fn db(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("a session has its connection until it ends")
    }

    /// Nothing is open in it.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // Closed without a word: whoever does not answer would keep it open.
            drop(connection.detach());
        }
    }
}

/// A write that has begun.
struct Writing {
    session: Session,
    /// The lease as it is.
    held: Held,
    /// The transaction's number, by which its end can be asked for.
    number: String,
    /// The server's process.
    process: i32,
}

/// Gives up on what takes too long.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(SILENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Busy(Silent(SILENCE.as_secs()).into())),
    }
}

/// A connection by itself.
async fn connect(server: &Server) -> Result<PgConnection, StoreError> {
    PgConnection::connect_with(&server.options()?).await.map_err(|error| unreachable(server, error))
}

/// Names the place in what kept us from it.
fn unreachable(server: &Server, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    match &*code {
        // Who we are, which database, whether we may.
        code if code.starts_with("28") || code == "3D000" || code == "42501" => {
            server.unsuitable(error.to_string())
        }
        _ => match error {
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => {
                server.unsuitable(crate::error::chain(&error))
            }
            error => error.into(),
        },
    }
}

/// What is committed and not known to be.
fn broken(fault: Fault) -> StoreError {
    StoreError::Broken(fault.into())
}

/// A question that is one query.
macro_rules! ask_once {
    ($store:expr, |$db:ident| $question:expr) => {
        within(async {
            let mut session = $store.session().await?;
            let $db = session.db();
            let answer = $question.await?;
            session.give_back();
            Ok(answer)
        })
        .await
    };
}

/// A question of several queries, as of one instant.
macro_rules! ask_at_once {
    ($store:expr, |$db:ident| $question:expr) => {
        within(async {
            let mut session = $store.snapshot().await?;
            let $db = session.db();
            let answer = $question.await?;
            ask("COMMIT").execute(session.db()).await?;
            session.give_back();
            Ok(answer)
        })
        .await
    };
}

/// A change, all or nothing.
macro_rules! change {
    ($store:expr, |$writing:ident| $work:expr) => {{
        let (writing, value) = within(async {
            let mut writing = $store.begin().await?;
            let $writing = &mut writing;
            let value = $work.await?;
            Ok((writing, value))
        })
        .await?;
        $store.end(writing).await?;
        value
    }};
}

#[async_trait]
impl Store for Postgres {
    async fn instance(&self) -> Result<InstanceId, StoreError> {
        ask_once!(self, |db| read::instance(db))
    }

    async fn acquire(
        &self,
        holder: &Holder,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Acquired, StoreError> {
        let acquired = change!(self, |writing| async {
            if !rule::is_free(&writing.held, now)
                && let Some((holder, until)) = &writing.held.by
            {
                return Ok(Acquired::Busy { holder: holder.clone(), until: *until });
            }
            let (epoch, until) = (writing.held.epoch + 1, end(now, ttl));
            ask("UPDATE lease SET epoch = $1, holder = $2, until = $3")
                .bind(epoch.cast_signed())
                .bind(serde_json::to_string(holder).expect("a holder serialises"))
                .bind(nanoseconds(until))
                .execute(writing.session.db())
                .await?;
            point!("store.acquire.before")?;
            Ok::<_, StoreError>(Acquired::Held(Lease::new(epoch, holder.clone(), until)))
        });
        point!("store.acquire.after").map_err(broken)?;
        Ok(acquired)
    }

    async fn renew(
        &self,
        lease: &Lease,
        now: Timestamp,
        ttl: SignedDuration,
    ) -> Result<Lease, StoreError> {
        let until = end(now, ttl);
        change!(self, |writing| async {
            rule::check(&writing.held, lease.epoch())?;
            ask("UPDATE lease SET until = $1")
                .bind(nanoseconds(until))
                .execute(writing.session.db())
                .await?;
            point!("store.renew.before")?;
            Ok::<_, StoreError>(())
        });
        point!("store.renew.after").map_err(broken)?;
        Ok(Lease::new(lease.epoch(), lease.holder().clone(), until))
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        change!(self, |writing| async {
            ask("UPDATE lease SET holder = NULL, until = NULL WHERE epoch = $1")
                .bind(lease.epoch().cast_signed())
                .execute(writing.session.db())
                .await?;
            point!("store.release.before")?;
            Ok::<_, StoreError>(())
        });
        point!("store.release.after").map_err(broken)
    }

    async fn ring(&self) -> Result<(), StoreError> {
        ask_once!(self, |db| async {
            let query = ask("SELECT pg_notify($1, '')").bind(&*self.0.server.schema);
            query.execute(db).await?;
            Ok::<_, StoreError>(())
        })
    }

    fn bell(&self) -> Option<mpsc::Receiver<()>> {
        // One is as good as many.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(bell::listen(self.0.pool.clone(), self.0.server.schema.clone(), sender));
        Some(receiver)
    }

    async fn commit(&self, lease: &Lease, writes: Vec<Write>) -> Result<(), StoreError> {
        let Options { events_per_request: own, happenings_per_request: parts, .. } = self.0.options;
        change!(self, |writing| async {
            rule::check(&writing.held, lease.epoch())?;
            let db = writing.session.db();
            if writes.iter().any(|write| !matches!(write, Write::Quiet(_))) {
                write::count(db).await?;
            }
            if writes.iter().any(|write| !write.keeps_quiet()) {
                write::end_quiet(db).await?;
            }
            let quiet = writes.iter().rev().find_map(|write| match write {
                Write::Quiet(quiet) => Some(quiet.clone()),
                _ => None,
            });
            let mut writer = Writer::new(db, &writes).await?;
            writer.run(writes).await?;
            let touched = std::mem::take(&mut writer.touched);
            pending::trim(db, &touched, read::count(own), read::count(parts)).await?;
            if let Some(quiet) = quiet {
                write::quiet(db, quiet.as_ref()).await?;
            }
            Ok::<_, StoreError>(point!("store.commit.before")?)
        });
        point!("store.commit.after").map_err(broken)
    }

    async fn note(&self, writes: Vec<PersonWrite>) -> Result<(), StoreError> {
        change!(self, |writing| async {
            let db = writing.session.db();
            write::hear(db).await?;
            for write in writes {
                write::note(db, write).await?;
            }
            Ok::<_, StoreError>(point!("store.note.before")?)
        });
        point!("store.note.after").map_err(broken)
    }

    async fn index(&self) -> Result<Index, StoreError> {
        ask_at_once!(self, |db| index::load(db))
    }

    async fn standing(&self) -> Result<Index, StoreError> {
        ask_at_once!(self, |db| index::standing(db))
    }

    async fn stamp(&self) -> Result<u64, StoreError> {
        ask_once!(self, |db| read::stamp(db))
    }

    async fn basis(&self) -> Result<u64, StoreError> {
        Ok(ask_once!(self, |db| read::counters(db))?.0)
    }

    async fn desired(&self, ids: &[RequestId]) -> Result<Vec<Desired>, StoreError> {
        ask_once!(self, |db| read::desired(db, ids))
    }

    async fn records(&self, ids: &[RequestId]) -> Result<Vec<Record>, StoreError> {
        ask_once!(self, |db| read::records(db, ids))
    }

    async fn statuses(&self, ids: &[RequestId]) -> Result<Vec<StatusRow>, StoreError> {
        ask_once!(self, |db| read::statuses(db, ids))
    }

    async fn statuses_after(
        &self,
        after: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<StatusRow>, StoreError> {
        ask_once!(self, |db| read::statuses_after(db, after, limit))
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<StatusRow>, StoreError> {
        ask_once!(self, |db| read::unpublished(db, limit))
    }

    async fn unpublished_drops(&self, limit: usize) -> Result<Vec<RequestId>, StoreError> {
        ask_once!(self, |db| read::unpublished_drops(db, limit))
    }

    async fn artifact(&self, digest: &Digest) -> Result<Option<Artifact>, StoreError> {
        Ok(self.artifacts(&[*digest]).await?.pop())
    }

    async fn artifacts(&self, digests: &[Digest]) -> Result<Vec<Artifact>, StoreError> {
        ask_once!(self, |db| read::artifacts(db, digests))
    }

    async fn events(
        &self,
        request: Option<&RequestId>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        ask_once!(self, |db| read::events(db, request, limit))
    }

    async fn history(
        &self,
        request: &RequestId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        ask_once!(self, |db| read::history(db, request, after, limit))
    }

    async fn last_line(&self) -> Result<u64, StoreError> {
        ask_once!(self, |db| read::last_line(db))
    }

    async fn lines_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RequestId)>, StoreError> {
        ask_once!(self, |db| read::lines_after(db, after, limit))
    }

    async fn ending(&self, until: Timestamp) -> Result<Vec<RecordEntry>, StoreError> {
        ask_once!(self, |db| index::ending(db, until))
    }

    async fn under_way(&self, request: Option<&RequestId>) -> Result<Vec<Journalled>, StoreError> {
        ask_once!(self, |db| read::journal(db, request))
    }

    async fn quiet(&self) -> Result<Option<Quiet>, StoreError> {
        ask_once!(self, |db| read::quiet(db))
    }

    async fn templates(&self) -> Result<Vec<TemplateRow>, StoreError> {
        ask_once!(self, |db| read::templates(db))
    }

    async fn value(&self, key: &str) -> Result<Option<Value>, StoreError> {
        ask_once!(self, |db| read::value(db, key))
    }

    async fn sweep(&self, lease: &Lease, limit: usize) -> Result<Swept, StoreError> {
        let keep = self.0.options.events;
        let swept = change!(self, |writing| async {
            rule::check(&writing.held, lease.epoch())?;
            let swept = sweep::sweep(writing.session.db(), limit, keep).await?;
            point!("store.sweep.before")?;
            Ok::<_, StoreError>(swept)
        });
        point!("store.sweep.after").map_err(broken)?;
        Ok(swept)
    }
}
