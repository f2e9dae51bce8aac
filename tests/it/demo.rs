//! `vend demo`, as somebody would run it first: twice, without a home folder.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Runs the demo with nothing of its surroundings but the search path.
pub fn play(folder: &Path) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_vend"))
        .args(["demo", "--no-pause"])
        .arg(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .output()
        .unwrap()
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
}

/// Played once for all tests: it takes some seconds.
fn played() -> &'static Played {
    static PLAYED: OnceLock<Played> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let texts = [(); 2].map(|()| text(&play(&folder.path().join("a demo"))));
        Played { texts, folder }
    })
}

/// What a demo says, its folder shown as `DIR`.
pub fn transcript() -> String {
    let Played { texts, folder } = played();
    let folder = folder.path().canonicalize().unwrap().join("a demo");
    texts[1].replace(folder.to_str().unwrap(), "DIR")
}

#[test]
fn the_demo_plays_twice_and_leaves_what_it_says() {
    let Played { texts, folder } = played();
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
fn a_folder_that_no_demo_made_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("mine"), "").unwrap();
    let output = play(temp.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty, and no demo made it"));
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}
