//! What is asked: pull requests, people, tokens; what it costs, and what an outage reads as.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use vend::forge::github::{Auth, GitHub as Client, GitHubSettings};
use vend::forge::{Forge, Me, Permission};
use vend::model::{PullState, Revision, VerdictKind};

use super::{Desk, REPO, refused, unavailable};
use crate::github::{Fault, Method, Verdict};
use crate::world::write;

const PULLS: &str = "/repos/*/*/pulls";
const TOKENS: &str = "/app/installations/*/access_tokens";

#[test]
fn a_poll_over_nothing_new_costs_nothing() {
    let desk = Desk::app();
    let n = desk.open("one");
    let poll = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH)).unwrap();
    let first = poll();
    assert_eq!(first.iter().map(|pull| pull.number).collect::<Vec<_>>(), [n]);
    desk.hub.forget();
    assert_eq!(poll(), first);
    let statuses: Vec<u16> = desk.hub.log().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [304, 304]);
    desk.hosted().push("ada", "one", [write("a.yaml", "a: 3\n")]);
    assert_ne!(poll(), first);
}

/// What is on a full page stays as it is when another page comes, and with it its ETag.
#[test]
fn what_comes_after_a_full_page_is_seen() {
    let desk = Desk::app();
    desk.hub.user("grace");
    let n = desk.open("many");
    for more in 2..=100 {
        desk.hosted().push("ada", "many", [write("a.yaml", format!("a: {more}\n"))]);
    }
    let pushed = || desk.run(desk.forge.pushed(&desk.repo(), n)).unwrap();
    assert_eq!((pushed().len(), pushed().len()), (100, 100));
    desk.hosted().push("grace", "many", [write("a.yaml", "a: more\n")]);
    let all = pushed();
    assert_eq!(all.len(), 101);
    assert!(all[100].by.contains("grace"), "{:?}", all[100]);
    // One that is not full, and one that another follows, are asked about for nothing.
    desk.hub.forget();
    assert_eq!(pushed(), all);
    let statuses: Vec<u16> = desk.hub.log().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [304, 304]);
}

#[test]
fn pull_requests_that_are_open_and_those_that_ended_lately() {
    let desk = Desk::app();
    let (open, closed, merged) = (desk.open("open"), desk.open("closed"), desk.open("merged"));
    desk.hosted().close("ada", closed);
    let tip = desk.hosted().merge("ada", merged);
    desk.hosted().set_draft("ada", open, true);
    let pulls = |since| desk.run(desk.forge.pulls(&desk.repo(), since)).unwrap();
    let all = pulls(Timestamp::UNIX_EPOCH);
    let [one, two, three] = &all[..] else { panic!("{all:?}") };
    assert!(one.number == open && one.draft && one.state == PullState::Open && !one.fork);
    assert!(two.number == closed && two.state == PullState::Closed);
    let PullState::Merged { commit, .. } = &three.state else { panic!("{three:?}") };
    assert_eq!((commit.as_str(), three.base.as_str()), (tip.as_str(), "main"));
    let PullState::Merged { by, .. } =
        desk.run(desk.forge.pull(&desk.repo(), merged)).unwrap().state
    else {
        panic!("it was merged")
    };
    assert_eq!(by.as_deref(), Some("ada"));
    desk.advance(100);
    let later = pulls(
        all.iter().map(|pull| pull.updated).max().unwrap() + jiff::SignedDuration::from_secs(10),
    );
    assert_eq!(later.iter().map(|pull| pull.number).collect::<Vec<_>>(), [open]);
}

#[test]
fn a_pull_request_from_a_fork_says_so() {
    let desk = Desk::app();
    let fork = desk.hub.fork(REPO, "eve");
    fork.push_branch("eve", "topic", "main", [write("a.yaml", "a: evil\n")]);
    let n = desk.hosted().open_pull("eve", "eve:topic", "main", "Take this");
    let pull = desk.run(desk.forge.pull(&desk.repo(), n)).unwrap();
    assert!(pull.fork && pull.author == "eve", "{pull:?}");
    assert_eq!(pull.head.as_str(), fork.at("topic"));
}

#[test]
fn a_commit_tells_the_pull_request_that_brought_it() {
    let desk = Desk::app();
    let of = |commit: &str| {
        let pulls = desk.run(desk.forge.pulls_of(&desk.repo(), &Revision::new(commit))).unwrap();
        pulls.into_iter().map(|pull| pull.number).collect::<Vec<_>>()
    };
    for (branch, method) in
        [("merge", Method::Merge), ("squash", Method::Squash), ("rebase", Method::Rebase)]
    {
        let n = desk.open(branch);
        let tip = desk.hosted().merge_by("ada", n, method);
        assert_eq!(of(&tip), [n], "{branch}");
    }
    let direct = desk.hosted().push("ada", "main", [write("c.yaml", "c: 1\n")]);
    assert!(of(&direct).is_empty());
    let open = desk.open("open");
    assert!(of(&desk.hosted().at("open")).is_empty(), "#{open} is not merged");
}

