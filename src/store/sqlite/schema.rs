//! The tables, and how an older file becomes one of today.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::place::{APPLICATION, beside, broken, sync_folder};
use crate::fault::point;
use crate::store::StoreError;

/// Step `n` makes schema version `n` of version `n - 1`. A step that was released never changes.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema-1.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
];

/// The schema version of this binary.
pub(super) fn known(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).expect("few versions")
}

/// The schema version of an open file.
fn version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings a store up to date in one transaction, a copy of the old file made first; killed at any
/// instant, it begins again. The copy stays, as `<file>.v<version>`.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    steps: &[&str],
) -> Result<(), StoreError> {
    let known = known(steps);
    let found = version(connection)?;
    if found == known {
        return Ok(());
    }
    if found > 0 && found < known {
        copy(connection, path, found)?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been here since.
    let from = version(&transaction)?;
    if from > known {
        return Err(StoreError::Newer { found: from, known });
    }
    for step in &steps[from as usize..] {
        transaction.execute_batch(step)?;
    }
    if from == 0 {
        begin(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    point!("store.migrate.before")?;
    transaction.commit()?;
    Ok(point!("store.migrate.after")?)
}

/// What a new store starts with.
fn begin(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    let exists = transaction.query_row("SELECT 1 FROM state", [], |_| Ok(())).optional()?;
    if exists.is_none() {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| StoreError::Broken(error.into()))?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        transaction.execute(
            "INSERT INTO state (one, instance, boot, stamp, notes) VALUES (1, ?, '', 0, 0)",
            [format!("i-{id}")],
        )?;
        transaction.execute("INSERT INTO lease (one, epoch) VALUES (1, 0)", [])?;
    }
    Ok(())
}

/// A whole and durable copy under its final name, or none.
fn copy(connection: &Connection, path: &Path, version: u32) -> Result<(), StoreError> {
    let (half, whole) = (beside(path, ".copying"), beside(path, &format!(".v{version}")));
    match fs::remove_file(&half) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    // `VACUUM INTO` sees what is still in the log; copying the bytes would not.
    let name = half.to_str().ok_or_else(|| StoreError::Unsuitable {
        place: path.display().to_string(),
        why: "its path is not text".to_owned(),
    })?;
    connection.execute("VACUUM INTO ?", [name])?;
    File::open(&half).and_then(|file| file.sync_all()).map_err(broken)?;
    point!("store.copy.before")?;
    fs::rename(&half, &whole).map_err(broken)?;
    sync_folder(&whole)?;
    Ok(point!("store.copy.after")?)
}
