//! Bringing what is said to what is to be said: checks first, then the comment.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use super::kept::{Kept, SaidCheck};
use super::{Reviewer, Trouble, Visit};
use crate::digest::{self, Digest};
use crate::error::chain;
use crate::forge::{Check, ForgeError, Saying, Suggestion, marker};
use crate::model::{Artifact, Brief, PullKey, PullState, Revision, Stage, Step};
use crate::{report, trace};

/// What is to be said on one pull request.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    checks: Vec<Check>,
    comment: Option<report::pull::Comment>,
    /// The plan that it shows, by head and digest. That it cannot be merged, or could not be looked at, shows none.
    plan: Option<(Revision, Digest)>,
    /// The commits of its base and of the catalog that the comment names.
    of: [Option<Revision>; 2],
    marker: String,
    suggestions: Vec<Suggestion>,
    /// Progress need not be told more often.
    pub not_before: Option<Timestamp>,
    is_progress: bool,
    told: Option<Timestamp>,
    /// Something stood there otherwise than it was said.
    righted: bool,
}

/// While something is under way, the comment is edited at most so often.
const PROGRESS: SignedDuration = SignedDuration::from_secs(10);

/// What the forge refused is not said again before, unless it is something else: a person must have
/// changed something.
const REFUSED: SignedDuration = SignedDuration::from_mins(15);

impl Wanted {
    fn digest(&self) -> Digest {
        let suggested: Vec<&String> = self.suggestions.iter().map(|s| &s.marker).collect();
        let comment = self.comment.as_ref().map(|comment| comment.news);
        digest::of(&(&self.checks, comment, suggested))
    }
}

/// Keeps the first refusal for later; any other trouble is now's.
fn note_refused(said: Result<(), Trouble>, first: &mut Option<Trouble>) -> Result<(), Trouble> {
    match said {
        Err(error @ Trouble::Forge(ForgeError::Refused { .. })) => {
            first.get_or_insert(error);
            Ok(())
        }
        other => other,
    }
}

/// Artifacts for the differences that are shown.
pub(super) type Artifacts = std::collections::HashMap<Digest, Arc<Artifact>>;

/// A turn that wrote something is told of.
fn keep_if(wrote: bool) {
    if wrote {
        trace::keep();
    }
}

