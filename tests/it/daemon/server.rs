//! Health and metrics, for friends and others.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Serving, all_ready, eventually, notes, patient};
use crate::world::{ask, catalog, request, request_with, write};

#[test]
fn b110_health_readiness_and_metrics_and_nothing_else() {
    let world = patient();
    world.requests.commit(notes("orders", 2));
    let mut daemon = Serving::ready(&world);
    eventually("both are ready", || all_ready(&world, "orders", 2).then_some(()));
    assert_eq!(daemon.get("/healthz"), ("HTTP/1.1 200 OK".into(), "ok\n".into()));
    eventually("it is ready", || daemon.get("/readyz").0.contains("200").then_some(()));
    assert!(daemon.get("/v1/status").0.contains("404"), "no request is shown here");
    let (_, text) = daemon.get("/metrics");
    // Who is not asked for a name learns no version, no path and no request.
    for page in ["/healthz", "/readyz", "/metrics", "/nothing"] {
        let said = ask_for(&daemon, &format!("GET {page}"), "").to_lowercase();
        for told in [env!("CARGO_PKG_VERSION"), "orders", "server:", world.root().to_str().unwrap()]
        {
            // OpenMetrics has a version of its own, in its content type.
            let said = said.replace("version=1.0.0", "");
            assert!(!said.contains(told), "{page} tells {told}: {said}");
        }
    }
    check_open_metrics(&text);
    for line in [
        "vend_effects_total{outcome=\"succeeded\"} 2",
        "vend_effects_total{outcome=\"failed\"} 0",
        "vend_passes_total{outcome=\"failed\"} 0",
        "vend_requests{phase=\"Ready\"} 2",
        "vend_log_lines_dropped_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    daemon.stop();
}

#[test]
fn who_scrapes_from_elsewhere_gets_health_and_metrics_by_any_name_and_nothing_else() {
    let mut world = patient();
    world.configure(|c| {
        c["server"] = json!({"listen": "127.0.0.1:0", "metrics": "0.0.0.0:0"});
    });
    world.requests.commit(notes("orders", 1));
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    let line: Value = serde_json::from_str(&daemon.logged("listening for scrapes")).unwrap();
    let address = line["fields"]["address"].as_str().unwrap().to_owned();
    let scraped = format!("127.0.0.1:{}", address.strip_prefix("0.0.0.0:").unwrap());
    let asked_at = |address: &str, page: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "host: vend.monitoring.svc:9464\r\nconnection: close";
        write!(stream, "GET {page} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let asked = |page: &str| asked_at(&scraped, page);
    assert!(asked("/healthz").ends_with("ok\n"));
    eventually("it is ready", || asked("/readyz").starts_with("HTTP/1.1 200").then_some(()));
    let said = asked("/metrics");
    assert!(said.contains("vend_requests{phase=\"Ready\"} 1"), "{said}");
    assert!(!said.contains("orders"), "{said}");
    for page in ["/v1/status", "/v1/apply", "/v1/person", "/webhook/github", "/"] {
        assert!(asked(page).starts_with("HTTP/1.1 404"), "{page}");
    }
    // The loopback address goes on to refuse what is led here by another name.
    let led = asked_at(&daemon.address(), "/metrics");
    assert!(led.starts_with("HTTP/1.1 421"), "{led}");
    daemon.stop();
    world.again_nothing();
}

#[test]
fn a_rollout_that_was_stopped_is_counted() {
    let world = patient();
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    let waves =
        "spec: {format: 1, rollout: [{environment: dev, pause: 1h}, {environment: prod}]}\n";
    world.catalog.commit([write("catalog.yaml", format!("{head}{waves}"))]);
    let asks = ["orders/dev/a", "orders/prod/b"];
    world.requests.commit(asks.map(|id| ask(id, request("note@^1.1", "{text: hello}"))));
    let mut daemon = Serving::ready(&world);
    let says = |line: &str| {
        let (_, text) = daemon.get("/metrics");
        text.lines().any(|l| l == line).then_some(())
    };
    eventually("they are ready", || says("vend_requests{phase=\"Ready\"} 2"));
    assert_eq!(says("vend_rollouts_stopped 0"), Some(()));
    world.catalog.commit(catalog::note("1.1.1"));
    eventually("it is on its way", || {
        let said = world.vend_ends(0, &["catalog", "rollout"]).stdout;
        said.contains("the next wave begins at").then_some(())
    });
    world.vend_ends(0, &["catalog", "rollout", "stop", "note"]);
    eventually("it is stopped", || says("vend_rollouts_stopped 1"));
    world.vend_ends(0, &["catalog", "rollout", "resume", "note"]);
    eventually("it goes on", || says("vend_rollouts_stopped 0"));
    daemon.stop();
}

#[test]
fn requests_are_counted_by_how_near_their_end_is() {
    let world = patient();
    let lives = |more: &str| request_with("note@1.0.0", "{text: hello}", more);
    world.requests.commit([
        ask("orders/dev/over", lives("ttl: 1s\nprotect: true")),
        ask("orders/dev/soon", lives("ttl: 2d")),
        ask("orders/dev/later", lives("ttl: 30d")),
        ask("orders/dev/endless", lives("reason: none")),
    ]);
    let mut daemon = Serving::ready(&world);
    for (end, count) in [("over", 1), ("soon", 1), ("later", 1)] {
        let line = format!("vend_requests_ending{{end=\"{end}\"}} {count}");
        eventually(&line, || {
            let (_, text) = daemon.get("/metrics");
            text.lines().any(|l| l == line).then_some(())
        });
    }
    daemon.stop();
}

/// Each sample belongs to a metric that was declared, no metric twice, and the end is marked.
#[track_caller]
fn check_open_metrics(text: &str) {
    assert!(text.ends_with("# EOF\n"));
    let mut declared = BTreeSet::new();
    for line in text.lines().filter(|l| *l != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(declared.insert(rest.split(' ').next().unwrap().to_owned()), "{line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let known = |suffix: &str| declared.contains(name.strip_suffix(suffix).unwrap_or("-"));
            let sound = ["_total", "_sum", "_count", "_bucket", ""].into_iter().any(known);
            assert!(sound, "{line} belongs to nothing in\n{text}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn b102_slow_and_greedy_connections_cost_only_themselves() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    let address = daemon.address();
    let mut slow: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").unwrap();
    }
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    // Nor is anybody waited for who says that a body comes, and sends none: half a minute each would keep all places.
    let mut owing = TcpStream::connect(&address).unwrap();
    write!(owing, "GET /healthz HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1\r\n\r\n").unwrap();
    owing.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    owing.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Closed, with or without an answer that says so; never kept.
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    let mut greedy = TcpStream::connect(&address).unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nx-large: {}\r\n\r\n", "x".repeat(64 * 1024));
    let _ = greedy.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = greedy.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    daemon.stop();
}

/// Connections of one server at once.
const PLACES: usize = 512;

/// A thousand that have begun to say something, the first of them first.
pub fn thousand(address: &str, begin: &str) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        stream
    };
    (0..1_000).map(open).collect()
}

/// Says one byte more on each, where somebody listens still, and counts those.
fn still_open(streams: &mut [TcpStream]) -> usize {
    let is_open = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let found = stream.peek(&mut [0]);
        let is_open = found.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        is_open && stream.write_all(b"x").is_ok()
    };
    streams.iter_mut().map(is_open).filter(|is| *is).count()
}

#[test]
fn b102_a_thousand_sockets_that_say_next_to_nothing_keep_nobody_out() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    let address = daemon.address();
    let mut slow = thousand(&address, "GET /healthz HTTP/1.1\r\nx-slow: ");
    for _ in 0..5 {
        assert_eq!(daemon.get("/healthz").1, "ok\n");
    }
    let open = still_open(&mut slow);
    assert!(open <= PLACES, "{open} are open");
    eventually("all of them are closed", || (still_open(&mut slow) == 0).then_some(()));
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    daemon.stop();
}

