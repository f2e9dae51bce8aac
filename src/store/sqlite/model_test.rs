//! Random writes against a model in memory: the index is always the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::*;
use crate::store::contract::{lease, wait};
use crate::store::sample::*;
use crate::store::{DesiredEntry, DesiredRow, Frames, HeldRow, RecordEntry};

const NAMES: [&str; 4] = ["a", "b", "b-1", "c"];
const TEXTS: [&str; 3] = ["1", "two", "three"];

/// What a store should hold, in the plainest form.
#[derive(Clone, Default)]
struct Model {
    desired: BTreeMap<RequestId, DesiredRow>,
    records: BTreeMap<RequestId, Record>,
    journal: BTreeMap<Token, Journalled>,
    artifacts: BTreeSet<Digest>,
    retries: BTreeMap<TargetKey, Retry>,
    holds: BTreeMap<RequestId, Vec<HeldRow>>,
    templates: BTreeMap<TemplateId, Digest>,
    approvals: BTreeMap<(Digest, String), Approval>,
    quiet: Option<Quiet>,
    notes: u64,
    basis: u64,
}

impl Model {
    /// All of the writes, or none.
    fn commit(&mut self, writes: &[Write]) -> bool {
        let mut next = self.clone();
        if writes.iter().any(|write| !write.keeps_quiet()) {
            next.quiet = None;
            next.basis += 1;
        }
        let done = writes.iter().all(|write| next.write(write).is_some());
        for write in writes {
            if let Write::Quiet(quiet) = write {
                next.quiet.clone_from(quiet);
            }
        }
        if done {
            *self = next;
        }
        done
    }

    fn write(&mut self, write: &Write) -> Option<()> {
        match write.clone() {
            Write::Desired(row) => drop(self.desired.insert(row.desired.id.clone(), *row)),
            Write::DropDesired(id) => drop(self.desired.remove(&id)),
            Write::Record(record) => drop(self.records.insert(record.id.clone(), *record)),
            Write::DropRecord(id) => drop(self.records.remove(&id)),
            Write::Rekey { from, to } => self.rekey(&from, &to)?,
            Write::Artifact(artifact) => drop(self.artifacts.insert(artifact.digest?)),
            Write::Intent(row) => {
                let target = &row.change.target.name;
                let other = |old: &Journalled| {
                    old.change.target.name == *target && old.change.token != row.change.token
                };
                let known = self.journal.get(&row.change.token);
                if known.is_some_and(|old| old.phase != Phase::Intent)
                    || self.journal.values().any(other)
                {
                    return None;
                }
                self.put(*row)?;
            }
            Write::Progress(row) => {
                self.journal.get(&row.change.token)?;
                self.put(*row)?;
            }
            Write::End { token } => drop(self.journal.remove(&token)?),
            Write::Retry { key, retry: None } => drop(self.retries.remove(&key)),
            Write::Retry { key, retry: Some(retry) } => drop(self.retries.insert(key, retry)),
            Write::Hold { request, holds } => drop(self.holds.insert(request, holds)),
            Write::Template { id, digest, .. } => drop(self.templates.insert(id, digest)),
            Write::DropApproval(digest) => self.approvals.retain(|(of, _), _| *of != digest),
            _ => {}
        }
        Some(())
    }

    fn put(&mut self, mut row: Journalled) -> Option<()> {
        self.artifacts.extend(row.change.artifact.take().and_then(|artifact| artifact.digest));
        let there = row.artifact.is_none_or(|digest| self.artifacts.contains(&digest));
        there.then(|| drop(self.journal.insert(row.change.token.clone(), row)))
    }

