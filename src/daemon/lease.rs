//! Holding the right to write, and noticing when it is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::chain;
use crate::store::{Acquired, Holder, Lease, Store, StoreError};

/// Waits until the lease is ours.
pub(super) async fn acquire(
    store: &dyn Store,
    ttl: SignedDuration,
    now: fn() -> Timestamp,
) -> Result<Lease, StoreError> {
    let holder = Holder::here();
    let mut said = false;
    loop {
        match store.acquire(&holder, now(), ttl).await {
            Ok(Acquired::Held(lease)) => return Ok(lease),
            Ok(Acquired::Busy { holder, until }) => {
                if !said {
                    tracing::info!(holder = holder.name, %until, "standing by: another has the lease");
                    said = true;
                }
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(error = chain(&error), "the store is busy");
            }
            Err(error) => return Err(error),
        }
        // Short, since a holder that died is noticed at once and not when its lease ends.
        tokio::time::sleep(
            (ttl.unsigned_abs() / 10).clamp(Duration::from_millis(50), Duration::from_secs(1)),
        )
        .await;
    }
}

/// Renews the lease for as long as it lives.
pub(super) struct Keeper {
    lease: Arc<Lease>,
    lost: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Renews `lease` a few times in each of its lives.
    pub(super) fn start(
        store: Arc<dyn Store>,
        lease: Lease,
        ttl: SignedDuration,
        now: fn() -> Timestamp,
    ) -> Self {
        let lease = Arc::new(lease);
        let (sender, lost) = watch::channel(false);
        let task = tokio::spawn(renew(store, lease.clone(), ttl, now, sender));
        Self { lease, lost, task }
    }

    /// What it keeps.
    pub(super) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// Returns once the lease is another's.
    pub(super) async fn lost(&mut self) -> StoreError {
        // A sender that is gone has ended in a panic: nobody renews any more.
        let _ = self.lost.wait_for(|lost| *lost).await;
        StoreError::Fenced { epoch: self.lease.epoch(), current: self.lease.epoch() + 1 }
    }

    /// Gives the lease back, unless a pass still works under it: then it runs out by itself, and a
    /// successor on this machine sees that this process is gone.
    pub(super) async fn release(self, store: &dyn Store) {
        self.task.abort();
        let _ = self.task.await;
        if let Some(lease) = Arc::into_inner(self.lease)
            && let Err(error) = store.release(lease).await
        {
            tracing::warn!(error = chain(&error), "the lease could not be given back");
        }
    }
}

async fn renew(
    store: Arc<dyn Store>,
    lease: Arc<Lease>,
    ttl: SignedDuration,
    now: fn() -> Timestamp,
    lost: watch::Sender<bool>,
) {
    loop {
        tokio::time::sleep(ttl.unsigned_abs() / 4).await;
        match store.renew(&lease, now(), ttl).await {
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(error = chain(&error), "the lease could not be renewed yet");
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the lease is lost");
                let _ = lost.send(true);
                return;
            }
        }
    }
}
