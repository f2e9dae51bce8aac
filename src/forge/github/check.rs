//! Check runs, and commit statuses where a token cannot write those.
//!
//! GitHub adds the annotations of an update to those that a run has; it never takes one away. So a run
//! has one list of annotations for all its life, whose digest stands in its external id: the same list is
//! carried on from where it stopped, another one gets a new run of the same name. GitHub shows and
//! requires the newest of a name.

use hyper::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::GitHub;
use super::auth::{Identity, Who};
use super::call::{Trouble, encode, lost, read};
use crate::digest;
use crate::fault::point;
use crate::forge::{Annotation, Check, CheckState, CommitStatus, Level, Repo, Stood};

/// GitHub's own cap on annotations in one call.
const BATCH: usize = 50;

/// Of one check. A thousand are read by nobody, and said in twenty calls.
const ANNOTATIONS_MOST: usize = 1_000;

/// GitHub's caps: bytes here, which are never fewer than its characters.
const TEXT_MOST: usize = 65_535;
const TITLE_MOST: usize = 255;
const MESSAGE_MOST: usize = 60_000;
const DESCRIPTION_MOST: usize = 140;

#[derive(Clone, Deserialize)]
struct RunShape {
    id: u64,
    name: Option<String>,
    external_id: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    output: Option<OutputShape>,
    app: Option<AppShape>,
}

#[derive(Clone, Default, Deserialize)]
struct OutputShape {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    annotations_count: Option<usize>,
}

#[derive(Clone, Deserialize)]
struct AppShape {
    id: Option<u64>,
}

#[derive(Deserialize)]
struct RunsShape {
    check_runs: Vec<RunShape>,
}

#[derive(Serialize)]
struct Note {
    path: String,
    start_line: u32,
    end_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<u32>,
    annotation_level: &'static str,
    message: String,
    title: String,
}

/// A check as GitHub is told.
struct Wanted {
    external_id: String,
    status: &'static str,
    conclusion: Option<&'static str>,
    title: String,
    summary: String,
    text: String,
    notes: Vec<Note>,
}

impl Wanted {
    fn of(check: &Check) -> Self {
        let notes: Vec<Note> = check.annotations.iter().take(ANNOTATIONS_MOST).map(note).collect();
        let (status, conclusion) = match check.state {
            CheckState::Queued => ("queued", None),
            CheckState::Running => ("in_progress", None),
            CheckState::Success => ("completed", Some("success")),
            CheckState::Failure => ("completed", Some("failure")),
            CheckState::Neutral => ("completed", Some("neutral")),
            CheckState::ActionRequired => ("completed", Some("action_required")),
        };
        Self {
            external_id: external_id(&check.external_id, &notes),
            status,
            conclusion,
            title: cut(&check.title, TITLE_MOST),
            summary: cut(&check.summary, TEXT_MOST),
            text: cut(&check.text, TEXT_MOST),
            notes,
        }
    }

    /// What is to be sent next, with the annotations from `from` on.
    fn body(&self, name: Option<(&str, &str)>, from: usize) -> serde_json::Value {
        let notes = &self.notes[from.min(self.notes.len())..];
        let mut output = json!({"title": self.title, "summary": self.summary});
        if !self.text.is_empty() {
            output["text"] = json!(self.text);
        }
        if !notes.is_empty() {
            output["annotations"] = json!(&notes[..notes.len().min(BATCH)]);
        }
        let mut body = json!({"status": self.status, "output": output});
        if let Some(conclusion) = self.conclusion {
            body["conclusion"] = json!(conclusion);
        }
        if let Some((name, head)) = name {
            body["name"] = json!(name);
            body["head_sha"] = json!(head);
            body["external_id"] = json!(self.external_id);
        }
        body
    }

    /// Whether a run can become this one.
    fn fits(&self, run: &RunShape) -> bool {
        let is_back = run.status.as_deref() == Some("completed") && self.conclusion.is_none();
        run.external_id.as_deref() == Some(&self.external_id) && !is_back
    }

    fn is_said(&self, run: &RunShape) -> bool {
        let said = run.output.clone().unwrap_or_default();
        let same = |a: &Option<String>, b: &str| {
            let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
            plain(a.as_deref().unwrap_or_default()) == plain(b)
        };
        run.status.as_deref() == Some(self.status)
            && run.conclusion.as_deref() == self.conclusion
            && same(&said.title, &self.title)
            && same(&said.summary, &self.summary)
            && same(&said.text, &self.text)
    }
}

