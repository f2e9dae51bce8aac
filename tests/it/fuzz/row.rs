//! Rows of the store whose bytes are not the ones that were written.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vend::digest::sha256;
use vend::model::{
    Approval, Artifact, Desired, Event, Journalled, ObjectId, Record, RequestId, Retry, Revision,
    SourceName, SourceRecord, TargetKey,
};
use vend::store::{
    Acquired, DesiredRow, HeldRow, Holder, Index, Options, PersonWrite, Quiet, Sqlite, StatusRow,
    Store, StoreError, TemplateRow, Write,
};

/// Everything that can be read of a store, each question with its own answer.
struct All {
    index: Result<Index, StoreError>,
    standing: Result<Index, StoreError>,
    desired: Result<Vec<Desired>, StoreError>,
    records: Result<Vec<Record>, StoreError>,
    artifacts: Result<Vec<Artifact>, StoreError>,
    under_way: Result<Vec<Journalled>, StoreError>,
    statuses: Result<Vec<StatusRow>, StoreError>,
    events: Result<Vec<Event>, StoreError>,
    templates: Result<Vec<TemplateRow>, StoreError>,
    quiet: Result<Option<Quiet>, StoreError>,
    value: Result<Option<Value>, StoreError>,
}

/// A store as it was written, and what it says.
struct Kept {
    place: TempDir,
    runtime: Runtime,
    bytes: Vec<u8>,
    columns: Vec<(String, String)>,
    all: All,
}

thread_local! {
    static KEPT: Kept = Kept::new();
}

