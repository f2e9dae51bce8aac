//! What must hold when the other side, the disk or a process fails.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::fixture::World;
use super::super::*;
use super::{NOW, edit, show};

#[tokio::test]
async fn f06_a_deleted_branch_is_missing_and_comes_back_without_a_restart() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    world.repository().find_reference("refs/heads/main").unwrap().delete().unwrap();
    let gone = mirror.fetch().await;
    assert!(matches!(gone, Err(GitError::Missing { .. })), "{gone:?}");
    assert_eq!(mirror.tip().unwrap(), Some(first.clone()), "the last good tip stays");
    world.set("main", &first);
    assert_eq!(mirror.fetch().await.unwrap(), Some(first));
}

#[tokio::test]
async fn f07_a_repository_that_is_not_there_is_missing_never_empty() {
    let world = World::new();
    let mirror = world.mirror_of("mirror", "main", world.transport()).unwrap();
    std::fs::remove_dir_all(world.remote()).unwrap();
    let gone = mirror.fetch().await;
    assert!(matches!(gone, Err(GitError::Missing { .. })), "{gone:?}");
    let empty = World::new();
    let gone = empty.mirror().fetch().await;
    assert!(matches!(gone, Err(GitError::Missing { .. })), "{gone:?}");
}

#[tokio::test]
async fn f02_a_fetch_cut_in_the_middle_moves_nothing() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let second = world.commit("main", &[("b", Some("2")), ("c", Some("3"))]);
    let repository = world.repository();
    let commit = repository.find_commit(git2::Oid::from_str(second.as_str()).unwrap());
    let tree = commit.unwrap().tree_id().to_string();
    let hole = world.remote().join("objects").join(&tree[..2]).join(&tree[2..]);
    let kept = std::fs::read(&hole).unwrap();
    std::fs::remove_file(&hole).unwrap();
    mirror.fetch().await.unwrap_err();
    assert_eq!(mirror.tip().unwrap(), Some(first));
    std::fs::write(&hole, kept).unwrap();
    assert_eq!(mirror.fetch().await.unwrap(), Some(second.clone()));
    assert_eq!(show(&mirror, &second), "a=1 b=2 c=3");
}

