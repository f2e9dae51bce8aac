//! Repositories and their people.

use serde_json::json;

use super::super::call::{Call, Handled, Reply};
use super::super::state::State;
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}", Need::Read("metadata"), repository),
    route(
        "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
        Need::Read("metadata"),
        permission,
    ),
];

fn repository(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.full_repository(&call.repo())))
}

fn permission(state: &mut State, call: &Call) -> Handled {
    let (full, login) = (call.repo(), call.at("username"));
    if !state.accounts.contains_key(login) {
        return Err(Reply::not_found());
    }
    let role = state.permission(&full, login).to_owned();
    let mut user = state.user(login);
    user["role_name"] = role.as_str().into();
    // The older word, which knows fewer.
    let permission = match role.as_str() {
        "maintain" => "write",
        "triage" => "read",
        other => other,
    };
    Ok(Reply::ok(json!({"permission": permission, "role_name": role, "user": user})))
}
