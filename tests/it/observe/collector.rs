//! A collector of traces: it reads what it is sent by the published schema of OTLP.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;

use super::receiver::Receiver;
use crate::daemon::eventually;

pub struct Collector(pub Receiver);

/// A span as it was sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    /// The traces that it is linked to.
    pub links: BTreeSet<String>,
    /// As the schema counts them: 1 is internal, 2 a server's, 3 a client's.
    pub kind: i32,
    pub attributes: BTreeMap<String, String>,
    pub began: u64,
    pub ended: u64,
}

impl Span {
    pub fn is(&self, name: &str, attribute: &str, value: &str) -> bool {
        self.name == name && self.attributes.get(attribute).is_some_and(|it| it == value)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |it: &KeyValue| match it.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    of.iter().map(|it| (it.key.clone(), text(it))).collect()
}

impl Collector {
    pub fn start() -> Self {
        let receiver = Receiver::start();
        receiver.answer(200);
        Self(receiver)
    }

    pub fn url(&self) -> String {
        self.0.url("/v1/traces")
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let got = self.0.got().into_iter();
        got.map(|it| ExportTraceServiceRequest::decode(&it.body[..]).unwrap()).collect()
    }

    /// What the first request says of whose spans these are.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let first = self.requests().into_iter().flat_map(|it| it.resource_spans).next().unwrap();
        attributes(&first.resource.unwrap().attributes)
    }

    /// All spans so far, as they came.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|it| it.resource_spans);
        let spans = resources.flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
        let read = |it: opentelemetry_proto::tonic::trace::v1::Span| Span {
            name: it.name,
            trace: hex(&it.trace_id),
            id: hex(&it.span_id),
            parent: hex(&it.parent_span_id),
            links: it.links.iter().map(|link| hex(&link.trace_id)).collect(),
            kind: it.kind,
            attributes: attributes(&it.attributes),
            began: it.start_time_unix_nano,
            ended: it.end_time_unix_nano,
        };
        spans.map(read).collect()
    }

    /// The spans of one trace, once each of them comes of one that is there, but for the one root: that goes first.
    #[track_caller]
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let whole = || {
            let mut all = self.spans();
            all.retain(|span| span.trace == id);
            all.sort_by_key(|span| (!span.parent.is_empty(), span.began));
            let ids: BTreeSet<&str> = all.iter().map(|span| span.id.as_str()).collect();
            assert_eq!(ids.len(), all.len(), "each is sent once: {all:#?}");
            assert!(all.iter().all(|span| span.began <= span.ended), "{all:#?}");
            let comes = |span: &Span| ids.contains(span.parent.as_str());
            let is_whole = all.first()?.parent.is_empty() && all[1..].iter().all(comes);
            is_whole.then_some(all)
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("a whole trace with one root", whole)
        })) {
            Ok(all) => all,
            Err(_) => {
                let mut all = self.spans();
                all.retain(|span| span.trace == id);
                panic!("no whole trace: {all:#?}")
            }
        }
    }

    /// Waits for a span like this.
    #[track_caller]
    pub fn span(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        let mut last = Vec::new();
        let found = || {
            last = self.spans();
            last.iter().find(|span| is_it(span)).cloned()
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eventually(what, found))) {
            Ok(span) => span,
            Err(_) => panic!("no span: {what}, in {:#?}", self.spans()),
        }
    }
}
