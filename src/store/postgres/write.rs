//! The writes of a commit, in their order, inside a transaction that the caller has begun.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use super::pending::{Pending, in_chunks};
use super::read::{self, ask};
use crate::digest::Digest;
use crate::model::{
    Approval, Artifact, Journalled, RequestId, Revision, SourceName, SourceRecord, TargetKey, Token,
};
use crate::store::codec::{name, nanoseconds, seal};
use crate::store::{PersonWrite, Quiet, StoreError, TemplateRow, Write, rule};

type Done = Result<(), StoreError>;

/// A request's own history, and what happened to its parts: as their indexes have it.
pub(super) const KINDS: [&str; 2] = ["key IS NULL", "key IS NOT NULL"];

/// What writes need to know of what is there, read at once, and what they come to.
pub(super) struct Writer<'c> {
    db: &'c mut PgConnection,
    pending: Pending,
    journal: Journal,
    /// Artifacts that are known to be there.
    artifacts: BTreeSet<Digest>,
    /// The requests whose history grew.
    pub(super) touched: BTreeSet<RequestId>,
}

/// The part of the journal that the writes of a commit are about.
#[derive(Default)]
struct Journal {
    rows: BTreeMap<Token, Journalled>,
    /// What is in flight on a target: provider and name.
    targets: BTreeMap<(String, String), Token>,
    put: BTreeSet<Token>,
    ended: BTreeMap<Token, Journalled>,
}

impl Journal {
    fn target(row: &Journalled) -> (String, String) {
        let target = &row.change.target;
        (target.provider.to_string(), target.name.to_string())
    }

    fn know(&mut self, row: Journalled) {
        self.targets.insert(Self::target(&row), row.change.token.clone());
        self.rows.insert(row.change.token.clone(), row);
    }

    fn put(&mut self, row: Journalled) {
        let token = row.change.token.clone();
        // The same effect may be told to be on another target than before.
        if let Some(old) = self.rows.get(&token).map(Self::target) {
            self.targets.remove(&old);
        }
        self.put.insert(token);
        self.know(row);
    }

    fn end(&mut self, token: &Token) -> Option<()> {
        let row = self.rows.remove(token)?;
        self.targets.remove(&Self::target(&row));
        self.put.remove(token);
        self.ended.insert(token.clone(), row);
        Some(())
    }
}

impl<'c> Writer<'c> {
    /// Looks up what `writes` are about.
    pub(super) async fn new(
        db: &'c mut PgConnection,
        writes: &[Write],
    ) -> Result<Self, StoreError> {
        let mut writer = Self {
            db,
            pending: Pending::default(),
            journal: Journal::default(),
            artifacts: BTreeSet::new(),
            touched: BTreeSet::new(),
        };
        writer.look(writes).await?;
        Ok(writer)
    }

    async fn look(&mut self, writes: &[Write]) -> Done {
        let (mut tokens, mut targets, mut artifacts) = (Vec::new(), Vec::new(), Vec::new());
        for write in writes {
            match write {
                Write::Intent(row) | Write::Progress(row) => {
                    tokens.push(&row.change.token);
                    let target = &row.change.target;
                    targets.push((target.provider.as_ref(), target.name.as_str()));
                    artifacts.extend(row.artifact);
                    artifacts.extend(row.change.artifact.as_ref().and_then(|a| a.digest));
                }
                Write::End { token } => tokens.push(token),
                Write::Artifact(artifact) => artifacts.extend(artifact.digest),
                _ => {}
            }
        }
        if !tokens.is_empty() {
            for row in read::effects(self.db, &tokens, &targets).await? {
                self.journal.know(row);
            }
        }
        if !artifacts.is_empty() {
            self.artifacts.extend(read::has_artifacts(self.db, &artifacts).await?);
        }
        Ok(())
    }

