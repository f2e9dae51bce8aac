//! SQLite's errors, sorted by what to do about them.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Some(code) = error.sqlite_error_code() else {
            return match error {
                Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..) => Self::Corrupt { what: error.to_string() },
                Error::QueryReturnedNoRows => Self::Corrupt { what: "a row is gone".into() },
                other => Self::Broken(other.into()),
            };
        };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(error.into()),
            ErrorCode::DiskFull => Self::Full(error.into()),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Self::Corrupt { what: error.to_string() }
            }
            ErrorCode::ConstraintViolation => Self::Conflict { what: error.to_string() },
            _ => Self::Broken(error.into()),
        }
    }
}

/// Whether a failure may come from a full disk although SQLite does not say so. A failed fsync is
/// never one of them: what it lost is not known.
pub(super) fn may_lack_space(error: &StoreError) -> bool {
    let StoreError::Broken(cause) = error else {
        return false;
    };
    let Some(Error::SqliteFailure(error, _)) = cause.downcast_ref() else {
        return false;
    };
    matches!(
        error.extended_code,
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_TRUNCATE
    )
}
