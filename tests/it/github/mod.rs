//! A GitHub of the tests' own: real Git, pull requests, and the REST API, on loopback.
//!
//! ```ignore
//! let hub = GitHub::start();
//! let requests = hub.create("acme/requests"); // the App `vend` is installed there
//! requests.permit("ada", "write");
//! requests.push("ada", "main", [write("a.yaml", "a: 1\n")]);
//! requests.push_branch("ada", "topic", "main", [write("a.yaml", "a: 2\n")]);
//! let n = requests.open_pull("ada", "topic", "main", "Two");
//! // ... what is tested reaches hub.api() with hub.app_id() and hub.key() ...
//! requests.review("grace", n, Verdict::Approve);
//! requests.merge("grace", n);
//! hub.fault("POST", "/repos/*/*/issues/*/comments", Some(1), Fault::Lost);
//! assert_eq!(hub.calls("POST", "/repos/*/*/issues/*/comments").len(), 1);
//! ```
//!
//! # Guarantees
//!
//! * Every request of the REST API, every answer and every webhook is held against GitHub's published
//!   description, in which objects have no properties but those it lists. What is not so panics when
//!   the server is dropped, or at [`GitHub::verify`].
//! * What a pull request shows is in the bare repository: `refs/pull/N/head`, `refs/pull/N/merge`. As
//!   on GitHub, the latter stays where it was once they conflict.
//! * It speaks as GitHub does where the description says nothing: 65,536 characters of a body, 50
//!   annotations, check runs from Apps alone, no approval by the author, 404 for what may not be seen.

#![allow(dead_code, unused_imports, reason = "what it can be made to do is there for any test")]

mod action;
mod auth;
mod call;
mod deliver;
mod description;
mod fault;
mod git;
mod hook;
mod http;
mod itself;
mod limit;
mod person;
mod queue;
mod rest;
mod shape;
mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::world::Repository;
use http::Inner;
use state::{AccountKind, App, Installation, State};

pub use description::examples;
pub use fault::{Fault, is_match};
pub use git::Method;
pub use hook::{Delivery, signature};
pub use http::Entry;
pub use person::{Opened, Repo, Said, Stated, Suggested, Verdict};
pub use queue::Group;
pub use state::CheckRun;

/// A running server; it ends when it is dropped, and panics then if something was not as it should.
pub struct GitHub {
    runtime: Runtime,
    address: SocketAddr,
    inner: Arc<Inner>,
    running: Option<tokio::task::JoinHandle<()>>,
    app: u64,
    root: TempDir,
}

/// What the App `vend` may do, unless a test says otherwise.
const PERMISSIONS: [(&str, &str); 7] = [
    ("checks", "write"),
    ("contents", "write"),
    ("issues", "write"),
    ("members", "read"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "write"),
];

