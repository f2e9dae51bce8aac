//! What every store keeps, told as stories. A store's tests call [`contract`] with a way to make a
//! fresh one.

use jiff::SignedDuration;
use serde_json::json;

use super::row::ASIDE;
use super::sample::*;
use super::{Acquired, Holder, Lease, PersonWrite, Quiet, StatusRow, Store, StoreError, Write};
use crate::model::*;

pub(super) const TTL: SignedDuration = SignedDuration::from_secs(60);

/// Runs `future` to its end.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The lease, which must be free.
pub(super) async fn lease(store: &dyn Store) -> Lease {
    match store.acquire(&Holder::here(), at(0), TTL).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { holder, .. } => panic!("{} holds the lease", holder.name),
    }
}

/// The contract, each part on a store of its own.
pub(super) fn contract(make: impl AsyncFn() -> Box<dyn Store>) {
    wait(async { a_new_store_is_empty(&*make().await).await });
    wait(async { one_holder_at_a_time(&*make().await).await });
    wait(async { a_stale_lease_writes_nothing(&*make().await).await });
    wait(async { what_is_written_is_read(&*make().await).await });
    wait(async { a_failing_commit_writes_nothing(&*make().await).await });
    wait(async { an_effect_goes_through_the_journal(&*make().await).await });
    wait(async { one_effect_on_a_target(&*make().await).await });
    wait(async { a_move_takes_everything_along(&*make().await).await });
    wait(async { statuses_are_published(&*make().await).await });
    wait(async { quiet_ends_with_any_change(&*make().await).await });
    wait(async { whoever_counts_sees_others_write(&*make().await).await });
    wait(async { a_person_is_not_overheard(&*make().await).await });
    wait(async { an_accepted_tip_is_not_forgotten(&*make().await).await });
    wait(async { history_is_bounded(&*make().await).await });
    wait(async { what_is_told_twice_is_one_line(&*make().await).await });
    wait(async { what_happens_to_parts_does_not_push_out_history(&*make().await).await });
    wait(async { whoever_follows_history_misses_nothing(&*make().await).await });
    wait(async { the_last_write_of_a_commit_counts(&*make().await).await });
    wait(async { unused_artifacts_are_swept(&*make().await).await });
    wait(async { small_things_come_and_go(&*make().await).await });
    wait(async { what_ends_is_found_by_its_end(&*make().await).await });
}

async fn a_new_store_is_empty(store: &dyn Store) {
    let index = store.index().await.unwrap();
    assert_eq!(index, super::Index::default());
    let instance = store.instance().await.unwrap();
    assert_eq!(instance.as_str().len(), 22);
    assert_eq!(instance, store.instance().await.unwrap());
    assert!(store.quiet().await.unwrap().is_none());
    assert!(store.records(&[id("a")]).await.unwrap().is_empty());
    assert!(store.value("x").await.unwrap().is_none());
}

async fn one_holder_at_a_time(store: &dyn Store) {
    let first = lease(store).await;
    let other = Holder { name: "other".into(), ..Holder::here() };
    // Not even the same process gets it twice.
    match store.acquire(&other, at(59), TTL).await.unwrap() {
        Acquired::Busy { holder, until } => {
            assert_eq!(holder, Holder::here());
            assert_eq!(until, at(60));
        }
        Acquired::Held(_) => panic!("two holders"),
    }
    let renewed = store.renew(&first, at(50), TTL).await.unwrap();
    assert_eq!((renewed.until(), renewed.epoch()), (at(110), first.epoch()));
    assert!(matches!(store.acquire(&other, at(61), TTL).await, Ok(Acquired::Busy { .. })));
    // Its time is over.
    let Ok(Acquired::Held(second)) = store.acquire(&other, at(110), TTL).await else {
        panic!("not taken over");
    };
    assert_eq!(second.epoch(), first.epoch() + 1);
    assert!(matches!(store.renew(&renewed, at(111), TTL).await, Err(StoreError::Fenced { .. })));
    // Giving back what is not held any more takes it from nobody.
    store.release(renewed).await.unwrap();
    store.commit(&second, vec![]).await.unwrap();
    // The dead are not waited for.
    let dead = Holder { pid: 4_100_000, ..Holder::here() };
    store.release(second).await.unwrap();
    assert!(matches!(store.acquire(&dead, at(112), TTL).await, Ok(Acquired::Held(_))));
    assert!(matches!(store.acquire(&other, at(112), TTL).await, Ok(Acquired::Held(_))));
}