    /// Makes all of them.
    pub(super) async fn run(&mut self, writes: Vec<Write>) -> Done {
        let mut rest = writes.into_iter();
        while let Some(write) = rest.next() {
            if let Write::Rekey { from, to } = write {
                self.flush().await?;
                rekey(self.db, &from, &to).await?;
                // What is in flight has another name by now.
                self.journal = Journal::default();
                let left: Vec<Write> = rest.collect();
                self.look(&left).await?;
                rest = left.into_iter();
            } else {
                self.write(write).await?;
            }
        }
        self.flush().await
    }

    async fn write(&mut self, write: Write) -> Done {
        let pending = &mut self.pending;
        match write {
            Write::Desired(row) => {
                pending.desired.insert(row.desired.id.clone(), Some(row));
            }
            Write::DropDesired(id) => {
                pending.desired.insert(id, None);
            }
            Write::Record(record) => {
                pending.records.insert(record.id.clone(), Some(record));
            }
            Write::DropRecord(id) => {
                pending.records.insert(id, None);
            }
            // `run` makes it.
            Write::Rekey { .. } => {}
            Write::Artifact(artifact) => {
                self.artifact(Arc::new(artifact))?;
            }
            Write::Intent(row) => {
                let token = &row.change.token;
                let on = self.journal.targets.get(&Journal::target(&row));
                let other = on.filter(|other| *other != token);
                rule::may_begin(&row, self.journal.rows.get(token), other)?;
                self.put(*row)?;
            }
            Write::Progress(row) => {
                rule::may_go_on(&row, self.journal.rows.get(&row.change.token))?;
                let on = self.journal.targets.get(&Journal::target(&row));
                if let Some(other) = on.filter(|other| **other != row.change.token) {
                    rule::may_begin(&row, None, Some(other))?;
                }
                self.put(*row)?;
            }
            Write::End { token } => {
                self.journal.end(&token).ok_or_else(|| rule::missing(&token))?;
            }
            Write::Retry { key, retry } => {
                pending.retries.insert(key, retry);
            }
            Write::Hold { request, holds } => {
                pending.holds.insert(request, holds);
            }
            Write::Status(row) => {
                if !pending.takes_document(&row.request) {
                    pending.flush(self.db).await?;
                }
                self.pending.status(row.request.clone(), Some(row));
            }
            Write::DropStatus(id) => {
                if !pending.takes_document(&id) {
                    pending.flush(self.db).await?;
                }
                self.pending.status(id, None);
            }
            Write::Published { request, digest } => pending.published(request, digest),
            Write::Source { name, record } => {
                let old = read::source(self.db, &name).await?;
                put_source(self.db, &name, &rule::source(old, record)).await?;
            }
            Write::Template { id, digest, commit, at } => {
                template(self.db, &TemplateRow { id, digest, commit, at }).await?;
            }
            Write::Event(event) => {
                self.touched.extend(event.request.clone());
                pending.event(event, None);
            }
            Write::Happened { key, event } => {
                self.touched.extend(event.request.clone());
                pending.event(event, Some(key));
            }
            // The caller's: it comes after all others.
            Write::Quiet(_) => {}
            Write::Value { key, value } => {
                pending.values.insert(key, value);
            }
            Write::Approve(approval) => approve(self.db, &approval).await?,
            Write::DropApproval(digest) => drop_approval(self.db, &digest).await?,
        }
        Ok(())
    }

    fn artifact(&mut self, artifact: Arc<Artifact>) -> Result<Digest, StoreError> {
        let Some(digest) = artifact.digest else {
            return Err(StoreError::Conflict { what: "an artifact without a digest".into() });
        };
        if self.artifacts.insert(digest) {
            self.pending.artifacts.insert(digest, artifact);
        }
        Ok(digest)
    }

    fn put(&mut self, mut row: Journalled) -> Done {
        if let Some(artifact) = row.change.artifact.take() {
            let digest = self.artifact(artifact)?;
            if *row.artifact.get_or_insert(digest) != digest {
                return Err(rule::two_artifacts(&row.change.token));
            }
        }
        if let Some(digest) = &row.artifact
            && !self.artifacts.contains(digest)
        {
            return Err(StoreError::Missing { what: format!("artifact {digest}") });
        }
        self.journal.put(row);
        Ok(())
    }

