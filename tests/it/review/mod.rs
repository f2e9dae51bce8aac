//! Pull requests from end to end: the real daemon, real Git over HTTP, and the tests' own GitHub.

mod again;
mod approval;
mod arrive;
mod back;
mod command;
mod expiry;
mod fork;
mod gate;
mod health;
mod hook;
mod later;
mod life;
mod loose;
mod merge;
mod offer;
mod parts;
mod place;
mod queue;
mod quiet;
mod radius;
mod rebase;
mod replay;
mod said;
mod sides;
mod stack;
mod stand;
mod strange;
mod trouble;
mod unseen;

use serde_json::json;

use crate::daemon::{Serving, eventually};
use crate::github::{CheckRun, GitHub, Repo, Said};
use crate::world::{Edit, Repository, World, write};

/// A world whose requests lie on GitHub.
pub struct Desk {
    pub world: World,
    pub hub: GitHub,
}

/// What deliveries are signed with.
pub const SECRET: &str = "the-secret-of-the-webhook";

impl Desk {
    /// With the small catalog, no requests, and somebody each who writes and who leads.
    pub fn new() -> Self {
        Self::with(World::new())
    }

    pub fn with(mut world: World) -> Self {
        let hub = GitHub::start();
        let repo = hub.create("acme/requests");
        repo.permit("ada", "write");
        repo.permit("grace", "maintain");
        repo.push("grace", "main", [write("requests/README.md", "Requests.\n")]);
        let key = world.root().join("app.pem");
        std::fs::write(&key, hub.key()).unwrap();
        std::fs::write(world.root().join("webhook-secret"), SECRET).unwrap();
        let (url, api, id) = (repo.url(), hub.api(), hub.app_id());
        world.requests = Repository::open(repo.git().path().to_owned(), world.root());
        world.configure(|c| {
            c["requests"] = json!([{"repository": url}]);
            // Nobody here waits for the minute to be over.
            let writes = json!({"perMinute": 10_000, "perHour": 100_000});
            let app = json!({"id": id, "privateKeyFile": key});
            c["forge"] = json!({"github": {"api": api, "app": app, "writes": writes}});
            c["reconcile"] = json!({"interval": "1s"});
        });
        Self { world, hub }
    }

    pub fn repo(&self) -> Repo<'_> {
        self.hub.repo("acme/requests")
    }

    /// Starts the daemon, and waits until a first pass has published, so that what comes is news.
    #[track_caller]
    pub fn serve(&self) -> Serving {
        let daemon = Serving::ready(&self.world);
        eventually("a first pass", || self.world.requests.tip(crate::world::STATUS));
        daemon
    }

    /// Somebody proposes edits on a branch of that name; the pull request's number.
    #[track_caller]
    pub fn propose(&self, who: &str, branch: &str, edits: impl IntoIterator<Item = Edit>) -> u64 {
        self.repo().push_branch(who, branch, "main", edits);
        self.repo().open_pull(who, branch, "main", &format!("Please: {branch}"))
    }

    /// Our comment, once it says all of these.
    #[track_caller]
    pub fn says(&self, number: u64, all: &[&str]) -> String {
        let found = || {
            let said = self.comment(number)?;
            all.iter().all(|text| said.body.contains(text)).then_some(said.body)
        };
        let mut last = String::new();
        let waited = std::time::Instant::now();
        loop {
            if let Some(body) = found() {
                return body;
            }
            if let Some(said) = self.comment(number) {
                last = said.body;
            }
            let late = waited.elapsed() > crate::world::PATIENCE;
            assert!(!late, "the comment never said {all:?}; it says:\n{last}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Our comment, of which there is never more than one.
    #[track_caller]
    pub fn comment(&self, number: u64) -> Option<Said> {
        let mut ours = self.repo().comments(number);
        ours.retain(|said| said.author == "vend[bot]" && !is_warning(said));
        assert!(ours.len() <= 1, "said more than once: {ours:#?}");
        ours.pop()
    }

    /// Our warnings of ends below a pull request or an issue.
    pub fn warnings(&self, number: u64) -> Vec<Said> {
        let ours = self.repo().comments(number).into_iter();
        ours.filter(|said| said.author == "vend[bot]" && is_warning(said)).collect()
    }

    /// The check of that name on a commit, once it has this conclusion.
    #[track_caller]
    pub fn check(&self, at: &str, name: &str, conclusion: &str) -> CheckRun {
        let what = format!("check {name} of {at} is {conclusion}");
        eventually(&what, || {
            let runs = self.repo().checks(at);
            let mut runs = runs.into_iter().filter(|run| run.name == name);
            let run = runs.next_back()?;
            (run.conclusion.as_deref() == Some(conclusion)).then_some(run)
        })
    }

    /// Waits until a request is published as done: a comment may say so a moment before.
    #[track_caller]
    pub fn ready(&self, id: &str) {
        let until = std::time::Instant::now() + crate::world::PATIENCE;
        loop {
            let status = self.world.status_or_none(id);
            if status.as_ref().is_some_and(|status| status["phase"] == "Ready") {
                return;
            }
            let late = std::time::Instant::now() > until;
            assert!(!late, "{id} is never ready: {status:#?}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// It is merged, what it asks for is done, and then there is nothing more.
    #[track_caller]
    pub fn lands(&self, number: u64, id: &str) {
        self.repo().merge("grace", number);
        self.says(number, &["Done"]);
        self.ready(id);
        self.again_nothing();
    }

    /// Waits until our comment does not say this any more.
    #[track_caller]
    pub fn saysnot(&self, number: u64, text: &str) -> String {
        eventually(&format!("the comment says {text:?} no more"), || {
            self.comment(number).map(|said| said.body).filter(|body| !body.contains(text))
        })
    }

    /// Waits until we have answered somebody's comment so.
    #[track_caller]
    pub fn reacted(&self, number: u64, comment: u64, with: &str) {
        let given = || {
            let said = self.repo().comments(number).into_iter().find(|it| it.id == comment)?;
            (!said.reactions.is_empty()).then_some(said.reactions)
        };
        let reactions = eventually(&format!("{with} on {comment}"), given);
        let body = self.comment(number).map(|said| said.body);
        assert_eq!(reactions, [format!("vend[bot] {with}")], "{body:?}");
    }

    /// What is to be said is said, and then nothing more, although turns go by.
    #[track_caller]
    pub fn again_nothing(&self) {
        let writes = || {
            let log = self.hub.log();
            let said =
                log.iter().filter(|e| e.method != "GET" && !e.path.contains("access_tokens"));
            said.filter(|e| !e.path.contains(".git/")).count()
        };
        let polls = || self.hub.calls("GET", "/repos/acme/requests/pulls").len();
        let until = std::time::Instant::now() + crate::world::PATIENCE;
        loop {
            let (said, asked) = (writes(), polls());
            eventually("three more turns", || (polls() >= asked + 6).then_some(()));
            if writes() == said {
                return;
            }
            let log = self.hub.log();
            let last: Vec<_> = log.iter().filter(|e| e.method != "GET").rev().take(8).collect();
            assert!(std::time::Instant::now() < until, "it goes on and on: {last:#?}");
        }
    }
}

fn is_warning(said: &Said) -> bool {
    said.body.contains("<!-- vend end")
}
