//! Counters and gauges, in OpenMetrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::meter::meter;
use crate::model::{DriftCounts, EndCounts, Failing, Lasting, PassReport, Pulse};
use crate::reconcile::pull::Turn;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    phase: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct End {
    end: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// What became of a webhook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Delivery {
    /// It wakes us.
    Woke,
    /// It is about nothing that matters here.
    Ignored,
    /// Its signature was not good.
    Forged,
    /// It is signed, and not JSON.
    NotJson,
    /// The secret that it would be held against cannot be read.
    NoSecret,
}

impl Delivery {
    const ALL: [Self; 5] = [Self::Woke, Self::Ignored, Self::Forged, Self::NotJson, Self::NoSecret];

    fn word(self) -> &'static str {
        match self {
            Self::Woke => "woke",
            Self::Ignored => "ignored",
            Self::Forged => "forged",
            Self::NotJson => "notJson",
            Self::NoSecret => "noSecret",
        }
    }
}

type Moment = Gauge<f64, AtomicU64>;

/// What is counted.
pub struct Metrics {
    registry: Mutex<Registry>,
    now: fn() -> Timestamp,
    ready: AtomicBool,
    passes: Family<Outcome, Counter>,
    seconds: Histogram,
    effects: Family<Outcome, Counter>,
    requests: Family<Phase, Gauge>,
    holds: Family<Reason, Gauge>,
    ends: Family<End, Gauge>,
    under_way: Gauge,
    drifted: Gauge,
    unchecked: Gauge,
    rollouts_stopped: Gauge,
    unread: Gauge,
    problems: Gauge,
    last: Moment,
    lines: Counter,
    webhooks: Family<Outcome, Counter>,
    unattended: Gauge,
    ailing: Gauge,
    looked: Moment,
    leading: Gauge,
    led_since: Moment,
    queue_age: Moment,
    effect_age: Moment,
    hold_age: Family<Reason, Moment>,
    publication_age: Moment,
    standing: Mutex<Standing>,
    dropped: Arc<AtomicU64>,
}

/// Since when things are as they are: their ages are told when somebody asks.
#[derive(Default)]
struct Standing {
    /// When the next pass should begin at the latest.
    due: Option<Timestamp>,
    since: Lasting,
    /// For whoever asks how we fare.
    pulse: Pulse,
}

