//! Looking after pull requests beside the passes: a forge that is slow or down delays none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tracing::field::Empty;

use super::Hooks;
use crate::error::chain;
use crate::reconcile::PassError;
use crate::reconcile::pull::{Reviewer, Turn};
use crate::store::{Lease, StoreError};
use crate::trace::{self, Woken};

/// How long after a turn that failed on our side the next one begins.
const AFTER_FAILURE: Duration = Duration::from_secs(15);

/// What wakes a turn comes in bursts.
const CALM: Duration = Duration::from_millis(20);

/// The running loop of turns.
pub(super) struct Pulls {
    wake: Arc<Notify>,
    world: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What a loop works with.
pub(super) struct Start {
    pub reviewer: Reviewer,
    pub lease: Arc<Lease>,
    pub now: fn() -> Timestamp,
    /// How often pull requests are asked for although nothing woke us.
    pub interval: Duration,
    /// Wakes a turn.
    pub wake: Arc<Notify>,
    /// What woke the next turn, and the next pass.
    pub woken: Woken,
    /// Wakes a pass.
    pub passes: mpsc::Sender<()>,
    /// Told how it goes.
    pub hooks: Arc<dyn Hooks>,
}

impl Pulls {
    pub(super) fn start(start: Start) -> Self {
        let (world, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let wake = start.wake.clone();
        let task = tokio::spawn(run(start, world.clone(), stop.clone()));
        Self { wake, world, stop, task }
    }

    /// A pass ended; `applied`: it changed something in the world, or in what is recorded of it.
    pub(super) fn passed(&self, applied: bool) {
        self.world.fetch_add(u64::from(applied), Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// No new turn begins; the one under way is given `within`.
    pub(super) async fn end(mut self, within: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify_one();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Pulls {
    fn drop(&mut self) {
        // A configuration that was read again brings a loop of its own.
        self.stop.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

async fn run(start: Start, world: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let Start { reviewer, lease, now, interval, wake, woken, passes, hooks } = start;
    let (mut reviewer, mut turns) = (Some(reviewer), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let Some(mut at_work) = reviewer.take() else { return };
        let (lease, seen) = (lease.clone(), world.load(Ordering::Relaxed));
        let runtime = tokio::runtime::Handle::current();
        // Planning is work: it must not keep webhooks waiting, and a panic in it ends one turn.
        turns += 1;
        let id = format!("{}-{turns}", lease.epoch());
        let span = tracing::info_span!("turn", id, trace_id = Empty);
        trace::begin(&span, &woken.turns.take());
        let whole = span.clone();
        let turn = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let turn = || runtime.block_on(at_work.turn(&lease, seen, &now));
            // What is remembered is written down piece by piece: a turn that broke off is made again.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(turn));
            let broken = |_| Err(PassError::Task("looking after pull requests panicked".into()));
            (at_work, outcome.unwrap_or_else(broken))
        });
        let wait = match turn.await {
            Ok((back, outcome)) => {
                reviewer = Some(back);
                let _entered = whole.enter();
                match outcome {
                    Ok(turn) => {
                        hooks.attended(&turn);
                        let Turn { due, wake, unattended: _, ailing: _, looked: _ } = turn;
                        if wake {
                            trace::keep();
                            woken.passes.add_current();
                            // Full: a pass is called for already.
                            let _ = passes.try_send(());
                        }
                        let due = due.map(|due| due.duration_since(now()));
                        let due = due.map(|left| left.max(jiff::SignedDuration::ZERO));
                        due.map_or(interval, |left| left.unsigned_abs().min(interval))
                    }
                    Err(PassError::Store(StoreError::Fenced { .. })) => {
                        tracing::info!("another has the lease: pull requests are left to it");
                        return;
                    }
                    Err(error) => {
                        let error = chain(&error);
                        trace::keep();
                        trace::failed(&whole);
                        tracing::error!(error, "pull requests could not be looked after");
                        AFTER_FAILURE.min(interval)
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "looking after pull requests failed; it begins anew with the next start");
                return;
            }
        };
        // A turn ends here, and not when the next one begins.
        drop(whole);
        let _ = tokio::time::timeout(wait.max(CALM), wake.notified()).await;
        tokio::time::sleep(CALM).await;
    }
}
