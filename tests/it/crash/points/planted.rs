//! A suite that finds nothing proves nothing: each fault that can be planted is found by the story that
//! is there for it. The story is run again, by itself and in a process of its own, with the fault in it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;

use vend::fault::PLANTED;

/// Each fault, and the test that finds it.
const FOUND_BY: &[(&str, &str)] = &[
    ("intent-after-effect", "crash::points::f61_update"),
    ("token-anew", "crash::points::f61_update"),
    ("unknown-is-failure", "crash::points::race::f35_an_answer_that_was_lost_is_said_to_be"),
    ("approval-kept", "stories::approval::a_downgrade_is_asked_about_each_time"),
    ("epoch-unchecked", "daemon::life::f66_a_paused_daemon_that_wakes_up_writes_nothing_and_ends"),
    ("lease-shared", "daemon::life::f66_a_second_daemon_stands_by_and_takes_over_from_a_dead_one"),
    (
        "error-is-absent",
        "stories::output::an_output_that_cannot_be_reached_is_no_reason_to_delete_or_create",
    ),
    ("rewrite-unseen", "stories::source::f04_an_unrelated_history_is_held_until_it_is_accepted"),
    ("no-folder-is-empty", "stories::source::f08_a_requests_folder_that_is_gone_deletes_nothing"),
    (
        "breaker-off",
        "stories::delete::b84_thirty_of_a_hundred_go_only_when_a_person_approves_that_very_set",
    ),
    ("two-deletions-more", "stories::delete::b84_one_more_than_may_go_at_once_waits"),
    ("protection-ignored", "stories::delete::a_protected_request_goes_only_after_its_tombstone"),
    ("push-by-force", "crash::points::race::f16_a_commit_that_comes_just_before_the_push_stays"),
    ("loss-unasked", "crash::lossy::a_replacement_waits_for_a_person_and_is_previewed_once"),
    ("owner-unchecked", "stories::drift::f67_another_instances_folder_is_not_ours"),
    ("secret-kept", "stacks::secret::b74_what_is_not_to_be_echoed_is_told_nowhere"),
    (
        "retry-at-once",
        "stories::output::a_push_that_the_output_denies_is_tried_again_later_and_not_in_a_loop",
    ),
    ("commit-of-theirs-lost", "review::offer::each_team_is_asked_once_and_no_is_no"),
    ("signature-unchecked", "review::trouble::f56_f57_webhooks_wake_and_forged_ones_do_nothing"),
    (
        "author-approves",
        "review::approval::b96_whoever_pushed_to_somebodys_branch_does_not_approve_it",
    ),
    (
        "fork-trusted",
        "review::fork::b94_a_fork_reaches_no_provider_before_a_maintainer_asks_for_that_very_commit",
    ),
    (
        "pull-request-unasked",
        "review::gate::b97_what_is_pushed_directly_waits_until_a_person_lets_it_through",
    ),
    (
        "review-binds-nothing",
        "review::approval::b100_f29_a_catalog_that_moved_before_the_merge_holds_what_was_not_reviewed",
    ),
    ("unsaid-forgotten", "crash::points::f61_delete"),
    (
        "unpublished-forgotten",
        "stories::publish::f18_a_publication_that_failed_is_told_until_it_is_made",
    ),
    ("hand-edit-kept", "stories::publish::f20_a_hand_edit_is_never_read_and_is_overwritten"),
];

/// How one of them came out: whether the test was there, and whether it failed.
fn outcome(fault: &str, test: &str) -> Result<(), String> {
    let run = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--test-threads", "1"])
        .env("VEND_PLANTED", fault)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    if !said.contains("running 1 test") {
        return Err(format!("{fault}: there is no test {test}"));
    }
    if run.status.success() {
        return Err(format!("{fault}: {test} finds nothing"));
    }
    Ok(())
}

#[test]
fn every_planted_fault_is_found() {
    let known: BTreeSet<&str> = PLANTED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = FOUND_BY.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, found, "the table is not whole");
    assert_eq!(found.len(), FOUND_BY.len(), "a fault stands twice in the table");
    // Within a test that runs one of these, all would run again.
    if std::env::var_os("VEND_PLANTED").is_some() {
        return;
    }
    let wrong = Mutex::new(Vec::new());
    super::run::share_out(6, FOUND_BY.to_vec(), |(fault, test)| {
        if let Err(error) = outcome(fault, test) {
            wrong.lock().unwrap().push(error);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
