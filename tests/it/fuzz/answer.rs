//! What GitHub answers, or whoever stands in its place: the same bytes to every question.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vend::forge::github::{Auth, GitHub, GitHubSettings};
use vend::forge::{CheckState, CommitStatus, Forge as _, Permission, Repo, Saying};
use vend::model::{Pull, PullState, Revision, VerdictKind};

/// A client, and what it is answered.
struct Hub {
    forge: GitHub,
    runtime: Runtime,
    repo: Repo,
    body: Arc<Mutex<Vec<u8>>>,
    hours: Arc<AtomicI64>,
    _place: TempDir,
}

impl Hub {
    fn new() -> Self {
        let (place, body) = (super::place(), Arc::new(Mutex::new(Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let answer = body.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, &answer));
            }
        });
        let file = place.path().join("token");
        std::fs::write(&file, "ghp_planted").unwrap();
        let settings = GitHubSettings {
            api,
            pause: Duration::ZERO,
            ..GitHubSettings::new(Auth::Token { file })
        };
        // Limits on what is said, and what is believed for a while, are over with each input.
        let hours = Arc::new(AtomicI64::new(0));
        let now = hours.clone();
        let clock = move || {
            Timestamp::UNIX_EPOCH + SignedDuration::from_hours(2 * now.load(Ordering::Relaxed))
        };
        Self {
            forge: GitHub::new(settings, Arc::new(clock)).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            repo: Repo::parse("acme/requests").unwrap(),
            body,
            hours,
            _place: place,
        }
    }

    fn ask<T>(&self, call: impl Future<Output = Result<T, vend::forge::ForgeError>>) -> Option<T> {
        match self.runtime.block_on(call) {
            Ok(found) => Some(found),
            Err(error) => {
                let said = vend::error::chain(&error);
                assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
                None
            }
        }
    }
}

