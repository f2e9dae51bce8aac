//! Issues, comments, reactions and labels.

use serde_json::{Value, json};

use super::super::state::{Comment, Issue, Reaction, State};
use super::node;

impl State {
    /// `issue`.
    pub fn issue_told(&self, full: &str, issue: &Issue) -> Value {
        let n = issue.number;
        let (url, html) = (self.repo_url(full), format!("{}/{full}", self.base));
        let repo = &self.repos[full];
        let mut told = json!({
            "id": issue.id,
            "node_id": node("I", issue.id),
            "url": format!("{url}/issues/{n}"),
            "repository_url": url,
            "labels_url": format!("{url}/issues/{n}/labels{{/name}}"),
            "comments_url": format!("{url}/issues/{n}/comments"),
            "events_url": format!("{url}/issues/{n}/events"),
            "html_url": format!("{html}/{}/{n}", if issue.pull.is_some() { "pull" } else { "issues" }),
            "number": n,
            "state": if issue.is_open { "open" } else { "closed" },
            "title": issue.title,
            "body": issue.body,
            "user": self.user(&issue.author),
            "labels": self.labels(full, issue),
            "assignee": null,
            "assignees": [],
            "milestone": null,
            "locked": issue.is_locked,
            "active_lock_reason": null,
            "reactions": reactions(&format!("{url}/issues/{n}"), &issue.reactions),
            "comments": repo.comments.values().filter(|comment| comment.issue == n).count(),
            "closed_at": issue.closed,
            "created_at": issue.created,
            "updated_at": issue.updated,
            "author_association": self.association(full, &issue.author),
        });
        if let Some(pull) = &issue.pull {
            told["draft"] = pull.is_draft.into();
            told["pull_request"] = json!({
                "url": format!("{url}/pulls/{n}"),
                "html_url": format!("{html}/pull/{n}"),
                "diff_url": format!("{html}/pull/{n}.diff"),
                "patch_url": format!("{html}/pull/{n}.patch"),
                "merged_at": pull.merged.as_ref().map(|(at, _)| at),
            });
        }
        told
    }

    /// `label`s.
    pub fn labels(&self, full: &str, issue: &Issue) -> Vec<Value> {
        let url = self.repo_url(full);
        let all = issue.labels.iter().map(|name| {
            let id = self.repos[full].labels[name];
            json!({
                "id": id,
                "node_id": node("LA", id),
                "url": format!("{url}/labels/{}", name.replace(' ', "%20")),
                "name": name,
                "description": "",
                "color": "ededed",
                "default": false,
            })
        });
        all.collect()
    }

    /// How somebody stands to a repository.
    pub fn association(&self, full: &str, login: &str) -> &'static str {
        let repo = &self.repos[full];
        let is_member = self
            .teams
            .iter()
            .any(|((org, _), team)| *org == repo.owner && team.members.contains_key(login));
        match () {
            () if repo.owner == login => "OWNER",
            () if is_member => "MEMBER",
            () if repo.permissions.contains_key(login) => "COLLABORATOR",
            () => "NONE",
        }
    }

    /// `issue-comment`.
    pub fn comment_told(&self, full: &str, comment: &Comment) -> Value {
        let (url, html) = (self.repo_url(full), format!("{}/{full}", self.base));
        let issue = &self.repos[full].issues[&comment.issue];
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        let id = comment.id;
        json!({
            "id": id,
            "node_id": node("IC", id),
            "url": format!("{url}/issues/comments/{id}"),
            "html_url": format!("{html}/{kind}/{}#issuecomment-{id}", comment.issue),
            "issue_url": format!("{url}/issues/{}", comment.issue),
            "body": comment.body,
            "user": self.user(&comment.author),
            "created_at": comment.created,
            "updated_at": comment.updated,
            "author_association": self.association(full, &comment.author),
            "performed_via_github_app": comment.app.map(|app| self.integration(self.app(app))),
            "reactions": reactions(&format!("{url}/issues/comments/{id}"), &comment.reactions),
        })
    }

    /// `reaction`.
    pub fn reaction(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": node("REA", reaction.id),
            "user": self.user(&reaction.author),
            "content": reaction.content,
            "created_at": reaction.created,
        })
    }
}

/// `reaction-rollup`.
fn reactions(of: &str, all: &[Reaction]) -> Value {
    let mut counts = json!({"url": format!("{of}/reactions"), "total_count": all.len()});
    for content in REACTIONS {
        counts[content] = all.iter().filter(|it| it.content == content).count().into();
    }
    counts
}

const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];
