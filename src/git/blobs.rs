//! Many blobs at once.
//!
//! In the order of a tree, delta bases fall out of libgit2's cache: 100,000 blobs take 4.5 s. In the
//! order in which they lie in their pack every base is at hand when its deltas come.

use std::collections::HashSet;
use std::path::Path;

use super::error::GitError;
use super::mirror::Mirror;
use super::read::{Blob, read_blob};
use crate::model::ObjectId;

/// From here on it pays to read the index of every pack.
const MANY: usize = 100;

/// Blobs read with one open repository before others get their turn.
const BATCH: usize = 1024;

impl Mirror {
    /// Reads blobs of at most `max` bytes each, in any order, each id once.
    ///
    /// # Errors
    /// `Corrupt` when one is not there or is not what its id says; some may have been given by then.
    pub fn blobs(
        &self,
        ids: &[ObjectId],
        max: u64,
        each: &mut dyn FnMut(ObjectId, Blob),
    ) -> Result<(), GitError> {
        let mut seen = HashSet::with_capacity(ids.len());
        let mut ids: Vec<ObjectId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        if ids.len() >= MANY {
            sort_as_packed(&self.inner.folder.join("objects/pack"), &mut ids);
        }
        for batch in ids.chunks(BATCH) {
            // Collected first: a batch that has to be read again is given once.
            let read = self.with(|repository| {
                batch
                    .iter()
                    .map(|id| read_blob(repository, *id, max))
                    .collect::<Result<Vec<_>, _>>()
            })?;
            for (id, blob) in batch.iter().zip(read) {
                each(*id, blob);
            }
        }
        Ok(())
    }
}

/// Sorts ids by pack and offset; those in no pack come last. Only the order depends on it: an index
/// that cannot be read costs time, nothing else.
fn sort_as_packed(folder: &Path, ids: &mut [ObjectId]) {
    let packs: Vec<Index> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "idx"))
        .filter_map(|entry| Index::read(&entry.path()))
        .collect();
    ids.sort_by_cached_key(|id| {
        let mut places = packs.iter().enumerate();
        places.find_map(|(n, pack)| Some((n, pack.offset(id)?))).unwrap_or((usize::MAX, 0))
    });
}

/// A pack's index, version 2 (gitformat-pack(5)): 8 bytes of header, 256 counts, the sorted ids,
/// their checksums, their offsets (or, with the highest bit set, the places of longer ones).
struct Index {
    bytes: Vec<u8>,
    count: usize,
}

const HEADER: usize = 8;
const IDS: usize = HEADER + 256 * 4;

impl Index {
    fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        if bytes.get(..HEADER)? != [0xff, b't', b'O', b'c', 0, 0, 0, 2] {
            return None;
        }
        let mut index = Self { bytes, count: 0 };
        index.count = index.word(IDS - 4)? as usize;
        (index.bytes.len() >= IDS + index.count * 28).then_some(index)
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    fn offset(&self, id: &ObjectId) -> Option<u32> {
        let first = usize::from(id.0[0]);
        let from = if first == 0 { 0 } else { self.word(HEADER + 4 * (first - 1))? as usize };
        let to = self.word(HEADER + 4 * first)? as usize;
        let ids = self.bytes.get(IDS + 20 * from..IDS + 20 * to)?;
        let (ids, _) = ids.as_chunks::<20>();
        let n = from + ids.binary_search(&id.0).ok()?;
        // Longer offsets than 2 GiB sort last and among themselves by their own order.
        self.word(IDS + self.count * 24 + 4 * n)
    }
}
