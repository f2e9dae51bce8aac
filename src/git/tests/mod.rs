//! Stories against real repositories and the real `git`.

mod content;
mod faults;

use super::fixture::World;
use super::*;
use crate::model::Revision;

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn edit(path: &str, content: Option<&str>) -> Edit {
    Edit { path: path.into(), content: content.map(|text| text.as_bytes().to_vec()) }
}

/// Every file at a revision, as `path=content`.
fn show(mirror: &Mirror, at: &Revision) -> String {
    let tree = mirror.tree(at, "").unwrap().unwrap();
    let entries = mirror.entries(tree, 1_000).unwrap();
    let line = |entry: &Entry| match mirror.blob(entry.id, 1 << 20) {
        Ok(Blob::Bytes(bytes)) => format!("{}={}", entry.path, String::from_utf8(bytes).unwrap()),
        other => panic!("{other:?}"),
    };
    entries.iter().map(line).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_branch_is_fetched_read_committed_to_and_pushed() {
    let world = World::new();
    let first = world.commit("main", &[("a/b.yaml", Some("1")), ("c.yaml", Some("2"))]);
    let mirror = world.mirror();
    assert_eq!(mirror.tip().unwrap(), None);
    assert_eq!(mirror.fetch().await.unwrap(), Some(first.clone()));
    assert_eq!(show(&mirror, &first), "a/b.yaml=1 c.yaml=2");
    assert_eq!(mirror.tree(&first, "nowhere").unwrap(), None);
    assert_eq!(mirror.tree(&first, "c.yaml").unwrap(), None);

    let edits = [edit("a/d/e", Some("3")), edit("c.yaml", None)];
    let made = mirror.commit(Some(&first), &edits, "more", NOW).unwrap().unwrap();
    mirror.push(&made, Some(&first)).await.unwrap();
    assert_eq!(
        world.repository().refname_to_id("refs/heads/main").unwrap().to_string(),
        made.as_str()
    );
    assert_eq!(show(&mirror, &made), "a/b.yaml=1 a/d/e=3");
    assert_eq!(mirror.tip().unwrap(), Some(made.clone()));

    // Again: nothing to do.
    assert_eq!(mirror.commit(Some(&made), &edits, "more", NOW).unwrap(), None);
    assert_eq!(mirror.fetch().await.unwrap(), Some(made));
}

#[tokio::test]
async fn two_pushers_race_and_one_learns_of_it() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let (one, two) = (world.mirror(), world.mirror_of("two", "main", world.transport()).unwrap());
    one.fetch().await.unwrap();
    two.fetch().await.unwrap();
    let mine = one.commit(Some(&first), &[edit("b", Some("1"))], "b", NOW).unwrap().unwrap();
    let theirs = two.commit(Some(&first), &[edit("c", Some("1"))], "c", NOW).unwrap().unwrap();
    one.push(&mine, Some(&first)).await.unwrap();
    let lost = two.push(&theirs, Some(&first)).await;
    assert!(matches!(lost, Err(GitError::Raced { .. })), "{lost:?}");
    assert_eq!(two.fetch().await.unwrap(), Some(mine.clone()));
    let again = two.commit(Some(&mine), &[edit("c", Some("1"))], "c", NOW).unwrap().unwrap();
    two.push(&again, Some(&mine)).await.unwrap();
    assert_eq!(show(&two, &again), "a=1 b=1 c=1");
}

#[tokio::test]
async fn f04_a_rewritten_branch_is_seen_and_its_old_commits_stay_readable() {
    let world = World::new();
    let base = world.commit("main", &[("a", Some("1"))]);
    let old = world.commit("main", &[("b", Some("2"))]);
    let mirror = world.mirror();
    assert_eq!(mirror.fetch().await.unwrap(), Some(old.clone()));
    world.set("main", &base);
    let new = world.commit("main", &[("c", Some("3"))]);
    assert_eq!(mirror.fetch().await.unwrap(), Some(new.clone()));
    assert!(!mirror.is_ancestor(&old, &new).unwrap());
    assert!(mirror.is_ancestor(&base, &new).unwrap());
    assert_eq!(mirror.merge_base(&old, &new).unwrap(), Some(base));
    assert_eq!(show(&mirror, &old), "a=1 b=2");
    // A commit that this mirror has never seen is nobody's ancestor.
    let stranger = Revision::new("1".repeat(40));
    assert!(!mirror.is_ancestor(&stranger, &new).unwrap());
}

