//! Against a real server, where there is one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::store::contract::{TTL, contract, lease, wait};
use crate::store::sample::*;

#[path = "../../../tests/it/replicas/server.rs"]
#[allow(dead_code, reason = "each of its users needs some of it")]
mod server;

use server::PostgresServer;

/// A place of its own on a server.
fn place(server: &PostgresServer) -> Server {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let schema = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Server { url: server.url(), password: None, schema, connections: 4 }
}

#[test]
fn it_keeps_the_contract() {
    let Some(server) = PostgresServer::start("the contract of a store in PostgreSQL") else {
        return;
    };
    contract(async || Box::new(Postgres::open(&place(&server)).await.unwrap()) as Box<dyn Store>);
}

/// Places that do not suit are refused before anything is written there.
#[test]
fn what_is_not_ours_is_left_alone() {
    let Some(server) = PostgresServer::start("places that do not suit") else { return };
    wait(async {
        let other = place(&server);
        server.sql(&format!("CREATE SCHEMA {0}; CREATE TABLE {0}.invoice (n int)", other.schema));
        match Postgres::open(&other).await.err() {
            Some(StoreError::Unsuitable { why, .. }) => assert!(why.contains("another program")),
            other => panic!("{other:?}"),
        }
        let newer = place(&server);
        drop(Postgres::open(&newer).await.unwrap());
        server.sql(&format!("UPDATE {}.schema_version SET version = 99", newer.schema));
        let found = Postgres::open(&newer).await.err();
        assert!(matches!(found, Some(StoreError::Newer { found: 99, .. })), "{found:?}");
        let nobody = Server { url: server.url().replace("user=vend", "user=eve"), ..newer };
        match Postgres::open(&nobody).await.err() {
            Some(StoreError::Unsuitable { why, .. }) => assert!(why.contains("eve"), "{why}"),
            other => panic!("{other:?}"),
        }
    });
}

/// Two make the same store at the same time; both have the same one.
#[test]
fn two_begin_at_once() {
    let Some(server) = PostgresServer::start("two that begin at once") else { return };
    wait(async {
        let place = place(&server);
        let (one, two) = tokio::join!(Postgres::open(&place), Postgres::open(&place));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.instance().await.unwrap(), two.instance().await.unwrap());
        let held = lease(&one).await;
        assert!(matches!(
            two.acquire(&Holder::here(), at(1), TTL).await,
            Ok(Acquired::Busy { .. })
        ));
        one.commit(&held, vec![Write::Record(record("a", "1", None))]).await.unwrap();
        assert_eq!(two.records(&[id("a")]).await.unwrap().len(), 1);
    });
}

/// The server ends under a store, and comes back.
#[test]
fn it_outlives_its_server() {
    let Some(mut server) = PostgresServer::start("a server that ends") else { return };
    wait(async {
        let store = Postgres::open(&place(&server)).await.unwrap();
        let held = lease(&store).await;
        store.commit(&held, vec![Write::Record(record("a", "1", None))]).await.unwrap();
        server.crash();
        let lost = store.commit(&held, vec![Write::Record(record("b", "1", None))]).await;
        assert!(lost.unwrap_err().is_transient());
        server.restart();
        store.commit(&held, vec![Write::Record(record("c", "1", None))]).await.unwrap();
        let found = store.records(&["a", "b", "c"].map(id)).await.unwrap();
        assert_eq!(found.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), [id("a"), id("c")]);
    });
}

/// A commit whose answer is lost is found out: as made, or as not made.
#[test]
fn what_became_of_a_commit_is_found_out() {
    let Some(server) = PostgresServer::start("a commit whose answer is lost") else { return };
    wait(async {
        let store = Postgres::open(&place(&server)).await.unwrap();
        let lost = || StoreError::Busy("the answer was lost".into());
        // Made, and its session still there.
        let mut made = store.begin().await.unwrap();
        ask("INSERT INTO value VALUES ('x', '1', 1)").execute(made.session.db()).await.unwrap();
        ask("COMMIT").execute(made.session.db()).await.unwrap();
        store.outcome(&made.number, made.process, lost()).await.unwrap();
        // Not made: the session waits for an answer of ours that never comes, and holds the lease's row.
        let mut open = store.begin().await.unwrap();
        ask("INSERT INTO value VALUES ('y', '1', 1)").execute(open.session.db()).await.unwrap();
        let outcome = store.outcome(&open.number, open.process, lost()).await;
        assert!(outcome.unwrap_err().is_transient());
        let held = lease(&store).await;
        store.commit(&held, vec![]).await.unwrap();
        assert_eq!(server.sql(&format!("SELECT key FROM {}.value", store.0.server.schema)), "x");
    });
}

/// What lies in a row is what was written, or it is said that it is not.
#[test]
fn damage_is_seen() {
    let Some(server) = PostgresServer::start("damage in a row") else { return };
    wait(async {
        let place = place(&server);
        let store = Postgres::open(&place).await.unwrap();
        let held = lease(&store).await;
        let writes = vec![
            Write::Desired(desired("a", "1", None)),
            Write::Record(record("a", "1", None)),
            Write::Artifact(artifact("1")),
        ];
        store.commit(&held, writes).await.unwrap();
        for (table, column) in [("desired", "path"), ("record", "source")] {
            server.sql(&format!("UPDATE {}.{table} SET {column} = {column} || 'x'", place.schema));
            assert!(matches!(store.index().await, Err(StoreError::Corrupt { .. })), "{table}");
            server
                .sql(&format!("UPDATE {}.{table} SET {column} = left({column}, -1)", place.schema));
        }
        store.index().await.unwrap();
        server.sql(&format!("UPDATE {}.artifact SET body = body || ' '", place.schema));
        let found = store.artifacts(&[digest("1")]).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{found:?}");
    });
}

/// A store made anew beside its place takes it whole.
#[test]
fn a_store_made_anew_takes_its_place() {
    let Some(server) = PostgresServer::start("a store made anew") else { return };
    wait(async {
        let place = place(&server);
        drop(Postgres::open(&place).await.unwrap());
        let instance = InstanceId::new("i-0123456789abcdef0123");
        // An earlier try was cut off.
        drop(Postgres::create_beside(&place, &instance, 3).await.unwrap());
        let made = Postgres::create_beside(&place, &instance, 7).await.unwrap();
        let held = lease(&made).await;
        assert_eq!(held.epoch(), 8);
        made.commit(&held, vec![Write::Record(record("a", "1", None))]).await.unwrap();
        made.put(&place).await.unwrap();
        let store = Postgres::open(&place).await.unwrap();
        assert_eq!(store.instance().await.unwrap(), instance);
        assert_eq!(store.records(&[id("a")]).await.unwrap().len(), 1);
        assert_eq!(
            server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuilding'"),
            "0"
        );
    });
}
