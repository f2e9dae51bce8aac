//! Loads the index: the small columns only, texts that repeat kept once.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::read::{self, Answer, all, ask};
use crate::digest::Digest;
use crate::model::{Approval, SourceName, SourceRecord, Sources};
use crate::store::codec::{digest, nanoseconds, unseal};
use crate::store::column::{DesiredColumns, RecordColumns, Words};
use crate::store::{DesiredEntry, HeldRow, Index, RecordEntry};

/// Everything, in the transaction that the caller has begun.
pub(super) async fn load(db: &mut PgConnection) -> Answer<Index> {
    let mut words = Words::default();
    let desired = desired(db, &mut words).await?;
    let records = records(db, &mut words, &desired).await?;
    Ok(Index { desired, records, ..standing(db).await? })
}

/// Everything but the lists of all requests.
pub(super) async fn standing(db: &mut PgConnection) -> Answer<Index> {
    let (basis, notes) = read::counters(db).await?;
    let templates = read::templates(db).await?;
    Ok(Index {
        desired: Vec::new(),
        records: Vec::new(),
        journal: read::journal(db, None).await?,
        retries: read::retries(db, None).await?,
        holds: holds(db).await?,
        sources: sources(db).await?,
        approvals: approvals(db).await?,
        templates: templates.into_iter().map(|row| (row.id, row.digest)).collect(),
        notes,
        basis,
    })
}

/// Many rows are read in pages: the driver keeps a whole answer in memory.
const PAGE: i64 = 10_000;

async fn desired(db: &mut PgConnection, words: &mut Words) -> Answer<Vec<DesiredEntry>> {
    let sql = "SELECT id, source, path, blob, key, fingerprint, refs, valid, template, sum
        FROM desired WHERE id > $1 ORDER BY id LIMIT $2";
    let mut list: Vec<DesiredEntry> = Vec::new();
    loop {
        let last = list.last().map_or(String::new(), |entry| entry.id.to_string());
        let page = all(db, ask(sql).bind(last).bind(PAGE), |row| desired_entry(row, words)).await?;
        let whole = page.len() < PAGE as usize;
        list.extend(page);
        if whole {
            list.shrink_to_fit();
            return Ok(list);
        }
    }
}

fn desired_entry(row: &PgRow, words: &mut Words) -> Answer<DesiredEntry> {
    let columns = DesiredColumns {
        id: row.try_get(0)?,
        source: row.try_get(1)?,
        path: row.try_get(2)?,
        blob: row.try_get(3)?,
        key: row.try_get(4)?,
        fingerprint: row.try_get(5)?,
        references: row.try_get(6)?,
        valid: row.try_get(7)?,
        template: row.try_get(8)?,
    };
    columns.entry(row.try_get(9)?, words)
}

/// Both lists are sorted: a record finds its desired state by walking along, and shares its texts.
async fn records(
    db: &mut PgConnection,
    words: &mut Words,
    desired: &[DesiredEntry],
) -> Answer<Vec<RecordEntry>> {
    let sql = "SELECT id, settled, source, refs, checked, ends, sum
        FROM record WHERE id > $1 ORDER BY id LIMIT $2";
    let mut list: Vec<RecordEntry> = Vec::new();
    let mut desired = desired.iter().peekable();
    loop {
        let last = list.last().map_or(String::new(), |entry| entry.id.to_string());
        let page = all(db, ask(sql).bind(last).bind(PAGE), |row| {
            let columns = record_columns(row)?;
            while desired.next_if(|entry| entry.id.as_str() < columns.id).is_some() {}
            let twin = desired.peek().filter(|entry| entry.id.as_str() == columns.id);
            columns.entry(row.try_get(6)?, words, twin.copied())
        })
        .await?;
        let whole = page.len() < PAGE as usize;
        list.extend(page);
        if whole {
            list.shrink_to_fit();
            return Ok(list);
        }
    }
}

fn record_columns(row: &PgRow) -> Answer<RecordColumns<'_>> {
    Ok(RecordColumns {
        id: row.try_get(0)?,
        settled: row.try_get(1)?,
        source: row.try_get(2)?,
        references: row.try_get(3)?,
        checked: row.try_get(4)?,
        ends: row.try_get(5)?,
    })
}

/// Those that end then or before. The rows are small, and few have an end: no index is kept up for them.
pub(super) async fn ending(db: &mut PgConnection, until: Timestamp) -> Answer<Vec<RecordEntry>> {
    let mut words = Words::default();
    let sql = "SELECT id, settled, source, refs, checked, ends, sum
        FROM record WHERE ends <= $1 ORDER BY ends, id";
    all(db, ask(sql).bind(nanoseconds(until)), |row| {
        record_columns(row)?.entry(row.try_get(6)?, &mut words, None)
    })
    .await
}

async fn holds(db: &mut PgConnection) -> Answer<Vec<HeldRow>> {
    all(db, ask("SELECT request, body, sum FROM hold ORDER BY request, n"), |row| {
        unseal("hold", row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)
    })
    .await
}

async fn sources(db: &mut PgConnection) -> Answer<Sources> {
    let list = all(db, ask("SELECT name, body, sum FROM source"), |row| {
        let (name, body, sum): (String, String, i64) = sqlx::FromRow::from_row(row)?;
        let record: SourceRecord = unseal("source", &name, &body, sum)?;
        Ok((SourceName::new(name), record))
    })
    .await?;
    Ok(list.into_iter().collect())
}

async fn approvals(db: &mut PgConnection) -> Answer<Vec<Approval>> {
    let sql = "SELECT digest, body, sum FROM approval ORDER BY digest, person";
    all(db, ask(sql), |row| {
        let digest: Digest = digest(row.try_get(0)?, "approval", "")?;
        unseal("approval", &digest.hex(), row.try_get(1)?, row.try_get(2)?)
    })
    .await
}