/// Flips one byte in the middle of every object file of a mirror.
fn damage(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            damage(&entry.path());
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.len() == 38 || name.ends_with(".pack") {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
            let mut bytes = std::fs::read(entry.path()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn f03_a_flipped_byte_is_found_and_the_mirror_cloned_anew() {
    for packed in [false, true] {
        a_flipped_byte(packed).await;
    }
}

async fn a_flipped_byte(packed: bool) {
    let world = World::new();
    // Long enough for the middle of its file to be content.
    let text: String = (0..500).map(|n: u32| (n * 7919).to_string()).collect();
    let tip = world.commit("main", &[("a", Some(&text))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let id = mirror.find(&tip, "a").unwrap().unwrap().id;
    if packed {
        mirror.repack().await.unwrap();
    }
    drop(mirror);

    damage(&world.at.path().join("mirror/objects"));
    let mirror = world.mirror();
    let read = match mirror.tip() {
        Ok(_) => mirror.blob(id, 1 << 20),
        Err(error) => Err(error),
    };
    assert!(matches!(read, Err(GitError::Corrupt { .. })), "{read:?}");
    let fetched = mirror.fetch().await;
    assert_eq!(fetched.unwrap(), Some(tip));
    assert!(matches!(mirror.blob(id, 1 << 20), Ok(Blob::Bytes(_))));
    assert!(!world.at.path().join("mirror.old").exists());
}

#[tokio::test]
async fn a_mirror_that_a_power_cut_emptied_starts_anew() {
    let world = World::new();
    let tip = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    drop(mirror);
    let folder = world.at.path().join("mirror");
    std::fs::write(folder.join("refs/vend/fetched/main"), "").unwrap();
    assert!(matches!(world.mirror().tip(), Err(GitError::Corrupt { .. })));
    assert_eq!(world.mirror().fetch().await.unwrap(), Some(tip.clone()));
    std::fs::write(folder.join("HEAD"), "").unwrap();
    assert_eq!(world.mirror().fetch().await.unwrap(), Some(tip));
}

#[tokio::test]
async fn f12_what_a_killed_git_left_is_removed() {
    let world = World::new();
    let tip = world.commit("main", &[("a", Some("1"))]);
    drop(world.mirror());
    let folder = world.at.path().join("mirror");
    let left = ["packed-refs.lock", "refs/vend/fetched/main.lock", "objects/pack/tmp_pack_x1"];
    for path in left {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    assert_eq!(world.mirror().fetch().await.unwrap(), Some(tip));
    assert!(left.iter().all(|path| !folder.join(path).exists()));
}

#[tokio::test]
async fn f69_a_child_that_hangs_is_killed_with_its_children() {
    let world = World::new();
    world.commit("main", &[("a", Some("1"))]);
    let script = r#"trap '' TERM; sleep 600 & echo $! > "${0%/*}/pid"; yes & wait; wait"#;
    let git = world.shim(script);
    let transport = Transport { git, deadline: Duration::from_millis(400), ..world.transport() };
    let mirror = world.mirror_of("mirror", "main", transport).unwrap();
    let began = Instant::now();
    let late = mirror.fetch().await;
    assert!(matches!(late, Err(GitError::Unavailable { .. })), "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    is_gone(&world).await;
}

/// Whom the shim wrote down lives no more.
async fn is_gone(world: &World) {
    let pid = std::fs::read_to_string(world.at.path().join("pid")).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    while !gone() {
        assert!(Instant::now() < until, "the grandchild lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f69_an_import_that_hangs_is_killed_with_its_children() {
    let world = World::new();
    let git = world.shim(
        r#"case "$*" in *fast-import*) trap '' TERM; sleep 600 & echo $! > "${0%/*}/pid"; wait; wait;; esac
           exec "$REAL" "$@""#,
    );
    let transport = Transport { git, deadline: Duration::from_millis(400), ..world.transport() };
    let mirror = world.mirror_of("mirror", "main", transport).unwrap();
    let edits: Vec<_> =
        (0..600).map(|n| edit(&format!("f{n}"), Some(&"x".repeat(1_000)))).collect();
    let began = Instant::now();
    let late = mirror.commit(None, &edits, "many", NOW);
    assert!(matches!(late, Err(GitError::Unavailable { .. })), "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    is_gone(&world).await;
    // Another is not in the way of what is left of it.
    let made = world.mirror().commit(None, &edits, "many", NOW).unwrap();
    assert!(made.is_some());
}

#[tokio::test]
async fn f69_what_a_child_says_without_end_is_cut() {
    let world = World::new();
    let script = "yes out | head -c 20000000; yes err | head -c 20000000 >&2; echo last; exit 3";
    let transport = Transport { git: world.shim(script), ..world.transport() };
    let lock = std::fs::File::create(world.at.path().join("lock")).unwrap();
    let ended = child::run(&transport, Vec::new(), world.at.path(), lock, &[]).await.unwrap();
    let mut command = std::process::Command::new(&transport.git);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    let (fed, _) = child::fed(running, Duration::from_secs(30), |_| Ok(())).unwrap();
    for ended in [ended, fed] {
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
        let [out, err] = [ended.stdout.len(), ended.stderr.len()];
        assert!(out <= child::OUTPUT_KEPT && err <= child::OUTPUT_KEPT, "{out} and {err} bytes");
        assert!(ended.stdout.ends_with("last\n") && ended.stderr.ends_with("err\n"));
    }
}

#[tokio::test]
async fn a_dropped_fetch_leaves_no_child_and_no_lock() {
    let world = World::new();
    let tip = world.commit("main", &[("a", Some("1"))]);
    let git = world.shim(r#"[ -e "${0%/*}/go" ] && exec "$REAL" "$@"; sleep 600"#);
    let mirror = world.mirror_of("mirror", "main", Transport { git, ..world.transport() }).unwrap();
    let cut = tokio::time::timeout(Duration::from_millis(200), mirror.fetch()).await;
    assert!(cut.is_err());
    std::fs::write(world.at.path().join("go"), "").unwrap();
    assert_eq!(mirror.fetch().await.unwrap(), Some(tip));
}

#[tokio::test]
async fn f18_a_push_that_a_hook_refuses_is_denied_with_its_words() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let hook = world.remote().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho 'branch is frozen' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let made = mirror.commit(Some(&first), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    match mirror.push(&made, Some(&first)).await {
        Err(GitError::Denied { text, .. }) => assert!(text.contains("branch is frozen"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(mirror.tip().unwrap(), Some(first));
}

#[tokio::test]
async fn f17_a_push_whose_answer_is_lost_is_unknown_and_found_by_the_next_fetch() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let git = world.shim(
        r#"case "$*" in *" push "*) "$REAL" "$@" >/dev/null 2>&1
           echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128;; esac
           exec "$REAL" "$@""#,
    );
    let mirror = world.mirror_of("mirror", "main", Transport { git, ..world.transport() }).unwrap();
    mirror.fetch().await.unwrap();
    let made = mirror.commit(Some(&first), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    let lost = mirror.push(&made, Some(&first)).await;
    assert!(matches!(lost, Err(GitError::Unknown { .. })), "{lost:?}");
    assert_eq!(mirror.fetch().await.unwrap(), Some(made.clone()));
    let again = mirror.commit(Some(&made), &[edit("b", Some("1"))], "b", NOW).unwrap();
    assert_eq!(again, None, "the same tree makes no second commit");
}

#[tokio::test]
async fn f16_a_push_races_on_a_branch_that_appeared_or_vanished() {
    let world = World::new();
    let mirror = world.mirror();
    let made = mirror.commit(None, &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    let first = world.commit("main", &[("a", Some("1"))]);
    let lost = mirror.push(&made, None).await;
    assert!(matches!(lost, Err(GitError::Raced { .. })), "{lost:?}");

    mirror.fetch().await.unwrap();
    let made = mirror.commit(Some(&first), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    world.repository().find_reference("refs/heads/main").unwrap().delete().unwrap();
    let lost = mirror.push(&made, Some(&first)).await;
    assert!(matches!(lost, Err(GitError::Raced { .. })), "{lost:?}");

    // F19: the branch is made anew by a commit without a parent.
    let root = mirror.commit(None, &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    mirror.push(&root, None).await.unwrap();
    assert_eq!(mirror.fetch().await.unwrap(), Some(root));
}

#[tokio::test]
async fn nothing_is_ever_forced() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let unrelated = mirror.commit(None, &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    let refused = mirror.push(&unrelated, Some(&first)).await;
    assert!(matches!(refused, Err(GitError::Refused { .. })), "{refused:?}");
    assert_eq!(mirror.fetch().await.unwrap(), Some(first));
}

#[tokio::test]
async fn f01_a_server_that_does_not_answer_is_unavailable() {
    let world = World::new();
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [format!("https://127.0.0.1:{port}/x"), format!("ssh://git@127.0.0.1:{port}/x")] {
        let location = Location::parse(&url, "main", Trust::Operator).unwrap();
        let folder = world.at.path().join("dead");
        let mirror =
            Mirror::open(&folder, location, std::sync::Arc::new(world.transport())).unwrap();
        let dead = mirror.fetch().await;
        assert!(matches!(dead, Err(GitError::Unavailable { .. })), "{dead:?}");
        assert_eq!(mirror.tip().unwrap(), None);
    }
}

#[tokio::test]
async fn a_git_that_outlived_its_starter_is_ended() {
    let world = World::new();
    let tip = world.commit("main", &[("a", Some("1"))]);
    drop(world.mirror());
    let path = world.at.path().join("mirror.lock");
    // Stands for the orphan: it holds the lock, and the process that signed for it is gone.
    let held = std::fs::File::open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = std::process::Command::new("sleep");
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut orphan = command.arg("600").stdin(held).spawn().unwrap();
    drop(command);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", orphan.id())).unwrap();
    let started = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let line = format!("{} 1 0 {} {started}", boot.trim(), orphan.id());
    std::fs::write(&path, line).unwrap();
    assert_eq!(world.mirror().fetch().await.unwrap(), Some(tip));
    orphan.wait().unwrap();
}
