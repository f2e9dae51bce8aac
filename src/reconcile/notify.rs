//! What receivers should have been told, against what they were told.
//!
//! # Flow
//! After each pass the requests of which history has new lines since the last look, and those of which something
//! was told that is not over, are looked at as they stand: by their status and by what is held. What is
//! the matter and was not told, and what was told and is over, becomes one message. That is put into the store, then
//! sent, then noted as told.
//!
//! # Guarantees
//! - History only says whom to look at; what is told is how things stand.
//! - Nothing is lost over the end of the process at any moment, and what was sent may be sent again: always
//!   as the same message under the same id.
//! - A message that is not taken for a day is given up, and what is the matter then goes into a new one.
//! - While a receiver is down, at most one message waits for it; all else is worked out when that has gone, so that a
//!   flood or an outage comes to one message and not to thousands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::PassError;
use crate::config::{NotificationFormat, NotificationSettings};
use crate::digest;
use crate::fault::point;
use crate::forge::Secret;
use crate::git::Block;
use crate::meter::meter;
use crate::model::{
    Hold, HoldReason, InstanceId, Matter, Message, Notice, RequestId, RequestPhase, Status, Trouble,
};
use crate::notify::{Address, Letter, Sender};
use crate::report;
use crate::store::{ASIDE, HeldRow, Lease, Store, StoreError, Write};

/// Notices in one message; the others are counted.
const FIRST: usize = 20;

/// Requests and lines read at once.
const PAGE: usize = 1_000;

/// How long after a message the next one to the same receiver: what fails together is told together.
const BREATH: SignedDuration = SignedDuration::from_secs(5);

/// How long after a message that was not taken it is sent again, at first and at most; it doubles.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);
const AGAIN_MOST: SignedDuration = SignedDuration::from_mins(15);

/// A message that was not taken so often is given up, after about a day: one that its receiver can never
/// take must not stand before all others for ever. What it told is not noted as told.
const TRIES: u32 = 100;

/// What is remembered of one receiver.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    /// Up to which line of history requests were looked at; `None`: never yet, so all are.
    #[serde(default)]
    heard: Option<u64>,
    /// What was told of each request and is not over.
    #[serde(default)]
    told: BTreeMap<RequestId, BTreeSet<Matter>>,
    /// On its way: what was sent or will be.
    #[serde(default)]
    pending: Option<Message>,
    /// How often that was not taken.
    #[serde(default)]
    tries: u32,
    /// The last message that was given up, for whoever wants to know what was in it.
    #[serde(default)]
    dead: Option<Message>,
}

/// One receiver.
pub struct Receiver {
    settings: NotificationSettings,
    store: Arc<dyn Store>,
    instance: InstanceId,
    sender: Sender,
    kept: Option<Kept>,
    /// Nothing is sent before.
    not_before: Option<Timestamp>,
}

