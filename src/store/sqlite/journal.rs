//! The journal: what may be in flight, and what may not.

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{damaged, nanoseconds, seal};
use super::read;
use super::write::{has_artifact, put_artifact, run};
use crate::digest::Digest;
use crate::model::{Journalled, Outcome, Phase, RequestId, Token};
use crate::store::StoreError;

type Done = Result<(), StoreError>;

pub(super) fn intent(db: &Connection, row: Journalled) -> Done {
    if let Some(old) = read::effect(db, &row.change.token)?
        && old.phase != Phase::Intent
    {
        let what = format!("an intent for `{}`, which was sent already", row.change.token);
        return Err(StoreError::Conflict { what });
    }
    let target = &row.change.target;
    let sql = "SELECT token FROM journal WHERE provider = ? AND target = ? AND token <> ?";
    let other: Option<String> = db
        .prepare_cached(sql)?
        .query_row([&target.provider, target.name.as_str(), row.change.token.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(other) = other {
        let what =
            format!("`{}` on `{}` while `{other}` is in flight", row.change.token, target.name);
        return Err(StoreError::Conflict { what });
    }
    put(db, row)
}

pub(super) fn progress(db: &Connection, row: Journalled) -> Done {
    let token = &row.change.token;
    let old = read::effect(db, token)?.ok_or_else(|| missing(token))?;
    // Only an observed end leaves what was sent; going back would send it as if for the first time.
    if row.phase == Phase::Intent && old.phase != Phase::Intent {
        let what = format!("to take `{token}` for unsent, which was sent");
        return Err(StoreError::Conflict { what });
    }
    put(db, row)
}

pub(super) fn end(db: &Connection, token: &Token) -> Done {
    let row = read::effect(db, token)?.ok_or_else(|| missing(token))?;
    run(
        db,
        "INSERT INTO attempt (token, request, component, action, step, plan, attempt, since)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            token.as_str(),
            row.change.target.key.request.as_str(),
            row.change.target.key.component.as_str(),
            name(&row.change.action),
            row.step.to_string(),
            row.plan.to_string(),
            row.attempt,
            nanoseconds(row.since),
        ],
    )?;
    run(db, "DELETE FROM journal WHERE token = ?", [token.as_str()])
}

/// What is in flight for a request goes on under its new identity.
pub(super) fn rekey(db: &Connection, from: &RequestId, to: &RequestId) -> Done {
    for mut row in read::journal(db, Some(from))? {
        row.change.target.key.request = to.clone();
        if let Some(ticket) = &mut row.ticket {
            ticket.target.key.request = to.clone();
        }
        if let Outcome::Applied(applied) = &mut row.outcome {
            applied.record.id = to.clone();
        }
        put(db, row)?;
    }
    Ok(())
}

fn put(db: &Connection, mut row: Journalled) -> Done {
    if let Some(artifact) = row.change.artifact.take() {
        let digest = put_artifact(db, &artifact)?;
        if *row.artifact.get_or_insert(digest) != digest {
            let what = format!("`{}` with two artifacts", row.change.token);
            return Err(StoreError::Conflict { what });
        }
    }
    if let Some(digest) = &row.artifact
        && !has_artifact(db, digest)?
    {
        return Err(StoreError::Missing { what: format!("artifact {digest}") });
    }
    let token = &row.change.token;
    let target = &row.change.target;
    let (body, sum) = seal("journal", token.as_str(), &row);
    run(
        db,
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET
            request = excluded.request, provider = excluded.provider, target = excluded.target,
            phase = excluded.phase, artifact = excluded.artifact,
            body = excluded.body, sum = excluded.sum",
        params![
            token.as_str(),
            target.key.request.as_str(),
            target.provider,
            target.name.as_str(),
            name(&row.phase),
            row.artifact.as_ref().map(Digest::bytes),
            body,
            sum,
        ],
    )
}

/// The name by which a variant is serialised.
fn name(variant: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(variant).expect("a variant serialises");
    name.as_str().unwrap_or_default().to_owned()
}

fn missing(token: &Token) -> StoreError {
    StoreError::Missing { what: format!("intent `{token}`") }
}

/// The row was found under another token than its own.
pub(super) fn check(row: Journalled, token: &str) -> Result<Journalled, StoreError> {
    if row.change.token.as_str() == token { Ok(row) } else { Err(damaged("journal", token)) }
}
