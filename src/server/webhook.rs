//! Webhooks: they wake, and say nothing that is believed.
//!
//! # Guarantees
//! - Nothing is parsed before the signature over the raw body was found good, and no body is read that
//!   has no signature.
//! - A delivery only wakes, and says where to look: what is true is asked for. A forged, lost, doubled or
//!   belated one changes nothing but when that happens.
//! - One that comes again under its own id, among the last thousand, is answered and wakes nobody.
//!
//! # Caveats
//! Nobody signs the id: under another one the same body wakes again, which costs a look.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tracing::field::Empty;

use super::accept::Bodies;
use super::metrics::Delivery;
use super::{Metrics, Pace};
use crate::error::chain;
use crate::fault::planted;
use crate::forge::{Secret, webhook};
use crate::model::TraceParent;
use crate::reconcile::pull::Nudges;
use crate::trace::{self, Woken};

const PATH: &str = "/webhook/github";

/// What a delivery needs.
#[derive(Clone)]
pub struct Hook {
    /// Holds what deliveries are signed with. Read anew at each of them: it may be rotated.
    pub secret_file: PathBuf,
    /// Wakes a pass and whoever looks after pull requests.
    pub pace: Pace,
    /// Where those look besides.
    pub nudges: Nudges,
    /// What wakes them.
    pub woken: Woken,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What was delivered already.
    pub heard: Heard,
}

/// The ids of the last deliveries that woke somebody.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Ids>>);

/// In two orders.
#[derive(Default)]
struct Ids {
    known: BTreeSet<String>,
    oldest: VecDeque<String>,
}

impl Heard {
    /// So many are remembered, of so many bytes each: GitHub's have 36.
    const MOST: usize = 1_000;
    const LONGEST: usize = 100;

    /// Whether it is the first of that id; what has none, or a strange one, always is.
    fn is_first(&self, id: &str) -> bool {
        if id.is_empty() || id.len() > Self::LONGEST {
            return true;
        }
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ids { known, oldest } = &mut *guard;
        if !known.insert(id.to_owned()) {
            return false;
        }
        oldest.push_back(id.to_owned());
        if oldest.len() > Self::MOST
            && let Some(first) = oldest.pop_front()
        {
            known.remove(&first);
        }
        true
    }
}

pub(super) fn router(hook: Hook) -> Router {
    Router::new().route(PATH, post(github)).with_state(hook)
}

/// Whoever does not even claim to have signed it sends nothing that is read.
pub(super) fn bodies(hook: &Hook) -> Bodies {
    let metrics = hook.metrics.clone();
    let admit = move |headers: &HeaderMap| {
        let signature = headers.get(webhook::SIGNATURE).and_then(|value| value.to_str().ok());
        if webhook::is_signature(signature) {
            return Ok(());
        }
        metrics.delivered(Delivery::Forged);
        Err(StatusCode::UNAUTHORIZED)
    };
    Bodies { most: webhook::BODY_MOST, admit: Arc::new(admit) }
}

/// Whether its body is JSON, as far as its head says: forms hold the same in another way.
fn is_json(kind: Option<&str>) -> bool {
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

async fn github(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let secret = match Secret::read_line(&hook.secret_file) {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!(error = chain(&error), "the webhook's secret cannot be read");
            hook.metrics.delivered(Delivery::NoSecret);
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    };
    let verified = webhook::verify(&secret, &body, header(webhook::SIGNATURE));
    if verified.is_err() && !planted!("signature-unchecked") {
        hook.metrics.delivered(Delivery::Forged);
        return StatusCode::UNAUTHORIZED;
    }
    let event = header(webhook::EVENT).unwrap_or_default();
    // Whoever signed it may be answered by name; nobody signs heads, so that it is a name and no more.
    let id = header(webhook::DELIVERY).filter(|id| is_name(id)).unwrap_or_default();
    let span = tracing::info_span!("delivery", id, event, trace_id = Empty);
    for (name, value) in
        [("http.request.method", "POST"), ("http.route", PATH), ("vcs.provider.name", "github")]
    {
        trace::attribute(&span, name, value);
    }
    trace::serves(&span, format!("POST {PATH}"));
    trace::begin(&span, caller(&headers).as_slice());
    let status = span.in_scope(|| {
        trace::keep();
        take(&hook, (event, id), is_json(header("content-type")), &body)
    });
    trace::attribute(&span, "http.response.status_code", i64::from(status.as_u16()));
    status
}

/// Looks at what is signed, and wakes whom it is for.
fn take(hook: &Hook, (event, id): (&str, &str), is_json: bool, body: &[u8]) -> StatusCode {
    if !is_json {
        hook.metrics.delivered(Delivery::NotJson);
        tracing::error!(
            event,
            "a webhook that is not JSON wakes nobody: set its content type to `application/json` in \
             the forge's settings"
        );
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let wake = webhook::parse(event, body).filter(|_| hook.heard.is_first(id));
    hook.metrics.delivered(if wake.is_some() { Delivery::Woke } else { Delivery::Ignored });
    if let Some(wake) = wake {
        tracing::info!(repo = %wake.repo, number = wake.pull, "a delivery wakes us");
        hook.woken.passes.add_current();
        hook.woken.turns.add_current();
        hook.nudges.take(wake);
        hook.pace.wake();
    }
    StatusCode::NO_CONTENT
}

/// What the delivery belongs to by its caller's word: something before us may make traces as well.
fn caller(headers: &HeaderMap) -> Option<TraceParent> {
    let mut all = headers.get_all("traceparent").iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    TraceParent::parse(one.to_str().ok()?)
}

/// Whether it can be the name of a delivery: a forge gives each a UUID.
fn is_name(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thousand_deliveries_are_known_again() {
        let heard = Heard::default();
        assert!(heard.is_first("0") && !heard.is_first("0"));
        assert!(heard.is_first("") && heard.is_first(""), "it has no id");
        let long = "x".repeat(101);
        assert!(heard.is_first(&long) && heard.is_first(&long));
        for n in 1..Heard::MOST {
            assert!(heard.is_first(&n.to_string()));
        }
        assert!(!heard.is_first("0"));
        assert!(heard.is_first("one more") && heard.is_first("0"), "the oldest is forgotten");
        assert_eq!(heard.0.lock().unwrap().known.len(), Heard::MOST);
    }
}
