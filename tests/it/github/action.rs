//! What happens to pull requests, whoever asks for it.

use git2::Oid;
use serde_json::json;

use super::call::{Caller, Reply};
use super::git::{self, Merge, Method};
use super::state::{CheckSuite, Comment, Installation, Issue, Pull, Review, State};

/// GitHub's limit of a body, in characters.
pub const MOST: usize = 65_536;

/// A pull request to be opened.
pub struct Opening {
    pub title: String,
    pub body: Option<String>,
    /// `BRANCH` or `OWNER:BRANCH`.
    pub head: String,
    /// `OWNER/NAME`, where it is another.
    pub head_repo: Option<String>,
    pub base: String,
    pub is_draft: bool,
}

impl State {
    /// Looks at the refs of a repository, and lets everything follow that comes from a push.
    pub fn sync(&mut self, full: &str, pusher: &str) {
        let now = self.now();
        let refs = git::refs(&git::open(&self.path(full)));
        let repo = self.repos.get_mut(full).unwrap();
        if repo.refs == refs {
            return;
        }
        repo.pushed = now;
        let old = std::mem::replace(&mut repo.refs, refs.clone());
        let names = old.keys().chain(refs.keys()).collect::<std::collections::BTreeSet<_>>();
        let moved: Vec<_> = names
            .into_iter()
            .map(|name| (name, old.get(name).copied(), refs.get(name).copied()))
            .filter(|(_, before, after)| before != after)
            .collect();
        for (name, before, after) in moved {
            self.pushed(full, pusher, name, before, after);
            self.want_checks(full, pusher, name, after);
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                self.head_moved(full, pusher, branch, after);
                self.base_moved(full, pusher, branch, after);
            }
        }
    }

    /// Each App that writes checks has a suite of its own for each push to a branch.
    fn want_checks(&mut self, full: &str, pusher: &str, name: &str, after: Option<Oid>) {
        let Some(after) = after.filter(|_| name.starts_with("refs/heads/")) else { return };
        let writes = |it: &&Installation| {
            it.covers(full) && it.permissions.get("checks").is_some_and(|level| level == "write")
        };
        let apps: Vec<_> = self.installations.iter().filter(writes).map(|it| it.app).collect();
        for app in apps {
            let (id, is_new) = self.suite(full, app, after);
            if is_new {
                self.tell_suite(full, id, "requested", pusher);
            }
        }
    }

    /// The suite of an App's check runs on a commit, and whether it is new.
    pub fn suite(&mut self, full: &str, app: u64, head: Oid) -> (u64, bool) {
        let suites = &self.repos[full].check_suites;
        if let Some(suite) = suites.values().find(|suite| suite.app == app && suite.head == head) {
            return (suite.id, false);
        }
        let (id, created) = (self.fresh(), self.now());
        let repo = self.repos.get_mut(full).unwrap();
        let mut refs = repo.refs.iter().filter(|(_, id)| **id == head);
        let branch = refs.find_map(|(name, _)| Some(name.strip_prefix("refs/heads/")?.to_owned()));
        repo.check_suites.insert(id, CheckSuite { id, app, head, branch, created });
        (id, true)
    }

    fn head_moved(&mut self, full: &str, pusher: &str, branch: &str, after: Option<Oid>) {
        let is_of = |issue: &&Issue| {
            let head =
                |pull: &Pull| pull.head_repo.as_deref() == Some(full) && pull.head_ref == branch;
            issue.is_open && issue.pull.as_ref().is_some_and(head)
        };
        let all = self.repos.iter().flat_map(|(base, repo)| {
            repo.issues.values().filter(is_of).map(|issue| (base.clone(), issue.number))
        });
        for (base, number) in all.collect::<Vec<_>>() {
            let Some(after) = after else {
                self.close(&base, number, pusher);
                continue;
            };
            let now = self.now();
            let issue = self.issue(&base, number);
            issue.updated = now;
            let before = std::mem::replace(&mut issue.pull_mut().head, after);
            self.refresh(&base, number, true);
            let more = json!({"before": before.to_string(), "after": after.to_string()});
            self.tell_pull(&base, number, "synchronize", pusher, more);
        }
    }

    fn base_moved(&mut self, full: &str, pusher: &str, branch: &str, after: Option<Oid>) {
        let open = self.repos[full].pulls();
        let open = open.filter(|(issue, pull)| issue.is_open && pull.base_ref == branch);
        let numbers: Vec<_> = open.map(|(issue, _)| issue.number).collect();
        for number in numbers {
            let Some(tip) = after else {
                self.close(full, number, pusher);
                continue;
            };
            let head = self.issue(full, number).pull().head;
            let git = git::open(&self.path(full));
            if git::is_ancestor(&git, head, tip) {
                // Somebody merged it by hand.
                if !self.marks_late {
                    self.set_merged(full, number, pusher, head);
                }
            } else {
                self.refresh(full, number, false);
            }
        }
    }

    /// Brings what is kept about a pull request in the bare repository up to date.
    fn refresh(&mut self, full: &str, number: u64, with_base: bool) {
        let (now, path) = (self.now(), self.path(full));
        let repo = &self.repos[full];
        let pull = repo.issues[&number].pull();
        let (head, base_ref) = (pull.head, format!("refs/heads/{}", pull.base_ref));
        let Some(tip) = repo.refs.get(&base_ref).copied() else { return };
        let name = format!("refs/pull/{number}/head");
        match pull.head_repo.as_deref().filter(|from| *from != full) {
            Some(from) => git::copy(&self.path(from), &path, head, &name),
            None => {
                git::open(&path).reference(&name, head, true, "pull request").unwrap();
            }
        }
        let git = git::open(&path);
        let merged = git::test_merge(&git, tip, head, now);
        if let Some(merged) = merged {
            // Where they conflict, the ref stays where it was, as GitHub's does.
            let name = format!("refs/pull/{number}/merge");
            git.reference(&name, merged, true, "pull request").unwrap();
        }
        let pull = self.issue(full, number).pull_mut();
        pull.mergeable = merged.is_some();
        pull.merge_commit = merged;
        if with_base {
            pull.base = tip;
        }
    }

    pub fn open_pull(&mut self, full: &str, author: &str, opening: Opening) -> Result<u64, Reply> {
        let invalid = |field: &str, code: &str, message: &str| {
            Err(Reply::invalid("PullRequest", field, code, message))
        };
        let owner = self.repos[full].owner.clone();
        let (head_owner, head_ref) = match opening.head.split_once(':') {
            Some((owner, branch)) => (owner.to_owned(), branch.to_owned()),
            None => (owner.clone(), opening.head),
        };
        let name = self.repos[full].name.clone();
        let head_repo = match opening.head_repo {
            Some(repo) => repo,
            None if head_owner == owner => full.to_owned(),
            None => format!("{head_owner}/{name}"),
        };
        let tip = |repo: &str, branch: &str| {
            self.repos.get(repo)?.refs.get(&format!("refs/heads/{branch}")).copied()
        };
        let Some(head) = tip(&head_repo, &head_ref) else {
            return invalid("head", "invalid", "head");
        };
        let Some(base) = tip(full, &opening.base) else {
            return invalid("base", "invalid", "base");
        };
        let from = git::open(&self.path(&head_repo));
        if git::is_ancestor(&from, head, base) {
            let message = format!("No commits between {} and {head_ref}", opening.base);
            return invalid("head", "custom", &message);
        }
        let is_same = |(issue, pull): (&Issue, &Pull)| {
            issue.is_open
                && pull.head_repo.as_ref() == Some(&head_repo)
                && (&pull.head_ref, &pull.base_ref) == (&head_ref, &opening.base)
        };
        if self.repos[full].pulls().any(is_same) {
            let message = format!("A pull request already exists for {head_owner}:{head_ref}.");
            return invalid("head", "custom", &message);
        }
        let number = self.open_issue(full, author, opening.title, opening.body);
        self.issue(full, number).pull = Some(Pull {
            head_repo: Some(head_repo),
            head_owner,
            head_ref,
            head,
            base_ref: opening.base,
            base,
            is_draft: opening.is_draft,
            mergeable: false,
            merge_commit: None,
            landed: Vec::new(),
            merged: None,
            reviews: Vec::new(),
            remarks: Vec::new(),
        });
        self.refresh(full, number, true);
        self.tell_pull(full, number, "opened", author, json!({}));
        Ok(number)
    }

    pub fn open_issue(
        &mut self,
        full: &str,
        author: &str,
        title: String,
        body: Option<String>,
    ) -> u64 {
        let (id, now) = (self.fresh(), self.now());
        let repo = self.repos.get_mut(full).unwrap();
        repo.next_number += 1;
        let number = repo.next_number;
        let issue = Issue {
            id,
            number,
            author: author.to_owned(),
            title,
            body,
            is_open: true,
            is_locked: false,
            is_deleted: false,
            created: now,
            updated: now,
            closed: None,
            labels: std::collections::BTreeSet::new(),
            reactions: Vec::new(),
            pull: None,
        };
        repo.issues.insert(number, issue);
        number
    }

    pub fn close(&mut self, full: &str, number: u64, by: &str) {
        let now = self.now();
        let issue = self.issue(full, number);
        issue.is_open = false;
        issue.updated = now;
        issue.closed = Some(now);
        if issue.pull.is_some() {
            self.tell_pull(full, number, "closed", by, json!({}));
        }
    }

    /// Aims one at another branch.
    pub fn retarget(&mut self, full: &str, number: u64, by: &str, base: &str) {
        let now = self.now();
        let issue = self.issue(full, number);
        issue.updated = now;
        let pull = issue.pull_mut();
        let (branch, tip) =
            (std::mem::replace(&mut pull.base_ref, base.to_owned()), pull.base.to_string());
        self.refresh(full, number, true);
        let from = json!({"ref": {"from": branch}, "sha": {"from": tip}});
        self.tell_pull(full, number, "edited", by, json!({"changes": {"base": from}}));
    }

    /// Opens one again; false where that cannot be, since it was merged or a branch is gone.
    pub fn reopen(&mut self, full: &str, number: u64, by: &str) -> bool {
        let now = self.now();
        let issue = &self.repos[full].issues[&number];
        if let Some(pull) = &issue.pull {
            let name = format!("refs/heads/{}", pull.head_ref);
            let head = pull.head_repo.as_ref().and_then(|repo| self.repos[repo].refs.get(&name));
            let Some(head) = head.copied().filter(|_| pull.merged.is_none()) else { return false };
            self.issue(full, number).pull_mut().head = head;
        }
        let issue = self.issue(full, number);
        issue.is_open = true;
        issue.updated = now;
        issue.closed = None;
        if issue.pull.is_some() {
            self.refresh(full, number, true);
            self.tell_pull(full, number, "reopened", by, json!({}));
        }
        true
    }

    /// Merges one; the commit that the base is at then.
    pub fn merge(
        &mut self,
        full: &str,
        number: u64,
        by: &str,
        method: Method,
        message: Option<String>,
    ) -> Result<Oid, Reply> {
        let refused = |why: &str| Reply::error(405, why);
        let repo = &self.repos[full];
        let issue = &repo.issues[&number];
        let pull = issue.pull();
        if !issue.is_open || pull.is_draft || !pull.mergeable {
            return Err(refused("Pull Request is not mergeable"));
        }
        let name = format!("refs/heads/{}", pull.base_ref);
        let text = match method {
            _ if message.is_some() => message.unwrap_or_default(),
            Method::Merge => {
                let from = format!("{}/{}", pull.head_owner, pull.head_ref);
                format!("Merge pull request #{number} from {from}\n\n{}", issue.title)
            }
            Method::Squash | Method::Rebase => format!("{} (#{number})", issue.title),
        };
        let git = git::open(&self.path(full));
        let merge = Merge {
            base: repo.refs[&name],
            head: pull.head,
            method,
            message: &text,
            author: by,
            now: self.now(),
        };
        let Some(tip) = git::merge(&git, &merge) else {
            return Err(refused("Merge conflict"));
        };
        git.reference(&name, tip, true, "merge").unwrap();
        let landed = git::commits(&git, merge.base, tip);
        // Before others hear of the push: they see that it was this.
        self.set_merged(full, number, by, tip);
        self.issue(full, number).pull_mut().landed = landed;
        self.sync(full, by);
        Ok(tip)
    }

    pub fn set_merged(&mut self, full: &str, number: u64, by: &str, commit: Oid) {
        let now = self.now();
        let issue = self.issue(full, number);
        issue.is_open = false;
        issue.updated = now;
        issue.closed = Some(now);
        let pull = issue.pull_mut();
        pull.merged = Some((now, by.to_owned()));
        pull.merge_commit = Some(commit);
        self.tell_pull(full, number, "closed", by, json!({}));
    }

    pub fn draft(&mut self, full: &str, number: u64, by: &str, is_draft: bool) {
        self.issue(full, number).pull_mut().is_draft = is_draft;
        let action = if is_draft { "converted_to_draft" } else { "ready_for_review" };
        self.tell_pull(full, number, action, by, json!({}));
    }

    /// Writes below an issue or a pull request.
    pub fn comment(
        &mut self,
        full: &str,
        issue: u64,
        by: &Caller,
        body: String,
    ) -> Result<u64, Reply> {
        long("IssueComment", &body)?;
        let (login, now) = (by.login().to_owned(), self.now());
        let may = matches!(self.permission(full, &login), "admin" | "maintain" | "write");
        if self.issue(full, issue).is_locked && !may {
            return Err(Reply::error(403, "Unable to create comment because issue is locked."));
        }
        let id = self.fresh();
        let comment = Comment {
            id,
            issue,
            author: login.clone(),
            app: by.app(),
            body,
            created: now,
            updated: now,
            reactions: Vec::new(),
        };
        self.repos.get_mut(full).unwrap().comments.insert(id, comment);
        self.issue(full, issue).updated = now;
        self.tell_comment(full, id, "created", &login, json!({}));
        Ok(id)
    }

    pub fn edit_comment(
        &mut self,
        full: &str,
        id: u64,
        by: &str,
        body: String,
    ) -> Result<(), Reply> {
        long("IssueComment", &body)?;
        let now = self.now();
        let comment = self.repos.get_mut(full).unwrap().comments.get_mut(&id);
        let comment = comment.ok_or_else(Reply::not_found)?;
        let from = std::mem::replace(&mut comment.body, body);
        comment.updated = now;
        let more = json!({"changes": {"body": {"from": from}}});
        self.tell_comment(full, id, "edited", by, more);
        Ok(())
    }

    pub fn delete_comment(&mut self, full: &str, id: u64, by: &str) -> Result<(), Reply> {
        if !self.repos[full].comments.contains_key(&id) {
            return Err(Reply::not_found());
        }
        self.tell_comment(full, id, "deleted", by, json!({}));
        self.repos.get_mut(full).unwrap().comments.remove(&id);
        Ok(())
    }

    /// Reviews a pull request, at its head unless another of its commits is named.
    pub fn review_pull(
        &mut self,
        full: &str,
        number: u64,
        by: &str,
        state: &str,
        body: String,
        commit: Option<Oid>,
    ) -> Result<u64, Reply> {
        if body.chars().count() > MOST {
            return Err(Reply::unprocessable("Body is too long (maximum is 65536 characters)"));
        }
        let (id, now) = (self.fresh(), self.now());
        let issue = self.issue(full, number);
        if issue.author == by && state != "COMMENTED" {
            let what = if state == "APPROVED" { "approve" } else { "request changes on" };
            let text = format!("Can not {what} your own pull request");
            return Err(Reply::unprocessable(&text));
        }
        let pull = issue.pull_mut();
        pull.reviews.push(Review {
            id,
            author: by.to_owned(),
            state: state.to_owned(),
            body,
            commit: commit.unwrap_or(pull.head),
            submitted: now,
        });
        issue.updated = now;
        self.tell_review(full, number, id, "submitted", by);
        Ok(id)
    }

    pub fn dismiss(&mut self, full: &str, number: u64, id: u64, by: &str) {
        let reviews = &mut self.issue(full, number).pull_mut().reviews;
        let review = reviews.iter_mut().find(|review| review.id == id).expect("a review");
        review.state = "DISMISSED".into();
        self.tell_review(full, number, id, "dismissed", by);
    }
}

/// Refuses a body that is longer than GitHub takes.
pub fn long(resource: &str, body: &str) -> Result<(), Reply> {
    if body.chars().count() <= MOST {
        return Ok(());
    }
    let message = format!("body is too long (maximum is {MOST} characters)");
    Err(Reply::invalid(resource, "body", "custom", &message))
}
