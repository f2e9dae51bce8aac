//! The start, up to a store that is open.

use std::sync::Arc;
use std::time::Duration;

use super::signal::{Signals, Told};
use super::systemd::{self, Pulse};
use super::{AFTER_FAILURE, DaemonError, refuse};
use crate::config::Config;
use crate::error::chain;
use crate::store::{Location, Store, StoreError};

/// The longest that something may take that makes no progress to be seen, before it counts as stuck;
/// at the least, and in deadlines of git.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
const PATIENCE_DEADLINES: u32 = 6;

/// A daemon that lives, answers signals and the service manager, and has no store yet.
pub struct Begun {
    pub(super) signals: Signals,
    pub(super) pulse: Pulse,
}

impl Begun {
    /// From now on signals are heard, and the watchdog is told that we live.
    ///
    /// # Errors
    /// The system refuses something basic.
    pub fn new(config: &Config) -> Result<Self, DaemonError> {
        let signals = Signals::listen()?;
        let deadlines = config.settings.limits.git_deadline.unsigned_abs() * PATIENCE_DEADLINES;
        Ok(Self { signals, pulse: Pulse::start(deadlines.max(PATIENCE)) })
    }

    /// Opens the store, and waits for a database that is away: whoever starts us would give up some time.
    /// `None` when told to stop before.
    ///
    /// # Errors
    /// It cannot be used, and that does not end by itself.
    pub async fn store(
        &mut self,
        location: &Location,
    ) -> Result<Option<Arc<dyn Store>>, DaemonError> {
        let mut said = false;
        loop {
            tokio::select! {
                store = reach(location, &mut said) => return Ok(Some(store?)),
                told = self.signals.next() => match told {
                    Told::Stop => {
                        systemd::stopping();
                        return Ok(None);
                    }
                    Told::Reload => {
                        systemd::reloading();
                        refuse("the store is waited for: restart to name another");
                        systemd::ready("waiting for the store");
                    }
                },
            }
        }
    }
}

/// Tries until the store is open.
async fn reach(location: &Location, said: &mut bool) -> Result<Arc<dyn Store>, StoreError> {
    loop {
        let error = match location.open().await {
            Err(error) if error.is_transient() => error,
            other => return other,
        };
        if !std::mem::replace(said, true) {
            let (store, error) = (location.to_string(), chain(&error));
            tracing::warn!(store, error, "the store cannot be opened, and is waited for");
            // Up, as far as anybody may wait for it.
            systemd::ready("waiting for the store");
        }
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}