async fn a_stale_lease_writes_nothing(store: &dyn Store) {
    let stale = lease(store).await;
    let Ok(Acquired::Held(current)) = store.acquire(&Holder::here(), at(60), TTL).await else {
        panic!("not taken over");
    };
    let before = store.index().await.unwrap();
    let writes = vec![Write::Record(record("a", "1", None)), Write::Quiet(None)];
    match store.commit(&stale, writes.clone()).await {
        Err(StoreError::Fenced { epoch, current: now }) => {
            assert_eq!((epoch, now), (stale.epoch(), current.epoch()));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(store.commit(&stale, vec![]).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.sweep(&stale, 10).await, Err(StoreError::Fenced { .. })));
    assert_eq!(store.index().await.unwrap(), before);
    store.commit(&current, writes.clone()).await.unwrap();
    let copy = store.renew(&current, at(61), TTL).await.unwrap();
    store.release(current).await.unwrap();
    assert!(matches!(store.commit(&copy, writes).await, Err(StoreError::Fenced { .. })));
}

async fn what_is_written_is_read(store: &dyn Store) {
    let lease = lease(store).await;
    let (first, second) = (desired("a", "1", Some("b")), invalid("b"));
    let written = record("a", "1", Some(at(9)));
    let writes = vec![
        Write::Artifact(artifact("1")),
        Write::Desired(second.clone()),
        Write::Desired(first.clone()),
        Write::Record(written.clone()),
    ];
    store.commit(&lease, writes).await.unwrap();
    let ids = [id("b"), id("a"), id("gone"), id("a")];
    let read = store.desired(&ids).await.unwrap();
    assert_eq!(read, [(*first.desired).clone(), (*second.desired).clone()]);
    assert_eq!(store.records(&ids).await.unwrap(), [(*written).clone()]);
    let text = store.artifact(&digest("1")).await.unwrap();
    assert_eq!(text, Some(artifact("1")));
    assert!(store.artifact(&digest("2")).await.unwrap().is_none());
    let index = store.index().await.unwrap();
    let without = super::Index { desired: vec![], records: vec![], ..index.clone() };
    assert_eq!(store.standing().await.unwrap(), without);
    assert_eq!(index.basis, store.basis().await.unwrap());
    let [a, b] = index.desired.as_slice() else { panic!("{:?}", index.desired) };
    assert_eq!((&a.id, a.spot.origin(&a.id), a.key), (&id("a"), origin("a"), first.key));
    assert_eq!((a.blob, a.fingerprint, a.valid), (first.blob, first.fingerprint, true));
    assert_eq!((&*a.references, a.template.as_deref()), (&[id("b")][..], Some(&template(2))));
    assert_eq!((b.valid, b.references.len(), b.template.is_none()), (false, 0, true));
    let [entry] = index.records.as_slice() else { panic!("{:?}", index.records) };
    assert_eq!((entry.settled, entry.checked), (Some(digest("1")), Some(at(9))));
    // Written over, and dropped.
    let again = desired("a", "2", None);
    let writes = vec![
        Write::Desired(again.clone()),
        Write::DropDesired(id("b")),
        Write::DropRecord(id("a")),
        Write::DropRecord(id("never")),
    ];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.desired(&ids).await.unwrap(), [(*again.desired).clone()]);
    assert!(store.records(&ids).await.unwrap().is_empty());
    assert!(store.index().await.unwrap().desired[0].references.is_empty());
}

