//! What a commit writes, gathered by table, so that the number of statements does not grow with the
//! number of rows: each costs a round trip.
//!
//! Of several writes to one row the last one counts, as if each had been made in its turn. What cannot
//! be put so is flushed first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sqlx::postgres::PgConnection;

use super::read::{ask, texts};
use crate::digest::Digest;
use crate::model::{Artifact, Event, Record, RequestId, Retry, TargetKey};
use crate::store::codec::{pack, seal};
use crate::store::column::{DesiredCells, RecordCells};
use crate::store::{DesiredRow, HeldRow, StatusRow, StoreError};

type Done = Result<(), StoreError>;

/// Rows of one statement: documents are large, and an answer to a cancelled one is waited for.
pub(super) const ROWS: usize = 2_000;

#[derive(Default)]
pub(super) struct Pending {
    pub(super) desired: BTreeMap<RequestId, Option<Box<DesiredRow>>>,
    pub(super) records: BTreeMap<RequestId, Option<Box<Record>>>,
    pub(super) retries: BTreeMap<TargetKey, Option<Retry>>,
    pub(super) holds: BTreeMap<RequestId, Vec<HeldRow>>,
    pub(super) values: BTreeMap<String, Option<Value>>,
    pub(super) artifacts: BTreeMap<Digest, Arc<Artifact>>,
    events: Vec<(Event, Option<Digest>)>,
    statuses: BTreeMap<RequestId, Status>,
}

/// What becomes of a status.
#[derive(Default)]
struct Status {
    /// The document; `Some(None)`: it goes.
    document: Option<Option<StatusRow>>,
    /// What the branch holds; `Some(None)`: nothing.
    published: Option<Option<Digest>>,
}

impl Pending {
    pub(super) fn event(&mut self, event: Event, key: Option<Digest>) {
        self.events.push((event, key));
    }

    /// Whether a status' write can be gathered: after a document came or went, nothing of its kind may.
    pub(super) fn takes_document(&self, request: &RequestId) -> bool {
        !self.statuses.contains_key(request)
    }

    pub(super) fn status(&mut self, request: RequestId, row: Option<StatusRow>) {
        let published = row.as_ref().and_then(|row| row.published).map(Some);
        self.statuses.insert(request, Status { document: Some(row), published });
    }

    pub(super) fn published(&mut self, request: RequestId, digest: Option<Digest>) {
        self.statuses.entry(request).or_default().published = Some(digest);
    }

    /// Writes what was gathered.
    pub(super) async fn flush(&mut self, db: &mut PgConnection) -> Done {
        let Self { desired, records, retries, holds, values, artifacts, events, statuses } =
            std::mem::take(self);
        put_artifacts(db, artifacts).await?;
        put_desired(db, desired).await?;
        put_records(db, records).await?;
        put_retries(db, retries).await?;
        put_holds(db, holds).await?;
        put_values(db, values).await?;
        put_statuses(db, statuses).await?;
        put_events(db, events).await
    }
}

/// Runs a statement for each chunk of rows, on one array per column.
macro_rules! in_chunks {
    ($db:expr, $rows:expr, $sql:expr, |$row:ident| [$($cell:expr),+ $(,)?]) => {
        for chunk in $rows.chunks($crate::store::postgres::pending::ROWS) {
            let query = ask($sql);
            $(let query = query.bind(chunk.iter().map(|$row| $cell).collect::<Vec<_>>());)+
            query.execute(&mut *$db).await?;
        }
    };
}

pub(super) use in_chunks;

/// What is put, and the keys of what goes.
fn part<K, V>(map: BTreeMap<K, Option<V>>) -> (Vec<(K, V)>, Vec<K>) {
    let (mut puts, mut drops) = (Vec::new(), Vec::new());
    for (key, value) in map {
        match value {
            Some(value) => puts.push((key, value)),
            None => drops.push(key),
        }
    }
    (puts, drops)
}

async fn drop_rows(db: &mut PgConnection, table: &str, ids: &[RequestId]) -> Done {
    let sql = format!("DELETE FROM {table} WHERE id = ANY($1)");
    in_chunks!(db, ids, sql.as_str(), |id| [id.as_str()]);
    Ok(())
}

async fn put_artifacts(db: &mut PgConnection, artifacts: BTreeMap<Digest, Arc<Artifact>>) -> Done {
    let rows: Vec<(Digest, (String, i64))> = artifacts
        .into_iter()
        .map(|(digest, artifact)| {
            let sealed = seal("artifact", &digest.hex(), &artifact.files);
            (digest, sealed)
        })
        .collect();
    let sql = "INSERT INTO artifact SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[])
        ON CONFLICT DO NOTHING";
    in_chunks!(db, rows, sql, |row| [row.0.bytes().to_vec(), row.1.0.as_str(), row.1.1]);
    Ok(())
}

