//! A merge queue: pull requests are tried together before they are merged.

use git2::Oid;
use serde_json::{Value, json};

use super::git;
use super::person::Repo;
use super::state::State;

/// Pull requests that are tried together.
pub struct Group {
    pub numbers: Vec<u64>,
    /// The branch that holds them all.
    pub branch: String,
    /// Its commit, on which checks are awaited.
    pub head: String,
    base: Oid,
    base_ref: String,
}

impl Repo<'_> {
    /// Puts pull requests into the queue of their base, in one group.
    #[track_caller]
    pub fn enqueue(&self, user: &str, numbers: &[u64]) -> Group {
        let mut state = self.hub.state();
        let now = state.now();
        let base_ref = state.issue(&self.full, numbers[0]).pull().base_ref.clone();
        let base = state.repos[&self.full].refs[&format!("refs/heads/{base_ref}")];
        let git = git::open(self.git.path());
        let mut head = base;
        for number in numbers {
            let next = state.issue(&self.full, *number).pull().head;
            head = git::test_merge(&git, head, next, now).expect("they go together");
        }
        let last = numbers.last().expect("a pull request");
        let branch = format!("gh-readonly-queue/{base_ref}/pr-{last}-{base}");
        git.reference(&format!("refs/heads/{branch}"), head, true, "queue").unwrap();
        state.sync(&self.full, user);
        let numbers = numbers.to_vec();
        let group = Group { numbers, branch, head: head.to_string(), base, base_ref };
        state.tell_group(&self.full, &group, "checks_requested", user, json!({}));
        group
    }

    /// All of a group is merged: its base is at its commit from then on.
    pub fn merge_group(&self, user: &str, group: &Group) {
        let head = Oid::from_str(&group.head).unwrap();
        let mut state = self.hub.state();
        let git = git::open(self.git.path());
        let name = format!("refs/heads/{}", group.base_ref);
        git.reference(&name, head, true, "queue").unwrap();
        for number in &group.numbers {
            state.set_merged(&self.full, *number, user, head);
        }
        self.leave(&mut state, user, group, "merged");
    }

    /// A group is given up, as when a check fails.
    pub fn drop_group(&self, user: &str, group: &Group) {
        self.leave(&mut self.hub.state(), user, group, "invalidated");
    }

    fn leave(&self, state: &mut State, user: &str, group: &Group, reason: &str) {
        let git = git::open(self.git.path());
        let name = format!("refs/heads/{}", group.branch);
        git.find_reference(&name).unwrap().delete().unwrap();
        state.sync(&self.full, user);
        state.tell_group(&self.full, group, "destroyed", user, json!({"reason": reason}));
    }
}

impl State {
    fn tell_group(&self, full: &str, group: &Group, action: &str, sender: &str, more: Value) {
        let git = git::open(&self.path(full));
        let head = Oid::from_str(&group.head).unwrap();
        let mut payload = more;
        payload["action"] = action.into();
        payload["merge_group"] = json!({
            "head_sha": group.head,
            "head_ref": format!("refs/heads/{}", group.branch),
            "base_sha": group.base.to_string(),
            "base_ref": format!("refs/heads/{}", group.base_ref),
            "head_commit": self.simple_commit(&git, head),
        });
        self.tell(full, "merge_group", sender, payload);
    }
}