async fn a_failing_commit_writes_nothing(store: &dyn Store) {
    let lease = lease(store).await;
    let quiet = Quiet { inputs: digest("q"), due: None, notes: 0, looked: None };
    store.commit(&lease, vec![Write::Quiet(Some(quiet.clone()))]).await.unwrap();
    let before = store.index().await.unwrap();
    let token = Token::new("never");
    let writes = vec![Write::Record(record("a", "1", None)), Write::End { token }];
    let error = store.commit(&lease, writes).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert_eq!(store.index().await.unwrap(), before);
    assert_eq!(store.quiet().await.unwrap(), Some(quiet));
    let nameless = Artifact { digest: None, ..artifact("1") };
    let error = store.commit(&lease, vec![Write::Artifact(nameless)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
}

async fn an_effect_goes_through_the_journal(store: &dyn Store) {
    let lease = lease(store).await;
    let row = intent("a", "1", 0);
    store.commit(&lease, vec![Write::Intent(row.clone())]).await.unwrap();
    let mut expected = (*row).clone();
    expected.change.artifact = None;
    assert_eq!(store.index().await.unwrap().journal, [expected]);
    assert_eq!(store.artifact(&digest("1")).await.unwrap(), Some(artifact("1")));
    // The same effect may be meant again for as long as nobody was asked.
    store.commit(&lease, vec![Write::Intent(row.clone())]).await.unwrap();
    let sent = sent(row.clone());
    store.commit(&lease, vec![Write::Progress(sent.clone())]).await.unwrap();
    assert_eq!(store.index().await.unwrap().journal, [(*sent).clone()]);
    for back in [Write::Intent(row.clone()), Write::Progress(row.clone())] {
        let error = store.commit(&lease, vec![back]).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    }
    let end = Write::End { token: row.change.token.clone() };
    let writes = vec![Write::Record(record("a", "1", None)), end.clone()];
    store.commit(&lease, writes).await.unwrap();
    assert!(store.index().await.unwrap().journal.is_empty());
    for late in [end, Write::Progress(sent)] {
        let error = store.commit(&lease, vec![late]).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }
}

async fn one_effect_on_a_target(store: &dyn Store) {
    let lease = lease(store).await;
    let (first, second) = (intent("a", "1", 0), intent("a", "2", 0));
    let token = first.change.token.clone();
    store.commit(&lease, vec![Write::Intent(first)]).await.unwrap();
    let error = store.commit(&lease, vec![Write::Intent(second.clone())]).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    let writes = vec![Write::End { token }, Write::Intent(second)];
    store.commit(&lease, writes).await.unwrap();
    // An intent that could not be sent again is none.
    let mut bare = intent("b", "3", 0);
    bare.change.artifact = None;
    let error = store.commit(&lease, vec![Write::Intent(bare.clone())]).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    let writes = vec![Write::Artifact(artifact("3")), Write::Intent(bare)];
    store.commit(&lease, writes).await.unwrap();
}

async fn a_move_takes_everything_along(store: &dyn Store) {
    let lease = lease(store).await;
    let old = record("a", "1", None);
    let writes = vec![
        Write::Record(old.clone()),
        Write::Record(record("c", "3", None)),
        Write::Intent(intent("a", "2", 0)),
        Write::Retry { key: key("a"), retry: Some(retry(2)) },
        Write::Event(event(Some("a"), "made")),
    ];
    store.commit(&lease, writes).await.unwrap();
    let rekey = Write::Rekey { from: id("a"), to: id("b") };
    store.commit(&lease, vec![rekey.clone()]).await.unwrap();
    assert_eq!(store.records(&[id("a"), id("b")]).await.unwrap(), [Record { id: id("b"), ..*old }]);
    let index = store.index().await.unwrap();
    assert_eq!(index.journal[0].change.target.key, key("b"));
    let Outcome::Applied(outcome) = &index.journal[0].outcome else { panic!("another outcome") };
    assert_eq!(outcome.record.id, id("b"));
    assert_eq!(index.retries, [(key("b"), retry(2))]);
    assert_eq!(store.events(Some(&id("b")), 9).await.unwrap(), [event(Some("b"), "made")]);
    assert!(matches!(store.commit(&lease, vec![rekey]).await, Err(StoreError::Missing { .. })));
    let over = Write::Rekey { from: id("b"), to: id("c") };
    assert!(matches!(store.commit(&lease, vec![over]).await, Err(StoreError::Conflict { .. })));
}

async fn statuses_are_published(store: &dyn Store) {
    let lease = lease(store).await;
    let writes = vec![Write::Status(status("b", "1")), Write::Status(status("a", "1"))];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.unpublished(9).await.unwrap(), [status("a", "1"), status("b", "1")]);
    assert_eq!(store.unpublished(1).await.unwrap(), [status("a", "1")]);
    let published = |name: &str, digest| Write::Published { request: id(name), digest };
    let writes = vec![published("a", Some(digest("1"))), published("b", Some(digest("1")))];
    store.commit(&lease, writes).await.unwrap();
    assert!(store.unpublished(9).await.unwrap().is_empty());
    // A new one is to be published, and does not forget what is.
    store.commit(&lease, vec![Write::Status(status("a", "2"))]).await.unwrap();
    let row = store.unpublished(9).await.unwrap().pop().unwrap();
    assert_eq!(row.published, Some(digest("1")));
    assert_eq!(store.statuses(&[id("a"), id("x")]).await.unwrap(), [row]);
    // What is dropped stays known until its file is gone.
    store.commit(&lease, vec![Write::DropStatus(id("b"))]).await.unwrap();
    assert!(store.statuses(&[id("b")]).await.unwrap().is_empty());
    assert_eq!(store.unpublished_drops(9).await.unwrap(), [id("b")]);
    store.commit(&lease, vec![published("b", None)]).await.unwrap();
    assert!(store.unpublished_drops(9).await.unwrap().is_empty());
    // What was never published is gone at once.
    let writes = vec![Write::Status(status("c", "1")), Write::DropStatus(id("c"))];
    store.commit(&lease, writes).await.unwrap();
    assert!(store.unpublished_drops(9).await.unwrap().is_empty());
    // Paging meets each once.
    let writes = (0..25).map(|n| Write::Status(status(&format!("p{n:02}"), "1"))).collect();
    store.commit(&lease, writes).await.unwrap();
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = store.statuses_after(after.as_ref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(after.as_ref() < Some(&page[0].request));
        after = Some(last.request.clone());
        seen += page.len();
    }
    assert_eq!(seen, 26);
}

async fn quiet_ends_with_any_change(store: &dyn Store) {
    let lease = lease(store).await;
    let quiet = Quiet { inputs: digest("q"), due: Some(at(99)), notes: 0, looked: None };
    let set = || vec![Write::Quiet(Some(quiet.clone()))];
    store.commit(&lease, set()).await.unwrap();
    assert_eq!(store.quiet().await.unwrap().as_ref(), Some(&quiet));
    let harmless = vec![
        Write::Event(event(None, "started")),
        Write::Published { request: id("a"), digest: None },
    ];
    store.commit(&lease, harmless).await.unwrap();
    assert_eq!(store.quiet().await.unwrap().as_ref(), Some(&quiet));
    for change in [
        Write::Record(record("a", "1", None)),
        Write::Hold { request: id("a"), holds: vec![] },
        Write::Value { key: "k".into(), value: None },
        Write::Quiet(None),
    ] {
        store.commit(&lease, set()).await.unwrap();
        store.commit(&lease, vec![change]).await.unwrap();
        assert!(store.quiet().await.unwrap().is_none());
    }
    // Unless the commit itself says so, in whatever order.
    let writes = vec![Write::Quiet(Some(quiet.clone())), Write::Desired(invalid("a"))];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.quiet().await.unwrap(), Some(quiet));
}

