//! The writes of a commit, in their order, inside a transaction that the caller has begun.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::read::count;
use super::{journal, read};
use crate::digest::Digest;
use crate::model::{
    Approval, Artifact, Event, Record, RequestId, Retry, Revision, SourceName, SourceRecord,
    TargetKey,
};
use crate::store::codec::{pack, seal};
use crate::store::column::{DesiredCells, RecordCells};
use crate::store::{
    DesiredRow, HeldRow, PersonWrite, Quiet, StatusRow, StoreError, TemplateRow, Write, rule,
};

type Done = Result<(), StoreError>;

/// Makes one write. `touched` gathers the requests whose history grew.
pub(super) fn write(db: &Connection, write: Write, touched: &mut BTreeSet<RequestId>) -> Done {
    match write {
        Write::Desired(row) => desired(db, &row),
        Write::DropDesired(id) => drop_row(db, "desired", &id),
        Write::Record(record) => put_record(db, &record),
        Write::DropRecord(id) => drop_row(db, "record", &id),
        Write::Rekey { from, to } => rekey(db, &from, &to),
        Write::Artifact(artifact) => put_artifact(db, &artifact).map(drop),
        Write::Intent(row) => journal::intent(db, *row),
        Write::Progress(row) => journal::progress(db, *row),
        Write::End { token } => journal::end(db, &token),
        Write::Retry { key, retry } => put_retry(db, &key, retry.as_ref()),
        Write::Hold { request, holds } => hold(db, &request, &holds),
        Write::Status(row) => status(db, &row),
        Write::DropStatus(id) => drop_status(db, &id),
        Write::Published { request, digest } => published(db, &request, digest.as_ref()),
        Write::Source { name, record } => source(db, &name, record),
        Write::Template { id, digest, commit, at } => {
            template(db, &TemplateRow { id, digest, commit, at })
        }
        Write::Event(event) => {
            touched.extend(event.request.clone());
            put_event(db, &event, None)
        }
        Write::Happened { key, event } => {
            touched.extend(event.request.clone());
            put_event(db, &event, Some(&key))
        }
        Write::Quiet(state) => quiet(db, state.as_ref()),
        Write::Value { key, value: v } => value(db, &key, v.as_ref()),
        Write::Approve(approval) => approve(db, &approval),
        Write::DropApproval(digest) => drop_approval(db, &digest),
    }
}

/// Makes one write of a person's.
pub(super) fn note(db: &Connection, write: PersonWrite) -> Done {
    match write {
        PersonWrite::Approve(approval) => approve(db, &approval),
        PersonWrite::DropApproval(digest) => drop_approval(db, &digest),
        PersonWrite::AcceptRewrite { source, revision } => accept(db, &source, revision),
        PersonWrite::Passage { request, passage } => {
            let json = serde_json::to_value(&passage).ok();
            value(db, &crate::store::passage_key(&request), json.as_ref())
        }
        PersonWrite::Rollout(word) => {
            let json = serde_json::to_value(&word).ok();
            value(db, &crate::store::word_key(&word.version), json.as_ref())?;
            put_event(db, &rule::asked(&word), None)
        }
        PersonWrite::RetryNow { request } => {
            let tries = read::retries(db, Some(&request))?;
            run(db, "DELETE FROM retry WHERE request = ?", [request.as_str()])?;
            for (key, retry) in rule::due_now(tries) {
                put_retry(db, &key, Some(&retry))?;
            }
            Ok(())
        }
    }
}

fn drop_approval(db: &Connection, digest: &Digest) -> Done {
    run(db, "DELETE FROM approval WHERE digest = ?", [digest.bytes()])
}

