//! What other programs are started with, and what becomes of them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::daemon::eventually;
use crate::review::Desk;
use crate::world::{World, ask, catalog, drop_request, note, request_with};

/// A `git` that writes down what it is given, a file for each call, and is the real one then.
fn listening(world: &mut World) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|folder| folder.join("git"));
    let real = real.into_iter().find(|git| git.is_file()).unwrap();
    let (folder, calls) = (world.root().join("bin"), world.root().join("calls"));
    for folder in [&folder, &calls] {
        std::fs::create_dir(folder).unwrap();
    }
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"{}/$$\"\nexec {} \"$@\"\n",
        calls.display(),
        real.display()
    );
    let file = folder.join("git");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let all = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    world.environment([("PATH".to_owned(), all.unwrap().into_string().unwrap())]);
    calls
}

fn calls(folder: &Path) -> Vec<Vec<String>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let words = |file: PathBuf| -> Vec<String> {
        std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
    };
    files.map(words).collect()
}

/// What is wrong with how a value is given: an address, a branch or a path is none of the program's options.
fn wrong(words: &[String]) -> Option<String> {
    let [option, folder, name, rest @ ..] = words else { return Some("it says nothing".into()) };
    if option != "--git-dir" || !folder.starts_with('/') || name.starts_with('-') {
        return Some(format!("it begins with {:?}", &words[..3]));
    }
    let end = rest.iter().position(|word| ["--", "--end-of-options"].contains(&word.as_str()));
    let bare = rest[..end.unwrap_or(rest.len())].iter().find(|word| !word.starts_with('-'));
    let says = |bare: &String| format!("`{bare}` stands where an option may stand");
    let missing = end.is_none() && ["fetch", "push"].contains(&name.as_str());
    bare.map(says).or(missing.then(|| "its address is missing".to_owned()))
}

#[test]
fn b62_every_address_branch_and_path_stands_where_no_option_can() {
    let mut world = World::new();
    let folder = listening(&mut world);
    let at = |n: usize| format!("orders/dev/n{n}");
    world.requests.commit((0..260).map(|n| ask(&at(n), note("hello"))));
    world.apply();
    let renamed = request_with("note@1.0.0", "{text: hello}", "movedFrom: orders/dev/n2");
    world.requests.commit([
        ask(&at(0), note("changed")),
        drop_request(&at(1)),
        drop_request(&at(2)),
        ask("orders/dev/renamed", renamed),
    ]);
    world.apply();
    assert_eq!(world.actions("vend-orders-dev-n0-"), ["create", "update"]);
    let calls = calls(&folder);
    let names: BTreeSet<&str> = calls.iter().map(|words| words[2].as_str()).collect();
    assert_eq!(
        names,
        ["fast-import", "fetch", "push"].into(),
        "others are to be looked at as well"
    );
    for words in &calls {
        assert_eq!(wrong(words), None, "{words:?}");
    }
    world.again_nothing();
    // What would be wrong is seen.
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for bad in [
        "--git-dir /x fetch --quiet https://h/x",
        "--git-dir /x push main --end-of-options https://h/x",
        "--git-dir /x fetch --quiet",
        "fetch --end-of-options https://h/x",
    ] {
        assert!(wrong(&words(bad)).is_some(), "{bad}");
    }
}

#[test]
fn b62_what_is_proposed_is_fetched_pushed_and_taken_back_where_no_option_can_stand() {
    let mut world = World::new();
    let folder = listening(&mut world);
    let mut desk = Desk::with(world);
    desk.world.configure(|c| c["upgrades"] = json!({"propose": true, "interval": "1s"}));
    desk.repo().push("grace", "main", [ask("orders/dev/one", note("one"))]);
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["create"]);
    let proposed = |branch: &str| {
        eventually(branch, || {
            let open = desk.repo().open_pulls();
            open.into_iter().find(|pull| pull.branch == branch)
        })
    };
    proposed("vend/upgrade/note-1.1.0/orders");
    desk.world.catalog.commit(catalog::note("1.2.0"));
    proposed("vend/upgrade/note-1.2.0/orders");
    eventually("the older one is taken back", || {
        let open = desk.repo().open_pulls();
        open.iter().all(|pull| !pull.branch.contains("1.1.0")).then_some(())
    });
    desk.again_nothing();
    daemon.stop();

    let calls = calls(&folder);
    for words in &calls {
        assert_eq!(wrong(words), None, "{words:?}");
    }
    // All three were done by it.
    let own = "refs/heads/vend/upgrade/note-1.1.0/orders";
    let last = |words: &&Vec<String>| words.last().is_some_and(|last| last.contains(own));
    let of = |name: &'static str| calls.iter().filter(move |words| words[2] == name);
    assert!(of("fetch").filter(last).count() > 0, "{calls:?}");
    let pushed: Vec<&str> =
        of("push").filter(last).map(|words| words.last().unwrap().as_str()).collect();
    assert!(pushed.len() >= 2 && pushed.iter().any(|spec| spec.starts_with(':')), "{pushed:?}");
}