async fn what_ends_is_found_by_its_end(store: &dyn Store) {
    let lease = lease(store).await;
    let lives = |name: &str, ends: Option<i64>| {
        let life = ends.map(|ends| {
            let (until, max) = (at(ends), None);
            let lifetime = Lifetime { term: Term::Until(until), max, imposed: false };
            Life { lifetime, since: at(0), ends: until }
        });
        Write::Record(Box::new(Record { life, ..*record(name, "1", None) }))
    };
    let ends = async |until| {
        let found = store.ending(at(until)).await.unwrap();
        let told = found.into_iter().map(|entry| (entry.id, entry.ends.unwrap()));
        told.collect::<Vec<_>>()
    };
    let writes = vec![lives("a", Some(30)), lives("b", Some(20)), lives("c", None)];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(ends(19).await, []);
    assert_eq!(ends(20).await, [(id("b"), at(20))]);
    assert_eq!(ends(99).await, [(id("b"), at(20)), (id("a"), at(30))]);
    store.commit(&lease, vec![lives("b", Some(40)), lives("a", None)]).await.unwrap();
    assert_eq!(ends(39).await, []);
    assert_eq!(ends(40).await, [(id("b"), at(40))]);
}

async fn whoever_counts_sees_others_write(store: &dyn Store) {
    let lease = lease(store).await;
    let (stamp, basis) = (store.stamp().await.unwrap(), store.basis().await.unwrap());
    let quiet = Quiet { inputs: digest("q"), due: None, notes: 0, looked: None };
    store.commit(&lease, vec![Write::Quiet(Some(quiet))]).await.unwrap();
    store.commit(&lease, vec![]).await.unwrap();
    assert_eq!(store.stamp().await.unwrap(), stamp);
    let writes = vec![Write::Record(record("a", "1", None)), Write::DropRecord(id("a"))];
    store.commit(&lease, writes).await.unwrap();
    store.commit(&lease, vec![Write::Event(event(None, "started"))]).await.unwrap();
    store.note(vec![PersonWrite::RetryNow { request: id("a") }]).await.unwrap();
    assert_eq!(store.stamp().await.unwrap(), stamp + 3);
    // History, and what is kept aside, is nothing that a pass goes by.
    let aside = Write::Value { key: format!("{ASIDE}told"), value: Some(1.into()) };
    store.commit(&lease, vec![aside]).await.unwrap();
    assert_eq!(store.stamp().await.unwrap(), stamp + 4);
    assert_eq!(store.basis().await.unwrap(), basis + 2);
    assert_eq!(store.index().await.unwrap().basis, basis + 2);
}