async fn put_desired(
    db: &mut PgConnection,
    rows: BTreeMap<RequestId, Option<Box<DesiredRow>>>,
) -> Done {
    let (puts, drops) = part(rows);
    drop_rows(db, "desired", &drops).await?;
    let cells: Vec<_> = puts.iter().map(|(_, row)| DesiredCells::new(row)).collect();
    let sql = "INSERT INTO desired SELECT * FROM unnest($1::text[], $2::text[], $3::text[],
            $4::bytea[], $5::bytea[], $6::bytea[], $7::text[], $8::boolean[], $9::text[],
            $10::bigint[], $11::text[], $12::bigint[], $13::bytea[])
        ON CONFLICT (id) DO UPDATE SET source = excluded.source, path = excluded.path,
            blob = excluded.blob, key = excluded.key, fingerprint = excluded.fingerprint,
            refs = excluded.refs, valid = excluded.valid, template = excluded.template,
            sum = excluded.sum, body = excluded.body, body_sum = excluded.body_sum,
            artifacts = excluded.artifacts";
    in_chunks!(db, cells, sql, |cell| [
        cell.row.desired.id.as_str(),
        cell.row.desired.origin.source.as_str(),
        &*cell.row.desired.origin.path,
        cell.row.blob.0.to_vec(),
        cell.row.key.bytes().to_vec(),
        cell.row.fingerprint.bytes().to_vec(),
        cell.references.as_deref(),
        cell.row.desired.spec().is_some(),
        cell.template.as_deref(),
        cell.sum,
        cell.document.0.as_str(),
        cell.document.1,
        cell.artifacts.as_slice(),
    ]);
    Ok(())
}

async fn put_records(
    db: &mut PgConnection,
    rows: BTreeMap<RequestId, Option<Box<Record>>>,
) -> Done {
    let (puts, drops) = part(rows);
    drop_rows(db, "record", &drops).await?;
    let cells: Vec<_> = puts.iter().map(|(_, record)| RecordCells::new(record)).collect();
    let sql = "INSERT INTO record SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[],
            $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[],
            $10::bytea[])
        ON CONFLICT (id) DO UPDATE SET settled = excluded.settled, source = excluded.source,
            refs = excluded.refs, checked = excluded.checked, ends = excluded.ends,
            sum = excluded.sum, body = excluded.body, body_sum = excluded.body_sum,
            artifacts = excluded.artifacts";
    in_chunks!(db, cells, sql, |cell| [
        cell.record.id.as_str(),
        cell.settled(),
        cell.record.origin.source.as_str(),
        cell.references.as_deref(),
        cell.checked,
        cell.ends,
        cell.sum,
        cell.document.0.as_str(),
        cell.document.1,
        cell.artifacts.as_slice(),
    ]);
    Ok(())
}

async fn put_retries(db: &mut PgConnection, rows: BTreeMap<TargetKey, Option<Retry>>) -> Done {
    let (puts, drops) = part(rows);
    let sql = "DELETE FROM retry WHERE (request, component) IN
        (SELECT * FROM unnest($1::text[], $2::text[]))";
    in_chunks!(db, drops, sql, |key| [key.request.as_str(), key.component.as_str()]);
    let rows: Vec<_> = puts
        .into_iter()
        .map(|(key, retry)| (seal("retry", &key.to_string(), &retry), key))
        .collect();
    let sql = "INSERT INTO retry
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        ON CONFLICT (request, component) DO UPDATE SET body = excluded.body, sum = excluded.sum";
    in_chunks!(db, rows, sql, |row| [
        row.1.request.as_str(),
        row.1.component.as_str(),
        row.0.0.as_str(),
        row.0.1,
    ]);
    Ok(())
}

async fn put_holds(db: &mut PgConnection, holds: BTreeMap<RequestId, Vec<HeldRow>>) -> Done {
    if holds.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = holds.keys().cloned().collect();
    ask("DELETE FROM hold WHERE request = ANY($1)").bind(texts(&ids)).execute(&mut *db).await?;
    let rows: Vec<_> = holds
        .iter()
        .flat_map(|(request, holds)| {
            holds
                .iter()
                .zip(0_i64..)
                .map(move |(row, n)| (request, n, seal("hold", request.as_str(), row)))
        })
        .collect();
    let sql = "INSERT INTO hold
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])";
    in_chunks!(db, rows, sql, |row| [row.0.as_str(), row.1, row.2.0.as_str(), row.2.1]);
    Ok(())
}

