//! Several daemons on one store in PostgreSQL: one leads, and when it dies, sleeps or is cut off,
//! another goes on within its lease; whatever happens, everything is done once.

mod link;
mod points;
pub mod server;
mod stack;

use serde_json::{Value, json};

use crate::daemon::{Serving, all_ready, created_once, eventually, notes};
use crate::world::{World, ask, drop_request, note, to_approve};
use link::Link;
use server::PostgresServer;

/// A world whose store lies on a server.
pub struct Replicas {
    pub server: PostgresServer,
    pub world: World,
}

impl Replicas {
    /// `None` where there is no PostgreSQL.
    pub fn new(who: &str) -> Option<Self> {
        let server = PostgresServer::start(who)?;
        let mut world = World::new();
        world.configure(|config| with_store(config, &server));
        Some(Self { server, world })
    }

    /// A daemon with a folder of its own, that reaches the store by `url`.
    pub fn start(&self, name: &str, url: &str) -> Serving {
        let file = self.world.config_beside(&format!("{name}.yaml"), |config| {
            config["stateDir"] = json!(self.world.root().join(name));
            config["store"]["postgres"]["url"] = json!(url);
        });
        let mut command = self.world.command(&["serve", "--log", "json"]);
        command.env("VEND_CONFIG", file);
        Serving::spawn(command)
    }
}

/// A configuration whose store lies on this server.
fn with_store(config: &mut Value, server: &PostgresServer) {
    config["store"] = json!({"postgres": {"url": server.url(), "connections": 4}});
    config["reconcile"] = json!({"interval": "1s", "lease": "3s"});
    config["server"] = json!({"listen": "127.0.0.1:0"});
}

/// Whether it has the lease, by its own word.
pub fn leads(daemon: &Serving) -> bool {
    daemon.count("the lease is held") > 0
}

/// The one that leads, of those that live.
fn leader(daemons: &[Serving]) -> Option<usize> {
    daemons.iter().position(leads)
}

/// One more with a folder of its own finds nothing to do, and from then on it does not even look.
pub fn nothing_is_left(world: &World) {
    let before = world.refs();
    world.apply();
    assert_eq!(world.refs(), before);
    world.again_nothing();
}

#[test]
fn one_leads_and_another_goes_on_when_it_is_killed() {
    let Some(replicas) = Replicas::new("replicas, one of which is killed") else { return };
    let (world, url) = (&replicas.world, replicas.server.url());
    world.requests.commit(notes("orders", 20));
    let mut daemons: Vec<_> = ["r0", "r1", "r2"].map(|name| replicas.start(name, &url)).into();
    let first = eventually("one leads", || leader(&daemons));
    let others: Vec<_> = (0..3).filter(|n| *n != first).collect();
    for n in &others {
        daemons[*n].logged("standing by");
        assert!(daemons[*n].get("/readyz").0.contains("503"), "a standby is not for requests");
        assert!(daemons[*n].get("/healthz").0.contains("200"), "but it is well");
    }
    // In the middle of its work.
    eventually("some are there", || (!world.output_log().is_empty()).then_some(()));
    daemons[first].kill();
    let second =
        eventually("another leads", || others.iter().copied().find(|n| leads(&daemons[*n])));
    world.requests.commit(notes("billing", 5));
    eventually("all is done", || {
        (all_ready(world, "orders", 20) && all_ready(world, "billing", 5)).then_some(())
    });
    assert_eq!(daemons.iter().filter(|daemon| leads(daemon)).count(), 2, "the third still waits");
    created_once(world, 25);
    // One that stops gives the lease back: nobody waits for its end.
    daemons[second].stop();
    let third = *others.iter().find(|n| **n != second).unwrap();
    daemons[third].logged("the lease is held");
    daemons[third].stop();
    nothing_is_left(world);
}

