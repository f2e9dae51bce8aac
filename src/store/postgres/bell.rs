//! Hears what is rung at other replicas, over connections that come and go.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::mpsc::Sender;

use crate::error::chain;

/// How long after a lost connection the next one is made.
const AGAIN: Duration = Duration::from_secs(5);

/// Passes on each ring, until nobody hears any more. What is rung while there is no connection is made up
/// for by one when there is one again.
pub(super) async fn listen(pool: PgPool, channel: String, heard: Sender<()>) {
    let mut lost = false;
    while !heard.is_closed() {
        if let Err(error) = hear(&pool, &channel, &heard, lost).await {
            tracing::debug!(error = chain(&error), "rings of other replicas are not heard");
        }
        lost = true;
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = heard.closed() => return,
        }
    }
}

async fn hear(
    pool: &PgPool,
    channel: &str,
    heard: &Sender<()>,
    lost: bool,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    if lost {
        let _ = heard.try_send(());
    }
    loop {
        tokio::select! {
            rung = listener.recv() => {
                rung?;
                // Full: somebody is called for already.
                let _ = heard.try_send(());
            }
            () = heard.closed() => return Ok(()),
        }
    }
}
