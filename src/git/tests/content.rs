//! Trees that mistake or malice made.

use git2::{ObjectType, Oid, Repository};

use super::super::fixture::{World, commit_on};
use super::super::*;
use super::{NOW, edit, show};
use crate::model::{ObjectId, Revision};

/// Writes a tree whatever its names are: libgit2's own builder would refuse.
fn raw_tree(repository: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    repository.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

fn commit_tree(repository: &Repository, tree: Oid) -> Revision {
    let text = format!(
        "tree {tree}\nauthor d <d@e> 1700000000 +0000\ncommitter d <d@e> 1700000000 +0000\n\nx\n"
    );
    let id = repository.odb().unwrap().write(ObjectType::Commit, text.as_bytes()).unwrap();
    repository.reference("refs/heads/main", id, true, "").unwrap();
    Revision::new(id.to_string())
}

fn lines(entries: &[Entry]) -> String {
    entries.iter().map(|e| format!("{} {:?}", e.path, e.kind)).collect::<Vec<_>>().join("\n")
}

#[test]
fn b26_to_b33_strange_entries_are_named_and_never_followed() {
    let world = World::new();
    let repository = world.repository();
    let blob = repository.blob(b"/etc/passwd").unwrap();
    let below = raw_tree(&repository, &[("100644", b"config", blob)]);
    let tree = raw_tree(
        &repository,
        &[
            ("100644", b"-rf.yaml", blob),
            ("40000", b"..", below),
            ("40000", b".git", below),
            ("100644", b"a\nb.yaml", blob),
            ("100644", b"a\\nb.yaml", blob),
            ("100755", b"exec", blob),
            ("40000", b"folder", below),
            ("120000", b"link", blob),
            ("160000", b"module", blob),
            ("100644", b"\xff", blob),
            ("100644", "\u{202e}x".as_bytes(), blob),
        ],
    );
    let tip = commit_tree(&repository, tree);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let tree = mirror.tree(&tip, "").unwrap().unwrap();
    let entries = mirror.entries(tree, 100).unwrap();
    insta::assert_snapshot!(lines(&entries), @r"
    -rf.yaml File
    .. Unsafe(Reserved)
    .git Unsafe(Reserved)
    \u{202e}x Unsafe(Control)
    \xff Unsafe(NotUtf8)
    a\\nb.yaml Unsafe(Backslash)
    a\nb.yaml Unsafe(Control)
    exec Executable
    folder/config File
    link Link
    module Submodule
    ");
    // A comparison names the same, no more and no less.
    let deltas = mirror.diff(None, Some(tree)).unwrap();
    let paths = |deltas: &[Delta]| deltas.iter().map(|d| d.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&deltas), entries.iter().map(|e| e.path.clone()).collect::<Vec<_>>());
    assert_eq!(mirror.diff(Some(tree), Some(tree)).unwrap(), []);
    // No path climbs out.
    assert_eq!(mirror.tree(&tip, "folder/..").unwrap(), None);
    assert_eq!(mirror.find(&tip, "../remote.git/HEAD").unwrap(), None);
}

#[tokio::test]
async fn b29_a_tree_that_would_leave_its_folder_is_not_fetched() {
    let world = World::new();
    let repository = world.repository();
    let blob = repository.blob(b"x").unwrap();
    let below = raw_tree(&repository, &[("100644", b"config", blob)]);
    let good = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    for name in [&b".."[..], b".git", b"."] {
        let tree = raw_tree(&repository, &[("40000", name, below)]);
        commit_tree(&repository, tree);
        let refused = mirror.fetch().await;
        assert!(matches!(refused, Err(GitError::Refused { .. })), "{refused:?}");
        assert_eq!(mirror.tip().unwrap(), Some(good.clone()));
    }
}

#[tokio::test]
async fn b67_what_a_repository_or_a_home_would_have_git_run_is_not_run() {
    let world = World::new();
    let ran = world.at.path().join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    let program = world.at.path().join("program");
    std::fs::write(&program, &script).unwrap();
    let hooks = world.at.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    let hook = hooks.join("reference-transaction");
    for file in [&program, &hook] {
        std::fs::write(file, &script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(file, mode).unwrap();
    }
    let config = format!(
        "[core]\n\tfsmonitor = {0}\n\thooksPath = {1}\n\tsshCommand = {0}\n[filter \"evil\"]\n\t\
         smudge = {0}\n\tclean = {0}\n[credential]\n\thelper = {0}\n[uploadpack]\n\t\
         packObjectsHook = {0}\n",
        program.display(),
        hooks.display(),
    );
    // Where git would look for its user's own, and in what others commit.
    let home = world.at.path().join("home");
    std::fs::create_dir_all(home.join(".config/git")).unwrap();
    std::fs::create_dir_all(home.join("git")).unwrap();
    for place in [".gitconfig", ".config/git/config", "git/config"] {
        std::fs::write(home.join(place), &config).unwrap();
    }
    let tip = world.commit(
        "main",
        &[
            (".gitattributes", Some("* filter=evil\n")),
            (".gitconfig", Some(&config)),
            ("config", Some(&config)),
            ("hooks/post-checkout", Some(&script)),
            ("hooks/reference-transaction", Some(&script)),
            ("a", Some("1")),
        ],
    );
    let mirror = world.mirror();
    assert_eq!(mirror.fetch().await.unwrap(), Some(tip.clone()));
    let made = mirror.commit(Some(&tip), &[edit("a", Some("2"))], "a", NOW).unwrap().unwrap();
    mirror.push(&made, Some(&tip)).await.unwrap();
    assert_eq!(
        world.repository().refname_to_id("refs/heads/main").unwrap().to_string(),
        made.as_str()
    );
    assert!(!ran.exists(), "something of it was run");
    // A `git` that believes its home runs it.
    let remote = world.remote();
    let believed = std::process::Command::new("git")
        .args(["-C", remote.to_str().unwrap(), "update-ref", "refs/heads/x", made.as_str()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &home)
        .status();
    assert!(believed.unwrap().success() && ran.exists(), "the trap is none");
}

#[test]
fn a_tree_that_names_itself_into_billions_stops_at_the_limit() {
    let world = World::new();
    let repository = world.repository();
    let mut tree = raw_tree(&repository, &[]);
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_bytes(), tree)).collect();
        tree = raw_tree(&repository, &entries);
    }
    let tip = commit_tree(&repository, tree);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let tree = mirror.tree(&tip, "").unwrap().unwrap();
    let many = mirror.entries(tree, 1_000);
    assert!(matches!(many, Err(GitError::TooMany { limit: 1_000 })), "{many:?}");
}

