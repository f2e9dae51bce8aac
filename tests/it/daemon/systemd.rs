//! What the service manager hears.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Serving, patient};
use crate::world::World;

struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    #[track_caller]
    fn hears(&mut self, text: &str) -> String {
        let deadline = Instant::now() + crate::world::PATIENCE;
        let mut buffer = [0; 4096];
        loop {
            if let Some(n) = self.heard.iter().position(|m| m.lines().any(|l| l.starts_with(text)))
            {
                return self.heard.remove(n);
            }
            assert!(Instant::now() < deadline, "never heard {text}: {:?}", self.heard);
            if let Ok(n) = self.socket.recv(&mut buffer) {
                self.heard.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            }
        }
    }
}

fn serve(world: &World) -> (Manager, Serving) {
    serve_with(world, None)
}

/// With another configuration than the world's own.
fn serve_with(world: &World, config: Option<&Path>) -> (Manager, Serving) {
    let path = world.root().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut command = world.command(&["serve", "--log", "json"]);
    if let Some(file) = config {
        command.env("VEND_CONFIG", file);
    }
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    (Manager { socket, heard: Vec::new() }, Serving::spawn(command))
}

#[test]
fn the_manager_is_told_of_start_reload_and_end() {
    let world = patient();
    let (mut manager, mut daemon) = serve(&world);
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    daemon.logged("the lease is held");
    daemon.signal("-HUP");
    let reload = manager.hears("RELOADING=1");
    assert!(reload.lines().any(|l| l.starts_with("MONOTONIC_USEC=")), "{reload}");
    manager.hears("READY=1");
    daemon.signal("-TERM");
    manager.hears("STOPPING=1");
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn the_watchdog_is_fed_while_standing_by_and_during_a_long_pass() {
    let world = patient();
    let _first = Serving::ready(&world);
    let (mut manager, mut daemon) = serve(&world);
    daemon.logged("standing by");
    manager.heard.clear();
    (0..5).for_each(|_| drop(manager.hears("WATCHDOG=1")));
    daemon.stop();
}

#[test]
fn it_is_up_and_the_watchdog_is_fed_while_its_database_is_away() {
    let world = patient();
    let nowhere = format!("postgres:///vend?user=vend&host={}", world.root().display());
    let with_file = world.config_beside("waits.yaml", |c| {
        c["store"] = json!({"postgres": {"url": nowhere}});
    });
    let before = world.refs();
    let (mut manager, mut daemon) = serve_with(&world, Some(&with_file));
    daemon.logged("the store cannot be opened, and is waited for");
    manager.hears("READY=1");
    manager.heard.clear();
    (0..5).for_each(|_| drop(manager.hears("WATCHDOG=1")));
    // What waits is not ended, and ends when it is told to.
    daemon.signal("-HUP");
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    daemon.stop();
    manager.hears("STOPPING=1");
    assert_eq!(world.refs(), before, "without a store nothing is done");
    world.apply();
    world.again_nothing();
}
