//! Each point of the store on PostgreSQL, in each mode: whatever became of the replica that came to it, another
//! one goes on, everything is done once, and nothing is left over.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::json;
use vend::fault::POINTS;
use vend::store::{Postgres, Server};

use super::nothing_is_left;
use super::server::PostgresServer;
use crate::crash::{MODES, carried_out, lab, share_out};
use crate::daemon::{Serving, all_ready, created_once, eventually, notes};
use crate::world::World;

/// Points of the store that PostgreSQL does not have, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("store.copy.before", "before its tables change it is not copied: backups are the database's"),
    ("store.copy.after", "before its tables change it is not copied: backups are the database's"),
];

/// What comes to a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// A daemon at its work.
    Work,
    /// A daemon that is told to stop.
    Stop,
    /// A daemon whose store was not tidied up for long.
    Upkeep,
    /// A person's word.
    Word,
    /// A person who makes a lost store anew.
    Rebuild,
}

fn by(point: &str) -> By {
    match point.split('.').nth(1) {
        Some("release") => By::Stop,
        Some("sweep") => By::Upkeep,
        Some("note") => By::Word,
        Some("rebuild" | "put") => By::Rebuild,
        _ => By::Work,
    }
}

/// A world with a schema of its own.
struct Place<'a> {
    server: &'a PostgresServer,
    world: World,
    schema: String,
}

impl<'a> Place<'a> {
    fn new(server: &'a PostgresServer, schema: String) -> Self {
        let mut world = World::new();
        world.configure(|config| {
            config["store"] = json!({
                "postgres": {"url": server.url(), "schema": schema, "connections": 4}
            });
            config["reconcile"] = json!({"interval": "500ms", "lease": "3s"});
            config["server"] = json!({"listen": "127.0.0.1:0"});
        });
        Self { server, world, schema }
    }

    fn log(&self) -> std::path::PathBuf {
        self.world.root().join("passed")
    }

    fn command(&self, args: &[&str], orders: &str) -> std::process::Command {
        let mut command = self.world.command(args);
        command.env("VEND_FAULT", orders).env("VEND_FAULT_LOG", self.log());
        command
    }

    /// A daemon with a folder of its own.
    fn serve(&self, name: &str, orders: &str) -> Serving {
        let file = self.world.config_beside(&format!("{name}.yaml"), |config| {
            config["stateDir"] = json!(self.world.root().join(name));
        });
        let mut command = self.command(&["serve", "--log", "json"], orders);
        command.env("VEND_CONFIG", file);
        Serving::spawn(command)
    }

    fn neglect(&self) {
        let place = Server {
            url: self.server.url(),
            password: None,
            schema: self.schema.clone(),
            connections: 2,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { lab::neglect_in(&Postgres::open(&place).await.unwrap()).await });
    }

    /// A daemon comes to it; what is left of that daemon.
    fn by_a_daemon(&self, by: By, orders: &str) -> Serving {
        let mut daemon = self.serve("r0", orders);
        if by == By::Stop {
            eventually("it has done its work", || {
                all_ready(&self.world, "orders", 2).then_some(())
            });
            daemon.signal("-TERM");
        }
        eventually(orders, || carried_out(&self.log(), orders).then_some(()));
        if by == By::Stop || orders.contains("=kill") {
            daemon.ended();
        }
        daemon
    }

    /// A person comes to it, and says it once more where it did not go well.
    fn by_a_person(&self, args: &[&str], orders: &str) {
        let output = self.command(args, orders).output().unwrap();
        assert!(carried_out(&self.log(), orders), "{orders}: {output:?}");
        if !output.status.success() {
            let again = self.world.vend(args);
            let is_there = again.code == 2 && again.stderr.contains("there is a store");
            assert!(again.code == 0 || is_there, "{orders}: {again:?}");
        }
    }
}

/// The points that were passed.
fn play(server: &PostgresServer, n: usize, by: By, orders: &str) -> BTreeSet<String> {
    let it = Place::new(server, format!("s{n}"));
    it.world.requests.commit(notes("orders", 2));
    if !matches!(by, By::Work | By::Stop) {
        it.world.apply();
    }
    let first = match by {
        By::Work | By::Stop => Some(it.by_a_daemon(by, orders)),
        By::Upkeep => {
            it.neglect();
            Some(it.by_a_daemon(by, orders))
        }
        By::Word => {
            it.by_a_person(&["retry", "orders/dev/n0"], orders);
            None
        }
        By::Rebuild => {
            server.sql(&format!("ALTER SCHEMA {0} RENAME TO {0}_lost", it.schema));
            it.by_a_person(&["state", "rebuild"], orders);
            None
        }
    };
    let mut second = it.serve("r1", "");
    if let Some(mut first) = first {
        first.signal_if_there("-TERM");
        first.ended();
        let said = first.lines().join("\n");
        assert!(!said.contains("panicked"), "{orders}: {said}");
    }
    it.world.requests.commit(notes("billing", 1));
    eventually(&format!("all is done after {orders}"), || {
        (all_ready(&it.world, "orders", 2) && all_ready(&it.world, "billing", 1)).then_some(())
    });
    second.stop();
    created_once(&it.world, 3);
    let left =
        format!("SELECT nspname FROM pg_namespace WHERE nspname LIKE '{}_rebuil%'", it.schema);
    assert_eq!(server.sql(&left), "", "{orders}");
    nothing_is_left(&it.world);
    let log = std::fs::read_to_string(it.log()).unwrap();
    log.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn f61_each_point_of_the_store_is_gone_through_on_postgresql() {
    let points: Vec<&str> = POINTS
        .iter()
        .map(|(point, _)| *point)
        .filter(|point| point.starts_with("store."))
        .filter(|point| NOT_HERE.iter().all(|(not, _)| not != point))
        .collect();
    for (not, why) in NOT_HERE {
        assert!(POINTS.iter().any(|(point, _)| point == not) && why.len() > 20, "{not}");
    }
    let Some(server) = PostgresServer::start("the points of a store in PostgreSQL") else { return };
    let mut plays: Vec<(By, String)> = Vec::new();
    for mode in MODES {
        for point in &points {
            let (by, order) = (by(point), format!("{point}={mode}"));
            // What is delayed goes on: one world is enough for all of a kind.
            match plays.last_mut().filter(|last| mode == "delay" && last.1.contains("=delay")) {
                Some(last) if last.0 == by => last.1 = format!("{},{order}", last.1),
                _ => plays.push((by, order)),
            }
        }
    }
    let passed = Mutex::new(BTreeSet::new());
    let plays: Vec<_> = plays.into_iter().enumerate().collect();
    share_out(4, plays, |(n, (by, orders))| {
        let these = play(&server, n, by, &orders);
        passed.lock().unwrap().extend(these);
    });
    let passed = passed.into_inner().unwrap();
    let ours: BTreeSet<&str> =
        passed.iter().map(String::as_str).filter(|point| point.starts_with("store.")).collect();
    assert_eq!(ours, points.into_iter().collect(), "{NOT_HERE:?}");
}
