//! Pull requests and their reviews.

use git2::Oid;
use serde_json::{Value, json};

use super::super::git;
use super::super::state::{Issue, Pull, Remark, Review, State};
use super::commit::count;
use super::{node, sha, with};

impl State {
    /// `pull-request-simple`.
    pub fn simple_pull(&self, full: &str, issue: &Issue) -> Value {
        let pull = issue.pull();
        let n = issue.number;
        let (url, html) = (self.repo_url(full), format!("{}/{full}/pull/{n}", self.base));
        let owner = &self.repos[full].owner;
        json!({
            "id": issue.id,
            "node_id": node("PR", issue.id),
            "url": format!("{url}/pulls/{n}"),
            "html_url": html,
            "diff_url": format!("{html}.diff"),
            "patch_url": format!("{html}.patch"),
            "issue_url": format!("{url}/issues/{n}"),
            "commits_url": format!("{url}/pulls/{n}/commits"),
            "review_comments_url": format!("{url}/pulls/{n}/comments"),
            "review_comment_url": format!("{url}/pulls/comments{{/number}}"),
            "comments_url": format!("{url}/issues/{n}/comments"),
            "statuses_url": format!("{url}/statuses/{}", pull.head),
            "number": n,
            "state": if issue.is_open { "open" } else { "closed" },
            "locked": issue.is_locked,
            "title": issue.title,
            "user": self.user(&issue.author),
            "body": issue.body,
            "labels": self.labels(full, issue),
            "milestone": null,
            "created_at": issue.created,
            "updated_at": issue.updated,
            "closed_at": issue.closed,
            "merged_at": pull.merged.as_ref().map(|(at, _)| at),
            "merge_commit_sha": pull.merge_commit.map(sha),
            "assignee": null,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "draft": pull.is_draft,
            "head": self.end(&pull.head_owner, &pull.head_ref, pull.head, pull.head_repo.as_deref()),
            "base": self.end(owner, &pull.base_ref, pull.base, Some(full)),
            "_links": self.links(full, issue),
            "author_association": self.association(full, &issue.author),
            "auto_merge": null,
            "active_lock_reason": null,
        })
    }

    fn links(&self, full: &str, issue: &Issue) -> Value {
        let (url, n) = (self.repo_url(full), issue.number);
        let link = |at: String| json!({"href": at});
        json!({
            "self": link(format!("{url}/pulls/{n}")),
            "html": link(format!("{}/{full}/pull/{n}", self.base)),
            "issue": link(format!("{url}/issues/{n}")),
            "comments": link(format!("{url}/issues/{n}/comments")),
            "review_comments": link(format!("{url}/pulls/{n}/comments")),
            "review_comment": link(format!("{url}/pulls/comments{{/number}}")),
            "commits": link(format!("{url}/pulls/{n}/commits")),
            "statuses": link(format!("{url}/statuses/{}", issue.pull().head)),
        })
    }

    fn end(&self, owner: &str, branch: &str, id: Oid, repo: Option<&str>) -> Value {
        json!({
            "label": format!("{owner}:{branch}"),
            "ref": branch,
            "sha": sha(id),
            "user": self.user(owner),
            "repo": repo.map(|full| self.repository(full)),
        })
    }

    /// `pull-request`.
    pub fn full_pull(&self, full: &str, issue: &Issue) -> Value {
        let pull = issue.pull();
        let git = git::open(&self.path(full));
        let files = git::changed(&git, pull.base, pull.head);
        let (additions, deletions) = count(&files);
        let repo = &self.repos[full];
        let is_merged = pull.merged.is_some();
        let more = json!({
            "merged": is_merged,
            "mergeable": (!is_merged).then_some(pull.mergeable),
            "rebaseable": (!is_merged).then_some(pull.mergeable),
            "mergeable_state": pull.mergeable_state(),
            "merged_by": pull.merged.as_ref().map(|(_, by)| self.user(by)),
            "comments": repo.comments.values().filter(|it| it.issue == issue.number).count(),
            "review_comments": pull.remarks.len(),
            "maintainer_can_modify": false,
            "commits": git::commits(&git, pull.base, pull.head).len(),
            "additions": additions,
            "deletions": deletions,
            "changed_files": files.len(),
        });
        with(self.simple_pull(full, issue), more)
    }

    /// `pull-request-minimal`.
    pub fn minimal_pull(&self, full: &str, issue: &Issue) -> Value {
        let pull = issue.pull();
        let end = |branch: &str, id: Oid, repo: &str| {
            let (url, repo) = (self.repo_url(repo), &self.repos[repo]);
            json!({
                "ref": branch, "sha": sha(id),
                "repo": {"id": repo.id, "url": url, "name": repo.name},
            })
        };
        json!({
            "id": issue.id,
            "number": issue.number,
            "url": format!("{}/pulls/{}", self.repo_url(full), issue.number),
            "head": end(&pull.head_ref, pull.head, full),
            "base": end(&pull.base_ref, pull.base, full),
        })
    }

    /// `pull-request-review`.
    pub fn review(&self, full: &str, number: u64, review: &Review) -> Value {
        let pull = format!("{}/pulls/{number}", self.repo_url(full));
        let html = format!("{}/{full}/pull/{number}#pullrequestreview-{}", self.base, review.id);
        json!({
            "id": review.id,
            "node_id": node("PRR", review.id),
            "user": self.user(&review.author),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": pull,
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": review.submitted,
            "commit_id": sha(review.commit),
            "author_association": self.association(full, &review.author),
        })
    }

    /// `pull-request-review-comment`.
    pub fn remark(&self, full: &str, number: u64, remark: &Remark) -> Value {
        let (url, id) = (self.repo_url(full), remark.id);
        let html = format!("{}/{full}/pull/{number}#discussion_r{id}", self.base);
        let (at, pull) = (format!("{url}/pulls/comments/{id}"), format!("{url}/pulls/{number}"));
        let mut told = json!({
            "id": id,
            "node_id": node("PRRC", id),
            "url": at,
            "html_url": html,
            "pull_request_url": pull,
            "pull_request_review_id": remark.review,
            "diff_hunk": "@@ -1 +1 @@",
            "path": remark.path,
            "position": 1,
            "original_position": 1,
            "commit_id": sha(remark.commit),
            "original_commit_id": sha(remark.commit),
            "user": self.user(&remark.author),
            "body": remark.body,
            "created_at": remark.created,
            "updated_at": remark.created,
            "author_association": self.association(full, &remark.author),
            "_links": {
                "self": {"href": at}, "html": {"href": html}, "pull_request": {"href": pull},
            },
            "line": remark.line,
            "original_line": remark.line,
            "start_line": remark.start_line,
            "original_start_line": remark.start_line,
            "side": remark.side,
            "start_side": remark.start_line.map(|_| &remark.side),
        });
        if let Some(to) = remark.reply_to {
            told["in_reply_to_id"] = to.into();
        }
        told
    }
}

impl Pull {
    fn mergeable_state(&self) -> &'static str {
        match () {
            () if self.merged.is_some() => "unknown",
            () if !self.mergeable => "dirty",
            () if self.is_draft => "draft",
            () => "clean",
        }
    }
}