    async fn flush(&mut self) -> Done {
        self.pending.flush(self.db).await?;
        let Journal { rows, put, ended, .. } = &mut self.journal;
        let (put, ended) = (std::mem::take(put), std::mem::take(ended));
        let ended: Vec<&Journalled> = ended.values().collect();
        end(self.db, &ended).await?;
        let rows: Vec<&Journalled> = put.iter().filter_map(|token| rows.get(token)).collect();
        put_journal(self.db, &rows).await
    }
}

/// The rows leave the journal for the history.
async fn end(db: &mut PgConnection, rows: &[&Journalled]) -> Done {
    let sql = "INSERT INTO attempt (token, request, component, action, step, plan, attempt, since)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::bigint[], $8::bigint[])";
    in_chunks!(db, rows, sql, |row| [
        row.change.token.as_str(),
        row.change.target.key.request.as_str(),
        row.change.target.key.component.as_str(),
        name(&row.change.action),
        row.step.to_string(),
        row.plan.to_string(),
        i64::from(row.attempt),
        nanoseconds(row.since),
    ]);
    let sql = "DELETE FROM journal WHERE token = ANY($1)";
    in_chunks!(db, rows, sql, |row| [row.change.token.as_str()]);
    Ok(())
}

async fn put_journal(db: &mut PgConnection, rows: &[&Journalled]) -> Done {
    let rows: Vec<_> =
        rows.iter().map(|row| (row, seal("journal", row.change.token.as_str(), row))).collect();
    let sql =
        "INSERT INTO journal SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],
            $5::text[], $6::bytea[], $7::text[], $8::bigint[])
        ON CONFLICT (token) DO UPDATE SET request = excluded.request, provider = excluded.provider,
            target = excluded.target, phase = excluded.phase, artifact = excluded.artifact,
            body = excluded.body, sum = excluded.sum";
    in_chunks!(db, rows, sql, |sealed| [
        sealed.0.change.token.as_str(),
        sealed.0.change.target.key.request.as_str(),
        sealed.0.change.target.provider.to_string(),
        sealed.0.change.target.name.as_str(),
        name(&sealed.0.phase),
        sealed.0.artifact.as_ref().map(|digest| digest.bytes().to_vec()),
        sealed.1.0.as_str(),
        sealed.1.1,
    ]);
    Ok(())
}

