//! Opens a store: nothing is touched before the file is known to be ours and not newer.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::place::{self, Found, beside, broken};
use super::{Options, schema, sweep, write};
use crate::store::StoreError;
use crate::store::lease::boot;

/// A file of this name beside the store says that it must be checked before it is used.
pub(super) const SUSPECT: &str = "-suspect";

/// A store that is open.
pub(super) struct Opened {
    /// The connection that writes.
    pub writer: Connection,
    /// The one that reads.
    pub reader: Connection,
    /// Why nothing can be written, where that is so from the start.
    pub read_only: Option<String>,
}

/// See [`Opened`]. On a disk that is read-only, what there is can be looked at.
pub(super) fn open(path: &Path, options: &Options, steps: &[&str]) -> Result<Opened, StoreError> {
    place::check_file_system(path)?;
    let known = schema::known(steps);
    match place::look(path)? {
        Found::Nothing => place::create(path)?,
        Found::Store(found) if found > known => return Err(StoreError::Newer { found, known }),
        Found::Store(found) if found == known && !place::is_writable(path) => {
            let why = format!("the folder of `{}` is read-only", path.display());
            let (writer, reader) = (look_only(path, options)?, look_only(path, options)?);
            return Ok(Opened { writer, reader, read_only: Some(why) });
        }
        Found::Store(_) => {}
    }
    // The log is removed when the last process closes the store.
    let unclean = beside(path, "-wal").exists();
    let suspect = beside(path, SUSPECT);
    let mut writer = connect(path, options)?;
    // A change that was answered as made must survive a power cut.
    writer.pragma_update(None, "synchronous", "FULL")?;
    // Only a new file takes it. Larger pages than the usual ones: the index is read whole.
    writer.pragma_update(None, "page_size", 8192)?;
    let mode: String =
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let why = "it does not allow a write-ahead log".to_owned();
        return Err(StoreError::Unsuitable { place: path.display().to_string(), why });
    }
    // A large commit must not leave a large log for ever.
    writer.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // Before anything is made of it or written to it. A process that dies damages no file, a
    // machine may: only the latter is worth reading all of it.
    let fresh = place::look(path)? == Found::Nothing;
    let rebooted = unclean && !fresh && opened_at(&writer)? != boot();
    if rebooted || options.check || suspect.exists() {
        sweep::quick_check(&writer)?;
    }
    schema::migrate(&mut writer, path, steps)?;
    if opened_at(&writer)? != boot() {
        write::run(&writer, "UPDATE state SET boot = ?", [boot()])?;
    }
    match fs::remove_file(&suspect) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    let reader = connect(path, options)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok(Opened { writer, reader, read_only: None })
}

/// A connection that makes no file beside the store. Without a log, which the last process takes away, nothing
/// is in it that the file has not.
fn look_only(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    let mut address = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str(if log == 0 { "?immutable=1" } else { "?mode=ro" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)?;
    settle_in(connection, options)
}

/// The boot of the machine when the store was last opened.
fn opened_at(connection: &Connection) -> Result<String, StoreError> {
    Ok(connection.query_row("SELECT boot FROM state", [], |row| row.get(0))?)
}

fn connect(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    settle_in(Connection::open_with_flags(path, flags)?, options)
}

fn settle_in(connection: Connection, options: &Options) -> Result<Connection, StoreError> {
    connection.busy_timeout(options.busy)?;
    // Or a statement is prepared anew for each value that it is asked with.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // KiB. No memory map: a failing disk would be a signal instead of an error.
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}
