//! Loads the index: plain columns only, texts that repeat kept once.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row};

use super::codec::{Sum, damaged, digest, nanoseconds, request, split, text, timestamp, unseal};
use super::read;
use crate::digest::Digest;
use crate::model::{Approval, ObjectId, SourceName, SourceRecord, Sources, TemplateId};
use crate::store::{DesiredEntry, Frames, HeldRow, Index, RecordEntry, StoreError};

/// Everything, in the read transaction that the caller has begun.
pub(super) fn load(db: &Connection) -> Result<Index, StoreError> {
    let mut words = Words::default();
    let desired = desired(db, &mut words)?;
    let records = records(db, &mut words, &desired)?;
    Ok(Index { desired, records, ..standing(db)? })
}

/// Everything but the lists of all requests.
pub(super) fn standing(db: &Connection) -> Result<Index, StoreError> {
    let (stamp, notes) = read::counters(db)?;
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
        stamp,
    })
}

/// Texts that many rows share.
#[derive(Default)]
struct Words {
    sources: Known<SourceName>,
    templates: Known<Arc<TemplateId>>,
    frames: Frames,
}

/// Values by their text. Most rows have what the row before had, which needs no hashing.
struct Known<T> {
    last: Option<(String, T)>,
    all: HashMap<String, T>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { last: None, all: HashMap::new() }
    }
}

impl<T: Clone> Known<T> {
    fn get(
        &mut self,
        text: &str,
        make: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some((_, value)) = self.last.as_ref().filter(|(last, _)| last == text) {
            return Ok(value.clone());
        }
        let value = match self.all.get(text) {
            Some(value) => value.clone(),
            None => {
                let value = make()?;
                self.all.insert(text.to_owned(), value.clone());
                value
            }
        };
        self.last = Some((text.to_owned(), value.clone()));
        Ok(value)
    }
}

impl Words {
    fn source(&mut self, text: &str) -> Result<SourceName, StoreError> {
        self.sources.get(text, || Ok(SourceName::new(text)))
    }

    fn template(&mut self, text: &str) -> Result<Arc<TemplateId>, StoreError> {
        self.templates.get(text, || {
            let (name, version) = text.rsplit_once('@').ok_or_else(|| damaged("template", text))?;
            let version = version.parse().map_err(|_| damaged("template", text))?;
            Ok(Arc::new(TemplateId { name: name.to_owned(), version }))
        })
    }
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
    let source = text(row.get_ref(1)?, "source")?;
    let path = text(row.get_ref(2)?, "path")?;
    let blob: [u8; 20] =
        row.get_ref(3)?.as_blob().ok().and_then(|b| b.try_into().ok()).ok_or_else(wrong)?;
    let key = digest(row.get_ref(4)?.as_blob().map_err(|_| wrong())?, "desired row", id)?;
    let fingerprint = digest(row.get_ref(5)?.as_blob().map_err(|_| wrong())?, "desired row", id)?;
    let references = row.get_ref(6)?.as_str_or_null().map_err(|_| wrong())?;
    let valid = row.get_ref(7)?.as_i64().map_err(|_| wrong())?;
    let template = row.get_ref(8)?.as_str_or_null().map_err(|_| wrong())?;
    let sum = Sum::new("desired row")
        .text(id)
        .text(source)
        .text(path)
        .bytes(&blob)
        .bytes(key.bytes())
        .bytes(fingerprint.bytes())
        .option(references.map(str::as_bytes))
        .word(valid.cast_unsigned())
        .option(template.map(str::as_bytes))
        .finish();
    if row.get_ref(9)?.as_i64().map_err(|_| wrong())? != sum {
        return Err(wrong());
    }
    let id = request(id)?;
    let source = words.source(source)?;
    let spot = words.frames.pack(&id, &source, path);
    Ok(DesiredEntry {
        id,
        spot,
        blob: ObjectId(blob),
        key,
        fingerprint,
        references: split(references)?,
        valid: valid != 0,
        template: template.map(|text| words.template(text)).transpose()?,
    })
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
    let settled = row.get_ref(1)?.as_blob_or_null().map_err(|_| wrong())?;
    let source = text(row.get_ref(2)?, "source")?;
    let references = row.get_ref(3)?.as_str_or_null().map_err(|_| wrong())?;
    let checked = row.get_ref(4)?.as_i64_or_null().map_err(|_| wrong())?;
    let ends = row.get_ref(6)?.as_i64_or_null().map_err(|_| wrong())?;
    let sum = Sum::new("record row")
        .text(id)
        .option(settled)
        .text(source)
        .option(references.map(str::as_bytes))
        .option(checked.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]))
        .later(ends.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]))
        .finish();
    if row.get_ref(5)?.as_i64().map_err(|_| wrong())? != sum {
        return Err(wrong());
    }
    Ok(RecordEntry {
        id: twin.map_or_else(|| request(id), |twin| Ok(twin.id.clone()))?,
        settled: settled.map(|bytes| digest(bytes, "record row", id)).transpose()?,
        source: words.source(source)?,
        references: split(references)?,
        checked: checked.map(timestamp),
        ends: ends.map(timestamp),
    })
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
