//! The forge for GitHub against the tests' own GitHub.

mod check;
mod comment;
mod git;
mod issue;
mod poll;
mod propose;
mod review;
mod tls;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use vend::forge::github::{Auth, GitHub as Client, GitHubSettings};
use vend::forge::{ForgeError, Repo};

use crate::github::{GitHub, Repo as Hosted};
use crate::world::write;

/// A GitHub with one repository and one pull request, and somebody who looks at it.
struct Desk {
    hub: GitHub,
    forge: Arc<Client>,
    /// Where the client lives; the server has a runtime of its own.
    runtime: tokio::runtime::Runtime,
    /// Seconds that its clock and the server's are ahead.
    ahead: Arc<AtomicI64>,
    folder: TempDir,
}

const REPO: &str = "acme/requests";

impl Desk {
    /// As the App.
    fn app() -> Self {
        Self::new(|hub, folder| {
            let key_file = folder.join("app.pem");
            std::fs::write(&key_file, hub.key()).unwrap();
            Auth::App { id: hub.app_id(), key_file }
        })
    }

    /// As somebody with a token, which lies in [`Desk::token_file`].
    fn person(login: &str) -> Self {
        Self::new(|hub, folder| {
            let file = folder.join("token");
            std::fs::write(&file, hub.token(login)).unwrap();
            Auth::Token { file }
        })
    }

    fn new(auth: impl FnOnce(&GitHub, PathBuf) -> Auth) -> Self {
        let hub = GitHub::start();
        let repo = hub.create(REPO);
        repo.permit("ada", "write");
        repo.push("ada", "main", [write("a.yaml", "a: 1\n"), write("b.yaml", "b: 1\n")]);
        let folder = TempDir::new().unwrap();
        let settings = GitHubSettings {
            api: hub.api(),
            pause: Duration::from_millis(1),
            ..GitHubSettings::new(auth(&hub, folder.path().to_owned()))
        };
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = ahead.clone();
            move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed))
        };
        let forge = Arc::new(Client::new(settings, Arc::new(clock)).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { hub, forge, runtime, ahead, folder }
    }

    fn hosted(&self) -> Hosted<'_> {
        self.hub.repo(REPO)
    }

    fn repo(&self) -> Repo {
        Repo::parse(REPO).unwrap()
    }

    /// A pull request of Ada's that changes the first file; its number.
    fn open(&self, branch: &str) -> u64 {
        let repo = self.hosted();
        repo.push_branch("ada", branch, "main", [write("a.yaml", format!("a: {branch}\n"))]);
        repo.open_pull("ada", branch, "main", branch)
    }

    fn run<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// For both sides.
    fn advance(&self, seconds: u64) {
        self.hub.advance(Duration::from_secs(seconds));
        self.ahead.fetch_add(i64::try_from(seconds).unwrap(), Ordering::Relaxed);
    }

    /// Calls to a path of the repository.
    fn calls(&self, method: &str, path: &str) -> usize {
        self.hub.calls(method, &format!("/repos/{REPO}/{path}")).len()
    }

    /// Everything that changes something, but for tokens and Git's own asking.
    fn writes(&self) -> usize {
        let is_write = |method: &str, path: &str| {
            method != "GET" && !path.ends_with("/access_tokens") && !path.contains(".git/")
        };
        self.hub.log().iter().filter(|call| is_write(&call.method, &call.path)).count()
    }
}

/// How long it is to be left alone.
#[track_caller]
fn unavailable<T: std::fmt::Debug>(answer: Result<T, ForgeError>) -> Option<Duration> {
    match answer {
        Err(ForgeError::Unavailable { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, ForgeError>) -> String {
    match answer {
        Err(ForgeError::Refused { text }) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn gone<T: std::fmt::Debug>(answer: &Result<T, ForgeError>) {
    assert!(matches!(answer, Err(ForgeError::Gone { .. })), "{answer:?}");
}

#[track_caller]
fn unknown<T: std::fmt::Debug>(answer: &Result<T, ForgeError>) {
    assert!(matches!(answer, Err(ForgeError::Unknown { .. })), "{answer:?}");
}
