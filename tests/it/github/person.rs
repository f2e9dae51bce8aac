//! What people do on GitHub, as tests say it.

use git2::Oid;

use super::GitHub;
use super::action::Opening;
use super::call::{Caller, Reply};
use super::git::{self, Method};
use super::state::{AccountKind, Status};
use crate::world::{Edit, Repository};

/// A repository on the server.
pub struct Repo<'a> {
    pub(super) hub: &'a GitHub,
    pub(super) full: String,
    pub(super) git: Repository,
}

/// What a review says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Approve,
    RequestChanges,
    Comment,
}

/// A comment as people see it.
#[derive(Clone, Debug)]
pub struct Said {
    pub id: u64,
    pub author: String,
    pub body: String,
    pub is_edited: bool,
    /// `LOGIN CONTENT`.
    pub reactions: Vec<String>,
}

/// An open pull request as people see it.
#[derive(Clone, Debug)]
pub struct Opened {
    pub number: u64,
    pub author: String,
    pub branch: String,
    pub title: String,
    pub body: String,
    pub labels: Vec<String>,
}

/// A remark on a line, as people see it.
#[derive(Clone, Debug)]
pub struct Suggested {
    pub author: String,
    pub path: String,
    pub start_line: Option<u64>,
    pub line: u64,
    pub body: String,
}

/// A commit status as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    pub context: String,
    pub state: String,
    pub description: String,
}