impl Metrics {
    /// All at zero; `dropped` counts log lines that nobody took.
    pub fn new(dropped: Arc<AtomicU64>, now: fn() -> Timestamp) -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("vend")),
            now,
            ready: AtomicBool::new(false),
            passes: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            effects: Family::default(),
            requests: Family::default(),
            holds: Family::default(),
            ends: Family::default(),
            under_way: Gauge::default(),
            drifted: Gauge::default(),
            unchecked: Gauge::default(),
            rollouts_stopped: Gauge::default(),
            unread: Gauge::default(),
            problems: Gauge::default(),
            last: Gauge::default(),
            lines: Counter::default(),
            webhooks: Family::default(),
            unattended: Gauge::default(),
            ailing: Gauge::default(),
            looked: Gauge::default(),
            leading: Gauge::default(),
            led_since: Gauge::default(),
            queue_age: Gauge::default(),
            effect_age: Gauge::default(),
            hold_age: Family::default(),
            publication_age: Gauge::default(),
            standing: Mutex::default(),
            dropped,
        };
        // A counter that is not there yet cannot be seen to rise.
        for outcome in ["quiet", "done", "failed"] {
            drop(metrics.passes.get_or_create(&Outcome { outcome }));
        }
        for outcome in ["succeeded", "failed"] {
            drop(metrics.effects.get_or_create(&Outcome { outcome }));
        }
        for delivery in Delivery::ALL {
            drop(metrics.webhooks.get_or_create(&Outcome { outcome: delivery.word() }));
        }
        metrics.show();
        metrics
    }

    fn show(&self) {
        let mut guard = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = &mut *guard;
        registry.register("passes", "Passes made", self.passes.clone());
        let (help, unit) = ("How long passes took", Unit::Seconds);
        registry.register_with_unit("pass_duration", help, unit, self.seconds.clone());
        let help = "When the last pass ended well, in seconds since 1970";
        registry.register("last_pass_timestamp", help, self.last.clone());
        let (help, unit) =
            ("How long ago the next pass should have begun at the latest", Unit::Seconds);
        registry.register_with_unit("queue_age", help, unit, self.queue_age.clone());
        let help = "Whether this process holds the lease: 1, or 0 while it stands by";
        registry.register("lease_held", help, self.leading.clone());
        let help = "Since when this process holds the lease, in seconds since 1970; 0: it does not";
        registry.register("lease_held_since_timestamp", help, self.led_since.clone());
        registry.register("requests", "Requests by phase", self.requests.clone());
        let help = "Requests that have an end: over, soon (within the longest warning) or later";
        registry.register("requests_ending", help, self.ends.clone());
        registry.register("holds", "What is held, by reason", self.holds.clone());
        let (help, unit) =
            ("How long what is held for the longest is held, by reason", Unit::Seconds);
        registry.register_with_unit("oldest_hold_age", help, unit, self.hold_age.clone());
        registry.register("effects", "Effects whose end was seen", self.effects.clone());
        registry.register("effects_under_way", "Effects under way", self.under_way.clone());
        let (help, unit) =
            ("How long what is under way for the longest is under way", Unit::Seconds);
        registry.register_with_unit("oldest_effect_age", help, unit, self.effect_age.clone());
        let help = "Targets that differ from what was applied";
        registry.register("targets_drifted", help, self.drifted.clone());
        let help = "Targets of which it could not be told whether they differ";
        registry.register("targets_unchecked", help, self.unchecked.clone());
        let (help, unit) =
            ("How long the status branch could not be written; 0: it could", Unit::Seconds);
        registry.register_with_unit("publication_age", help, unit, self.publication_age.clone());
        let help = "Rollouts of versions that were stopped and go no further";
        registry.register("rollouts_stopped", help, self.rollouts_stopped.clone());
        let help = "New request files that the next passes are to read";
        registry.register("requests_unread", help, self.unread.clone());
        let help = "Sources that cannot be believed now";
        registry.register("sources_unhealthy", help, self.problems.clone());
        let help = "Log lines dropped since their reader was stuck";
        registry.register("log_lines_dropped", help, self.lines.clone());
        registry.register("webhooks", "Webhooks that arrived", self.webhooks.clone());
        let help = "Open pull requests that could not be looked after, or told so";
        registry.register("pull_requests_unattended", help, self.unattended.clone());
        let help = "Branches whose pull requests cannot be looked after";
        registry.register("forge_sources_unattended", help, self.ailing.clone());
        let help = "When all pull requests were looked at from end to end, in seconds since 1970";
        registry.register("last_forge_look_timestamp", help, self.looked.clone());
        meter().show(registry);
    }

    /// The lease is held and a pass has been made.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Sets readiness.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether this process leads.
    pub fn leads(&self) -> bool {
        self.leading.get() == 1
    }

    /// The lease is held from now on.
    pub fn leading(&self) {
        self.leading.set(1);
        let now = (self.now)();
        self.led_since.set(seconds_of(now));
        self.standing().pulse.leading_since = Some(now);
    }

    /// The next pass should begin by then.
    pub fn due(&self, at: Timestamp) {
        self.standing().due = Some(at);
    }

    /// Somebody woke us: the next pass should begin now.
    pub fn woken(&self) {
        let now = (self.now)();
        let mut standing = self.standing();
        // Whoever stands by has no next pass.
        standing.due = standing.due.map(|due| due.min(now));
    }

    /// Counts a webhook.
    pub(super) fn delivered(&self, delivery: Delivery) {
        self.webhooks.get_or_create(&Outcome { outcome: delivery.word() }).inc();
    }

    /// Counts a pass that ended well.
    pub fn passed(&self, report: &PassReport, seconds: f64, at: Timestamp) {
        let outcome = if report.quiet { "quiet" } else { "done" };
        self.passes.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(seconds);
        self.last.set(seconds_of(at));
        {
            let pulse = &mut self.standing().pulse;
            (pulse.passed, pulse.seconds, pulse.failing) = (Some(at), seconds, None);
        }
        for (_, _, error) in &report.done {
            let outcome = if error.is_some() { "failed" } else { "succeeded" };
            self.effects.get_or_create(&Outcome { outcome }).inc();
        }
        if !report.quiet {
            self.stands(report, at);
        }
    }

    /// Takes in how everything stands.
    pub fn stands(&self, report: &PassReport, at: Timestamp) {
        // One after the other, and not while somebody reads: a sum of half of them would be wrong.
        let _reading = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.requests.clear();
        for row in report.counts.0.values() {
            for (phase, count) in row {
                let phase = Phase { phase: format!("{phase:?}") };
                self.requests.get_or_create(&phase).inc_by(number(*count));
            }
        }
        self.holds.clear();
        for hold in &report.holds {
            self.holds.get_or_create(&Reason { reason: hold.reason.name().into() }).inc();
        }
        let EndCounts { over, soon, later } = report.ends;
        for (end, count) in [("over", over), ("soon", soon), ("later", later)] {
            self.ends.get_or_create(&End { end }).set(size(count));
        }
        self.under_way.set(size(report.under_way));
        let DriftCounts { drifted, unchecked } = report.drift;
        self.drifted.set(number(drifted));
        self.unchecked.set(number(unchecked));
        self.rollouts_stopped.set(size(report.rollouts_stopped));
        self.unread.set(size(report.unread));
        self.problems.set(size(report.problems.len()));
        let mut standing = self.standing();
        standing.since = report.since.clone();
        let before = standing.pulse.unpublished.take().map(|(since, _)| since);
        let error = report.publish_error.clone();
        standing.pulse.unpublished = error.map(|error| (before.unwrap_or(at), error));
    }

    /// Counts pull requests that could not be looked after, and branches.
    pub fn attended(&self, turn: &Turn) {
        let Turn { unattended, ailing, looked, due: _, wake: _ } = *turn;
        self.unattended.set(size(unattended));
        self.ailing.set(size(ailing));
        if let Some(at) = looked {
            self.looked.set(seconds_of(at));
        }
    }

    /// Counts a pass that could not be made.
    pub fn failed(&self, error: &str) {
        self.passes.get_or_create(&Outcome { outcome: "failed" }).inc();
        let now = (self.now)();
        let failing = &mut self.standing().pulse.failing;
        let (since, times) = failing.take().map_or((now, 0), |f| (f.since, f.times));
        let (times, error) = (times.saturating_add(1), error.to_owned());
        *failing = Some(Failing { since, times, error });
    }

    /// How the daemon fares.
    pub fn pulse(&self) -> Pulse {
        self.standing().pulse.clone()
    }

    /// As a scraper wants it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = self.dropped.load(Ordering::Relaxed);
        self.lines.inc_by(dropped.saturating_sub(self.lines.get()));
        self.tell_ages();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &registry);
        out
    }

    fn tell_ages(&self) {
        let now = (self.now)();
        // A clock that was set back makes nothing older than now.
        let age = |at: Timestamp| now.duration_since(at).as_secs_f64().max(0.0);
        let standing = self.standing();
        let Standing { due, since: Lasting { under_way, held }, pulse } = &*standing;
        let unpublished = pulse.unpublished.as_ref().map(|(since, _)| *since);
        self.queue_age.set(due.map_or(0.0, age));
        self.effect_age.set(under_way.map_or(0.0, age));
        self.publication_age.set(unpublished.map_or(0.0, age));
        self.hold_age.clear();
        for (reason, at) in held {
            self.hold_age.get_or_create(&Reason { reason: reason.clone() }).set(age(*at));
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds_of(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
