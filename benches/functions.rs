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
        let fully = || yaml::read_fully(&file, text.as_bytes(), &options).expect("a valid request");
        group.bench_function("read by the full reader alone", |b| b.iter(|| black_box(fully())));
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
            secrets: std::collections::BTreeSet::new(),
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

/// A catalog of one template for `files`, as `catalog::load` takes it.
fn catalog() -> vend::catalog::Catalog {
    let template = "\
apiVersion: vend.dev/v1
kind: Template
metadata: {name: sqs-queue, version: 1.2.0, title: Queue, description: A queue., owner: platform}
spec:
  parameters: schema.json
  components:
    - {name: queue, provider: files, source: queue.yaml.hbs}
";
    let schema = r#"{
        "type": "object", "additionalProperties": false, "required": ["retentionDays"],
        "properties": {
            "fifo": {"type": "boolean", "default": false},
            "retentionDays": {"type": "integer", "minimum": 1, "maximum": 14},
            "visibilityTimeoutSeconds": {"type": "integer", "minimum": 0, "default": 30},
            "maxReceiveCount": {"type": "integer", "minimum": 1, "default": 5},
            "alarmAfterMinutes": {"type": "integer", "minimum": 1, "default": 15},
            "consumers": {"type": "array", "items": {"type": "string"}, "default": []}
        }
    }"#;
    let environment = "\
apiVersion: vend.dev/v1
kind: Environment
metadata: {name: prod}
spec: {providers: {files: {directory: /srv/out}}, variables: {topic: t}}
";
    let files = [
        (
            "catalog.yaml",
            "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: bench}\nspec: {format: 1}\n",
        ),
        ("templates/sqs-queue/1.2.0/template.yaml", template),
        ("templates/sqs-queue/1.2.0/schema.json", schema),
        ("templates/sqs-queue/1.2.0/queue.yaml.hbs", include_str!("data/small.yaml.hbs")),
        ("environments/prod.yaml", environment),
    ];
    let files = files.into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect();
    let (catalog, problems) = vend::catalog::load(&files, None);
    assert!(problems.iter().all(|p| !p.is_error()), "{problems:?}");
    catalog
}

/// Reading a request against its schema, and holding it against the catalog; one with an error too,
/// whose explanation is the dear part.
fn check(c: &mut Criterion) {
    use vend::catalog::{self, Filled, Verdict};
    use vend::model::RequestId;

    let catalog = catalog();
    let path: Arc<str> = Arc::from("requests/orders/prod/orders-events.yaml");
    let id = RequestId::parse("orders/prod/orders-events").expect("an id");
    let good = include_str!("data/request-470.yaml");
    let bad = good.replace("retentionDays: 4", "retentionDays: many");
    let fill = |_: &vend::model::Reference, _: Option<&str>| Filled::Refused("none".into());
    for (what, text) in [("valid", good), ("with an error", bad.as_str())] {
        let read = || catalog::request(&path, &id, text.as_bytes()).expect("it can be read");
        let check = |file: &_| catalog::check(&catalog, file, None, &["files"], &fill);
        assert_eq!(matches!(check(&read()), Verdict::Checked(_)), what == "valid");
        let file = read();
        c.bench_function(&format!("request, {what}"), |b| b.iter(|| black_box(read())));
        c.bench_function(&format!("check, {what}"), |b| b.iter(|| black_box(check(&file))));
    }
}

/// Values of model types, all alike but for their number.
mod world {
    use std::sync::Arc;

    use std::collections::BTreeMap;

    use vend::digest::{Digest, of};
    use vend::model::{
        ComponentName, ComponentRecord, Desired, DesiredComponent, InstanceId, Map, ObjectId,
        Observed, OnDrift, Origin, Record, RequestId, SourceName, Spec, TargetKey, TargetName,
        TemplateId, Token, Wanted,
    };
    use vend::store::DesiredRow;

    pub fn instance() -> InstanceId {
        InstanceId::new("i-bench")
    }

    pub fn id(n: usize) -> RequestId {
        RequestId::parse(&format!("team-{:03}/prod/queue-{n:06}", n % 100)).expect("an id")
    }

    fn origin(n: usize) -> Origin {
        let path = format!("requests/{}.yaml", id(n)).into();
        Origin { source: SourceName::new("requests"), path }
    }

    fn template() -> TemplateId {
        TemplateId { name: "sqs-queue".into(), version: semver::Version::new(1, 2, 0) }
    }

    fn parameters(n: usize) -> Map {
        Map::from([("size".to_owned(), n.into()), ("fifo".to_owned(), true.into())])
    }

    fn settings() -> Map {
        Map::from([("directory".to_owned(), "/srv/out".into()), ("path".to_owned(), "a".into())])
    }

    pub fn desired(n: usize, state: u32) -> Desired {
        let component = DesiredComponent {
            name: ComponentName::new("queue"),
            moved_from: None,
            provider: "files".into(),
            settings: settings(),
            needs: vec![],
            digest: of(&(n, state)),
            unknown: vec![],
        };
        let spec = Spec {
            template: template(),
            template_digest: of(&"template"),
            upgrade: None,
            parameters: parameters(n),
            sensitive: vec![],
            references: BTreeMap::new(),
            labels: BTreeMap::new(),
            protect: false,
            adopt: false,
            timeout: None,
            lifetime: None,
            suspend: false,
            tombstone: false,
            moved_from: None,
            reason: None,
            on_drift: OnDrift::Report,
            components: vec![component],
            outputs: BTreeMap::new(),
            change_rules: BTreeMap::new(),
        };
        let wanted = Wanted::Valid(Box::new(spec));
        Desired { id: id(n), origin: origin(n), content: of(&n), wanted, notes: vec![] }
    }

