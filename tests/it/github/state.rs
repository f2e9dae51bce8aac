//! What GitHub knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use git2::Oid;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::hook::Hooks;
use super::limit::Limits;

/// Everything, under one lock.
pub struct State {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Where the bare repositories are, as `OWNER/NAME.git`.
    pub root: PathBuf,
    /// How far its clock is ahead of the machine's.
    pub ahead: SignedDuration,
    /// How long installation tokens open something.
    pub token_life: SignedDuration,
    pub accounts: BTreeMap<String, Account>,
    /// By `OWNER/NAME`.
    pub repos: BTreeMap<String, Repo>,
    /// By organisation and slug.
    pub teams: BTreeMap<(String, String), Team>,
    pub apps: Vec<App>,
    pub installations: Vec<Installation>,
    pub tokens: BTreeMap<String, Token>,
    /// A pull request whose head was pushed to its base is not called merged by itself.
    pub marks_late: bool,
    pub limits: Limits,
    pub hooks: Hooks,
    ids: std::cell::Cell<u64>,
}

/// A person, an organisation, or the hand of an App.
pub struct Account {
    pub id: u64,
    pub kind: AccountKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountKind {
    User,
    Organization,
    Bot,
}

pub struct Team {
    pub id: u64,
    pub name: String,
    /// Those whose invitation is not answered yet are `false`.
    pub members: BTreeMap<String, bool>,
}

pub struct App {
    pub id: u64,
    pub slug: String,
    /// PEM.
    pub key: String,
    pub public_key: String,
    pub created: Timestamp,
    /// What it asks for.
    pub permissions: BTreeMap<String, String>,
}

pub struct Installation {
    pub id: u64,
    pub app: u64,
    /// The organisation or user.
    pub account: String,
    /// What it may do: `read` or `write` by name.
    pub permissions: BTreeMap<String, String>,
    /// `OWNER/NAME`; `None` is all of the account's.
    pub selected: Option<BTreeSet<String>>,
    pub suspended: Option<Timestamp>,
    pub created: Timestamp,
}

/// What opens something.
pub enum Token {
    /// Of an installation, with what it was narrowed to.
    Installation {
        installation: u64,
        permissions: BTreeMap<String, String>,
        selected: Option<BTreeSet<String>>,
        ends: Timestamp,
    },
    /// A personal one.
    Personal { user: String },
}

pub struct Repo {
    pub id: u64,
    pub owner: String,
    pub name: String,
    pub is_private: bool,
    /// `OWNER/NAME` of what it is a fork of.
    pub parent: Option<String>,
    pub created: Timestamp,
    pub pushed: Timestamp,
    /// What people may do, by login: `read triage write maintain admin`.
    pub permissions: BTreeMap<String, String>,
    /// Refs as they were when last looked at.
    pub refs: BTreeMap<String, Oid>,
    pub next_number: u64,
    pub issues: BTreeMap<u64, Issue>,
    pub comments: BTreeMap<u64, Comment>,
    pub check_runs: BTreeMap<u64, CheckRun>,
    pub check_suites: BTreeMap<u64, CheckSuite>,
    /// The oldest first.
    pub statuses: Vec<Status>,
    pub labels: BTreeMap<String, u64>,
}

/// An issue; a pull request is one with more.
pub struct Issue {
    pub id: u64,
    pub number: u64,
    pub author: String,
    pub title: String,
    pub body: Option<String>,
    pub is_open: bool,
    pub is_locked: bool,
    /// Nobody can see it any more.
    pub is_deleted: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub closed: Option<Timestamp>,
    pub labels: BTreeSet<String>,
    pub reactions: Vec<Reaction>,
    pub pull: Option<Pull>,
}

pub struct Pull {
    /// `OWNER/NAME`, another than the base's for a fork; `None` when the fork is gone.
    pub head_repo: Option<String>,
    pub head_owner: String,
    pub head_ref: String,
    pub head: Oid,
    pub base_ref: String,
    pub base: Oid,
    pub is_draft: bool,
    /// Whether the head goes into the base.
    pub mergeable: bool,
    /// What it would be merged as, or was.
    pub merge_commit: Option<Oid>,
    pub merged: Option<(Timestamp, String)>,
    /// The commits that came to the base with it.
    pub landed: Vec<Oid>,
    pub reviews: Vec<Review>,
    pub remarks: Vec<Remark>,
}

pub struct Review {
    pub id: u64,
    pub author: String,
    /// `APPROVED CHANGES_REQUESTED COMMENTED DISMISSED PENDING`.
    pub state: String,
    pub body: String,
    pub commit: Oid,
    pub submitted: Timestamp,
}

/// A comment on lines of a pull request's files.
pub struct Remark {
    pub id: u64,
    pub review: u64,
    pub author: String,
    pub body: String,
    pub path: String,
    pub line: u64,
    pub start_line: Option<u64>,
    pub side: String,
    pub commit: Oid,
    pub created: Timestamp,
    pub reply_to: Option<u64>,
}

pub struct Comment {
    pub id: u64,
    pub issue: u64,
    pub author: String,
    /// The App that wrote it.
    pub app: Option<u64>,
    pub body: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub reactions: Vec<Reaction>,
}

pub struct Reaction {
    pub id: u64,
    pub author: String,
    pub content: String,
    pub created: Timestamp,
}

pub struct CheckSuite {
    pub id: u64,
    pub app: u64,
    pub head: Oid,
    pub branch: Option<String>,
    pub created: Timestamp,
}

#[derive(Clone)]
pub struct CheckRun {
    pub id: u64,
    pub suite: u64,
    pub app: u64,
    pub name: String,
    pub head: Oid,
    pub external_id: String,
    pub details_url: Option<String>,
    pub status: String,
    pub conclusion: Option<String>,
    pub started: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    /// As they were sent.
    pub annotations: Vec<Value>,
}

pub struct Status {
    pub id: u64,
    pub author: String,
    pub commit: Oid,
    pub state: String,
    pub context: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub created: Timestamp,
}

impl State {
    pub fn new(base: String, root: PathBuf, hooks: Hooks) -> Self {
        Self {
            base,
            root,
            ahead: SignedDuration::ZERO,
            token_life: SignedDuration::from_hours(1),
            accounts: BTreeMap::new(),
            repos: BTreeMap::new(),
            teams: BTreeMap::new(),
            apps: Vec::new(),
            installations: Vec::new(),
            tokens: BTreeMap::new(),
            marks_late: false,
            limits: Limits::default(),
            hooks,
            ids: std::cell::Cell::new(1000),
        }
    }

