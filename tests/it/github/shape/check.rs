//! Check runs, check suites and commit statuses.

use git2::Oid;
use serde_json::{Value, json};

use super::super::state::{CheckRun, CheckSuite, State, Status};
use super::{node, sha, with};

impl State {
    /// `check-run`.
    pub fn check_run(&self, full: &str, run: &CheckRun) -> Value {
        let (url, id) = (self.repo_url(full), run.id);
        let html = format!("{}/{full}/runs/{id}", self.base);
        json!({
            "id": id,
            "node_id": node("CR", id),
            "head_sha": sha(run.head),
            "external_id": run.external_id,
            "url": format!("{url}/check-runs/{id}"),
            "html_url": html,
            "details_url": run.details_url.as_ref().unwrap_or(&html),
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": run.started,
            "completed_at": run.completed,
            "name": run.name,
            "output": {
                "title": run.title,
                "summary": run.summary,
                "text": run.text,
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/check-runs/{id}/annotations"),
            },
            "check_suite": {"id": run.suite},
            "app": self.integration(self.app(run.app)),
            "pull_requests": self.pulls_at(full, run.head),
        })
    }

    /// Open pull requests whose head a commit is.
    fn pulls_at(&self, full: &str, head: Oid) -> Vec<Value> {
        let all = self.repos[full].pulls().filter(|(issue, pull)| {
            // Those of forks are not told.
            issue.is_open && pull.head == head && pull.head_repo.as_deref() == Some(full)
        });
        all.map(|(issue, _)| self.minimal_pull(full, issue)).collect()
    }

    /// `check-annotation`.
    pub fn annotation(&self, full: &str, run: &CheckRun, sent: &Value) -> Value {
        let path = sent["path"].as_str().unwrap_or_default();
        json!({
            "path": path,
            "start_line": sent["start_line"],
            "end_line": sent["end_line"],
            "start_column": sent["start_column"],
            "end_column": sent["end_column"],
            "annotation_level": sent["annotation_level"],
            "title": sent["title"],
            "message": sent["message"],
            "raw_details": sent["raw_details"],
            "blob_href": format!("{}/{full}/blob/{}/{path}", self.base, run.head),
        })
    }

    /// `check-suite`.
    pub fn check_suite(&self, full: &str, suite: &CheckSuite) -> Value {
        let git = super::super::git::open(&self.path(full));
        let commit = git.find_commit(suite.head).unwrap();
        let repo = &self.repos[full];
        let runs: Vec<_> = repo.check_runs.values().filter(|run| run.suite == suite.id).collect();
        let (status, conclusion) = conclude(&runs);
        let url = format!("{}/check-suites/{}", self.repo_url(full), suite.id);
        json!({
            "id": suite.id,
            "node_id": node("CS", suite.id),
            "head_branch": suite.branch,
            "head_sha": sha(suite.head),
            "status": status,
            "conclusion": conclusion,
            "url": url,
            "before": commit.parent_id(0).ok().map(sha),
            "after": sha(suite.head),
            "pull_requests": self.pulls_at(full, suite.head),
            "app": self.integration(self.app(suite.app)),
            "repository": self.minimal_repository(full),
            "created_at": suite.created,
            "updated_at": suite.created,
            "head_commit": self.simple_commit(&git, suite.head),
            "latest_check_runs_count": runs.len(),
            "check_runs_url": format!("{url}/check-runs"),
        })
    }

    /// `simple-commit-status`.
    pub fn simple_status(&self, full: &str, status: &Status) -> Value {
        json!({
            "id": status.id,
            "node_id": node("SC", status.id),
            "url": format!("{}/statuses/{}", self.repo_url(full), status.commit),
            "avatar_url": self.user(&status.author)["avatar_url"],
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created,
            "updated_at": status.created,
        })
    }

    /// `status`.
    pub fn status(&self, full: &str, status: &Status) -> Value {
        with(self.simple_status(full, status), json!({"creator": self.user(&status.author)}))
    }
}

/// What the runs of a suite come to.
pub fn conclude(runs: &[&CheckRun]) -> (&'static str, Option<&'static str>) {
    const WORST: [&str; 7] =
        ["action_required", "timed_out", "cancelled", "failure", "stale", "neutral", "skipped"];
    if runs.is_empty() {
        return ("queued", None);
    }
    if runs.iter().any(|run| run.status != "completed") {
        return ("in_progress", None);
    }
    let is =
        |conclusion: &&&str| runs.iter().any(|run| run.conclusion.as_deref() == Some(**conclusion));
    ("completed", Some(WORST.iter().find(is).unwrap_or(&"success")))
}
