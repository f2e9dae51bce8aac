//! Removes what nothing needs any more, a little at a time.

use sqlx::postgres::PgConnection;

use super::read::{ask, count};
use crate::store::{StoreError, Swept};

/// Artifacts that nothing refers to. Desired artifacts count: a pass that finds its desired state
/// unchanged must find the text as well.
const UNUSED: &str = "DELETE FROM artifact WHERE digest IN (
    SELECT digest FROM artifact WHERE digest NOT IN (
        SELECT substring(artifacts FROM 32 * n + 1 FOR 32) FROM (
            SELECT artifacts FROM desired UNION ALL SELECT artifacts FROM record
            UNION ALL SELECT artifacts FROM status
        ) AS used, generate_series(0, length(artifacts) / 32 - 1) AS n
        UNION ALL SELECT artifact FROM journal WHERE artifact IS NOT NULL
    ) LIMIT $1)";

/// Looks for uses and removes in one transaction, begun by the caller, who is the only one to write:
/// nothing can come into use in between.
pub(super) async fn sweep(
    db: &mut PgConnection,
    limit: usize,
    keep: usize,
) -> Result<Swept, StoreError> {
    let gone = ask(UNUSED).bind(count(limit)).execute(&mut *db).await?.rows_affected();
    let artifacts = usize::try_from(gone).unwrap_or(usize::MAX);
    let mut events = 0;
    // What happens to parts of targets is much, and must not push out what vend did.
    for (table, lines) in [
        ("event", "event WHERE key IS NULL"),
        ("event", "event WHERE key IS NOT NULL"),
        ("attempt", "attempt"),
    ] {
        // The oldest go, as many as there are too many.
        let sql = format!(
            "DELETE FROM {table} WHERE n IN (SELECT n FROM {lines} ORDER BY n
                LIMIT least($1, greatest(0, (SELECT count(*) FROM {lines}) - $2)))"
        );
        let gone = ask(sql).bind(count(limit)).bind(count(keep)).execute(&mut *db).await?;
        events += usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX);
    }
    let more = artifacts == limit || events >= limit;
    Ok(Swept { artifacts, events, more: more && limit > 0 })
}
