//! The signals that a daemon answers to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DaemonError;

const XFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();

/// Listens from the first moment on: before that, SIGHUP would end the process.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    /// Nobody waits for it: as long as it is listened for, a file that may grow no further is an error of the
    /// write and not the end of the process.
    _xfsz: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, DaemonError> {
        let listen =
            |kind, doing| signal(kind).map_err(|source| DaemonError::System { doing, source });
        Ok(Self {
            term: listen(SignalKind::terminate(), "listen for SIGTERM")?,
            int: listen(SignalKind::interrupt(), "listen for SIGINT")?,
            hup: listen(SignalKind::hangup(), "listen for SIGHUP")?,
            _xfsz: listen(SignalKind::from_raw(XFSZ), "listen for SIGXFSZ")?,
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