async fn a_person_is_not_overheard(store: &dyn Store) {
    let lease = lease(store).await;
    let writes = vec![
        Write::Retry { key: key("a"), retry: Some(retry(1)) },
        Write::Retry { key: key("b"), retry: Some(retry(1)) },
    ];
    store.commit(&lease, writes).await.unwrap();
    let index = store.index().await.unwrap();
    // Somebody speaks while a pass is on its way, and the pass then finds nothing to do.
    let notes = vec![
        PersonWrite::Approve(approval("p", "ada")),
        PersonWrite::Approve(approval("p", "bob")),
        PersonWrite::RetryNow { request: id("a") },
    ];
    store.note(notes).await.unwrap();
    let quiet = Quiet { inputs: digest("q"), due: None, notes: index.notes, looked: None };
    store.commit(&lease, vec![Write::Quiet(Some(quiet.clone()))]).await.unwrap();
    assert!(store.quiet().await.unwrap().is_none(), "the note was not looked at");
    let index = store.index().await.unwrap();
    assert_eq!(index.approvals, [approval("p", "ada"), approval("p", "bob")]);
    assert_eq!(index.retries, [(key("b"), retry(1))]);
    let quiet = Quiet { notes: index.notes, ..quiet };
    store.commit(&lease, vec![Write::Quiet(Some(quiet))]).await.unwrap();
    assert!(store.quiet().await.unwrap().is_some());
    store.commit(&lease, vec![Write::DropApproval(digest("p"))]).await.unwrap();
    assert!(store.index().await.unwrap().approvals.is_empty());
    // What replaces a yes takes the old one away in the same moment.
    let notes = [("p", "ada"), ("q", "ada")].map(|(of, by)| PersonWrite::Approve(approval(of, by)));
    store.note(notes.into()).await.unwrap();
    let notes =
        vec![PersonWrite::DropApproval(digest("p")), PersonWrite::Approve(approval("p", "bob"))];
    store.note(notes).await.unwrap();
    let index = store.index().await.unwrap();
    let by: Vec<&str> = index.approvals.iter().map(|a| a.by.as_str()).collect();
    assert_eq!((by.len(), by.contains(&"bob")), (2, true), "{by:?}");
}