#[test]
fn f66_one_that_slept_over_its_lease_writes_nothing_and_ends() {
    let Some(replicas) = Replicas::new("replicas, one of which sleeps") else { return };
    let (world, url) = (&replicas.world, replicas.server.url());
    world.requests.commit(notes("orders", 3));
    let mut first = replicas.start("r0", &url);
    eventually("the first has made them", || all_ready(world, "orders", 3).then_some(()));
    let mut second = replicas.start("r1", &url);
    second.logged("standing by");
    // Wherever it is: in the middle of a write, the server ends that for it.
    first.signal("-STOP");
    second.logged("the lease is held");
    world.requests.commit(notes("billing", 3));
    eventually("the second goes on", || all_ready(world, "billing", 3).then_some(()));
    first.signal("-CONT");
    assert_eq!(first.ended(), Some(1), "{:#?}", first.lines());
    second.stop();
    created_once(world, 6);
    nothing_is_left(world);
}

#[test]
fn one_that_is_cut_off_is_replaced_and_ends_once_it_is_back() {
    let Some(replicas) = Replicas::new("replicas, one of which is cut off") else { return };
    let world = &replicas.world;
    let link = Link::to(replicas.server.port());
    world.requests.commit(notes("orders", 3));
    let mut first = replicas.start("r0", &replicas.server.url_by(link.port()));
    eventually("the first has made them", || all_ready(world, "orders", 3).then_some(()));
    let mut second = replicas.start("r1", &replicas.server.url());
    second.logged("standing by");
    link.cut();
    world.requests.commit(notes("billing", 3));
    second.logged("the lease is held");
    eventually("the second goes on", || all_ready(world, "billing", 3).then_some(()));
    link.mend();
    assert_eq!(first.ended(), Some(1), "{:#?}", first.lines());
    second.stop();
    created_once(world, 6);
    nothing_is_left(world);
}

#[test]
fn the_database_may_end_and_come_back_under_them() {
    let Some(mut replicas) = Replicas::new("a database that ends under its replicas") else {
        return;
    };
    let url = replicas.server.url();
    replicas.world.requests.commit(notes("orders", 2));
    let mut daemon = replicas.start("r0", &url);
    eventually("they are made", || all_ready(&replicas.world, "orders", 2).then_some(()));
    // In the middle of a write it would be asked for a minute what became of that.
    daemon.logged("2 ready");
    replicas.server.crash();
    replicas.world.requests.commit(notes("billing", 2));
    daemon.logged("a pass could not be made");
    replicas.server.restart();
    eventually("it goes on", || all_ready(&replicas.world, "billing", 2).then_some(()));
    daemon.stop();
    created_once(&replicas.world, 4);
    nothing_is_left(&replicas.world);
}

#[test]
fn a_daemon_that_is_started_before_its_database_waits_for_it() {
    let Some(mut replicas) = Replicas::new("a database that is started after its replicas") else {
        return;
    };
    let url = replicas.server.url();
    replicas.world.requests.commit(notes("orders", 2));
    replicas.server.crash();
    let mut given_up = replicas.start("r0", &url);
    let mut daemon = replicas.start("r1", &url);
    for it in [&given_up, &daemon] {
        it.logged("the store cannot be opened, and is waited for");
        assert!(it.get("/healthz").0.contains("200"), "it lives");
        assert!(it.get("/readyz").0.contains("503"), "and can do nothing yet");
    }
    // Who is told to stop meanwhile stops; who is told to read its configuration again goes on waiting.
    given_up.stop();
    daemon.signal("-HUP");
    daemon.logged("the store is waited for: restart to name another");
    replicas.server.restart();
    eventually("it goes on", || all_ready(&replicas.world, "orders", 2).then_some(()));
    eventually("it is ready", || daemon.get("/readyz").0.contains("200").then_some(()));
    assert_eq!(daemon.count("is waited for\""), 1, "{:#?}", daemon.lines());
    daemon.stop();
    created_once(&replicas.world, 2);
    nothing_is_left(&replicas.world);
}

