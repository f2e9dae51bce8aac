//! What every status of a stack means to vend: one row each, and what a person does next.

use aws_sdk_cloudformation::types::StackStatus as S;

/// What can be done with a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It is whole: it can be changed and deleted.
    Whole,
    /// Something is going on; ask again.
    Busy,
    /// It was never made whole, and what is left of it must be deleted before it can be made again.
    Rubble,
    /// Somebody must do something first.
    Stuck,
    /// It is gone.
    Gone,
}

/// How an operation that left a stack in this status ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// As it was meant.
    Good,
    /// Not as it was meant.
    Bad,
    /// Not yet.
    Open,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) standing: Standing,
    pub(super) ending: Ending,
    /// The next step for a person, where there is one; `{stack}` stands for its name, `{region}` for
    /// where it is.
    pub(super) advice: Option<&'static str>,
}

/// The table. Source: "Stack status codes" in the CloudFormation user guide.
pub(super) fn row(status: &S) -> Row {
    use Ending::{Bad, Good, Open};
    use Standing::{Busy, Gone, Rubble, Stuck, Whole};
    let (standing, ending, advice) = match status {
        S::CreateComplete | S::UpdateComplete | S::ImportComplete => (Whole, Good, None),
        S::UpdateRollbackComplete | S::ImportRollbackComplete => (Whole, Bad, None),
        S::CreateInProgress
        | S::UpdateInProgress
        | S::DeleteInProgress
        | S::RollbackInProgress
        | S::UpdateRollbackInProgress
        | S::UpdateCompleteCleanupInProgress
        | S::UpdateRollbackCompleteCleanupInProgress
        | S::ImportInProgress
        | S::ImportRollbackInProgress => (Busy, Open, None),
        S::ReviewInProgress => (Rubble, Open, Some(REVIEW)),
        S::RollbackComplete => (Rubble, Bad, Some(ROLLED_BACK)),
        S::CreateFailed => (Rubble, Bad, Some(CREATE_FAILED)),
        S::RollbackFailed => (Rubble, Bad, Some(ROLLBACK_FAILED)),
        S::UpdateFailed => (Stuck, Bad, Some(UPDATE_FAILED)),
        S::UpdateRollbackFailed => (Stuck, Bad, Some(UPDATE_ROLLBACK_FAILED)),
        S::ImportRollbackFailed => (Stuck, Bad, Some(IMPORT_ROLLBACK_FAILED)),
        S::DeleteFailed => (Stuck, Bad, Some(DELETE_FAILED)),
        S::DeleteComplete => (Gone, Good, None),
        // A status that came after this program: nobody knows what may be done.
        _ => (Stuck, Open, Some(UNKNOWN)),
    };
    Row { standing, ending, advice }
}

/// Whether a stack may be in this status that was never whole. What came after this program is none.
pub(super) fn is_before_whole(status: &str) -> bool {
    matches!(
        S::from(status),
        S::ReviewInProgress
            | S::CreateInProgress
            | S::CreateFailed
            | S::RollbackInProgress
            | S::RollbackComplete
            | S::RollbackFailed
            | S::DeleteInProgress
            | S::DeleteFailed
    )
}

/// How the stack's own event ends an operation; `None`: it does not.
pub(super) fn ending(event: &str) -> Option<Ending> {
    match S::from(event) {
        S::UpdateCompleteCleanupInProgress => None,
        status => Some(row(&status).ending).filter(|e| *e != Ending::Open),
    }
}

const REVIEW: &str = "it holds nothing but a change set that was never executed: approve that it is deleted and made anew, or delete it with `aws cloudformation delete-stack --region {region} --stack-name {stack}`";
const ROLLED_BACK: &str = "its creation failed and was rolled back (what its deletion policies keep stays), and CloudFormation changes no such stack: mend the cause, then approve that it is deleted and made anew";
const CREATE_FAILED: &str = "its creation failed and was not rolled back, so that resources may be in it: look at them, mend the cause, then approve that it is deleted with all that is in it, and made anew";
const ROLLBACK_FAILED: &str = "its creation failed, and so did the rollback: see in its events which resource could not be deleted, remove what holds it, mend the cause, then approve that it is deleted and made anew";
const UPDATE_FAILED: &str = "an update failed with rollback turned off: roll it back with `aws cloudformation rollback-stack --region {region} --stack-name {stack}`, then run `vend retry`";
const UPDATE_ROLLBACK_FAILED: &str = "an update failed, and so did the rollback: see in its events which resource could not be restored, mend that, and run `aws cloudformation continue-update-rollback --region {region} --stack-name {stack}`, then `vend retry`; nothing is skipped without a person";
const IMPORT_ROLLBACK_FAILED: &str = "an import failed, and so did its rollback: see its events, mend that, and run `aws cloudformation continue-update-rollback --region {region} --stack-name {stack}`";
const DELETE_FAILED: &str = "its deletion failed: see in its events which resource could not be deleted, and remove what holds it; where it is to go, run `vend retry`, and where its file asks for it again, delete what is left with `aws cloudformation delete-stack --region {region} --stack-name {stack}`, and it is made anew; `--retain-resources …` keeps what cannot go";
/// Of one that its own events say was never whole: its status alone does not tell that.
pub(super) const UNMADE: &str = "its creation failed, and so did the deletion of what it had made: see in its events which resource could not be deleted, remove what holds it, mend the cause, then approve that it is deleted and made anew";
const UNKNOWN: &str = "this vend does not know that status: look at the stack, and at a newer vend";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f41_every_status_has_a_row_of_its_own_and_the_stuck_ones_an_advice() {
        for word in S::values() {
            let row = row(&S::from(*word));
            assert_ne!(row.advice, Some(UNKNOWN), "{word}");
            let needs = matches!(row.standing, Standing::Rubble | Standing::Stuck);
            assert_eq!(row.advice.is_some(), needs, "{word}");
            let advice = row.advice.unwrap_or_default();
            let commands = advice.matches("`aws cloudformation ").count();
            let whole = advice.matches("--region {region} --stack-name {stack}").count();
            assert_eq!(commands, whole, "to be run as it is: {advice}");
            let open = matches!(row.ending, Ending::Open);
            assert_eq!(open, word.ends_with("_IN_PROGRESS"), "{word}");
        }
    }

    #[test]
    fn what_may_have_been_whole_is_never_taken_for_the_rest_of_a_creation() {
        for word in S::values() {
            let never = row(&S::from(*word)).standing == Standing::Rubble;
            assert!(!never || is_before_whole(word), "{word}");
            let once = ["UPDATE", "IMPORT", "CREATE_COMPLETE"].iter().any(|w| word.starts_with(w));
            assert!(!once || !is_before_whole(word), "{word}");
        }
        assert!(!is_before_whole("QUANTUM_COMPLETE"));
        // One that lived and one that did not look the same by it: its events tell.
        assert_eq!(row(&S::DeleteFailed).standing, Standing::Stuck);
    }

    #[test]
    fn what_is_newer_than_this_program_is_left_alone() {
        let row = row(&S::from("QUANTUM_COMPLETE"));
        assert_eq!((row.standing, row.ending), (Standing::Stuck, Ending::Open));
        assert_eq!(ending("QUANTUM_COMPLETE"), None);
    }

    #[test]
    fn cleaning_up_is_no_end() {
        assert_eq!(ending("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), None);
        assert_eq!(ending("UPDATE_COMPLETE"), Some(Ending::Good));
        assert_eq!(ending("UPDATE_ROLLBACK_COMPLETE"), Some(Ending::Bad));
        assert_eq!(ending("ROLLBACK_COMPLETE"), Some(Ending::Bad));
    }
}
