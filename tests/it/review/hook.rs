//! Who may make vend read something by sending webhooks, and how much.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{Desk, SECRET};
use crate::daemon::server::thousand;
use crate::daemon::{Serving, eventually};
use crate::github::signature;
use crate::observe::{counted, sample};
use crate::world::{ask, note};

/// A desk that hears webhooks, and where.
fn hearing() -> (Desk, String) {
    let mut desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let secret = desk.world.root().join("webhook-secret");
    desk.world.configure(|c| {
        c["reconcile"] = serde_json::json!({"interval": "1h"});
        c["server"] = serde_json::json!({"listen": "127.0.0.1:0"});
        c["forge"]["webhook"] = serde_json::json!({"listen": listen, "secretFile": secret});
    });
    (desk, listen)
}

/// Sends the head of a delivery of that length, and nothing of its body.
fn claim(listen: &str, length: usize, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(listen).unwrap();
    let head = format!(
        "POST /webhook/github HTTP/1.1\r\nhost: vend\r\ncontent-length: {length}\r\n\
         x-github-event: push\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream
}

/// The status it is answered with, once it is.
fn answered(stream: &mut TcpStream) -> Option<u16> {
    let mut begin = [0; 12];
    match stream.read(&mut begin) {
        Ok(12) => std::str::from_utf8(&begin[9..]).unwrap().parse().ok(),
        _ => None,
    }
}

#[test]
fn b102_what_nobody_signed_is_not_read_and_what_is_read_has_its_bounds() {
    let (desk, listen) = hearing();
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    let daemon = desk.serve();
    const LARGE: usize = 25 << 20;
    // Answered before a byte of the body was sent.
    for unsigned in ["", "x-hub-signature-256: sha256=00\r\n"] {
        let mut stream = claim(&listen, LARGE, unsigned);
        let status = eventually("an answer", || answered(&mut stream));
        assert_eq!(status, 401, "{unsigned}");
    }
    // Anybody can make up a signature: two of these fit, and a third is told to come again.
    let made_up = format!("x-hub-signature-256: {}\r\n", signature("made up", b""));
    let mut held: Vec<TcpStream> = (0..3).map(|_| claim(&listen, LARGE, &made_up)).collect();
    let status = eventually("one is sent away", || held.iter_mut().find_map(answered));
    assert_eq!(status, 503);
    // There is room for what GitHub sends all the while.
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    let answers = || desk.hub.deliveries().into_iter().flat_map(|it| it.answers);
    eventually("deliveries are heard", || answers().find(|it| *it == Ok(204)).map(drop));
    assert!(!answers().any(|it| it == Ok(503)));
    let of = |outcome: &str| {
        let name = format!("vend_webhooks_total{{outcome=\"{outcome}\"}}");
        sample(&daemon, &name).unwrap()
    };
    // Of those whose signature was made up, the one that was sent away was not held against anything.
    assert!(of("forged") >= 2.0 && of("woke") > 0.0);
    assert_eq!((of("notJson"), of("noSecret")), (0.0, 0.0));
    drop(held);
}

#[test]
fn b102_a_thousand_bodies_that_never_come_keep_no_delivery_out() {
    let (desk, listen) = hearing();
    desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
    let _daemon = desk.serve();
    // Anybody can make up a signature, and sends a byte of a body then.
    let head = format!(
        "POST /webhook/github HTTP/1.1\r\nhost: vend\r\ncontent-length: 10\r\nx-github-event: push\r\n\
         x-hub-signature-256: {}\r\n\r\n{{",
        signature("made up", b"")
    );
    let heard = || {
        let answers = desk.hub.deliveries().into_iter().flat_map(|it| it.answers);
        answers.filter(|it| *it == Ok(204)).count()
    };
    let mut slow = thousand(&listen, &head);
    let before = heard();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    eventually("a delivery is heard", || (heard() > before).then_some(()));
    // Those who gave way are told nothing; those whose half a minute was waited for are told that it is over.
    slow.iter().for_each(|it| it.set_nonblocking(true).unwrap());
    let late = slow.iter_mut().filter_map(answered).count();
    assert_eq!(late, 0, "they were waited for");
    // Nothing but a delivery wakes it.
    desk.says(n, &["1 to create"]);
    assert!(desk.hub.deliveries().iter().all(|it| !it.answers.contains(&Ok(503))));
}

#[test]
fn a_secret_that_cannot_be_read_is_said_at_the_start() {
    let (desk, listen) = hearing();
    let secret = desk.world.root().join("webhook-secret");
    std::fs::write(&secret, "\n").unwrap();
    let daemon = desk.serve();
    let line = daemon.logged("webhooks are refused until their secret can be read");
    assert!(line.contains("expected one line with a secret"), "{line}");
    std::fs::write(&secret, SECRET).unwrap();
    let signed = signature(SECRET, b"{}");
    let json = "content-type: application/json\r\n";
    let mut stream = claim(&listen, 2, &format!("x-hub-signature-256: {signed}\r\n{json}"));
    stream.write_all(b"{}").unwrap();
    assert_eq!(eventually("an answer", || answered(&mut stream)), 204);
    counted(&daemon, "vend_webhooks_total{outcome=\"ignored\"} 1");
}

#[test]
fn a_delivery_that_is_a_form_is_refused_with_what_to_do() {
    let (desk, listen) = hearing();
    let daemon = desk.serve();
    let body = "payload=%7B%7D";
    let signed = signature(SECRET, body.as_bytes());
    let post = |daemon: &Serving, kind: &str| {
        let more = format!("x-hub-signature-256: {signed}\r\ncontent-type: {kind}\r\n");
        let mut stream = claim(&listen, body.len(), &more);
        stream.write_all(body.as_bytes()).unwrap();
        let status = eventually("an answer", || answered(&mut stream));
        (status, daemon.count("content type to `application/json`"))
    };
    assert_eq!(post(&daemon, "application/json; charset=utf-8"), (204, 0));
    assert_eq!(post(&daemon, "application/x-www-form-urlencoded").0, 415);
    daemon.logged("content type to `application/json`");
    counted(&daemon, "vend_webhooks_total{outcome=\"notJson\"} 1");
}