pub(super) fn run(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Done {
    db.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Puts a document where the row's former one was, or in a new place; answers where.
fn document(
    db: &Connection,
    table: &str,
    id: &RequestId,
    (body, sum): &(String, i64),
) -> Result<i64, StoreError> {
    let sql = format!("SELECT document FROM {table} WHERE id = ?");
    let place: Option<Option<i64>> =
        db.prepare_cached(&sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
    match place.flatten() {
        Some(n) => {
            run(db, "UPDATE document SET body = ?, sum = ? WHERE n = ?", params![body, sum, n])?;
            Ok(n)
        }
        None => {
            run(db, "INSERT INTO document (body, sum) VALUES (?, ?)", params![body, sum])?;
            Ok(db.last_insert_rowid())
        }
    }
}

fn drop_row(db: &Connection, table: &str, id: &RequestId) -> Done {
    let sql = format!("DELETE FROM {table} WHERE id = ? RETURNING document");
    let place: Option<Option<i64>> =
        db.prepare_cached(&sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
    match place.flatten() {
        Some(n) => run(db, "DELETE FROM document WHERE n = ?", [n]),
        None => Ok(()),
    }
}

fn desired(db: &Connection, row: &DesiredRow) -> Done {
    let cells = DesiredCells::new(row);
    let DesiredRow { desired, blob, key, fingerprint } = row;
    let place = document(db, "desired", &desired.id, &cells.document)?;
    run(
        db,
        "INSERT OR REPLACE INTO desired VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            desired.id.as_str(),
            desired.origin.source.as_str(),
            desired.origin.path,
            blob.0,
            key.bytes(),
            fingerprint.bytes(),
            cells.references,
            desired.spec().is_some(),
            cells.template,
            cells.sum,
            place,
            cells.artifacts,
        ],
    )
}

pub(super) fn put_record(db: &Connection, record: &Record) -> Done {
    let cells = RecordCells::new(record);
    let place = document(db, "record", &record.id, &cells.document)?;
    run(
        db,
        "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            record.id.as_str(),
            cells.settled(),
            record.origin.source.as_str(),
            cells.references,
            cells.checked,
            cells.sum,
            place,
            cells.artifacts,
            cells.ends
        ],
    )
}

fn rekey(db: &Connection, from: &RequestId, to: &RequestId) -> Done {
    let Some(mut record) = read::record(db, from)? else {
        return Err(StoreError::Missing { what: format!("record `{from}`") });
    };
    if read::record(db, to)?.is_some() {
        return Err(rule::taken(from, to));
    }
    drop_row(db, "record", from)?;
    record.id = to.clone();
    put_record(db, &record)?;
    journal::rekey(db, from, to)?;
    for (key, retry) in read::retries(db, Some(from))? {
        put_retry(db, &key, None)?;
        let key = TargetKey { request: to.clone(), component: key.component };
        put_retry(db, &key, Some(&retry))?;
    }
    KINDS.iter().try_for_each(|kind| {
        let sql = format!("UPDATE event SET request = ? WHERE request = ? AND {kind}");
        run(db, &sql, [to.as_str(), from.as_str()])
    })
}

/// Stores an artifact's text under its digest, which it answers.
pub(super) fn put_artifact(db: &Connection, artifact: &Artifact) -> Result<Digest, StoreError> {
    let Some(digest) = artifact.digest else {
        return Err(StoreError::Conflict { what: "an artifact without a digest".into() });
    };
    // Serialising a large artifact to find it there already would be a waste.
    if !has_artifact(db, &digest)? {
        let (body, sum) = seal("artifact", &digest.hex(), &artifact.files);
        run(db, "INSERT INTO artifact VALUES (?, ?, ?)", params![digest.bytes(), body, sum])?;
    }
    Ok(digest)
}

pub(super) fn has_artifact(db: &Connection, digest: &Digest) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT 1 FROM artifact WHERE digest = ?")?.exists([digest.bytes()])?)
}

fn put_retry(db: &Connection, key: &TargetKey, retry: Option<&Retry>) -> Done {
    let (request, component) = (key.request.as_str(), key.component.as_str());
    let Some(retry) = retry else {
        let sql = "DELETE FROM retry WHERE request = ? AND component = ?";
        return run(db, sql, [request, component]);
    };
    let (body, sum) = seal("retry", &key.to_string(), retry);
    let sql = "INSERT OR REPLACE INTO retry VALUES (?, ?, ?, ?)";
    run(db, sql, params![request, component, body, sum])
}

fn hold(db: &Connection, request: &RequestId, holds: &[HeldRow]) -> Done {
    run(db, "DELETE FROM hold WHERE request = ?", [request.as_str()])?;
    for (n, row) in holds.iter().enumerate() {
        let (body, sum) = seal("hold", request.as_str(), row);
        let n = i64::try_from(n).expect("a list fits into memory");
        let sql = "INSERT INTO hold VALUES (?, ?, ?, ?)";
        run(db, sql, params![request.as_str(), n, body, sum])?;
    }
    Ok(())
}

fn status(db: &Connection, row: &StatusRow) -> Done {
    let StatusRow { request, document: content, digest, published, artifacts } = row;
    let sealed = seal("status", request.as_str(), &(content, digest, artifacts));
    let place = document(db, "status", request, &sealed)?;
    run(
        db,
        "INSERT INTO status VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
            digest = excluded.digest,
            published = coalesce(excluded.published, published),
            document = excluded.document,
            artifacts = excluded.artifacts",
        params![
            request.as_str(),
            digest.bytes(),
            published.as_ref().map(Digest::bytes),
            place,
            pack(artifacts.iter().map(|(_, digest)| digest)),
        ],
    )
}

/// The row stays for as long as its file is published, so that the file is not forgotten.
fn drop_status(db: &Connection, request: &RequestId) -> Done {
    let sql = "SELECT document FROM status WHERE id = ?";
    let place: Option<Option<i64>> =
        db.prepare_cached(sql)?.query_row([request.as_str()], |row| row.get(0)).optional()?;
    if let Some(n) = place.flatten() {
        run(db, "DELETE FROM document WHERE n = ?", [n])?;
    }
    let sql = "UPDATE status SET digest = NULL, document = NULL, artifacts = x'' WHERE id = ?";
    run(db, sql, [request.as_str()])?;
    forget_status(db, request)
}

fn forget_status(db: &Connection, request: &RequestId) -> Done {
    let sql = "DELETE FROM status WHERE id = ? AND digest IS NULL AND published IS NULL";
    run(db, sql, [request.as_str()])
}

fn published(db: &Connection, request: &RequestId, digest: Option<&Digest>) -> Done {
    let sql = "UPDATE status SET published = ? WHERE id = ?";
    run(db, sql, params![digest.map(Digest::bytes), request.as_str()])?;
    forget_status(db, request)
}

fn source(db: &Connection, name: &SourceName, record: SourceRecord) -> Done {
    put_source(db, name, &rule::source(read::source(db, name)?, record))
}

fn put_source(db: &Connection, name: &SourceName, record: &SourceRecord) -> Done {
    let (body, sum) = seal("source", name.as_str(), record);
    let sql = "INSERT OR REPLACE INTO source VALUES (?, ?, ?)";
    run(db, sql, params![name.as_str(), body, sum])
}

fn accept(db: &Connection, name: &SourceName, revision: Revision) -> Done {
    let Some(mut record) = read::source(db, name)? else {
        return Err(StoreError::Missing { what: format!("source `{name}`") });
    };
    record.accepted = Some(revision);
    put_source(db, name, &record)
}

fn template(db: &Connection, row: &TemplateRow) -> Done {
    let (name, version) = (&row.id.name, row.id.version.to_string());
    let sql = "SELECT body, sum FROM template WHERE name = ? AND version = ?";
    let old = read::one::<TemplateRow>(db, sql, [name, &version], "template", &row.id.to_string())?;
    if old.is_some_and(|old| old.digest == row.digest) {
        return Ok(());
    }
    let (body, sum) = seal("template", &row.id.to_string(), row);
    let sql = "INSERT OR REPLACE INTO template VALUES (?, ?, ?, ?)";
    run(db, sql, params![name, version, body, sum])
}

fn approve(db: &Connection, approval: &Approval) -> Done {
    let (body, sum) = seal("approval", &approval.digest.hex(), approval);
    let sql = "INSERT OR REPLACE INTO approval VALUES (?, ?, ?, ?)";
    run(db, sql, params![approval.digest.bytes(), approval.by, body, sum])
}

/// The request is a column of its own, so that history follows a move without being written anew.
/// A line of history; one with a key that is there already is the same line told again.
fn put_event(db: &Connection, event: &Event, key: Option<&Digest>) -> Done {
    let request = event.request.as_ref().map(RequestId::as_str);
    let (body, sum) = seal("event", "", &Event { request: None, ..event.clone() });
    let sql = "INSERT OR IGNORE INTO event (request, body, sum, key) VALUES (?, ?, ?, ?)";
    run(db, sql, params![request, body, sum, key.map(Digest::bytes)])
}

/// Keeps the newest lines of a request's own history, and of what happened to its parts.
pub(super) fn trim(db: &Connection, request: &RequestId, own: usize, parts: usize) -> Done {
    KINDS.iter().zip([own, parts]).try_for_each(|(kind, keep)| {
        let sql = format!(
            "DELETE FROM event WHERE request = ?1 AND {kind} AND n <=
            (SELECT n FROM event WHERE request = ?1 AND {kind} ORDER BY n DESC LIMIT 1 OFFSET ?2)"
        );
        run(db, &sql, params![request.as_str(), count(keep)])
    })
}

/// A request's own history, and what happened to its parts: as their indexes have it.
const KINDS: [&str; 2] = ["key IS NULL", "key IS NOT NULL"];

pub(super) fn quiet(db: &Connection, quiet: Option<&Quiet>) -> Done {
    let (body, sum) = quiet.map(|quiet| seal("quiet", "", quiet)).unzip();
    run(db, "UPDATE state SET quiet = ?, quiet_sum = ?", params![body, sum])
}

/// What a pass goes by changes: a `Quiet` ends, and the basis rises.
pub(super) fn end_quiet(db: &Connection) -> Done {
    run(db, "UPDATE state SET basis = basis + 1, quiet = NULL, quiet_sum = NULL", [])
}

fn value(db: &Connection, key: &str, value: Option<&Value>) -> Done {
    let Some(value) = value else {
        return run(db, "DELETE FROM value WHERE key = ?", [key]);
    };
    let (body, sum) = seal("value", key, value);
    run(db, "INSERT OR REPLACE INTO value VALUES (?, ?, ?)", params![key, body, sum])
}
