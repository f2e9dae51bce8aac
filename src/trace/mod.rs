//! Traces: which work came of which, as spans of OpenTelemetry.
//!
//! # Flow
//! A span is one of `tracing`, as for the log; a layer of the daemon's subscriber makes one of OpenTelemetry of it and, at
//! its end, puts it into a queue. Who takes it from there and sends it is above: `daemon/traces.rs`.
//! There is one switch for the whole process, as there is one log, since those who make spans stand on lower floors
//! than the settings.
//!
//! # Guarantees
//! - While it is off nothing is recorded: spans that are for traces alone do not come to be.
//! - Nobody waits: what finds no room in the queue is lost, and counted.
//! - No span holds text of others but names: ids of requests and deliveries, names of components, sources and branches,
//!   commits, numbers. No parameter, no output, no error.
//! - What came to nothing and was woken by nobody is not told of.

mod queue;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::model::TraceParent;

pub use queue::{close, open};

/// The name that only logs have spans by, which say whose lines these are: of them there may be many in a turn
/// that came to nothing.
pub const VISIT: &str = "pull";

/// Causes of one pass that are linked to: more are none the wiser.
const CAUSES: usize = 32;

/// Makes spans of OpenTelemetry of spans, for the daemon's subscriber.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let wanted = filter_fn(is_wanted).with_max_level_hint(LevelFilter::DEBUG);
    OpenTelemetryLayer::new(queue::state().tracer.clone())
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(wanted)
}

/// Ours, and those by which the AWS SDK tells of its calls: of it all others are about its inner life.
fn is_wanted(of: &Metadata<'_>) -> bool {
    let target = of.target();
    let is_ours = (target == "vend" || target.starts_with("vend::")) && of.name() != VISIT;
    let is_call = target.starts_with("aws_sdk_") && of.fields().field("rpc.method").is_some();
    queue::is_on() && of.is_span() && (is_ours || is_call)
}

fn context(of: &TraceParent) -> SpanContext {
    let trace = TraceId::from_hex(of.trace()).unwrap_or(TraceId::INVALID);
    let span = SpanId::from_hex(of.span()).unwrap_or(SpanId::INVALID);
    SpanContext::new(trace, span, TraceFlags::new(of.flags()), true, TraceState::default())
}

fn remote(of: &TraceParent) -> Context {
    Context::new().with_remote_span_context(context(of))
}

fn parent_of(context: &SpanContext) -> Option<TraceParent> {
    let (trace, span) = (context.trace_id(), context.span_id());
    TraceParent::parse(&format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8()))
}

fn context_of(span: &Span) -> SpanContext {
    span.context().span().span_context().clone()
}

/// What comes of the work at hand belongs to; `None` while traces are off.
pub fn current() -> Option<TraceParent> {
    queue::is_on().then(|| parent_of(&context_of(&Span::current()))).flatten()
}

/// Begins a span that came of these: it belongs to the first one's trace, and is linked to the others. One that came of
/// none is told of only if something comes of it: see [`keep`].
pub fn begin(span: &Span, causes: &[TraceParent]) {
    if !queue::is_on() {
        return;
    }
    if let Some((first, others)) = causes.split_first() {
        // Whoever filters it out of everything has no use for its parent.
        let _ = span.set_parent(remote(first));
        others.iter().for_each(|other| span.add_link(context(other)));
    }
    let own = context_of(span);
    if own.is_sampled() {
        if causes.is_empty() {
            queue::state().doubt(own.trace_id());
        }
        span.record("trace_id", tracing::field::display(own.trace_id()));
    }
}

/// Something comes of the work at hand: its trace is told of.
pub fn keep() {
    if queue::is_on() {
        queue::state().keep(context_of(&Span::current()).trace_id());
    }
}

/// A span of work on what belongs to another trace: it belongs there too, and is linked to the work at hand.
pub fn belongs(span: &Span, to: Option<&TraceParent>) {
    let Some(to) = to.filter(|_| queue::is_on()) else { return };
    let at_hand = context_of(&Span::current());
    let _ = span.set_parent(remote(to));
    if at_hand.trace_id() != context(to).trace_id() {
        span.add_link(at_hand);
    }
}

/// A span of work that is also about what belongs to these traces.
pub fn concerns<'a>(span: &Span, others: impl Iterator<Item = &'a TraceParent>) {
    if queue::is_on() {
        others.take(CAUSES).for_each(|other| span.add_link(context(other)));
    }
}

/// What a span is of: of a server's request, for instance. As `tracing` has no field for it.
pub fn attribute(span: &Span, name: &'static str, value: impl Into<opentelemetry::Value>) {
    if queue::is_on() {
        span.set_attribute(name, value);
    }
}

/// Names a span as the conventions of OpenTelemetry have it, and says that it is a server's.
pub fn serves(span: &Span, name: String) {
    attribute(span, queue::NAME, name);
    attribute(span, queue::KIND, "server");
}

/// A span is a call of somebody else.
pub fn calls(span: &Span) {
    attribute(span, queue::KIND, "client");
}

/// It came to a failure; how it is worded is the log's.
pub fn failed(span: &Span) {
    if queue::is_on() {
        span.set_status(Status::error(""));
    }
}

/// Something that is over, and of which no span was open all the time.
pub struct Past<'a> {
    /// What it was.
    pub name: &'static str,
    /// What it belongs to.
    pub of: &'a TraceParent,
    /// When it began.
    pub began: SystemTime,
    /// Whether it failed.
    pub failed: bool,
    /// What is to be said of it.
    pub facts: Vec<(&'static str, String)>,
}

impl Past<'_> {
    /// Tells of it, as ended now, linked to the work at hand.
    pub fn tell(self) {
        let Self { name, of, began, failed, facts } = self;
        if !queue::is_on() {
            return;
        }
        let at_hand = context_of(&Span::current());
        let is_here = at_hand.trace_id() == context(of).trace_id() || !at_hand.is_valid();
        let facts = facts.into_iter().map(|(name, value)| KeyValue::new(name, value));
        let tracer = &queue::state().tracer;
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Internal)
            .with_start_time(began)
            .with_attributes(facts)
            .with_links(if is_here { Vec::new() } else { vec![Link::with_context(at_hand)] });
        let mut span = span.start_with_context(tracer, &remote(of));
        if failed {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// What woke somebody, until it begins to work.
#[derive(Clone, Default)]
pub struct Causes(Arc<Mutex<Vec<TraceParent>>>);

impl Causes {
    /// The work at hand is one.
    pub fn add_current(&self) {
        self.add(current());
    }

    /// These are some.
    pub fn add(&self, causes: impl IntoIterator<Item = TraceParent>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for cause in causes {
            if all.len() < CAUSES && !all.contains(&cause) {
                all.push(cause);
            }
        }
    }

    /// All of them, which are none any more.
    pub fn take(&self) -> Vec<TraceParent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What woke those who work.
#[derive(Clone, Default)]
pub struct Woken {
    /// The next pass.
    pub passes: Causes,
    /// The next turn over the pull requests.
    pub turns: Causes,
}
