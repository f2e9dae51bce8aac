//! Traces and the ids of log lines: the real daemon, GitHub's deliveries, stacks, and a collector.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::collector::{Collector, Span};
use super::receiver::{FLOODS, HANGS};
use super::{counted, sample};
use crate::daemon::{Serving, eventually};
use crate::github::{Fault, signature};
use crate::remote::certificate::{Authority, Front};
use crate::review::{Desk, SECRET};
use crate::stacks::Account;
use crate::world::{STATUS, World, ask, note, request};

fn traces(collector: &Collector) -> Value {
    json!({"endpoint": collector.url(), "attributes": {"deployment.environment.name": "test"}})
}

/// A desk that nothing but deliveries wakes.
fn hearing(traces: Value) -> Desk {
    let mut desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
        c["forge"]["webhook"] = json!({"listen": listen, "secretFile": secret});
        c["traces"] = traces;
    });
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    desk
}

/// What the log says, line by line.
fn lines(daemon: &Serving) -> Vec<Value> {
    daemon.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn says(line: &Value, message: &str) -> bool {
    line["fields"]["message"] == message
}

/// A field of the span of that name around a line.
fn of_span(line: &Value, span: &str, field: &str) -> Option<String> {
    let spans = line["spans"].as_array()?;
    let value = &spans.iter().find(|it| it["name"] == span)?[field];
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|n| n.to_string()))
}

/// Waits until all spans that have ended were sent: one that ends now comes after them. What else came is given.
#[track_caller]
fn drained(desk: &Desk, collector: &Collector, before: usize) -> Vec<Span> {
    let signed = signature(SECRET, b"{}");
    assert_eq!(desk.hub.forge("ping", b"{}", Some(&signed)), Ok(204));
    let is_ping = |span: &Span| span.is("POST /webhook/github", "event", "ping");
    eventually("the last delivery is told of", || {
        collector.spans()[before..].iter().any(is_ping).then_some(())
    });
    let mut more = collector.spans().split_off(before);
    more.retain(|span| !is_ping(span));
    more
}

#[test]
fn from_the_delivery_to_the_commit_of_the_status_is_one_trace() {
    let collector = Collector::start();
    let desk = hearing(traces(&collector));
    let daemon = desk.serve();
    // What the turn finds that the first pass wakes is not a delivery's.
    collector.span("the turn of the first pass", |it| it.name == "turn");
    let id = "orders/dev/one";
    let n = desk.propose("ada", "one", [ask(id, note("one"))]);
    desk.says(n, &["1 to create"]);
    let asked = collector.span("the comment", |it| it.name == "comment");
    let first = collector.trace(&asked.trace).remove(0);
    assert_eq!((first.name.as_str(), first.kind), ("POST /webhook/github", 2), "{first:#?}");
    assert_eq!(asked.attributes["vcs.change.id"], n.to_string());

    desk.repo().merge("grace", n);
    desk.ready(id);
    desk.says(n, &["Done"]);
    // The commit that says how the request ended, and what it came of.
    let done = collector.span("the effect", |it| it.is("effect", "vend.request", id));
    let said = |it: &Span| it.name == "publish" && it.trace == done.trace;
    let published = collector.span("the publication", said);
    let revision = &published.attributes["vcs.ref.head.revision"];
    assert_eq!(published.attributes["vcs.ref.head.name"], STATUS);
    desk.world.requests.git(&["merge-base", "--is-ancestor", revision, STATUS]);
    for parent in [&done.parent, &published.parent] {
        collector.span("the pass", |it| it.id == *parent);
    }
    let all = collector.trace(&done.trace);
    let delivery = &all[0];
    assert_eq!(delivery.name, "POST /webhook/github");
    assert_eq!(delivery.attributes["http.response.status_code"], "204");
    let names: BTreeSet<&str> = all.iter().map(|span| span.name.as_str()).collect();
    for name in
        ["pass", "fetch", "evaluate", "plan", "journal", "provider", "effect", "publish", "push"]
    {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    let by_id = |id: &str| all.iter().find(|span| span.id == id).unwrap();
    let pass = by_id(&done.parent);
    assert_eq!((pass.name.as_str(), by_id(&published.parent).name.as_str()), ("pass", "pass"));
    assert!(by_id(&pass.parent).name != "pass", "a delivery, or the turn that it woke, wakes it");
    let submit = all.iter().find(|it| it.is("provider", "operation", "submit")).unwrap();
    assert_eq!((submit.kind, submit.parent == pass.id), (3, true), "{submit:#?}");
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "vend");
    assert_eq!(resource["deployment.environment.name"], "test");

    // Its lines say so.
    let log = lines(&daemon);
    for message in ["intent", "done"] {
        let line = log.iter().find(|it| says(it, message)).unwrap();
        assert_eq!(line["fields"]["request"], id);
        assert_eq!(of_span(line, "pass", "id").as_ref(), pass.attributes.get("id"), "{line}");
        assert_eq!(of_span(line, "pass", "trace_id").as_ref(), Some(&done.trace), "{line}");
    }
    let heard = log.iter().filter(|it| says(it, "a delivery wakes us"));
    let heard: BTreeSet<_> = heard.map(|it| of_span(it, "delivery", "id").unwrap()).collect();
    let sent: BTreeSet<_> = desk.hub.deliveries().into_iter().map(|it| it.id).collect();
    assert!(!heard.is_empty() && heard.is_subset(&sent), "{heard:?} {sent:?}");

    // Again: nothing to do, and nothing to tell.
    let count = drained(&desk, &collector, 0).len();
    let before = collector.spans().len();
    assert!(count < before);
    let quiet = || sample(&daemon, "vend_passes_total{outcome=\"quiet\"}").unwrap_or_default();
    let was = quiet();
    for n in 1..=2 {
        daemon.signal("-HUP");
        eventually("a quiet pass", || (quiet() >= was + f64::from(n)).then_some(()));
    }
    let mut more = drained(&desk, &collector, before);
    // What was told before, and was not over.
    let known: BTreeSet<String> =
        collector.spans()[..before].iter().map(|it| it.trace.clone()).collect();
    more.retain(|it| !known.contains(&it.trace));
    assert!(more.is_empty(), "{more:#?}");
}

