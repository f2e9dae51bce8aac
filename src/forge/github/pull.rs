//! Pull requests.

use jiff::Timestamp;
use serde::Deserialize;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, read};
use crate::forge::{Pushed, Queued, Repo};
use crate::model::{Pull, PullState, Revision};

/// Who something is by when GitHub does not know any more: its own name for an account that is gone.
const NOBODY: &str = "ghost";

/// Somebody, or nobody any more.
#[derive(Deserialize)]
pub(super) struct UserShape {
    pub(super) login: Option<String>,
    pub(super) id: Option<u64>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// The handle of somebody.
pub(super) fn login(user: Option<UserShape>) -> String {
    user.and_then(|user| user.login).unwrap_or_else(|| NOBODY.to_owned())
}

#[derive(Deserialize)]
struct PullShape {
    number: u64,
    title: Option<String>,
    user: Option<UserShape>,
    head: EndShape,
    base: EndShape,
    draft: Option<bool>,
    state: Option<String>,
    merged_at: Option<Timestamp>,
    merge_commit_sha: Option<String>,
    merged_by: Option<UserShape>,
    updated_at: Timestamp,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct EndShape {
    #[serde(rename = "ref")]
    branch: Option<String>,
    sha: Option<String>,
    /// Not there when it was deleted.
    repo: Option<RepoShape>,
}

#[derive(Deserialize)]
struct RepoShape {
    id: Option<u64>,
}

/// Why one cannot be believed.
#[derive(Debug)]
struct Strange(String);

impl PullShape {
    /// Without what every pull request has, it cannot be believed.
    fn pull(self) -> Result<Pull, Strange> {
        let number = self.number;
        let strange = |what: &str| Strange(format!("pull request {number} without {what}"));
        let head = self.head.sha.as_deref().and_then(revision);
        let state = match (self.merged_at, self.state.as_deref()) {
            (Some(at), _) => {
                let commit = self.merge_commit_sha.as_deref().and_then(revision);
                let commit = commit.ok_or_else(|| strange("the commit it was merged as"))?;
                let by = self.merged_by.and_then(|user| user.login);
                PullState::Merged { commit, at, by }
            }
            (None, Some("open")) => PullState::Open,
            (None, Some("closed")) => PullState::Closed,
            (None, _) => return Err(strange("a state")),
        };
        let id = |end: Option<RepoShape>| end.and_then(|repo| repo.id);
        let (from, into) = (id(self.head.repo), id(self.base.repo));
        Ok(Pull {
            number,
            title: self.title.unwrap_or_default(),
            author_id: self.user.as_ref().and_then(|user| user.id),
            author: login(self.user),
            head: head.ok_or_else(|| strange("a head"))?,
            base: self.base.branch.ok_or_else(|| strange("a base"))?,
            // One whose repository is gone is nobody's to trust.
            fork: from.is_none() || from != into,
            draft: self.draft.unwrap_or_default(),
            state,
            updated: self.updated_at,
            url: self.html_url.unwrap_or_default(),
        })
    }
}

/// Those that can be believed: one that cannot be stops no other.
fn believed(repo: &Repo, shapes: impl Iterator<Item = PullShape>) -> Vec<Pull> {
    let mut pulls = Vec::new();
    for shape in shapes {
        match shape.pull() {
            Ok(pull) => pulls.push(pull),
            Err(Strange(text)) => tracing::warn!(%repo, text, "what GitHub tells is left out"),
        }
    }
    pulls
}

/// A commit's id as Git has them.
pub(in crate::forge) fn revision(sha: &str) -> Option<Revision> {
    let is_sha = matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    is_sha.then(|| Revision::new(sha.to_ascii_lowercase()))
}

impl GitHub {
    pub(super) async fn list_pulls(
        &self,
        repo: &Repo,
        since: Timestamp,
    ) -> Result<Vec<Pull>, Trouble> {
        let path = |rest: &str| format!("/repos/{repo}/pulls?per_page=100&{rest}");
        let who = Who::Of(repo);
        // Closed ones first: one that is closed in between is then in neither list and comes with the
        // next poll, but never as open after it was seen closed.
        let mut closed = Vec::new();
        self.pages(who, &path("state=closed&sort=updated&direction=desc"), |body| {
            let page: Vec<PullShape> = read(body)?;
            let more = page.iter().all(|pull| pull.updated_at >= since);
            closed.extend(page.into_iter().filter(|pull| pull.updated_at >= since));
            Ok(more)
        })
        .await?;
        let open: Vec<PullShape> =
            self.list(who, &path("state=open&sort=created&direction=asc")).await?;
        let mut pulls = believed(repo, closed.into_iter().chain(open));
        // A page that moved while it was read shows some twice.
        pulls.sort_by_key(|pull: &Pull| (pull.number, std::cmp::Reverse(pull.updated)));
        pulls.dedup_by_key(|pull| pull.number);
        Ok(pulls)
    }

