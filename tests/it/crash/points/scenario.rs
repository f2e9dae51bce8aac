//! What happens to a world while something goes wrong.

use serde_json::json;

use super::judge::leave_note;
use crate::crash::lab;
use crate::daemon::eventually;
use crate::world::{World, ask, catalog, drop_request, note, remove, request, request_with, write};

/// One thing that happens.
pub struct Scenario {
    pub name: &'static str,
    /// The world at rest.
    pub world: fn() -> World,
    /// What people do.
    pub act: fn(&World),
    /// What vend is run with.
    pub args: fn(&World) -> Vec<String>,
    /// Whether that is a daemon, which has to be stopped.
    pub serves: bool,
    /// Whether it is a person's command, who repeats it when it did not go well.
    pub insists: bool,
    /// What goes wrong in any case.
    pub always: &'static str,
    /// What people do once it has come to rest.
    pub after: Option<fn(&World)>,
}

const PLAIN: Scenario = Scenario {
    name: "",
    world: World::new,
    act: nothing,
    args: apply,
    serves: false,
    always: "",
    after: None,
    insists: false,
};

pub fn named(name: &str) -> Scenario {
    all().into_iter().find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("{name}"))
}

/// All of them; each has a test of its name.
pub fn all() -> Vec<Scenario> {
    vec![
        // The first one of all: an empty state folder.
        Scenario { name: "create", act: three, ..PLAIN },
        Scenario { name: "update", world: rests, act: change, ..PLAIN },
        Scenario { name: "no_op", world: rests, act: unrelated, ..PLAIN },
        Scenario { name: "replace", world: elsewhere, ..PLAIN },
        Scenario { name: "delete", world: rests, act: removal, ..PLAIN },
        Scenario { name: "move", world: rests, act: renaming, ..PLAIN },
        Scenario { name: "version", world: rests, act: newer, ..PLAIN },
        Scenario {
            name: "partial",
            world: rests,
            act: one_refused,
            after: Some(permitted),
            ..PLAIN
        },
        Scenario {
            name: "unknown",
            world: rests,
            act: change,
            always: "pass.submit.after=error",
            ..PLAIN
        },
        Scenario { name: "two", world: two_sources, act: both, ..PLAIN },
        Scenario { name: "rollback", world: changed, act: back, ..PLAIN },
        Scenario { name: "forget", world: rests, act: gone_already, ..PLAIN },
        Scenario { name: "approve", world: asked_about, args: approval, insists: true, ..PLAIN },
        Scenario { name: "folder", world: in_a_folder, act: change, ..PLAIN },
        Scenario { name: "damaged", world: rests, act: damage, ..PLAIN },
        Scenario { name: "many", act: hundreds, ..PLAIN },
        Scenario { name: "expiry", world: over, ..PLAIN },
        Scenario { name: "upkeep", world: rests, act: neglect, ..PLAIN },
        Scenario { name: "older", world: rests, act: from_before, ..PLAIN },
        Scenario {
            name: "rebuild",
            world: rests,
            act: loss,
            args: rebuild,
            insists: true,
            ..PLAIN
        },
        Scenario {
            name: "daemon",
            world: hurried,
            act: change,
            args: serve,
            serves: true,
            ..PLAIN
        },
    ]
}

fn nothing(_: &World) {}

fn apply(_: &World) -> Vec<String> {
    vec!["apply".into()]
}

fn serve(_: &World) -> Vec<String> {
    ["serve", "--log", "json"].map(str::to_owned).to_vec()
}

fn at(name: &str) -> String {
    format!("orders/dev/{name}")
}

/// Four requests at rest, and a person's note beside their statuses.
fn rests() -> World {
    at_rest(World::new())
}

fn at_rest(world: World) -> World {
    world.requests.commit([
        ask(&at("one"), note("one")),
        ask(&at("two"), note("two")),
        ask(&at("pair"), request("pair@1.0.0", "{text: hello}")),
        ask("billing/dev/other", note("other")),
    ]);
    world.apply();
    leave_note(&world);
    world.apply();
    world
}

fn hurried() -> World {
    let mut world = World::new();
    world.configure(|c| c["reconcile"] = json!({"lease": "1s", "interval": "1h"}));
    at_rest(world)
}

fn three(world: &World) {
    world.requests.commit([
        ask(&at("one"), note("one")),
        ask(&at("pair"), request("pair@1.0.0", "{text: hello}")),
    ]);
}

fn change(world: &World) {
    world.requests.commit([
        ask(&at("one"), note("one-changed")),
        ask(&at("pair"), request("pair@1.0.0", "{text: changed}")),
    ]);
}

fn unrelated(world: &World) {
    world.requests.commit([write("README.md", "Something else.\n")]);
}

/// Everything of an environment goes to another folder, and people say yes to that.
fn elsewhere() -> World {
    let world = rests();
    let here = format!("repository: {}", world.output.url());
    let there = format!("repository: {}, path: \"other/{{name}}\"", world.output.url());
    let environment = catalog::environment("dev", &world.output.url(), "");
    world.catalog.commit([environment.and_replace(&here, &there)]);
    world.requests.commit([drop_request(&at("pair"))]);
    world.apply();
    for id in ["orders/dev/one", "orders/dev/two", "billing/dev/other"] {
        world.approve(&world.held(id, "LooksLikeAMove"));
    }
    world
}

fn removal(world: &World) {
    world.requests.commit([drop_request(&at("two"))]);
}