impl Receiver {
    /// Reaches nothing. `allow`: what may be sent to beside what anything may be sent to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        settings: NotificationSettings,
        store: Arc<dyn Store>,
        allow: Arc<[Block]>,
    ) -> Result<Self, PassError> {
        let instance = store.instance().await?;
        let sender = Sender::new(allow);
        meter().receiver(&settings.name);
        Ok(Self { settings, store, instance, sender, kept: None, not_before: None })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    fn key(&self) -> String {
        format!("{ASIDE}notify/{}", self.settings.name)
    }

    /// Tells what is to be told, once; how long to wait for the next turn although nothing wakes us. `upto`: the last
    /// line of history of which a pass has said in a status what follows from it.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn turn(
        &mut self,
        lease: &Lease,
        upto: u64,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Option<Duration>, PassError> {
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.recall().await?,
        };
        let now = clock();
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            self.kept = Some(kept);
            return Ok(Some(at.duration_since(now).unsigned_abs()));
        }
        if kept.pending.is_none() {
            let before = kept.clone();
            self.look(&mut kept, upto, now).await?;
            if kept != before {
                point!("notify.keep.before")?;
                self.keep(lease, &kept).await?;
                point!("notify.keep.after")?;
            }
        }
        let Some(message) = kept.pending.clone() else {
            self.kept = Some(kept);
            return Ok(None);
        };
        point!("notify.send.before")?;
        let sent = self.send(&message, now).await;
        point!("notify.send.after")?;
        meter().notified(&self.settings.name, if sent.is_ok() { "delivered" } else { "failed" });
        let receiver = self.settings.name.as_str();
        let wait = match sent {
            Ok(()) => {
                kept.tries = 0;
                tracing::info!(receiver, id = message.id, "a notification was delivered");
                for (id, told) in message.told {
                    if told.is_empty() {
                        kept.told.remove(&id);
                    } else {
                        kept.told.insert(id, told);
                    }
                }
                kept.pending = None;
                self.keep(lease, &kept).await?;
                BREATH
            }
            Err(error) => {
                let wait = AGAIN * 2_i32.saturating_pow(kept.tries.min(12));
                kept.tries = kept.tries.saturating_add(1);
                let wait = wait.min(AGAIN_MOST);
                tracing::warn!(
                    receiver,
                    id = message.id,
                    error,
                    again = %format_args!("{wait:#}"),
                    "a notification could not be delivered"
                );
                if kept.tries >= TRIES {
                    tracing::error!(
                        receiver,
                        id = message.id,
                        "a notification was given up; what is still the matter goes into a new one"
                    );
                    meter().notified(receiver, "dropped");
                    (kept.dead, kept.pending, kept.tries) = (kept.pending.take(), None, 0);
                    // What it told was never told: all are looked at again.
                    kept.heard = None;
                }
                self.keep(lease, &kept).await?;
                wait
            }
        };
        self.not_before = Some(clock().saturating_add(wait).unwrap_or(Timestamp::MAX));
        self.kept = Some(kept);
        Ok(Some(wait.unsigned_abs()))
    }

    async fn recall(&self) -> Result<Kept, PassError> {
        let value = self.store.value(&self.key()).await?;
        // What cannot be read is told again, and not lost.
        Ok(value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default())
    }

    async fn keep(&self, lease: &Lease, kept: &Kept) -> Result<(), StoreError> {
        let value = serde_json::to_value(kept).ok();
        self.store.commit(lease, vec![Write::Value { key: self.key(), value }]).await
    }

    /// Puts together what is to be told, from how things stand.
    async fn look(&self, kept: &mut Kept, upto: u64, now: Timestamp) -> Result<(), PassError> {
        let mut ids: BTreeSet<RequestId> = kept.told.keys().cloned().collect();
        let mut all = Vec::new();
        match kept.heard {
            Some(heard) => {
                let mut after = heard;
                while after < upto {
                    let lines = self.store.lines_after(after, PAGE).await?;
                    let Some((last, _)) = lines.last() else { break };
                    after = *last;
                    // A later line may be of a pass that has not said yet how things stand.
                    ids.extend(lines.into_iter().filter(|(n, _)| *n <= upto).map(|(_, id)| id));
                }
            }
            None => {
                let mut after: Option<RequestId> = None;
                loop {
                    let page = self.store.statuses_after(after.as_ref(), PAGE).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.request.clone());
                    all.extend(page.into_iter().map(|row| row.request));
                }
            }
        }
        ids.extend(all);
        kept.heard = Some(kept.heard.unwrap_or_default().max(upto));
        let mut held: BTreeMap<RequestId, Vec<HeldRow>> = BTreeMap::new();
        if !ids.is_empty() {
            for row in self.store.standing().await?.holds {
                held.entry(row.hold.request.clone()).or_default().push(row);
            }
        }
        let ids: Vec<RequestId> = ids.into_iter().collect();
        let mut draft = Draft::default();
        for part in ids.chunks(PAGE) {
            let rows = self.store.statuses(part).await?.into_iter();
            let statuses: BTreeMap<RequestId, Status> = rows
                .filter_map(|row| Some((row.request, serde_json::from_value(row.document).ok()?)))
                .collect();
            for id in part {
                let rows = held.get(id).map(Vec::as_slice).unwrap_or_default();
                let status = statuses.get(id);
                if !self.is_meant(id, status) {
                    // The filter is another one now: that is no recovery.
                    kept.told.remove(id);
                    continue;
                }
                let standing = status.map(|status| self.matters(id, status, rows));
                let mut before = kept.told.get(id).cloned().unwrap_or_default();
                before.retain(|was| self.settings.on.contains(&was.trouble));
                let told =
                    draft.compare(id, &before, standing.unwrap_or_default(), status.is_none());
                // What needs no word of its own, such as one reason of two that is gone.
                match told {
                    Some(told) if told.is_empty() => drop(kept.told.remove(id)),
                    Some(told) => drop(kept.told.insert(id.clone(), told)),
                    None => {}
                }
            }
        }
        kept.pending = draft.message(&self.instance, &self.settings.name, now);
        Ok(())
    }

    /// Whether this receiver is to hear of a request at all. Of what is gone, the template is not known any more.
    fn is_meant(&self, id: &RequestId, status: Option<&Status>) -> bool {
        let NotificationSettings { teams, environments, templates, .. } = &self.settings;
        let fits =
            |list: &[String], word: &str| list.is_empty() || list.iter().any(|it| it == word);
        let template =
            status.map(|status| status.template.as_ref().map_or("", |t| t.name.as_str()));
        fits(teams, id.team())
            && fits(environments, id.environment())
            && template.is_none_or(|name| fits(templates, name))
    }

    /// What is the matter with a request, as far as this receiver wants to know.
    fn matters(&self, id: &RequestId, status: &Status, held: &[HeldRow]) -> Vec<Notice> {
        let template = status.template.as_ref();
        let template = template.map(|template| format!("{}@{}", template.name, template.version));
        let mut found = matters(id, status, held);
        found.retain(|notice| self.settings.on.contains(&notice.matter.trouble));
        for notice in &mut found {
            notice.template.clone_from(&template);
        }
        found
    }

    async fn send(&self, message: &Message, now: Timestamp) -> Result<(), String> {
        let NotificationSettings { name, url, url_file, secret_file, format, .. } = &self.settings;
        let read = |file: &std::path::Path| {
            Secret::read_line(file).map_err(|error| crate::error::chain(&error))
        };
        let from_file = url_file.as_deref().map(read).transpose()?;
        let text = from_file.as_ref().or(url.as_ref().map(|url| &url.0));
        let text = text.map(Secret::expose).unwrap_or_default();
        let address = Address::parse(text).map_err(|why| format!("its address: {why}"))?;
        let secret = secret_file.as_deref().map(read).transpose()?;
        let body = match format {
            NotificationFormat::Vend => {
                let from = report::notice::From { instance: &self.instance, receiver: name };
                report::notice::json(message, from)
            }
            NotificationFormat::Slack => report::notice::slack(message),
        };
        let body = body.to_string().into_bytes();
        let secret = secret.as_ref().map(Secret::expose);
        self.sender.send(&address, Letter { id: &message.id, body, secret, now }).await
    }
}

