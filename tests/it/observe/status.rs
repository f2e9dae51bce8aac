//! What whoever is on call reads first, and by what log lines are found.

use serde_json::{Value, json};

use super::counted;
use crate::daemon::{Serving, eventually};
use crate::world::{World, ask, note, request};

fn patient() -> World {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    world
}

fn line(world: &World, word: &str) -> Option<String> {
    let said = world.vend_ends(0, &["status"]).stdout;
    said.lines().find(|line| line.split(' ').next() == Some(word)).map(str::to_owned)
}

#[test]
fn status_says_first_whether_it_works_and_what_needs_somebody() {
    let world = patient();
    world.requests.commit([ask("orders/dev/one", note("one"))]);
    world.apply();
    let said = line(&world, "vend").unwrap();
    assert!(said.contains("no daemon answers here") && said.contains("systemctl"), "{said}");
    let mut daemon = Serving::ready(&world);
    let works = || line(&world, "vend").filter(|it| it.contains("the last pass ended well"));
    let said = eventually("it works", works);
    assert!(said.starts_with("vend holds the lease since 2"), "{said}");
    // How long ago that was goes on between two looks.
    let first = world.vend_ends(0, &["status"]).stdout;
    let first = first.lines().next().unwrap_or_default();
    assert!(first.starts_with("vend holds the lease since 2"), "{first}");
    for word in ["passes", "publishing", "failed", "held", "unseen", "drifted", "under"] {
        assert_eq!(line(&world, word), None, "all is as it should be");
    }
    // Four things that wait for somebody; three are named, the oldest first.
    for name in ["a", "b", "c", "d"] {
        let id = format!("orders/dev/{name}");
        world.requests.commit([ask(&id, request("note@1.0.0", "{text: 7}"))]);
        counted(&daemon, &format!("vend_holds{{reason=\"Invalid\"}} {}", name.as_bytes()[0] - 96));
    }
    let said = line(&world, "held").unwrap();
    assert!(
        said.starts_with(
            "held 4 until somebody acts, the oldest first: orders/dev/a (Invalid for "
        ),
        "{said}"
    );
    assert!(said.ends_with(" and 1 more; `vend explain orders/dev/a`"), "{said}");
    let all = world.vend_ends(0, &["status", "--format", "json"]).json();
    assert_eq!(all["attention"]["held"]["count"], 4);
    assert_eq!(all["attention"]["failed"]["count"], 0);
    assert!(all["daemon"]["leadingSince"].is_string(), "{all}");
    // Of one request that is fine, nothing of the others.
    let one = world.vend_ends(0, &["status", "orders/dev/one"]).stdout;
    assert!(!one.lines().any(|it| it.starts_with("held ")), "{one}");
    // A laptop's has no daemon to ask about: these lines are the operator's.
    let mend = ["a", "b", "c", "d"].map(|it| ask(&format!("orders/dev/{it}"), note("mended")));
    world.requests.commit(mend);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 5");
    assert_eq!(line(&world, "held"), None, "again: nothing that needs somebody");
    daemon.stop();
}

#[test]
fn lines_of_the_log_say_to_which_pass_and_which_request_they_belong() {
    let world = patient();
    world.requests.commit([ask("orders/dev/one", note("one"))]);
    let mut daemon = Serving::ready(&world);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 1");
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 2");
    daemon.stop();
    let lines: Vec<Value> =
        daemon.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pass = |line: &Value| {
        let spans = line["spans"].as_array()?.iter();
        let pass = spans.clone().find(|span| span["name"] == "pass")?;
        Some(pass["id"].as_str().unwrap().to_owned())
    };
    let of = |message: &str| -> Vec<&Value> {
        lines.iter().filter(|it| it["fields"]["message"] == message).collect()
    };
    for name in ["one", "two"] {
        let request = format!("orders/dev/{name}");
        let find = |message: &str| {
            of(message).into_iter().find(|it| it["fields"]["request"] == request).unwrap()
        };
        let (begun, done) = (pass(find("intent")), pass(find("done")));
        assert!(begun.is_some() && begun == done, "{request}: {begun:?}, {done:?}");
    }
    let passes: std::collections::BTreeSet<_> = of("intent").into_iter().map(pass).collect();
    assert_eq!(passes.len(), 2, "each pass has its own id: {passes:?}");
    assert_eq!(pass(of("the lease is held")[0]), None);
}
