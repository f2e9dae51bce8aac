//! What a test needs of the machine and does not find: it says so, where nobody can overlook it, and where it
//! must be there the test fails.

use std::io::Write as _;

/// What must be here, with commas between. `scripts/test` names what it has found, `.ci/run` what CI has.
const REQUIRED: &str = "VEND_REQUIRE";

/// A file that gets a line for each test that did not run; `scripts/test` shows it at its end.
const LOG: &str = "VEND_NOT_RUN";

/// Says that a test, or a part of one, did not run for want of a tool.
///
/// # Panics
/// Where that tool must be here.
#[track_caller]
pub fn not_run(test: &str, tool: &str, why: &str) {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    assert!(
        !required.split(',').any(|it| it == tool),
        "{test}: {why}, and {REQUIRED} says that `{tool}` is here"
    );
    let line = format!("NOT RUN: {test}: {why}\n");
    let written = std::env::var_os(LOG).filter(|file| !file.is_empty()).is_some_and(|file| {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        file.and_then(|mut file| file.write_all(line.as_bytes())).is_ok()
    });
    if !written {
        // Past what the harness keeps to itself.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
