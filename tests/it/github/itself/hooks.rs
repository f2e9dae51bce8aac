//! Webhooks, as somebody who listens hears them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use vend::forge::{Secret, webhook};

use crate::github::{GitHub, Verdict};
use crate::world::write;

/// A delivery as it came in: its headers in small letters, and its body.
type Heard = (BTreeMap<String, String>, Vec<u8>);

/// Somebody who listens, and answers 202.
fn listener() -> (String, Arc<Mutex<Vec<Heard>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
            let whole = loop {
                let n = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..n]);
                let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let headers = head.lines().filter_map(|line| line.split_once(": "));
                let headers: BTreeMap<_, _> =
                    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let length: usize = headers["content-length"].parse().unwrap();
                if bytes.len() == end + 4 + length {
                    break (headers, bytes[end + 4..].to_vec());
                }
            };
            all.lock().unwrap().push(whole);
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    (url, heard)
}

#[test]
fn everything_that_happens_is_told_and_signed() {
    let hub = GitHub::start();
    let (url, heard) = listener();
    hub.hook(&url, "hunter2");
    let repo = hub.create("acme/requests");
    repo.permit("ada", "write");
    repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
    repo.push_branch("ada", "topic", "main", [write("a.yaml", "a: 2\n")]);
    let n = repo.open_pull("ada", "topic", "main", "Two");
    let comment = repo.comment("grace", n, "/vend plan");
    repo.edit_comment("grace", comment, "/vend help");
    repo.delete_comment("grace", comment);
    let review = repo.review("grace", n, Verdict::Approve);
    repo.dismiss("ada", n, review);
    repo.set_draft("ada", n, true);
    repo.set_draft("ada", n, false);
    repo.close("ada", n);
    repo.reopen("ada", n);
    let group = repo.enqueue("ada", &[n]);
    repo.drop_group("ada", &group);
    let group = repo.enqueue("ada", &[n]);
    repo.merge_group("ada", &group);
    assert_eq!(repo.at("main"), group.head);
    assert!(repo.is_merged(n));
    hub.settle();
    let heard = heard.lock().unwrap();
    let secret = Secret::new("hunter2");
    let told: Vec<_> = heard
        .iter()
        .map(|(headers, body)| {
            let signature = headers.get("x-hub-signature-256").map(String::as_str);
            webhook::verify(&secret, body, signature).unwrap();
            let payload: serde_json::Value = serde_json::from_slice(body).unwrap();
            let action = payload["action"].as_str().unwrap_or("-");
            format!("{} {action}", headers["x-github-event"])
        })
        .collect();
    // Two groups of the same requests are one commit when they are made within one second, and a
    // commit has one suite.
    let suite = |line: &&String| *line == "check_suite requested";
    assert!(told.iter().filter(suite).count() >= 2, "{told:?}");
    let told: Vec<_> = told.iter().filter(|line| !suite(line)).map(String::as_str).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    ping -
    installation created
    push -
    push -
    pull_request opened
    issue_comment created
    issue_comment edited
    issue_comment deleted
    pull_request_review submitted
    pull_request_review dismissed
    pull_request converted_to_draft
    pull_request ready_for_review
    pull_request closed
    pull_request reopened
    push -
    merge_group checks_requested
    push -
    merge_group destroyed
    push -
    merge_group checks_requested
    pull_request closed
    push -
    push -
    merge_group destroyed
    ");
    assert!(hub.deliveries().iter().all(|it| it.answers == [Ok(202)]));
}

#[test]
fn webhooks_are_lost_doubled_replayed_and_forged() {
    let hub = GitHub::start();
    let (url, heard) = listener();
    let repo = hub.create("acme/requests");
    hub.hook(&url, "hunter2");
    hub.hook_times(0);
    repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
    hub.hook_times(2);
    repo.push("ada", "main", [write("a.yaml", "a: 2\n")]);
    let push = hub.deliveries().iter().rfind(|it| it.event == "push").unwrap().id.clone();
    hub.replay(&push, 3);
    assert_eq!(hub.forge("push", b"{}", Some("sha256=00")), Ok(202));
    hub.settle();
    let heard = heard.lock().unwrap();
    let of = |event: &str| heard.iter().filter(|(it, _)| it["x-github-event"] == event).count();
    assert_eq!((of("ping"), of("push"), of("check_suite")), (1, 2 + 3 + 1, 2));
}