/// Kills, sleeps and cuts in turn, with people committing all the while.
#[test]
fn whatever_befalls_them_everything_is_done_once() {
    let Some(replicas) = Replicas::new("replicas under fire") else { return };
    let (world, server) = (&replicas.world, &replicas.server);
    let links: Vec<_> = (0..3).map(|_| Link::to(server.port())).collect();
    let start = |n: usize| replicas.start(&format!("r{n}"), &server.url_by(links[n].port()));
    let mut daemons: Vec<_> = (0..3).map(start).collect();
    for round in 0..6 {
        world
            .requests
            .commit((0..5).map(|n| ask(&format!("orders/dev/n{}", round * 5 + n), note("hello"))));
        let leading = eventually("one leads", || leader(&daemons));
        // Sooner or later in its work, differently in each round.
        std::thread::sleep(std::time::Duration::from_millis(40 * (round as u64 % 4)));
        match round % 3 {
            0 => daemons[leading].kill(),
            1 => daemons[leading].signal("-STOP"),
            _ => links[leading].cut(),
        }
        eventually("another leads", || (0..3).find(|n| *n != leading && leads(&daemons[*n])));
        match round % 3 {
            0 => {}
            1 => daemons[leading].signal("-CONT"),
            _ => links[leading].mend(),
        }
        if round % 3 != 0 {
            daemons[leading].ended();
        }
        daemons[leading] = start(leading);
    }
    eventually("all is done", || all_ready(world, "orders", 30).then_some(()));
    created_once(world, 30);
    daemons.iter_mut().for_each(Serving::stop);
    nothing_is_left(world);
}

#[test]
fn what_a_person_says_elsewhere_is_heard_by_whoever_leads() {
    let Some(replicas) = Replicas::new("a yes that is said elsewhere") else { return };
    let (mut world, server) = (replicas.world, replicas.server);
    // Nobody looks by itself while this lasts.
    world.configure(|config| config["reconcile"] = json!({"interval": "1h", "lease": "1m"}));
    let replicas = Replicas { server, world };
    let (world, url) = (&replicas.world, replicas.server.url());
    let ids: Vec<String> = (0..8).map(|n| format!("orders/dev/n{n}")).collect();
    world.requests.commit(notes("orders", 8));
    let mut first = replicas.start("r0", &url);
    first.logged("the lease is held");
    eventually("all are there", || all_ready(world, "orders", 8).then_some(()));
    let mut second = replicas.start("r1", &url);
    second.logged("standing by");

    // Four deletions are too many. One yes is given to a daemon that stands by, the next where there is none.
    for (half, by) in ids.chunks(4).zip(["r1.yaml", "nobody.yaml"]) {
        world.requests.commit(half.iter().map(|id| drop_request(id)));
        let held = || world.status_or_none(&half[0]).filter(|s| s["phase"] == "Held");
        eventually("they are held", held);
        let sentence = world.held(&half[0], "TooManyDeletes");
        let file = world.config_beside(by, |config| {
            let state = by.trim_end_matches(".yaml");
            config["stateDir"] = json!(world.root().join(state));
            config["store"]["postgres"]["url"] = json!(url);
        });
        let mut command = world.command(&["approve", &to_approve(&sentence)]);
        let said = command.env("VEND_CONFIG", file).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        eventually("they go", || world.status_or_none(&half[0]).is_none().then_some(()));
    }
    second.stop();
    first.stop();
    nothing_is_left(world);
}

/// A store is lost: it is made anew from the status branch, in its place.
#[test]
fn a_lost_schema_is_made_anew() {
    let Some(replicas) = Replicas::new("a schema that is lost") else { return };
    let world = &replicas.world;
    world.requests.commit(notes("orders", 3));
    world.apply();
    replicas.server.sql("ALTER SCHEMA vend RENAME TO lost");
    let made = world.vend_ends(0, &["state", "rebuild"]);
    assert!(made.stdout.contains('3'), "{made:?}");
    // Its first pass says on the status branch that it goes on.
    world.apply();
    nothing_is_left(world);
    created_once(world, 3);
    let refused = world.vend(&["state", "rebuild"]);
    assert!(refused.code == 2 && refused.stderr.contains("there is a store"), "{refused:?}");
}