#[test]
fn f09_b22_one_more_than_the_limit_is_too_many_and_gives_nothing() {
    let world = World::new();
    let tip = world.commit("main", &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let tree = mirror.tree(&tip, "").unwrap().unwrap();
    assert_eq!(mirror.entries(tree, 3).unwrap().len(), 3);
    assert!(matches!(mirror.entries(tree, 2), Err(GitError::TooMany { .. })));
}

#[test]
fn f09_b22_a_million_files_are_read_and_one_more_is_too_many() {
    let world = World::new();
    let repository = world.repository();
    let blob = repository.blob(b"1").unwrap();
    let names: Vec<String> = (0..1_000).map(|n| format!("n{n:03}")).collect();
    let of = |kind: &'static str, id: Oid| -> Vec<(&str, &[u8], Oid)> {
        names.iter().map(|name| (kind, name.as_bytes(), id)).collect()
    };
    // A thousand times the same folder of a thousand files.
    let folder = raw_tree(&repository, &of("100644", blob));
    let mut all = of("40000", folder);
    let tip = commit_tree(&repository, raw_tree(&repository, &all));
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let limit = 1_000_000;
    let tree = mirror.tree(&tip, "").unwrap().unwrap();
    assert_eq!(mirror.entries(tree, limit).unwrap().len(), limit);
    all.push(("100644", b"one", blob));
    let tip = commit_tree(&repository, raw_tree(&repository, &all));
    let tree = mirror.tree(&tip, "").unwrap().unwrap();
    let more = mirror.entries(tree, limit);
    assert!(matches!(more, Err(GitError::TooMany { limit: 1_000_000 })), "{more:?}");
}

