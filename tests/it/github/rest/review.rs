//! Reviews, and comments on lines.

use git2::Oid;
use serde_json::Value;

use super::super::action::long;
use super::super::call::{Call, Handled, Reply};
use super::super::git;
use super::super::state::{Remark, State};
use super::pull::find;
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews", Need::Read(PULLS), list),
    route("POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews", Need::Write(PULLS), create),
    route(
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/comments",
        Need::Read(PULLS),
        of_review,
    ),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/comments", Need::Read(PULLS), remarks),
    route("POST /repos/{owner}/{repo}/pulls/{pull_number}/comments", Need::Write(PULLS), remark),
];

/// Says what is wrong with a field: reviews and remarks do it each in their way.
type Refuse = fn(&str, &str) -> Reply;

fn of_a_review(_: &str, text: &str) -> Reply {
    Reply::unprocessable(text)
}

fn of_a_remark(field: &str, text: &str) -> Reply {
    Reply::invalid("PullRequestReviewComment", field, "custom", text)
}

const PULLS: &str = "pull_requests";

fn list(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let issue = find(state, call)?;
    let all = issue.pull().reviews.iter().collect();
    Ok(call.page(all, |review| state.review(&full, issue.number, review)))
}

/// A commit of the pull request, as the call names it; its head where it names none.
fn commit(state: &State, call: &Call, refuse: Refuse) -> Result<Oid, Reply> {
    let pull = find(state, call)?.pull();
    let Some(sha) = call.text("commit_id") else { return Ok(pull.head) };
    let git = git::open(&state.path(&call.repo()));
    let known = git::resolve(&git, &sha).filter(|_| sha.len() == 40);
    known.ok_or_else(|| refuse("commit_id", "commit_id is not part of the pull request"))
}

fn create(state: &mut State, call: &Call) -> Handled {
    let (full, by) = (call.repo(), call.caller.login().to_owned());
    let number = find(state, call)?.number;
    let commit = commit(state, call, of_a_review)?;
    let review_state = match call.body["event"].as_str() {
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        _ => "PENDING",
    };
    let sent = call.body["comments"].as_array().cloned().unwrap_or_default();
    let body = call.text("body").unwrap_or_default();
    let needs_body = matches!(review_state, "CHANGES_REQUESTED" | "COMMENTED");
    if needs_body && body.is_empty() && sent.is_empty() {
        return Err(Reply::unprocessable("Body can't be blank"));
    }
    // All or nothing.
    let places = sent.iter().map(|it| place(state, call, commit, it, of_a_review));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let id = state.review_pull(&full, number, &by, review_state, body, Some(commit))?;
    for (sent, place) in sent.iter().zip(places) {
        add(state, call, id, commit, sent, place);
    }
    let issue = &state.repos[&full].issues[&number];
    let review = issue.pull().reviews.iter().find(|review| review.id == id).unwrap();
    Ok(Reply::ok(state.review(&full, number, review)))
}

/// Lines that somebody remarks on.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    start_line: Option<u64>,
}

/// Where a remark belongs: only lines that the pull request's diff shows have any.
fn place(
    state: &State,
    call: &Call,
    commit: Oid,
    sent: &Value,
    refuse: Refuse,
) -> Result<Place, Reply> {
    let body = sent["body"].as_str().unwrap_or_default();
    if long("PullRequestReviewComment", body).is_err() {
        return Err(refuse("body", "body is too long (maximum is 65536 characters)"));
    }
    let wrong = |field: &str| refuse(field, &format!("{field} must be part of the diff"));
    let pull = find(state, call)?.pull();
    let git = git::open(&state.path(&call.repo()));
    let files = git::changed(&git, pull.base, commit);
    let file = files.iter().find(|file| sent["path"] == *file.path).ok_or_else(|| wrong("path"))?;
    let shown = shown(file.patch.as_deref().unwrap_or_default(), sent["side"] == "LEFT");
    let line = sent["line"].as_u64();
    let line = line.filter(|line| shown.contains(line)).ok_or_else(|| wrong("line"))?;
    let start_line = sent["start_line"].as_u64();
    match start_line {
        Some(start) if start >= line || !shown.contains(&start) => Err(wrong("start_line")),
        _ => Ok(Place { line, start_line }),
    }
}

/// The lines that a patch shows of one side.
fn shown(patch: &str, is_left: bool) -> Vec<u64> {
    let (mut next, mut lines) = (0, Vec::new());
    for line in patch.lines() {
        if let Some(head) = line.strip_prefix("@@ ") {
            let part = head.split(' ').nth(usize::from(!is_left)).unwrap_or_default();
            let start = part[1..].split(',').next().unwrap_or_default();
            next = start.parse().unwrap_or(0);
        } else if !line.starts_with(if is_left { '+' } else { '-' }) && !line.starts_with('\\') {
            lines.push(next);
            next += 1;
        }
    }
    lines
}

fn add(
    state: &mut State,
    call: &Call,
    review: u64,
    commit: Oid,
    sent: &Value,
    place: Place,
) -> u64 {
    let (id, created) = (state.fresh(), state.now());
    let text = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
    let remark = Remark {
        id,
        review,
        author: call.caller.login().to_owned(),
        body: text("body"),
        path: text("path"),
        line: place.line,
        start_line: place.start_line,
        side: sent["side"].as_str().unwrap_or("RIGHT").to_owned(),
        commit,
        created,
        reply_to: sent["in_reply_to"].as_u64(),
    };
    let number = find(state, call).map_or(0, |issue| issue.number);
    let issue = state.issue(&call.repo(), number);
    issue.updated = created;
    issue.pull_mut().remarks.push(remark);
    id
}

fn of_review(state: &mut State, call: &Call) -> Handled {
    let (full, id) = (call.repo(), call.number("review_id")?);
    let issue = find(state, call)?;
    let pull = issue.pull();
    if !pull.reviews.iter().any(|review| review.id == id) {
        return Err(Reply::not_found());
    }
    let all = pull.remarks.iter().filter(|remark| remark.review == id).collect();
    Ok(call.page(all, |remark| state.remark(&full, issue.number, remark)))
}

fn remarks(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let issue = find(state, call)?;
    let all = issue.pull().remarks.iter().collect();
    Ok(call.page(all, |remark| state.remark(&full, issue.number, remark)))
}

/// A remark by itself is a review of its own.
fn remark(state: &mut State, call: &Call) -> Handled {
    let (full, by) = (call.repo(), call.caller.login().to_owned());
    let number = find(state, call)?.number;
    let commit = commit(state, call, of_a_remark)?;
    let place = place(state, call, commit, &call.body, of_a_remark)?;
    let review = state.review_pull(&full, number, &by, "COMMENTED", String::new(), Some(commit))?;
    let id = add(state, call, review, commit, &call.body, place);
    let issue = &state.repos[&full].issues[&number];
    let remark = issue.pull().remarks.iter().find(|remark| remark.id == id).unwrap();
    Ok(Reply::created(state.remark(&full, number, remark)))
}
