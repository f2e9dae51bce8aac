//! Comments below issues and pull requests.

use serde_json::Value;

use super::super::call::{Call, Caller, Handled, Reply};
use super::super::state::{Comment, State};
use super::issue::{self, EITHER};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", Need::Read(EITHER), list),
    route("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", Need::Write(EITHER), write),
    route("GET /repos/{owner}/{repo}/issues/comments/{comment_id}", Need::Read(EITHER), get),
    route("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", Need::Write(EITHER), edit),
    route("DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}", Need::Write(EITHER), delete),
    route(
        "GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        Need::Read(EITHER),
        reactions,
    ),
    route(
        "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        Need::Write(EITHER),
        react,
    ),
];

fn list(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let number = issue::find(state, call)?.number;
    let since = match call.asked("since").map(str::parse::<jiff::Timestamp>) {
        Some(Err(_)) => {
            return Err(Reply::invalid("IssueComment", "since", "invalid", "since is no time"));
        }
        Some(Ok(since)) => Some(since),
        None => None,
    };
    let all = state.repos[&full].comments.values().filter(|comment| {
        comment.issue == number && since.is_none_or(|since| comment.updated >= since)
    });
    Ok(call.page(all.collect(), |comment| state.comment_told(&full, comment)))
}

fn write(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let number = issue::find(state, call)?.number;
    let body = call.text("body").unwrap_or_default();
    if body.trim().is_empty() {
        return Err(Reply::invalid("IssueComment", "body", "missing_field", "body can't be blank"));
    }
    let id = state.comment(&full, number, &call.caller, body)?;
    Ok(Reply::created(told(state, &full, id)))
}

fn told(state: &State, full: &str, id: u64) -> Value {
    state.comment_told(full, &state.repos[full].comments[&id])
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Comment, Reply> {
    let repo = &state.repos[&call.repo()];
    let comment = repo.comments.get(&call.number("comment_id")?);
    let is_seen = |comment: &&Comment| !repo.issues[&comment.issue].is_deleted;
    comment.filter(is_seen).ok_or_else(Reply::not_found)
}

fn get(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.comment_told(&call.repo(), find(state, call)?)))
}

/// An App edits only what is its own; people with write access edit anything.
fn own(state: &State, call: &Call) -> Result<u64, Reply> {
    let comment = find(state, call)?;
    let may = match &call.caller {
        Caller::Installation { app, .. } => comment.app == Some(*app),
        Caller::User(login) => {
            comment.author == *login
                || matches!(state.permission(&call.repo(), login), "admin" | "maintain" | "write")
        }
        Caller::Nobody | Caller::App(_) => false,
    };
    if !may {
        return Err(Reply::error(403, "Resource not accessible by integration"));
    }
    let is_locked = state.repos[&call.repo()].issues[&comment.issue].is_locked;
    if is_locked && matches!(call.caller, Caller::Installation { .. }) {
        return Err(Reply::error(403, "Unable to update comment because issue is locked."));
    }
    Ok(comment.id)
}

fn edit(state: &mut State, call: &Call) -> Handled {
    let (full, id) = (call.repo(), own(state, call)?);
    let by = call.caller.login().to_owned();
    state.edit_comment(&full, id, &by, call.text("body").unwrap_or_default())?;
    Ok(Reply::ok(told(state, &full, id)))
}

fn delete(state: &mut State, call: &Call) -> Handled {
    let (full, id) = (call.repo(), own(state, call)?);
    let by = call.caller.login().to_owned();
    state.delete_comment(&full, id, &by)?;
    Ok(Reply::none())
}

fn reactions(state: &mut State, call: &Call) -> Handled {
    let content = call.asked("content");
    let all = find(state, call)?.reactions.iter();
    let all = all.filter(|it| content.is_none_or(|content| it.content == content)).collect();
    Ok(call.page(all, |it| state.reaction(it)))
}

fn react(state: &mut State, call: &Call) -> Handled {
    let comment = find(state, call)?;
    let (id, (reaction, is_new)) = (comment.id, issue::new(state, call, &comment.reactions));
    let told = issue::told(state, &reaction, is_new);
    if is_new {
        let repo = state.repos.get_mut(&call.repo()).unwrap();
        repo.comments.get_mut(&id).unwrap().reactions.push(reaction);
    }
    Ok(told)
}
