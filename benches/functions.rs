//! Criterion benchmarks of single functions; `make bench` runs them and the whole-process scripts.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vend::yaml;

/// Reading a request, beside the floor: the same content as JSON through serde_json.
fn yaml_read(c: &mut Criterion) {
    let requests = [
        ("470 bytes", include_str!("data/request-470.yaml")),
        ("841 bytes", include_str!("data/request-841.yaml")),
    ];
    let file: Arc<str> = Arc::from("requests/orders/prod/orders-events.yaml");
    let options = yaml::Options::request();
    for (size, text) in requests {
        let read = || yaml::read(&file, text.as_bytes(), &options).expect("a valid request");
        let documents = read();
        let json = documents[0].to_json().to_string();
        let mut group = c.benchmark_group(format!("yaml, {size}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("read", |b| b.iter(|| black_box(read())));
        group.bench_function("to_json", |b| b.iter(|| black_box(documents[0].to_json())));
        group.bench_function("write", |b| b.iter(|| black_box(yaml::write(&documents))));
        group.bench_function("floor: serde_json", |b| {
            b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&json)));
        });
        group.finish();
    }
}

/// Rendering for one request after another: values differ, and so does the way through conditions.
fn render(c: &mut Criterion) {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;
    use vend::model::RequestId;
    use vend::render::{Context, Flavour, Limits, Slot, Source, compile};

    let templates = [
        ("8 lines", "small.yaml.hbs", include_str!("data/small.yaml.hbs"), Flavour::Plain),
        (
            "a stack of 60 lines",
            "stack.yaml.hbs",
            include_str!("data/stack.yaml.hbs"),
            Flavour::CloudFormation,
        ),
    ];
    let context = |n: usize| {
        let parameters =
            json!({"fifo": n.is_multiple_of(2), "retentionDays": n % 14 + 1, "visibility": 30});
        Context {
            request: json!({
                "id": format!("orders/prod/events-{n}"), "team": "orders", "environment": "prod",
                "name": format!("events-{n}"), "labels": {"service": "orders"},
            }),
            parameters: (parameters.as_object().into_iter().flatten())
                .map(|(name, value)| (name.clone(), Slot::Known(value.clone())))
                .collect(),
            environment: json!({"name": "prod", "variables": {"topic": "arn:aws:sns:x"}}),
            template: json!({"name": "queue", "version": "1.2.0"}),
            components: BTreeMap::new(),
            pending: BTreeSet::new(),
            request_id: RequestId::parse("orders/prod/events").expect("an id"),
        }
    };
    let contexts: Vec<_> = (0..100).map(context).collect();
    for (size, path, text, flavour) in templates {
        let sources = BTreeMap::from([(path.to_owned(), Source::Template(text.into()))]);
        let read =
            || compile(&sources, "", &BTreeMap::new(), "", flavour).expect("a valid template");
        c.bench_function(&format!("compile {size}"), |b| b.iter(|| black_box(read())));
        let compiled = read();
        let mut next = contexts.iter().cycle();
        c.bench_function(&format!("render {size}"), |b| {
            b.iter(|| {
                let context = next.next().expect("an endless cycle");
                black_box(compiled.render(context, &Limits::default()).expect("it renders"))
            });
        });
    }
}

criterion_group!(benches, yaml_read, render);
criterion_main!(benches);