async fn an_accepted_tip_is_not_forgotten(store: &dyn Store) {
    let lease = lease(store).await;
    let name = SourceName::new("main");
    let (last, tip) = (Revision::new("a".repeat(40)), Revision::new("b".repeat(40)));
    let accept = || PersonWrite::AcceptRewrite { source: name.clone(), revision: tip.clone() };
    assert!(matches!(store.note(vec![accept()]).await, Err(StoreError::Missing { .. })));
    let rewritten = |tip: &Revision| SourceRecord {
        location: "repo main".into(),
        commit: Some(last.clone()),
        problem: Some(SourceProblem::HistoryRewritten { last: last.clone(), tip: tip.clone() }),
        accepted: None,
    };
    let write = |record| vec![Write::Source { name: name.clone(), record }];
    store.commit(&lease, write(rewritten(&tip))).await.unwrap();
    store.note(vec![accept()]).await.unwrap();
    // A pass that began before writes what it knew.
    store.commit(&lease, write(rewritten(&tip))).await.unwrap();
    assert_eq!(store.index().await.unwrap().sources[&name].accepted, Some(tip.clone()));
    // Another tip by now: the yes was to another question.
    store.commit(&lease, write(rewritten(&last))).await.unwrap();
    assert_eq!(store.index().await.unwrap().sources[&name].accepted, None);
    // Used.
    store.note(vec![accept()]).await.unwrap();
    let used = SourceRecord { commit: Some(tip.clone()), problem: None, ..rewritten(&tip) };
    store.commit(&lease, write(used)).await.unwrap();
    assert_eq!(store.index().await.unwrap().sources[&name].accepted, None);
}

async fn history_is_bounded(store: &dyn Store) {
    let lease = lease(store).await;
    let lines = |name, n| (0..n).map(move |n| Write::Event(event(name, &format!("{n}"))));
    store.commit(&lease, lines(Some("a"), 250).chain(lines(None, 3)).collect()).await.unwrap();
    store.commit(&lease, lines(Some("b"), 2).collect()).await.unwrap();
    let messages = |events: Vec<Event>| events.into_iter().map(|e| e.message).collect::<Vec<_>>();
    let of_a = messages(store.events(Some(&id("a")), 1_000).await.unwrap());
    assert_eq!(of_a.len(), 100);
    assert_eq!((of_a[0].as_str(), of_a[99].as_str()), ("150", "249"));
    assert_eq!(messages(store.events(Some(&id("a")), 2).await.unwrap()), ["248", "249"]);
    assert_eq!(messages(store.events(None, 4).await.unwrap()), ["1", "2", "0", "1"]);
    assert_eq!(store.events(None, 1_000).await.unwrap().len(), 105);
}

fn happened(name: &str, message: &str) -> Write {
    Write::Happened { key: digest(&format!("{name} {message}")), event: event(Some(name), message) }
}

async fn history(store: &dyn Store, name: &str, after: Option<u64>, limit: usize) -> Vec<String> {
    let lines = store.history(&id(name), after, limit).await.unwrap();
    assert!(lines.is_sorted_by(|a, b| a.n < b.n));
    lines.into_iter().map(|line| line.event.message).collect()
}

