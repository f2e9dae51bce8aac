//! What SQLite brings of its own: files, versions, damage, full disks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::contract::{contract, lease, wait};
use crate::store::sample::*;

#[test]
fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    contract(async || {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.db", number.get()));
        Box::new(Sqlite::open(&path).unwrap()) as Box<dyn crate::store::Store>
    });
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

/// A store with some of everything, closed.
fn filled(path: &Path) {
    let store = Sqlite::open(path).unwrap();
    wait(async {
        let lease = lease(&store).await;
        let mut writes = Vec::new();
        for n in 0..50 {
            let (name, text) = (format!("r{n:02}"), format!("text of {n}"));
            writes.push(Write::Intent(intent(&name, &text, 0)));
            writes.push(Write::Desired(desired(&name, &text, None)));
            writes.push(Write::Record(record(&name, &text, None)));
            writes.push(Write::Status(status(&name, &text)));
        }
        store.commit(&lease, writes).await.unwrap();
        store.release(lease).await.unwrap();
    });
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    filled(&path);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "parameters are nobody else's");
    let store = Sqlite::open(&path).unwrap();
    let index = wait(store.index()).unwrap();
    assert_eq!((index.desired.len(), index.records.len(), index.journal.len()), (50, 50, 50));
    // And the epoch goes on from where it was.
    assert_eq!(wait(lease(&store)).epoch(), 2);
}

/// I9, F66: a paused holder wakes up after another process took over.
#[test]
fn two_openers_of_one_file_are_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    let (first, second) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    wait(async {
        assert_eq!(first.instance().await.unwrap(), second.instance().await.unwrap());
        let stale = lease(&first).await;
        let hour = SignedDuration::from_hours(1);
        let taken = second.acquire(&Holder::here(), at(60), hour).await.unwrap();
        let Acquired::Held(current) = taken else { panic!("not taken over") };
        let write = |text| vec![Write::Record(record("a", text, None))];
        second.commit(&current, write("new")).await.unwrap();
        let error = first.commit(&stale, write("old")).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { epoch: 1, current: 2 }), "{error}");
        assert_eq!(first.records(&[id("a")]).await.unwrap(), [*record("a", "new", None)]);
    });
}

#[test]
fn f73_a_newer_store_is_refused_and_not_one_byte_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    filled(&path);
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("CREATE TABLE later (a); PRAGMA user_version = 7").unwrap();
    // While its log is there, and after it was closed.
    for open in [Some(newer), None] {
        let before = files(folder.path());
        let error = Sqlite::open(&path).err().unwrap();
        assert_eq!(error.to_string(), "store schema 7, this binary knows up to 4");
        if open.is_some() {
            assert!(before.contains_key("vend.db-wal"));
        }
        assert_eq!(files(folder.path()), before);
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let before = files(folder.path());
    let error = Sqlite::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Unsuitable { .. }), "{error}");
    assert_eq!(files(folder.path()), before);
}

/// A migration that fails, or dies, leaves the old store as it was; run again, it goes on.
#[test]
fn f74_a_migration_is_all_or_nothing_and_keeps_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    filled(&path);
    let options = Options::default();
    let known = schema::known(schema::STEPS);
    let and = |step| schema::STEPS.iter().copied().chain([step]).collect::<Vec<_>>();
    let broken = and("CREATE TABLE more (a) STRICT; INSERT INTO nowhere VALUES (1)");
    assert!(open::open(&path, &options, &broken).is_err());
    assert_eq!(place::look(&path).unwrap(), place::Found::Store(known));
    let index = wait(Sqlite::open(&path).unwrap().index()).unwrap();
    assert_eq!(index.records.len(), 50);
    // What a killed run left is in nobody's way.
    fs::write(place::beside(&path, ".copying"), "half").unwrap();
    let whole = and("CREATE TABLE more (a INTEGER) STRICT");
    drop(open::open(&path, &options, &whole).unwrap());
    assert_eq!(place::look(&path).unwrap(), place::Found::Store(known + 1));
    assert!(matches!(Sqlite::open(&path), Err(StoreError::Newer { .. })));
    let copy = Sqlite::open(&place::beside(&path, &format!(".v{known}"))).unwrap();
    assert_eq!(wait(copy.index()).unwrap(), index);
    assert!(!place::beside(&path, ".copying").exists());
}

/// Whichever byte of a document or small column is damaged, it is told, and nothing more is
/// written.
#[test]
fn f71_a_damaged_document_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (what, column)) in [
        ("document", "body"),
        ("artifact", "body"),
        ("journal", "body"),
        ("desired", "path"),
        ("record", "source"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{n}.db"));
        filled(&path);
        let damage = format!(
            "UPDATE {what} SET {column} = replace({column}, 'r00', 'r90'),
                sum = sum + (instr({column}, 'r00') = 0)"
        );
        Connection::open(&path).unwrap().execute_batch(&damage).unwrap();
        let store = Sqlite::open(&path).unwrap();
        let read = wait(async {
            store.index().await?;
            store.desired(&[id("r00")]).await?;
            store.artifacts(&[digest("text of 0")]).await
        });
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{what}");
        let refused = wait(store.note(vec![]));
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{what}");
        // The next start looks at the whole file first.
        assert!(place::beside(&path, open::SUSPECT).exists());
        drop(store);
        drop(Sqlite::open(&path).unwrap());
        assert!(!place::beside(&path, open::SUSPECT).exists());
    }
}

