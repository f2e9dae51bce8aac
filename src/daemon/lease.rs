//! Holding the right to write, and noticing when it is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

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
        tokio::time::sleep(
            (ttl.unsigned_abs() / 10).clamp(Duration::from_millis(50), Duration::from_secs(5)),
        )
        .await;
    }
}

/// Renews the lease a few times in each of its lives; the receiver turns true when it is lost.
pub(super) fn keep(
    store: Arc<dyn Store>,
    lease: Arc<Lease>,
    ttl: SignedDuration,
    now: fn() -> Timestamp,
) -> watch::Receiver<bool> {
    let (lost, receiver) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ttl.unsigned_abs() / 4) => {}
                () = lost.closed() => return,
            }
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
    });
    receiver
}