async fn what_is_told_twice_is_one_line(store: &dyn Store) {
    let lease = lease(store).await;
    let twice = || vec![happened("a", "1"), happened("a", "2"), happened("a", "2")];
    store.commit(&lease, twice()).await.unwrap();
    store.commit(&lease, vec![Write::Event(event(Some("a"), "Applied"))]).await.unwrap();
    store.commit(&lease, vec![happened("a", "2"), happened("a", "3")]).await.unwrap();
    assert_eq!(history(store, "a", None, 9).await, ["1", "2", "Applied", "3"]);
    assert_eq!(history(store, "a", None, 2).await, ["Applied", "3"]);
    let first = store.history(&id("a"), None, 9).await.unwrap()[0].n;
    assert_eq!(history(store, "a", Some(first), 2).await, ["2", "Applied"]);
    assert_eq!(store.events(Some(&id("a")), 9).await.unwrap().len(), 1, "only its own");
    // After a move as well, under the name it has by then.
    let writes = vec![
        Write::Record(record("a", "1", None)),
        Write::Rekey { from: id("a"), to: id("b") },
        happened("a", "2"),
    ];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(history(store, "b", None, 9).await, ["1", "2", "Applied", "3"]);
    assert!(history(store, "a", None, 9).await.is_empty());
}

async fn what_happens_to_parts_does_not_push_out_history(store: &dyn Store) {
    let lease = lease(store).await;
    store.commit(&lease, vec![Write::Event(event(Some("a"), "Applied"))]).await.unwrap();
    for part in 0..5 {
        let many = (0..250).map(|n| happened("a", &format!("{}", part * 250 + n)));
        store.commit(&lease, many.collect()).await.unwrap();
    }
    let lines = history(store, "a", None, 9_999).await;
    assert_eq!(lines.len(), 1_001);
    assert_eq!((lines[0].as_str(), lines[1].as_str()), ("Applied", "250"));
    assert_eq!(lines[1_000], "1249");
}

async fn whoever_follows_history_misses_nothing(store: &dyn Store) {
    let lease = lease(store).await;
    assert_eq!(store.last_line().await.unwrap(), 0);
    assert!(store.lines_after(0, 9).await.unwrap().is_empty());
    let writes = vec![
        Write::Event(event(Some("a"), "1")),
        Write::Event(event(None, "of nobody")),
        happened("a", "of a part"),
        Write::Event(event(Some("b"), "2")),
    ];
    store.commit(&lease, writes).await.unwrap();
    let lines = store.lines_after(0, 9).await.unwrap();
    let of: Vec<_> = lines.iter().map(|(_, request)| request.clone()).collect();
    assert_eq!(of, [id("a"), id("b")]);
    let last = store.last_line().await.unwrap();
    assert_eq!(lines[1].0, last);
    assert_eq!(store.lines_after(0, 1).await.unwrap(), lines[..1]);
    assert_eq!(store.lines_after(lines[0].0, 9).await.unwrap(), lines[1..]);
    store.commit(&lease, vec![Write::Event(event(Some("c"), "3"))]).await.unwrap();
    let more = store.lines_after(last, 9).await.unwrap();
    assert!(more.len() == 1 && more[0].0 > last && more[0].1 == id("c"));
}

/// Each as if it were made in its turn, however they are put down together.
async fn the_last_write_of_a_commit_counts(store: &dyn Store) {
    let lease = lease(store).await;
    let published = |digest| Write::Published { request: id("a"), digest };
    let writes = vec![
        Write::Record(record("a", "1", None)),
        Write::DropRecord(id("a")),
        Write::Record(record("b", "1", None)),
        Write::Record(record("b", "2", None)),
        Write::Record(record("c", "1", None)),
        Write::Rekey { from: id("c"), to: id("d") },
        Write::DropRecord(id("d")),
        Write::Retry { key: key("a"), retry: Some(retry(1)) },
        Write::Retry { key: key("a"), retry: None },
        Write::Value { key: "k".into(), value: Some(json!(1)) },
        Write::Value { key: "k".into(), value: Some(json!(2)) },
        published(Some(digest("before there is one"))),
        Write::Status(status("a", "1")),
        published(Some(digest("old"))),
        Write::Status(status("a", "2")),
        Write::Status(status("b", "1")),
        Write::DropStatus(id("b")),
    ];
    store.commit(&lease, writes).await.unwrap();
    let found = store.records(&["a", "b", "c", "d"].map(id)).await.unwrap();
    assert_eq!(found, [*record("b", "2", None)]);
    assert!(store.index().await.unwrap().retries.is_empty());
    assert_eq!(store.value("k").await.unwrap(), Some(json!(2)));
    let statuses = store.statuses(&["a", "b"].map(id)).await.unwrap();
    let expected = StatusRow { published: Some(digest("old")), ..status("a", "2") };
    assert_eq!(statuses, [expected]);
    // Gone, and remembered for as long as its file is published.
    let writes = vec![Write::DropStatus(id("a"))];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.unpublished_drops(9).await.unwrap(), [id("a")]);
    store.commit(&lease, vec![published(None)]).await.unwrap();
    assert!(store.unpublished_drops(9).await.unwrap().is_empty());
    assert!(store.statuses_after(None, 9).await.unwrap().is_empty());
}

