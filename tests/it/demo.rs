//! `vend demo`, as somebody would run it first: twice, without a home folder.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What is none of its children's business.
const PRIVATE: [&str; 4] =
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "GIT_CONFIG_PARAMETERS", "VEND_CONFIG"];

/// Runs the demo with nothing of its surroundings but the search path, and things that it should not hand on.
pub fn play(folder: &Path) -> Output {
    play_by(folder, &std::env::var_os("PATH").unwrap())
}

fn play_by(folder: &Path, path: &std::ffi::OsStr) -> Output {
    let home = tempfile::tempdir().unwrap();
    // By this one's own settings nothing is ever committed.
    let config = home.path().join(".config/git");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("ignore"), "*\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vend"));
    command.args(["demo", "--no-pause"]).arg(folder).env_clear().env("PATH", path);
    command.envs(PRIVATE.map(|name| (name, "not for children")));
    command.env("HOME", home.path()).output().unwrap()
}

/// Its text; its errors when it did not end well.
pub fn text(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{words}\n{text}");
    assert_eq!(words, "", "nothing but the story is said");
    text
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What two demos in the same folder said, and the folder.
struct Played {
    texts: [String; 2],
    folder: tempfile::TempDir,
    /// What all calls of git found in their environment, in the second of them.
    given: String,
}

/// A `git` that writes down its environment, and is the real one then: a folder for the search path.
fn listening(folder: &Path) {
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git"));
    let real = real.into_iter().find(|git| git.is_file()).unwrap();
    std::fs::create_dir(folder).unwrap();
    let seen = folder.join("seen");
    let script = format!("#!/bin/sh\nenv >>'{}'\nexec {} \"$@\"\n", seen.display(), real.display());
    let git = folder.join("git");
    std::fs::write(&git, script).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Played once for all tests: it takes some seconds.
fn played() -> &'static Played {
    static PLAYED: OnceLock<Played> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let demo = folder.path().join("a demo");
        let first = text(&play(&demo));
        let bin = folder.path().join("bin");
        listening(&bin);
        let path = std::env::var_os("PATH").unwrap();
        let all = [bin.clone()].into_iter().chain(std::env::split_paths(&path));
        let second = text(&play_by(&demo, &std::env::join_paths(all).unwrap()));
        let given = std::fs::read_to_string(bin.join("seen")).unwrap();
        Played { texts: [first, second], folder, given }
    })
}

/// What a demo says, its folder shown as `DIR`.
pub fn transcript() -> String {
    let Played { texts, folder, .. } = played();
    let folder = folder.path().canonicalize().unwrap().join("a demo");
    texts[1].replace(folder.to_str().unwrap(), "DIR")
}

#[test]
fn the_demo_plays_twice_and_leaves_what_it_says() {
    let Played { texts, folder, .. } = played();
    let folder = folder.path().join("a demo");
    for text in texts {
        for line in [
            "Checked 11 requests: 0 errors, 0 warnings.",
            "Plan: 13 to create, 0 to update, 0 to replace, 0 to delete; 0 held; 0 unchanged",
            "Applied: 13 created, 11 ready.",
            "Nothing to do.",
            "error[SCH001]: unknown parameter `hots`",
            "  --> requests/orders/test/storefront.yaml:11:5",
            "Applied: 2 updated, 11 ready.",
            "Applied: 1 deleted, 1 held, 9 ready.",
            "Applied: nothing done, 4 held, 5 ready.",
            "Applied: 5 deleted, 5 ready.",
        ] {
            assert!(text.lines().any(|l| l == line), "`{line}` is not in:\n{text}");
        }
        assert!(text.lines().count() < 400, "short enough to be read");
    }
    let rendered =
        git(&folder.join("git/deployments.git"), &["ls-tree", "-r", "--name-only", "main"]);
    let folders: std::collections::BTreeSet<&str> =
        rendered.lines().filter_map(|l| l.rsplit_once('/')).map(|(f, _)| f).collect();
    // The renamed request kept the folder of its former name.
    insta::assert_snapshot!(folders.into_iter().collect::<Vec<_>>().join("\n"), @"
    dev/payments/checkout-api/app
    dev/payments/checkout/access
    dev/payments/checkout/namespace
    prod/orders/storefront/app
    prod/payments/checkout-api/app
    prod/platform/storefront-sync/application
    ");
    let published = git(
        &folder.join("git/requests.git"),
        &["ls-tree", "-r", "--name-only", "vend/status", "status"],
    );
    insta::assert_snapshot!(published, @"
    status/orders/prod/storefront.yaml
    status/payments/dev/checkout-service.yaml
    status/payments/dev/checkout.yaml
    status/payments/prod/checkout-api.yaml
    status/platform/prod/storefront-sync.yaml
    ");
}

#[test]
fn b93_what_a_demo_starts_is_given_nothing_of_whoever_looks_at_it() {
    let given = &played().given;
    assert!(!given.contains("not for children"), "{given}");
    let names = given.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    // Each setting that git is given has two, with a number.
    let names: BTreeSet<&str> =
        names.map(|name| name.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    // What vend gives the git of its passes, and the shell's own.
    let usual = [
        "GCM_INTERACTIVE",
        "GIT_ALLOW_PROTOCOL",
        "GIT_ASKPASS",
        "GIT_ATTR_NOSYSTEM",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_KEY_",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_VALUE_",
        "GIT_OPTIONAL_LOCKS",
        "GIT_PAGER",
        "GIT_TERMINAL_PROMPT",
        "HOME",
        "LC_ALL",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHLVL",
        "SSH_ASKPASS",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "_",
    ];
    let other: Vec<&&str> = names.iter().filter(|name| !usual.contains(name)).collect();
    assert!(other.is_empty(), "{other:?}");
    // Those of a person's git, and those of vend's.
    assert!(names.contains("GIT_PAGER") && names.contains("GIT_OPTIONAL_LOCKS"), "{names:?}");
}

#[test]
fn a_folder_that_no_demo_made_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("mine"), "").unwrap();
    let output = play(temp.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty, and no demo made it"));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}
