//! The signals that a daemon answers to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DaemonError;

/// Listens from the first moment on: before that, SIGHUP would end the process.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, DaemonError> {
        let listen =
            |kind, doing| signal(kind).map_err(|source| DaemonError::System { doing, source });
        Ok(Self {
            term: listen(SignalKind::terminate(), "listen for SIGTERM")?,
            int: listen(SignalKind::interrupt(), "listen for SIGINT")?,
            hup: listen(SignalKind::hangup(), "listen for SIGHUP")?,
        })
    }

    /// SIGTERM or SIGINT.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// What comes first.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.term.recv() => Told::Stop,
            _ = self.int.recv() => Told::Stop,
            _ = self.hup.recv() => Told::Reload,
        }
    }
}

/// What a signal says.
pub(super) enum Told {
    Stop,
    Reload,
}
