//! Questions about a few rows, and their documents.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, FromRow, Postgres, Row as _};

use crate::digest::Digest;
use crate::model::{
    Artifact, ComponentName, Desired, Event, InstanceId, Journalled, Record, RequestId, Retry,
    SourceName, SourceRecord, TargetKey, Token,
};
use crate::store::codec::{self, damaged, request, unseal};
use crate::store::{Line, Quiet, StatusRow, StoreError, TemplateRow, rule};

pub(super) type Answer<T> = Result<T, StoreError>;
type Query<'a> = sqlx::query::Query<'a, Postgres, PgArguments>;

/// A query whose text is put together from constants of this module.
pub(super) fn ask<'a>(sql: impl Into<String>) -> Query<'a> {
    sqlx::query(AssertSqlSafe(sql.into()))
}

/// All rows of a query, each made into a value.
pub(super) async fn all<T>(
    db: &mut PgConnection,
    query: Query<'_>,
    make: impl FnMut(&PgRow) -> Answer<T>,
) -> Answer<Vec<T>> {
    query.fetch_all(db).await?.iter().map(make).collect()
}

/// The one row of a query that may find none.
async fn row<T>(db: &mut PgConnection, query: Query<'_>) -> Answer<Option<T>>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    Ok(query.fetch_optional(db).await?.map(|row| T::from_row(&row)).transpose()?)
}

/// The one document that a query for (body, sum) finds.
async fn one<T: DeserializeOwned>(
    db: &mut PgConnection,
    query: Query<'_>,
    kind: &str,
    key: &str,
) -> Answer<Option<T>> {
    let found: Option<(String, i64)> = row(db, query).await?;
    found.map(|(body, sum)| unseal(kind, key, &body, sum)).transpose()
}

