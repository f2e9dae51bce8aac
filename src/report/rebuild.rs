//! What came of rebuilding a store.

use jiff::Timestamp;

use crate::model::{Rebuilt, Revision, visible};

/// For a terminal: where it came from, how much of it there is, and what to do next.
pub fn terminal(
    tip: &Revision,
    at: Option<Timestamp>,
    rebuilt: &Rebuilt,
    remarks: &[String],
) -> String {
    let Rebuilt { requests, applied, found, open } = *rebuilt;
    let at = at.map(|at| format!(", made at {at}")).unwrap_or_default();
    let mut out = format!(
        "The store is rebuilt from {tip} of the status branch{at}.\n\
         {requests} requests, {applied} of them with something applied; {found} targets stand as they \
         were recorded"
    );
    out.push_str(&match open {
        0 => ".\n".to_owned(),
        1 => ", 1 does not: the next pass looks at it.\n".to_owned(),
        n => format!(", {n} do not: the next pass looks at them.\n"),
    });
    for remark in remarks {
        out.push_str(&format!("- {}\n", visible(remark, 500)));
    }
    out.push_str(
        "Nothing was applied. Approvals and histories are not on the branch: what waits for an approval \
         asks again. Look at `vend plan`, then start the daemon or `vend apply`.",
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_there_is_and_what_to_do() {
        let rebuilt = Rebuilt { requests: 12, applied: 11, found: 13, open: 1 };
        let remarks = ["the branch has no `state.yaml`".to_owned()];
        let at = Some(Timestamp::UNIX_EPOCH);
        insta::assert_snapshot!(terminal(&Revision::new("2f6e77d1"), at, &rebuilt, &remarks), @"
        The store is rebuilt from 2f6e77d1 of the status branch, made at 1970-01-01T00:00:00Z.
        12 requests, 11 of them with something applied; 13 targets stand as they were recorded, 1 does not: the next pass looks at it.
        - the branch has no `state.yaml`
        Nothing was applied. Approvals and histories are not on the branch: what waits for an approval asks again. Look at `vend plan`, then start the daemon or `vend apply`.
        ");
    }
}
