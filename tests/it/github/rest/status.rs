//! Commit statuses.

use std::collections::BTreeSet;

use git2::Oid;
use serde_json::json;

use super::super::call::{Call, Handled, Reply};
use super::super::git;
use super::super::state::{State, Status};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("POST /repos/{owner}/{repo}/statuses/{sha}", Need::Write("statuses"), create),
    route("GET /repos/{owner}/{repo}/commits/{ref}/statuses", Need::Read("statuses"), list),
    route("GET /repos/{owner}/{repo}/commits/{ref}/status", Need::Read("statuses"), combined),
];

fn create(state: &mut State, call: &Call) -> Handled {
    let (full, sha) = (call.repo(), call.at("sha"));
    let commit = Oid::from_str(sha).ok().filter(|_| sha.len() == 40);
    let commit = commit.filter(|id| git::open(&state.path(&full)).find_commit(*id).is_ok());
    let Some(commit) = commit else {
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    };
    let description = call.text("description");
    if description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        let message = "description is too long (maximum is 140 characters)";
        return Err(Reply::invalid("Status", "description", "custom", message));
    }
    let status = Status {
        id: state.fresh(),
        author: call.caller.login().to_owned(),
        commit,
        state: call.text("state").unwrap_or_default(),
        context: call.text("context").unwrap_or_else(|| "default".into()),
        description,
        target_url: call.text("target_url"),
        created: state.now(),
    };
    let told = state.status(&full, &status);
    state.repos.get_mut(&full).unwrap().statuses.push(status);
    Ok(Reply::created(told))
}

fn list(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let commit = super::refs::commit(state, call, "ref")?;
    let all = state.repos[&full].statuses.iter().rev().filter(|it| it.commit == commit);
    Ok(call.page(all.collect(), |status| state.status(&full, status)))
}

fn combined(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let commit = super::refs::commit(state, call, "ref")?;
    let mut seen = BTreeSet::new();
    let all = state.repos[&full].statuses.iter().rev().filter(|it| it.commit == commit);
    let all: Vec<_> = all.filter(|it| seen.insert(it.context.clone())).collect();
    let has = |states: &[&str]| all.iter().any(|it| states.contains(&it.state.as_str()));
    let whole = match () {
        () if has(&["failure", "error"]) => "failure",
        () if all.is_empty() || has(&["pending"]) => "pending",
        () => "success",
    };
    let url = state.repo_url(&full);
    let told = json!({
        "state": whole,
        "statuses": all.iter().map(|it| state.simple_status(&full, it)).collect::<Vec<_>>(),
        "sha": commit.to_string(),
        "total_count": all.len(),
        "repository": state.minimal_repository(&full),
        "commit_url": format!("{url}/commits/{commit}"),
        "url": format!("{url}/commits/{commit}/status"),
    });
    Ok(Reply::ok(told))
}
