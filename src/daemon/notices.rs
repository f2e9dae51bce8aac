//! Telling receivers what is the matter, beside the passes: one that is slow or down delays nothing, and
//! none of the others.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::chain;
use crate::reconcile::PassError;
use crate::reconcile::notify::Receiver;
use crate::store::{Lease, StoreError};

/// How long after a turn that failed on our side the next one begins.
const AFTER_FAILURE: Duration = Duration::from_secs(15);

/// The receivers, one task each. Dropped, they stop where they are: what was on its way goes again.
pub(super) struct Notices {
    upto: watch::Sender<Option<u64>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Notices {
    pub(super) fn start(
        receivers: Vec<Receiver>,
        lease: &Arc<Lease>,
        now: fn() -> Timestamp,
    ) -> Self {
        let (sender, upto) = watch::channel(None);
        let each = |receiver| tokio::spawn(run(receiver, lease.clone(), now, upto.clone()));
        Self { upto: sender, tasks: receivers.into_iter().map(each).collect() }
    }

    /// Whether there is anybody to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// A pass ended, and statuses say what follows from history up to this line.
    pub(super) fn passed(&self, upto: u64) {
        self.upto.send_replace(Some(upto));
    }

    /// Stops all, and waits until none uses the lease any more.
    pub(super) async fn end(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn run(
    mut receiver: Receiver,
    lease: Arc<Lease>,
    now: fn() -> Timestamp,
    mut upto: watch::Receiver<Option<u64>>,
) {
    loop {
        let line = *upto.borrow_and_update();
        let wait = match line {
            // Before the first pass, statuses may be behind what was done.
            None => None,
            Some(line) => match receiver.turn(&lease, line, &now).await {
                Ok(wait) => wait,
                Err(PassError::Store(StoreError::Fenced { .. })) => return,
                Err(error) => {
                    let (receiver, error) = (receiver.name(), chain(&error));
                    tracing::error!(receiver, error, "nobody could be notified");
                    Some(AFTER_FAILURE)
                }
            },
        };
        let changed = async { upto.changed().await.is_ok() };
        let goes_on = match wait {
            Some(wait) => tokio::time::timeout(wait, changed).await.unwrap_or(true),
            None => changed.await,
        };
        if !goes_on {
            return;
        }
        if let Some(wait) = wait {
            // Passes may come quickly: each of them is no reason to look at the clock.
            tokio::time::sleep(wait.min(Duration::from_millis(100))).await;
        }
    }
}
