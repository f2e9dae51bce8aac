//! `kill -9` in the middle, of the real daemon on real repositories.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Serving, all_ready, created_once, eventually, notes, patient};
use crate::crash::lab;
use crate::world::{STATUS, World};

/// Two hundred requests, ten in a commit.
fn many() -> World {
    let mut world = patient();
    world.configure(|c| c["providers"]["files"]["batch"] = json!(10));
    world.requests.commit(notes("orders", 200));
    world
}

#[track_caller]
fn converges(world: &World) {
    world.vend_ends(0, &["apply", "--wait"]);
    for n in 0..200 {
        world.ready(&format!("orders/dev/n{n}"));
    }
    created_once(world, 200);
    world.again_nothing();
}

#[test]
fn f61_killed_after_some_commits_and_killed_again() {
    let world = many();
    for commits in [1, 4, 9] {
        let mut daemon = Serving::ready(&world);
        eventually("that many commits", || (world.output_log().len() >= commits).then_some(()));
        daemon.kill();
    }
    converges(&world);
}

#[test]
fn f61_killed_right_after_intents() {
    let world = many();
    for round in 1..4 {
        let mut daemon = Serving::ready(&world);
        eventually("intents", || (daemon.count("\"intent\"") >= round * 10).then_some(()));
        daemon.kill();
    }
    converges(&world);
}

#[test]
fn f61_killed_while_status_is_pushed() {
    let world = many();
    let mut daemon = Serving::ready(&world);
    eventually("the last commit", || (world.output_log().len() >= 20).then_some(()));
    daemon.kill();
    assert!(world.requests.log(STATUS).len() <= 1);
    converges(&world);
}

#[test]
fn f12_killed_while_fetching() {
    let world = many();
    for _ in 0..5 {
        let mut daemon = Serving::start(&world);
        eventually("a mirror", || world.root().join("state/mirrors").exists().then_some(()));
        daemon.kill();
    }
    converges(&world);
}

/// A `git` that stops half-way at what the file `stop` names, with what a real one has on the disk by then, and
/// stays there whoever asks it to end. It is in the file `stopped` then.
fn stopping(world: &mut World) {
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git"));
    let real = real.into_iter().find(|git| git.is_file()).unwrap();
    let (root, folder) = (world.root().display(), world.root().join("bin"));
    std::fs::create_dir(&folder).unwrap();
    let script = format!(
        r#"#!/bin/sh
if [ "$3" = "$(cat {root}/stop 2>/dev/null)" ]; then
  cd "$2" && mkdir -p refs/vend/fetched objects/pack objects/incoming-x1
  head -c 100000 /dev/zero >objects/pack/tmp_pack_x1
  for left in packed-refs.lock shallow.lock config.lock refs/vend/fetched/main.lock gc.pid     objects/pack/.tmp-1-pack-1.idx objects/incoming-x1/tmp_obj_x1; do : >$left; done
  trap '' TERM
  echo $$ >{root}/new && mv {root}/new {root}/stopped
  exec sleep 600
fi
exec {} "$@"
"#,
        real.display()
    );
    let git = folder.join("git");
    std::fs::write(&git, script).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let all = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    world.environment([("PATH".to_owned(), all.unwrap().into_string().unwrap())]);
}

/// What is in a folder and below that only a git under way may have there.
fn left_in(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if ["tmp_", ".tmp-", "incoming-", "gc.pid"].iter().any(|start| name.starts_with(start))
            || name.ends_with(".lock")
        {
            left.push(entry.path().display().to_string());
        } else if entry.path().is_dir() {
            left.extend(left_in(&entry.path()));
        }
    }
    left
}

#[test]
fn f12_killed_while_git_fetches_and_while_it_repacks() {
    let mut world = patient();
    stopping(&mut world);
    world.requests.commit(notes("orders", 2));
    world.apply();
    for (n, what) in ["fetch", "repack"].into_iter().enumerate() {
        if what == "repack" {
            lab::neglect(&world);
            lab::litter(&world);
        }
        std::fs::write(world.root().join("stop"), what).unwrap();
        world.requests.commit(notes("orders", n + 3));
        let mut daemon = Serving::start(&world);
        let stopped = world.root().join("stopped");
        let pid = eventually(what, || std::fs::read_to_string(&stopped).ok());
        daemon.kill();
        let stat = format!("/proc/{}/stat", pid.trim());
        assert!(Path::new(&stat).exists(), "{what}: it went with whoever started it");
        let mirrors = world.root().join("state/mirrors");
        let folders = || std::fs::read_dir(&mirrors).unwrap().flatten().map(|entry| entry.path());
        let left = || -> Vec<String> {
            folders().filter(|path| path.is_dir()).flat_map(|path| left_in(&path)).collect()
        };
        assert!(left().len() > 5, "{what}: {:?}", left());

        for file in ["stop", "stopped"] {
            std::fs::remove_file(world.root().join(file)).unwrap();
        }
        let mut daemon = Serving::start(&world);
        eventually("the next fetch", || all_ready(&world, "orders", n + 3).then_some(()));
        // Upkeep may come after it, and is a git under way.
        eventually("nothing is left", || left().is_empty().then_some(()));
        let lives = std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        assert!(!lives, "{what}: it lives");
        daemon.stop();
        for mirror in folders().filter(|path| path.is_dir()) {
            let whole =
                Command::new("git").arg("-C").arg(&mirror).args(["fsck", "--strict"]).output();
            let whole = whole.unwrap();
            assert!(whole.status.success(), "{what}: {whole:?}");
        }
        created_once(&world, n + 3);
        world.again_nothing();
    }
}
