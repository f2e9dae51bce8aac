//! Organisations and their teams.

use serde_json::json;

use super::super::call::{Call, Handled, Reply};
use super::super::state::{State, Team};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /orgs/{org}", Need::Nothing, organization),
    route("GET /orgs/{org}/teams/{team_slug}", Need::Read("members"), team),
    route("GET /orgs/{org}/teams/{team_slug}/members", Need::Read("members"), members),
    route(
        "GET /orgs/{org}/teams/{team_slug}/memberships/{username}",
        Need::Read("members"),
        membership,
    ),
];

fn organization(state: &mut State, call: &Call) -> Handled {
    if !state.accounts.contains_key(call.at("org")) {
        return Err(Reply::not_found());
    }
    Ok(Reply::ok(state.organization(call.at("org"))))
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Team, Reply> {
    let key = (call.at("org").to_owned(), call.at("team_slug").to_owned());
    state.teams.get(&key).ok_or_else(Reply::not_found)
}

fn team(state: &mut State, call: &Call) -> Handled {
    let team = find(state, call)?;
    Ok(Reply::ok(state.team(call.at("org"), call.at("team_slug"), team)))
}

fn members(state: &mut State, call: &Call) -> Handled {
    let members = find(state, call)?.members.iter();
    let members = members.filter(|(_, is_active)| **is_active).map(|(login, _)| login);
    Ok(call.page(members.collect(), |login| state.user(login)))
}

fn membership(state: &mut State, call: &Call) -> Handled {
    let login = call.at("username");
    let is_active = find(state, call)?.members.get(login).ok_or_else(Reply::not_found)?;
    let (org, slug) = (call.at("org"), call.at("team_slug"));
    let told = json!({
        "url": format!("{}/orgs/{org}/teams/{slug}/memberships/{login}", state.api()),
        "role": "member",
        "state": if *is_active { "active" } else { "pending" },
    });
    Ok(Reply::ok(told))
}