    pub(super) async fn one_pull(&self, repo: &Repo, number: u64) -> Result<Pull, Trouble> {
        let body = self.get(Who::Of(repo), &format!("/repos/{repo}/pulls/{number}")).await?;
        // It is one among others: whoever asks about them goes on without it.
        read::<PullShape>(&body)?.pull().map_err(|Strange(text)| Trouble::refused(text))
    }

    pub(super) async fn merged_with(
        &self,
        repo: &Repo,
        commit: &Revision,
    ) -> Result<Vec<Pull>, Trouble> {
        let path = format!("/repos/{repo}/commits/{}/pulls?per_page=100", encode(commit.as_str()));
        let all: Vec<PullShape> = self.list(Who::Of(repo), &path).await?;
        // Open ones with that commit in them are named too.
        let merged = all.into_iter().filter(|pull| pull.merged_at.is_some());
        // Without it the commit would be taken for one that was pushed directly.
        merged.map(|shape| shape.pull().map_err(|Strange(text)| Trouble::later(text))).collect()
    }
}

#[derive(Deserialize)]
struct CommitShape {
    sha: Option<String>,
    /// Not there where no account has the mail address.
    author: Option<UserShape>,
    committer: Option<UserShape>,
    parents: Option<Vec<ObjectShape>>,
}

impl CommitShape {
    fn pushed(self) -> Option<Pushed> {
        let makers = || [&self.author, &self.committer].into_iter().flatten();
        let by = makers().filter_map(|who| who.login.clone()).collect();
        let ids = makers().filter_map(|who| who.id).collect();
        let parents = self.parents.unwrap_or_default().into_iter();
        Some(Pushed {
            commit: revision(&self.sha?)?,
            by,
            ids,
            parents: parents.filter_map(|parent| revision(&parent.sha?)).collect(),
        })
    }
}

impl GitHub {
    /// GitHub tells of no more than 250.
    pub(super) async fn commits_of(
        &self,
        repo: &Repo,
        number: u64,
    ) -> Result<Vec<Pushed>, Trouble> {
        let path = format!("/repos/{repo}/pulls/{number}/commits?per_page=100");
        let all: Vec<CommitShape> = self.list(Who::Of(repo), &path).await?;
        Ok(all.into_iter().filter_map(CommitShape::pushed).collect())
    }
}

/// Where GitHub keeps the branches of merge queues.
const QUEUE: &str = "gh-readonly-queue";

#[derive(Deserialize)]
struct RefShape {
    #[serde(rename = "ref")]
    name: Option<String>,
    object: Option<ObjectShape>,
}

#[derive(Deserialize)]
struct ObjectShape {
    sha: Option<String>,
}

impl GitHub {
    pub(super) async fn queue_of(&self, repo: &Repo, branch: &str) -> Result<Vec<Queued>, Trouble> {
        let parts: Vec<String> = branch.split('/').map(encode).collect();
        let path = format!("/repos/{repo}/git/matching-refs/heads/{QUEUE}/{}/pr-", parts.join("/"));
        let all: Vec<RefShape> = self.list(Who::Of(repo), &path).await?;
        Ok(all.into_iter().filter_map(|shape| queued(shape, branch)).collect())
    }
}

/// `refs/heads/gh-readonly-queue/main/pr-7-0123…`.
fn queued(shape: RefShape, base: &str) -> Option<Queued> {
    let branch = shape.name?.strip_prefix("refs/heads/")?.to_owned();
    let rest = branch.strip_prefix(QUEUE)?.strip_prefix('/')?.strip_prefix(base)?;
    let number = rest.strip_prefix("/pr-")?.split('-').next()?.parse().ok();
    let head = revision(&shape.object?.sha?)?;
    Some(Queued { branch, head, number })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn pull(change: impl FnOnce(&mut serde_json::Value)) -> Result<Pull, Strange> {
        shape(change).pull()
    }

    fn shape(change: impl FnOnce(&mut serde_json::Value)) -> PullShape {
        let mut value = json!({
            "number": 7, "title": "t", "user": {"login": "ada", "type": "User"},
            "head": {"sha": SHA, "ref": "x", "repo": {"id": 1}},
            "base": {"ref": "main", "repo": {"id": 1}},
            "state": "open", "merged_at": null, "merge_commit_sha": SHA,
            "updated_at": "2026-01-02T03:04:05Z", "html_url": "https://h/7",
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn one_of_an_account_or_a_repository_that_is_gone_is_a_forks() {
        let plain = pull(|_| {}).unwrap();
        assert!(!plain.fork && plain.state == PullState::Open && plain.author == "ada");
        assert!(pull(|v| v["head"]["repo"] = json!(null)).unwrap().fork);
        assert!(pull(|v| v["head"]["repo"]["id"] = json!(2)).unwrap().fork);
        assert_eq!(pull(|v| v["user"] = json!(null)).unwrap().author, "ghost");
    }

    #[test]
    fn an_open_one_has_a_merge_commit_too_and_is_not_merged() {
        assert_eq!(pull(|v| v["state"] = json!("closed")).unwrap().state, PullState::Closed);
        let merged = |v: &mut serde_json::Value| v["merged_at"] = json!("2026-01-02T03:04:05Z");
        let PullState::Merged { commit, by, .. } = pull(merged).unwrap().state else {
            panic!("it was merged")
        };
        assert_eq!((commit.as_str(), by), (SHA, None));
    }

    #[test]
    fn a_commit_names_whom_its_addresses_belong_to() {
        let value = json!({
            "sha": SHA, "author": {"login": "ada", "type": "User"}, "committer": {},
            "parents": [{"sha": SHA}, {"sha": SHA}],
        });
        let pushed = serde_json::from_value::<CommitShape>(value).unwrap().pushed().unwrap();
        assert_eq!((pushed.by.len(), pushed.parents.len()), (1, 2));
        let value = json!({"sha": SHA, "author": null, "committer": null});
        let pushed = serde_json::from_value::<CommitShape>(value).unwrap().pushed().unwrap();
        assert!(pushed.by.is_empty() && pushed.parents.is_empty());
    }

    #[test]
    fn one_without_what_every_one_has_is_not_believed() {
        for field in ["/head/sha", "/base/ref", "/state"] {
            for value in [json!(null), json!("..")] {
                if field == "/base/ref" && value.is_string() {
                    continue;
                }
                let odd = pull(|v| *v.pointer_mut(field).unwrap() = value.clone());
                assert!(odd.is_err(), "{field} {value}");
            }
        }
        let lost = pull(|v| {
            v["merged_at"] = json!("2026-01-02T03:04:05Z");
            v["merge_commit_sha"] = json!(null);
        });
        assert!(lost.is_err());
        let repo = Repo { owner: "acme".into(), name: "requests".into() };
        let odd = shape(|v| v["head"]["sha"] = json!(null));
        let other = shape(|v| v["number"] = json!(8));
        let found = believed(&repo, [odd, other].into_iter());
        assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), [8]);
    }
}
