//! Questions about a few rows, and their documents.

use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::digest::Digest;
use crate::model::{
    Artifact, ComponentName, Desired, Event, InstanceId, Journalled, Record, RequestId, Retry,
    SourceName, SourceRecord, TargetKey, Token,
};
use crate::store::codec::{damaged, request, unseal};
use crate::store::{Line, Quiet, StatusRow, StoreError, TemplateRow, codec, rule};

type Answer<T> = Result<T, StoreError>;

/// The one document that a query for (body, sum) finds.
pub(super) fn one<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    kind: &str,
    key: &str,
) -> Answer<Option<T>> {
    let found: Option<(String, i64)> = db
        .prepare_cached(sql)?
        .query_row(params, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(body, sum)| unseal(kind, key, &body, sum)).transpose()
}

/// All rows of a query, each made into a value.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    mut make: impl FnMut(&Row<'_>) -> Answer<T>,
) -> Answer<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(make(row)?);
    }
    Ok(list)
}

fn sorted<T: Ord + Clone>(keys: &[T]) -> Vec<T> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The document of a row of one of the tables by request.
fn of_request<T: DeserializeOwned>(
    db: &Connection,
    table: &str,
    id: &RequestId,
) -> Answer<Option<T>> {
    let sql = format!(
        "SELECT document.body, document.sum FROM {table} LEFT JOIN document ON n = document WHERE id = ?"
    );
    // A row without its document must not read as no row.
    let found: Option<(Option<String>, Option<i64>)> = db
        .prepare_cached(&sql)?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(None),
        Some((Some(body), Some(sum))) => unseal(table, id.as_str(), &body, sum).map(Some),
        Some(_) => Err(damaged(table, id.as_str())),
    }
}

pub(super) fn desired(db: &Connection, ids: &[RequestId]) -> Answer<Vec<Desired>> {
    sorted(ids).iter().filter_map(|id| of_request(db, "desired", id).transpose()).collect()
}

pub(super) fn record(db: &Connection, id: &RequestId) -> Answer<Option<Record>> {
    of_request(db, "record", id)
}

pub(super) fn records(db: &Connection, ids: &[RequestId]) -> Answer<Vec<Record>> {
    sorted(ids).iter().filter_map(|id| record(db, id).transpose()).collect()
}

const STATUS: &str = "SELECT id, digest, published, body, sum FROM status
    LEFT JOIN document ON n = document WHERE digest IS NOT NULL AND ";