    /// Its time, in whole seconds as GitHub tells it.
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now() + self.ahead;
        Timestamp::from_second(now.as_second()).unwrap()
    }

    /// A number that nothing has yet; later things have greater ones.
    pub fn fresh(&self) -> u64 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    /// Base of the REST API.
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.base)
    }

    /// The account of that login, made when it is new.
    pub fn account(&mut self, login: &str, kind: AccountKind) {
        if !self.accounts.contains_key(login) {
            let id = self.fresh();
            self.accounts.insert(login.to_owned(), Account { id, kind });
        }
    }

    pub fn path(&self, full: &str) -> PathBuf {
        self.root.join(format!("{full}.git"))
    }

    pub fn app(&self, id: u64) -> &App {
        self.apps.iter().find(|app| app.id == id).expect("an app of that id")
    }

    /// What somebody may do in a repository: `none` where they are not known.
    pub fn permission(&self, full: &str, login: &str) -> &str {
        let repo = &self.repos[full];
        match repo.permissions.get(login) {
            _ if repo.owner == login => "admin",
            Some(permission) => permission,
            None if repo.is_private => "none",
            None => "read",
        }
    }

    /// The installation that sees a repository.
    pub fn installation_of(&self, full: &str, app: u64) -> Option<&Installation> {
        self.installations.iter().find(|it| it.app == app && it.covers(full))
    }

    pub fn issue(&mut self, full: &str, number: u64) -> &mut Issue {
        self.repos.get_mut(full).unwrap().issues.get_mut(&number).unwrap()
    }
}

impl Installation {
    /// Whether a repository is among its own.
    pub fn covers(&self, full: &str) -> bool {
        let is_own = full.split_once('/').is_some_and(|(owner, _)| owner == self.account);
        is_own && self.selected.as_ref().is_none_or(|some| some.contains(full))
    }
}

impl Repo {
    /// `OWNER/NAME`.
    pub fn full(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The numbers of its pull requests that can be seen, the newest first.
    pub fn pulls(&self) -> impl Iterator<Item = (&Issue, &Pull)> {
        let seen = self.issues.values().rev().filter(|issue| !issue.is_deleted);
        seen.filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
    }
}

impl Issue {
    /// What makes it a pull request.
    pub fn pull(&self) -> &Pull {
        self.pull.as_ref().expect("a pull request")
    }

    pub fn pull_mut(&mut self) -> &mut Pull {
        self.pull.as_mut().expect("a pull request")
    }
}
