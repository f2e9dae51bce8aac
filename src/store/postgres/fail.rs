//! PostgreSQL's errors, sorted by what to do about them.

use sqlx::Error;

use crate::store::StoreError;

/// The database did not answer in time. What was asked of it may still happen, but nothing of a
/// transaction that was not committed.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer within {0} s")]
pub(super) struct Silent(pub(super) u64);

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Some(code) = error.as_database_error().and_then(|e| e.code()).map(String::from) else {
            return match error {
                // Gone, or not there yet; what was not committed is rolled back.
                Error::Io(_)
                | Error::Tls(_)
                | Error::PoolTimedOut
                | Error::PoolClosed
                | Error::WorkerCrashed
                | Error::Protocol(_) => Self::Busy(error.into()),
                Error::ColumnDecode { .. } | Error::Decode(_) | Error::RowNotFound => {
                    Self::Corrupt { what: error.to_string() }
                }
                other => Self::Broken(other.into()),
            };
        };
        // <https://www.postgresql.org/docs/current/errcodes-appendix.html>
        match code.as_str() {
            "53100" => Self::Full(error.into()),
            "XX001" | "XX002" => Self::Corrupt { what: error.to_string() },
            // No permission to log in, or no such database: a person's to mend.
            "3D000" | "3F000" | "42501" => Self::Broken(error.into()),
            code => match &code[..2.min(code.len())] {
                // A connection that ended, resources, an operator's hand, a standby that only reads,
                // and others that were in the way.
                "08" | "53" | "57" | "40" | "55" | "25" => Self::Busy(error.into()),
                "23" => Self::Conflict { what: error.to_string() },
                _ => Self::Broken(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_by_itself_is_waited_for() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(StoreError::from(Error::Io(reset)).is_transient());
        assert!(StoreError::from(Error::PoolTimedOut).is_transient());
        assert!(!StoreError::from(Error::RowNotFound).is_transient());
    }
}
