//! Folders and files of this host, held open: every name is looked up in a folder that is open
//! already, and no symbolic link is followed. A link planted between a check and a write therefore
//! leads nowhere.

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::path::shown;
use crate::fault::Fault;
use crate::provider::ProviderError;

/// Where a file is written before it takes its name. One name is enough: a folder has one writer,
/// and what a crash leaves is found and overwritten.
const STAGING: &str = ".vend.tmp";

/// A folder, open.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// For messages.
    name: String,
}

/// Why a folder or file could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    /// A person must look.
    #[error(
        "`{0}` is a link or not of the expected type, and vend neither follows nor replaces it"
    )]
    Blocked(String),
    /// The system said no.
    #[error("cannot {doing} `{name}`")]
    Failed {
        /// A verb.
        doing: &'static str,
        /// On what.
        name: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl From<Fault> for DiskError {
    fn from(fault: Fault) -> Self {
        Self::failed("write", "what is to be written", io::Error::other(fault))
    }
}

impl DiskError {
    fn failed(doing: &'static str, name: &str, source: impl Into<io::Error>) -> Self {
        Self::Failed { doing, name: name.to_owned(), source: source.into() }
    }

    /// As the trait has it, when nothing was done yet.
    pub fn before(self) -> ProviderError {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match &self {
            Self::Blocked(_) => ProviderError::Refused(self.to_string()),
            Self::Failed { source, .. }
                if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) =>
            {
                ProviderError::Refused(crate::error::chain(&self))
            }
            Self::Failed { .. } => ProviderError::unavailable(self),
        }
    }

    /// As the trait has it, when something may have been done.
    pub fn after(self) -> ProviderError {
        ProviderError::unknown(self)
    }
}

type Result<T> = std::result::Result<T, DiskError>;

/// What a name in a folder stands for.
pub(super) enum Entry {
    /// A folder.
    Folder,
    /// A file that is neither executable nor a link, of that many bytes.
    Plain(u64),
    /// Anything else.
    Odd,
}

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder that the operator named; links on the way there are the operator's own.
    pub fn base(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let flags = OPEN.difference(OFlags::NOFOLLOW);
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| DiskError::failed("open the allowed folder", &name, error))?;
        Ok(Self { fd, name })
    }

    fn path_of(&self, part: &str) -> String {
        format!("{}/{}", self.name, shown(part))
    }

    /// The folder of that name, if there is one.
    pub fn child(&self, part: &str) -> Result<Option<Self>> {
        match rustix::fs::openat(&self.fd, part, OPEN, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, name: self.path_of(part) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(DiskError::Blocked(self.path_of(part))),
            Err(error) => Err(DiskError::failed("open", &self.path_of(part), error)),
        }
    }

    /// The folder of that name, made durable if it was not there.
    pub fn make(&self, part: &str) -> Result<Self> {
        if let Some(folder) = self.child(part)? {
            return Ok(folder);
        }
        match rustix::fs::mkdirat(&self.fd, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(DiskError::failed("make the folder", &self.path_of(part), error));
            }
        }
        self.sync()?;
        self.child(part)?.ok_or_else(|| {
            DiskError::failed("make the folder", &self.path_of(part), io::ErrorKind::NotFound)
        })
    }

    /// What a name stands for.
    pub fn entry(&self, part: &str) -> Result<Option<Entry>> {
        let stat = match rustix::fs::statat(&self.fd, part, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(DiskError::failed("look at", &self.path_of(part), error)),
        };
        Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Entry::Folder,
            FileType::RegularFile if stat.st_mode & 0o111 == 0 => {
                Entry::Plain(u64::try_from(stat.st_size).unwrap_or(u64::MAX))
            }
            _ => Entry::Odd,
        }))
    }

    /// The names in here, sorted, without `.` and `..`.
    pub fn names(&self) -> Result<Vec<CString>> {
        let failed = |error: Errno| DiskError::failed("list", &self.name, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The bytes of a plain file; `None` when it is not one, or longer than `max`.
    pub fn read(&self, part: &str, max: u64) -> Result<Option<Vec<u8>>> {
        // NONBLOCK: opening a pipe that somebody put there must not wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, part, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(DiskError::failed("open", &self.path_of(part), error)),
        };
        let failed = |error: io::Error| DiskError::failed("read", &self.path_of(part), error);
        let file = std::fs::File::from(fd);
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        Ok((bytes.len() as u64 <= max).then_some(bytes))
    }

    /// Writes the bytes durably beside `into`'s names and gives them the name in one step. `self`
    /// is the folder for staging: the target's own, so that a crash leaves nothing elsewhere.
    /// The caller syncs `into`.
    pub fn write(&self, into: &Self, part: &str, bytes: &[u8]) -> Result<()> {
        let failed = |error: io::Error| DiskError::failed("write", &into.path_of(part), error);
        self.remove(STAGING)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, STAGING, flags, Mode::from_raw_mode(0o644))
            .map_err(|error| failed(error.into()))?;
        let mut file = std::fs::File::from(fd);
        file.write_all(bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        rustix::fs::renameat(&self.fd, STAGING, &into.fd, part)
            .map_err(|error| failed(error.into()))
    }

    /// Removes a file or link; one that is gone is no error. The caller syncs.
    pub fn remove(&self, part: impl rustix::path::Arg + Copy) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, part, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => {
                let name = part.to_string_lossy().into_owned();
                Err(DiskError::failed("remove", &self.path_of(&name), error))
            }
        }
    }

    /// Removes what a crash left of a write.
    pub fn remove_staging(&self) -> Result<()> {
        self.remove(STAGING)
    }

    /// Whether a name is that of a write under way.
    pub fn is_staging(part: &[u8]) -> bool {
        part == STAGING.as_bytes()
    }

    /// Removes a folder if it is empty; true when it is gone.
    pub fn prune(&self, part: &str) -> Result<bool> {
        match rustix::fs::unlinkat(&self.fd, part, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::BUSY) => Ok(false),
            Err(error) => Err(DiskError::failed("remove the folder", &self.path_of(part), error)),
        }
    }

    /// Makes what was done to the names in here durable.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).map_err(|error| DiskError::failed("sync", &self.name, error))
    }
}
