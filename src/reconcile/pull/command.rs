//! What people ask for in comments.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::kept::{Kept, Person};
use super::whose::Whose;
use super::{Reviewer, Trouble, Turn, Visit};
use crate::catalog;
use crate::digest::Digest;
use crate::forge::command::{self, Command};
use crate::forge::{ForgeError, Permission, Reaction};
use crate::model::{
    Approval, Hold, HoldReason, Length, PullKey, Remarked, Reply, RequestId, Requirement, Revision,
};
use crate::reconcile::view;
use crate::report;
use crate::store::PersonWrite;

/// A forge may show a comment a moment after it was written.
const OVERLAP: SignedDuration = SignedDuration::from_secs(30);

/// Comments remembered as answered.
const ANSWERED: usize = 500;

/// Requests that one command is answered for.
const EXTENDED: usize = 10;

/// Said to authors.
const OWN: &str = "whoever opened a pull request, or pushed to it, does not approve it";

/// Said to authors of what came to the catalog.
const OWN_CATALOG: &str = "it comes to something else by the version of its template, or by its environment, that \
     you brought to the catalog: somebody else approves that";

/// Said to who may not.
const WRITERS: &str = "this takes somebody who may write to the repository";

/// Said to who may not, where one line is for more than a rule asks for.
const BOTH: &str = "the same yes is for what a rule asks a team for and for what none does: this takes somebody of \
                    the team who may also write to the repository";

/// Said of a digest that stands for nothing here.
const NOTHING: &str =
    "nothing of this pull request waits for that; the comment above has the line to paste";

/// Requests that an answer names.
const NAMED: usize = 20;

/// Said to who may not write everywhere.
const WRITERS_ALL: &str = "the same yes is for requests of other repositories: this takes somebody who may \
     write there as well";

/// Said where nothing tells whose all of it is.
const PUSHED_ALL: &str = "the same yes is for others as well, of which some came without a pull request: who \
     looks after vend approves it with `vend approve` where vend runs";

/// Said where nothing tells whose it is.
const PUSHED: &str = "it came without a pull request: bring it with one, or let it through with \
     `vend approve` where vend runs";

/// Said where the forge does not let us read who somebody is.
const TEAMS: &str = "vend may not read teams: give the App Members: read, then ask again";
const RIGHTS: &str = "vend may not read who may write: give the App Metadata: read, then ask again";

/// Who says yes.
struct Approver<'a> {
    who: Person<'a>,
    writes: bool,
}

/// What came of a command.
struct Done {
    with: Reaction,
    text: String,
}