fn sample<T: DeserializeOwned>(name: &str) -> T {
    let all: Value = serde_json::from_str(include_str!("rows.json")).unwrap();
    serde_json::from_value(all[name].clone()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn ids() -> [RequestId; 2] {
    ["orders/prod/a", "orders/prod/b"].map(|id| RequestId::parse(id).unwrap())
}

fn writes() -> Vec<Write> {
    let artifact: Artifact = sample("artifact");
    let digest = artifact.digest.unwrap();
    let journal: Journalled = sample("journal");
    let record: Record = sample("record");
    let row = |name: &str| {
        let desired = Arc::new(sample::<Desired>(name));
        let fingerprint = desired.fingerprint();
        let blob = ObjectId([7; 20]);
        Write::Desired(Box::new(DesiredRow { desired, blob, key: sha256(b"key"), fingerprint }))
    };
    let [a, _] = ids();
    let component = journal.change.target.key.component.clone();
    let status = StatusRow {
        request: a.clone(),
        document: json!({"phase": "Ready"}),
        digest: sha256(b"status"),
        published: None,
        artifacts: vec![(component.clone(), digest)],
    };
    let source = SourceRecord {
        location: "/srv/requests.git main".into(),
        commit: Some(Revision::new("a".repeat(40))),
        problem: None,
        accepted: None,
    };
    let retry = Some(sample::<Retry>("retry"));
    let template = record.template.clone();
    let at = Timestamp::UNIX_EPOCH;
    vec![
        Write::Artifact(artifact),
        row("desired"),
        row("invalid"),
        Write::Record(Box::new(record)),
        Write::Intent(Box::new(journal)),
        Write::Retry { key: TargetKey { request: a.clone(), component }, retry },
        Write::Hold { request: a, holds: vec![sample::<HeldRow>("hold")] },
        Write::Status(status),
        Write::Source { name: SourceName::new("main"), record: source },
        Write::Template { id: template, digest, commit: None, at },
        Write::Event(sample("event")),
        Write::Happened { key: sha256(b"once"), event: sample("event") },
        Write::Value { key: "aside/thing".into(), value: Some(json!({"a": [1, "b"]})) },
    ]
}

impl Kept {
    fn new() -> Self {
        let place = super::place();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let path = place.path().join("vend.db");
        runtime.block_on(async {
            let store = Sqlite::open(&path).unwrap();
            let now = Timestamp::UNIX_EPOCH;
            let Acquired::Held(lease) =
                store.acquire(&Holder::here(), now, SignedDuration::from_hours(1)).await.unwrap()
            else {
                panic!("nobody else has it")
            };
            store.commit(&lease, writes()).await.unwrap();
            let approval: Approval = sample("approval");
            store.note(vec![PersonWrite::Approve(approval)]).await.unwrap();
            let notes = store.index().await.unwrap().notes;
            let quiet = Quiet { inputs: sha256(b"in"), due: None, notes, looked: None };
            store.commit(&lease, vec![Write::Quiet(Some(quiet))]).await.unwrap();
            store.release(lease).await.unwrap();
        });
        let columns = columns(&path);
        let all = runtime.block_on(read(&path)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let kept = Self { place, runtime, bytes, columns, all };
        // What is compared with is whole.
        assert!(kept.all.index.as_ref().is_ok_and(|index| index.records.len() == 1));
        kept
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("vend.db")
    }
}

/// All columns of all tables, sorted.
fn columns(path: &Path) -> Vec<(String, String)> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

async fn read(path: &Path) -> Result<All, StoreError> {
    let options = Options { check: true, ..Options::default() };
    let store = Sqlite::open_with(path, options)?;
    let (ids, [a, _]) = (ids(), ids());
    let digest = sample::<Artifact>("artifact").digest.unwrap();
    let all = All {
        index: store.index().await,
        standing: store.standing().await,
        desired: store.desired(&ids).await,
        records: store.records(&ids).await,
        artifacts: store.artifacts(&[digest]).await,
        under_way: store.under_way(None).await,
        statuses: store.statuses_after(None, 10).await,
        events: store.events(Some(&a), 10).await,
        templates: store.templates().await,
        quiet: store.quiet().await,
        value: store.value("aside/thing").await,
    };
    // What is asked for all the time takes whatever stands there.
    let _ = (store.instance().await, store.stamp().await);
    let _ = (store.unpublished(10).await, store.unpublished_drops(10).await);
    let _ = store.history(&a, None, 10).await;
    let now = Timestamp::UNIX_EPOCH;
    let acquired = store.acquire(&Holder::here(), now, SignedDuration::from_hours(1)).await;
    if let Ok(Acquired::Held(lease)) = acquired {
        let _ = store.sweep(&lease, 10).await;
        let _ = store.release(lease).await;
    }
    Ok(all)
}

/// One cell is another: where its first two bytes say, of the kind that the third says. Whatever is read
/// after that is what was written, or an error.
pub fn row(data: &[u8]) {
    let [high, low, kind, value @ ..] = data else { return };
    let mut whole = [0; 8];
    whole.iter_mut().zip(value).for_each(|(into, from)| *into = *from);
    let cell = match kind % 4 {
        0 => Cell::Null,
        1 => Cell::Integer(i64::from_le_bytes(whole)),
        2 => Cell::Text(String::from_utf8_lossy(value).into_owned()),
        _ => Cell::Blob(value.to_vec()),
    };
    KEPT.with(|kept| {
        let nth = usize::from(u16::from_be_bytes([*high, *low])) % kept.columns.len();
        let (table, column) = &kept.columns[nth];
        for suffix in ["-wal", "-shm", "-suspect"] {
            let _ = std::fs::remove_file(kept.place.path().join(format!("vend.db{suffix}")));
        }
        std::fs::write(kept.path(), &kept.bytes).unwrap();
        let connection = Connection::open(kept.path()).unwrap();
        let changed =
            connection.execute(&format!("UPDATE {table} SET {column} = ?"), params![cell]);
        drop(connection);
        if changed.is_err() {
            return;
        }
        let found = kept.runtime.block_on(read(&kept.path()));
        let Ok(found) = found else { return };
        held(&found, &kept.all, &format!("{table}.{column}"));
    });
}

fn held(found: &All, all: &All, place: &str) {
    for (found, all) in [(&found.index, &all.index), (&found.standing, &all.standing)] {
        let (Ok(found), Ok(all)) = (found, all) else { continue };
        among(&found.desired, &all.desired, place);
        among(&found.records, &all.records, place);
        among(&found.journal, &all.journal, place);
        among(&found.retries, &all.retries, place);
        among(&found.holds, &all.holds, place);
        among(&found.approvals, &all.approvals, place);
        among(&found.templates, &all.templates, place);
        for (name, source) in &found.sources {
            assert_eq!(all.sources.get(name), Some(source), "{place}");
        }
    }
    answer(&found.desired, &all.desired, place);
    answer(&found.records, &all.records, place);
    answer(&found.artifacts, &all.artifacts, place);
    answer(&found.under_way, &all.under_way, place);
    answer(&found.events, &all.events, place);
    answer(&found.templates, &all.templates, place);
    // Which of its digests are published is told by nothing else.
    if let (Ok(found), Ok(all)) = (&found.statuses, &all.statuses) {
        let whole = |rows: &[StatusRow]| -> Vec<_> {
            rows.iter().map(|row| (row.request.clone(), row.document.clone())).collect()
        };
        among(&whole(found), &whole(all), place);
    }
    if let Ok(Some(found)) = &found.value {
        assert_eq!(all.value.as_ref().unwrap().as_ref(), Some(found), "{place}");
    }
    if let Ok(Some(found)) = &found.quiet {
        assert_eq!(all.quiet.as_ref().unwrap().as_ref(), Some(found), "{place}");
    }
}

fn answer<T: PartialEq + Debug>(
    found: &Result<Vec<T>, StoreError>,
    all: &Result<Vec<T>, StoreError>,
    place: &str,
) {
    if let (Ok(found), Ok(all)) = (found, all) {
        among(found, all, place);
    }
}

fn among<T: PartialEq + Debug>(found: &[T], all: &[T], place: &str) {
    for one in found {
        assert!(all.contains(one), "after a change of {place}: {one:?}\nis none of {all:?}");
    }
}