    fn rekey(&mut self, from: &RequestId, to: &RequestId) -> Option<()> {
        if self.records.contains_key(to) {
            return None;
        }
        let record = self.records.remove(from)?;
        self.records.insert(to.clone(), Record { id: to.clone(), ..record });
        for row in self.journal.values_mut().filter(|r| r.change.target.key.request == *from) {
            row.change.target.key.request = to.clone();
            if let Some(ticket) = &mut row.ticket {
                ticket.target.key.request = to.clone();
            }
            if let Outcome::Applied(applied) = &mut row.outcome {
                applied.record.id = to.clone();
            }
        }
        let moved = std::mem::take(&mut self.retries).into_iter().map(|(mut key, retry)| {
            if key.request == *from {
                key.request = to.clone();
                (true, key, retry)
            } else {
                (false, key, retry)
            }
        });
        // What is moved wins over what was there.
        let (moved, stayed): (Vec<_>, Vec<_>) = moved.partition(|(moved, ..)| *moved);
        self.retries =
            stayed.into_iter().chain(moved).map(|(_, key, retry)| (key, retry)).collect();
        Some(())
    }

    fn note(&mut self, write: &PersonWrite) {
        self.quiet = None;
        self.notes += 1;
        self.basis += 1;
        match write.clone() {
            PersonWrite::Approve(approval) => {
                self.approvals.insert((approval.digest, approval.by.clone()), approval);
            }
            PersonWrite::DropApproval(digest) => self.approvals.retain(|(of, _), _| *of != digest),
            PersonWrite::RetryNow { request } => {
                self.retries.retain(|key, _| key.request != request);
            }
            PersonWrite::AcceptRewrite { .. }
            | PersonWrite::Passage { .. }
            | PersonWrite::Rollout(_) => {}
        }
    }

    fn index(&self) -> Index {
        let references = |list: &BTreeMap<String, Reference>| {
            let ids: BTreeSet<_> = list.values().map(|r| r.request.clone()).collect();
            ids.into_iter().collect()
        };
        let mut frames = Frames::default();
        let desired = self.desired.values().map(|row| DesiredEntry {
            id: row.desired.id.clone(),
            spot: frames.pack(
                &row.desired.id,
                &row.desired.origin.source,
                &row.desired.origin.path,
            ),
            blob: row.blob,
            key: row.key,
            fingerprint: row.fingerprint,
            references: row.desired.spec().map(|s| references(&s.references)).unwrap_or_default(),
            valid: row.desired.spec().is_some(),
            template: row.desired.template().cloned().map(Arc::new),
        });
        let records = self.records.values().map(|record| RecordEntry {
            id: record.id.clone(),
            settled: record.settled,
            source: record.origin.source.clone(),
            references: references(&record.references),
            checked: record.components.values().map(|c| c.checked).min().flatten(),
            ends: record.life.as_ref().map(|life| life.ends),
        });
        Index {
            desired: desired.collect(),
            records: records.collect(),
            journal: self.journal.values().cloned().collect(),
            retries: self.retries.clone().into_iter().collect(),
            holds: self.holds.values().flatten().cloned().collect(),
            sources: Sources::new(),
            approvals: self.approvals.values().cloned().collect(),
            templates: self.templates.clone().into_iter().collect(),
            notes: self.notes,
            basis: self.basis,
        }
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..])
}

fn text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..])
}

