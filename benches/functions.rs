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

criterion_group!(benches, yaml_read);
criterion_main!(benches);
