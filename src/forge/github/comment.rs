//! Comments below a pull request: other people's, and ours.

use hyper::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, lost, read};
use super::pull::{UserShape, login};
use crate::fault::point;
use crate::forge::{Reaction, Repo, Saying, Stood};
use crate::model::Remarked;

#[derive(Deserialize)]
struct CommentShape {
    id: u64,
    user: Option<UserShape>,
    body: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    issue_url: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

impl CommentShape {
    fn is_by(&self, me: &str) -> bool {
        self.user.as_ref().and_then(|user| user.login.as_deref()) == Some(me)
    }

    fn is_below(&self, number: u64) -> bool {
        let issue = self.issue_url.as_deref().and_then(|url| url.rsplit('/').next());
        issue.is_none_or(|issue| issue == number.to_string())
    }

    fn says(&self, body: &str) -> bool {
        let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        self.body.as_deref().is_some_and(|said| plain(said) == plain(body))
    }
}

impl GitHub {
    pub(super) async fn comments(
        &self,
        repo: &Repo,
        number: u64,
        since: Option<Timestamp>,
    ) -> Result<Vec<Remarked>, Trouble> {
        let mut path = format!("/repos/{repo}/issues/{number}/comments?per_page=100");
        if let Some(since) = since {
            // Whole seconds, as GitHub counts them.
            let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
            path.push_str(&format!("&since={}", encode(&since.to_string())));
        }
        let all: Vec<CommentShape> = self.list(Who::Of(repo), &path).await?;
        let mut all: Vec<Remarked> = all.into_iter().map(remarked).collect();
        all.sort_by_key(|remark| (remark.at, remark.id));
        Ok(all)
    }

    /// Looks, and says what is missing; after a lost answer it looks once more.
    pub(super) async fn bring_comment(
        &self,
        repo: &Repo,
        number: u64,
        saying: &Saying,
    ) -> Result<Stood, Trouble> {
        let me = self.who_we_are().await?.login;
        let (who, said) = (Who::Of(repo), json!({"body": saying.body}));
        let (mut id, mut losses) = (saying.id, 0);
        loop {
            let found = self.our_comment(repo, number, &me, id, &saying.marker).await?;
            let wrote = match found {
                Some(comment) if comment.says(&saying.body) => {
                    return Ok(Stood { id: comment.id, wrote: losses > 0 });
                }
                Some(comment) => {
                    let path = format!("/repos/{repo}/issues/comments/{}", comment.id);
                    let wrote = self.post(who, Method::PATCH, &path, &said).await;
                    if let Err(Trouble::Gone { text }) = wrote {
                        // Deleted meanwhile. Looked for once more: that it goes on for ever is not ours.
                        losses += 1;
                        id = None;
                        if losses > 2 {
                            return Err(Trouble::later(text));
                        }
                        continue;
                    }
                    wrote
                }
                None => {
                    let path = format!("/repos/{repo}/issues/{number}/comments");
                    self.post(who, Method::POST, &path, &said).await
                }
            };
            let wrote = wrote.and_then(|body| {
                point!("forge.comment.after").map_err(lost)?;
                Ok(body)
            });
            match wrote {
                Ok(body) => return Ok(Stood { id: read::<Numbered>(&body)?.id, wrote: true }),
                Err(Trouble::Lost { text }) => {
                    losses += 1;
                    self.pause().await;
                    if losses > 1 {
                        return self.last_look(repo, number, &me, saying, text).await;
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// After the second loss: it is there as it should be, or nobody knows.
    async fn last_look(
        &self,
        repo: &Repo,
        number: u64,
        me: &str,
        saying: &Saying,
        text: String,
    ) -> Result<Stood, Trouble> {
        let found = self.our_comment(repo, number, me, saying.id, &saying.marker).await;
        match found {
            Ok(Some(comment)) if comment.says(&saying.body) => {
                Ok(Stood { id: comment.id, wrote: true })
            }
            _ => Err(Trouble::Lost { text }),
        }
    }

    /// Ours by its id, whatever somebody made of its text; else the oldest of ours with the marker.
    async fn our_comment(
        &self,
        repo: &Repo,
        number: u64,
        me: &str,
        id: Option<u64>,
        marker: &str,
    ) -> Result<Option<CommentShape>, Trouble> {
        let who = Who::Of(repo);
        if let Some(id) = id {
            let known = self.get(who, &format!("/repos/{repo}/issues/comments/{id}")).await;
            match known.and_then(|body| read::<CommentShape>(&body)) {
                Ok(comment) if comment.is_by(me) && comment.is_below(number) => {
                    return Ok(Some(comment));
                }
                Ok(_) | Err(Trouble::Gone { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let mut found: Option<CommentShape> = None;
        let path = format!("/repos/{repo}/issues/{number}/comments?per_page=100");
        self.pages(who, &path, |body| {
            let page: Vec<CommentShape> = read(body)?;
            let is_ours = |comment: &CommentShape| {
                // Whoever copies our marker is not us.
                comment.is_by(me) && comment.body.as_deref().is_some_and(|b| b.contains(marker))
            };
            found = page.into_iter().find(is_ours);
            Ok(found.is_none())
        })
        .await?;
        Ok(found)
    }

    pub(super) async fn add_reaction(
        &self,
        repo: &Repo,
        comment: u64,
        with: Reaction,
    ) -> Result<(), Trouble> {
        let content = match with {
            Reaction::Eyes => "eyes",
            Reaction::ThumbsUp => "+1",
            Reaction::ThumbsDown => "-1",
            Reaction::Confused => "confused",
        };
        let path = format!("/repos/{repo}/issues/comments/{comment}/reactions");
        let body = json!({"content": content});
        // GitHub knows one of each from each, so a lost one may be repeated.
        match self.post(Who::Of(repo), Method::POST, &path, &body).await {
            Err(Trouble::Lost { .. }) => {
                self.pause().await;
                self.post(Who::Of(repo), Method::POST, &path, &body).await?;
            }
            other => {
                other?;
            }
        }
        Ok(())
    }
}

fn remarked(shape: CommentShape) -> Remarked {
    let kind = shape.user.as_ref().and_then(|user| user.kind.as_deref());
    Remarked {
        id: shape.id,
        bot: kind == Some("Bot"),
        by_id: shape.user.as_ref().and_then(|user| user.id),
        by: login(shape.user),
        body: shape.body.unwrap_or_default(),
        at: shape.created_at,
        updated: shape.updated_at,
    }
}
