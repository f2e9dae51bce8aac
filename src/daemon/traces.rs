//! Sending spans to their collector, beside the passes.
//!
//! # Guarantees
//! - A collector that is slow, down or hostile delays nothing and costs spans alone, which are counted. That it takes
//!   none is said once, and that it takes them again.
//! - Spans that wait are few enough to be forgotten: see [`WAITING`].
//! - The end waits no longer than [`FLUSH_WITHIN`] for the last of them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, header};
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{Config, TraceSettings};
use crate::error::chain;
use crate::forge::Secret;
use crate::git::Block;
use crate::meter::meter;
use crate::notify::{Address, Answer, Outgoing};
use crate::trace;

/// Spans that wait to be sent; a few KiB each at the most.
const WAITING: usize = 4_096;

/// Spans in one request.
const BATCH: usize = 512;

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take for its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long it is left alone after it took none, at first and at most; it doubles.
const REST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(60);

/// How long the end waits for the last spans: a stopping daemon has five seconds for everything.
const FLUSH_WITHIN: Duration = Duration::from_millis(400);

/// What sends spans, if any are made.
pub(super) struct Traces {
    /// What it was opened with.
    settings: Option<TraceSettings>,
    /// Dropped when the end is near.
    open: Option<watch::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Traces {
    /// From now on traces are made as `config` says.
    pub(super) fn open(config: &Config) -> Self {
        let nothing = Self { settings: None, open: None, task: None };
        let Some(settings) = config.settings.traces.clone() else { return nothing };
        let client = match Client::new(config, &settings) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(error, "no traces are made");
                return nothing;
            }
        };
        let why = client.why.clone();
        let built = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            // The client knows better, and what the environment says of it counts for nothing.
            .with_endpoint("http://localhost/v1/traces")
            .with_timeout(DEADLINE)
            // Between its tries it would keep a thread of the runtime waiting.
            .with_retry_policy(RetryPolicy::disabled())
            .build();
        let mut exporter = match built {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(error = chain(&error), "no traces are made");
                return nothing;
            }
        };
        let TraceSettings { service_name, attributes, sample_ratio, .. } = &settings;
        let said =
            attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(said)
            .with_attribute(KeyValue::new("service.name", service_name.clone()))
            .build();
        exporter.set_resource(&resource);
        meter().traces();
        let (out, spans) = mpsc::channel(WAITING);
        let (open, ends) = watch::channel(());
        trace::open(out, *sample_ratio);
        let task = tokio::spawn(Sending { exporter, why, spans, ends }.run());
        Self { settings: Some(settings), open: Some(open), task: Some(task) }
    }

    /// As [`Traces::open`], where something is another way now.
    pub(super) async fn reopen(&mut self, before: &Config, config: &Config) {
        let network = |config: &Config| config.settings.network.allow.clone();
        if self.settings == config.settings.traces && network(before) == network(config) {
            return;
        }
        self.end().await;
        *self = Self::open(config);
    }

    /// Makes no more, and sends what waits.
    pub(super) async fn end(&mut self) {
        if let Some(mut task) = self.task.take() {
            trace::close();
            drop(self.open.take());
            if tokio::time::timeout(FLUSH_WITHIN, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            trace::close();
            task.abort();
        }
    }
}

/// Takes spans from their queue, and sends them.
struct Sending {
    exporter: SpanExporter,
    why: Arc<Mutex<Option<String>>>,
    spans: mpsc::Receiver<SpanData>,
    /// Closed when the end is near.
    ends: watch::Receiver<()>,
}

impl Sending {
    async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let batch = self.next().await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            let sent = tokio::time::timeout(DEADLINE, self.exporter.export(batch)).await;
            if matches!(sent, Ok(Ok(()))) {
                meter().spans("sent", count);
                if std::mem::take(&mut failures) > 0 {
                    tracing::info!("the collector takes spans again");
                }
                continue;
            }
            meter().spans("dropped", count);
            if failures == 0 {
                let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
                let error = why.unwrap_or_else(|| "no answer in time".into());
                tracing::warn!(
                    error,
                    "the collector takes no spans; they are dropped until it does"
                );
            }
            failures = failures.saturating_add(1);
            let rest = REST * 2_u32.saturating_pow(failures.min(10) - 1);
            // Meanwhile they gather, as far as there is room.
            let _ = tokio::time::timeout(rest.min(REST_MOST), self.ends.changed()).await;
        }
    }

    /// Those that end about the same time; none: there will be no more.
    async fn next(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        self.spans.recv_many(&mut batch, BATCH).await;
        let until = Instant::now() + GATHER;
        while !batch.is_empty() && batch.len() < BATCH {
            match tokio::time::timeout_at(until, self.spans.recv()).await {
                Ok(Some(span)) => batch.push(span),
                Ok(None) | Err(_) => break,
            }
        }
        batch
    }
}

/// Posts what is made ready for it to the one address that the settings name.
struct Client {
    outgoing: Outgoing,
    to: Address,
    headers_file: Option<PathBuf>,
    /// Why the last request was not taken: the exporter does not hand it on.
    why: Arc<Mutex<Option<String>>>,
}

impl Client {
    fn new(config: &Config, settings: &TraceSettings) -> Result<Self, String> {
        let to = Address::parse(&settings.endpoint)?;
        let blocks = config.settings.network.allow.iter();
        let allow: Vec<Block> = blocks.filter_map(|block| Block::parse(block)).collect();
        let headers_file = settings.headers_file.clone();
        let outgoing = Outgoing::new(allow).trusting(settings.ca_file.clone());
        Ok(Self { outgoing, to, headers_file, why: Arc::default() })
    }

    async fn post(&self, body: Bytes) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.headers_file {
            // Read anew each time: it may be rotated.
            let text = Secret::read(file).map_err(|error| chain(&error))?;
            for (n, line) in text.expose().lines().enumerate().filter(|(_, l)| !l.trim().is_empty())
            {
                let (name, value) = header_of(line).ok_or_else(|| {
                    let (file, n) = (file.display(), n + 1);
                    format!("file `{file}`, line {n}: expected a header as `name: value`")
                })?;
                headers.append(name, value);
            }
        }
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, kind);
        let answer = self.outgoing.post(&self.to, headers, body, DEADLINE).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(format!("it answers {}", answer.status.as_u16()))
    }
}

fn header_of(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name: HeaderName = name.trim().parse().ok()?;
    let mut value: HeaderValue = value.trim().parse().ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.post(request.into_body()).await {
            Ok(Answer { status, body }) => Ok(Response::builder().status(status).body(body)?),
            Err(why) => {
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
                Err(why.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_that_is_not_printed() {
        let (name, value) = header_of("  X-Api-Key:  hush:hush ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-api-key", "hush:hush"));
        assert!(!format!("{value:?}").contains("hush"));
        for bad in ["hush", ": hush", "a b: hush", "a: \u{1}"] {
            assert!(header_of(bad).is_none(), "{bad}");
        }
    }
}