impl Reviewer {
    /// Reads what was written since, and does what is asked for.
    pub(super) async fn listen(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &mut Kept,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let repo = &visit.place.repo;
        let since = kept.heard.map(|heard| heard - OVERLAP);
        let remarks = self.forge.remarks(repo, kept.pull.number, since).await?;
        for remark in &remarks {
            let is_late = since.is_some_and(|since| remark.at < since);
            if remark.bot || is_late || kept.answered.contains(&remark.id) {
                continue;
            }
            let commands = command::commands(&remark.body);
            if commands.is_empty() || remark.by == self.forge.me().await?.login {
                continue;
            }
            self.take_stock(visit, kept).await?;
            for command in &commands {
                let done = self.obey(visit, kept, remark, command, turn).await?;
                kept.owed.insert(remark.id, done.with);
                kept.reply(Reply {
                    comment: remark.id,
                    by: remark.by.clone(),
                    command: command.to_string(),
                    text: done.text,
                    at: (visit.clock)(),
                });
            }
            kept.answered.insert(remark.id);
            if kept.answered.len() > ANSWERED {
                kept.answered.pop_first();
            }
            // Whatever was asked, what is said is looked at again.
            self.looked.remove(key);
            kept.over = false;
            // Done is done, whatever becomes of the next one: nothing is obeyed twice.
            self.keep(visit, key, kept.clone()).await?;
        }
        if let Some(last) = remarks.iter().map(|remark| remark.at).max() {
            kept.heard = kept.heard.max(Some(last));
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        visit: &Visit<'_>,
        kept: &mut Kept,
        remark: &Remarked,
        command: &Command,
        turn: &mut Turn,
    ) -> Result<Done, Trouble> {
        let who = &remark.by;
        if remark.updated > remark.at {
            // Whoever may write can edit what others wrote, and the forge does not say who did.
            return Ok(Done {
                with: Reaction::Confused,
                text: "the comment was edited after it was written: write it anew".into(),
            });
        }
        let permission = match self.forge.permission(&visit.place.repo, who).await {
            Err(ForgeError::Refused { text }) => {
                tracing::warn!(repo = %visit.place.repo, text, "the forge does not tell who may what");
                return Ok(no(RIGHTS));
            }
            other => other?,
        };
        let person = Person { name: who, id: remark.by_id };
        let author = &kept.pull;
        let is_author = person.is_among([&author.author].into_iter(), author.author_id.into_iter());
        let needed = match command {
            Command::Retry { .. } => Permission::Write,
            // Whose word counts depends on what is approved.
            Command::Approve { .. } => Permission::Read,
            Command::Plan { .. } if kept.pull.fork => Permission::Write,
            Command::Plan { .. } | Command::Explain { .. } | Command::Extend { .. }
                if is_author =>
            {
                Permission::Read
            }
            Command::Plan { .. } | Command::Explain { .. } | Command::Extend { .. } => {
                Permission::Triage
            }
            Command::Help { .. } => Permission::Read,
        };
        if permission < needed {
            return Ok(no(WRITERS));
        }
        match command {
            Command::Help { unknown } => {
                let with = if unknown.is_some() { Reaction::Confused } else { Reaction::Eyes };
                Ok(Done { with, text: report::pull::help(unknown.as_deref()) })
            }
            Command::Plan { commit } => Ok(self.plan_again(kept, commit.as_ref())),
            Command::Retry { request } => self.retry(kept, request.as_ref(), turn).await,
            Command::Approve { .. } if kept.is_whose(person) => Ok(no(OWN)),
            Command::Approve { digest } => {
                let who = Approver { who: person, writes: permission >= Permission::Write };
                self.approve(visit, kept, who, *digest, turn).await
            }
            Command::Explain { request } => self.explain(visit, request).await,
            Command::Extend { request, by } => {
                self.extend(visit, kept, request.as_ref(), *by).await
            }
        }
    }

    /// A fork is planned against the world only for the commit that was named.
    fn plan_again(&self, kept: &mut Kept, commit: Option<&Revision>) -> Done {
        if !kept.pull.fork {
            return yes("planned again");
        }
        match commit {
            Some(commit) if *commit == kept.pull.head => {
                kept.asked = Some(commit.clone());
                yes("planned against the world, for this commit alone")
            }
            Some(_) => no("that is not the commit at the head of this pull request now"),
            None => no("it comes from a fork: name the whole id of the commit that you have read"),
        }
    }

    async fn retry(
        &self,
        kept: &Kept,
        request: Option<&RequestId>,
        turn: &mut Turn,
    ) -> Result<Done, Trouble> {
        let own = kept.shown.iter().flat_map(|shown| shown.own.keys());
        let ids: Vec<RequestId> =
            own.filter(|id| request.is_none_or(|r| r == *id)).cloned().collect();
        if ids.is_empty() {
            return Ok(no("none of the requests of this pull request is called that"));
        }
        let count = ids.len();
        let writes = ids.into_iter().map(|request| PersonWrite::RetryNow { request });
        self.store.note(writes.collect()).await?;
        turn.wake = true;
        Ok(yes(&match count {
            1 => "it is tried again now".to_owned(),
            n => format!("{n} requests are tried again now"),
        }))
    }

    /// Only what is asked for here can be approved here.
    async fn approve(
        &mut self,
        visit: &Visit<'_>,
        kept: &Kept,
        Approver { who, writes }: Approver<'_>,
        digest: Digest,
        turn: &mut Turn,
    ) -> Result<Done, Trouble> {
        let own = |id: &RequestId| kept.shown.as_ref().is_some_and(|s| s.own.contains_key(id));
        let standing = self.store.standing().await?;
        // One yes is for all that wait for it, whatever pull requests they came with.
        let asked: Vec<&Hold> = standing
            .holds
            .iter()
            .map(|row| &row.hold)
            .filter(|hold| report::hold::digest(&hold.reason) == Some(digest))
            .collect();
        if !asked.iter().any(|hold| own(&hold.request)) {
            return Ok(no(match writes {
                true => NOTHING,
                false => WRITERS,
            }));
        }
        // Who pushed it nobody can tell: it could be whoever asks.
        if asked.iter().any(|hold| matches!(hold.reason, HoldReason::NeedsPullRequest { .. })) {
            return Ok(no(PUSHED));
        }
        let requests: BTreeSet<RequestId> = asked.iter().map(|hold| hold.request.clone()).collect();
        let Person { name: by, id: by_id } = who;
        let has_moved = |hold: &&&Hold| matches!(hold.reason, HoldReason::PlanChanged { .. });
        let moved = asked.iter().filter(has_moved).map(|hold| hold.request.clone()).collect();
        let here = match self.whose(visit, who, &requests, &moved).await? {
            Whose::Others { here } => here,
            Whose::Elsewhere => return Ok(no(WRITERS_ALL)),
            Whose::Theirs(id) if own(&id) => return Ok(no(OWN)),
            Whose::Theirs(id) => return Ok(no(&format!("{OWN}: the same yes is for `{id}`"))),
            Whose::Catalogs => return Ok(no(OWN_CATALOG)),
            Whose::Unknown(id) if own(&id) => return Ok(no(PUSHED)),
            // It may lie in a repository that others read.
            Whose::Unknown(_) => return Ok(no(PUSHED_ALL)),
        };
        // As things stand now, and as they were reviewed: a rule may be newer than the review.
        let rules: Vec<&Requirement> = asked.iter().flat_map(|hold| asks(hold)).collect();
        let needs = kept.shown.iter().flat_map(|s| &s.needs).filter(|(d, _)| *d == digest);
        let mut teams: BTreeSet<String> = needs.flat_map(|(_, need)| need.teams.clone()).collect();
        // What no rule asks for is of those who may write, whatever rules ask for of the rest.
        let is_free = teams.is_empty() && asked.iter().any(|hold| asks(hold).is_empty());
        teams.extend(rules.iter().flat_map(|rule| rule.teams.iter().cloned()));
        let mut member = Vec::new();
        if is_free && !writes {
            return Ok(no(if rules.is_empty() { WRITERS } else { BOTH }));
        }
        if !teams.is_empty() {
            let Some(of) = self.teams(visit, by, &teams).await? else {
                return Ok(no(TEAMS));
            };
            if of.is_empty() {
                let teams: Vec<String> = teams.into_iter().collect();
                return Ok(no(&format!("this takes somebody of {}", teams.join(" or "))));
            }
            member.extend(of);
        }
        let lacks = |rule: &&&Requirement| {
            let counts = rule.teams.iter().any(|team| member.contains(team));
            let had =
                rule.had.iter().filter(|had| had.as_str() != by).count() + usize::from(counts);
            had < rule.count as usize
        };
        let lacking = rules.iter().filter(lacks).count();
        let at = (visit.clock)();
        let approval = Approval { digest, by: by.to_owned(), by_id, teams: Some(member), at };
        self.store.note(vec![PersonWrite::Approve(approval)]).await?;
        turn.wake = true;
        let what = match requests.len() {
            1 => "approved".to_owned(),
            n => format!("approved for {n} requests ({})", some_of(&here, n)),
        };
        Ok(yes(&match lacking {
            0 => format!("{what}; it goes on with the next pass"),
            _ => format!("{what}; it takes more people than that, whom the comment above names"),
        }))
    }

    /// What to write where. Extending is an edit, which comes to the branch as every other does: whoever
    /// looks after the branch sees it before it counts.
    async fn extend(
        &self,
        visit: &Visit<'_>,
        kept: &Kept,
        request: Option<&RequestId>,
        by: Length,
    ) -> Result<Done, Trouble> {
        let own = kept.shown.iter().flat_map(|shown| shown.own.keys());
        let ids: Vec<RequestId> =
            own.filter(|id| request.is_none_or(|r| r == *id)).take(EXTENDED).cloned().collect();
        let desired = self.store.desired(&ids).await?;
        let records = self.store.records(&ids).await?;
        let (mut said, mut some) = (Vec::new(), false);
        for one in &desired {
            let Some(spec) = one.spec() else { continue };
            let life = records.iter().find(|record| record.id == one.id);
            let life = life.and_then(|record| record.life.as_ref());
            let now = (visit.clock)();
            said.push(match catalog::extend(spec.lifetime.as_ref(), life, by, now) {
                Ok(extension) => {
                    some = true;
                    report::expiry::suggestion(&one.id, &one.origin.path, by, &extension)
                }
                Err(why) => report::expiry::not_longer(&one.id, &why),
            });
        }
        Ok(match said.is_empty() {
            true => no("no request of this pull request that is on the branch is called that"),
            false if some => yes(&said.join("\n")),
            false => no(&said.join("\n")),
        })
    }

    /// Of requests of this repository: others may be read by others.
    async fn explain(&self, visit: &Visit<'_>, request: &RequestId) -> Result<Done, Trouble> {
        let desired = self.store.desired(std::slice::from_ref(request)).await?;
        let records = self.store.records(std::slice::from_ref(request)).await?;
        let origins = desired.iter().map(|d| &d.origin).chain(records.iter().map(|r| &r.origin));
        let is_here = origins.into_iter().any(|o| visit.place.sources.contains(&o.source));
        let explained = match is_here {
            true => view::explain(self.store.as_ref(), request).await?,
            false => None,
        };
        Ok(match explained {
            None => no("there is no request of that name on the branch"),
            Some(explained) => yes(&report::explain::terminal(&explained.facts(request), false)),
        })
    }
}

/// What rules ask for of what is held.
fn asks(hold: &Hold) -> &[Requirement] {
    match &hold.reason {
        HoldReason::NeedsApproval { needs, .. } | HoldReason::PlanChanged { needs, .. } => needs,
        _ => &[],
    }
}

/// The names of requests that lie here, of so many in all.
fn some_of(here: &[RequestId], all: usize) -> String {
    let mut said: Vec<String> = here.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    let more = all - said.len();
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(", ")
}

fn yes(text: &str) -> Done {
    Done { with: Reaction::ThumbsUp, text: text.to_owned() }
}

fn no(text: &str) -> Done {
    Done { with: Reaction::ThumbsDown, text: text.to_owned() }
}