impl GitHub {
    /// Starts one, with the App `vend` and nothing else.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let root = TempDir::new().unwrap();
        let (sender, queue) = tokio::sync::mpsc::unbounded_channel();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            State::new(format!("http://{address}"), root.path().into(), hook::Hooks::new(sender));
        runtime.spawn(deliver::deliver(
            queue,
            state.hooks.deliveries.clone(),
            state.hooks.pending.clone(),
        ));
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            faults: Mutex::default(),
            log: Mutex::default(),
            wrong: Mutex::default(),
            root: root.path().into(),
        });
        let mut new = Self { runtime, address, inner, running: None, app: 0, root };
        new.listen(listener);
        new.app = new.register("vend");
        new
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Base of the REST API, as of GitHub Enterprise.
    pub fn api(&self) -> String {
        self.state().api()
    }

    /// Registers another App; its id. All share one key.
    pub fn register(&self, slug: &str) -> u64 {
        let (key, public_key) = key();
        let mut state = self.state();
        let (id, created) = (state.fresh(), state.now());
        state.account(&format!("{slug}[bot]"), AccountKind::Bot);
        let (key, public_key) = (key.clone(), public_key.clone());
        let permissions = PERMISSIONS.map(|(name, level)| (name.to_owned(), level.to_owned()));
        let permissions = BTreeMap::from(permissions);
        state.apps.push(App { id, slug: slug.into(), key, public_key, created, permissions });
        state.account("acme", AccountKind::Organization);
        id
    }

    /// The App `vend`.
    pub fn app_id(&self) -> u64 {
        self.app
    }

    /// Its private key, PEM.
    pub fn key(&self) -> String {
        self.state().app(self.app).key.clone()
    }

    /// Makes a private repository of an organisation, on all of which the App is installed.
    pub fn create(&self, full: &str) -> Repo<'_> {
        let (owner, name) = full.split_once('/').expect("OWNER/NAME");
        {
            let mut state = self.state();
            state.account(owner, AccountKind::Organization);
            add(&mut state, owner, name, None);
        }
        self.install(self.app, owner);
        self.repo(full)
    }

    /// Installs an App on all repositories of an account; the installation.
    pub fn install(&self, app: u64, account: &str) -> u64 {
        let mut state = self.state();
        let there = state.installations.iter().find(|it| it.app == app && it.account == account);
        if let Some(there) = there {
            return there.id;
        }
        let (id, created) = (state.fresh(), state.now());
        let permissions = state.app(app).permissions.clone();
        state.installations.push(Installation {
            id,
            app,
            account: account.into(),
            permissions,
            selected: None,
            suspended: None,
            created,
        });
        state.tell_installed(id);
        id
    }

    /// The App is not installed on an account any more.
    pub fn uninstall(&self, account: &str) {
        let app = self.app;
        self.state().installations.retain(|it| it.app != app || it.account != account);
    }

    /// Installations on this account may do that from now on: `read`, `write`; nothing for an empty
    /// one, as where an owner has not agreed yet. Tokens that are there already stay as they are.
    pub fn grant(&self, account: &str, permission: &str, level: &str) {
        for it in self.state().installations.iter_mut().filter(|it| it.account == account) {
            it.permissions.remove(permission);
            if !level.is_empty() {
                it.permissions.insert(permission.into(), level.into());
            }
        }
    }

    /// A repository that is there.
    pub fn repo(&self, full: &str) -> Repo<'_> {
        let path = self.state().path(full);
        assert!(path.exists(), "{full} is not there");
        let git = Repository::open(path, self.root.path());
        Repo { hub: self, full: full.into(), git }
    }

    /// Somebody makes a fork of a repository, under its name.
    pub fn fork(&self, full: &str, user: &str) -> Repo<'_> {
        let (_, name) = full.split_once('/').expect("OWNER/NAME");
        self.user(user);
        {
            let mut state = self.state();
            add(&mut state, user, name, Some(full));
            let from = state.path(full);
            let fork = format!("{user}/{name}");
            let to = state.path(&fork);
            let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
            let all = "+refs/heads/*:refs/heads/*";
            crate::world::git(self.root.path(), &["-C", to, "fetch", "--quiet", from, all], "");
            state.sync(&fork, user);
        }
        self.repo(&format!("{user}/{name}"))
    }

    /// Something goes wrong with requests of a method (`*` for any) and path (`*` for one part, `**`
    /// for any rest; without the base of the API), so many times, or always for `None`.
    pub fn fault(&self, method: &str, path: &str, times: Option<usize>, fault: Fault) {
        self.inner.faults.lock().unwrap().add(method, path, times, fault);
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.inner.faults.lock().unwrap().clear();
    }

    /// Its clock goes on by so much.
    pub fn advance(&self, by: Duration) {
        self.state().ahead += SignedDuration::try_from(by).unwrap();
    }

    /// Its clock goes back by so much: what is done now was done long ago.
    pub fn go_back(&self, by: Duration) {
        self.state().ahead -= SignedDuration::try_from(by).unwrap();
    }

    /// New tokens of installations end after so long.
    pub fn token_life(&self, life: Duration) {
        self.state().token_life = SignedDuration::try_from(life).unwrap();
    }

    /// Everybody has only so many requests in an hour from now on.
    pub fn limit(&self, most: u64) {
        self.state().limits.leave(most);
    }

    /// Everybody has only so many writes in a minute from now on; as many as they like for `None`.
    pub fn limit_writes(&self, most: Option<usize>) {
        self.state().limits.writes = most;
    }

    /// What came in so far, the oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.inner.log.lock().unwrap().clone()
    }

    /// Those of a method (`*` for any) and a path as for [`Self::fault`].
    pub fn calls(&self, method: &str, path: &str) -> Vec<Entry> {
        let mut log = self.log();
        log.retain(|it| (method == "*" || it.method == method) && is_match(path, &it.path));
        log
    }

    /// Forgets what came in.
    pub fn forget(&self) {
        self.inner.log.lock().unwrap().clear();
    }

    /// Webhooks go to this address from now on, signed with the secret.
    pub fn hook(&self, url: &str, secret: &str) {
        let mut state = self.state();
        state.hooks.target = Some((url.into(), secret.into()));
        state.tell_ping(self.app, url);
    }

    /// How often each webhook is sent: 0 loses them, 2 sends each twice.
    pub fn hook_times(&self, times: usize) {
        self.state().hooks.times = times;
    }

    /// What there was to tell Apps, the oldest first, sent or not.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let deliveries = self.state().hooks.deliveries.clone();
        deliveries.lock().unwrap().clone()
    }

    /// Waits until all that was sent is answered.
    #[track_caller]
    pub fn settle(&self) {
        let pending = self.state().hooks.pending.clone();
        let until = Instant::now() + Duration::from_secs(180);
        while pending.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < until, "webhooks are not answered");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a delivery so many times more.
    pub fn replay(&self, id: &str, times: usize) {
        let at = self.deliveries().iter().position(|it| it.id == id).expect("a delivery");
        let state = self.state();
        for _ in 0..times {
            state.hooks.send(at);
        }
    }

    /// Somebody who is not GitHub sends this to where webhooks go; what they are answered. Without
    /// a signature header for `None`.
    pub fn forge(&self, event: &str, body: &[u8], signature: Option<&str>) -> Result<u16, String> {
        let (answered, answer) = oneshot::channel();
        {
            let state = self.state();
            let (url, _) = state.hooks.target.clone().expect("where webhooks go");
            // Each is another delivery.
            static FORGED: AtomicU64 = AtomicU64::new(0);
            let id = FORGED.fetch_add(1, Ordering::Relaxed);
            let mut headers = hook::headers(event, &format!("f0f0f0f0-0000-11ee-8000-{id:012x}"));
            headers.extend(signature.map(|it| ("x-hub-signature-256".into(), it.into())));
            let (body, answered) = (body.to_vec(), Some(answered));
            let outgoing = hook::Outgoing { url, headers, body, index: None, answered };
            state.hooks.outgoing(outgoing);
        }
        self.runtime.block_on(answer).unwrap()
    }

    /// What was not as the description says, taken away: for tests of exactly that.
    pub fn violations(&self) -> Vec<String> {
        self.inner.take_wrong()
    }

    /// Everything that was asked and answered was as the description says.
    #[track_caller]
    pub fn verify(&self) {
        let wrong = self.violations();
        assert!(wrong.is_empty(), "not as GitHub describes it:\n{}", wrong.join("\n"));
    }

    /// Nobody listens any more, and connections end.
    pub fn down(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = self.runtime.block_on(running);
        }
    }

    /// Listens again, under the same address.
    pub fn up(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address)).unwrap();
        self.listen(listener);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }

    fn listen(&mut self, listener: TcpListener) {
        let inner = self.inner.clone();
        self.running = Some(self.runtime.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let inner = inner.clone();
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let inner = inner.clone();
                        async move { inner.answer(request).await }
                    });
                    let serving = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is no concern of a server's.
                    let _ = serving.serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.down();
        if !std::thread::panicking() {
            self.verify();
        }
    }
}