impl GitHub {
    /// Looks at the newest run of that name, and does what is missing, batch after batch.
    pub(super) async fn bring_check(
        &self,
        repo: &Repo,
        check: &Check,
        id: Option<u64>,
    ) -> Result<Stood, Trouble> {
        let (who, wanted) = (Who::Of(repo), Wanted::of(check));
        let mut run = self.newest_run(repo, check, id).await?.filter(|run| wanted.fits(run));
        let (mut losses, mut wrote_some) = (0, false);
        loop {
            let noted = run.as_ref().map_or(0, |run| noted(run).min(wanted.notes.len()));
            let wrote = match &run {
                Some(run) if noted == wanted.notes.len() && wanted.is_said(run) => {
                    return Ok(Stood { id: run.id, wrote: wrote_some });
                }
                Some(run) => {
                    let path = format!("/repos/{repo}/check-runs/{}", run.id);
                    self.post(who, Method::PATCH, &path, &wanted.body(None, noted)).await
                }
                None => {
                    let named = (check.name.as_str(), check.head.as_str());
                    let path = format!("/repos/{repo}/check-runs");
                    self.post(who, Method::POST, &path, &wanted.body(Some(named), 0)).await
                }
            };
            wrote_some = true;
            let wrote = wrote.and_then(|body| {
                point!("forge.check.after").map_err(lost)?;
                Ok(body)
            });
            match wrote {
                Ok(body) => {
                    let mut now: RunShape = read(&body)?;
                    // What was sent stands there, also where GitHub has not counted it yet.
                    let sent = (noted + BATCH).min(wanted.notes.len());
                    let output = now.output.get_or_insert_default();
                    output.annotations_count =
                        Some(sent.max(output.annotations_count.unwrap_or(0)));
                    if sent == wanted.notes.len() {
                        return Ok(Stood { id: now.id, wrote: true });
                    }
                    run = Some(now);
                }
                Err(Trouble::Lost { text }) => {
                    losses += 1;
                    self.pause().await;
                    let found = self.newest_run(repo, check, run.as_ref().map(|run| run.id)).await;
                    run = match found {
                        Ok(found) => found.filter(|run| wanted.fits(run)),
                        Err(_) => return Err(Trouble::Lost { text }),
                    };
                    let is_done = |run: &RunShape| noted_all(run, &wanted) && wanted.is_said(run);
                    if losses > 1 && !run.as_ref().is_some_and(is_done) {
                        return Err(Trouble::Lost { text });
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Of ours with that name and external id, whatever its annotations.
    async fn newest_run(
        &self,
        repo: &Repo,
        check: &Check,
        id: Option<u64>,
    ) -> Result<Option<RunShape>, Trouble> {
        let who = Who::Of(repo);
        let name = encode(&check.name);
        let head = encode(check.head.as_str());
        let path = format!(
            "/repos/{repo}/commits/{head}/check-runs?check_name={name}&filter=all&per_page=100"
        );
        let mut runs = Vec::new();
        self.pages(who, &path, |body| {
            runs.extend(read::<RunsShape>(body)?.check_runs);
            Ok(true)
        })
        .await?;
        // Lists lag behind what was just written.
        if let Some(id) = id.filter(|id| runs.iter().all(|run| run.id != *id)) {
            let known = self.get(who, &format!("/repos/{repo}/check-runs/{id}")).await;
            match known.and_then(|body| read::<RunShape>(&body)) {
                Ok(run) => runs.push(run),
                Err(Trouble::Gone { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let app = match &self.identity {
            Identity::App(app) => Some(app.app_id.0),
            Identity::Token(_) => None,
        };
        let is_ours = |run: &RunShape| {
            let whose = run.app.as_ref().and_then(|app| app.id);
            let is_named = run.name.as_deref() == Some(&check.name);
            is_named
                && run.external_id.as_deref().map(base_of) == Some(&check.external_id)
                && (whose.is_none() || app.is_none() || whose == app)
        };
        Ok(runs.into_iter().filter(is_ours).max_by_key(|run| run.id))
    }

    pub(super) async fn bring_status(
        &self,
        repo: &Repo,
        status: &CommitStatus,
    ) -> Result<Stood, Trouble> {
        let state = match status.state {
            // Waiting for a person is not a failure, and stands in the way as much.
            CheckState::Queued | CheckState::Running | CheckState::ActionRequired => "pending",
            CheckState::Success | CheckState::Neutral => "success",
            CheckState::Failure => "failure",
        };
        let description = cut(&status.description, DESCRIPTION_MOST);
        let commit = encode(status.commit.as_str());
        let body = json!({
            "state": state, "context": status.context, "description": description,
        });
        let mut losses = 0;
        loop {
            if let Some(found) = self.status_of(repo, &commit, &status.context).await?
                && found.state.as_deref() == Some(state)
                && found.description.unwrap_or_default() == description
            {
                return Ok(Stood { id: found.id, wrote: losses > 0 });
            }
            let path = format!("/repos/{repo}/statuses/{commit}");
            match self.post(Who::Of(repo), Method::POST, &path, &body).await {
                Err(Trouble::Lost { .. }) if losses == 0 => {
                    losses += 1;
                    self.pause().await;
                }
                other => {
                    return Ok(Stood { id: read::<StatusShape>(&other?)?.id, wrote: true });
                }
            }
        }
    }

    async fn status_of(
        &self,
        repo: &Repo,
        commit: &str,
        context: &str,
    ) -> Result<Option<StatusShape>, Trouble> {
        let mut found = None;
        let path = format!("/repos/{repo}/commits/{commit}/status?per_page=100");
        self.pages(Who::Of(repo), &path, |body| {
            let all = read::<StatusesShape>(body)?.statuses;
            found = all.into_iter().find(|status| status.context.as_deref() == Some(context));
            Ok(found.is_none())
        })
        .await?;
        Ok(found)
    }
}

#[derive(Deserialize)]
struct StatusesShape {
    statuses: Vec<StatusShape>,
}

#[derive(Deserialize)]
struct StatusShape {
    id: u64,
    context: Option<String>,
    state: Option<String>,
    description: Option<String>,
}

/// A check where only statuses can be written.
pub(super) fn as_status(check: &Check) -> CommitStatus {
    CommitStatus {
        commit: check.head.clone(),
        context: check.name.clone(),
        state: check.state,
        description: check.title.clone(),
    }
}

fn noted(run: &RunShape) -> usize {
    run.output.as_ref().and_then(|output| output.annotations_count).unwrap_or(0)
}

fn noted_all(run: &RunShape, wanted: &Wanted) -> bool {
    noted(run) >= wanted.notes.len()
}

fn external_id(base: &str, notes: &[Note]) -> String {
    if notes.is_empty() {
        return base.to_owned();
    }
    format!("{base}~{}", &digest::of(notes).hex()[..16])
}

fn base_of(external_id: &str) -> &str {
    external_id.rsplit_once('~').map_or(external_id, |(base, _)| base)
}

fn note(annotation: &Annotation) -> Note {
    let Annotation { path, line, end_line, column, end_column, level, title, message } = annotation;
    let start_line = (*line).max(1);
    let end_line = (*end_line).max(start_line);
    // Columns of several lines are refused, as is an end before its start.
    let start_column = column.filter(|column| start_line == end_line && *column > 0);
    let end_column = end_column.filter(|end| start_column.is_some_and(|start| *end >= start));
    Note {
        path: path.clone(),
        start_line,
        end_line,
        start_column,
        end_column,
        annotation_level: match level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Failure => "failure",
        },
        message: cut(message, MESSAGE_MOST),
        title: cut(title, TITLE_MOST),
    }
}

/// The first `most` bytes, by whole characters, with a mark where something is missing.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - "…".len());
    // Whole lines where there are many.
    let end = text[..end].rfind('\n').filter(|at| *at > most / 2).unwrap_or(end);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Revision;

    fn annotation(n: u32) -> Annotation {
        Annotation {
            path: "a.yaml".into(),
            line: n,
            end_line: n,
            column: Some(3),
            end_column: Some(5),
            level: Level::Failure,
            title: "t".into(),
            message: "m".into(),
        }
    }

    fn check(annotations: Vec<Annotation>) -> Check {
        Check {
            name: "vend".into(),
            head: Revision::new("0123456789abcdef0123456789abcdef01234567"),
            external_id: "requests#7".into(),
            state: CheckState::Failure,
            title: "t".into(),
            summary: "s".into(),
            text: String::new(),
            annotations,
        }
    }

    #[test]
    fn f51_annotations_go_in_batches_of_fifty() {
        let wanted = Wanted::of(&check((1..=120).map(annotation).collect()));
        let sent = |from| {
            let body = wanted.body(None, from);
            let notes = body["output"]["annotations"].as_array().map_or(0, Vec::len);
            let first = body["output"]["annotations"][0]["start_line"].as_u64();
            (notes, first)
        };
        assert_eq!(
            [sent(0), sent(50), sent(100), sent(120)],
            [(50, Some(1)), (50, Some(51)), (20, Some(101)), (0, None)]
        );
        assert_eq!(Wanted::of(&check((1..5_000).map(annotation).collect())).notes.len(), 1_000);
    }

    #[test]
    fn other_annotations_are_another_run() {
        let id = |annotations| Wanted::of(&check(annotations)).external_id;
        assert_eq!(id(vec![]), "requests#7");
        let (one, other) = (id(vec![annotation(1)]), id(vec![annotation(2)]));
        assert!(one != other && base_of(&one) == "requests#7" && base_of(&other) == "requests#7");
        assert_eq!(one, id(vec![annotation(1)]));
    }

    #[test]
    fn what_github_would_refuse_is_mended() {
        let odd = |line, end_line, column, end_column| {
            let of = note(&Annotation { line, end_line, column, end_column, ..annotation(1) });
            (of.start_line, of.end_line, of.start_column, of.end_column)
        };
        assert_eq!(odd(0, 0, Some(1), Some(2)), (1, 1, Some(1), Some(2)));
        assert_eq!(odd(5, 3, None, None), (5, 5, None, None));
        assert_eq!(odd(1, 2, Some(1), Some(2)), (1, 2, None, None));
        assert_eq!(odd(1, 1, Some(4), Some(2)), (1, 1, Some(4), None));
        assert_eq!(odd(1, 1, None, Some(2)), (1, 1, None, None));
    }

    #[test]
    fn f51_text_is_cut_by_whole_characters_and_lines() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("äääää", 8), "ää…");
        let lines = "line\n".repeat(20_000);
        let cut = cut(&lines, TEXT_MOST);
        assert!(cut.len() <= TEXT_MOST && cut.ends_with("line…"));
    }
}
