//! Removes what nothing needs any more, a little at a time.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::read::{all, count};
use super::write::run;
use crate::store::codec::damaged;
use crate::store::{StoreError, Swept};

/// The columns that hold digests of artifacts in use, one after the other. Desired artifacts count:
/// a pass that finds its desired state unchanged must find the text as well.
const USES: [&str; 4] = [
    "SELECT artifacts FROM desired",
    "SELECT artifacts FROM record",
    "SELECT artifacts FROM status",
    "SELECT artifact FROM journal WHERE artifact IS NOT NULL",
];

/// Looks for uses and removes in one write transaction, begun by the caller: nothing can come into
/// use in between.
pub(super) fn sweep(db: &Connection, limit: usize, keep: usize) -> Result<Swept, StoreError> {
    let unused = unused(db, limit)?;
    for n in &unused {
        run(db, "DELETE FROM artifact WHERE rowid = ?", [n])?;
    }
    let mut events = 0;
    // What happens to parts of targets is much, and must not push out what vend did.
    for lines in ["event WHERE key IS NULL", "event WHERE key IS NOT NULL", "attempt"] {
        let table = lines.split(' ').next().unwrap_or(lines);
        // The oldest go, as many as there are too many.
        let sql = format!(
            "DELETE FROM {table} WHERE n IN (SELECT n FROM {lines} ORDER BY n
                LIMIT min(?1, max(0, (SELECT count(*) FROM {lines}) - ?2)))"
        );
        events += db.prepare_cached(&sql)?.execute(params![count(limit), count(keep)])?;
    }
    let more = unused.len() == limit || events >= limit;
    Ok(Swept { artifacts: unused.len(), events, more: more && limit > 0 })
}

fn unused(db: &Connection, limit: usize) -> Result<Vec<i64>, StoreError> {
    let mut used: HashSet<[u8; 32]> = HashSet::new();
    for sql in USES {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let packed = row.get_ref(0)?.as_blob().map_err(|_| damaged("digests", sql))?;
            let (digests, rest) = packed.as_chunks();
            if !rest.is_empty() {
                return Err(damaged("digests", sql));
            }
            used.extend(digests);
        }
    }
    let mut statement = db.prepare_cached("SELECT rowid, digest FROM artifact")?;
    let mut rows = statement.query([])?;
    let mut unused = Vec::new();
    while unused.len() < limit
        && let Some(row) = rows.next()?
    {
        let digest: [u8; 32] = row.get(1)?;
        if !used.contains(&digest) {
            unused.push(row.get(0)?);
        }
    }
    Ok(unused)
}

/// What SQLite finds wrong with the file; empty when it is sound. Reads all of it.
pub(super) fn quick_check(db: &Connection) -> Result<(), StoreError> {
    let found = all(db, "PRAGMA quick_check(3)", [], |row| Ok(row.get::<_, String>(0)?))?;
    match found.as_slice() {
        [word] if word == "ok" => Ok(()),
        words => Err(StoreError::Corrupt { what: words.join("; ") }),
    }
}