fn status(row: &Row<'_>) -> Answer<StatusRow> {
    let id: String = row.get(0)?;
    let wrong = || damaged("status", &id);
    let (digest, published): (Vec<u8>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
    let (body, sum): (Option<String>, Option<i64>) = (row.get(3)?, row.get(4)?);
    let (body, sum) = body.zip(sum).ok_or_else(wrong)?;
    let (document, written, artifacts): (Value, Digest, Vec<(ComponentName, Digest)>) =
        unseal("status", &id, &body, sum)?;
    if digest != written.bytes() {
        return Err(wrong());
    }
    let published = published.map(|bytes| codec::digest(&bytes, "status", &id)).transpose()?;
    Ok(StatusRow { request: request(&id)?, document, digest: written, published, artifacts })
}

pub(super) fn statuses(db: &Connection, ids: &[RequestId]) -> Answer<Vec<StatusRow>> {
    let sql = format!("{STATUS} id = ?");
    let mut list = Vec::with_capacity(ids.len());
    for id in sorted(ids) {
        list.extend(all(db, &sql, [id.as_str()], status)?);
    }
    Ok(list)
}

pub(super) fn statuses_after(
    db: &Connection,
    after: Option<&RequestId>,
    limit: usize,
) -> Answer<Vec<StatusRow>> {
    let sql = format!("{STATUS} id > ? ORDER BY id LIMIT ?");
    all(db, &sql, (after.map_or("", RequestId::as_str), count(limit)), status)
}

pub(super) fn unpublished(db: &Connection, limit: usize) -> Answer<Vec<StatusRow>> {
    let sql = format!("{STATUS} digest IS NOT published ORDER BY id LIMIT ?");
    all(db, &sql, [count(limit)], status)
}

pub(super) fn unpublished_drops(db: &Connection, limit: usize) -> Answer<Vec<RequestId>> {
    let sql = "SELECT id FROM status
        WHERE digest IS NOT published AND digest IS NULL ORDER BY id LIMIT ?";
    all(db, sql, [count(limit)], |row| request(&row.get::<_, String>(0)?))
}

pub(super) fn artifacts(db: &Connection, digests: &[Digest]) -> Answer<Vec<Artifact>> {
    let mut list = Vec::with_capacity(digests.len());
    for digest in sorted(digests) {
        let sql = "SELECT body, sum FROM artifact WHERE digest = ?";
        let files = one(db, sql, [digest.bytes()], "artifact", &digest.hex())?;
        list.extend(files.map(|files| Artifact { files, digest: Some(digest) }));
    }
    Ok(list)
}

pub(super) fn effect(db: &Connection, token: &Token) -> Answer<Option<Journalled>> {
    let sql = "SELECT body, sum FROM journal WHERE token = ?";
    one(db, sql, [token.as_str()], "journal", token.as_str())
}

pub(super) fn journal(db: &Connection, of: Option<&RequestId>) -> Answer<Vec<Journalled>> {
    let sql =
        "SELECT token, body, sum FROM journal WHERE ?1 IS NULL OR request = ?1 ORDER BY token";
    all(db, sql, [of.map(RequestId::as_str)], |row| {
        let token: String = row.get(0)?;
        let effect = unseal("journal", &token, &row.get::<_, String>(1)?, row.get(2)?)?;
        rule::found(effect, &token)
    })
}

pub(super) fn retries(db: &Connection, of: Option<&RequestId>) -> Answer<Vec<(TargetKey, Retry)>> {
    let sql = "SELECT request, component, body, sum FROM retry
        WHERE ?1 IS NULL OR request = ?1 ORDER BY request, component";
    all(db, sql, [of.map(RequestId::as_str)], |row| {
        let component = ComponentName::new(row.get::<_, String>(1)?);
        let key = TargetKey { request: request(&row.get::<_, String>(0)?)?, component };
        let retry = unseal("retry", &key.to_string(), &row.get::<_, String>(2)?, row.get(3)?)?;
        Ok((key, retry))
    })
}

pub(super) fn source(db: &Connection, name: &SourceName) -> Answer<Option<SourceRecord>> {
    let sql = "SELECT body, sum FROM source WHERE name = ?";
    one(db, sql, [name.as_str()], "source", name.as_str())
}

pub(super) fn templates(db: &Connection) -> Answer<Vec<TemplateRow>> {
    let sql = "SELECT name, version, body, sum FROM template";
    let mut list: Vec<TemplateRow> = all(db, sql, [], |row| {
        let key = format!("{}@{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        unseal("template", &key, &row.get::<_, String>(2)?, row.get(3)?)
    })?;
    list.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(list)
}

pub(super) fn events(db: &Connection, of: Option<&RequestId>, limit: usize) -> Answer<Vec<Event>> {
    let mut list = match of {
        Some(of) => {
            let sql = "SELECT request, body, sum FROM event
                WHERE request = ? AND key IS NULL ORDER BY n DESC LIMIT ?";
            all(db, sql, (of.as_str(), count(limit)), event)?
        }
        None => {
            let sql = "SELECT request, body, sum FROM event
                WHERE key IS NULL ORDER BY n DESC LIMIT ?";
            all(db, sql, [count(limit)], event)?
        }
    };
    list.reverse();
    Ok(list)
}

/// A line from a row of request, body, sum.
fn event(row: &Row<'_>) -> Answer<Event> {
    let of: Option<String> = row.get(0)?;
    let event: Event = unseal("event", "", &row.get::<_, String>(1)?, row.get(2)?)?;
    Ok(Event { request: of.map(|of| request(&of)).transpose()?, ..event })
}

pub(super) fn history(
    db: &Connection,
    of: &RequestId,
    after: Option<u64>,
    limit: usize,
) -> Answer<Vec<Line>> {
    // Each half by its own index; SQLite merges them in their order.
    let halves = |compare: &str, order: &str| {
        let half = |kind: &str| {
            format!(
                "SELECT request, body, sum, n FROM event
                WHERE request = ?1 AND key {kind} AND n {compare} ?2"
            )
        };
        let (own, parts) = (half("IS NULL"), half("IS NOT NULL"));
        format!("{own} UNION ALL {parts} ORDER BY n {order} LIMIT ?3")
    };
    let line =
        |row: &Row<'_>| Ok(Line { n: row.get::<_, i64>(3)?.cast_unsigned(), event: event(row)? });
    let limit = count(limit);
    match after {
        Some(after) => {
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            all(db, &halves(">", "ASC"), (of.as_str(), after, limit), line)
        }
        None => {
            let mut list = all(db, &halves("<=", "DESC"), (of.as_str(), i64::MAX, limit), line)?;
            list.reverse();
            Ok(list)
        }
    }
}

/// The newest line may have been removed since, and its number is not used twice.
pub(super) fn last_line(db: &Connection) -> Answer<u64> {
    let sql = "SELECT COALESCE(MAX(n), 0) FROM event";
    let n: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(n.cast_unsigned())
}

pub(super) fn lines_after(
    db: &Connection,
    after: u64,
    limit: usize,
) -> Answer<Vec<(u64, RequestId)>> {
    let sql = "SELECT n, request FROM event
        WHERE n > ? AND key IS NULL AND request IS NOT NULL ORDER BY n LIMIT ?";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    all(db, sql, (after, count(limit)), |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), request(&row.get::<_, String>(1)?)?))
    })
}

pub(super) fn instance(db: &Connection) -> Answer<InstanceId> {
    let sql = "SELECT instance FROM state";
    Ok(InstanceId::new(db.prepare_cached(sql)?.query_row([], |row| row.get::<_, String>(0))?))
}

/// How often anything changed.
pub(super) fn stamp(db: &Connection) -> Answer<u64> {
    let sql = "SELECT stamp FROM state";
    let stamp: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(stamp.cast_unsigned())
}

/// How often what a pass goes by changed, and how often people wrote.
pub(super) fn counters(db: &Connection) -> Answer<(u64, u64)> {
    let sql = "SELECT basis, notes FROM state";
    let (basis, notes): (i64, i64) =
        db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((basis.cast_unsigned(), notes.cast_unsigned()))
}

pub(super) fn quiet(db: &Connection) -> Answer<Option<Quiet>> {
    let sql = "SELECT quiet, quiet_sum FROM state WHERE quiet IS NOT NULL";
    let quiet: Option<Quiet> = one(db, sql, [], "quiet", "")?;
    let (_, notes) = counters(db)?;
    Ok(quiet.filter(|quiet| quiet.notes == notes))
}

pub(super) fn value(db: &Connection, key: &str) -> Answer<Option<Value>> {
    one(db, "SELECT body, sum FROM value WHERE key = ?", [key], "value", key)
}

/// A limit as SQLite takes it.
pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
