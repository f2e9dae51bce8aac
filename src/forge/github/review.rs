//! Reviews: people's verdicts, and our suggestions.

use std::collections::{BTreeMap, VecDeque};

use hyper::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, read};
use super::pull::{UserShape, login, revision};
use crate::forge::{Repo, Suggestion};
use crate::model::{Revision, Verdict, VerdictKind};

#[derive(Deserialize)]
struct ReviewShape {
    user: Option<UserShape>,
    state: Option<String>,
    commit_id: Option<String>,
    submitted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct LineShape {
    user: Option<UserShape>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct FileShape {
    filename: Option<String>,
    patch: Option<String>,
}

impl ReviewShape {
    /// `None` for one that is still being written, and for a program's: people approve.
    fn verdict(self) -> Option<Verdict> {
        if self.user.as_ref().and_then(|user| user.kind.as_deref()) == Some("Bot") {
            return None;
        }
        let kind = match self.state.as_deref()? {
            "APPROVED" => VerdictKind::Approved,
            "CHANGES_REQUESTED" => VerdictKind::ChangesRequested,
            "DISMISSED" => VerdictKind::Dismissed,
            "COMMENTED" => VerdictKind::Commented,
            _ => return None,
        };
        Some(Verdict {
            by_id: self.user.as_ref().and_then(|user| user.id),
            by: login(self.user),
            kind,
            commit: self.commit_id.as_deref().and_then(revision),
            at: self.submitted_at?,
        })
    }
}

impl GitHub {
    pub(super) async fn reviews(&self, repo: &Repo, number: u64) -> Result<Vec<Verdict>, Trouble> {
        let path = format!("/repos/{repo}/pulls/{number}/reviews?per_page=100");
        let all: Vec<ReviewShape> = self.list(Who::Of(repo), &path).await?;
        let mut all: Vec<Verdict> = all.into_iter().filter_map(ReviewShape::verdict).collect();
        all.sort_by_key(|verdict| verdict.at);
        Ok(all)
    }

    pub(super) async fn bring_suggestions(
        &self,
        repo: &Repo,
        number: u64,
        commit: &Revision,
        suggestions: &[Suggestion],
    ) -> Result<(), Trouble> {
        if suggestions.is_empty() {
            return Ok(());
        }
        let me = self.who_we_are().await?.login;
        let missing = self.unsaid(repo, number, &me, suggestions.iter().collect()).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let lines = self.lines_shown(repo, number).await?;
        let is_shown = |s: &&Suggestion| {
            let of_file = lines.get(&s.path);
            of_file.is_some_and(|shown| shown.iter().any(|&(a, b)| a <= s.line && s.end_line <= b))
        };
        let shown: Vec<&Suggestion> = missing.into_iter().filter(is_shown).collect();
        // All in one review. GitHub refuses all for one line that it does not show, without saying
        // which, so what is refused is halved until it is found.
        let mut heaps = VecDeque::from([shown]);
        let mut losses = 0;
        while let Some(heap) = heaps.pop_front().filter(|heap| !heap.is_empty()) {
            match self.review(repo, number, commit, &heap).await {
                Ok(()) => {}
                Err(Trouble::Unfit { .. }) if heap.len() > 1 => {
                    let (first, second) = heap.split_at(heap.len() / 2);
                    heaps.extend([first.to_vec(), second.to_vec()]);
                }
                Err(Trouble::Unfit { text }) => {
                    tracing::debug!(%repo, number, path = heap[0].path, text, "no place for it");
                }
                Err(Trouble::Lost { text }) => {
                    losses += 1;
                    self.pause().await;
                    let unsaid = self.unsaid(repo, number, &me, heap).await;
                    match unsaid {
                        Ok(unsaid) if unsaid.is_empty() => {}
                        Ok(unsaid) if losses == 1 => heaps.push_front(unsaid),
                        _ => return Err(Trouble::Lost { text }),
                    }
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn review(
        &self,
        repo: &Repo,
        number: u64,
        commit: &Revision,
        suggestions: &[&Suggestion],
    ) -> Result<(), Trouble> {
        let comments: Vec<_> = suggestions.iter().map(|s| as_comment(s)).collect();
        let body = json!({
            "commit_id": commit.as_str(), "event": "COMMENT", "comments": comments,
        });
        let path = format!("/repos/{repo}/pulls/{number}/reviews");
        self.post(Who::Of(repo), Method::POST, &path, &body).await?;
        Ok(())
    }

    /// Those whose marker stands nowhere of ours.
    async fn unsaid<'a>(
        &self,
        repo: &Repo,
        number: u64,
        me: &str,
        mut suggestions: Vec<&'a Suggestion>,
    ) -> Result<Vec<&'a Suggestion>, Trouble> {
        let path = format!("/repos/{repo}/pulls/{number}/comments?per_page=100");
        let lines: Vec<LineShape> = self.list(Who::Of(repo), &path).await?;
        for line in lines {
            let is_ours = line.user.and_then(|user| user.login).as_deref() == Some(me);
            if let Some(body) = line.body.filter(|_| is_ours) {
                suggestions.retain(|suggestion| !body.contains(&suggestion.marker));
            }
        }
        Ok(suggestions)
    }

    /// Stretches of lines on the new side of the diff, for each file that shows some.
    async fn lines_shown(
        &self,
        repo: &Repo,
        number: u64,
    ) -> Result<BTreeMap<String, Vec<(u32, u32)>>, Trouble> {
        let path = format!("/repos/{repo}/pulls/{number}/files?per_page=100");
        let mut lines = BTreeMap::new();
        self.pages(Who::Of(repo), &path, |body| {
            for file in read::<Vec<FileShape>>(body)? {
                if let (Some(name), Some(patch)) = (file.filename, file.patch) {
                    lines.insert(name, hunks(&patch));
                }
            }
            Ok(true)
        })
        .await?;
        Ok(lines)
    }
}

fn as_comment(suggestion: &Suggestion) -> serde_json::Value {
    let Suggestion { marker: _, path, line, end_line, body } = suggestion;
    let mut comment = json!({"path": path, "line": end_line, "side": "RIGHT", "body": body});
    if line < end_line {
        comment["start_line"] = json!(line);
        comment["start_side"] = json!("RIGHT");
    }
    comment
}

/// The new side's stretches in a patch: `@@ -1,2 +3,4 @@` shows lines 3 to 6.
fn hunks(patch: &str) -> Vec<(u32, u32)> {
    let of = |line: &str| {
        let new = line.strip_prefix("@@ -")?.split_once(" +")?.1.split(' ').next()?;
        let (start, count) = new.split_once(',').unwrap_or((new, "1"));
        let (start, count): (u32, u32) = (start.parse().ok()?, count.parse().ok()?);
        (count > 0).then(|| (start, start.saturating_add(count - 1)))
    };
    patch.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_shows_stretches_of_the_new_file() {
        let patch =
            "@@ -1,3 +1,4 @@ title\n a\n+b\n c\n d\n@@ -20 +21 @@\n-x\n+y\n@@ -30,2 +0,0 @@\n-z";
        assert_eq!(hunks(patch), [(1, 4), (21, 21)]);
        for odd in ["", "@@", "@@ -1 +x @@", "@@ -1,1 +99999999999,1 @@", "+@@ -1 +1 @@"] {
            assert!(hunks(odd).is_empty(), "{odd}");
        }
        assert_eq!(hunks("@@ -1 +4294967295,9 @@"), [(u32::MAX, u32::MAX)]);
    }

    #[test]
    fn a_review_that_is_still_written_or_a_programs_is_none() {
        let verdict = |json: &str| serde_json::from_str::<ReviewShape>(json).unwrap().verdict();
        assert!(verdict(r#"{"state":"PENDING","user":{"login":"a"}}"#).is_none());
        assert!(verdict(r#"{"state":null}"#).is_none());
        let bot = r#"{"state":"APPROVED","user":{"login":"ci[bot]","type":"Bot"},
            "submitted_at":"2026-01-02T03:04:05Z"}"#;
        assert!(verdict(bot).is_none());
        let gone = r#"{"state":"APPROVED","user":null,"commit_id":null,
            "submitted_at":"2026-01-02T03:04:05Z"}"#;
        let gone = verdict(gone).unwrap();
        assert_eq!((gone.by.as_str(), gone.commit), ("ghost", None));
    }
}