fn add(state: &mut State, owner: &str, name: &str, parent: Option<&str>) {
    let full = format!("{owner}/{name}");
    let (id, now) = (state.fresh(), state.now());
    let is_private = parent.is_none_or(|parent| state.repos[parent].is_private);
    git::create(&state.path(&full));
    let repo = state::Repo {
        id,
        owner: owner.into(),
        name: name.into(),
        is_private,
        parent: parent.map(str::to_owned),
        created: now,
        pushed: now,
        permissions: BTreeMap::new(),
        refs: BTreeMap::new(),
        next_number: 0,
        issues: BTreeMap::new(),
        comments: BTreeMap::new(),
        check_runs: BTreeMap::new(),
        check_suites: BTreeMap::new(),
        statuses: Vec::new(),
        labels: BTreeMap::new(),
    };
    assert!(state.repos.insert(full, repo).is_none(), "it is there already");
}

/// A private key and its public one, PEM, made once.
fn key() -> &'static (String, String) {
    static KEY: OnceLock<(String, String)> = OnceLock::new();
    KEY.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let openssl = |args: &str| {
            let output =
                Command::new("openssl").args(args.split(' ')).current_dir(folder.path()).output();
            let output = output.unwrap_or_else(|e| panic!("openssl: {e}: apt-get install openssl"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {args}: {said}");
        };
        openssl("genrsa -traditional -out key.pem 2048");
        openssl("rsa -in key.pem -pubout -out public.pem");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        (read("key.pem"), read("public.pem"))
    })
}