/// What is the matter with a request.
fn matters(id: &RequestId, status: &Status, held: &[HeldRow]) -> Vec<Notice> {
    let notice = |trouble, reason: &str, message: String, since| Notice {
        request: id.clone(),
        matter: Matter { trouble, reason: reason.to_owned() },
        over: false,
        message,
        since,
        template: None,
    };
    let mut found = Vec::new();
    let since = |kind: &str| {
        status.conditions.iter().find(|condition| condition.kind == kind).map(|c| c.since)
    };
    let mut is_failed = status.phase == RequestPhase::Failed;
    for HeldRow { hold, since } in held {
        let Hold { reason, .. } = hold;
        let sentence = || report::hold::sentence(hold);
        match reason {
            HoldReason::Refused { .. } => is_failed = true,
            HoldReason::Expired { .. } => {
                found.push(notice(Trouble::Expired, "", sentence(), Some(*since)));
            }
            reason if reason.wants_a_person() => {
                found.push(notice(Trouble::Held, reason.name(), sentence(), Some(*since)));
            }
            _ => {}
        }
    }
    if is_failed {
        let message = status.waiting_for.clone().unwrap_or_else(|| "it failed".into());
        found.push(notice(Trouble::Failed, "", message, since("Ready")));
    }
    if let Some(drift) = &status.drift
        && let Some(what) = report::drift::summary(&drift.items)
    {
        found.push(notice(Trouble::Drifted, "", what, drift.since));
    }
    let is_over = found.iter().any(|notice| notice.matter.trouble == Trouble::Expired);
    if !is_over && let Some(end) = report::expiry::warning(status) {
        let trouble = if end.status == "True" { Trouble::Expired } else { Trouble::Expiring };
        found.push(notice(trouble, "", end.message.clone(), Some(end.since)));
    }
    // Of several components held for the same reason the first says enough.
    found.sort_by(|a, b| a.matter.cmp(&b.matter));
    found.dedup_by(|b, a| a.matter == b.matter);
    found
}