#[test]
fn reads_are_tried_again_and_an_outage_is_not_an_empty_list() {
    let mut desk = Desk::app();
    desk.open("one");
    let pulls = |desk: &Desk| desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    desk.hub.fault("GET", PULLS, Some(1), Fault::Status(502));
    desk.hub.fault("GET", PULLS, Some(1), Fault::Cut);
    assert_eq!(pulls(&desk).unwrap().len(), 1);
    for fault in [Fault::Status(503), Fault::Cut, Fault::Garbled] {
        desk.advance(1);
        desk.hub.mend();
        desk.open(&format!("another-{}", desk.hub.log().len()));
        desk.hub.fault("GET", PULLS, None, fault.clone());
        assert_eq!(unavailable(pulls(&desk)), None, "{fault:?}");
    }
    desk.hub.mend();
    assert_eq!(pulls(&desk).unwrap().len(), 4);
    desk.hub.down();
    assert_eq!(unavailable(pulls(&desk)), None);
    desk.hub.up();
    assert_eq!(pulls(&desk).unwrap().len(), 4);
}

#[test]
fn f50_an_hours_limit_that_is_used_up_is_waited_for() {
    let desk = Desk::app();
    desk.open("one");
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    pulls().unwrap();
    desk.open("two");
    desk.hub.fault("GET", PULLS, Some(1), Fault::PrimaryLimit(100));
    let wait = unavailable(pulls()).unwrap();
    assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
    desk.hub.forget();
    unavailable(pulls());
    assert!(desk.hub.log().is_empty(), "nobody was asked");
    desk.advance(101);
    assert_eq!(pulls().unwrap().len(), 2);
}

#[test]
fn the_last_call_that_is_allowed_is_noticed_before_the_next_one() {
    let desk = Desk::app();
    desk.open("one");
    desk.hub.limit(1);
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    assert!(unavailable(pulls()).unwrap() > Duration::from_secs(3_000));
    assert!(desk.hub.log().iter().all(|call| call.status != 403), "none was refused");
}

#[test]
fn tokens_are_renewed_before_they_end() {
    let desk = Desk::app();
    desk.open("one");
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH)).unwrap();
    let made = || desk.hub.calls("POST", TOKENS).len();
    pulls();
    desk.advance(54 * 60);
    pulls();
    assert_eq!(made(), 1);
    desk.advance(2 * 60);
    pulls();
    assert_eq!(made(), 2, "four minutes before its end");
    desk.hub.revoke(None);
    assert_eq!(pulls().len(), 1);
    assert_eq!(made(), 3, "one that is refused is not shown again");
    assert_eq!(desk.calls("GET", "installation"), 2);
}

#[test]
fn a_token_that_still_holds_is_used_while_none_can_be_made() {
    let desk = Desk::app();
    desk.open("one");
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    pulls().unwrap();
    desk.hub.fault("POST", TOKENS, None, Fault::Status(503));
    desk.advance(56 * 60);
    assert_eq!(pulls().unwrap().len(), 1);
    desk.advance(5 * 60);
    unavailable(pulls());
}

#[test]
fn git_gets_a_token_for_one_repository() {
    let desk = Desk::app();
    desk.hub.create("acme/other");
    let token = desk.run(desk.forge.git_token(&desk.repo())).unwrap().unwrap();
    let again = desk.run(desk.forge.git_token(&desk.repo())).unwrap().unwrap();
    assert_eq!(token, again);
    let made = desk.hub.calls("POST", TOKENS);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].body["repositories"], serde_json::json!(["requests"]));
}

#[test]
fn f07_where_the_app_is_not_installed_is_a_persons_to_mend() {
    let desk = Desk::app();
    desk.open("one");
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    pulls().unwrap();
    desk.hub.uninstall("acme");
    desk.hub.revoke(None);
    let text = refused(pulls());
    assert!(text.contains("not installed on `acme/requests`"), "{text}");
    // It may be another server that says so.
    assert!(text.contains(&desk.hub.api()) && text.contains("forge.github.api"), "{text}");
    desk.hub.install(desk.hub.app_id(), "acme");
    assert_eq!(pulls().unwrap().len(), 1, "under another number");
}

#[test]
fn a_key_that_cannot_be_used_is_nothing_that_a_forge_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("app.pem");
    let open = || {
        let auth = Auth::App { id: 1, key_file: key_file.clone() };
        let opened = Client::new(GitHubSettings::new(auth), Arc::new(Timestamp::now));
        opened.unwrap_err().to_string()
    };
    let missing = open();
    assert!(missing.starts_with("cannot read the file"), "{missing}");
    std::fs::write(&key_file, "no key").unwrap();
    let bad = open();
    assert!(bad.starts_with("the file") && bad.contains("RSA private key in PEM"), "{bad}");
}

