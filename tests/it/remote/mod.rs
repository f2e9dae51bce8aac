//! Repositories behind real servers: https with a token, ssh with a key, and what goes wrong there.

pub mod certificate;
mod https;
mod lost;
mod pin;
pub mod proxy;
mod secret;
pub mod server;
pub mod ssh;
pub mod sshd;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::{World, catalog};
use server::Server;

/// What opens the server.
pub const TOKEN: &str = "hunter2-of-the-server";

/// A world whose repositories are all reached below `base`, the output's by an address that comes
/// from the catalog.
fn world_at(base: impl FnOnce(&World) -> (String, Value)) -> World {
    let mut world = World::empty();
    let (base, credentials) = base(&world);
    let at = |name: &str| format!("{base}/{name}");
    world.catalog.commit(catalog::files(&at("output")));
    world.configure(|config| {
        config["catalog"]["repository"] = json!(at("catalog"));
        config["requests"][0]["repository"] = json!(at("requests"));
        config["providers"]["files"]["allow"] = json!([at("output")]);
        config["credentials"] = credentials;
        config["network"] = json!({"allow": ["127.0.0.1/32"]});
        config["limits"] = json!({"gitDeadline": "20s"});
        config["reconcile"] = json!({"interval": "300ms"});
    });
    world
}

/// A world behind a server that wants a token, which the configuration names.
pub fn https_world() -> (World, Server) {
    let mut started = None;
    let world = world_at(|world| {
        let server = Server::start(world.root(), "tls");
        server.rules(|rules| rules.token = Some(TOKEN.into()));
        std::fs::write(token_file(world), format!("{TOKEN}\n")).unwrap();
        let credentials = credentials(&server.url(), &server);
        let base = server.url();
        started = Some(server);
        (base, credentials)
    });
    (world, started.unwrap())
}

/// The token for addresses below `url`, and trust in the server.
fn credentials(url: &str, server: &Server) -> Value {
    json!([
        {"url": format!("{url}/"), "tokenFile": "token"},
        {"url": format!("{}/", server.url()), "caFile": server.ca_file()},
    ])
}

fn token_file(world: &World) -> PathBuf {
    world.root().join("token")
}

/// What a client shows for a token: RFC 7617, under the user that all large servers take.
pub fn basic(token: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("x-access-token:{token}");
    let bits: Vec<u8> = text.bytes().flat_map(|b| (0..8).rev().map(move |n| b >> n & 1)).collect();
    let mut out: String = bits
        .chunks(6)
        .map(|six| (0..6).fold(0, |all, n| all << 1 | six.get(n).copied().unwrap_or(0)))
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect();
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    format!("Basic {out}")
}

/// A pass that cannot reach the sources says why, and does nothing to what was made.
#[track_caller]
fn untouched(world: &World, said: &[&str]) {
    let before = world.refs();
    let output = world.vend_ends(1, &["apply"]);
    for said in said {
        assert!(output.stdout.contains(said), "{said}: {output:?}");
    }
    assert_eq!(world.refs(), before, "{output:?}");
}

/// Ends whoever moves this branch, once it has moved and before anybody hears of it.
fn unheard(repository: &crate::world::Repository, branch: &str) -> PathBuf {
    let script = format!(
        "[ \"$1\" = committed ] && grep -q ' refs/heads/{branch}$' && kill -9 $PPID; exit 0"
    );
    hook(repository, "reference-transaction", &script)
}

/// Puts a hook into a repository.
fn hook(repository: &crate::world::Repository, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = repository.path().join("hooks").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