/// A message that is being put together.
#[derive(Default)]
struct Draft {
    notices: Vec<Notice>,
    counts: BTreeMap<String, usize>,
    told: BTreeMap<RequestId, BTreeSet<Matter>>,
}

impl Draft {
    /// Takes in what is new about a request. What stands of it now, where that is another thing than before and
    /// nothing is to be said of it.
    fn compare(
        &mut self,
        id: &RequestId,
        before: &BTreeSet<Matter>,
        standing: Vec<Notice>,
        is_gone: bool,
    ) -> Option<BTreeSet<Matter>> {
        let now: BTreeSet<Matter> = standing.iter().map(|notice| notice.matter.clone()).collect();
        if *before == now {
            return None;
        }
        let said = self.notices.len();
        for notice in standing.into_iter().filter(|notice| !before.contains(&notice.matter)) {
            self.add(notice);
        }
        // Another reason for the same trouble is no recovery.
        let stays = |was: &Matter| now.iter().any(|matter| matter.trouble == was.trouble);
        let over: BTreeMap<Trouble, &Matter> =
            before.iter().filter(|was| !stays(was)).map(|was| (was.trouble, was)).collect();
        for was in over.into_values() {
            self.add(Notice {
                request: id.clone(),
                matter: was.clone(),
                over: true,
                message: report::notice::recovered(is_gone).into(),
                since: None,
                template: None,
            });
        }
        if self.notices.len() == said {
            return Some(now);
        }
        self.told.insert(id.clone(), now);
        None
    }

    fn add(&mut self, notice: Notice) {
        let word = if notice.over { "recovered" } else { notice.matter.trouble.word() };
        *self.counts.entry(word.to_owned()).or_default() += 1;
        self.notices.push(notice);
    }

