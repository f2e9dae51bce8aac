//! Pull requests of our own: found again before they are made, and kept as they should be.

use hyper::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, lost, read};
use super::pull::{UserShape, revision};
use crate::fault::point;
use crate::forge::{Fate, Proposal, Proposed, Repo};

#[derive(Deserialize)]
struct OwnShape {
    number: u64,
    html_url: Option<String>,
    title: Option<String>,
    body: Option<String>,
    user: Option<UserShape>,
    state: Option<String>,
    merged_at: Option<Timestamp>,
    head: HeadShape,
    base: BaseShape,
    #[serde(default)]
    labels: Vec<LabelShape>,
}

#[derive(Deserialize)]
struct HeadShape {
    #[serde(rename = "ref")]
    branch: Option<String>,
    sha: Option<String>,
}

#[derive(Deserialize)]
struct BaseShape {
    #[serde(rename = "ref")]
    branch: Option<String>,
}

#[derive(Deserialize)]
struct LabelShape {
    name: Option<String>,
}

impl OwnShape {
    fn is_by(&self, me: &str) -> bool {
        self.user.as_ref().and_then(|user| user.login.as_deref()) == Some(me)
    }

    fn is_open(&self) -> bool {
        self.merged_at.is_none() && self.state.as_deref() == Some("open")
    }

    /// Whether it says what it should, as GitHub keeps texts.
    fn says(&self, proposal: &Proposal) -> bool {
        let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        let same = |said: &Option<String>, text: &str| {
            plain(said.as_deref().unwrap_or_default()) == plain(text)
        };
        same(&self.title, &proposal.title)
            && same(&self.body, &proposal.body)
            && self.base.branch.as_deref() == Some(&proposal.base)
    }

    fn lacks<'p>(&self, proposal: &'p Proposal) -> Vec<&'p str> {
        let has = |wanted: &str| {
            // GitHub does not tell upper from lower case in labels.
            let mut names = self.labels.iter().filter_map(|label| label.name.as_deref());
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        };
        proposal.labels.iter().map(String::as_str).filter(|label| !has(label)).collect()
    }

    /// Whoever copies our marker is not us.
    fn is_ours(&self, me: &str, marker: &str) -> bool {
        self.is_by(me) && self.body.as_deref().is_some_and(|body| body.contains(marker))
    }

    fn proposed(&self, ours: bool) -> Result<Proposed, Trouble> {
        let strange =
            |what: &str| Trouble::later(format!("pull request {} without {what}", self.number));
        let head = self.head.sha.as_deref().and_then(revision).ok_or_else(|| strange("a head"))?;
        let fate = match (self.merged_at, self.state.as_deref()) {
            (Some(_), _) => Fate::Merged,
            (None, Some("open")) => Fate::Open,
            (None, Some("closed")) => Fate::Closed,
            (None, _) => return Err(strange("a state")),
        };
        let url = self.html_url.clone().unwrap_or_default();
        Ok(Proposed { number: self.number, url, head, fate, ours })
    }
}

impl GitHub {
    /// The newest first.
    pub(super) async fn our_pulls(
        &self,
        repo: &Repo,
        branch: &str,
        marker: &str,
    ) -> Result<Vec<Proposed>, Trouble> {
        let me = self.who_we_are().await?.login;
        let found = self.pulls_from(repo, branch).await?;
        found.iter().map(|pull| pull.proposed(pull.is_ours(&me, marker))).collect()
    }