#[tokio::test]
async fn b93_children_get_our_environment_and_no_secret_in_their_arguments() {
    let world = World::new();
    world.commit("main", &[("a", Some("1"))]);
    let shim = world.shim(r#"{ env; echo "ARGS $*"; } >> "${0%/*}/seen"; exec "$REAL" "$@""#);
    let mirror =
        world.mirror_of("mirror", "main", Transport { git: shim, ..world.transport() }).unwrap();
    mirror.fetch().await.unwrap();
    let seen = std::fs::read_to_string(world.at.path().join("seen")).unwrap();
    let names: std::collections::BTreeSet<&str> = seen
        .lines()
        .filter(|line| !line.starts_with("ARGS"))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| {
            !name.starts_with("GIT_CONFIG_KEY_") && !name.starts_with("GIT_CONFIG_VALUE_")
        })
        // The shell's own.
        .filter(|name| !matches!(*name, "PWD" | "_" | "SHLVL" | "OLDPWD"))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    insta::assert_snapshot!(names.join(" "), @"GCM_INTERACTIVE GIT_ALLOW_PROTOCOL GIT_ASKPASS GIT_ATTR_NOSYSTEM GIT_CONFIG_COUNT GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM GIT_OPTIONAL_LOCKS GIT_TERMINAL_PROMPT HOME LC_ALL PATH SSH_ASKPASS XDG_CONFIG_HOME");
    let args = seen.lines().find(|line| line.starts_with("ARGS")).unwrap();
    assert!(args.contains("--end-of-options /"), "{args}");
}

#[tokio::test]
async fn b65_a_token_travels_in_the_environment_to_its_own_server_only() {
    let world = World::new();
    let token_file = world.at.path().join("token");
    std::fs::write(&token_file, "hunter2\n").unwrap();
    let git = world.shim(r#"{ env; echo "ARGS $*"; } > "${0%/*}/seen"; exit 1"#);
    let credential = Credential {
        url_prefix: "https://git.example/org".into(),
        token_file: Some(token_file),
        ..Credential::default()
    };
    let transport =
        std::sync::Arc::new(Transport { git, credentials: vec![credential], ..world.transport() });
    let secret = "eC1hY2Nlc3MtdG9rZW46aHVudGVyMg==";
    for (url, sent) in [("https://git.example/org/x", true), ("https://git.example/organ/x", false)]
    {
        let location = Location::parse(url, "main", Trust::Operator).unwrap();
        let folder = world.at.path().join("mirror");
        let mirror = Mirror::open(&folder, location, std::sync::Arc::clone(&transport)).unwrap();
        let failed = mirror.fetch().await.unwrap_err();
        assert!(!crate::error::chain(&failed).contains(secret));
        let seen = std::fs::read_to_string(world.at.path().join("seen")).unwrap();
        assert_eq!(seen.contains(secret), sent, "{url}");
        assert_eq!(seen.contains(&format!("=http.{url}.extraHeader")), sent);
        let args = seen.lines().find(|line| line.starts_with("ARGS")).unwrap();
        assert!(!args.contains(secret) && !args.contains("hunter2"));
        assert!(seen.contains("GIT_ALLOW_PROTOCOL=https\n"));
    }
}

#[tokio::test]
async fn ssh_gets_its_key_and_its_known_hosts_and_nothing_of_the_account() {
    let world = World::new();
    let git = world.shim(r#"echo "$GIT_SSH_COMMAND" > "${0%/*}/seen"; exit 1"#);
    let credential = Credential {
        url_prefix: "ssh://git@git.example/org/".into(),
        ssh_key_file: Some("/keys/it's mine".into()),
        known_hosts_file: Some("/keys/100%".into()),
        ..Credential::default()
    };
    let transport = Transport { git, credentials: vec![credential], ..world.transport() };
    let location = Location::parse("git@git.example:org/x", "main", Trust::Operator).unwrap();
    let folder = world.at.path().join("mirror");
    let mirror = Mirror::open(&folder, location, std::sync::Arc::new(transport)).unwrap();
    mirror.fetch().await.unwrap_err();
    let seen = std::fs::read_to_string(world.at.path().join("seen")).unwrap();
    insta::assert_snapshot!(seen.trim(), @r#"ssh -o 'BatchMode=yes' -o 'StrictHostKeyChecking=yes' -o 'UpdateHostKeys=no' -o 'ServerAliveInterval=15' -o 'ServerAliveCountMax=4' -o 'ConnectTimeout=30' -o 'ForwardAgent=no' -o 'ClearAllForwardings=yes' -o 'PermitLocalCommand=no' -o 'UserKnownHostsFile="/keys/100%%"' -o 'GlobalKnownHostsFile=/dev/null' -o 'IdentityFile="/keys/it'\''s mine"' -o 'IdentitiesOnly=yes' -o 'IdentityAgent=none' -F none"#);
}

#[tokio::test]
async fn nothing_new_in_a_local_repository_costs_no_process() {
    let world = World::new();
    let first = world.commit("main", &[("a", Some("1"))]);
    let git = world.shim(r#"echo x >> "${0%/*}/runs"; exec "$REAL" "$@""#);
    let mirror = world.mirror_of("mirror", "main", Transport { git, ..world.transport() }).unwrap();
    for _ in 0..5 {
        assert_eq!(mirror.fetch().await.unwrap(), Some(first.clone()));
    }
    let runs = std::fs::read_to_string(world.at.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1);
}
