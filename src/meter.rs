//! What this process counts of its calls to the world: of providers, and of the forge.
//!
//! Those who call stand on lower floors than the server that shows the counts, engines are opened anew with
//! each configuration, and a count that began anew with them would be taken for a restart: so there is one
//! for the whole process, as there is one log.
//!
//! # Guarantees
//! No label is ever text that a requester chooses: all of them are words of this program's, but for the
//! number of an installation, of which there is one for each organisation that the operator names, and the names that
//! the operator gives receivers.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    provider: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    provider: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    provider: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Identity {
    identity: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Delivery {
    receiver: String,
    outcome: &'static str,
}

type Calls = Family<Call, Counter>;
type Seconds = Family<Operation, Histogram, fn() -> Histogram>;
type Waits = Family<Of, Counter<f64, AtomicU64>>;

/// See the module.
pub struct Meter {
    calls: Calls,
    seconds: Seconds,
    throttles: Family<Of, Counter>,
    waits: Waits,
    requests: Family<Outcome, Counter>,
    left: Family<Identity, Gauge>,
    renewed: Family<Identity, Gauge<f64, AtomicU64>>,
    budgets: Mutex<BTreeMap<String, Budget>>,
    notifications: Family<Delivery, Counter>,
    spans: Family<Outcome, Counter>,
}

/// What an account may still ask of the forge, by its last word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// So many calls.
    pub left: u32,
    /// Until then, in seconds since 1970; then it is renewed.
    pub until: i64,
}

/// Calls of providers, by what they are for.
pub const OPERATIONS: [&str; 7] =
    ["observe", "inspect", "recall", "preview", "submit", "poll", "cancel"];

/// What becomes of a request to the forge.
pub const FORGE_OUTCOMES: [&str; 6] =
    ["ok", "limited", "unavailable", "lost", "unauthorized", "refused"];

/// From milliseconds to what a slow push takes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.004, 4.0, 10))
}

/// The one of this process.
pub fn meter() -> &'static Meter {
    static METER: OnceLock<Meter> = OnceLock::new();
    METER.get_or_init(Meter::new)
}

