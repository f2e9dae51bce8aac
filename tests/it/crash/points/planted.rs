//! A suite that finds nothing proves nothing: each fault that can be planted is found by the story that
//! is there for it. The story is run again, by itself and in a process of its own, with the fault in it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;

use vend::fault::PLANTED;

/// Each fault, a test that finds it, and the words in which that test says so: one that fails for another
/// reason, such as a deadline on a busy machine, has found nothing.
const FOUND_BY: &[(&str, &str, &str)] = &[
    ("intent-after-effect", "crash::points::f61_update", "sent without an intent"),
    (
        "intent-after-effect",
        "stacks::fault::i3_no_stack_is_touched_before_the_intent_is_on_disk",
        "sent without an intent",
    ),
    ("token-anew", "crash::points::f61_update", "sent without an intent"),
    (
        "token-anew",
        "crash::points::random::files::f61_killed_at_random_moments",
        "sent without an intent",
    ),
    (
        "token-anew",
        "stacks::fault::i3_no_stack_is_touched_before_the_intent_is_on_disk",
        "sent without an intent",
    ),
    (
        "unknown-is-failure",
        "crash::points::race::f35_an_answer_that_was_lost_is_said_to_be",
        r#"right: "Unknown""#,
    ),
    (
        "approval-kept",
        "stories::approval::a_downgrade_is_asked_about_each_time",
        r#"right: ("Held", "NeedsApproval")"#,
    ),
    (
        "epoch-unchecked",
        "daemon::life::f66_a_paused_daemon_that_wakes_up_writes_nothing_and_ends",
        "never: the daemon ends",
    ),
    (
        "lease-shared",
        "daemon::life::f66_a_second_daemon_stands_by_and_takes_over_from_a_dead_one",
        "never logged standing by",
    ),
    (
        "error-is-absent",
        "stories::output::an_output_that_cannot_be_reached_is_no_reason_to_delete_or_create",
        "nothing is forgotten unseen",
    ),
    (
        "rewrite-unseen",
        "stories::source::f04_an_unrelated_history_is_held_until_it_is_accepted",
        "done deleted   payments/dev/other#note",
    ),
    (
        "no-folder-is-empty",
        "stories::source::f08_a_requests_folder_that_is_gone_deletes_nothing",
        "Applied: 2 deleted",
    ),
    (
        "breaker-off",
        "stories::delete::b84_thirty_of_a_hundred_go_only_when_a_person_approves_that_very_set",
        "done deleted   team-",
    ),
    (
        "two-deletions-more",
        "stories::delete::b84_one_more_than_may_go_at_once_waits",
        "no status of team-0/dev/note-001",
    ),
    (
        "protection-ignored",
        "stories::delete::a_protected_request_goes_only_after_its_tombstone",
        "no status of orders/prod/kept",
    ),
    (
        "push-by-force",
        "crash::points::race::f16_a_commit_that_comes_just_before_the_push_stays",
        r#"right: Some("Mine.\n")"#,
    ),
    (
        "loss-unasked",
        "crash::lossy::a_replacement_waits_for_a_person_and_is_previewed_once",
        "a loss that was foretold went on, and nobody was asked",
    ),
    (
        "owner-unchecked",
        "stories::drift::f67_another_instances_folder_is_not_ours",
        r#"right: ("Held", "NotOurs")"#,
    ),
    (
        "secret-kept",
        "stacks::secret::b74_what_is_not_to_be_echoed_is_told_nowhere",
        "the output is in",
    ),
    (
        "retry-at-once",
        "stories::output::a_push_that_the_output_denies_is_tried_again_later_and_not_in_a_loop",
        "the next pass applies it",
    ),
    (
        "commit-of-theirs-lost",
        "review::offer::each_team_is_asked_once_and_no_is_no",
        "is not in acme/requests",
    ),
    (
        "signature-unchecked",
        "review::trouble::f56_f57_webhooks_wake_and_forged_ones_do_nothing",
        "right: 401",
    ),
    (
        "author-approves",
        "review::approval::b96_whoever_pushed_to_somebodys_branch_does_not_approve_it",
        "said yes and pushed to it",
    ),
    (
        "fork-trusted",
        "review::fork::b94_a_fork_reaches_no_provider_before_a_maintainer_asks_for_that_very_commit",
        r#"the comment never said ["orders/dev/it", "/vend plan "#,
    ),
    (
        "pull-request-unasked",
        "review::gate::b97_what_is_pushed_directly_waits_until_a_person_lets_it_through",
        "never: it is held",
    ),
    (
        "review-binds-nothing",
        "review::approval::b100_f29_a_catalog_that_moved_before_the_merge_holds_what_was_not_reviewed",
        r#"the comment never said ["/vend approve ""#,
    ),
    (
        "unsaid-forgotten",
        "crash::points::f61_delete",
        "delete with pass.say.before=kill@1: what is said of requests is wrong",
    ),
    (
        "unpublished-forgotten",
        "stories::publish::f18_a_publication_that_failed_is_told_until_it_is_made",
        "a status that could not be published is not tried again",
    ),
    (
        "hand-edit-kept",
        "stories::publish::f20_a_hand_edit_is_never_read_and_is_overwritten",
        r#"left: "apiVersion: vend.dev/v1"#,
    ),
    (
        "done-before-call",
        "daemon::life::f62_sigterm_in_the_middle_loses_nothing_and_begins_nothing",
        "a step was done twice or not at all",
    ),
    (
        "secret-in-error",
        "stacks::secret::b74_what_an_error_repeats_of_a_secret_value_is_told_nowhere",
        "an error tells a secret",
    ),
    (
        "webhook-null-panics",
        "forge::webhook::f60_null_in_any_field_and_any_other_kind_makes_nothing_panic",
        "every pull request has a number",
    ),
];

