//! Counters and gauges, in OpenMetrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::model::{EndCounts, PassReport};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    phase: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct End {
    end: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// What is counted.
pub struct Metrics {
    registry: Mutex<Registry>,
    ready: AtomicBool,
    passes: Family<Outcome, Counter>,
    seconds: Histogram,
    effects: Family<Outcome, Counter>,
    requests: Family<Phase, Gauge>,
    holds: Family<Reason, Gauge>,
    ends: Family<End, Gauge>,
    under_way: Gauge,
    rollouts_stopped: Gauge,
    problems: Gauge,
    last: Gauge<f64, AtomicU64>,
    lines: Counter,
    forged: Counter,
    unattended: Gauge,
    looked: Gauge<f64, AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Metrics {
    /// All at zero; `dropped` counts log lines that nobody took.
    pub fn new(dropped: Arc<AtomicU64>) -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("vend")),
            ready: AtomicBool::new(false),
            passes: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            effects: Family::default(),
            requests: Family::default(),
            holds: Family::default(),
            ends: Family::default(),
            under_way: Gauge::default(),
            rollouts_stopped: Gauge::default(),
            problems: Gauge::default(),
            last: Gauge::default(),
            lines: Counter::default(),
            forged: Counter::default(),
            unattended: Gauge::default(),
            looked: Gauge::default(),
            dropped,
        };
        // A counter that is not there yet cannot be seen to rise.
        for outcome in ["quiet", "done", "failed"] {
            drop(metrics.passes.get_or_create(&Outcome { outcome: outcome.into() }));
        }
        for outcome in ["succeeded", "failed"] {
            drop(metrics.effects.get_or_create(&Outcome { outcome: outcome.into() }));
        }
        {
            let mut registry =
                metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            registry.register("passes", "Passes made", metrics.passes.clone());
            registry.register_with_unit(
                "pass_duration",
                "How long passes took",
                Unit::Seconds,
                metrics.seconds.clone(),
            );
            registry.register("effects", "Effects whose end was seen", metrics.effects.clone());
            registry.register("requests", "Requests by phase", metrics.requests.clone());
            registry.register("holds", "What is held, by reason", metrics.holds.clone());
            registry.register(
                "requests_ending",
                "Requests that have an end: over, soon (within the longest warning) or later",
                metrics.ends.clone(),
            );
            registry.register("effects_under_way", "Effects under way", metrics.under_way.clone());
            registry.register(
                "rollouts_stopped",
                "Rollouts of versions that were stopped and go no further",
                metrics.rollouts_stopped.clone(),
            );
            registry.register(
                "sources_unhealthy",
                "Sources that cannot be believed now",
                metrics.problems.clone(),
            );
            registry.register(
                "log_lines_dropped",
                "Log lines dropped since their reader was stuck",
                metrics.lines.clone(),
            );
            registry.register(
                "webhooks_forged",
                "Webhooks whose signature was not good",
                metrics.forged.clone(),
            );
            registry.register(
                "pull_requests_unattended",
                "Open pull requests that could not be looked after, or told so",
                metrics.unattended.clone(),
            );
            registry.register(
                "last_forge_look_timestamp",
                "When all pull requests were looked at from end to end, in seconds since 1970",
                metrics.looked.clone(),
            );
            registry.register(
                "last_pass_timestamp",
                "When the last pass ended well, in seconds since 1970",
                metrics.last.clone(),
            );
        }
        metrics
    }

    /// The lease is held and a pass has been made.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Sets readiness.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Counts a webhook whose signature was not good.
    pub fn forged(&self) {
        self.forged.inc();
    }

    /// Counts a pass that ended well.
    pub fn passed(&self, report: &PassReport, seconds: f64, at: jiff::Timestamp) {
        let outcome = if report.quiet { "quiet" } else { "done" };
        self.passes.get_or_create(&Outcome { outcome: outcome.into() }).inc();
        self.seconds.observe(seconds);
        self.last.set(at.as_millisecond() as f64 / 1000.0);
        if report.quiet {
            return;
        }
        for (_, _, error) in &report.done {
            let outcome = if error.is_some() { "failed" } else { "succeeded" };
            self.effects.get_or_create(&Outcome { outcome: outcome.into() }).inc();
        }
        self.requests.clear();
        for row in report.counts.0.values() {
            for (phase, count) in row {
                let phase = Phase { phase: format!("{phase:?}") };
                self.requests
                    .get_or_create(&phase)
                    .inc_by(i64::try_from(*count).unwrap_or(i64::MAX));
            }
        }
        self.holds.clear();
        for hold in &report.holds {
            self.holds.get_or_create(&Reason { reason: hold.reason.name().into() }).inc();
        }
        let EndCounts { over, soon, later } = report.ends;
        for (end, count) in [("over", over), ("soon", soon), ("later", later)] {
            let gauge = self.ends.get_or_create(&End { end: end.into() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.under_way.set(i64::try_from(report.under_way).unwrap_or(i64::MAX));
        self.rollouts_stopped.set(i64::try_from(report.rollouts_stopped).unwrap_or(i64::MAX));
        self.problems.set(i64::try_from(report.problems.len()).unwrap_or(i64::MAX));
    }

    /// Counts pull requests that could not be looked after.
    pub fn attended(&self, unattended: usize, looked: Option<jiff::Timestamp>) {
        self.unattended.set(i64::try_from(unattended).unwrap_or(i64::MAX));
        if let Some(at) = looked {
            self.looked.set(at.as_millisecond() as f64 / 1000.0);
        }
    }

    /// Counts a pass that could not be made.
    pub fn failed(&self) {
        self.passes.get_or_create(&Outcome { outcome: "failed".into() }).inc();
    }

    /// As a scraper wants it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let dropped = self.dropped.load(Ordering::Relaxed);
        self.lines.inc_by(dropped.saturating_sub(self.lines.get()));
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &registry);
        out
    }
}
