//! The lease in its row: one holder, and the epoch that fences the others.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::write::run;
use crate::store::codec::{damaged, nanoseconds, timestamp};
use crate::store::lease::{Held, end};
use crate::store::{Acquired, Holder, Lease, StoreError, rule};

fn held(db: &Connection) -> Result<Held, StoreError> {
    let sql = "SELECT epoch, holder, until FROM lease";
    let (epoch, holder, until): (i64, Option<String>, Option<i64>) =
        db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let by = match holder.zip(until) {
        Some((holder, until)) => {
            let holder = serde_json::from_str(&holder).map_err(|_| damaged("lease", ""))?;
            Some((holder, timestamp(until)))
        }
        None => None,
    };
    Ok(Held { epoch: epoch.cast_unsigned(), by })
}

/// Refuses a lease that is not current.
pub(super) fn check(db: &Connection, epoch: u64) -> Result<(), StoreError> {
    rule::check(&held(db)?, epoch)
}

/// Takes the lease if nobody has it, its time is over, or its holder is dead.
pub(super) fn acquire(
    db: &Connection,
    wanted: &Holder,
    now: Timestamp,
    ttl: SignedDuration,
) -> Result<Acquired, StoreError> {
    let held = held(db)?;
    let epoch = held.epoch + 1;
    if !rule::is_free(&held, now)
        && let Some((holder, until)) = held.by
    {
        return Ok(Acquired::Busy { holder, until });
    }
    let until = end(now, ttl);
    let holder = serde_json::to_string(wanted).expect("a holder serialises");
    run(
        db,
        "UPDATE lease SET epoch = ?, holder = ?, until = ?",
        params![epoch.cast_signed(), holder, nanoseconds(until)],
    )?;
    Ok(Acquired::Held(Lease::new(epoch, wanted.clone(), until)))
}

pub(super) fn renew(
    db: &Connection,
    epoch: u64,
    now: Timestamp,
    ttl: SignedDuration,
) -> Result<Timestamp, StoreError> {
    check(db, epoch)?;
    let until = end(now, ttl);
    run(db, "UPDATE lease SET until = ?", [nanoseconds(until)])?;
    Ok(until)
}

pub(super) fn release(db: &Connection, epoch: u64) -> Result<(), StoreError> {
    let sql = "UPDATE lease SET holder = NULL, until = NULL WHERE epoch = ?";
    run(db, sql, [epoch.cast_signed()])
}
