//! Apps, their installations, and who somebody is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::call::{Call, Caller, Handled, Reply};
use super::super::state::{Installation, State, Token};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /app", Need::App, app),
    route("GET /app/installations", Need::App, installations),
    route("GET /app/installations/{installation_id}", Need::App, installation),
    route("POST /app/installations/{installation_id}/access_tokens", Need::App, access_token),
    route("GET /installation/repositories", Need::Token, repositories),
    route("GET /orgs/{org}/installation", Need::App, of_organization),
    route("GET /repos/{owner}/{repo}/installation", Need::App, of_repository),
    route("GET /rate_limit", Need::Nothing, rate_limit),
    route("GET /user", Need::Token, me),
    route("GET /users/{username}", Need::Nothing, user),
];

fn own(call: &Call) -> u64 {
    match call.caller {
        Caller::App(id) => id,
        _ => unreachable!("only an App gets here"),
    }
}

fn app(state: &mut State, call: &Call) -> Handled {
    let count = state.installations.iter().filter(|it| it.app == own(call)).count();
    let mut told = state.integration(state.app(own(call)));
    told["installations_count"] = count.into();
    Ok(Reply::ok(told))
}

fn installations(state: &mut State, call: &Call) -> Handled {
    let all = state.installations.iter().filter(|it| it.app == own(call)).collect();
    Ok(call.page(all, |it| state.installation(it)))
}

fn find<'a>(
    state: &'a State,
    call: &Call,
    is: impl Fn(&Installation) -> bool,
) -> Result<&'a Installation, Reply> {
    let mut all = state.installations.iter().filter(|it| it.app == own(call));
    all.find(|it| is(it)).ok_or_else(Reply::not_found)
}

fn installation(state: &mut State, call: &Call) -> Handled {
    let id = call.number("installation_id")?;
    Ok(Reply::ok(state.installation(find(state, call, |it| it.id == id)?)))
}

fn of_organization(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.installation(find(state, call, |it| it.account == call.at("org"))?)))
}

fn of_repository(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let exists = state.repos.contains_key(&full);
    let found = find(state, call, |it| exists && it.covers(&full))?;
    Ok(Reply::ok(state.installation(found)))
}

fn access_token(state: &mut State, call: &Call) -> Handled {
    let id = call.number("installation_id")?;
    let it = find(state, call, |it| it.id == id)?;
    if it.suspended.is_some() {
        return Err(Reply::error(403, "This installation has been suspended"));
    }
    let invalid = |message: &str| Reply::invalid("AccessToken", "permissions", "invalid", message);
    let mut permissions = it.permissions.clone();
    if let Some(wanted) = call.body["permissions"].as_object() {
        let wanted: BTreeMap<String, String> = wanted
            .iter()
            .filter_map(|(name, level)| Some((name.clone(), level.as_str()?.to_owned())))
            .collect();
        let has = |(name, level): (&String, &String)| {
            it.permissions.get(name).is_some_and(|had| had == level || level == "read")
        };
        if !wanted.iter().all(has) {
            return Err(invalid("The permissions requested are not granted to this installation."));
        }
        permissions = wanted;
    }
    let names = call.body["repositories"].as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str).map(|name| format!("{}/{name}", it.account));
    let ids = call.body["repository_ids"].as_array().into_iter().flatten();
    let named = |id: &Value| state.repos.iter().find(|(_, repo)| *id == repo.id);
    let ids = ids.map(|id| named(id).map_or_else(String::new, |(full, _)| full.clone()));
    let wanted: BTreeSet<_> = names.chain(ids).collect();
    if !wanted.iter().all(|full| state.repos.contains_key(full) && it.covers(full)) {
        let message = "There is at least one repository that does not exist or is not accessible \
                       to the parent installation.";
        return Err(invalid(message));
    }
    let selected = (!wanted.is_empty()).then_some(wanted).or_else(|| it.selected.clone());
    let ends = state.now() + state.token_life;
    let mut told = json!({
        "expires_at": ends,
        "permissions": permissions,
        "repository_selection": if selected.is_some() { "selected" } else { "all" },
    });
    if let Some(selected) = &selected {
        told["repositories"] = selected.iter().map(|full| state.repository(full)).collect();
    }
    let token = format!("ghs_{:036}", state.fresh());
    told["token"] = token.as_str().into();
    state
        .tokens
        .insert(token, Token::Installation { installation: id, permissions, selected, ends });
    Ok(Reply::created(told))
}

fn repositories(state: &mut State, call: &Call) -> Handled {
    let Caller::Installation { id, selected, .. } = &call.caller else {
        return Err(Reply::error(403, "You must authenticate with an installation access token"));
    };
    let it = state.installations.iter().find(|it| it.id == *id).ok_or_else(Reply::not_found)?;
    let sees = |full: &&String| {
        it.covers(full) && selected.as_ref().is_none_or(|some| some.contains(*full))
    };
    let all = state.repos.keys().filter(sees).collect();
    Ok(call.counted("repositories", all, |full| state.repository(full)))
}

fn rate_limit(state: &mut State, call: &Call) -> Handled {
    let standing = state.limits.standing(&call.caller.account(), state.now());
    let told = json!({
        "limit": standing.most,
        "remaining": standing.remaining(),
        "used": standing.used,
        "reset": standing.reset.as_second(),
    });
    Ok(Reply::ok(json!({"resources": {"core": told, "search": told}, "rate": told})))
}

fn me(state: &mut State, call: &Call) -> Handled {
    match &call.caller {
        Caller::User(login) => Ok(Reply::ok(state.person(login))),
        _ => Err(Reply::error(403, "Resource not accessible by integration")),
    }
}

fn user(state: &mut State, call: &Call) -> Handled {
    let login = call.at("username");
    if !state.accounts.contains_key(login) {
        return Err(Reply::not_found());
    }
    Ok(Reply::ok(state.person(login)))
}
