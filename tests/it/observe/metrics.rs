//! What is counted, from end to end, and the page that lists it.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::json;

use super::{counted, names, sample};
use crate::daemon::{Serving, eventually};
use crate::github::Fault;
use crate::review::Desk;
use crate::world::{World, ask, note, request, request_with};

/// A desk whose metrics are served.
fn counting() -> Desk {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["server"] = json!({"listen": "127.0.0.1:0"}));
    desk
}

/// The rows of the page: a metric with the labels that it has.
pub fn rows() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate.md"));
    let page = page.unwrap();
    let row = Regex::new(r"(?m)^\| `(vend_\w+)` \|([^|]*)\|").unwrap();
    // What comes after a colon are values.
    let label = Regex::new(r"(?:^|; |, )`(\w+)`(?:: [^;]*)?").unwrap();
    let labels = |text: &str| label.captures_iter(text).map(|c| c[1].to_owned()).collect();
    row.captures_iter(&page).map(|c| (c[1].to_owned(), labels(c[2].trim()))).collect()
}

/// The labels of each metric, by its samples.
fn labels(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let sample = Regex::new(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? ").unwrap();
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let found = sample.captures(line).unwrap();
        let of = all.entry(found[1].to_owned()).or_default();
        let text = found.get(2).map_or("", |m| m.as_str());
        of.extend(label.captures_iter(text).map(|c| c[1].to_owned()).filter(|l| l != "le"));
    }
    all
}

#[test]
fn every_metric_of_a_running_daemon_is_on_the_page_and_the_other_way_round() {
    let mut desk = counting();
    let receiver = json!([{"name": "call", "url": "http://127.0.0.1:9/"}]);
    desk.world.configure(|c| {
        c["notifications"] = receiver;
        c["traces"] = json!({"endpoint": "http://127.0.0.1:9/v1/traces"});
    });
    let mut daemon = desk.serve();
    let asleep = request_with("note@1.0.0", "{text: hello}", "suspend: true");
    let asks = [ask("orders/dev/one", note("one")), ask("orders/dev/asleep", asleep)];
    let n = desk.propose("ada", "one", asks);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 1");
    counted(&daemon, "vend_holds{reason=\"Suspended\"} 1");
    let (_, text) = daemon.get("/metrics");
    let rows = rows();
    let listed: BTreeSet<String> = rows.keys().cloned().collect();
    assert_eq!(names(&text), listed);
    for (metric, found) in labels(&text) {
        assert_eq!(rows.get(&metric), Some(&found), "the labels of {metric}");
        // Nobody who writes requests can make up a series.
        let chosen = ["request", "team", "environment", "name", "target", "source", "repository"];
        assert!(chosen.iter().all(|label| !found.contains(*label)), "{metric}: {found:?}");
    }
    daemon.stop();
}

#[test]
fn calls_of_providers_and_of_the_forge_are_counted_by_what_came_of_them() {
    let desk = counting();
    let mut daemon = desk.serve();
    let submitted = "vend_provider_calls_total{provider=\"files\",operation=\"submit\",outcome=";
    assert_eq!(sample(&daemon, &format!("{submitted}\"ok\"}}")), Some(0.0));
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    counted(&daemon, &format!("{submitted}\"ok\"}} 1"));
    counted(&daemon, &format!("{submitted}\"refused\"}} 0"));
    let took = "vend_provider_call_duration_seconds_count{provider=\"files\",operation=\"submit\"}";
    assert_eq!(sample(&daemon, took), Some(1.0));
    let forge = |outcome: &str| {
        sample(&daemon, &format!("vend_forge_requests_total{{outcome=\"{outcome}\"}}")).unwrap()
    };
    assert!(forge("ok") > 0.0);
    let before = forge("unavailable");
    desk.hub.fault("GET", "/repos/acme/requests/pulls", None, Fault::Status(502));
    eventually("it is counted", || (forge("unavailable") > before).then_some(()));
    desk.hub.mend();
    let (_, text) = daemon.get("/metrics");
    let budget =
        text.lines().find(|l| l.starts_with("vend_forge_budget_remaining{identity=\"inst"));
    let left: f64 = budget.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(left > 0.0 && left < 5_001.0, "{budget:?}");
    assert!(text.contains("vend_forge_budget_reset_timestamp{identity=\"installation "), "{text}");
    desk.again_nothing();
    daemon.stop();
}

#[test]
fn after_a_restart_over_nothing_new_it_is_known_how_everything_stands_and_for_how_long() {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    world.requests.commit([
        ask("orders/dev/ready", note("hello")),
        ask("orders/dev/wrong", request("note@1.0.0", "{text: 7}")),
        ask("orders/dev/asleep", request_with("note@1.0.0", "{text: hello}", "suspend: true")),
    ]);
    let mut daemon = Serving::ready(&world);
    let stands = |daemon: &Serving| {
        counted(daemon, "vend_requests{phase=\"Ready\"} 1");
        counted(daemon, "vend_holds{reason=\"Invalid\"} 1");
        counted(daemon, "vend_targets_drifted 0");
        counted(daemon, "vend_lease_held 1");
        assert!(sample(daemon, "vend_lease_held_since_timestamp").unwrap() > 1.7e9);
        assert_eq!(sample(daemon, "vend_oldest_effect_age_seconds"), Some(0.0));
        assert_eq!(sample(daemon, "vend_publication_age_seconds"), Some(0.0));
        sample(daemon, "vend_oldest_hold_age_seconds{reason=\"Invalid\"}").unwrap()
    };
    let age = stands(&daemon);
    assert!(sample(&daemon, "vend_queue_age_seconds").unwrap() < 3_600.0);
    daemon.stop();
    // Nothing is new: no pass of this one looks at anything.
    let mut daemon = Serving::ready(&world);
    counted(&daemon, "vend_passes_total{outcome=\"quiet\"} 1");
    counted(&daemon, "vend_passes_total{outcome=\"done\"} 0");
    assert!(stands(&daemon) > age, "the hold is as old as it was, and older");
    daemon.stop();
}

#[test]
fn a_status_branch_that_cannot_be_written_grows_old_until_it_can() {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1s"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    let mut daemon = Serving::ready(&world);
    eventually("a first pass", || world.requests.tip(crate::world::STATUS));
    let age = || sample(&daemon, "vend_publication_age_seconds").unwrap();
    assert_eq!(age(), 0.0);
    // Whoever pushes is told no; commits into it are this test's own.
    let hook = world.requests.path().join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    world.requests.commit([ask("orders/dev/one", note("one"))]);
    let first = eventually("it is behind", || Some(age()).filter(|age| *age > 0.0));
    eventually("it grows", || (age() > first).then_some(()));
    std::fs::remove_file(&hook).unwrap();
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    eventually("it is there again", || (age() == 0.0).then_some(()));
    daemon.stop();
}
