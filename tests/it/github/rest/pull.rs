//! Pull requests.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::super::action::{Opening, long};
use super::super::call::{Call, Handled, Reply};
use super::super::git::{self, Method};
use super::super::state::{Issue, State};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}/pulls", Need::Read("pull_requests"), list),
    route("POST /repos/{owner}/{repo}/pulls", Need::Write("pull_requests"), open),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}", Need::Read("pull_requests"), get),
    route("PATCH /repos/{owner}/{repo}/pulls/{pull_number}", Need::Write("pull_requests"), edit),
    route(
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/commits",
        Need::Read("pull_requests"),
        commits,
    ),
    route(
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/files",
        Need::Read("pull_requests"),
        files,
    ),
    route("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", Need::Write("contents"), merge),
    route(
        "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls",
        Need::Read("pull_requests"),
        of_commit,
    ),
];

/// The pull request of a path; one that nobody sees any more is not found.
pub fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Issue, Reply> {
    let issue = state.repos[&call.repo()].issues.get(&call.number("pull_number")?);
    let issue = issue.filter(|issue| !issue.is_deleted && issue.pull.is_some());
    issue.ok_or_else(Reply::not_found)
}

fn list(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let wanted = call.asked("state").unwrap_or("open");
    let is_wanted = |issue: &Issue| match wanted {
        "all" => true,
        "closed" => !issue.is_open,
        _ => issue.is_open,
    };
    let (base, head) = (call.asked("base"), call.asked("head"));
    let mut all: Vec<&Issue> = state.repos[&full]
        .pulls()
        .filter(|(issue, pull)| {
            is_wanted(issue)
                && base.is_none_or(|base| pull.base_ref == base)
                && head.is_none_or(|head| format!("{}:{}", pull.head_owner, pull.head_ref) == head)
        })
        .map(|(issue, _)| issue)
        .collect();
    let sort = call.asked("sort").unwrap_or("created");
    let by = |issue: &&Issue| match sort {
        "updated" => (issue.updated, issue.number),
        _ => (issue.created, issue.number),
    };
    // What is newest comes first, unless they are sorted in another way.
    let default =
        if call.asked("sort").is_none_or(|sort| sort == "created") { "desc" } else { "asc" };
    match call.asked("direction").unwrap_or(default) {
        "asc" => all.sort_by_key(by),
        _ => all.sort_by_key(|issue| Reverse(by(issue))),
    }
    Ok(call.page(all, |issue| state.simple_pull(&full, issue)))
}

fn open(state: &mut State, call: &Call) -> Handled {
    let (full, author) = (call.repo(), call.caller.login().to_owned());
    let body = call.text("body");
    long("PullRequest", body.as_deref().unwrap_or_default())?;
    let opening = Opening {
        title: call.text("title").unwrap_or_default(),
        body,
        head: call.text("head").unwrap_or_default(),
        head_repo: call.text("head_repo"),
        base: call.text("base").unwrap_or_default(),
        is_draft: call.body["draft"] == true,
    };
    let number = state.open_pull(&full, &author, opening)?;
    Ok(Reply::created(state.full_pull(&full, &state.repos[&full].issues[&number])))
}

fn get(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.full_pull(&call.repo(), find(state, call)?)))
}

fn edit(state: &mut State, call: &Call) -> Handled {
    let (full, by) = (call.repo(), call.caller.login().to_owned());
    let issue = find(state, call)?;
    let (number, is_open) = (issue.number, issue.is_open);
    let body = call.text("body");
    long("PullRequest", body.as_deref().unwrap_or_default())?;
    let now = state.now();
    let issue = state.issue(&full, number);
    let mut changes = json!({});
    if let Some(title) = call.text("title") {
        let from = std::mem::replace(&mut issue.title, title);
        changes["title"] = json!({"from": from});
    }
    if body.is_some() {
        let from = std::mem::replace(&mut issue.body, body).unwrap_or_default();
        changes["body"] = json!({"from": from});
    }
    if changes != json!({}) {
        issue.updated = now;
        state.tell_pull(&full, number, "edited", &by, json!({"changes": changes}));
    }
    match call.body["state"].as_str() {
        Some("closed") if is_open => state.close(&full, number, &by),
        Some("open") if !is_open && !state.reopen(&full, number, &by) => {
            return Err(Reply::invalid(
                "PullRequest",
                "state",
                "invalid",
                "state cannot be changed.",
            ));
        }
        _ => {}
    }
    Ok(Reply::ok(state.full_pull(&full, &state.repos[&full].issues[&number])))
}

fn commits(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let pull = find(state, call)?.pull();
    let git = git::open(&state.path(&full));
    let mut all = git::commits(&git, pull.base, pull.head);
    // More are never told.
    all.truncate(250);
    Ok(call.page(all, |id| state.commit(&full, &git, id, false)))
}

fn files(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let pull = find(state, call)?.pull();
    let mut all = git::changed(&git::open(&state.path(&full)), pull.base, pull.head);
    // More are never told.
    all.truncate(3000);
    Ok(call.page(all, |file| state.file(&full, pull.head, &file)))
}

fn merge(state: &mut State, call: &Call) -> Handled {
    let (full, by) = (call.repo(), call.caller.login().to_owned());
    let issue = find(state, call)?;
    let (number, head) = (issue.number, issue.pull().head);
    if call.text("sha").is_some_and(|sha| sha != head.to_string()) {
        let message = "Head branch was modified. Review and try the merge again.";
        return Err(Reply::error(409, message));
    }
    let method = match call.body["merge_method"].as_str() {
        Some("squash") => Method::Squash,
        Some("rebase") => Method::Rebase,
        _ => Method::Merge,
    };
    let message = call.text("commit_title").map(|title| match call.text("commit_message") {
        Some(message) => format!("{title}\n\n{message}"),
        None => title,
    });
    let commit = state.merge(&full, number, &by, method, message)?;
    let told = json!({
        "sha": commit.to_string(),
        "merged": true,
        "message": "Pull Request successfully merged",
    });
    Ok(Reply::ok(told))
}

/// Merged pull requests that brought a commit, or open ones that have it.
fn of_commit(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let git = git::open(&state.path(&full));
    let Some(id) = git::resolve(&git, call.at("commit_sha")) else {
        let sha = call.at("commit_sha");
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    };
    let all = state.repos[&full].pulls().filter(|(_, pull)| {
        pull.merge_commit == Some(id) && pull.merged.is_some()
            || pull.landed.contains(&id)
            || git::commits(&git, pull.base, pull.head).contains(&id)
    });
    let all: Vec<_> = all.map(|(issue, _)| issue).collect();
    Ok(call.page(all, |issue| -> Value { state.simple_pull(&full, issue) }))
}