#[test]
fn the_callers_trace_goes_on_and_a_visit_is_named_in_the_log() {
    let collector = Collector::start();
    let desk = hearing(traces(&collector));
    let daemon = desk.serve();
    let comments = "/repos/acme/requests/issues/1/comments";
    desk.hub.fault("POST", comments, None, Fault::Status(503));
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let _ = daemon.logged("what is to be said on pull requests waits");
    desk.hub.mend();
    let log = lines(&daemon);
    let line = log.iter().find(|it| says(it, "what is to be said on pull requests waits")).unwrap();
    assert_eq!(of_span(line, "pull", "number"), Some(n.to_string()), "{line}");
    assert!(of_span(line, "turn", "id").is_some(), "{line}");

    let address = lines(&daemon).iter().find(|it| says(it, "listening for webhooks")).unwrap()
        ["fields"]["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"repository": {"full_name": "acme/requests"}, "ref": "refs/heads/main"});
    let body = body.to_string();
    let send = |parents: &[&str]| {
        use std::io::{Read as _, Write as _};
        let signed = signature(SECRET, body.as_bytes());
        let parents = parents.iter().map(|it| format!("traceparent: {it}\r\n")).collect::<String>();
        let head = format!(
            "POST /webhook/github HTTP/1.1\r\nhost: vend\r\nconnection: close\r\n\
             content-type: application/json\r\nx-github-event: push\r\n\
             x-hub-signature-256: {signed}\r\n{parents}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    };
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let good = format!("00-{trace}-{parent}-01");
    let unsampled = format!("00-{}-{parent}-00", trace.replace('4', "5"));
    // What is not well-formed, or said twice, is as if it were not there.
    send(&[&good.to_uppercase()]);
    send(&[&good, &good]);
    send(&[&unsampled]);
    send(&[&good]);
    let its = collector.span("the caller's trace", |it| it.trace == trace);
    assert_eq!((its.name.as_str(), its.parent.as_str()), ("POST /webhook/github", parent));
    let others = drained(&desk, &collector, 0);
    assert_eq!(others.iter().filter(|it| it.parent == parent).count(), 1, "{others:#?}");
    assert!(others.iter().all(|it| !unsampled.contains(&it.trace)), "{others:#?}");
}

#[test]
fn a_stack_that_outlives_its_daemon_ends_in_the_trace_that_began_it() {
    let collector = Collector::start();
    let mut it = Account::new();
    it.world.configure(|c| {
        c["reconcile"] = json!({"interval": "500ms"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
        c["traces"] = traces(&collector);
    });
    let id = "orders/dev/steps";
    let steps =
        |round: u32| request("steps@1.0.0", &format!("{{round: {round}, seconds: 6{round}}}"));
    it.world.requests.commit([ask(id, steps(0))]);
    let mut daemon = Serving::ready(&it.world);
    let made = collector.span("it is made", |span| span.is("effect", "vend.action", "create"));
    let is_ready = || it.world.status_or_none(id).filter(|status| status["phase"] == "Ready");
    eventually("it is said", is_ready);
    let stack = it.stack(id);
    let is_submit = |span: &Span| span.is("provider", "operation", "submit");
    let submits = || collector.spans().into_iter().filter(is_submit).collect::<Vec<_>>();
    let before = submits().len();
    it.world.requests.commit([ask(id, steps(1))]);
    it.aws.eventually("the update is under way", || {
        (it.aws.stack(&stack)?.stack_status?.as_str() == "UPDATE_IN_PROGRESS").then_some(())
    });
    let began = eventually("it is told of", || submits().into_iter().nth(before));
    assert_ne!(began.trace, made.trace);
    collector.span("the pass", |span| span.id == began.parent);
    daemon.kill();

    let count = collector.spans().len();
    let mut daemon = Serving::ready(&it.world);
    let polled = eventually("it is asked about", || {
        let mut more = collector.spans().split_off(count).into_iter();
        more.find(|span| span.name == "poll" && span.trace == began.trace)
    });
    assert_eq!((&polled.parent, polled.links.len()), (&began.parent, 1), "{polled:#?}");
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    let ended = collector.span("its end", |span| span.is("effect", "vend.action", "update"));
    assert_eq!((&ended.trace, &ended.parent), (&began.trace, &began.parent));
    let published = |span: &Span| {
        span.name == "publish" && span.trace == began.trace && span.ended > ended.ended
    };
    let published = collector.span("the status", published);
    let revision = &published.attributes["vcs.ref.head.revision"];
    let status = it.world.requests.git(&["show", &format!("{revision}:status/{id}.yaml")]);
    assert!(status.contains("phase: Ready"), "{status}");
    let mut all = collector.spans();
    all.retain(|span| span.trace == began.trace);
    let roots: Vec<_> = all.iter().filter(|span| span.parent.is_empty()).collect();
    assert!(matches!(&roots[..], [pass] if pass.name == "pass"), "{roots:#?}");
    assert!(all.iter().any(|span| span.attributes.contains_key("rpc.method")), "{all:#?}");
    daemon.stop();
    it.again_nothing();
}

/// A daemon whose collector is like this makes its passes and ends in time.
#[track_caller]
fn with_a_bad_collector(endpoint: &str, drops: bool) {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
        c["traces"] = json!({"endpoint": endpoint});
    });
    let mut daemon = Serving::ready(&world);
    for n in 1..=3 {
        world.requests.commit([ask(&format!("orders/dev/n{n}"), note("hello"))]);
        counted(&daemon, &format!("vend_requests{{phase=\"Ready\"}} {n}"));
    }
    let dropped = || sample(&daemon, "vend_trace_spans_total{outcome=\"dropped\"}");
    if drops {
        eventually("spans are dropped", || (dropped() > Some(0.0)).then_some(()));
        daemon.logged("the collector takes no spans");
        assert_eq!(daemon.count("the collector takes no spans"), 1);
    }
    daemon.stop();
    world.again_nothing();
}

#[test]
fn a_collector_that_is_down_slow_or_hostile_costs_spans_and_nothing_else() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bad = |status: u16| {
        let collector = Collector::start();
        collector.0.answer(status);
        collector
    };
    let (fails, hangs, floods) = (bad(500), bad(HANGS), bad(FLOODS));
    std::thread::scope(|scope| {
        scope.spawn(|| with_a_bad_collector(&format!("http://{nobody}/v1/traces"), true));
        scope.spawn(|| with_a_bad_collector(&fails.url(), true));
        scope.spawn(|| with_a_bad_collector(&hangs.url(), false));
        scope.spawn(|| with_a_bad_collector(&floods.url(), false));
    });
}

#[test]
fn traces_begin_and_end_with_the_configuration_and_ask_with_their_headers() {
    let collector = Collector::start();
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    let mut daemon = Serving::ready(&world);
    world.requests.commit([ask("orders/dev/one", note("one"))]);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 1");
    assert_eq!(sample(&daemon, "vend_trace_spans_total{outcome=\"sent\"}"), None, "they are off");
    let intent = lines(&daemon).into_iter().find(|it| says(it, "intent")).unwrap();
    assert!(of_span(&intent, "pass", "id").is_some(), "{intent}");
    assert_eq!(of_span(&intent, "pass", "trace_id"), None);

    let headers = world.root().join("otel-headers");
    std::fs::write(&headers, "x-key: hush-hush\n\nx-scope: a:b\n").unwrap();
    let at = collector.url();
    world.configure(|c| c["traces"] = json!({"endpoint": at, "headersFile": "otel-headers"}));
    daemon.signal("-HUP");
    daemon.logged("the configuration was read again");
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    collector.span("it is made", |it| it.is("effect", "vend.request", "orders/dev/two"));
    let got = collector.0.got().remove(0);
    assert_eq!(
        (got.headers["x-key"].as_str(), got.headers["x-scope"].as_str()),
        ("hush-hush", "a:b")
    );
    assert_eq!(got.headers["content-type"], "application/x-protobuf");
    assert_eq!(got.path, "/v1/traces");
    eventually("it is counted", || {
        (sample(&daemon, "vend_trace_spans_total{outcome=\"sent\"}") > Some(0.0)).then_some(())
    });

    // A share of none is none.
    world.configure(|c| c["traces"] = json!({"endpoint": at, "sampleRatio": 0}));
    daemon.signal("-HUP");
    eventually("it is read again", || (daemon.count("was read again") == 2).then_some(()));
    let before = collector.spans().len();
    world.requests.commit([ask("orders/dev/three", note("three"))]);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 3");
    world.configure(|c| c["traces"] = json!({"endpoint": at}));
    daemon.signal("-HUP");
    eventually("it is read again", || (daemon.count("was read again") == 3).then_some(()));
    world.requests.commit([ask("orders/dev/four", note("four"))]);
    collector.span("it is made", |it| it.is("effect", "vend.request", "orders/dev/four"));
    let more = collector.spans().split_off(before);
    assert!(
        more.iter().all(|it| !it.is("effect", "vend.request", "orders/dev/three")),
        "{more:#?}"
    );

    // What waits goes out at the end.
    world.requests.commit([ask("orders/dev/five", note("five"))]);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 5");
    daemon.stop();
    collector.span("the last", |it| it.is("effect", "vend.request", "orders/dev/five"));
    assert!(!daemon.lines().join("\n").contains("hush-hush"));
    world.again_nothing();
}

#[test]
fn a_collector_is_believed_by_the_authority_that_is_named_and_by_no_other() {
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path().join("tls"));
    let plain = collector.url();
    let (host, _) = plain.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let front = Front::start(&authority, host);
    let traces = |file| json!({"endpoint": front.url("/v1/traces"), "caFile": file});
    let other = Authority::new(folder.path().join("other"));
    let desk = hearing(traces(other.file()));
    let mut daemon = desk.serve();
    let line = daemon.logged("the collector takes no spans");
    assert!(line.contains("certificate"), "{line}");
    daemon.stop();
    assert!(collector.spans().is_empty(), "nothing goes to whom nobody vouches for");

    let desk = hearing(traces(authority.file()));
    let mut daemon = desk.serve();
    collector.span("the turn of the first pass", |it| it.name == "turn");
    daemon.stop();
    desk.world.again_nothing();
}
