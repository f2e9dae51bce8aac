//! Webhooks: they wake, and say nothing that is believed.
//!
//! # Guarantees
//! - Nothing is parsed before the signature over the raw body was found good.
//! - A delivery only wakes: what is true is asked for. A forged, lost, doubled or belated one changes
//!   nothing but when that happens.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::{Metrics, Pace};
use crate::error::chain;
use crate::fault::planted;
use crate::forge::{Secret, webhook};

/// What a forge sends at most.
pub(super) const BODY: usize = 25 * 1024 * 1024;

/// What a delivery needs.
#[derive(Clone)]
pub struct Hook {
    /// Holds what deliveries are signed with. Read anew at each of them: it may be rotated.
    pub secret_file: PathBuf,
    /// Wakes a pass and whoever looks after pull requests.
    pub pace: Pace,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

pub(super) fn router(hook: Hook) -> Router {
    Router::new().route("/webhook/github", post(github)).with_state(hook)
}

async fn github(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let secret = match Secret::read_line(&hook.secret_file) {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!(error = chain(&error), "the webhook's secret cannot be read");
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    };
    let verified = webhook::verify(&secret, &body, header("x-hub-signature-256"));
    if verified.is_err() && !planted!("signature-unchecked") {
        hook.metrics.forged();
        return StatusCode::UNAUTHORIZED;
    }
    let event = header("x-github-event").unwrap_or_default();
    if webhook::parse(event, &body).is_some() {
        hook.pace.wake();
    }
    StatusCode::NO_CONTENT
}
