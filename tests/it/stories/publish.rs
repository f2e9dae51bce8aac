//! The status branch is reconciled like everything else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::isolation::many;
use crate::world::{Repository, STATUS, World, ask, note, write};

const ID: &str = "orders/dev/hello";
const PATH: &str = "status/orders/dev/hello.yaml";

fn one() -> World {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world
}

fn commits(world: &World) -> usize {
    world.requests.log(STATUS).len()
}

#[test]
fn f20_a_hand_edit_is_never_read_and_is_overwritten() {
    let world = one();
    let before = world.requests.read(STATUS, PATH).unwrap();
    let edit = before.replace("phase: Ready", "phase: Failed");
    world.requests.commit_to(STATUS, [write(PATH, edit)]);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    assert_eq!(world.requests.read(STATUS, PATH).unwrap(), before);
    assert!(world.requests.log(STATUS).last().unwrap().1.contains("Overwritten"), "with a note");
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn f16_anothers_commit_on_the_status_branch_stays() {
    let world = one();
    let theirs = world.requests.commit_to(STATUS, [write("notes.md", "Mine.\n")]);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    assert_eq!(world.requests.read(STATUS, "notes.md").unwrap(), "Mine.\n");
    assert!(world.requests.log(STATUS).iter().any(|(id, _)| *id == theirs));
    world.ready("orders/dev/other");
    world.again_nothing();
}

#[test]
fn f19_a_deleted_status_branch_is_rebuilt_whole_in_one_commit() {
    let world = one();
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    let before = tree(&world);

    world.requests.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    world.requests.commit([ask("orders/dev/third", note("third"))]);
    world.apply();
    assert_eq!(commits(&world), 1);
    for id in [ID, "orders/dev/other", "orders/dev/third"] {
        world.ready(id);
    }
    assert!(world.requests.read(STATUS, "README.md").is_some());
    assert_ne!(tree(&world), before);
    world.again_nothing();
}

fn tree(world: &World) -> String {
    world.requests.git(&["rev-parse", &format!("{STATUS}^{{tree}}")])
}

#[test]
fn f19_a_status_branch_deleted_while_all_is_quiet_is_rebuilt_as_it_was() {
    let world = one();
    // The lease's epoch is written with each publication: nothing else may differ.
    let before = world.requests.files(STATUS, "");
    let status = world.status(ID);
    world.requests.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    world.apply();
    assert_eq!((world.requests.files(STATUS, ""), world.status(ID)), (before, status));
    assert_eq!(commits(&world), 1);
    world.again_nothing();
}

#[test]
fn f19_a_status_branch_set_back_while_all_is_quiet_is_brought_forward_again() {
    let world = one();
    let first = world.requests.tip(STATUS).unwrap();
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    world.requests.git(&["update-ref", &format!("refs/heads/{STATUS}"), &first]);
    let theirs = world.requests.commit_to(STATUS, [write("notes.md", "Mine.\n")]);
    world.apply();
    world.ready("orders/dev/other");
    assert_eq!(world.requests.read(STATUS, "notes.md").unwrap(), "Mine.\n");
    let log = world.requests.log(STATUS);
    assert!(log.len() == 3 && log[0].0 == first && log[1].0 == theirs, "{log:?}");
    assert!(log[2].1.contains("- status/orders/dev/other.yaml"), "{log:?}");
    world.again_nothing();
}

#[test]
fn f20_a_hand_edit_while_all_is_quiet_is_overwritten_and_a_file_of_others_is_let_be() {
    let world = one();
    let before = world.requests.read(STATUS, PATH).unwrap();
    world.requests.commit_to(STATUS, [write(PATH, before.replace("Ready", "Failed"))]);
    world.apply();
    assert_eq!(world.requests.read(STATUS, PATH).unwrap(), before);
    let last = world.requests.log(STATUS).pop().unwrap().1;
    assert!(last.contains("Overwritten") && last.contains(PATH), "{last}");
    world.again_nothing();

    world.requests.commit_to(STATUS, [write("notes.md", "Mine.\n")]);
    let before = world.requests.tip(STATUS);
    world.apply();
    assert_eq!(world.requests.tip(STATUS), before, "nothing of ours has changed");
    world.again_nothing();
}

/// Puts the status branch into a repository that is reached by an `ssh` of this test's, which notes
/// each connection.
fn far(world: &mut World) -> (Repository, impl Fn() -> usize + use<>) {
    let far = world.repository("far");
    let (ssh, log) = (world.root().join("bin/ssh"), world.root().join("ssh.log"));
    std::fs::create_dir(world.root().join("bin")).unwrap();
    let script = "#!/bin/sh\necho one >>\"$0.log\"\nfor last; do :; done\nexec sh -c \"$last\"\n";
    let script = script.replace("$0.log", log.to_str().unwrap());
    executable(&ssh, &script);
    let url = format!("ssh://git@status.example{}", far.url());
    world.configure(|c| c["status"] = json!({"repository": url}));
    let seen = move || std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    (far, seen)
}

fn executable(path: &Path, script: &str) {
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A pass of a process that finds the `ssh` of [`far`].
fn apply_far(world: &World) -> String {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", world.root().join("bin").display());
    let output = world.command(&["apply"]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn f19_a_status_branch_far_away_is_looked_at_now_and_then() {
    let mut world = World::new();
    let (far, connections) = far(&mut world);
    world.requests.commit([ask(ID, note("hello"))]);
    apply_far(&world);
    assert_eq!(far.log(STATUS).len(), 1);
    apply_far(&world);
    let before = connections();
    for _ in 0..3 {
        assert!(apply_far(&world).contains("Nothing to do"));
    }
    assert_eq!(connections(), before, "looked at a moment ago");

    // Each tenth poll: with this interval, at once.
    world.configure(|c| c["reconcile"] = json!({"interval": "1ms"}));
    apply_far(&world);
    let before = connections();
    far.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while far.log(STATUS).is_empty() {
        assert!(std::time::Instant::now() < deadline, "never rebuilt");
        apply_far(&world);
    }
    assert!(connections() > before);
    assert_eq!(far.log(STATUS).len(), 1);
    assert!(far.read(STATUS, PATH).unwrap().contains("phase: Ready"));
}

#[test]
fn f18_a_publication_that_failed_is_told_until_it_is_made() {
    let world = one();
    let hook = world.requests.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    executable(&hook, "#!/bin/sh\necho 'status is closed today' >&2\nexit 1\n");
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    let before = commits(&world);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("closed today"), "{denied:?}");
    for _ in 0..2 {
        let again = world.vend(&["apply"]);
        let is_told = again.code == 1 && again.stdout.contains("closed today");
        assert!(is_told, "a status that could not be published is not tried again: {again:?}");
    }
    std::fs::remove_file(&hook).unwrap();
    world.apply();
    assert_eq!(commits(&world), before + 1);
    world.ready("orders/dev/other");
    world.again_nothing();

    // The same for a branch that is only to be mended.
    executable(&hook, "#!/bin/sh\necho 'status is closed today' >&2\nexit 1\n");
    world.requests.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    for _ in 0..2 {
        let denied = world.vend_ends(1, &["apply"]);
        assert!(denied.stdout.contains("closed today"), "{denied:?}");
    }
    std::fs::remove_file(&hook).unwrap();
    world.apply();
    assert_eq!(commits(&world), 1);
    world.again_nothing();
}

#[test]
fn f18_a_push_that_is_denied_delays_no_apply_and_is_made_up_for_once() {
    let world = one();
    let hook = world.requests.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    executable(&hook, "#!/bin/sh\necho 'status is closed today' >&2\nexit 1\n");

    let before = commits(&world);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("status the status branch could not be written"), "{denied:?}");
    assert!(denied.stdout.contains("closed today"), "{denied:?}");
    assert!(denied.stdout.contains("Applied: 1 created, 2 ready."), "{denied:?}");
    assert!(world.output_file("dev/orders/other/note/note.yaml").is_some());
    assert_eq!(commits(&world), before);

    std::fs::remove_file(&hook).unwrap();
    world.requests.commit([ask("orders/dev/third", note("third"))]);
    world.apply();
    assert_eq!(commits(&world), before + 1);
    world.ready("orders/dev/other");
    world.ready("orders/dev/third");
    world.again_nothing();
}

#[test]
fn f21_many_statuses_are_one_commit_and_our_own_commit_wakes_nobody() {
    let mut world = World::new();
    world.configure(|c| c["reconcile"] = json!({"portion": many()}));
    let all = |text: &'static str| {
        let teams = ["orders", "billing", "search"].into_iter().cycle();
        let id = |(n, team)| format!("{team}/dev/n-{n}");
        (0..many()).zip(teams).map(move |it| ask(&id(it), note(text)))
    };
    for (n, text) in ["made", "changed"].into_iter().enumerate() {
        world.requests.commit(all(text));
        world.apply();
        assert_eq!(commits(&world), n + 1, "{text}");
        let statuses = world.requests.contents(STATUS, "status/");
        let words = ["phase: Ready".to_owned(), format!("text: {text}")];
        let is_told = |status: &str| words.iter().all(|words| status.contains(words));
        let told = statuses.iter().filter(|(_, status)| is_told(status)).count();
        assert_eq!((statuses.len(), told), (many(), many()), "{text}");
    }
    for _ in 0..3 {
        world.again_nothing();
    }
}

#[test]
fn moments_in_a_status_move_only_with_what_they_are_about() {
    let world = one();
    let before = world.status(ID);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    world.requests.commit([ask("orders/dev/other", note("changed"))]);
    world.apply();
    assert_eq!(world.status(ID), before);
    assert!(before["conditions"][0]["since"].is_string());
    world.again_nothing();
}