/// Requests one after the other, each with the answer of the moment.
fn serve(mut stream: TcpStream, answer: &Mutex<Vec<u8>>) {
    let _ = stream.set_nodelay(true);
    let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        let whole = loop {
            if let Some(whole) = length(&read).filter(|whole| read.len() >= *whole) {
                break whole;
            }
            match stream.read(&mut piece) {
                Ok(n) if n > 0 => read.extend_from_slice(&piece[..n]),
                _ => return,
            }
        };
        read.drain(..whole);
        let body = answer.lock().unwrap().clone();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

/// Of a request with its body, once its head is there.
fn length(read: &[u8]) -> Option<usize> {
    let head = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(head + length.map_or(0, |length| length.trim().parse().unwrap()))
}

thread_local! {
    static HUB: Hub = Hub::new();
}

fn is_commit(revision: &Revision) -> bool {
    let text = revision.as_str();
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The entries of a list that say all of this.
fn entries(said: &Value, wanted: &[(&str, Value)]) -> usize {
    let entries = said.as_array().map_or(&[][..], Vec::as_slice);
    let says = |entry: &&Value| wanted.iter().all(|(at, value)| entry.pointer(at) == Some(value));
    entries.iter().filter(says).count()
}

/// One of this very repository says so, and its commits are commits.
fn held(pull: &Pull, said: &[&Value]) {
    assert!(is_commit(&pull.head), "{pull:?}");
    let meant = said.iter().find(|it| it["number"] == pull.number).expect("it was told of");
    let (from, into) = (meant.pointer("/head/repo/id"), meant.pointer("/base/repo/id"));
    assert!(pull.fork || (from == into && from.is_some_and(Value::is_number)), "{pull:?}");
    if let PullState::Merged { commit, .. } = &pull.state {
        assert!(is_commit(commit) && meant["merged_at"].is_string(), "{pull:?}");
    }
}

/// Nobody approves, may or merged anything who is not said to in so many words.
pub fn answer(data: &[u8]) {
    // What is in no field that is read may be no text.
    let said: Value = serde_json::from_str(&String::from_utf8_lossy(data)).unwrap_or_default();
    HUB.with(|hub| {
        hub.hours.fetch_add(1, Ordering::Relaxed);
        data.clone_into(&mut hub.body.lock().unwrap());
        let (forge, repo) = (&hub.forge, &hub.repo);

        let all: Vec<&Value> = said.as_array().into_iter().flatten().collect();
        for pull in hub.ask(forge.pulls(repo, Timestamp::UNIX_EPOCH)).into_iter().flatten() {
            held(
                &pull,
                &all.iter().copied().filter(|it| it["number"] == pull.number).collect::<Vec<_>>(),
            );
        }
        let head = Revision::new("0".repeat(40));
        for pull in hub.ask(forge.pulls_of(repo, &head)).into_iter().flatten() {
            assert!(matches!(pull.state, PullState::Merged { .. }), "{pull:?}");
        }
        if let Some(pull) = hub.ask(forge.pull(repo, 7)) {
            held(&pull, &[&said]);
        }

        let verdicts = hub.ask(forge.verdicts(repo, 7)).unwrap_or_default();
        assert!(verdicts.is_sorted_by_key(|verdict| verdict.at), "{verdicts:?}");
        let approved = verdicts.iter().filter(|v| v.kind == VerdictKind::Approved);
        let (all, bots) = ([("/state", "APPROVED".into())], ("/user/type", Value::from("Bot")));
        let of_bots = entries(&said, &[all[0].clone(), bots]);
        assert!(approved.clone().count() + of_bots <= entries(&said, &all), "{verdicts:?}");
        for verdict in approved {
            let by = [all[0].clone(), ("/user/login", verdict.by.as_str().into())];
            assert!(verdict.by == "ghost" || entries(&said, &by) > 0, "{verdict:?}");
        }

        for pushed in hub.ask(forge.pushed(repo, 7)).into_iter().flatten() {
            assert!(is_commit(&pushed.commit) && pushed.parents.iter().all(is_commit));
        }
        let remarks = hub.ask(forge.remarks(repo, 7, None)).unwrap_or_default();
        assert!(remarks.len() <= said.as_array().map_or(0, Vec::len));
        for remark in remarks.iter().filter(|remark| remark.by != "ghost") {
            let by = [("/id", remark.id.into()), ("/user/login", remark.by.as_str().into())];
            assert!(entries(&said, &by) > 0, "{remark:?}");
        }
        for queued in hub.ask(forge.queued(repo, "main")).into_iter().flatten() {
            assert!(queued.branch.starts_with("gh-readonly-queue/main/pr-"), "{queued:?}");
            assert!(is_commit(&queued.head), "{queued:?}");
        }

        let may = hub.ask(forge.permission(repo, "ada")).unwrap_or(Permission::None);
        let words = ["role_name", "permission"].map(|field| said[field].as_str());
        let word = serde_json::to_value(may).unwrap();
        assert!(may == Permission::None || words.contains(&word.as_str()), "{may:?}");
        let teams = BTreeSet::from(["platform".to_owned()]);
        let member = hub.ask(forge.teams_of(repo, "ada", &teams)).unwrap_or_default();
        assert!(member.is_empty() || said["state"] == "active", "{member:?}");

        let me = hub.ask(forge.me()).map(|me| me.login);
        assert!(me.is_none() || said["login"].as_str() == me.as_deref());
        for issue in hub.ask(forge.issues(repo, Timestamp::UNIX_EPOCH)).into_iter().flatten() {
            assert!(entries(&said, &[("/number", issue.number.into())]) > 0);
        }
        let _ = hub.ask(forge.proposed(repo, "vend/upgrade", "<!-- m -->"));
        let saying = Saying { id: Some(7), marker: "<!-- m -->".into(), body: "<!-- m -->".into() };
        let _ = hub.ask(forge.say(repo, 7, &saying));
        let status = CommitStatus {
            commit: head,
            context: "vend".into(),
            state: CheckState::Success,
            description: "fine".into(),
        };
        let _ = hub.ask(forge.status(repo, &status));
    });
}