impl Repo<'_> {
    /// `OWNER/NAME`.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// Where git finds it over HTTP.
    pub fn url(&self) -> String {
        format!("{}/{}.git", self.hub.url(), self.full)
    }

    /// The bare repository itself, to look at.
    pub fn git(&self) -> &Repository {
        &self.git
    }

    /// Somebody pushes a commit to a branch, on what is there.
    pub fn push(&self, user: &str, branch: &str, edits: impl IntoIterator<Item = Edit>) -> String {
        let new = self.git.commit_by(&git::person(user), branch, edits);
        self.hub.state().sync(&self.full, user);
        new
    }

    /// Somebody pushes a new branch, a commit upon `from`.
    pub fn push_branch(
        &self,
        user: &str,
        branch: &str,
        from: &str,
        edits: impl IntoIterator<Item = Edit>,
    ) -> String {
        self.git.git(&["update-ref", &format!("refs/heads/{branch}"), &self.at(from)]);
        self.push(user, branch, edits)
    }

    /// Somebody makes a branch another one: a commit upon `from`, whatever it held.
    pub fn force_push(
        &self,
        user: &str,
        branch: &str,
        from: &str,
        edits: impl IntoIterator<Item = Edit>,
    ) -> String {
        self.push_branch(user, branch, from, edits)
    }

    /// Somebody puts another history in the place of what `main` held; its tip.
    pub fn rewrite(&self, user: &str, edits: impl IntoIterator<Item = Edit>) -> String {
        let new = self.git.rewrite(edits);
        self.hub.state().sync(&self.full, user);
        new
    }

    /// Somebody sets a commit status, as whoever may write can.
    pub fn set_status(&self, user: &str, at: &str, context: &str, state: &str) {
        let commit = Oid::from_str(&self.at(at)).unwrap();
        let mut all = self.hub.state();
        let status = Status {
            id: all.fresh(),
            author: user.into(),
            commit,
            state: state.into(),
            context: context.into(),
            description: Some("All is well".into()),
            target_url: None,
            created: all.now(),
        };
        all.repos.get_mut(&self.full).unwrap().statuses.push(status);
    }

    /// Somebody deletes a branch.
    pub fn delete_branch(&self, user: &str, branch: &str) {
        self.git.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]);
        self.hub.state().sync(&self.full, user);
    }

    /// The commit that a branch or a SHA is.
    #[track_caller]
    pub fn at(&self, name: &str) -> String {
        let found = git::resolve(&git::open(self.git.path()), name);
        found.unwrap_or_else(|| panic!("{name} is not in {}", self.full)).to_string()
    }

    /// Opens a pull request; a head of a fork is `OWNER:BRANCH`.
    #[track_caller]
    pub fn open_pull(&self, author: &str, head: &str, base: &str, title: &str) -> u64 {
        self.open(author, head, base, title, false)
    }

    /// The same, not ready yet.
    #[track_caller]
    pub fn open_draft(&self, author: &str, head: &str, base: &str, title: &str) -> u64 {
        self.open(author, head, base, title, true)
    }

    #[track_caller]
    fn open(&self, author: &str, head: &str, base: &str, title: &str, is_draft: bool) -> u64 {
        let opening = Opening {
            title: title.into(),
            body: None,
            head: head.into(),
            head_repo: None,
            base: base.into(),
            is_draft,
        };
        self.hub.user(author);
        well(self.hub.state().open_pull(&self.full, author, opening))
    }

    /// Reviews a pull request at its head; the review.
    #[track_caller]
    pub fn review(&self, user: &str, number: u64, verdict: Verdict) -> u64 {
        let state = match verdict {
            Verdict::Approve => "APPROVED",
            Verdict::RequestChanges => "CHANGES_REQUESTED",
            Verdict::Comment => "COMMENTED",
        };
        let body = if verdict == Verdict::Approve { "" } else { "See above." };
        self.hub.user(user);
        let mut all = self.hub.state();
        well(all.review_pull(&self.full, number, user, state, body.into(), None))
    }

    /// Takes a review back, as a maintainer may.
    pub fn dismiss(&self, by: &str, number: u64, review: u64) {
        self.hub.state().dismiss(&self.full, number, review, by);
    }

    /// Writes a comment; its id.
    #[track_caller]
    pub fn comment(&self, user: &str, number: u64, text: &str) -> u64 {
        self.hub.user(user);
        let caller = Caller::User(user.into());
        well(self.hub.state().comment(&self.full, number, &caller, text.into()))
    }

    #[track_caller]
    pub fn edit_comment(&self, by: &str, id: u64, text: &str) {
        well(self.hub.state().edit_comment(&self.full, id, by, text.into()));
    }

    #[track_caller]
    pub fn delete_comment(&self, by: &str, id: u64) {
        well(self.hub.state().delete_comment(&self.full, id, by));
    }

    /// Merges a pull request by a merge commit; the new tip of its base.
    #[track_caller]
    pub fn merge(&self, user: &str, number: u64) -> String {
        self.merge_by(user, number, Method::Merge)
    }

    #[track_caller]
    pub fn merge_by(&self, user: &str, number: u64, method: Method) -> String {
        self.hub.user(user);
        well(self.hub.state().merge(&self.full, number, user, method, None)).to_string()
    }

    /// Somebody rebases a pull request, and pushes that to its branch and to its base; GitHub does not call it
    /// merged before [`Self::call_merged`].
    #[track_caller]
    pub fn land(&self, user: &str, number: u64) -> String {
        // Whoever asks meanwhile waits: nobody sees the one moved and the other not.
        let mut state = self.hub.state();
        state.marks_late = true;
        let now = state.now();
        let pull = state.issue(&self.full, number).pull();
        let (head, branch, base) = (pull.head, pull.head_ref.clone(), pull.base_ref.clone());
        let tip = Oid::from_str(&self.at(&base)).unwrap();
        let git = git::open(self.git.path());
        let merge =
            git::Merge { base: tip, head, method: Method::Rebase, message: "", author: user, now };
        let new = git::merge(&git, &merge).expect("it can be rebased");
        for branch in [branch, base] {
            git.reference(&format!("refs/heads/{branch}"), new, true, "land").unwrap();
        }
        state.sync(&self.full, user);
        new.to_string()
    }

    /// GitHub sees that what [`Self::land`] pushed was a merge.
    pub fn call_merged(&self, user: &str, number: u64) {
        let mut state = self.hub.state();
        state.marks_late = false;
        let head = state.issue(&self.full, number).pull().head;
        state.set_merged(&self.full, number, user, head);
    }

    /// Somebody pushes a merge of these to a branch, with what `like` holds.
    pub fn push_merge(&self, user: &str, branch: &str, of: [&str; 2], like: &str) -> String {
        let git = git::open(self.git.path());
        let commit = |name: &str| git.find_commit(Oid::from_str(&self.at(name)).unwrap()).unwrap();
        let [one, other] = of.map(commit);
        let (tree, now) = (commit(like).tree().unwrap(), self.hub.state().now());
        let by = git::signature(user, now);
        let made = git.commit(None, &by, &by, "Merge", &tree, &[&one, &other]).unwrap();
        git.reference(&format!("refs/heads/{branch}"), made, true, "merge").unwrap();
        self.hub.state().sync(&self.full, user);
        made.to_string()
    }

    /// Aims a pull request at another branch, as its author may.
    pub fn retarget(&self, user: &str, number: u64, base: &str) {
        self.at(base);
        self.hub.state().retarget(&self.full, number, user, base);
    }

    /// Somebody pushes what one branch holds to another, which it is ahead of.
    pub fn forward(&self, user: &str, branch: &str, to: &str) {
        self.git.git(&["update-ref", &format!("refs/heads/{branch}"), &self.at(to)]);
        self.hub.state().sync(&self.full, user);
    }

    /// Somebody presses "Update branch": the base is merged into the head.
    #[track_caller]
    pub fn update_branch(&self, user: &str, number: u64) -> String {
        let (head, branch, base, now) = {
            let mut state = self.hub.state();
            let now = state.now();
            let pull = state.issue(&self.full, number).pull();
            (pull.head, pull.head_ref.clone(), pull.base_ref.clone(), now)
        };
        let tip = Oid::from_str(&self.at(&base)).unwrap();
        let message = format!("Merge branch '{base}' into {branch}");
        let git = git::open(self.git.path());
        let merge = git::Merge {
            base: head,
            head: tip,
            method: Method::Merge,
            message: &message,
            author: user,
            now,
        };
        let new = git::merge(&git, &merge).expect("it can be merged");
        git.reference(&format!("refs/heads/{branch}"), new, true, "update").unwrap();
        self.hub.state().sync(&self.full, user);
        new.to_string()
    }

    pub fn close(&self, user: &str, number: u64) {
        self.hub.state().close(&self.full, number, user);
    }

    #[track_caller]
    pub fn reopen(&self, user: &str, number: u64) {
        assert!(self.hub.state().reopen(&self.full, number, user), "it cannot be opened again");
    }

    /// Turns a pull request into a draft, or makes it ready.
    pub fn set_draft(&self, user: &str, number: u64, is_draft: bool) {
        self.hub.state().draft(&self.full, number, user, is_draft);
    }

    /// Locks the conversation: only those with write access go on.
    pub fn lock(&self, number: u64) {
        self.hub.state().issue(&self.full, number).is_locked = true;
    }

    /// Deletes a pull request: nobody finds it any more.
    pub fn delete_pull(&self, number: u64) {
        self.hub.state().issue(&self.full, number).is_deleted = true;
    }

    /// Opens a pull request that takes a merged one back, as the button does; its number.
    #[track_caller]
    pub fn revert(&self, user: &str, number: u64) -> u64 {
        let (merge, base, title) = {
            let mut state = self.hub.state();
            let issue = state.issue(&self.full, number);
            let pull = issue.pull();
            let merge = pull.merge_commit.filter(|_| pull.merged.is_some());
            (merge.expect("a merged one"), pull.base_ref.clone(), issue.title.clone())
        };
        let title = format!("Revert \"{title}\"");
        let branch = format!("revert-{number}");
        let tip = Oid::from_str(&self.at(&base)).unwrap();
        let now = self.hub.state().now();
        let git = git::open(self.git.path());
        let new = git::revert(&git, merge, tip, &title, user, now).expect("it goes back");
        git.reference(&format!("refs/heads/{branch}"), new, true, "revert").unwrap();
        self.hub.state().sync(&self.full, user);
        self.open_pull(user, &branch, &base, &title)
    }

    /// What somebody may do: `none read triage write maintain admin`.
    pub fn permit(&self, user: &str, permission: &str) {
        self.hub.user(user);
        let mut state = self.hub.state();
        let repo = state.repos.get_mut(&self.full).unwrap();
        repo.permissions.insert(user.into(), permission.into());
    }

    /// Everybody may read it.
    pub fn publish(&self) {
        self.hub.state().repos.get_mut(&self.full).unwrap().is_private = false;
    }

    /// The pull requests that are open, the oldest first.
    pub fn open_pulls(&self) -> Vec<Opened> {
        let state = self.hub.state();
        let open = state.repos[&self.full].pulls().filter(|(issue, _)| issue.is_open);
        let mut open: Vec<_> = open
            .map(|(issue, pull)| Opened {
                number: issue.number,
                author: issue.author.clone(),
                branch: pull.head_ref.clone(),
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                labels: issue.labels.iter().cloned().collect(),
            })
            .collect();
        open.sort_by_key(|it| it.number);
        open
    }

    /// Its issues without pull requests, the oldest first, each with whether it is open.
    pub fn issues(&self) -> Vec<(Opened, bool)> {
        let state = self.hub.state();
        let all = state.repos[&self.full].issues.values();
        let all = all.filter(|issue| issue.pull.is_none() && !issue.is_deleted);
        let told = all.map(|issue| {
            let opened = Opened {
                number: issue.number,
                author: issue.author.clone(),
                branch: String::new(),
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                labels: issue.labels.iter().cloned().collect(),
            };
            (opened, issue.is_open)
        });
        told.collect()
    }

    /// Somebody opens an issue.
    pub fn open_issue(&self, author: &str, title: &str, body: &str) -> u64 {
        let (title, body) = (title.to_owned(), Some(body.to_owned()));
        self.hub.state().open_issue(&self.full, author, title, body)
    }

    /// The comments below a pull request, the oldest first.
    pub fn comments(&self, number: u64) -> Vec<Said> {
        let state = self.hub.state();
        let all = state.repos[&self.full].comments.values().filter(|it| it.issue == number);
        all.map(|it| Said {
            id: it.id,
            author: it.author.clone(),
            body: it.body.clone(),
            is_edited: it.updated != it.created,
            reactions: it
                .reactions
                .iter()
                .map(|it| format!("{} {}", it.author, it.content))
                .collect(),
        })
        .collect()
    }

    /// The remarks on lines of a pull request, the oldest first.
    pub fn remarks(&self, number: u64) -> Vec<Suggested> {
        let mut state = self.hub.state();
        let all = state.issue(&self.full, number).pull().remarks.iter();
        all.map(|it| Suggested {
            author: it.author.clone(),
            path: it.path.clone(),
            start_line: it.start_line,
            line: it.line,
            body: it.body.clone(),
        })
        .collect()
    }

    /// The check runs on a commit or a branch's tip, the oldest first.
    #[track_caller]
    pub fn checks(&self, at: &str) -> Vec<super::state::CheckRun> {
        let at = self.at(at);
        let state = self.hub.state();
        let all = state.repos[&self.full].check_runs.values();
        all.filter(|run| run.head.to_string() == at).cloned().collect()
    }

    /// Somebody wants a check run done again.
    pub fn rerequest(&self, user: &str, run: u64) {
        let state = self.hub.state();
        state.tell_check(
            &self.full,
            &state.repos[&self.full].check_runs[&run],
            "rerequested",
            user,
        );
    }

    /// The statuses on a commit or a branch's tip as they stand, by context.
    #[track_caller]
    pub fn statuses(&self, at: &str) -> Vec<Stated> {
        let at = self.at(at);
        let state = self.hub.state();
        let all = state.repos[&self.full].statuses.iter();
        let all = all.filter(|it| it.commit.to_string() == at);
        let mut latest = std::collections::BTreeMap::new();
        for it in all {
            latest.insert(it.context.clone(), it);
        }
        let told = latest.into_iter().map(|(context, it)| Stated {
            context,
            state: it.state.clone(),
            description: it.description.clone().unwrap_or_default(),
        });
        told.collect()
    }

    /// Whether a pull request was merged.
    pub fn is_merged(&self, number: u64) -> bool {
        self.hub.state().issue(&self.full, number).pull().merged.is_some()
    }
}