fn renaming(world: &World) {
    let renamed = request_with("note@1.0.0", "{text: two}", "movedFrom: orders/dev/two");
    world.requests.commit([drop_request(&at("two")), ask(&at("renamed"), renamed)]);
}

fn newer(world: &World) {
    world.requests.commit([ask(&at("one"), request("note@1.1.0", "{text: one, tone: loud}"))]);
}

/// Three at once, one of which the output refuses.
fn one_refused(world: &World) {
    std::fs::write(world.root().join("deny"), "").unwrap();
    world.requests.commit([
        ask(&at("refused"), note("refused")),
        ask(&at("one"), note("one-changed")),
        ask(&at("three"), note("three")),
    ]);
}

fn permitted(world: &World) {
    std::fs::remove_file(world.root().join("deny")).unwrap();
    world.vend_ends(0, &["retry", &at("refused")]);
    // One that is not known not to have been done is asked about when its time has come.
    eventually("it is made", || {
        world.vend(&["apply"]);
        let status = world.status_or_none(&at("refused"))?;
        (status["phase"] == "Ready").then_some(())
    });
}

/// A second source with requests of its own, whose environment goes to a second repository.
fn two_sources() -> World {
    let mut world = World::new();
    let (second, output) = (world.repository("second"), world.repository("output-2"));
    second.commit([write("requests/README.md", "Requests.\n")]);
    world.configure(|c| {
        let first = c["requests"][0].clone();
        c["requests"] = json!([first, {"name": "second", "repository": second.url()}]);
        let allow = &mut c["providers"]["files"]["allow"];
        *allow = json!([allow[0], output.url()]);
    });
    world.catalog.commit([catalog::environment("stage", &output.url(), "")]);
    at_rest(world)
}

fn both(world: &World) {
    let second = world.root().join("second");
    let second = crate::world::Repository::open(second, &world.root().join("home"));
    second.commit([ask("search/stage/index", note("index"))]);
    world.requests.commit([ask(&at("one"), note("one-changed"))]);
}

fn changed() -> World {
    let world = rests();
    change(&world);
    world.apply();
    world
}

/// What was changed a moment ago is changed back.
fn back(world: &World) {
    world.requests.commit([
        ask(&at("one"), note("one")),
        ask(&at("pair"), request("pair@1.0.0", "{text: hello}")),
    ]);
}

fn gone_already(world: &World) {
    world.output.commit([remove("dev/orders/two")]);
    world.requests.commit([drop_request(&at("two"))]);
}

/// Another template is asked about.
fn asked_about() -> World {
    let world = rests();
    world.requests.commit([ask(&at("one"), request("reader@1.0.0", "{of: hello}"))]);
    world.apply();
    world
}

fn approval(world: &World) -> Vec<String> {
    let (_, _, sentence) = world.standing(&at("one"));
    vec!["approve".into(), crate::world::to_approve(&sentence)]
}

fn in_a_folder() -> World {
    let mut world = World::new();
    let folder = world.root().join("rendered");
    std::fs::create_dir(&folder).unwrap();
    let allow = folder.to_str().unwrap().to_owned();
    world.configure(|c| c["providers"]["files"]["allow"] = json!([allow]));
    let environment = catalog::environment("dev", &world.output.url(), "");
    let environment = environment.and_replace("repository:", "directory:");
    world.catalog.commit([environment.and_replace(&world.output.url(), &allow)]);
    world.requests.commit([
        ask(&at("one"), note("one")),
        ask(&at("two"), request("reader@1.0.0", "{of: two}")),
    ]);
    world.apply();
    world
}

/// The objects of all mirrors are overwritten.
fn damage(world: &World) {
    change(world);
    for mirror in std::fs::read_dir(world.root().join("state/mirrors")).unwrap().flatten() {
        spoil(&mirror.path().join("objects"));
    }
}

fn spoil(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            spoil(&path);
        } else {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "not what it was").unwrap();
        }
    }
}

fn hundreds(world: &World) {
    world.requests.commit((0..260).map(|n| ask(&at(&format!("n{n}")), note("hello"))));
}

/// The time of one of them is over by now.
fn over() -> World {
    let mut world = World::new();
    // An end that is near must not be put off by the warnings that come before it.
    world.configure(|c| c["expiry"] = json!({"warn": []}));
    let world = at_rest(world);
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let text = request_with("note@1.0.0", "{text: two}", &format!("expiresAt: \"{end:.0}\""));
    world.requests.commit([ask(&at("two"), text)]);
    world.apply();
    while jiff::Timestamp::now() < end + jiff::SignedDuration::from_secs(1) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    world
}

/// The store is one of the version before this one.
fn from_before(world: &World) {
    let store = rusqlite::Connection::open(world.root().join("state/vend.sqlite")).unwrap();
    let back = "ALTER TABLE record DROP COLUMN ends; ALTER TABLE state DROP COLUMN basis;
        PRAGMA user_version = 2";
    store.execute_batch(back).unwrap();
    change(world);
}

/// The state folder is gone, and with it the store.
fn loss(world: &World) {
    std::fs::remove_dir_all(world.root().join("state")).unwrap();
}

fn rebuild(_: &World) -> Vec<String> {
    ["state", "rebuild"].map(str::to_owned).to_vec()
}

/// The last upkeep was long ago, and there is much to join.
fn neglect(world: &World) {
    lab::neglect(world);
    lab::litter(world);
    unrelated(world);
}