fn a_write() -> impl Strategy<Value = Write> {
    let other = proptest::option::of(name());
    let wanted = (name(), text(), other)
        .prop_map(|(name, text, other)| Write::Desired(desired(name, text, other)));
    let checked = proptest::option::of(0..9i64);
    let applied = (name(), text(), checked)
        .prop_map(|(name, text, second)| Write::Record(record(name, text, second.map(at))));
    let effect = || (name(), text(), 0..2u32);
    prop_oneof![
        4 => wanted,
        1 => name().prop_map(|name| Write::Desired(invalid(name))),
        1 => name().prop_map(|name| Write::DropDesired(id(name))),
        4 => applied,
        1 => name().prop_map(|name| Write::DropRecord(id(name))),
        2 => (name(), name()).prop_map(|(a, b)| Write::Rekey { from: id(a), to: id(b) }),
        1 => text().prop_map(|text| Write::Artifact(artifact(text))),
        4 => effect().prop_map(|(name, text, n)| Write::Intent(intent(name, text, n))),
        4 => effect().prop_map(|(name, text, n)| Write::Progress(sent(intent(name, text, n)))),
        4 => effect().prop_map(|(n, t, a)| Write::End { token: intent(n, t, a).change.token }),
        2 => (name(), proptest::option::of(1..4u32))
            .prop_map(|(name, n)| Write::Retry { key: key(name), retry: n.map(retry) }),
        2 => (name(), 0..3usize).prop_map(|(name, n)| Write::Hold {
            request: id(name),
            holds: vec![held(name, HoldReason::Protected { locked: false }); n],
        }),
        1 => (name(), text()).prop_map(|(name, text)| Write::Status(status(name, text))),
        1 => (8..12u64, text()).prop_map(|(version, text)| Write::Template {
            id: template(version),
            digest: digest(text),
            commit: None,
            at: at(0),
        }),
        1 => name().prop_map(|name| Write::Event(event(Some(name), "happened"))),
        1 => (text(), 0..3u64).prop_map(|(text, notes)| {
            Write::Quiet(Some(Quiet { inputs: digest(text), due: None, notes, looked: None }))
        }),
        1 => text().prop_map(|text| Write::DropApproval(digest(text))),
    ]
}

fn a_note() -> impl Strategy<Value = PersonWrite> {
    prop_oneof![
        text().prop_map(|text| PersonWrite::Approve(approval(text, "ada"))),
        name().prop_map(|name| PersonWrite::RetryNow { request: id(name) }),
    ]
}

/// A commit of some writes, or a note.
fn a_step() -> impl Strategy<Value = Result<Vec<Write>, PersonWrite>> {
    prop_oneof![
        5 => proptest::collection::vec(a_write(), 0..4).prop_map(Ok),
        1 => a_note().prop_map(Err),
    ]
}

#[allow(
    clippy::duplicate_mod,
    reason = "two models play cases alike, and know nothing of each other"
)]
#[path = "../../../tests/it/model/case.rs"]
mod case;

/// Seeds of cases that failed once.
const FAILED: &[u64] = &[];

#[test]
fn the_index_is_what_was_written() {
    let cases = case::Cases { failed: FAILED, shrink: 1_000, ..case::Cases::usual(64) };
    cases.play(&proptest::collection::vec(a_step(), 1..25), written);
}

fn written(steps: Vec<Result<Vec<Write>, PersonWrite>>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    let store = Sqlite::open(&path).unwrap();
    let mut model = Model::default();
    wait(async {
        let lease = lease(&store).await;
        for step in steps {
            match step {
                Ok(writes) => {
                    let done = store.commit(&lease, writes.clone()).await;
                    assert_eq!(done.is_ok(), model.commit(&writes), "{done:?}");
                }
                Err(note) => {
                    model.note(&note);
                    store.note(vec![note]).await.unwrap();
                }
            }
            assert_eq!(store.index().await.unwrap(), model.index());
            let quiet = model.quiet.clone().filter(|quiet| quiet.notes == model.notes);
            assert_eq!(store.quiet().await.unwrap(), quiet);
        }
    });
    drop(store);
    // And after a restart, with every document as it was.
    let store = Sqlite::open(&path).unwrap();
    prop_assert_eq!(wait(store.index()).unwrap(), model.index());
    let ids: Vec<_> = NAMES.iter().map(|name| id(name)).collect();
    let desired: Vec<_> = model.desired.into_values().map(|row| (*row.desired).clone()).collect();
    prop_assert_eq!(wait(store.desired(&ids)).unwrap(), desired);
    let records: Vec<_> = model.records.into_values().collect();
    prop_assert_eq!(wait(store.records(&ids)).unwrap(), records);
    Ok(())
}
