//! Catalog, requests, status and output over ssh, with the real `ssh` and the real `sshd`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::proxy::Proxy;
use super::sshd::{self, Sshd};
use super::{hook, unheard, untouched, world_at};
use crate::daemon::{Serving, eventually};
use crate::world::{STATUS, World, ask, drop_request, note, write};

const ID: &str = "orders/dev/hello";
const OTHER: &str = "payments/dev/other";
const OUTPUT: &str = "dev/orders/hello/note/note.yaml";

/// A world whose repositories are reached over ssh.
pub struct Place {
    pub world: World,
    pub server: Sshd,
    pub proxy: Proxy,
}

/// A world behind a server, by way of a proxy; `None` where there is no `sshd`.
pub fn place(test: &str) -> Option<Place> {
    let program = sshd::program(test)?;
    let mut started = None;
    let world = world_at(|world| {
        let server = Sshd::start(program, world.root());
        let proxy = Proxy::start(server.address());
        server.known_hosts(&[proxy.port()]);
        let host = format!("ssh://{}@127.0.0.1:{}", account(), proxy.port());
        let credentials = credentials(&host, &server, "client");
        let base = format!("{host}{}", world.root().display());
        started = Some((server, proxy));
        (base, credentials)
    });
    let (server, proxy) = started.unwrap();
    Some(Place { world, server, proxy })
}

fn credentials(host: &str, server: &Sshd, key: &str) -> Value {
    let files = [server.file(key), server.file("known_hosts")];
    json!([{"url": format!("{host}/"), "sshKeyFile": files[0], "knownHostsFile": files[1]}])
}

fn account() -> String {
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn all_of_a_requests_life_over_ssh_with_a_key() {
    let Some(Place { world, server: _server, proxy: _ }) = place("ssh, a whole life") else {
        return;
    };
    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("other"))]);
    world.apply();
    for id in [ID, OTHER] {
        world.ready(id);
    }
    world.again_nothing();
    world.requests.commit([ask(ID, note("changed")), drop_request(OTHER)]);
    world.apply();
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: changed\n");
    assert!(world.status_or_none(OTHER).is_none());
    world.again_nothing();
}

#[test]
fn f07_b65_another_host_key_or_a_refused_key_changes_nothing_and_is_said() {
    let Some(Place { mut world, mut server, proxy }) = place("ssh, keys") else { return };
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();

    server.down();
    server.up("other-host");
    let changed = "the server's key is another one than `knownHostsFile` says";
    untouched(&world, &[changed, "`requests` could not be fetched"]);
    server.known_hosts(&[]);
    untouched(&world, &["the server's key is not in `knownHostsFile`"]);
    server.known_hosts(&[proxy.port()]);
    server.down();
    server.up("host");
    world.apply();

    let host = format!("ssh://{}@127.0.0.1:{}", account(), proxy.port());
    world.configure(|config| config["credentials"] = credentials(&host, &server, "other-client"));
    let refused = "the server refuses the key that `credentials` has for it";
    untouched(&world, &[refused, "`requests` is not there"]);

    world.configure(|config| config["credentials"] = credentials(&host, &server, "client"));
    let key = server.file("client");
    let open = |mode| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o644);
    untouched(&world, &["others can read the key's file"]);
    open(0o600);
    world.requests.commit([ask(ID, note("back"))]);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn f01_f02_a_server_that_goes_away_or_stops_in_the_middle() {
    let Some(Place { world, mut server, proxy }) = place("ssh, faults") else { return };
    world.requests.commit([ask(ID, note("hello"))]);
    let mut daemon = Serving::ready(&world);
    eventually("it is applied", || world.status_or_none(ID).filter(|s| s["phase"] == "Ready"));
    let output = world.output.refs();
    server.down();
    daemon.logged("no answer");
    daemon.stop();
    server.up("host");

    // In the greeting, in the exchange of keys, and in the pack.
    let text: String =
        (0..4_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    world.requests.commit([ask(ID, note("whole")), write("README.md", text)]);
    for most in [1, 500, 9_000] {
        proxy.cut_after(most);
        let said = world.vend(&["apply"]).stdout;
        assert!(said.contains("`requests` could not be fetched"), "{most}: {said}");
        assert_eq!(world.output.refs(), output, "{most}");
    }
    proxy.mend();
    world.apply();
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: whole\n");
    world.again_nothing();
}

#[test]
fn f17_f18_pushes_that_are_lost_or_refused() {
    let Some(Place { world, server: _server, proxy: _ }) = place("ssh, pushes") else { return };
    world.requests.commit([ask(ID, note("hello"))]);
    let hooks = [unheard(&world.output, "main"), unheard(&world.requests, STATUS)];
    world.vend(&["apply", "--wait"]);
    for hook in hooks {
        std::fs::remove_file(hook).unwrap();
    }
    world.vend(&["apply", "--wait"]);
    world.ready(ID);
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();

    let hook = hook(&world.requests, "pre-receive", "echo 'closed today' >&2; exit 1");
    world.requests.commit([ask(ID, note("changed"))]);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("closed today"), "{denied:?}");
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: changed\n");
    std::fs::remove_file(hook).unwrap();
    world.apply();
    world.ready(ID);
    world.again_nothing();
}
