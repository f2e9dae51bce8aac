//! What those who look after a running vend are told: metrics, alerts and their pages.

mod alerts;
pub mod collector;
mod metrics;
mod notify;
pub mod receiver;
mod status;
mod traces;

use std::collections::BTreeSet;

use crate::daemon::{Serving, eventually};

/// Waits until a line of the metrics is this.
#[track_caller]
pub fn counted(daemon: &Serving, line: &str) {
    let mut last = String::new();
    let found = || {
        last = daemon.get("/metrics").1;
        last.lines().any(|it| it == line).then_some(())
    };
    eventually(line, found);
}

/// The value of a sample, by its name with its labels.
pub fn sample(daemon: &Serving, name: &str) -> Option<f64> {
    let (_, text) = daemon.get("/metrics");
    let value = text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

/// The names of metrics as people write them: of a counter with `_total`, of a histogram without more.
pub fn names(text: &str) -> BTreeSet<String> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let name = |line: &str| match line.split_once(' ') {
        Some((name, "counter")) => format!("{name}_total"),
        Some((name, _)) => name.to_owned(),
        None => panic!("{line}"),
    };
    declared.map(name).collect()
}
