//! What the service manager is told (sd_notify(3)), and the watchdog.
//!
//! Without a service manager there is nobody to tell, and nothing of this does anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::reconcile::{Notice, Watch};

/// Up, as far as anybody may wait for it.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line on how it goes.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The configuration is being read again; `ready` ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // Both in one message: the manager waits for the `READY=1` that is later than this moment.
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// On the way out.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that cannot be told changes nothing of what is to be done.
    let _ = sd_notify::notify(states);
}

/// Whether the loop lives: it waits for something to happen, or what it does makes progress.
#[derive(Clone)]
pub(super) struct Pulse(Arc<Beats>);

struct Beats {
    start: Instant,
    last: AtomicU64,
    waits: AtomicBool,
    patience: Duration,
}

impl Pulse {
    /// Tells the manager's watchdog for as long as the loop lives; `patience` is the longest that
    /// something may take that makes no progress to be seen.
    pub(super) fn start(patience: Duration) -> Self {
        let pulse = Self(Arc::new(Beats {
            start: Instant::now(),
            last: AtomicU64::new(0),
            waits: AtomicBool::new(true),
            patience,
        }));
        if let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) {
            let pulse = pulse.clone();
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(limit / 3);
                loop {
                    ticks.tick().await;
                    if pulse.is_alive() {
                        send(&[NotifyState::Watchdog]);
                    }
                }
            });
        }
        pulse
    }

    /// The loop waits: it may do so for as long as it likes.
    pub(super) fn waits(&self) {
        self.0.waits.store(true, Ordering::Relaxed);
    }

    /// The loop does something.
    pub(super) fn works(&self) {
        self.beat();
        self.0.waits.store(false, Ordering::Relaxed);
    }

    fn beat(&self) {
        let now = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Ordering::Relaxed);
    }

    fn is_alive(&self) -> bool {
        let last = Duration::from_millis(self.0.last.load(Ordering::Relaxed));
        self.0.waits.load(Ordering::Relaxed)
            || self.0.start.elapsed().saturating_sub(last) < self.0.patience
    }
}

impl Watch for Pulse {
    fn notice(&self, _: &Notice<'_>) {
        self.beat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_is_living_and_working_without_progress_is_not() {
        let pulse = Pulse::start(Duration::ZERO);
        assert!(pulse.is_alive());
        pulse.works();
        assert!(!pulse.is_alive());
        pulse.waits();
        assert!(pulse.is_alive());
        let patient = Pulse::start(Duration::from_secs(3600));
        patient.works();
        assert!(patient.is_alive());
    }
}