#[test]
fn f10_a_large_blob_is_not_read() {
    let world = World::new();
    let tip = world.commit("main", &[("big", Some(&"x".repeat(300)))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let id = mirror.find(&tip, "big").unwrap().unwrap().id;
    assert_eq!(mirror.blob(id, 299).unwrap(), Blob::TooLarge(300));
    assert!(matches!(mirror.blob(id, 300), Ok(Blob::Bytes(bytes)) if bytes.len() == 300));
    let absent = mirror.blob(ObjectId([7; 20]), 1);
    assert!(matches!(absent, Err(GitError::Corrupt { .. })), "{absent:?}");
}

#[tokio::test]
async fn b68_a_tag_of_the_branchs_name_is_not_looked_at() {
    let world = World::new();
    let tagged = world.commit("main", &[("a", Some("old"))]);
    let tip = world.commit("main", &[("a", Some("new"))]);
    let repository = world.repository();
    let id = Oid::from_str(tagged.as_str()).unwrap();
    repository.reference("refs/tags/main", id, true, "").unwrap();
    let mirror = world.mirror();
    assert_eq!(mirror.fetch().await.unwrap(), Some(tip.clone()));
    let made = mirror.commit(Some(&tip), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    mirror.push(&made, Some(&tip)).await.unwrap();
    assert_eq!(repository.refname_to_id("refs/tags/main").unwrap(), id);
    assert_eq!(repository.refname_to_id("refs/heads/main").unwrap().to_string(), made.as_str());
}

#[test]
fn one_changed_file_of_5000_is_found_by_reading_the_trees_on_its_way() {
    let world = World::new();
    let paths: Vec<String> = (0..5_000)
        .map(|n| format!("requests/{:02}/{:02}/r{n}.yaml", n % 50, n / 50 % 50))
        .collect();
    let files: Vec<_> = paths.iter().map(|path| (path.as_str(), Some("x"))).collect();
    let old = world.commit("main", &files);
    let new = world.commit("main", &[(paths[1_234].as_str(), Some("y"))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let tree = |at: &Revision| mirror.tree(at, "requests").unwrap();
    assert_eq!(mirror.entries(tree(&old).unwrap(), 10_000).unwrap().len(), 5_000);

    // Every tree that is not on the way is taken away: the comparison does not miss it.
    let repository = world.repository();
    let root = repository.find_tree(read::raw(tree(&old).unwrap())).unwrap();
    let changed = paths[1_234].strip_prefix("requests/").unwrap();
    for entry in root.iter().filter(|e| !changed.starts_with(e.name().unwrap())) {
        let id = entry.id().to_string();
        std::fs::remove_file(world.remote().join("objects").join(&id[..2]).join(&id[2..])).unwrap();
    }
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let deltas = mirror.diff(tree(&old), tree(&new)).unwrap();
    assert_eq!(deltas.len(), 1);
    assert_eq!(deltas[0].path, changed);
}

#[test]
fn a_file_that_becomes_a_folder_is_a_removal_and_additions() {
    let world = World::new();
    let old = world.commit("main", &[("a", Some("1")), ("a.b", Some("1")), ("z", Some("1"))]);
    let new = world.commit("main", &[("a", None), ("a/x", Some("1")), ("z", Some("2"))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let tree = |at: &Revision| mirror.tree(at, "").unwrap();
    let show = |delta: &Delta| {
        let side = |side: Option<_>| if side.is_some() { '+' } else { '-' };
        format!("{}{}{}", side(delta.old), side(delta.new), delta.path)
    };
    let deltas = mirror.diff(tree(&old), tree(&new)).unwrap();
    assert_eq!(deltas.iter().map(show).collect::<Vec<_>>(), ["+-a", "-+a/x", "++z"]);
    let deltas = mirror.diff(tree(&new), tree(&old)).unwrap();
    assert_eq!(deltas.iter().map(show).collect::<Vec<_>>(), ["-+a", "+-a/x", "++z"]);
}

#[test]
fn the_last_content_of_a_removed_file_is_found() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1")), ("k", Some("1"))]);
    let second = world.commit("main", &[("a", Some("2"))]);
    world.commit("main", &[("k", Some("2"))]);
    let gone = world.commit("main", &[("a", None)]);
    let tip = world.commit("main", &[("k", Some("3"))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let text = |found: Option<(Revision, ObjectId)>| match mirror.blob(found.unwrap().1, 9) {
        Ok(Blob::Bytes(bytes)) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(mirror.last_blob("a", Some(&first), &tip).unwrap()), "2");
    assert_eq!(text(mirror.last_blob("a", None, &tip).unwrap()), "2");
    assert_eq!(mirror.last_blob("a", Some(&gone), &tip).unwrap(), None);
    assert_eq!(mirror.last_blob("never", None, &tip).unwrap(), None);
    assert_eq!(mirror.last_commit_touching("a", &tip, 100).unwrap(), Some(gone));
    assert_eq!(mirror.last_commit_touching("k", &second, 100).unwrap(), Some(first.clone()));
    assert_eq!(mirror.last_commit_touching("k", &tip, 100).unwrap(), Some(tip.clone()));
    assert_eq!(mirror.last_commit_touching("never", &tip, 100).unwrap(), None);
    // All at once it is the same, however far it goes.
    for most in [0, 1, 2, 3, 100] {
        let paths = ["a", "k", "never"].map(str::to_owned);
        let all = mirror.last_commits_touching(paths.to_vec(), &tip, most).unwrap();
        for path in paths {
            let one = mirror.last_commit_touching(&path, &tip, most).unwrap();
            assert_eq!(all.get(&path), one.as_ref(), "{path} in {most}");
        }
    }
    // Where the walk comes by what is known, that is believed.
    let since =
        |path, then| mirror.last_commit_touching_since(path, &tip, 100, &second, then).unwrap();
    assert_eq!(since("k", Some(&first)), Some(tip.clone()), "a later commit touched it");
    assert_eq!(since("never", Some(&first)), Some(first.clone()));
    assert_eq!(since("never", None), None);
}

/// A merge of commits, the first of which it stands upon, that has the tree of `like`.
fn merge_like(world: &World, parents: &[&Revision], like: &Revision) -> Revision {
    let repository = world.repository();
    let commit = |at: &Revision| repository.find_commit(Oid::from_str(at.as_str()).unwrap());
    let parents: Vec<_> = parents.iter().map(|at| commit(at).unwrap()).collect();
    let parents: Vec<_> = parents.iter().collect();
    let tree = commit(like).unwrap().tree().unwrap();
    let who = git2::Signature::now("dev", "dev@example.com").unwrap();
    let made = repository.commit(None, &who, &who, "merge", &tree, &parents).unwrap();
    Revision::new(made.to_string())
}

#[test]
fn a_merge_that_throws_a_change_away_is_what_brought_what_it_kept() {
    let world = World::new();
    let before = world.commit("main", &[("k", Some("1"))]);
    let first = world.commit("main", &[("a", Some("1"))]);
    world.set("stale", &before);
    let stale = world.commit("stale", &[("k", Some("2"))]);
    let second = world.commit("main", &[("a", Some("2"))]);
    world.set("old", &first);
    let old = world.commit("old", &[("k", Some("2"))]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let brought = |tip: &Revision| mirror.last_commit_touching("a", tip, 100).unwrap();
    // Without the file, and with what it said before, from either side.
    for (side, like) in [(&stale, &stale), (&old, &old)] {
        for parents in [[side, &second], [&second, side]] {
            let merge = merge_like(&world, &parents, like);
            assert_eq!(brought(&merge), Some(merge.clone()), "{parents:?}");
            let since = mirror.last_commit_touching_since("a", &merge, 100, &second, Some(&second));
            assert_eq!(since.unwrap(), Some(merge));
        }
    }
    // Merges that take what one side changed, and only that side.
    for side in [&stale, &old] {
        let merge = merge_like(&world, &[side, &second], &second);
        assert_eq!(brought(&merge), Some(second.clone()));
        let merge = merge_like(&world, &[&second, side], &second);
        assert_eq!(brought(&merge), Some(second.clone()));
    }
    world.set("gone", &second);
    let gone = world.commit("gone", &[("a", None)]);
    let merge = merge_like(&world, &[&second, &gone], &gone);
    assert_eq!(brought(&merge), Some(gone), "a deletion that was merged");
    // A history that has nothing to do with it brings nothing, and takes nothing away.
    world.repository().find_reference("refs/heads/stale").unwrap().delete().unwrap();
    let foreign = world.commit("stale", &[("k", Some("3"))]);
    let merge = merge_like(&world, &[&foreign, &second], &second);
    assert_eq!(brought(&merge), Some(second.clone()));
    let merge = merge_like(&world, &[&foreign, &second], &foreign);
    assert_eq!(brought(&merge), Some(merge.clone()));
}

#[test]
fn a_merge_of_sides_that_have_the_same_from_different_commits_is_what_brought_it() {
    let world = World::new();
    let before = world.commit("main", &[("k", Some("1"))]);
    let first = world.commit("main", &[("a", Some("1"))]);
    let second = world.commit("main", &[("a", Some("2"))]);
    let side = |name: &str, from: &Revision, edits: &[(&str, Option<&str>)]| {
        world.set(name, from);
        world.commit(name, edits)
    };
    let old = side("old", &first, &[("k", Some("2"))]);
    let older = side("older", &before, &[("k", Some("2"))]);
    let back = side("back", &second, &[("a", Some("1"))]);
    let gone = side("gone", &second, &[("a", None)]);
    let mirror = Mirror::open_local(&world.remote()).unwrap();
    let brought = |tip: &Revision| {
        let found = mirror.last_commit_touching("a", tip, 100).unwrap();
        // Whatever is known of an earlier tip, it is the same.
        for earlier in [&first, &second] {
            let then = Some(earlier);
            let since = mirror.last_commit_touching_since("a", tip, 100, earlier, then).unwrap();
            assert_eq!(since, found, "{earlier}");
        }
        found
    };
    for [stale, anew] in [[&first, &back], [&old, &back], [&before, &gone], [&older, &gone]] {
        for parents in [[stale, anew], [anew, stale]] {
            let merge = merge_like(&world, &parents, anew);
            assert_eq!(brought(&merge), Some(merge.clone()), "{parents:?}");
            // Brought to the branch by another merge, it is still that one.
            let outer = merge_like(&world, &[&second, &merge], anew);
            assert_eq!(brought(&outer), Some(merge));
        }
    }
    // Sides that leave it alone have it from where it came to both.
    for [one, other] in [[&first, &old], [&old, &first]] {
        let merge = merge_like(&world, &[one, other], &old);
        assert_eq!(brought(&merge), Some(first.clone()));
    }
    let mut tip = second.clone();
    for name in 0..40 {
        let [one, other] = ["l", "r"].map(|s| side(&format!("{s}{name}"), &tip, &[("k", Some(s))]));
        tip = merge_like(&world, &[&one, &other], &one);
    }
    // Two to the fortieth ways lead there, over 120 commits.
    assert_eq!(mirror.last_commit_touching("a", &tip, 122).unwrap(), Some(second.clone()));
    assert_eq!(mirror.last_commit_touching("a", &tip, 120).unwrap(), None, "too far back");
    // A side that parted before what is known goes back no further than that.
    let late = side("late", &second, &[("k", Some("9"))]);
    let merge = merge_like(&world, &[&tip, &late], &tip);
    let since = mirror.last_commit_touching_since("a", &merge, 2, &tip, Some(&second)).unwrap();
    assert_eq!(since, Some(second));
}

#[tokio::test]
async fn edits_apply_in_order_and_replace_whatever_stands_there() {
    let world = World::new();
    let first = world.commit("main", &[("d/a", Some("1")), ("d/b", Some("1")), ("f", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let on = |edits: &[Edit]| {
        let made = mirror.commit(Some(&first), edits, "x", NOW).unwrap();
        made.map_or_else(|| "nothing".into(), |at| show(&mirror, &at))
    };
    assert_eq!(on(&[edit("d", None)]), "f=1");
    assert_eq!(on(&[edit("d", None), edit("d/c", Some("2"))]), "d/c=2 f=1");
    assert_eq!(on(&[edit("d/c", Some("2")), edit("d", None)]), "f=1");
    assert_eq!(on(&[edit("d", Some("2"))]), "d=2 f=1");
    assert_eq!(on(&[edit("f/x", Some("2"))]), "d/a=1 d/b=1 f/x=2");
    assert_eq!(on(&[edit("d/a", None), edit("d/b", None)]), "f=1");
    assert_eq!(on(&[edit("absent/x", None), edit("f", Some("1"))]), "nothing");
    for path in ["../x", "a/.git/x", "/..", "", "a//b", "a\nb"] {
        let refused = mirror.commit(Some(&first), &[edit(path, Some("1"))], "x", NOW);
        assert!(matches!(refused, Err(GitError::Refused { .. })), "{path:?} {refused:?}");
    }
}

#[tokio::test]
async fn many_edits_make_the_same_tree_as_few() {
    let world = World::new();
    let first = world.commit("main", &[("d/a", Some("1")), ("d/b", Some("1")), ("f", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let mut edits: Vec<Edit> =
        (0..600).map(|n| edit(&format!("many/{}/r \"{n}\"", n % 7), Some("text\n"))).collect();
    edits.extend([
        edit("d", None),
        edit("d/c/x", Some("")),
        edit("f/x", Some("2")),
        edit("absent", None),
        edit("many/3", Some("a file after all")),
    ]);
    let bulk = mirror.commit(Some(&first), &edits, "words\n\nmore: é", NOW).unwrap().unwrap();
    let mut at = first.clone();
    for few in edits.chunks(100) {
        at = mirror.commit(Some(&at), few, "few", NOW).unwrap().unwrap_or(at);
    }
    assert_eq!(mirror.tree(&bulk, "").unwrap(), mirror.tree(&at, "").unwrap());
    assert!(mirror.is_ancestor(&first, &bulk).unwrap());
    mirror.push(&bulk, Some(&first)).await.unwrap();
    let repository = world.repository();
    let commit = repository.find_commit(Oid::from_str(bulk.as_str()).unwrap()).unwrap();
    assert_eq!(commit.message().unwrap(), "words\n\nmore: é");
    assert_eq!(commit.author().to_string(), "vend <vend@localhost>");

    // Again: nothing to do.
    assert_eq!(mirror.commit(Some(&bulk), &edits, "x", NOW).unwrap(), None);
    // Without a parent it is a first commit, whatever was made before.
    let root = mirror.commit(None, &edits, "x", NOW).unwrap().unwrap();
    assert!(!mirror.is_ancestor(&first, &root).unwrap());
    // Somebody else holds the mirror: it is done all the same.
    let held = lock::take(&world.at.path().join("mirror"), std::time::Duration::ZERO).await;
    let loose = mirror.commit(None, &edits, "x", NOW).unwrap().unwrap();
    assert_eq!(mirror.tree(&loose, "").unwrap(), mirror.tree(&root, "").unwrap());
    drop(held);
}

#[tokio::test]
async fn upkeep_keeps_what_no_ref_names() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    assert!(!mirror.maintain().await.unwrap());
    let loose = mirror.commit(Some(&first), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    world.repository().find_reference("refs/heads/main").unwrap().delete().unwrap();
    let other = commit_on(&world.repository(), "main", &[("z", Some("1"))]);
    mirror.fetch().await.unwrap();
    mirror.repack().await.unwrap();
    for (at, text) in [(&loose, "a=1 b=1"), (&first, "a=1"), (&other, "z=1")] {
        assert_eq!(show(&mirror, at), text);
    }
}

#[test]
fn a_repository_of_another_format_is_refused_by_name() {
    let world = World::new();
    let made = std::process::Command::new("git")
        .args(["init", "-q", "--bare", "--object-format=sha256", "other.git"])
        .current_dir(world.at.path())
        .status();
    assert!(made.unwrap().success());
    let refused = Mirror::open_local(&world.at.path().join("other.git"));
    assert!(matches!(refused, Err(GitError::Refused { .. })), "{refused:?}");
    let missing = Mirror::open_local(&world.at.path().join("none"));
    assert!(matches!(missing, Err(GitError::Missing { .. })), "{missing:?}");
}

#[test]
fn a_working_copy_is_read_as_it_lies_there() {
    let world = World::new();
    let root = world.at.path().join("clone");
    let repository = Repository::init(&root).unwrap();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".gitignore", "*.log\nbuild/\n");
    write("requests/a.yaml", "1");
    write("requests/x.log", "1");
    write("build/out.yaml", "1");
    write("outside/secret.yaml", "1");
    write("nested/.git/HEAD", "");
    std::os::unix::fs::symlink("/etc/passwd", root.join("requests/link")).unwrap();
    std::os::unix::fs::symlink("outside", root.join("alias")).unwrap();
    std::fs::write(root.join("requests/a\nb"), "").unwrap();

    let copy = WorkingCopy::discover(&root.join("requests/a.yaml")).unwrap();
    let listed = |folder: &str, limit: usize| {
        let files = copy.files(folder, limit, 9)?;
        Ok::<Vec<_>, GitError>(files.into_iter().map(|(entry, _)| entry).collect())
    };
    let entries = listed("", 100).unwrap();
    insta::assert_snapshot!(lines(&entries), @r"
    .gitignore File
    alias Link
    nested Submodule
    outside/secret.yaml File
    requests/a.yaml File
    requests/a\nb Unsafe(Control)
    requests/link Link
    ");
    let id = repository.blob(b"1").unwrap();
    let found = entries.iter().find(|entry| entry.path == "requests/a.yaml").unwrap();
    assert_eq!(found.id.to_string(), id.to_string());
    let unread = copy.files("requests", 9, 0).unwrap();
    let (entry, blob) = unread.iter().find(|(e, _)| e.path == "requests/a.yaml").unwrap();
    assert_eq!(blob, &Some(Blob::TooLarge(1)));
    // It was not read, so nobody knows that it is the same; the index does, once it has it.
    assert_ne!(entry.id, found.id);
    let mut index = repository.index().unwrap();
    index.add_path("requests/a.yaml".as_ref()).unwrap();
    index.write().unwrap();
    let staged = WorkingCopy::discover(&root).unwrap().files("requests", 9, 0).unwrap();
    let (entry, _) = staged.iter().find(|(e, _)| e.path == "requests/a.yaml").unwrap();
    assert_eq!(entry.id, found.id);
    assert_eq!(copy.read("requests/a.yaml", 9).unwrap(), Some(Blob::Bytes(b"1".to_vec())));
    assert_eq!(copy.read("requests/a.yaml", 0).unwrap(), Some(Blob::TooLarge(1)));
    for path in
        ["requests/link", "alias/secret.yaml", "requests", "none", "../mirror", "/etc/passwd"]
    {
        assert_eq!(copy.read(path, 9).unwrap(), None, "{path}");
    }
    assert!(matches!(listed("", 3), Err(GitError::TooMany { .. })));
    assert!(matches!(listed("alias", 9), Err(GitError::Missing { .. })));
    assert_eq!(lines(&listed("requests", 9).unwrap()).lines().count(), 3);
    assert_eq!(copy.relative(&root.join("requests/a.yaml")).as_deref(), Some("requests/a.yaml"));
    assert_eq!(copy.head(), None);
}

#[tokio::test]
async fn what_stands_at_many_paths_is_told_at_once() {
    let world = World::new();
    let files = [("a/b/one", Some("1")), ("a/c", Some("2")), ("d", Some("3"))];
    let tip = world.commit("main", &files);
    let mirror = world.mirror();
    mirror.fetch().await.unwrap();
    let paths = ["", "a", "a/b", "a/b/one", "a/b/two", "a/c/below/it", "d", "e/f", "a/../d", "a/b"];
    let told = mirror.stands(&tip, &paths).unwrap();
    let told: Vec<String> = told
        .iter()
        .zip(paths)
        .map(|(stands, path)| match stands {
            Stands::Nothing => "-".into(),
            Stands::Folder(tree) => {
                assert_eq!(mirror.tree(&tip, path).unwrap(), Some(*tree));
                "/".into()
            }
            Stands::File(entry) => {
                let found = mirror.find(&tip, &entry.path).unwrap();
                assert_eq!(found.as_ref(), Some(entry));
                entry.path.clone()
            }
        })
        .collect();
    assert_eq!(told, ["/", "/", "/", "a/b/one", "-", "a/c", "d", "-", "-", "/"]);
}