async fn unused_artifacts_are_swept(store: &dyn Store) {
    let lease = lease(store).await;
    let writes = vec![
        Write::Artifact(artifact("of record")),
        Write::Record(record("a", "of record", None)),
        Write::Artifact(artifact("of status")),
        Write::Status(status("a", "of status")),
        Write::Artifact(artifact("of desired")),
        Write::Desired(desired("a", "of desired", None)),
        Write::Intent(intent("b", "of intent", 0)),
        Write::Artifact(artifact("of nobody")),
        Write::Artifact(artifact("of nobody else")),
    ];
    store.commit(&lease, writes).await.unwrap();
    let swept = store.sweep(&lease, 1).await.unwrap();
    assert_eq!((swept.artifacts, swept.more), (1, true));
    let swept = store.sweep(&lease, 10).await.unwrap();
    assert_eq!((swept.artifacts, swept.more), (1, false));
    let all = ["of record", "of status", "of desired", "of intent", "of nobody", "of nobody else"];
    assert_eq!(store.artifacts(&all.map(digest)).await.unwrap().len(), 4);
    let writes = vec![
        Write::DropRecord(id("a")),
        Write::DropStatus(id("a")),
        Write::DropDesired(id("a")),
        Write::End { token: intent("b", "of intent", 0).change.token },
    ];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.sweep(&lease, 10).await.unwrap().artifacts, 4);
    assert!(store.artifacts(&all.map(digest)).await.unwrap().is_empty());
}

async fn small_things_come_and_go(store: &dyn Store) {
    let lease = lease(store).await;
    let holds =
        vec![held("a", HoldReason::Protected { locked: false }), held("a", HoldReason::Suspended)];
    let template_write = |version, text: &str, second| Write::Template {
        id: template(version),
        digest: digest(text),
        commit: Some(Revision::new("c".repeat(40))),
        at: at(second),
    };
    let value = |value| Write::Value { key: "k".into(), value };
    let writes = vec![
        Write::Hold { request: id("a"), holds: holds.clone() },
        template_write(10, "ten", 1),
        template_write(9, "nine", 1),
        value(Some(json!({"deep": [1, 2.5, "x"]}))),
    ];
    store.commit(&lease, writes).await.unwrap();
    let index = store.index().await.unwrap();
    assert_eq!(index.holds, holds);
    let templates = [(template(9), digest("nine")), (template(10), digest("ten"))];
    assert_eq!(index.templates, templates, "in the order of versions");
    assert_eq!(store.value("k").await.unwrap(), Some(json!({"deep": [1, 2.5, "x"]})));
    let writes = vec![
        Write::Hold { request: id("a"), holds: vec![holds[1].clone()] },
        template_write(9, "nine", 2),
        template_write(10, "edited", 2),
        value(None),
    ];
    store.commit(&lease, writes).await.unwrap();
    assert_eq!(store.index().await.unwrap().holds, holds[1..]);
    let rows = store.templates().await.unwrap();
    assert_eq!((rows[0].at, rows[1].at, rows[1].digest), (at(1), at(2), digest("edited")));
    assert!(store.value("k").await.unwrap().is_none());
}