async fn put_values(db: &mut PgConnection, values: BTreeMap<String, Option<Value>>) -> Done {
    let (puts, drops) = part(values);
    in_chunks!(db, drops, "DELETE FROM value WHERE key = ANY($1)", |key| [key.as_str()]);
    let rows: Vec<_> =
        puts.into_iter().map(|(key, value)| (seal("value", &key, &value), key)).collect();
    let sql = "INSERT INTO value SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
        ON CONFLICT (key) DO UPDATE SET body = excluded.body, sum = excluded.sum";
    in_chunks!(db, rows, sql, |row| [row.1.as_str(), row.0.0.as_str(), row.0.1]);
    Ok(())
}

/// A row stays for as long as its file is published, so that the file is not forgotten.
async fn put_statuses(db: &mut PgConnection, statuses: BTreeMap<RequestId, Status>) -> Done {
    let (mut puts, mut drops, mut published) = (Vec::new(), Vec::new(), Vec::new());
    let mut gone = Vec::new();
    for (request, status) in statuses {
        match status.document {
            Some(Some(row)) => {
                let sealed =
                    seal("status", request.as_str(), &(&row.document, &row.digest, &row.artifacts));
                let artifacts = pack(row.artifacts.iter().map(|(_, digest)| digest));
                puts.push((request.clone(), row.digest, sealed, artifacts));
            }
            Some(None) => {
                drops.push(request.clone());
                gone.push(request.clone());
            }
            None => gone.push(request.clone()),
        }
        if let Some(digest) = status.published {
            published.push((request, digest));
        }
    }
    let sql = "INSERT INTO status (id, digest, body, body_sum, artifacts)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bytea[])
        ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, body = excluded.body,
            body_sum = excluded.body_sum, artifacts = excluded.artifacts";
    in_chunks!(db, puts, sql, |row| [
        row.0.as_str(),
        row.1.bytes().to_vec(),
        row.2.0.as_str(),
        row.2.1,
        row.3.as_slice(),
    ]);
    let sql = "UPDATE status SET digest = NULL, body = NULL, body_sum = NULL, artifacts = ''
        WHERE id = ANY($1)";
    in_chunks!(db, drops, sql, |id| [id.as_str()]);
    let sql = "UPDATE status SET published = new.published
        FROM unnest($1::text[], $2::bytea[]) AS new (id, published) WHERE status.id = new.id";
    in_chunks!(db, published, sql, |row| [
        row.0.as_str(),
        row.1.as_ref().map(|digest| digest.bytes().to_vec()),
    ]);
    let sql = "DELETE FROM status
        WHERE id = ANY($1) AND digest IS NULL AND published IS NULL";
    in_chunks!(db, gone, sql, |id| [id.as_str()]);
    Ok(())
}

/// The request is a column of its own, so that history follows a move without being written anew. A
/// line with a key that is there already is the same line told again.
async fn put_events(db: &mut PgConnection, events: Vec<(Event, Option<Digest>)>) -> Done {
    let rows: Vec<_> = events
        .into_iter()
        .map(|(mut event, key)| {
            let request = event.request.take();
            (request, seal("event", "", &event), key)
        })
        .collect();
    // In their order: a line's number is where it stands.
    let sql = "INSERT INTO event (request, body, sum, key)
        SELECT request, body, sum, key FROM
            unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) WITH ORDINALITY
            AS new (request, body, sum, key, at) ORDER BY at
        ON CONFLICT DO NOTHING";
    in_chunks!(db, rows, sql, |row| [
        row.0.as_ref().map(RequestId::as_str),
        row.1.0.as_str(),
        row.1.1,
        row.2.as_ref().map(|key| key.bytes().to_vec()),
    ]);
    Ok(())
}

/// Keeps the newest lines of requests' own history, and of what happened to their parts.
pub(super) async fn trim(
    db: &mut PgConnection,
    requests: &BTreeSet<RequestId>,
    own: i64,
    parts: i64,
) -> Done {
    if requests.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = requests.iter().map(RequestId::as_str).collect();
    for (kind, keep) in super::write::KINDS.iter().zip([own, parts]) {
        let sql = format!(
            "DELETE FROM event USING (SELECT of.request, last.n FROM unnest($1::text[]) AS of (request),
                LATERAL (SELECT n FROM event WHERE request = of.request AND {kind}
                    ORDER BY n DESC OFFSET $2 LIMIT 1) AS last) AS old
            WHERE event.request = old.request AND event.n <= old.n AND {kind}"
        );
        ask(sql).bind(&ids).bind(keep).execute(&mut *db).await?;
    }
    Ok(())
}