impl Reviewer {
    /// Takes note of what is to be said.
    pub(super) fn want(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &Kept,
        brief: &Brief,
        (artifacts, is_progress): (&Artifacts, bool),
    ) {
        let secret = self.secret.unwrap_or_default();
        let marker = marker(&secret, "comment", &visit.place.repo, kept.pull.number);
        let find = |step: &Step| {
            let get = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d)).cloned();
            (get(step.from), get(step.artifact))
        };
        let external = match kept.reruns {
            0 => key.to_string(),
            times => format!("{key}/{times}"),
        };
        let options = report::plan::Options::default();
        let is_elsewhere = matches!(brief.stage, Stage::Elsewhere { .. });
        let head = match &kept.pull.state {
            PullState::Merged { commit, .. } if !is_elsewhere => commit,
            _ => &kept.pull.head,
        };
        let mut checks = Vec::new();
        if brief.stage != Stage::Closed && !kept.late {
            checks.push(report::pull::check(brief, head, &external, &find, &options));
        }
        if kept.pull.state == PullState::Open || is_elsewhere {
            checks.push(report::pull::approval(brief, head, &external));
        }
        let checks = checks.into_iter().map(|check| visit.place.named(check)).collect();
        let mut of = [brief.base.clone(), brief.catalog.clone()];
        let mut comment = report::pull::comment(brief, &marker, &find, &options);
        if comment.as_ref().is_some_and(|comment| kept.said == Some(comment.news))
            && of != kept.said_of
        {
            // Made of other commits and the same in all else, it stays as it was said.
            of.clone_from(&kept.said_of);
            let [base, catalog] = of.clone();
            let brief = Brief { base, catalog, ..brief.clone() };
            comment = report::pull::comment(&brief, &marker, &find, &options);
        }
        // A pull request that is none of ours hears nothing, unless something was said already.
        let comment = comment.filter(|_| brief.stage != Stage::Nothing || kept.comment.is_some());
        let suggestions = match brief.stage {
            Stage::Planned => report::pull::suggestions(brief, &|path, line| {
                self.line_of(visit, kept, path, line)
            }),
            _ => Vec::new(),
        };
        let told = self.wanted.get(key).and_then(|w| w.told);
        // An older plan is remembered while there is something else to be said.
        let plan = kept.shown.as_ref().filter(|shown| shown.stage == brief.stage);
        let plan = plan.filter(|shown| shown.head == kept.pull.head);
        let wanted = Wanted {
            checks,
            comment,
            plan: plan.map(|shown| (shown.head.clone(), shown.digest)),
            of,
            marker,
            suggestions,
            not_before: None,
            is_progress,
            told,
            righted: false,
        };
        self.wanted.insert(key.clone(), wanted);
    }

    /// Says what is not said yet; whether nothing is left to be said.
    ///
    /// A forge that cannot hear us now is no error: it can be read perhaps, and what is read counts.
    pub(super) async fn publish(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &mut Kept,
    ) -> Result<bool, Trouble> {
        let Some(wanted) = self.wanted.get(key) else {
            self.unsure.remove(key);
            return Ok(true);
        };
        let (now, is) = ((visit.clock)(), wanted.digest());
        let is_refused = |(was, until): &(Digest, Timestamp)| *was == is && *until > now;
        if self.is_mute(visit) || self.refused.get(key).is_some_and(is_refused) {
            return Ok(false);
        }
        let Some(mut wanted) = self.wanted.remove(key) else { return Ok(true) };
        let is_back = self.is_read_back(key, now);
        wanted.righted = false;
        let mut said = self.say(visit, &mut wanted, kept, is_back).await;
        if is_back && (said.is_ok() || wanted.righted) {
            self.read_back(key, wanted.righted, now);
        }
        if said.is_ok() {
            // It stood there already, word for word.
            said = self.see(visit, &wanted, kept).await;
        }
        let is_whole = wanted.not_before.is_none();
        // What was said is remembered with the pull request; what was not is said later.
        self.wanted.insert(key.clone(), wanted);
        match &said {
            Err(Trouble::Forge(ForgeError::Refused { .. })) => {
                self.refused.insert(key.clone(), (is, now + REFUSED));
            }
            Ok(()) => drop(self.refused.remove(key)),
            Err(_) => {}
        }
        Ok(self.heard(visit, said)? && is_whole)
    }

    /// Whether nothing is said in this repository for a while.
    pub(super) fn is_mute(&self, visit: &Visit<'_>) -> bool {
        let until = self.mute.get(&visit.place.repo).map(|(_, until)| *until);
        until.is_some_and(|until| until > (visit.clock)())
    }

    /// Whether what was said was heard; nothing more is said for a while where it could not be.
    pub(super) fn heard(
        &mut self,
        visit: &Visit<'_>,
        said: Result<(), Trouble>,
    ) -> Result<bool, Trouble> {
        let repo = &visit.place.repo;
        match said {
            Ok(()) => {
                self.mute.remove(repo);
                Ok(true)
            }
            Err(
                error @ Trouble::Forge(ForgeError::Unavailable { .. } | ForgeError::Unknown { .. }),
            ) => {
                let until = super::wait(&mut self.mute, repo, &error, (visit.clock)());
                let error = chain(&error);
                tracing::warn!(%repo, error, %until, "what is to be said on pull requests waits");
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    /// Answers with a reaction whom that is owed to.
    pub(super) async fn react(
        &mut self,
        visit: &Visit<'_>,
        kept: &mut Kept,
    ) -> Result<(), Trouble> {
        while let Some((comment, with)) = kept.owed.first_key_value().map(|(c, w)| (*c, *w)) {
            if self.is_mute(visit) {
                return Ok(());
            }
            let said = self.forge.react(&visit.place.repo, comment, with).await;
            match self.heard(visit, said.map_err(Trouble::from)) {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                // It was deleted, or the conversation is locked: the answer stands in our comment.
                Err(Trouble::Forge(ForgeError::Gone { text } | ForgeError::Refused { text })) => {
                    tracing::info!(comment, text, "a comment cannot be answered with a reaction");
                }
                Err(other) => return Err(other),
            }
            kept.owed.remove(&comment);
        }
        Ok(())
    }

    async fn say(
        &self,
        visit: &Visit<'_>,
        wanted: &mut Wanted,
        kept: &mut Kept,
        is_back: bool,
    ) -> Result<(), Trouble> {
        // Where one kind may not be written, the others may.
        let mut refused = None;
        let number = kept.pull.number;
        let said = self.say_checks(visit, wanted, kept, is_back).await;
        note_refused(self.unless_hidden(visit, number, said).await, &mut refused)?;
        let said = self.say_comment(visit, wanted, kept, is_back).await;
        note_refused(self.unless_hidden(visit, number, said).await, &mut refused)?;
        let said = self.say_suggestions(visit, wanted, kept).await;
        note_refused(self.unless_hidden(visit, number, said).await, &mut refused)?;
        refused.map_or(Ok(()), Err)
    }

    /// From now on people can see the plan that is shown: something was written that shows it. Who said yes up to
    /// this moment, while it was on its way too, said so of what could be seen before.
    async fn see(
        &self,
        visit: &Visit<'_>,
        wanted: &Wanted,
        kept: &mut Kept,
    ) -> Result<(), Trouble> {
        let shown = kept.shown.as_ref().map(|shown| (&shown.head, shown.digest));
        let is_it = shown == wanted.plan.as_ref().map(|(head, digest)| (head, *digest));
        if kept.pull.state == PullState::Open && is_it && !kept.is_seen() {
            let verdicts = self.forge.verdicts(&visit.place.repo, kept.pull.number).await?;
            kept.bind(&verdicts);
            kept.seen();
        }
        Ok(())
    }

    async fn say_checks(
        &self,
        visit: &Visit<'_>,
        wanted: &mut Wanted,
        kept: &mut Kept,
        is_back: bool,
    ) -> Result<(), Trouble> {
        for check in &wanted.checks {
            let digest = digest::of(check);
            let last = kept.checks.get(&check.name).filter(|last| last.head == check.head);
            let is_said = last.is_some_and(|last| last.digest == digest);
            if is_said && !is_back {
                continue;
            }
            let id = last.and_then(|last| last.id);
            let span = tracing::debug_span!(
                "check",
                "cicd.pipeline.task.name" = check.name,
                "vcs.change.id" = kept.pull.number,
                "vcs.ref.head.revision" = %check.head
            );
            trace::calls(&span);
            let said = self.forge.check(&visit.place.repo, check, id).instrument(span.clone());
            let stood = said.await.inspect_err(|_| trace::failed(&span))?;
            keep_if(stood.wrote);
            wanted.righted |= is_said && stood.wrote;
            let id = Some(stood.id);
            let said = SaidCheck { head: check.head.clone(), id, digest };
            kept.checks.insert(check.name.clone(), said);
            self.see(visit, wanted, kept).await?;
        }
        Ok(())
    }

    async fn say_comment(
        &self,
        visit: &Visit<'_>,
        wanted: &mut Wanted,
        kept: &mut Kept,
        is_back: bool,
    ) -> Result<(), Trouble> {
        let repo = &visit.place.repo;
        if let Some(report::pull::Comment { body, news }) = &wanted.comment {
            let is_said = kept.said == Some(*news);
            let now = (visit.clock)();
            let next = wanted.told.map(|told| told + PROGRESS).filter(|next| *next > now);
            wanted.not_before = next.filter(|_| wanted.is_progress && !is_said);
            if (!is_said || is_back) && wanted.not_before.is_none() {
                let (marker, body) = (wanted.marker.clone(), body.clone());
                let saying = Saying { id: kept.comment, marker, body };
                let number = kept.pull.number;
                let span = tracing::debug_span!("comment", "vcs.change.id" = number);
                trace::calls(&span);
                let said = self.forge.say(repo, number, &saying).instrument(span.clone());
                let stood = said.await.inspect_err(|_| trace::failed(&span))?;
                keep_if(stood.wrote);
                (kept.comment, kept.said) = (Some(stood.id), Some(*news));
                kept.said_of.clone_from(&wanted.of);
                wanted.righted |= is_said && stood.wrote;
                wanted.told = wanted.told.filter(|_| is_said).or(Some(now));
                self.see(visit, wanted, kept).await?;
            }
        }
        Ok(())
    }

    async fn say_suggestions(
        &self,
        visit: &Visit<'_>,
        wanted: &Wanted,
        kept: &mut Kept,
    ) -> Result<(), Trouble> {
        let new: Vec<Suggestion> = wanted
            .suggestions
            .iter()
            .filter(|s| !kept.suggested.contains(&s.marker))
            .cloned()
            .collect();
        if !new.is_empty() && kept.pull.state == PullState::Open {
            self.forge.suggest(&visit.place.repo, kept.pull.number, &kept.pull.head, &new).await?;
            kept.suggested.extend(new.into_iter().map(|s| s.marker));
        }
        Ok(())
    }

    /// A line of a file at a pull request's head.
    fn line_of(&self, visit: &Visit<'_>, kept: &Kept, path: &str, line: u32) -> Option<String> {
        let source = self.engine.sources().named(visit.place.name())?;
        let mirror = source.mirror();
        let entry = mirror.find(&kept.pull.head, path).ok()??;
        let crate::git::Blob::Bytes(bytes) = mirror.blob(entry.id, 1 << 20).ok()? else {
            return None;
        };
        let text = String::from_utf8(bytes).ok()?;
        text.lines().nth(line.checked_sub(1)? as usize).map(str::to_owned)
    }
}