/// How one of them came out: whether the test was there, and whether it failed in those words.
fn outcome(fault: &str, test: &str, words: &str) -> Result<(), String> {
    outcome_of(ends(fault, test), fault, test, words)
}

/// A test alone, with a fault in it.
fn ends(fault: &str, test: &str) -> Command {
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args([test, "--exact", "--test-threads", "1"]).env("VEND_PLANTED", fault);
    run
}

fn outcome_of(mut run: Command, fault: &str, test: &str, words: &str) -> Result<(), String> {
    let run = run.output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    if !said.contains("running 1 test") {
        return Err(format!("{fault}: there is no test {test}"));
    }
    if run.status.success() {
        return Err(format!("{fault}: {test} finds nothing"));
    }
    match said.contains("panicked at") && said.contains(words) {
        true => Ok(()),
        false => Err(format!("{fault}: {test} fails, and not with `{words}`: {said}")),
    }
}

/// Ends at random moments of which one is right after a deletion was done and before it is said: a few dozen of them.
const ENDS: &str = "1600";

#[test]
fn what_is_never_said_is_found_by_ends_at_random_moments_too() {
    // That takes minutes.
    if !super::run::whole() || std::env::var_os("VEND_PLANTED").is_some() {
        return;
    }
    let (fault, test) =
        ("unsaid-forgotten", "crash::points::random::files::f61_killed_at_random_moments");
    let mut run = ends(fault, test);
    run.env("VEND_CRASH", ENDS);
    outcome_of(run, fault, test, "never: files: round").unwrap();
}

#[test]
fn every_planted_fault_is_found() {
    let known: BTreeSet<&str> = PLANTED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = FOUND_BY.iter().map(|(name, ..)| *name).collect();
    assert_eq!(known, found, "the table is not whole");
    let rows: BTreeSet<_> = FOUND_BY.iter().map(|(name, test, _)| (name, test)).collect();
    assert_eq!(rows.len(), FOUND_BY.len(), "a fault stands twice in the table with one test");
    // Within a test that runs one of these, all would run again.
    if std::env::var_os("VEND_PLANTED").is_some() {
        return;
    }
    let wrong = Mutex::new(Vec::new());
    super::run::share_out(6, FOUND_BY.to_vec(), |(fault, test, words)| {
        if let Err(error) = outcome(fault, test, words) {
            wrong.lock().unwrap().push(error);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
