//! The journal: what may be in flight, and what may not.

use rusqlite::{Connection, OptionalExtension, params};

use super::read;
use super::write::{has_artifact, put_artifact, run};
use crate::digest::Digest;
use crate::model::{Journalled, RequestId, Token};
use crate::store::codec::{name, nanoseconds, seal};
use crate::store::{StoreError, rule};

type Done = Result<(), StoreError>;

pub(super) fn intent(db: &Connection, row: Journalled) -> Done {
    let target = &row.change.target;
    let sql = "SELECT token FROM journal WHERE provider = ? AND target = ? AND token <> ?";
    let other: Option<String> = db
        .prepare_cached(sql)?
        .query_row([&target.provider, target.name.as_str(), row.change.token.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    let old = read::effect(db, &row.change.token)?;
    rule::may_begin(&row, old.as_ref(), other.map(Token::new).as_ref())?;
    put(db, row)
}

pub(super) fn progress(db: &Connection, row: Journalled) -> Done {
    rule::may_go_on(&row, read::effect(db, &row.change.token)?.as_ref())?;
    put(db, row)
}

pub(super) fn end(db: &Connection, token: &Token) -> Done {
    let row = read::effect(db, token)?.ok_or_else(|| rule::missing(token))?;
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
    read::journal(db, Some(from))?.into_iter().try_for_each(|row| put(db, rule::renamed(row, to)))
}

fn put(db: &Connection, mut row: Journalled) -> Done {
    if let Some(artifact) = row.change.artifact.take() {
        let digest = put_artifact(db, &artifact)?;
        if *row.artifact.get_or_insert(digest) != digest {
            return Err(rule::two_artifacts(&row.change.token));
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
