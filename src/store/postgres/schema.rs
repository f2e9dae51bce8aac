//! The tables, and how an older schema becomes one of today.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, FromRow as _};

use super::open::Server;
use super::read::ask;
use crate::fault::point;
use crate::store::StoreError;

/// Step `n` makes schema version `n` of version `n - 1`. A step that was released never changes.
pub(super) const STEPS: &[&str] = &[include_str!("schema-1.sql"), include_str!("schema-2.sql")];

/// Keeps others from making the same tables at the same time: "vend".
const LOCK: i64 = 0x7665_6e64;

/// Brings the tables of `schema` up to date in one transaction, or makes them.
pub(super) async fn migrate(
    db: &mut PgConnection,
    server: &Server,
    steps: &[&str],
) -> Result<(), StoreError> {
    let schema = &*server.schema;
    let known = u32::try_from(steps.len()).expect("few versions");
    let mut transaction = db.begin().await?;
    ask("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Not `IF NOT EXISTS`: who may use a schema that is there need not be one who may make any.
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1),
        to_regclass($1 || '.schema_version') IS NOT NULL";
    let row = ask(sql).bind(schema).fetch_one(&mut *transaction).await?;
    let (exists, is_ours) = <(bool, bool)>::from_row(&row)?;
    if !exists {
        ask(format!("CREATE SCHEMA {schema}")).execute(&mut *transaction).await?;
    }
    let from = match is_ours {
        true => {
            let row =
                ask("SELECT version FROM schema_version").fetch_one(&mut *transaction).await?;
            u32::try_from(<(i32,)>::from_row(&row)?.0).unwrap_or(u32::MAX)
        }
        false if exists && has_tables(&mut transaction, schema).await? => {
            return Err(server.unsuitable("the schema has tables of another program"));
        }
        false => 0,
    };
    if from > known {
        return Err(StoreError::Newer { found: from, known });
    }
    if from == known {
        return Ok(());
    }
    for step in &steps[from as usize..] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(*step)).execute(&mut *transaction).await?;
    }
    if from == 0 {
        begin(&mut transaction).await?;
    }
    ask("UPDATE schema_version SET version = $1")
        .bind(i32::try_from(known).expect("few versions"))
        .execute(&mut *transaction)
        .await?;
    point!("store.migrate.before")?;
    transaction.commit().await?;
    Ok(point!("store.migrate.after")?)
}

async fn has_tables(db: &mut PgConnection, schema: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = $1)";
    let row = ask(sql).bind(schema).fetch_one(db).await?;
    Ok(<(bool,)>::from_row(&row)?.0)
}

/// What a new store starts with.
async fn begin(db: &mut PgConnection) -> Result<(), StoreError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| StoreError::Broken(error.into()))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    ask("CREATE TABLE schema_version (version INTEGER NOT NULL)").execute(&mut *db).await?;
    ask("INSERT INTO schema_version VALUES (0)").execute(&mut *db).await?;
    ask("INSERT INTO state (one, instance, stamp, notes) VALUES (1, $1, 0, 0)")
        .bind(format!("i-{id}"))
        .execute(&mut *db)
        .await?;
    ask("INSERT INTO lease (one, epoch) VALUES (1, 0)").execute(db).await?;
    Ok(())
}