#[track_caller]
fn well<T>(done: Result<T, Reply>) -> T {
    match done {
        Ok(done) => done,
        Err(refused) => panic!("refused: {} {:?}", refused.status, refused.body),
    }
}

impl GitHub {
    /// Somebody, who is there from then on; their login.
    pub fn user(&self, login: &str) -> String {
        self.state().account(login, AccountKind::User);
        login.to_owned()
    }

    /// A new personal token of somebody's.
    pub fn token(&self, login: &str) -> String {
        self.user(login);
        let mut state = self.state();
        let token = format!("ghp_{:036}", state.fresh());
        state.tokens.insert(token.clone(), super::state::Token::Personal { user: login.into() });
        token
    }

    /// A token stops to open anything; all of the App's for `None`.
    pub fn revoke(&self, token: Option<&str>) {
        self.state().tokens.retain(|it, _| token.is_some_and(|token| it != token));
    }

    /// Somebody is called otherwise from now on: it is the same account.
    pub fn rename(&self, from: &str, to: &str) {
        let mut state = self.state();
        let super::state::Account { id, kind } = state.accounts[from];
        state.accounts.insert(to.into(), super::state::Account { id, kind });
    }

    /// A team of an organisation with these members, in place of whoever was in it.
    pub fn team(&self, org: &str, slug: &str, members: &[&str]) {
        for login in members {
            self.user(login);
        }
        let mut state = self.state();
        let id = state.fresh();
        let members = members.iter().map(|login| ((*login).to_owned(), true)).collect();
        let team = super::state::Team { id, name: slug.into(), members };
        state.teams.insert((org.into(), slug.into()), team);
    }

    /// Somebody is invited into a team, and has not answered.
    pub fn invite(&self, org: &str, slug: &str, login: &str) {
        self.user(login);
        let mut state = self.state();
        let team = state.teams.get_mut(&(org.into(), slug.into())).expect("a team");
        team.members.insert(login.into(), false);
    }
}