/// The whole answer to a request, as it came.
fn ask_for(daemon: &Serving, line: &str, more: &str) -> String {
    let address = daemon.address();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{more}\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn b104_nothing_that_a_page_in_a_browser_sends_changes_anything() {
    let world = patient();
    world.requests.commit(notes("orders", 1));
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    let before = world.refs();
    let body = r#"{"command":"retry","request":"orders/dev/n0"}"#;
    let length = body.len();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
        for page in ["/v1/person", "/v1/apply", "/metrics", "/healthz", "/readyz"] {
            let more = format!(
                "origin: https://evil.example\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            for method in ["POST", "PUT", "DELETE", "PATCH"] {
                let said = ask_for(&daemon, &format!("{method} {page}"), &more);
                let code = said.split(' ').nth(1).unwrap_or_default();
                assert!(["404", "405"].contains(&code), "{method} {page}: {said}");
            }
        }
    }
    // No page of another origin may read an answer either.
    let said = ask_for(&daemon, "GET /metrics", "origin: https://evil.example\r\n");
    assert!(said.starts_with("HTTP/1.1 200") && !said.contains("access-control"), "{said}");
    assert_eq!(daemon.count("a person's command"), 0);
    assert_eq!(before, world.refs());
    daemon.stop();
    world.again_nothing();
}

#[test]
fn b105_no_path_leads_to_a_file() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    for path in [
        "/static/../../etc/passwd",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..\\..\\etc\\passwd",
        "/healthz/../../etc/passwd",
        "/etc/passwd%00",
        "//etc/passwd",
        "file:///etc/passwd",
    ] {
        let said = ask_for(&daemon, &format!("GET {path}"), "");
        let code = said.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&code), "{path}: {said}");
        assert!(!said.contains("root:"), "{path}: {said}");
    }
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    daemon.stop();
}

#[test]
fn b107_a_page_by_another_name_is_not_served() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    daemon.stop();
}
