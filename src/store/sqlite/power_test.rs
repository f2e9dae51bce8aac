//! F70: a power cut. What a sync had promised is on the disk; of what was written since, any sectors
//! are, in any order, the last of them perhaps in part.
//!
//! Without a file system of our own under SQLite this is played on copies of its files: as they were
//! when a commit returned, with some of the sectors that the next one changed.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::store::contract::{lease, wait};
use crate::store::sample::*;

/// The least that a disk writes at once.
const SECTOR: usize = 512;

/// Both files as they are now.
struct Disk {
    db: Vec<u8>,
    wal: Vec<u8>,
}

impl Disk {
    fn of(path: &Path) -> Self {
        let read = |suffix| fs::read(place::beside(path, suffix)).unwrap_or_default();
        Self { db: read(""), wal: read("-wal") }
    }

    /// What is on the disk when the power goes between this one and `next`.
    fn cut(&self, next: &Self, mut keep: impl FnMut(usize) -> bool, short: usize) -> Self {
        let mut cut = |synced: &[u8], written: &[u8]| {
            assert!(written.len() >= synced.len(), "nothing is made shorter");
            let mut out = synced.to_vec();
            for (n, sector) in written.chunks(SECTOR).enumerate() {
                let (from, to) = (n * SECTOR, n * SECTOR + sector.len());
                if synced.get(from..to) == Some(sector) || !keep(n) {
                    continue;
                }
                out.resize(out.len().max(to), 0);
                out[from..to].copy_from_slice(sector);
            }
            out.truncate(out.len().saturating_sub(short).max(synced.len()));
            out
        };
        Self { db: cut(&self.db, &next.db), wal: cut(&self.wal, &next.wal) }
    }

    /// What a store that starts on it has, having read all of it as after a restart of the machine.
    fn read(&self, path: &Path) -> Index {
        for suffix in ["", "-wal", "-shm", open::SUSPECT] {
            let _ = fs::remove_file(place::beside(path, suffix));
        }
        fs::write(path, &self.db).unwrap();
        fs::write(place::beside(path, "-wal"), &self.wal).unwrap();
        let options = Options { check: true, ..Options::default() };
        let store = Sqlite::open_with(path, options).unwrap();
        wait(async {
            let index = store.index().await.unwrap();
            let wanted: BTreeSet<_> = index.journal.iter().filter_map(|row| row.artifact).collect();
            let wanted: Vec<_> = wanted.into_iter().collect();
            let found = store.artifacts(&wanted).await.unwrap();
            assert_eq!(found.len(), wanted.len(), "an intent without its artifact");
            store.note(vec![]).await.unwrap();
            index
        })
    }
}

/// The same numbers at each run.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Commits of an intent each, and the file's log begun anew in the middle: the files and the contents
/// after each.
fn story(path: &Path) -> Vec<(Disk, Index)> {
    let store = Sqlite::open(path).unwrap();
    let pragma = |name: &str| -> i64 {
        lock(&store.0.writer).pragma_query_value(None, name, |row| row.get(0)).unwrap()
    };
    // A commit returns when its log is synced: this is what the disks below take for granted.
    assert_eq!((pragma("synchronous"), pragma("fullfsync") >= 0), (2, true));
    let held = wait(lease(&store));
    let now = || (Disk::of(path), wait(store.index()).unwrap());
    let mut told = vec![now()];
    for n in 0..7 {
        if n == 4 {
            let sql = "PRAGMA wal_checkpoint(RESTART)";
            let busy: i64 = lock(&store.0.writer).query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0);
            told.push(now());
        }
        let (name, text) = (format!("r{n}"), format!("text of {n}").repeat(1 + n * 300));
        let writes = vec![
            Write::Intent(intent(&name, &text, 0)),
            Write::Desired(desired(&name, &text, None)),
        ];
        wait(store.commit(&held, writes)).unwrap();
        told.push(now());
    }
    told
}

#[test]
fn f70_a_power_cut_takes_no_intent_that_was_durable_and_leaves_none_half_made() {
    let folder = tempfile::tempdir().unwrap();
    let told = story(&folder.path().join("vend.db"));
    assert_eq!(told.last().unwrap().1.journal.len(), 7);
    let torn = folder.path().join("torn.db");
    let mut random = numbers();
    let (mut before, mut after) = (0, 0);
    for (k, pair) in told.windows(2).enumerate() {
        let [(synced, old), (written, new)] = pair else { unreachable!("windows of two") };
        assert_eq!(synced.cut(written, |_| false, 0).read(&torn), *old, "step {k}: nothing");
        assert_eq!(synced.cut(written, |_| true, 0).read(&torn), *new, "step {k}: all");
        let mut check = |disk: Disk, how: &str| {
            let index = disk.read(&torn);
            assert!(index == *old || index == *new, "step {k}, {how}: neither before nor after");
            if index == *new { after += 1 } else { before += 1 }
        };
        // Up to some byte; without some sectors; any of them.
        for short in [1, 23, 24, 25, 511, 4_000, 8_192, 8_216, 9_000, 20_000] {
            check(synced.cut(written, |_| true, short), &format!("{short} bytes short"));
        }
        for lost in [0, 1, 2, 17] {
            check(synced.cut(written, |n| n != lost, 0), &format!("without sector {lost}"));
        }
        for round in 0..6 {
            let odds = [2, 2, 8, 8, 50, 50][round];
            check(
                synced.cut(written, |_| !random().is_multiple_of(odds), 0),
                &format!("round {round}"),
            );
        }
    }
    assert!(before > 50 && after > 10, "{before} before, {after} after");
}