/// As an array of texts.
pub(super) fn texts(ids: &[RequestId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// As an array of bytes.
pub(super) fn blobs<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Vec<Vec<u8>> {
    digests.into_iter().map(|digest| digest.bytes().to_vec()).collect()
}

/// The documents of the rows of one of the tables by request, by id.
async fn of_requests<T: DeserializeOwned>(
    db: &mut PgConnection,
    table: &'static str,
    ids: &[RequestId],
) -> Answer<Vec<T>> {
    let sql = format!("SELECT id, body, body_sum FROM {table} WHERE id = ANY($1) ORDER BY id");
    all(db, ask(sql).bind(texts(ids)), |row| {
        let (id, body, sum): (String, String, i64) = FromRow::from_row(row)?;
        unseal(table, &id, &body, sum)
    })
    .await
}

pub(super) async fn desired(db: &mut PgConnection, ids: &[RequestId]) -> Answer<Vec<Desired>> {
    of_requests(db, "desired", ids).await
}

pub(super) async fn records(db: &mut PgConnection, ids: &[RequestId]) -> Answer<Vec<Record>> {
    of_requests(db, "record", ids).await
}

const STATUS: &str =
    "SELECT id, digest, published, body, body_sum FROM status WHERE digest IS NOT NULL AND ";

fn status(row: &PgRow) -> Answer<StatusRow> {
    let (id, digest, published): (String, Vec<u8>, Option<Vec<u8>>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (body, sum): (Option<String>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let wrong = || damaged("status", &id);
    let (body, sum) = body.zip(sum).ok_or_else(wrong)?;
    let (document, written, artifacts): (Value, Digest, Vec<(ComponentName, Digest)>) =
        unseal("status", &id, &body, sum)?;
    if digest != written.bytes() {
        return Err(wrong());
    }
    let published = published.map(|bytes| codec::digest(&bytes, "status", &id)).transpose()?;
    Ok(StatusRow { request: request(&id)?, document, digest: written, published, artifacts })
}

pub(super) async fn statuses(db: &mut PgConnection, ids: &[RequestId]) -> Answer<Vec<StatusRow>> {
    all(db, ask(format!("{STATUS} id = ANY($1) ORDER BY id")).bind(texts(ids)), status).await
}

pub(super) async fn statuses_after(
    db: &mut PgConnection,
    after: Option<&RequestId>,
    limit: usize,
) -> Answer<Vec<StatusRow>> {
    let query = ask(format!("{STATUS} id > $1 ORDER BY id LIMIT $2"))
        .bind(after.map_or("", RequestId::as_str))
        .bind(count(limit));
    all(db, query, status).await
}

pub(super) async fn unpublished(db: &mut PgConnection, limit: usize) -> Answer<Vec<StatusRow>> {
    let sql = format!("{STATUS} digest IS DISTINCT FROM published ORDER BY id LIMIT $1");
    all(db, ask(sql).bind(count(limit)), status).await
}

pub(super) async fn unpublished_drops(
    db: &mut PgConnection,
    limit: usize,
) -> Answer<Vec<RequestId>> {
    let sql = "SELECT id FROM status
        WHERE digest IS DISTINCT FROM published AND digest IS NULL ORDER BY id LIMIT $1";
    all(db, ask(sql).bind(count(limit)), |row| request(row.try_get(0)?)).await
}

pub(super) async fn artifacts(db: &mut PgConnection, digests: &[Digest]) -> Answer<Vec<Artifact>> {
    let sql = "SELECT digest, body, sum FROM artifact WHERE digest = ANY($1) ORDER BY digest";
    all(db, ask(sql).bind(blobs(digests)), |row| {
        let digest = codec::digest(row.try_get(0)?, "artifact", "")?;
        let files = unseal("artifact", &digest.hex(), row.try_get(1)?, row.try_get(2)?)?;
        Ok(Artifact { files, digest: Some(digest) })
    })
    .await
}

/// Which of these artifacts are there.
pub(super) async fn has_artifacts(
    db: &mut PgConnection,
    digests: &[Digest],
) -> Answer<Vec<Digest>> {
    let sql = "SELECT digest FROM artifact WHERE digest = ANY($1)";
    all(db, ask(sql).bind(blobs(digests)), |row| codec::digest(row.try_get(0)?, "artifact", ""))
        .await
}

fn effect(row: &PgRow) -> Answer<Journalled> {
    let (token, body, sum): (String, String, i64) = FromRow::from_row(row)?;
    rule::found(unseal("journal", &token, &body, sum)?, &token)
}

/// What stands under these tokens, or is in flight on these targets: (provider, name).
pub(super) async fn effects(
    db: &mut PgConnection,
    tokens: &[&Token],
    targets: &[(&str, &str)],
) -> Answer<Vec<Journalled>> {
    let tokens: Vec<&str> = tokens.iter().map(|token| token.as_str()).collect();
    let (providers, names): (Vec<&str>, Vec<&str>) = targets.iter().copied().unzip();
    let sql = "SELECT token, body, sum FROM journal WHERE token = ANY($1) OR (provider, target) IN
        (SELECT * FROM unnest($2::text[], $3::text[]))";
    all(db, ask(sql).bind(tokens).bind(providers).bind(names), effect).await
}

pub(super) async fn journal(
    db: &mut PgConnection,
    of: Option<&RequestId>,
) -> Answer<Vec<Journalled>> {
    let sql =
        "SELECT token, body, sum FROM journal WHERE $1 IS NULL OR request = $1 ORDER BY token";
    all(db, ask(sql).bind(of.map(RequestId::as_str)), effect).await
}

pub(super) async fn retries(
    db: &mut PgConnection,
    of: Option<&RequestId>,
) -> Answer<Vec<(TargetKey, Retry)>> {
    let sql = "SELECT request, component, body, sum FROM retry
        WHERE $1 IS NULL OR request = $1 ORDER BY request, component";
    all(db, ask(sql).bind(of.map(RequestId::as_str)), |row| {
        let component = ComponentName::new(row.try_get::<String, _>(1)?);
        let key = TargetKey { request: request(row.try_get(0)?)?, component };
        let retry = unseal("retry", &key.to_string(), row.try_get(2)?, row.try_get(3)?)?;
        Ok((key, retry))
    })
    .await
}

pub(super) async fn source(
    db: &mut PgConnection,
    name: &SourceName,
) -> Answer<Option<SourceRecord>> {
    let sql = "SELECT body, sum FROM source WHERE name = $1";
    one(db, ask(sql).bind(name.as_str()), "source", name.as_str()).await
}

pub(super) async fn template(
    db: &mut PgConnection,
    (name, version): (&str, &str),
) -> Answer<Option<TemplateRow>> {
    let sql = "SELECT body, sum FROM template WHERE name = $1 AND version = $2";
    let key = format!("{name}@{version}");
    one(db, ask(sql).bind(name).bind(version), "template", &key).await
}

pub(super) async fn templates(db: &mut PgConnection) -> Answer<Vec<TemplateRow>> {
    let sql = "SELECT name || '@' || version, body, sum FROM template";
    let mut list: Vec<TemplateRow> = all(db, ask(sql), |row| {
        unseal("template", row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)
    })
    .await?;
    list.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(list)
}

pub(super) async fn events(
    db: &mut PgConnection,
    of: Option<&RequestId>,
    limit: usize,
) -> Answer<Vec<Event>> {
    let query = match of {
        Some(of) => ask("SELECT request, body, sum FROM event
            WHERE key IS NULL AND request = $2 ORDER BY n DESC LIMIT $1")
        .bind(count(limit))
        .bind(of.as_str()),
        None => ask("SELECT request, body, sum FROM event
            WHERE key IS NULL ORDER BY n DESC LIMIT $1")
        .bind(count(limit)),
    };
    let mut list = all(db, query, event).await?;
    list.reverse();
    Ok(list)
}

/// A line from a row of request, body, sum.
fn event(row: &PgRow) -> Answer<Event> {
    let of: Option<&str> = row.try_get(0)?;
    let event: Event = unseal("event", "", row.try_get(1)?, row.try_get(2)?)?;
    Ok(Event { request: of.map(request).transpose()?, ..event })
}

pub(super) async fn history(
    db: &mut PgConnection,
    of: &RequestId,
    after: Option<u64>,
    limit: usize,
) -> Answer<Vec<Line>> {
    // Each half by its own index, and no more of it than can be wanted.
    let halves = |compare: &str, order: &str| {
        let half = |kind: &str| {
            format!(
                "(SELECT request, body, sum, n FROM event WHERE request = $1 AND key {kind}
                AND n {compare} $2 ORDER BY n {order} LIMIT $3)"
            )
        };
        let (own, parts) = (half("IS NULL"), half("IS NOT NULL"));
        ask(format!("{own} UNION ALL {parts} ORDER BY n {order} LIMIT $3"))
    };
    let line =
        |row: &PgRow| Ok(Line { n: row.try_get::<i64, _>(3)?.cast_unsigned(), event: event(row)? });
    let (query, from) = match after {
        Some(after) => (halves(">", "ASC"), i64::try_from(after).unwrap_or(i64::MAX)),
        None => (halves("<=", "DESC"), i64::MAX),
    };
    let mut list = all(db, query.bind(of.as_str()).bind(from).bind(count(limit)), line).await?;
    if after.is_none() {
        list.reverse();
    }
    Ok(list)
}

/// The newest line may have been removed since, and its number is not used twice.
pub(super) async fn last_line(db: &mut PgConnection) -> Answer<u64> {
    let found: Option<(i64,)> = row(db, ask("SELECT coalesce(max(n), 0) FROM event")).await?;
    Ok(found.map_or(0, |(n,)| n.cast_unsigned()))
}

pub(super) async fn lines_after(
    db: &mut PgConnection,
    after: u64,
    limit: usize,
) -> Answer<Vec<(u64, RequestId)>> {
    let sql = "SELECT n, request FROM event
        WHERE n > $1 AND key IS NULL AND request IS NOT NULL ORDER BY n LIMIT $2";
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    all(db, ask(sql).bind(after).bind(count(limit)), |row| {
        Ok((row.try_get::<i64, _>(0)?.cast_unsigned(), request(row.try_get(1)?)?))
    })
    .await
}

pub(super) async fn instance(db: &mut PgConnection) -> Answer<InstanceId> {
    let found: Option<(String,)> = row(db, ask("SELECT instance FROM state")).await?;
    let (instance,) = found.ok_or_else(|| damaged("state", ""))?;
    Ok(InstanceId::new(instance))
}

/// How often anything changed.
pub(super) async fn stamp(db: &mut PgConnection) -> Answer<u64> {
    let found: Option<(i64,)> = row(db, ask("SELECT stamp FROM state")).await?;
    let (stamp,) = found.ok_or_else(|| damaged("state", ""))?;
    Ok(stamp.cast_unsigned())
}

/// How often what a pass goes by changed, and how often people wrote.
pub(super) async fn counters(db: &mut PgConnection) -> Answer<(u64, u64)> {
    let found: Option<(i64, i64)> = row(db, ask("SELECT basis, notes FROM state")).await?;
    let (basis, notes) = found.ok_or_else(|| damaged("state", ""))?;
    Ok((basis.cast_unsigned(), notes.cast_unsigned()))
}

pub(super) async fn quiet(db: &mut PgConnection) -> Answer<Option<Quiet>> {
    let sql = "SELECT quiet, quiet_sum, notes FROM state WHERE quiet IS NOT NULL";
    let found: Option<(String, i64, i64)> = row(db, ask(sql)).await?;
    let Some((body, sum, notes)) = found else { return Ok(None) };
    let quiet: Quiet = unseal("quiet", "", &body, sum)?;
    Ok(Some(quiet).filter(|quiet| quiet.notes == notes.cast_unsigned()))
}

pub(super) async fn value(db: &mut PgConnection, key: &str) -> Answer<Option<Value>> {
    one(db, ask("SELECT body, sum FROM value WHERE key = $1").bind(key), "value", key).await
}

/// A limit as PostgreSQL takes it.
pub(super) fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