impl Meter {
    fn new() -> Self {
        let meter = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            throttles: Family::default(),
            waits: Family::default(),
            requests: Family::default(),
            left: Family::default(),
            renewed: Family::default(),
            budgets: Mutex::default(),
            notifications: Family::default(),
            spans: Family::default(),
        };
        // A counter that is not there yet cannot be seen to rise.
        for outcome in FORGE_OUTCOMES {
            drop(meter.requests.get_or_create(&Outcome { outcome }));
        }
        meter
    }

    /// A provider is in use: its counters are there from now on.
    pub fn provider(&self, provider: &'static str) {
        for operation in OPERATIONS {
            for outcome in ["ok", "throttled", "unavailable", "stale", "refused", "unknown"] {
                drop(self.calls.get_or_create(&Call { provider, operation, outcome }));
            }
        }
        drop(self.throttles.get_or_create(&Of { provider }));
        drop(self.waits.get_or_create(&Of { provider }));
    }

    /// What a provider answered about one target.
    pub fn answered(&self, provider: &'static str, operation: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&Call { provider, operation, outcome }).inc();
    }

    /// How long a call of a provider took, however many targets it was about.
    pub fn took(&self, provider: &'static str, operation: &'static str, time: Duration) {
        self.seconds.get_or_create(&Operation { provider, operation }).observe(time.as_secs_f64());
    }

    /// The service behind a provider said that it is asked too fast.
    pub fn throttled(&self, provider: &'static str) {
        self.throttles.get_or_create(&Of { provider }).inc();
    }

    /// A call waited for its turn by our own limit.
    pub fn waited(&self, provider: &'static str, time: Duration) {
        self.waits.get_or_create(&Of { provider }).inc_by(time.as_secs_f64());
    }

    /// What became of a request to the forge; one of [`FORGE_OUTCOMES`].
    pub fn forge(&self, outcome: &'static str) {
        self.requests.get_or_create(&Outcome { outcome }).inc();
    }

    /// What an account may still ask of the forge.
    pub fn budget(&self, identity: String, budget: Budget) {
        self.budgets().insert(identity.clone(), budget);
        let identity = Identity { identity };
        self.left.get_or_create(&identity).set(i64::from(budget.left));
        self.renewed.get_or_create(&identity).set(budget.until as f64);
    }

    /// A receiver of notifications is in use: its counters are there from now on.
    pub fn receiver(&self, receiver: &str) {
        for outcome in ["delivered", "failed", "dropped"] {
            let receiver = receiver.to_owned();
            drop(self.notifications.get_or_create(&Delivery { receiver, outcome }));
        }
    }

    /// A notification was taken by its receiver, was not, or was given up.
    pub fn notified(&self, receiver: &str, outcome: &'static str) {
        let receiver = receiver.to_owned();
        self.notifications.get_or_create(&Delivery { receiver, outcome }).inc();
    }

    /// Traces are on: their counters are there from now on.
    pub fn traces(&self) {
        for outcome in ["sent", "dropped"] {
            drop(self.spans.get_or_create(&Outcome { outcome }));
        }
    }

    /// So many spans were taken by their collector, or were lost.
    pub fn spans(&self, outcome: &'static str, count: usize) {
        self.spans.get_or_create(&Outcome { outcome }).inc_by(count as u64);
    }

    /// What each account may still ask of the forge, by its last word.
    pub fn known_budgets(&self) -> BTreeMap<String, Budget> {
        self.budgets().clone()
    }

    fn budgets(&self) -> MutexGuard<'_, BTreeMap<String, Budget>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all of it shown by `registry`.
    pub fn show(&self, registry: &mut Registry) {
        registry.register(
            "provider_calls",
            "Targets that providers were asked about or told to change, by what came of it",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "provider_call_duration",
            "How long calls of providers took, each about one target or many",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "provider_throttles",
            "How often a service said that it is asked too fast",
            self.throttles.clone(),
        );
        registry.register_with_unit(
            "provider_limiter_wait",
            "How long calls waited for their turn by our own limits",
            Unit::Seconds,
            self.waits.clone(),
        );
        let help = "Notifications that were sent to receivers";
        registry.register("notifications", help, self.notifications.clone());
        let help = "Spans of traces that were sent to their collector, or lost";
        registry.register("trace_spans", help, self.spans.clone());
        registry.register("forge_requests", "Requests to the forge", self.requests.clone());
        registry.register(
            "forge_budget_remaining",
            "Requests that the forge still takes until its limit is renewed",
            self.left.clone(),
        );
        registry.register(
            "forge_budget_reset_timestamp",
            "When the forge's limit is renewed, in seconds since 1970",
            self.renewed.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn what_was_counted_is_shown_by_its_labels() {
        let meter = Meter::new();
        meter.provider("files");
        meter.answered("cloudformation", "submit", "throttled");
        meter.took("cloudformation", "submit", Duration::from_millis(20));
        meter.throttled("cloudformation");
        meter.waited("cloudformation", Duration::from_millis(1_500));
        meter.forge("limited");
        meter.budget("installation 7".into(), Budget { left: 12, until: 1_700_000_000 });
        meter.receiver("chat");
        meter.notified("chat", "failed");
        meter.traces();
        meter.spans("dropped", 3);
        let mut registry = Registry::with_prefix("vend");
        meter.show(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"vend_provider_calls_total{provider="files",operation="poll",outcome="unknown"} 0"#,
            r#"vend_provider_calls_total{provider="cloudformation",operation="submit",outcome="throttled"} 1"#,
            r#"vend_provider_call_duration_seconds_count{provider="cloudformation",operation="submit"} 1"#,
            r#"vend_provider_throttles_total{provider="cloudformation"} 1"#,
            r#"vend_provider_limiter_wait_seconds_total{provider="cloudformation"} 1.5"#,
            r#"vend_forge_requests_total{outcome="limited"} 1"#,
            r#"vend_forge_requests_total{outcome="ok"} 0"#,
            r#"vend_forge_budget_remaining{identity="installation 7"} 12"#,
            r#"vend_forge_budget_reset_timestamp{identity="installation 7"} 1700000000.0"#,
            r#"vend_notifications_total{receiver="chat",outcome="delivered"} 0"#,
            r#"vend_notifications_total{receiver="chat",outcome="failed"} 1"#,
            r#"vend_trace_spans_total{outcome="sent"} 0"#,
            r#"vend_trace_spans_total{outcome="dropped"} 3"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
    }
}