    /// Looks, and says what is missing; after a lost answer it looks once more.
    pub(super) async fn bring_pull(
        &self,
        repo: &Repo,
        proposal: &Proposal,
    ) -> Result<Proposed, Trouble> {
        let Proposal { branch, base, title, marker, body, labels: _, ended } = proposal;
        let mut losses = 0;
        loop {
            let found = self.find_ours(repo, branch, marker).await?;
            let is_answer = |pull: &OwnShape| pull.is_open() || !ended.contains(&pull.number);
            let wrote = match found.into_iter().find(is_answer) {
                Some(pull) if !pull.is_open() => return pull.proposed(true),
                Some(pull) if pull.says(proposal) => {
                    self.label(repo, &pull, proposal).await?;
                    return pull.proposed(true);
                }
                Some(pull) => {
                    let path = format!("/repos/{repo}/pulls/{}", pull.number);
                    let said = json!({"title": title, "body": body, "base": base});
                    self.post(Who::Of(repo), Method::PATCH, &path, &said).await
                }
                None => {
                    let path = format!("/repos/{repo}/pulls");
                    let said = json!({"title": title, "body": body, "head": branch, "base": base});
                    self.post(Who::Of(repo), Method::POST, &path, &said).await
                }
            };
            let wrote = wrote.and_then(|answer| {
                point!("forge.pull.after").map_err(lost)?;
                Ok(answer)
            });
            match wrote {
                Ok(answer) => {
                    let pull = read::<OwnShape>(&answer)?;
                    self.label(repo, &pull, proposal).await?;
                    return pull.proposed(true);
                }
                Err(Trouble::Lost { text }) => {
                    losses += 1;
                    self.pause().await;
                    if losses > 1 {
                        // It is there as it should be, or nobody knows.
                        let found = self.find_ours(repo, branch, marker).await;
                        let found = found.unwrap_or_default();
                        let there = found.iter().find(|p| p.is_open() && p.says(proposal));
                        return there
                            .map_or(Err(Trouble::Lost { text }), |pull| pull.proposed(true));
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Closes it; one that is not open stays as it is.
    pub(super) async fn close_pull(&self, repo: &Repo, number: u64) -> Result<(), Trouble> {
        let (path, closed) = (format!("/repos/{repo}/pulls/{number}"), json!({"state": "closed"}));
        let mut losses = 0;
        loop {
            let found = self.get(Who::Of(repo), &path).await?;
            if !read::<OwnShape>(&found)?.is_open() {
                return Ok(());
            }
            let wrote = self.post(Who::Of(repo), Method::PATCH, &path, &closed).await;
            let wrote = wrote.and_then(|answer| {
                point!("forge.close.after").map_err(lost)?;
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

    /// Those of them that are ours.
    async fn find_ours(
        &self,
        repo: &Repo,
        branch: &str,
        marker: &str,
    ) -> Result<Vec<OwnShape>, Trouble> {
        let me = self.who_we_are().await?.login;
        let mut all = self.pulls_from(repo, branch).await?;
        all.retain(|pull| pull.is_ours(&me, marker));
        Ok(all)
    }

    /// Those that come from a branch of the repository itself.
    async fn pulls_from(&self, repo: &Repo, branch: &str) -> Result<Vec<OwnShape>, Trouble> {
        let head = encode(&format!("{}:{branch}", repo.owner));
        let order = "state=all&sort=created&direction=desc&per_page=100";
        let path = format!("/repos/{repo}/pulls?{order}&head={head}");
        let mut all: Vec<OwnShape> = self.list(Who::Of(repo), &path).await?;
        all.retain(|pull| pull.head.branch.as_deref() == Some(branch));
        Ok(all)
    }

    /// Adds the labels that it lacks: again changes nothing.
    async fn label(
        &self,
        repo: &Repo,
        pull: &OwnShape,
        proposal: &Proposal,
    ) -> Result<(), Trouble> {
        let missing = pull.lacks(proposal);
        if missing.is_empty() {
            return Ok(());
        }
        let path = format!("/repos/{repo}/issues/{}/labels", pull.number);
        let said = json!({"labels": missing});
        match self.post(Who::Of(repo), Method::POST, &path, &said).await {
            Err(Trouble::Lost { .. }) => {
                self.pause().await;
                self.post(Who::Of(repo), Method::POST, &path, &said).await?;
            }
            other => {
                other?;
            }
        }
        Ok(())
    }
}
