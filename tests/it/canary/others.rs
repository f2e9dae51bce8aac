//! Secrets of other places than the great scene has: a store's password, a person's token, a key for ssh.

use std::process::Command;

use serde_json::json;

use super::scan::{self, Canary, Sink, leaks};
use super::{children, search_path};
use crate::daemon::{Serving, eventually};
use crate::remote::ssh;
use crate::replicas::server::PostgresServer;
use crate::review::Desk;
use crate::world::{World, ask, note};

/// What opens the database, and what does not.
const PASSWORD: &str = "canary-password-8cd9";
const WRONG: &str = "canary-mistaken-9de0";

const ID: &str = "orders/dev/note";

fn traced(mut command: Command) -> Command {
    command.env("VEND_LOG", "trace");
    command
}

fn heard(world: &World, args: &[&str], said: &mut Vec<Sink>) {
    let mut command = traced(world.command(args));
    let output = command.output().unwrap();
    said.push(Sink::new(format!("what {args:?} says"), [output.stdout, output.stderr].concat()));
}

/// All that is said by commands, and all that lies in what vend keeps and in every repository.
fn everything(world: &World, said: &mut Vec<Sink>) {
    for command in ["status", "explain", "logs"] {
        heard(world, &[command, ID], said);
        heard(world, &[command, ID, "--format", "json"], said);
    }
    heard(world, &["plan"], said);
    let mut places: Vec<_> =
        [&world.catalog, &world.requests, &world.output].map(|it| it.path().to_owned()).into();
    for folder in ["state", "home", "seen"] {
        let folder = world.root().join(folder);
        if folder.is_dir() {
            scan::files(&folder, said);
            places.extend(scan::repositories(&folder));
        }
    }
    for place in places {
        for (id, bytes) in scan::objects(&place) {
            said.push(Sink::new(format!("{}: object {id}", place.display()), bytes));
        }
    }
}

/// None of them is anywhere; and each would be found.
#[track_caller]
fn is_clean(canaries: &[Canary], sinks: &[Sink]) {
    assert_eq!(leaks(canaries, sinks), [""; 0], "of {} things", sinks.len());
    assert!(sinks.len() > 20, "it looked at {} things", sinks.len());
    scan::assert_each_would_be_found(canaries, &["the log", "state/vend.sock", "seen/arguments/1"]);
}

/// What a daemon that tells everything logs while this is done.
fn serving(world: &World, work: impl FnOnce(&Serving)) -> Sink {
    let mut daemon = Serving::spawn(traced(world.command(&["serve", "--log", "json"])));
    work(&daemon);
    daemon.stop();
    let lines = daemon.lines();
    assert!(lines.len() > 2, "it logs everything: {lines:?}");
    Sink::new("the log", lines.join("\n"))
}

#[test]
fn i8_a_stores_password_is_nowhere_and_neither_is_a_wrong_one() {
    let Some(server) = PostgresServer::start("the password of a store") else { return };
    server.protect(PASSWORD);
    let mut world = World::new();
    let file = world.root().join("password");
    world.configure(|config| {
        let url = server.url_by(server.port());
        config["store"] = json!({"postgres": {"url": url, "passwordFile": file}});
        config["server"] = json!({"listen": "127.0.0.1:0"});
        config["reconcile"] = json!({"interval": "300ms"});
    });
    let mut said = Vec::new();
    std::fs::write(&file, WRONG).unwrap();
    heard(&world, &["apply", "--log", "text"], &mut said);
    let refused = String::from_utf8_lossy(&said[0].bytes).into_owned();
    assert!(refused.contains("password"), "{refused}");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    world.requests.commit([ask(ID, note("hello"))]);
    let log = serving(&world, |_| {
        eventually("it is made", || world.status_or_none(ID).filter(|s| s["phase"] == "Ready"));
        // It changes under a daemon, which finds that out.
        std::fs::write(&file, WRONG).unwrap();
        world.requests.commit([ask(ID, note("changed"))]);
        eventually("it is changed", || (world.output_log().len() > 1).then_some(()));
        std::fs::write(&file, PASSWORD).unwrap();
    });
    said.push(log);
    heard(&world, &["apply", "--wait", "--log", "text"], &mut said);
    server.sql("ALTER SCHEMA vend RENAME TO lost");
    heard(&world, &["state", "rebuild"], &mut said);
    heard(&world, &["apply", "--wait"], &mut said);
    everything(&world, &mut said);
    said.push(Sink::new("the database", server.dump()));
    let canaries =
        [Canary::new("a store's password", PASSWORD), Canary::new("a wrong password", WRONG)];
    is_clean(&canaries, &said);
    world.again_nothing();
}

#[test]
fn i8_a_persons_token_is_nowhere() {
    let mut desk = Desk::new();
    desk.repo().permit("robot", "write");
    let token = desk.hub.token("robot");
    let file = desk.world.root().join("token");
    std::fs::write(&file, &token).unwrap();
    let api = desk.hub.api();
    let path = search_path(&desk.world);
    desk.world.environment([("PATH".to_owned(), path)]);
    desk.world.configure(|c| {
        c["forge"] = json!({"github": {"api": api, "tokenFile": file}});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    let mut said = Vec::new();
    let log = serving(&desk.world, |daemon| {
        eventually("a first pass", || desk.world.requests.tip(crate::world::STATUS));
        let n = desk.propose("ada", "one", [ask(ID, note("one"))]);
        let ours = || desk.repo().comments(n).into_iter().find(|it| it.author == "robot");
        eventually("its comment", ours);
        desk.repo().merge("grace", n);
        eventually("it is done", || ours().filter(|said| said.body.contains("Done")));
        said.push(Sink::new("/metrics", daemon.get("/metrics").1));
    });
    said.push(log);
    // One that is taken back is refused, and that is told.
    desk.hub.revoke(Some(&token));
    let log = serving(&desk.world, |daemon| {
        eventually("it is told", || {
            daemon.lines().iter().any(|line| line.contains("Bad credentials")).then_some(())
        });
    });
    said.push(log);
    everything(&desk.world, &mut said);
    for entry in desk.hub.log() {
        let text = format!("{} {}\n{}", entry.path, entry.query, entry.body);
        said.push(Sink::new(format!("said to the forge: {} {}", entry.method, entry.path), text));
    }
    is_clean(&[Canary { home: children(), ..Canary::new("a person's token", &token) }], &said);
}

#[test]
fn i8_a_key_for_ssh_is_nowhere() {
    let Some(ssh::Place { mut world, server, proxy: _proxy }) = ssh::place("a key for ssh") else {
        return;
    };
    let path = search_path(&world);
    world.environment([("PATH".to_owned(), path)]);
    let keys = ["client", "other-client"].map(|name| {
        let key = std::fs::read_to_string(server.file(name)).unwrap();
        key.lines().nth(2).unwrap().to_owned()
    });
    world.requests.commit([ask(ID, note("hello"))]);
    let mut said = vec![serving(&world, |_| {
        eventually("it is made", || world.status_or_none(ID).filter(|s| s["phase"] == "Ready"));
    })];
    // One that the server refuses is told of.
    world.configure(|c| c["credentials"][0]["sshKeyFile"] = json!(server.file("other-client")));
    heard(&world, &["apply", "--log", "text"], &mut said);
    world.configure(|c| c["credentials"][0]["sshKeyFile"] = json!(server.file("client")));
    heard(&world, &["apply", "--wait"], &mut said);
    everything(&world, &mut said);
    is_clean(&keys.map(|key| Canary::new("a key for ssh", &key)), &said);
    world.again_nothing();
}