#[test]
fn reviews_are_of_their_commit() {
    let desk = Desk::app();
    let n = desk.open("one");
    let first = desk.hosted().at("one");
    let review = desk.hosted().review("grace", n, Verdict::Approve);
    desk.hosted().push("ada", "one", [write("a.yaml", "a: 3\n")]);
    desk.hosted().review("heidi", n, Verdict::RequestChanges);
    let verdicts = || desk.run(desk.forge.verdicts(&desk.repo(), n)).unwrap();
    let all = verdicts();
    assert_eq!((all[0].by.as_str(), all[0].kind), ("grace", VerdictKind::Approved));
    assert_eq!(all[0].commit, Some(Revision::new(first)));
    assert_eq!((all[1].by.as_str(), all[1].kind), ("heidi", VerdictKind::ChangesRequested));
    desk.hosted().dismiss("ada", n, review);
    assert_eq!(verdicts()[0].kind, VerdictKind::Dismissed);
}

#[test]
fn what_people_may_do_and_which_teams_they_are_in() {
    let desk = Desk::app();
    let may = |user: &str| desk.run(desk.forge.permission(&desk.repo(), user)).unwrap();
    desk.hosted().permit("grace", "maintain");
    desk.hub.user("eve");
    assert_eq!((may("ada"), may("grace")), (Permission::Write, Permission::Maintain));
    assert_eq!((may("eve"), may("nobody-has-this")), (Permission::None, Permission::None));
    desk.hub.team("acme", "platform", &["ada", "grace"]);
    desk.hub.team("acme", "orders", &["grace"]);
    desk.hub.invite("acme", "orders", "ada");
    let set =
        |teams: &[&str]| -> BTreeSet<String> { teams.iter().map(|it| (*it).into()).collect() };
    let in_teams = |user: &str| {
        let asked = set(&["platform", "orders", "none", "../x"]);
        desk.run(desk.forge.teams_of(&desk.repo(), user, &asked)).unwrap()
    };
    assert_eq!(in_teams("ada"), set(&["platform"]));
    assert_eq!(in_teams("grace"), set(&["orders", "platform"]));
    assert!(in_teams("eve").is_empty());
    desk.hub.fault("GET", "/orgs/**", None, Fault::Status(502));
    desk.hub.team("acme", "platform", &["grace"]);
    unavailable(desk.run(desk.forge.teams_of(&desk.repo(), "ada", &set(&["platform"]))));
}

#[test]
fn a_token_of_somebody_is_read_anew_and_its_bearer_knows_who_they_are() {
    let desk = Desk::person("robot");
    desk.hosted().permit("robot", "write");
    let me = Me { login: "robot".into(), checks: false };
    assert_eq!(desk.run(desk.forge.me()).unwrap(), me);
    let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
    pulls().unwrap();
    desk.hub.revoke(None);
    desk.open("one");
    let text = refused(pulls());
    assert!(text.contains("401") && !text.contains("ghp_"), "{text}");
    std::fs::write(desk.token_file(), desk.hub.token("robot")).unwrap();
    assert_eq!(pulls().unwrap().len(), 1);
    std::fs::write(desk.token_file(), desk.hub.token("another")).unwrap();
    assert_eq!(desk.run(desk.forge.me()).unwrap().login, "another");
    let git = desk.run(desk.forge.git_token(&desk.repo())).unwrap();
    assert_eq!(git.as_deref(), Some(std::fs::read_to_string(desk.token_file()).unwrap().as_str()));
}

/// Where everything that is logged goes.
#[derive(Clone, Default)]
struct Logged(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn b74_no_token_is_in_a_log_an_error_or_an_address() {
    let desk = Desk::app();
    desk.open("one");
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let (token, errors) = tracing::subscriber::with_default(subscriber, || {
        let pulls = || desk.run(desk.forge.pulls(&desk.repo(), Timestamp::UNIX_EPOCH));
        pulls().unwrap();
        let token = desk.run(desk.forge.git_token(&desk.repo())).unwrap().unwrap();
        let mut errors = String::new();
        for fault in [Fault::Status(500), Fault::Cut, Fault::Refused(403, "no".into())] {
            desk.hub.fault("GET", PULLS, Some(3), fault);
            errors.push_str(&format!("{}\n", pulls().unwrap_err()));
            desk.hub.mend();
        }
        (token, errors)
    });
    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("/repos/acme/requests/pulls"), "it is the log of these calls");
    let addresses: String =
        desk.hub.log().iter().map(|it| format!("{}{}", it.path, it.query)).collect();
    for text in [logged, errors, addresses, format!("{:?}", desk.forge)] {
        // An installation's token, the beginning of a signed one, and of the key.
        for secret in [token.as_str(), "ghs_", "Bearer", "eyJ", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
