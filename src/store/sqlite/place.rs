//! Looks at the place of a store before SQLite does: SQLite writes beside a file by opening it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Marks a file as vend's, at byte 68 of SQLite's header: "vend".
pub(super) const APPLICATION: u32 = 0x7665_6e64;

/// What lies at the path of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nothing, or what a creation that did not finish left.
    Nothing,
    /// A store with this schema version.
    Store(u32),
}

/// The file of that name with something behind it, such as `-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads the header as SQLite would see it, without opening the file for writing, locking it or
/// making files beside it.
pub(super) fn look(path: &Path) -> Result<Found, StoreError> {
    let mut header = [0; 100];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return match fs::metadata(path).map_err(broken)?.len() {
                0 => Ok(Found::Nothing),
                _ => Err(unsuitable(path, "it is not a store of vend's")),
            };
        }
        Err(error) => return Err(broken(error)),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(unsuitable(path, "it is not a store of vend's"));
    }
    match fs::read(beside(path, "-wal")) {
        // What was committed and not yet carried over to the file itself.
        Ok(wal) => header = last_header(&wal).unwrap_or(header),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(broken(error)),
    }
    let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|n| header[at + n]));
    let (cookie, version, application) = (number(40), number(60), number(68));
    match (application, version, cookie) {
        (0, 0, 0) => Ok(Found::Nothing),
        (APPLICATION, version, _) => Ok(Found::Store(version)),
        _ => Err(unsuitable(path, "it is another program's database")),
    }
}

/// The last committed first page in a write-ahead log, by <https://sqlite.org/fileformat2.html#walformat>.
fn last_header(wal: &[u8]) -> Option<[u8; 100]> {
    let number = |at: usize| Some(u32::from_be_bytes(wal.get(at..at + 4)?.try_into().ok()?));
    let big_endian = match number(0)? {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    let page = match number(8)? {
        size @ 512..=65_536 => size as usize,
        _ => return None,
    };
    let add = |sum: (u32, u32), bytes: &[u8]| {
        bytes.chunks_exact(8).fold(sum, |(a, b), pair| {
            let word = |at: usize| {
                let bytes = [0, 1, 2, 3].map(|n| pair[at + n]);
                if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            };
            let a = a.wrapping_add(word(0)).wrapping_add(b);
            (a, b.wrapping_add(word(4)).wrapping_add(a))
        })
    };
    let mut sum = add((0, 0), wal.get(..24)?);
    if (number(24)?, number(28)?) != sum {
        return None;
    }
    let (mut pending, mut last) = (None, None);
    let mut at = 32;
    while let Some(frame) = wal.get(at..at + 24 + page) {
        sum = add(add(sum, &frame[..8]), &frame[24..]);
        // Frames of an earlier round of the log, or torn ones, end it.
        if frame[8..16] != wal[16..24] || (number(at + 16)?, number(at + 20)?) != sum {
            break;
        }
        if number(at)? == 1 {
            pending = frame[24..124].try_into().ok();
        }
        if number(at + 4)? != 0 {
            last = pending.take().or(last);
        }
        at += frame.len();
    }
    last
}

/// Makes an empty file that only its owner reads: the store holds everybody's parameters.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(broken(error)),
    }
}

/// Takes a store away, with what SQLite keeps beside it.
pub(super) fn discard(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(broken(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Puts a closed store in another's place.
pub(super) fn put(from: &Path, to: &Path) -> Result<(), StoreError> {
    if ["-wal", "-shm"].into_iter().any(|suffix| beside(from, suffix).exists()) {
        return Err(unsuitable(from, "it was not closed well"));
    }
    File::open(from).and_then(|file| file.sync_all()).map_err(broken)?;
    // Nothing of what stood there may be read together with the new one.
    discard(to)?;
    fs::rename(from, to).map_err(broken)?;
    sync_folder(to)
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(broken)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses network file systems: the write-ahead log needs memory shared by all its users, and
/// their locks are not to be trusted.
pub(super) fn check_file_system(path: &Path) -> Result<(), StoreError> {
    let folder = folder(path);
    let stat = rustix::fs::statfs(folder).map_err(|error| broken(error.into()))?;
    match network(stat.f_type) {
        Some(name) => Err(unsuitable(folder, &format!("{name} is a network file system"))),
        None => Ok(()),
    }
}

/// Names from linux/magic.h and the file systems' own sources.
fn network(magic: i64) -> Option<&'static str> {
    // Some of them have the highest bit set and come sign-extended on 32-bit systems.
    match magic & 0xffff_ffff {
        0x6969 => Some("nfs"),
        0x517b => Some("smb"),
        0xfe53_4d42 => Some("smb2"),
        0xff53_4d42 => Some("cifs"),
        0x5346_414f | 0x6b41_4653 => Some("afs"),
        0x00c3_6400 => Some("ceph"),
        0x7375_7245 => Some("coda"),
        0x564c => Some("ncp"),
        0x0bd0_0bd0 => Some("lustre"),
        0x4750_4653 => Some("gpfs"),
        _ => None,
    }
}

/// Whether files can be made beside a store.
pub(super) fn is_writable(path: &Path) -> bool {
    rustix::fs::access(folder(path), rustix::fs::Access::WRITE_OK).is_ok()
}

/// Less than this is next to no room.
const ROOM: u64 = 64 * 1024;

/// Whether there is next to no room for the store at a path: on its disk, or below the size that files of this
/// process may have. Both are for somebody else to mend, and neither is damage.
pub(super) fn is_full(path: &Path) -> bool {
    let on_disk = rustix::fs::statvfs(folder(path));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    on_disk.is_ok_and(|stat| stat.f_bavail * stat.f_frsize < ROOM)
        || limit.is_some_and(|limit| size(path).max(size(&beside(path, "-wal"))) + ROOM >= limit)
}

pub(super) fn broken(error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(error.into()),
        _ => StoreError::Broken(error.into()),
    }
}

fn unsuitable(place: &Path, why: &str) -> StoreError {
    StoreError::Unsuitable { place: place.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_number() {
        assert_eq!(network(0x6969), Some("nfs"));
        assert_eq!(network(-11_317_950), Some("cifs"));
        assert_eq!(network(0xef53), None, "ext4");
    }

    #[test]
    fn the_header_is_read_through_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        assert_eq!(look(&path).unwrap(), Found::Nothing);
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        assert_eq!(look(&path).unwrap(), Found::Nothing);
        let mark = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 7");
        connection.execute_batch(&mark).unwrap();
        assert_eq!(look(&path).unwrap(), Found::Store(7));
        connection.execute_batch("CREATE TABLE t (a); PRAGMA user_version = 9").unwrap();
        assert_eq!(look(&path).unwrap(), Found::Store(9));
        // Without its last frame, the last commit is not there.
        let wal = fs::read(beside(&path, "-wal")).unwrap();
        let torn = last_header(&wal[..wal.len() - 1]).unwrap();
        assert_eq!(torn[63], 7);
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        fs::write(&path, "short").unwrap();
        assert!(matches!(look(&path), Err(StoreError::Unsuitable { .. })));
        fs::write(&path, "x".repeat(200)).unwrap();
        assert!(matches!(look(&path), Err(StoreError::Unsuitable { .. })));
        fs::remove_file(&path).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        assert!(matches!(look(&path), Err(StoreError::Unsuitable { .. })));
    }
}