    /// The message, if anything is to be told.
    fn message(mut self, instance: &InstanceId, receiver: &str, at: Timestamp) -> Option<Message> {
        if self.told.is_empty() {
            return None;
        }
        // The gravest first, and what is over last.
        self.notices.sort_by(|a, b| {
            let of = |n: &Notice| (n.over, n.matter.clone(), n.request.clone());
            of(a).cmp(&of(b))
        });
        let all = digest::of(&(instance.as_str(), receiver, at, &self.notices));
        self.notices.truncate(FIRST);
        let id = format!("n-{}", &all.hex()[..32]);
        Some(Message { id, at, counts: self.counts, notices: self.notices, told: self.told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> RequestId {
        RequestId::new("orders", "dev", name).unwrap()
    }

    fn notice(name: &str, trouble: Trouble, reason: &str) -> Notice {
        Notice {
            request: id(name),
            matter: Matter { trouble, reason: reason.into() },
            over: false,
            message: "words".into(),
            since: None,
            template: None,
        }
    }

    fn message(draft: Draft) -> Option<Message> {
        draft.message(&InstanceId::new("i-1"), "chat", Timestamp::UNIX_EPOCH)
    }

    fn told(notices: &[Notice]) -> BTreeSet<Matter> {
        notices.iter().map(|notice| notice.matter.clone()).collect()
    }

    #[test]
    fn what_was_told_is_told_again_only_when_it_is_another_thing_or_over() {
        let held = [notice("a", Trouble::Held, "NeedsApproval")];
        let mut draft = Draft::default();
        assert_eq!(draft.compare(&id("a"), &BTreeSet::new(), held.to_vec(), false), None);
        let first = message(draft).unwrap();
        assert_eq!(first.counts, [("held".to_owned(), 1)].into());
        let before = first.told[&id("a")].clone();

        let mut draft = Draft::default();
        assert_eq!(draft.compare(&id("a"), &before, held.to_vec(), false), None);
        assert_eq!(message(draft), None, "again: nothing to say");

        // Another reason is news, and no recovery.
        let mut draft = Draft::default();
        draft.compare(&id("a"), &before, vec![notice("a", Trouble::Held, "PlanChanged")], false);
        assert_eq!(message(draft).unwrap().counts, [("held".to_owned(), 1)].into());

        // Failed takes the place of held: one is over, the other begins.
        let mut draft = Draft::default();
        draft.compare(&id("a"), &before, vec![notice("a", Trouble::Failed, "")], false);
        let second = message(draft).unwrap();
        assert_eq!(second.counts, [("failed".to_owned(), 1), ("recovered".to_owned(), 1)].into());
        assert!(!second.notices[0].over && second.notices[1].over, "what is over comes last");
        assert_ne!(first.id, second.id);
    }

    #[test]
    fn one_reason_of_two_that_is_gone_is_remembered_and_not_told() {
        let both = [notice("a", Trouble::Held, "Invalid"), notice("a", Trouble::Held, "NotOurs")];
        let mut draft = Draft::default();
        let now = draft.compare(&id("a"), &told(&both), both[..1].to_vec(), false);
        assert_eq!(now, Some(told(&both[..1])));
        assert_eq!(message(draft), None);
    }

    #[test]
    fn a_flood_is_one_message_with_counts_and_the_gravest_first() {
        let mut draft = Draft::default();
        for n in 0..500 {
            let name = format!("n{n:03}");
            let trouble = if n == 499 { Trouble::Failed } else { Trouble::Held };
            draft.compare(&id(&name), &BTreeSet::new(), vec![notice(&name, trouble, "")], false);
        }
        let message = message(draft).unwrap();
        assert_eq!(message.counts, [("failed".to_owned(), 1), ("held".to_owned(), 499)].into());
        assert_eq!((message.notices.len(), message.omitted()), (FIRST, 480));
        assert_eq!(message.notices[0].request, id("n499"));
        assert_eq!(message.told.len(), 500, "those without room are told as well");
    }

    #[test]
    fn the_matter_with_a_request_is_what_its_status_and_its_holds_say() {
        let digest = digest::sha256(b"x");
        let status: Status = serde_json::from_value(serde_json::json!({
            "apiVersion": "vend.dev/v1", "kind": "Status",
            "metadata": {"id": "orders/dev/a"}, "phase": "Failed",
            "waitingFor": "it failed: too bad", "source": {"repository": "main", "path": "a"},
            "observed": {"commit": null, "catalogCommit": null, "requestDigest": digest},
            "conditions": [],
            "drift": {"state": "Drifted", "items": {"queue": [
                {"what": "Queue.DelaySeconds", "how": "changed"}]}},
        }))
        .unwrap();
        let hold = |reason| HeldRow {
            hold: Hold { request: id("a"), component: None, action: None, reason },
            since: Timestamp::UNIX_EPOCH,
        };
        let rows = [
            hold(HoldReason::Protected { locked: false }),
            hold(HoldReason::Protected { locked: false }),
            hold(HoldReason::Suspended),
            hold(HoldReason::Expired {
                since: Timestamp::UNIX_EPOCH,
                fate: crate::model::Fate::Protected,
            }),
        ];
        let found = matters(&id("a"), &status, &rows);
        let words: Vec<_> =
            found.iter().map(|n| (n.matter.trouble.word(), n.matter.reason.as_str())).collect();
        assert_eq!(
            words,
            [("failed", ""), ("held", "Protected"), ("drifted", ""), ("expired", "")]
        );
    }
}