async fn rekey(db: &mut PgConnection, from: &RequestId, to: &RequestId) -> Done {
    let Some(mut record) = read::records(db, std::slice::from_ref(from)).await?.pop() else {
        return Err(StoreError::Missing { what: format!("record `{from}`") });
    };
    if !read::records(db, std::slice::from_ref(to)).await?.is_empty() {
        return Err(rule::taken(from, to));
    }
    record.id = to.clone();
    let mut pending = Pending::default();
    pending.records.insert(from.clone(), None);
    pending.records.insert(to.clone(), Some(Box::new(record)));
    for (key, retry) in read::retries(db, Some(from)).await? {
        let new = TargetKey { request: to.clone(), component: key.component.clone() };
        pending.retries.insert(key, None);
        pending.retries.insert(new, Some(retry));
    }
    pending.flush(db).await?;
    let rows: Vec<Journalled> = read::journal(db, Some(from)).await?;
    let rows: Vec<Journalled> = rows.into_iter().map(|row| rule::renamed(row, to)).collect();
    put_journal(db, &rows.iter().collect::<Vec<_>>()).await?;
    ask("UPDATE event SET request = $1 WHERE request = $2")
        .bind(to.as_str())
        .bind(from.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// Makes one write of a person's.
pub(super) async fn note(db: &mut PgConnection, write: PersonWrite) -> Done {
    let mut pending = Pending::default();
    match write {
        PersonWrite::Approve(approval) => approve(db, &approval).await?,
        PersonWrite::DropApproval(digest) => drop_approval(db, &digest).await?,
        PersonWrite::AcceptRewrite { source, revision } => accept(db, &source, revision).await?,
        PersonWrite::Passage { request, passage } => {
            let json = serde_json::to_value(&passage).ok();
            pending.values.insert(crate::store::passage_key(&request), json);
        }
        PersonWrite::Rollout(word) => {
            let json = serde_json::to_value(&word).ok();
            pending.values.insert(crate::store::word_key(&word.version), json);
            pending.event(rule::asked(&word), None);
        }
        PersonWrite::RetryNow { request } => {
            let tries = read::retries(db, Some(&request)).await?;
            pending.retries.extend(tries.iter().map(|(key, _)| (key.clone(), None)));
            let left = rule::due_now(tries);
            pending.retries.extend(left.into_iter().map(|(key, retry)| (key, Some(retry))));
        }
    }
    pending.flush(db).await
}

async fn put_source(db: &mut PgConnection, name: &SourceName, record: &SourceRecord) -> Done {
    let (body, sum) = seal("source", name.as_str(), record);
    ask("INSERT INTO source VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET body = excluded.body, sum = excluded.sum")
    .bind(name.as_str())
    .bind(body)
    .bind(sum)
    .execute(db)
    .await?;
    Ok(())
}

async fn accept(db: &mut PgConnection, name: &SourceName, revision: Revision) -> Done {
    let Some(mut record) = read::source(db, name).await? else {
        return Err(StoreError::Missing { what: format!("source `{name}`") });
    };
    record.accepted = Some(revision);
    put_source(db, name, &record).await
}

async fn template(db: &mut PgConnection, row: &TemplateRow) -> Done {
    let (name, version) = (&row.id.name, row.id.version.to_string());
    let old = read::template(db, (name, &version)).await?;
    if old.is_some_and(|old| old.digest == row.digest) {
        return Ok(());
    }
    let (body, sum) = seal("template", &row.id.to_string(), row);
    ask("INSERT INTO template VALUES ($1, $2, $3, $4)
        ON CONFLICT (name, version) DO UPDATE SET body = excluded.body, sum = excluded.sum")
    .bind(name)
    .bind(version)
    .bind(body)
    .bind(sum)
    .execute(db)
    .await?;
    Ok(())
}

async fn approve(db: &mut PgConnection, approval: &Approval) -> Done {
    let (body, sum) = seal("approval", &approval.digest.hex(), approval);
    ask("INSERT INTO approval VALUES ($1, $2, $3, $4)
        ON CONFLICT (digest, person) DO UPDATE SET body = excluded.body, sum = excluded.sum")
    .bind(&approval.digest.bytes()[..])
    .bind(&approval.by)
    .bind(body)
    .bind(sum)
    .execute(db)
    .await?;
    Ok(())
}

async fn drop_approval(db: &mut PgConnection, digest: &Digest) -> Done {
    let sql = "DELETE FROM approval WHERE digest = $1";
    ask(sql).bind(&digest.bytes()[..]).execute(db).await?;
    Ok(())
}

/// Counts a change.
pub(super) async fn count(db: &mut PgConnection) -> Done {
    ask("UPDATE state SET stamp = stamp + 1").execute(db).await?;
    Ok(())
}

/// What a pass goes by changes: a `Quiet` ends, and the basis rises.
pub(super) async fn end_quiet(db: &mut PgConnection) -> Done {
    ask("UPDATE state SET basis = basis + 1, quiet = NULL, quiet_sum = NULL").execute(db).await?;
    Ok(())
}

/// Counts a word of a person's.
pub(super) async fn hear(db: &mut PgConnection) -> Done {
    ask("UPDATE state SET stamp = stamp + 1, basis = basis + 1, notes = notes + 1, quiet = NULL,
        quiet_sum = NULL")
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn quiet(db: &mut PgConnection, quiet: Option<&Quiet>) -> Done {
    let (body, sum) = quiet.map(|quiet| seal("quiet", "", quiet)).unzip();
    ask("UPDATE state SET quiet = $1, quiet_sum = $2").bind(body).bind(sum).execute(db).await?;
    Ok(())
}
