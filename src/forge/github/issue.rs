//! Issues of our own: found again before they are opened, and closed when nobody needs them any more.

use hyper::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, lost, read};
use super::pull::UserShape;
use crate::fault::point;
use crate::forge::{Issue, OwnIssue, Raised, Repo};

#[derive(Deserialize)]
struct IssueShape {
    number: u64,
    body: Option<String>,
    user: Option<UserShape>,
    state: Option<String>,
    /// Only of pull requests, which are issues too.
    pull_request: Option<serde::de::IgnoredAny>,
}

impl IssueShape {
    /// Whoever copies our marker is not us.
    fn ours(self, me: &str) -> Option<OwnIssue> {
        let by = self.user.and_then(|user| user.login);
        let is_ours = by.as_deref() == Some(me) && self.pull_request.is_none();
        is_ours.then(|| OwnIssue { number: self.number, body: self.body.unwrap_or_default() })
    }
}

/// The issue, where it is among these; they are in order, the newest first.
fn among(there: &[OwnIssue], issue: &Issue) -> Option<Raised> {
    // As GitHub keeps texts.
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    let found = there.iter().find(|own| own.body.contains(&issue.marker))?;
    Some(Raised { number: found.number, says: plain(&found.body) == plain(&issue.body) })
}

impl GitHub {
    /// Opens it where it is not there; after a lost answer it looks.
    pub(super) async fn bring_issue(
        &self,
        repo: &Repo,
        issue: &Issue,
        there: &[OwnIssue],
    ) -> Result<Raised, Trouble> {
        let Issue { marker: _, title, body, since } = issue;
        let said = json!({"title": title, "body": body});
        let (path, mut losses) = (format!("/repos/{repo}/issues"), 0);
        let mut found = among(there, issue);
        loop {
            if let Some(found) = found {
                return Ok(found);
            }
            let wrote = self.post(Who::Of(repo), Method::POST, &path, &said).await;
            let wrote = wrote.and_then(|answer| {
                point!("forge.issue.after").map_err(lost)?;
                Ok(answer)
            });
            match wrote {
                Ok(answer) => {
                    let number = read::<IssueShape>(&answer)?.number;
                    return Ok(Raised { number, says: true });
                }
                Err(Trouble::Lost { text }) => {
                    losses += 1;
                    self.pause().await;
                    let there = self.own_issues(repo, *since).await;
                    if losses > 1 {
                        // It is there, or nobody knows.
                        let found = there.ok().and_then(|there| among(&there, issue));
                        return found.ok_or(Trouble::Lost { text });
                    }
                    found = among(&there?, issue);
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Closes it; one that is closed stays as it is.
    pub(super) async fn close_issue(&self, repo: &Repo, number: u64) -> Result<(), Trouble> {
        let path = format!("/repos/{repo}/issues/{number}");
        let closed = json!({"state": "closed", "state_reason": "completed"});
        let mut losses = 0;
        loop {
            let found = self.get(Who::Of(repo), &path).await?;
            if read::<IssueShape>(&found)?.state.as_deref() != Some("open") {
                return Ok(());
            }
            let wrote = self.post(Who::Of(repo), Method::PATCH, &path, &closed).await;
            let wrote = wrote.and_then(|answer| {
                point!("forge.settle.after").map_err(lost)?;
                Ok(answer)
            });
            match wrote {
                Err(Trouble::Lost { .. }) if losses == 0 => {
                    losses += 1;
                    self.pause().await;
                }
                other => return other.map(drop),
            }
        }
    }

    /// Those of ours, whatever became of them.
    pub(super) async fn own_issues(
        &self,
        repo: &Repo,
        since: Timestamp,
    ) -> Result<Vec<OwnIssue>, Trouble> {
        let me = self.who_we_are().await?.login;
        // Whole seconds, as GitHub counts them. What was opened since then changed since then.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let since = encode(&since.to_string());
        let order = "state=all&sort=created&direction=desc&per_page=100";
        let path = format!("/repos/{repo}/issues?{order}&since={since}");
        let mut ours = Vec::new();
        self.pages(Who::Of(repo), &path, |body| {
            let page: Vec<IssueShape> = read(body)?;
            ours.extend(page.into_iter().filter_map(|issue| issue.ours(&me)));
            Ok(true)
        })
        .await?;
        Ok(ours)
    }
}