    pub fn row(n: usize) -> DesiredRow {
        let desired = desired(n, 0);
        let (key, fingerprint) = (desired.content, desired.fingerprint());
        let mut blob = [0; 20];
        blob.copy_from_slice(&key.bytes()[..20]);
        DesiredRow { desired: Arc::new(desired), blob: ObjectId(blob), key, fingerprint }
    }

    pub fn record(n: usize) -> Record {
        let name = ComponentName::new("queue");
        let key = TargetKey { request: id(n), component: name.clone() };
        let target = TargetName::compute(&instance(), &key);
        let digest: Digest = of(&(n, 0));
        let now = jiff::Timestamp::UNIX_EPOCH;
        let component = ComponentRecord {
            provider: "files".into(),
            token: Token::derive(&instance(), &target, &digest, 0, now),
            target,
            settings: settings(),
            id: None,
            digest,
            state: "Written".into(),
            outputs: Map::new(),
            mark: None,
            labels: std::collections::BTreeSet::new(),
            link: None,
            needs: vec![],
            attempts: 1,
            drift: vec![],
            drift_since: None,
            checked: Some(now),
            unchecked: None,
            guarded: None,
        };
        Record {
            id: id(n),
            origin: origin(n),
            settled: Some(desired(n, 0).fingerprint()),
            template: template(),
            template_digest: of(&"template"),
            parameters: parameters(n),
            sensitive: vec![],
            digests: BTreeMap::new(),
            references: BTreeMap::new(),
            labels: BTreeMap::new(),
            protect: false,
            tombstone: false,
            life: None,
            former: Vec::new(),
            whole_at: None,
            components: BTreeMap::from([(name, component)]),
            output_specs: BTreeMap::new(),
            observed: Observed::default(),
            last_apply: None,
        }
    }
}

/// Planning ten thousand requests that all differ from what is recorded, without having looked.
fn plan(c: &mut Criterion) {
    use std::collections::{BTreeMap, BTreeSet};

    use vend::plan::{Case, Expiry, Guards, Situation, Totals, plan};

    let mut group = c.benchmark_group("plan");
    group.sample_size(10);
    for count in [1_000, 10_000] {
        let case = |n| Case {
            id: world::id(n),
            desired: Some(Arc::new(world::desired(n, 1))),
            gone: None,
            recorded: Some(world::record(n)),
            live: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            drift_due: false,
            barred: None,
            later: BTreeSet::new(),
            untouched: BTreeSet::new(),
            may_have_moved: false,
            stopped: None,
            taken: BTreeSet::new(),
        };
        let (instance, none) = (world::instance(), BTreeSet::new());
        let situation = Situation {
            now: jiff::Timestamp::UNIX_EPOCH,
            instance: &instance,
            cases: (0..count).map(case).collect(),
            totals: Totals { recorded: count as u64, by_team: BTreeMap::new() },
            settled: 0,
            sources: BTreeMap::new(),
            dependents: &|_| Vec::new(),
            references: &|_| Vec::new(),
            stands: &|_| true,
            approvals: &none,
            guards: Guards::default(),
            expiry: Expiry::default(),
            blind: true,
        };
        assert_eq!(plan(&situation).steps.len(), count);
        group.throughput(Throughput::Elements(count as u64));
        group
            .bench_function(format!("{count} updates"), |b| b.iter(|| black_box(plan(&situation))));
    }
    group.finish();
}

/// One durable commit of one and of a thousand requests, and loading the index of ten thousand.
fn store(c: &mut Criterion) {
    use vend::store::{Acquired, Holder, Sqlite, Store, Write};

    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(&folder.path().join("vend.sqlite")).expect("a store");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let now = jiff::Timestamp::now();
    let ttl = jiff::SignedDuration::from_hours(1);
    let acquired = runtime.block_on(store.acquire(&Holder::here(), now, ttl)).expect("an answer");
    let Acquired::Held(lease) = acquired else { panic!("nobody else is here") };
    let writes = |from: usize, count: usize| -> Vec<Write> {
        let one = |n| {
            [Write::Desired(Box::new(world::row(n))), Write::Record(Box::new(world::record(n)))]
        };
        (from..from + count).flat_map(one).collect()
    };
    let commit = |writes| runtime.block_on(store.commit(&lease, writes)).expect("it is written");
    let mut group = c.benchmark_group("store");
    group.sample_size(10);
    for count in [1, 1_000] {
        group.bench_function(format!("commit {count}"), |b| {
            b.iter_batched(|| writes(0, count), commit, criterion::BatchSize::PerIteration);
        });
    }
    commit(writes(0, 10_000));
    group.bench_function("index of 10,000", |b| {
        b.iter(|| black_box(runtime.block_on(store.index()).expect("it is read")));
    });
    group.finish();
}

criterion_group!(benches, yaml_read, render, check, plan, store);
criterion_main!(benches);
