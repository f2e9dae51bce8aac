//! Issues of our own: found again before they are opened, and closed when nobody needs them any more.

use hyper::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, lost, read};
use super::pull::UserShape;
use crate::fault::point;
use crate::forge::{Issue, Raised, Repo};

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
    fn is_ours(&self, me: &str, marker: &str) -> bool {
        let is_by_us = self.user.as_ref().and_then(|user| user.login.as_deref()) == Some(me);
        let is_marked = self.body.as_deref().is_some_and(|body| body.contains(marker));
        is_by_us && is_marked && self.pull_request.is_none()
    }

    /// Whether its text is that one, as GitHub keeps texts.
    fn says(&self, text: &str) -> bool {
        let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        self.body.as_deref().is_some_and(|said| plain(said) == plain(text))
    }
}

impl GitHub {
    /// Looks, and opens it where it is not there; after a lost answer it looks once more.
    pub(super) async fn bring_issue(&self, repo: &Repo, issue: &Issue) -> Result<Raised, Trouble> {
        let Issue { marker: _, title, body, since: _ } = issue;
        let said = json!({"title": title, "body": body});
        let (path, mut losses) = (format!("/repos/{repo}/issues"), 0);
        loop {
            if let Some(found) = self.find_issue(repo, issue).await? {
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
                    if losses > 1 {
                        // It is there, or nobody knows.
                        let found = self.find_issue(repo, issue).await.ok().flatten();
                        return found.ok_or(Trouble::Lost { text });
                    }
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

    /// The one of ours with the marker, whatever became of it.
    async fn find_issue(&self, repo: &Repo, issue: &Issue) -> Result<Option<Raised>, Trouble> {
        let Issue { marker, title: _, body: said, since } = issue;
        let me = self.who_we_are().await?.login;
        // Whole seconds, as GitHub counts them. What was opened since then changed since then.
        let since = jiff::Timestamp::from_second(since.as_second()).unwrap_or(*since);
        let since = encode(&since.to_string());
        let order = "state=all&sort=created&direction=desc&per_page=100";
        let path = format!("/repos/{repo}/issues?{order}&since={since}");
        let mut found = None;
        self.pages(Who::Of(repo), &path, |body| {
            let page: Vec<IssueShape> = read(body)?;
            let ours = page.into_iter().find(|issue| issue.is_ours(&me, marker));
            found = ours.map(|it| Raised { number: it.number, says: it.says(said) });
            Ok(found.is_none())
        })
        .await?;
        Ok(found)
    }
}