/// Bytes flipped in the file itself never read as other contents.
#[test]
fn f71_a_damaged_file_never_reads_as_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    filled(&path);
    let whole = fs::read(&path).unwrap();
    let ids: Vec<_> = (0..50).map(|n| id(&format!("r{n:02}"))).collect();
    let all = |store: &Sqlite| {
        wait(async {
            let index = store.index().await?;
            let desired = store.desired(&ids).await?;
            Ok::<_, StoreError>((index, desired, store.records(&ids).await?))
        })
    };
    let sound = all(&Sqlite::open(&path).unwrap()).unwrap();
    let (mut told, step) = (0, whole.len() / 150);
    for place in (100..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        let damaged = folder.path().join("damaged.db");
        fs::write(&damaged, bytes).unwrap();
        let options = Options { check: true, ..Options::default() };
        match Sqlite::open_with(&damaged, options).and_then(|store| all(&store)) {
            Ok(read) => assert!(read == sound, "byte {place} reads as something else"),
            Err(StoreError::Corrupt { .. }) => told += 1,
            Err(StoreError::Unsuitable { .. } | StoreError::Broken(_)) => told += 1,
            Err(error) => panic!("byte {place}: {error}"),
        }
        for suffix in ["", "-wal", "-shm", open::SUSPECT] {
            let _ = fs::remove_file(place::beside(&damaged, suffix));
        }
    }
    assert!(told > 20, "{told}");
}

/// A full disk refuses the commit whole, and all is well when there is room again.
#[test]
fn f63_a_full_disk_is_told_and_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vend.db")).unwrap();
    let limit = |pages: u32| {
        lock(&store.0.writer).pragma_update(None, "max_page_count", pages).unwrap();
    };
    wait(async {
        let lease = lease(&store).await;
        let writes = |size| {
            let large = Artifact { digest: Some(digest("large")), ..artifact(&"x".repeat(size)) };
            vec![Write::Record(record("a", "1", None)), Write::Artifact(large)]
        };
        limit(60);
        let error = store.commit(&lease, writes(1 << 20)).await.unwrap_err();
        assert!(matches!(error, StoreError::Full(_)), "{error}");
        assert!(error.is_transient());
        assert!(store.index().await.unwrap().records.is_empty());
        limit(1_000_000);
        store.commit(&lease, writes(1 << 20)).await.unwrap();
        assert_eq!(store.index().await.unwrap().records.len(), 1);
    });
}

/// What fails below us is never tried again.
#[test]
fn f64_a_failing_disk_stops_all_writing_and_no_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vend.db");
    filled(&path);
    let store = Sqlite::open(&path).unwrap();
    let there = wait(store.index()).unwrap().records.len();
    wait(async {
        let lease = lease(&store).await;
        let sync = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        let failure = rusqlite::Error::SqliteFailure(sync, None);
        let first = store.write(move |_, _| Err::<(), _>(failure.into())).await.unwrap_err();
        assert!(matches!(first, StoreError::Broken(_)), "{first}");
        let writes = vec![Write::Record(record("a", "1", None))];
        let second = store.commit(&lease, writes).await.unwrap_err();
        let text = crate::error::chain(&second);
        assert!(
            text.starts_with("the store cannot be written safely until a restart: an earlier"),
            "{text}"
        );
        assert_eq!(store.index().await.unwrap().records.len(), there);
    });
    drop(store);
    assert!(place::beside(&path, open::SUSPECT).exists());

    // The next start looks at the whole file, as long as that is not as it should be.
    let (whole, suspect) = (fs::read(&path).unwrap(), place::beside(&path, open::SUSPECT));
    let mut damaged = whole.clone();
    // The beginning of a page in the middle.
    let page = damaged.len() / 2 / 8192 * 8192;
    damaged[page..page + 100].fill(0xa5);
    fs::write(&path, &damaged).unwrap();
    for _ in 0..2 {
        let refused = Sqlite::open(&path).err();
        assert!(matches!(refused, Some(StoreError::Corrupt { .. })), "{refused:?}");
        assert!(suspect.exists());
    }
    fs::write(&path, &whole).unwrap();
    wait(Sqlite::open(&path).unwrap().note(vec![])).unwrap();
    assert!(!suspect.exists());
    // One that nothing is known against does not read all of it.
    fs::write(&path, &damaged).unwrap();
    drop(Sqlite::open(&path).unwrap());
}

/// B3: a commit does not wait for a long read, nor a read for a commit that is not done.
#[test]
fn a_long_read_keeps_no_commit_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("vend.db")).unwrap();
    let lease = wait(lease(&store));
    let mut reader = lock(&store.0.reader);
    let transaction = reader.transaction().unwrap();
    assert!(index::load(&transaction).unwrap().records.is_empty());
    wait(store.commit(&lease, vec![Write::Record(record("a", "1", None))])).unwrap();
    // As of one instant.
    assert!(index::load(&transaction).unwrap().records.is_empty());
}
