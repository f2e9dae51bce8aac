//! The columns of a desired state and of a record that lie beside their documents, in every store alike:
//! what an index is loaded from, with a sum over them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::codec::{
    Sum, damaged, digest, join, nanoseconds, pack, request, seal, split, timestamp,
};
use super::{DesiredEntry, DesiredRow, Frames, RecordEntry, StoreError};
use crate::digest::Digest;
use crate::model::{ObjectId, Record, SourceName, TemplateId};

/// The columns of a desired state as they are read.
pub(super) struct DesiredColumns<'a> {
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    pub(super) path: &'a str,
    pub(super) blob: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) fingerprint: &'a [u8],
    /// Ids, apart by spaces.
    pub(super) references: Option<&'a str>,
    pub(super) valid: bool,
    /// `name@version`.
    pub(super) template: Option<&'a str>,
}

impl DesiredColumns<'_> {
    fn sum(&self) -> i64 {
        Sum::new("desired row")
            .text(self.id)
            .text(self.source)
            .text(self.path)
            .bytes(self.blob)
            .bytes(self.key)
            .bytes(self.fingerprint)
            .option(self.references.map(str::as_bytes))
            .word(self.valid.into())
            .option(self.template.map(str::as_bytes))
            .finish()
    }

    /// The entry, if the columns are what was written with `sum`.
    pub(super) fn entry(&self, sum: i64, words: &mut Words) -> Result<DesiredEntry, StoreError> {
        let wrong = || damaged("desired row", self.id);
        if self.sum() != sum {
            return Err(wrong());
        }
        let id = request(self.id)?;
        let source = words.source(self.source)?;
        let spot = words.frames.pack(&id, &source, self.path);
        Ok(DesiredEntry {
            spot,
            blob: ObjectId(self.blob.try_into().map_err(|_| wrong())?),
            key: digest(self.key, "desired row", self.id)?,
            fingerprint: digest(self.fingerprint, "desired row", self.id)?,
            references: split(self.references)?,
            valid: self.valid,
            template: self.template.map(|text| words.template(text)).transpose()?,
            id,
        })
    }
}

/// A desired state as it is written: its columns, their sum, the document and the artifacts in use.
pub(super) struct DesiredCells<'a> {
    pub(super) row: &'a DesiredRow,
    pub(super) references: Option<String>,
    pub(super) template: Option<String>,
    pub(super) sum: i64,
    pub(super) document: (String, i64),
    pub(super) artifacts: Vec<u8>,
}

impl<'a> DesiredCells<'a> {
    pub(super) fn new(row: &'a DesiredRow) -> Self {
        let desired = &row.desired;
        let spec = desired.spec();
        let references: BTreeSet<_> =
            spec.iter().flat_map(|s| s.references.values()).map(|r| r.request.clone()).collect();
        let references = join(&references.into_iter().collect::<Vec<_>>());
        let template = desired.template().map(ToString::to_string);
        let sum = DesiredColumns {
            id: desired.id.as_str(),
            source: desired.origin.source.as_str(),
            path: &desired.origin.path,
            blob: &row.blob.0,
            key: row.key.bytes(),
            fingerprint: row.fingerprint.bytes(),
            references: references.as_deref(),
            valid: spec.is_some(),
            template: template.as_deref(),
        }
        .sum();
        Self {
            row,
            references,
            template,
            sum,
            document: seal("desired", desired.id.as_str(), desired),
            artifacts: pack(spec.iter().flat_map(|s| &s.components).map(|c| &c.digest)),
        }
    }
}

/// The columns of a record as they are read.
pub(super) struct RecordColumns<'a> {
    pub(super) id: &'a str,
    pub(super) settled: Option<&'a [u8]>,
    pub(super) source: &'a str,
    pub(super) references: Option<&'a str>,
    pub(super) checked: Option<i64>,
    pub(super) ends: Option<i64>,
}

impl RecordColumns<'_> {
    fn sum(&self) -> i64 {
        Sum::new("record row")
            .text(self.id)
            .option(self.settled)
            .text(self.source)
            .option(self.references.map(str::as_bytes))
            .option(self.checked.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]))
            .later(self.ends.map(i64::to_le_bytes).as_ref().map(|bytes| &bytes[..]))
            .finish()
    }

    /// The entry, if the columns are what was written with `sum`; it shares the texts of its desired
    /// state, where there is one.
    pub(super) fn entry(
        &self,
        sum: i64,
        words: &mut Words,
        twin: Option<&DesiredEntry>,
    ) -> Result<RecordEntry, StoreError> {
        if self.sum() != sum {
            return Err(damaged("record row", self.id));
        }
        Ok(RecordEntry {
            id: twin.map_or_else(|| request(self.id), |twin| Ok(twin.id.clone()))?,
            settled: self.settled.map(|bytes| digest(bytes, "record row", self.id)).transpose()?,
            source: words.source(self.source)?,
            references: split(self.references)?,
            checked: self.checked.map(timestamp),
            ends: self.ends.map(timestamp),
        })
    }
}

/// A record as it is written.
pub(super) struct RecordCells<'a> {
    pub(super) record: &'a Record,
    pub(super) references: Option<String>,
    /// The least of its components'; one that was never looked at comes first.
    pub(super) checked: Option<i64>,
    pub(super) ends: Option<i64>,
    pub(super) sum: i64,
    pub(super) document: (String, i64),
    pub(super) artifacts: Vec<u8>,
}

impl<'a> RecordCells<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        let references: BTreeSet<_> =
            record.references.values().map(|r| r.request.clone()).collect();
        let references = join(&references.into_iter().collect::<Vec<_>>());
        let components = &record.components;
        let checked = components.values().map(|c| c.checked).min().flatten().map(nanoseconds);
        let ends = record.life.as_ref().map(|life| nanoseconds(life.ends));
        let sum = RecordColumns {
            id: record.id.as_str(),
            settled: settled(record),
            source: record.origin.source.as_str(),
            references: references.as_deref(),
            checked,
            ends,
        }
        .sum();
        Self {
            record,
            references,
            checked,
            ends,
            sum,
            document: seal("record", record.id.as_str(), record),
            artifacts: pack(components.values().map(|c| &c.digest)),
        }
    }

    pub(super) fn settled(&self) -> Option<&'a [u8]> {
        settled(self.record)
    }
}

fn settled(record: &Record) -> Option<&[u8]> {
    record.settled.as_ref().map(Digest::bytes).map(|bytes| &bytes[..])
}

/// Texts that many rows share.
#[derive(Default)]
pub(super) struct Words {
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
