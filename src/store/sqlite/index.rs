//! Loads the index: plain columns only, texts that repeat kept once.

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::read;
use crate::digest::Digest;
use crate::model::{Approval, SourceName, SourceRecord, Sources};
use crate::store::codec::{damaged, digest, nanoseconds, unseal};
use crate::store::column::{DesiredColumns, RecordColumns, Words};
use crate::store::{DesiredEntry, HeldRow, Index, RecordEntry, StoreError};

/// Everything, in the read transaction that the caller has begun.
pub(super) fn load(db: &Connection) -> Result<Index, StoreError> {
    let mut words = Words::default();
    let desired = desired(db, &mut words)?;
    let records = records(db, &mut words, &desired)?;
    Ok(Index { desired, records, ..standing(db)? })
}

/// Everything but the lists of all requests.
pub(super) fn standing(db: &Connection) -> Result<Index, StoreError> {
    let (basis, notes) = read::counters(db)?;
    Ok(Index {
        desired: Vec::new(),
        records: Vec::new(),
        journal: read::journal(db, None)?,
        retries: read::retries(db, None)?,
        holds: holds(db)?,
        sources: sources(db)?,
        approvals: approvals(db)?,
        templates: read::templates(db)?.into_iter().map(|row| (row.id, row.digest)).collect(),
        notes,
        basis,
    })
}

/// About how many requests there are, to make room at once: counting them would read everything.
fn about(db: &Connection) -> Result<usize, StoreError> {
    // A request has three documents: desired, record, status.
    let documents: i64 =
        db.query_row("SELECT coalesce(max(n), 0) FROM document", [], |row| row.get(0))?;
    // Where many have come and gone, the numbers are higher than the count.
    Ok(usize::try_from(documents / 3 + 16).unwrap_or_default().min(200_000))
}

fn desired(db: &Connection, words: &mut Words) -> Result<Vec<DesiredEntry>, StoreError> {
    let mut list = Vec::with_capacity(about(db)?);
    let sql = "SELECT id, source, path, blob, key, fingerprint, refs, valid, template, sum
        FROM desired ORDER BY id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        list.push(desired_entry(row, words)?);
    }
    list.shrink_to_fit();
    Ok(list)
}

fn desired_entry(row: &Row<'_>, words: &mut Words) -> Result<DesiredEntry, StoreError> {
    let id = text(row.get_ref(0)?, "request")?;
    let wrong = || damaged("desired row", id);
    let blob = |n: usize| row.get_ref(n)?.as_blob().map_err(|_| wrong());
    let or_null = |n: usize| row.get_ref(n)?.as_str_or_null().map_err(|_| wrong());
    let number = |n: usize| row.get_ref(n)?.as_i64().map_err(|_| wrong());
    let columns = DesiredColumns {
        id,
        source: text(row.get_ref(1)?, "source")?,
        path: text(row.get_ref(2)?, "path")?,
        blob: blob(3)?,
        key: blob(4)?,
        fingerprint: blob(5)?,
        references: or_null(6)?,
        valid: match number(7)? {
            0 => false,
            1 => true,
            _ => return Err(wrong()),
        },
        template: or_null(8)?,
    };
    columns.entry(number(9)?, words)
}

/// Both lists are sorted: a record finds its desired state by walking along, and shares its texts.
fn records(
    db: &Connection,
    words: &mut Words,
    desired: &[DesiredEntry],
) -> Result<Vec<RecordEntry>, StoreError> {
    let mut list = Vec::with_capacity(desired.len());
    let mut desired = desired.iter().peekable();
    let sql = "SELECT id, settled, source, refs, checked, sum, ends FROM record ORDER BY id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = text(row.get_ref(0)?, "request")?;
        while desired.next_if(|entry| entry.id.as_str() < id).is_some() {}
        let twin = desired.peek().filter(|entry| entry.id.as_str() == id);
        list.push(record_entry(row, id, words, twin.copied())?);
    }
    list.shrink_to_fit();
    Ok(list)
}

/// Those that end then or before. The rows are small, and few have an end: no index is kept up for them.
pub(super) fn ending(db: &Connection, until: Timestamp) -> Result<Vec<RecordEntry>, StoreError> {
    let mut words = Words::default();
    let mut list = Vec::new();
    let sql = "SELECT id, settled, source, refs, checked, sum, ends FROM record WHERE ends <= ?1 \
               ORDER BY ends, id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([nanoseconds(until)])?;
    while let Some(row) = rows.next()? {
        let id = text(row.get_ref(0)?, "request")?;
        list.push(record_entry(row, id, &mut words, None)?);
    }
    Ok(list)
}

fn record_entry(
    row: &Row<'_>,
    id: &str,
    words: &mut Words,
    twin: Option<&DesiredEntry>,
) -> Result<RecordEntry, StoreError> {
    let wrong = || damaged("record row", id);
    let columns = RecordColumns {
        id,
        settled: row.get_ref(1)?.as_blob_or_null().map_err(|_| wrong())?,
        source: text(row.get_ref(2)?, "source")?,
        references: row.get_ref(3)?.as_str_or_null().map_err(|_| wrong())?,
        checked: row.get_ref(4)?.as_i64_or_null().map_err(|_| wrong())?,
        ends: row.get_ref(6)?.as_i64_or_null().map_err(|_| wrong())?,
    };
    columns.entry(row.get_ref(5)?.as_i64().map_err(|_| wrong())?, words, twin)
}

/// A column that holds text.
fn text<'a>(value: ValueRef<'a>, kind: &str) -> Result<&'a str, StoreError> {
    value.as_str().map_err(|_| StoreError::Corrupt { what: format!("a {kind}") })
}

fn holds(db: &Connection) -> Result<Vec<HeldRow>, StoreError> {
    let sql = "SELECT request, body, sum FROM hold ORDER BY request, n";
    read::all(db, sql, [], |row| {
        let request: String = row.get(0)?;
        unseal("hold", &request, &row.get::<_, String>(1)?, row.get(2)?)
    })
}

fn sources(db: &Connection) -> Result<Sources, StoreError> {
    let list = read::all(db, "SELECT name, body, sum FROM source", [], |row| {
        let name: String = row.get(0)?;
        let record: SourceRecord = unseal("source", &name, &row.get::<_, String>(1)?, row.get(2)?)?;
        Ok((SourceName::new(name), record))
    })?;
    Ok(list.into_iter().collect())
}

fn approvals(db: &Connection) -> Result<Vec<Approval>, StoreError> {
    let sql = "SELECT digest, body, sum FROM approval ORDER BY digest, person";
    read::all(db, sql, [], |row| {
        let digest: Digest = digest(&row.get::<_, Vec<u8>>(0)?, "approval", "")?;
        unseal("approval", &digest.hex(), &row.get::<_, String>(1)?, row.get(2)?)
    })
}
