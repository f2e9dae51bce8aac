//! Where spans go when they end, until they are sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{
    Link, SpanId, SpanKind, TraceContextExt as _, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span,
    SpanData, SpanProcessor,
};
use tokio::sync::mpsc::Sender;

use crate::meter::meter;

/// Spans of a trace of which is not known whether it is told of: a pass that does more than these does something.
const DOUBTED: usize = 256;

/// The one of this process.
pub(super) fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let provider = SdkTracerProvider::builder()
            .with_sampler(Share)
            .with_span_processor(Queue)
            // Who sends says of whom it is.
            .with_resource(Resource::builder_empty().build())
            .build();
        State {
            tracer: provider.tracer("vend"),
            ratio: AtomicU64::new(0),
            out: Mutex::default(),
            doubted: Mutex::default(),
        }
    })
}

static ON: AtomicBool = AtomicBool::new(false);

/// Whether anything is recorded.
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// From now on spans of this share of all traces go into `out`.
pub fn open(out: Sender<SpanData>, ratio: f64) {
    let state = state();
    state.ratio.store(ratio.to_bits(), Ordering::Relaxed);
    *state.out() = Some(out);
    switch(true);
}

/// From now on nothing is recorded. What was put into the queue before may still be taken from it.
pub fn close() {
    switch(false);
    *state().out() = None;
    state().doubted().clear();
}

fn switch(on: bool) {
    ON.store(on, Ordering::Relaxed);
    // Each place where a span begins remembers whether anybody wants it.
    tracing::callsite::rebuild_interest_cache();
}

pub(super) struct State {
    pub(super) tracer: SdkTracer,
    /// The bits of a fraction.
    ratio: AtomicU64,
    out: Mutex<Option<Sender<SpanData>>>,
    /// Spans that have ended, of traces that came of nothing, and of which nothing came yet.
    doubted: Mutex<HashMap<TraceId, Vec<SpanData>>>,
}

impl State {
    fn out(&self) -> MutexGuard<'_, Option<Sender<SpanData>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubted(&self) -> MutexGuard<'_, HashMap<TraceId, Vec<SpanData>>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans of this trace wait until it is kept, and go with its root if it is not.
    pub(super) fn doubt(&self, trace: TraceId) {
        self.doubted().insert(trace, Vec::new());
    }

    pub(super) fn keep(&self, trace: TraceId) {
        let kept = self.doubted().remove(&trace);
        kept.into_iter().flatten().for_each(|span| self.put(span));
    }

    fn put(&self, span: SpanData) {
        let is_lost = self.out().as_ref().is_some_and(|out| out.try_send(span).is_err());
        if is_lost {
            meter().spans("dropped", 1);
        }
    }

    fn ended(&self, mut span: SpanData) {
        finish(&mut span);
        let trace = span.span_context.trace_id();
        let mut doubted = self.doubted();
        let Some(waiting) = doubted.get_mut(&trace) else {
            drop(doubted);
            return self.put(span);
        };
        if span.parent_span_id == SpanId::INVALID {
            doubted.remove(&trace);
            return;
        }
        waiting.push(span);
        let is_much = waiting.len() >= DOUBTED;
        drop(doubted);
        if is_much {
            self.keep(trace);
        }
    }
}

/// Gives a span the name and the role that it has on the wire: as fields of it they would stand in the log.
fn finish(span: &mut SpanData) {
    let mut taken = |name: &str| {
        let at = span.attributes.iter().position(|it| it.key.as_str() == name)?;
        Some(span.attributes.swap_remove(at).value.to_string())
    };
    let (name, kind) = (taken(NAME), taken(KIND));
    if let Some(name) = name {
        span.name = name.into();
    }
    let is_call = span.attributes.iter().any(|it| it.key.as_str() == "rpc.method");
    match kind.as_deref() {
        Some("server") => span.span_kind = SpanKind::Server,
        Some("client") => span.span_kind = SpanKind::Client,
        _ if is_call => span.span_kind = SpanKind::Client,
        _ => {}
    }
}

/// The attributes by which a span says its name and its role.
pub(super) const NAME: &str = "otel.name";
pub(super) const KIND: &str = "otel.kind";

/// Takes spans as they end.
#[derive(Debug)]
struct Queue;

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        state().ended(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What came of something sampled is sampled, and of the rest a share.
#[derive(Clone, Debug)]
struct Share;

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone());
        let Some(parent) = parent.filter(|parent| parent.is_valid()) else {
            let ratio = f64::from_bits(state().ratio.load(Ordering::Relaxed));
            let share = Sampler::TraceIdRatioBased(ratio);
            return share.should_sample(None, trace, name, kind, attributes, links);
        };
        let decision = match parent.is_sampled() {
            true => SamplingDecision::RecordAndSample,
            false => SamplingDecision::Drop,
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}
