//! Where a case is played: a repository, a store, a status branch, and one process after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;
use vend::config::Config;
use vend::model::{Approval, HoldReason, PassReport, Revision, SourceName, Status};
use vend::provider::Providers;
use vend::reconcile::{Engine, PassError, Wake};
use vend::store::{Acquired, Holder, Lease, PersonWrite, Sqlite, Store};

use super::things::{Thing, Things};
use super::words::{Catalog, Edition, File, Hand, Id, Rest, What, Word};
use crate::crash::cut::Cut;
use crate::crash::lab::Clock;
use crate::world::{Edit, STATUS, catalog, request_with};

const MAIN: &str = "refs/heads/main";

/// Where something is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Requests,
    Catalog,
}

/// See the module.
pub struct Desk {
    root: TempDir,
    repository: Repository,
    catalog: Repository,
    config: Arc<Config>,
    pub things: Things,
    pub clock: Clock,
    /// The latest moment at which a pass was made: a clock that goes back comes to it again.
    latest: Timestamp,
    process: Option<(Engine, Lease)>,
}

/// Memory where there is some for files: nothing of a case must outlive it.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("vend-model-").tempdir_in(parent).unwrap()
}

const STORE: &str = "state/vend.sqlite";

/// A new store, with a name that is no chance's: names in the world and tokens go by it.
fn name_store(path: &Path) {
    drop(Sqlite::open(path).unwrap());
    let store = rusqlite::Connection::open(path).unwrap();
    store.execute("UPDATE state SET instance = 'i-model'", []).unwrap();
}

/// How often targets are looked at for drift.
const LOOKS: &str = "60d";

/// Longer than between any two looks at one target.
const LONG: SignedDuration = SignedDuration::from_hours(24 * 67);

/// The catalog's files.
fn catalog_files(catalog: &Catalog) -> Vec<(String, String)> {
    let own = match catalog.garbled {
        true => "{",
        false => {
            "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: model}\nspec: {format: 1}\n"
        }
    };
    let reverts = if catalog.reverts { "  onDrift: revert\n" } else { "" };
    let mut edits = vec![
        crate::world::write("catalog.yaml", own),
        catalog::environment("dev", "/nowhere", reverts),
    ];
    for (minor, edition) in &catalog.folders {
        let schema = r#"{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"type": "string"}}}"#;
        let source =
            format!("text: {{{{parameters.text}}}}\nversion: {minor}\nedition: {edition:?}\n");
        let sources = [("note.yaml.hbs", source.as_str())];
        let sources = if *edition == Edition::Broken { &[][..] } else { &sources };
        let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
        let outputs = "{path: {from: note.path}}";
        let version = format!("1.{minor}.0");
        edits.extend(catalog::template("note", &version, components, outputs, schema, sources));
    }
    let file = |edit| match edit {
        Edit::Write(path, text) => (path, text),
        Edit::Remove(_) | Edit::Link(..) | Edit::RemoveAll => unreachable!("a catalog of files"),
    };
    edits.into_iter().map(file).collect()
}

/// What a text that was rendered is of.
fn what(text: &str) -> Option<What> {
    let mut lines = text.lines();
    let mut next = |name: &str| lines.next()?.strip_prefix(name).map(str::to_owned);
    let value = next("text: v")?.parse().ok()?;
    let version = next("version: ")?.parse().ok()?;
    let edition = match next("edition: ")?.as_str() {
        "First" => Edition::First,
        "Second" => Edition::Second,
        _ => return None,
    };
    Some(What { version, edition, value })
}

/// A commit with these files and no others, on `main`.
fn commit(
    repository: &Repository,
    files: impl IntoIterator<Item = (String, String)>,
    parents: &[Oid],
) -> Oid {
    let mut tree = TreeUpdateBuilder::new();
    for (path, text) in files {
        tree.upsert(path, repository.blob(text.as_bytes()).unwrap(), FileMode::Blob);
    }
    let empty = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = tree.create_updated(repository, &repository.find_tree(empty).unwrap()).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let ada = Signature::new("Ada", "ada@example.com", &Time::new(1_800_000_000, 0)).unwrap();
    let parents: Vec<_> = parents.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
    let parents: Vec<_> = parents.iter().collect();
    let made = repository.commit(None, &ada, &ada, "change", &tree, &parents).unwrap();
    repository.reference(MAIN, made, true, "").unwrap();
    made
}

fn text(id: Id, file: &File) -> String {
    let File { value, version, protect, confirm, suspend, broken, from } = *file;
    let mut more = Vec::new();
    more.extend(protect.then(|| "protect: true".to_owned()));
    more.extend(
        confirm.then(|| format!("delete: {{confirm: {}}}", id.rsplit('/').next().unwrap())),
    );
    more.extend(suspend.then(|| "suspend: true".to_owned()));
    more.extend(from.map(|from| format!("movedFrom: {from}")));
    let parameter = if broken { "txt" } else { "text" };
    let template = version.map_or("note@^1".to_owned(), |minor| format!("note@1.{minor}.0"));
    request_with(&template, &format!("{{{parameter}: v{value}}}"), &more.join("\n"))
}

impl Desk {
    /// A pass takes up so many files.
    pub fn new(stock: &Catalog, portion: usize) -> Self {
        let root = folder();
        let repository = Repository::init_bare(root.path().join("requests")).unwrap();
        let catalog = Repository::init_bare(root.path().join("catalog")).unwrap();
        let config = json!({
            "catalog": {"repository": root.path().join("catalog")},
            "requests": [{"repository": root.path().join("requests")}],
            "stateDir": root.path().join("state"),
            "providers": {"files": {"allow": ["/nowhere"]}},
            // Within a round it is only looked at what differs, unless that time is let pass.
            "reconcile": {"driftInterval": LOOKS, "portion": portion},
        });
        let path = root.path().join("vend.yaml");
        let config = Config::parse(&path, vend::yaml::write_json(&config).as_bytes()).unwrap();
        std::fs::create_dir(root.path().join("state")).unwrap();
        name_store(&root.path().join(STORE));
        let (things, clock) = (Things::default(), Clock::new());
        let config = Arc::new(config);
        let (latest, process) = (clock.now(), None);
        let desk = Self { root, repository, catalog, config, things, clock, latest, process };
        desk.push(&BTreeMap::new());
        desk.stock(stock);
        desk
    }

    /// A commit on the catalog's `main`.
    pub fn stock(&self, stock: &Catalog) {
        let tip = self.catalog.refname_to_id(MAIN).ok();
        commit(&self.catalog, catalog_files(stock), tip.as_slice());
    }

    fn tip(&self, branch: &str) -> Option<Oid> {
        self.repository.refname_to_id(&format!("refs/heads/{branch}")).ok()
    }

    fn commit(&self, files: &BTreeMap<Id, File>, parents: &[Oid]) {
        let files = files.iter().map(|(id, file)| (format!("requests/{id}.yaml"), text(id, file)));
        let readme = ("requests/README.md".to_owned(), "Requests.\n".to_owned());
        commit(&self.repository, files.chain([readme]), parents);
    }

    /// A commit on `main`, with these files and no others.
    pub fn push(&self, files: &BTreeMap<Id, File>) {
        self.commit(files, self.tip("main").as_slice());
    }

    /// Another history, with these files.
    pub fn rewrite(&self, files: &BTreeMap<Id, File>) {
        self.commit(files, &[]);
    }

    fn of(&self, source: Source) -> &Repository {
        match source {
            Source::Requests => &self.repository,
            Source::Catalog => &self.catalog,
        }
    }

    /// Somebody takes `main` away, until it is put back.
    pub fn take_main(&self, of: Source) -> Oid {
        let tip = self.of(of).refname_to_id(MAIN).unwrap();
        self.of(of).find_reference(MAIN).unwrap().delete().unwrap();
        tip
    }

    pub fn put_main(&self, of: Source, tip: Oid) {
        self.of(of).reference(MAIN, tip, true, "").unwrap();
    }

    /// Somebody edits what vend says: takes the branch away, sets it back, removes each file, or writes into it.
    pub fn vandalise(&self, how: u8) {
        let name = format!("refs/heads/{STATUS}");
        let Some(tip) = self.tip(STATUS) else { return };
        let commit = self.repository.find_commit(tip).unwrap();
        match how {
            0 => self.repository.find_reference(&name).unwrap().delete().unwrap(),
            1 => {
                let Some(parent) = commit.parent_ids().next() else { return };
                self.repository.reference(&name, parent, true, "").unwrap();
            }
            _ => {
                let mut tree = TreeUpdateBuilder::new();
                for path in self.paths(STATUS, "status/") {
                    let text = self.read(STATUS, &path).replace("phase: ", "phase: Not");
                    let blob = self.repository.blob(text.as_bytes()).unwrap();
                    match how {
                        2 => tree.remove(path),
                        _ => tree.upsert(path, blob, FileMode::Blob),
                    };
                }
                let tree = tree.create_updated(&self.repository, &commit.tree().unwrap()).unwrap();
                let tree = self.repository.find_tree(tree).unwrap();
                let eve = Signature::new("Eve", "eve@example.com", &Time::new(1, 0)).unwrap();
                let made = self.repository.commit(None, &eve, &eve, "mine", &tree, &[&commit]);
                self.repository.reference(&name, made.unwrap(), true, "").unwrap();
            }
        }
    }

    fn store(&self) -> Sqlite {
        Sqlite::open(&self.root.path().join(STORE)).unwrap()
    }

    /// What people say, whoever works.
    async fn note(&self, writes: Vec<PersonWrite>) {
        self.store().note(writes).await.unwrap();
    }

    async fn start(&mut self, store: Arc<dyn Store>) -> Result<(), PassError> {
        self.process = None;
        let lease = self.lease(store.as_ref()).await;
        let providers = Providers::new().with(self.things.clone());
        let engine = Engine::open_with(self.config.clone(), store, providers).await?;
        self.process = Some((engine, lease));
        Ok(())
    }

    /// The lease, once that of the process before has passed: with a clock that went back, that is long.
    async fn lease(&self, store: &dyn Store) -> Lease {
        loop {
            let ttl = SignedDuration::from_secs(30);
            match store.acquire(&Holder::here(), self.clock.now(), ttl).await.unwrap() {
                Acquired::Held(lease) => return lease,
                Acquired::Busy { until, .. } => self.clock.reach(until),
            }
        }
    }

    /// One pass of the process that runs, or of a new one.
    pub async fn pass(&mut self) -> Result<PassReport, PassError> {
        self.latest = self.latest.max(self.clock.now());
        if self.process.is_none() {
            self.start(Arc::new(self.store())).await?;
        }
        let (engine, lease) = self.process.as_mut().unwrap();
        engine.pass(Wake::Apply(lease), &|| self.clock.now()).await
    }

    /// A new process that dies at its n-th commit, before or after it is written.
    pub async fn die(&mut self, commits: usize, before: bool) {
        if self.start(Arc::new(Cut::new(self.store(), commits, before))).await.is_ok() {
            let _ = self.pass().await;
        }
        self.process = None;
    }

    pub fn restart(&mut self) {
        self.process = None;
    }

    /// A pass while a repository cannot be reached.
    pub async fn away(&mut self, source: Source) {
        let here = self.of(source).path().to_owned();
        let away = self.root.path().join("away");
        std::fs::rename(&here, &away).unwrap();
        let _ = self.pass().await;
        std::fs::rename(&away, &here).unwrap();
    }

    /// Passes, each when something is due, until one finds nothing to do and nothing is due for hours.
    pub async fn settle(&mut self) -> PassReport {
        let end = self.latest.max(self.clock.now()) + SignedDuration::from_hours(12);
        for _ in 0..60 {
            let report = self.pass().await.unwrap();
            match report.due.filter(|due| *due < end) {
                Some(due) => self.clock.reach(due),
                None if report.quiet => return report,
                None => {}
            }
        }
        panic!("it never comes to rest");
    }

    /// Lets the time pass in which everything is looked at once.
    pub fn wait(&self) {
        self.clock.advance(LONG.as_secs());
    }

    /// A person changes or removes what was made of a request.
    pub fn touch(&self, id: Id, how: Hand) {
        let path = format!("status/{id}.yaml");
        let status = self.paths(STATUS, &path).pop().map(|path| self.status(&path));
        for component in status.iter().flat_map(|status| &status.components) {
            self.things.with(|state| state.touch(component.target.as_str(), how));
        }
    }

    /// Says yes to all that is asked.
    pub async fn approve(&mut self) {
        let report = self.settle().await;
        let (engine, _) = self.process.as_mut().unwrap();
        // A pass over nothing new does not look at what is held.
        let report = engine.standing(report).await.unwrap();
        let digests = report.holds.iter().filter_map(|hold| match &hold.reason {
            HoldReason::TooManyDeletes { digest, .. } => Some(*digest),
            HoldReason::LooksLikeAMove { digest, set, .. } => set.or(*digest),
            HoldReason::NeedsApproval { digest, .. } => Some(*digest),
            _ => None,
        });
        let at = self.clock.now();
        let yes = |digest| {
            PersonWrite::Approve(Approval {
                digest,
                by: "ada".into(),
                by_id: None,
                teams: None,
                at,
            })
        };
        self.note(digests.map(yes).collect()).await;
    }

    /// Says that the history that is there is the one that counts.
    pub async fn accept(&self) {
        let revision = Revision::new(self.tip("main").unwrap().to_string());
        let source = SourceName::new("requests");
        self.note(vec![PersonWrite::AcceptRewrite { source, revision }]).await;
    }

    fn paths(&self, branch: &str, below: &str) -> Vec<String> {
        let mut paths = Vec::new();
        let Some(tip) = self.tip(branch) else { return paths };
        let tree = self.repository.find_commit(tip).unwrap().tree().unwrap();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            let path = format!("{folder}{}", entry.name().unwrap());
            if entry.kind() == Some(git2::ObjectType::Blob) && path.starts_with(below) {
                paths.push(path);
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        paths
    }

    fn read(&self, branch: &str, path: &str) -> String {
        let spec = format!("refs/heads/{branch}:{path}");
        let object = self.repository.revparse_single(&spec).unwrap();
        String::from_utf8(object.as_blob().unwrap().content().to_vec()).unwrap()
    }

    fn status(&self, path: &str) -> Status {
        let text = self.read(STATUS, path);
        let options = vend::yaml::Options::rendered();
        let read = vend::yaml::read(&"status".into(), text.as_bytes(), &options);
        let json = read.unwrap().pop().unwrap().to_json();
        serde_json::from_value(json).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// What all statuses say, with every moment, commit and digest in them.
    pub fn statuses(&self) -> Option<Oid> {
        let tree = self.repository.find_commit(self.tip(STATUS)?).unwrap().tree().unwrap();
        tree.get_name("status").map(|entry| entry.id())
    }

    pub fn status_tip(&self) -> Option<Oid> {
        self.tip(STATUS)
    }

    /// What the status branch says, with what is there of it in the world; and what nobody speaks of.
    pub fn standing(&self, ids: &[Id]) -> (Rest, Vec<String>) {
        let mut rest = Rest::default();
        let mut left = self.things.with(|state| state.things.clone());
        for path in self.paths(STATUS, "status/") {
            let status = self.status(&path);
            let id = ids.iter().find(|id| **id == status.metadata.id.as_str()).unwrap();
            let reason = status.conditions[0].reason.clone();
            let word = match format!("{:?}", status.phase).as_str() {
                "Ready" => Word::Ready,
                "Suspended" => Word::Suspended,
                _ => Word::Held(reason.leak()),
            };
            rest.words.insert(id, word);
            for component in &status.components {
                let there = left.remove(component.target.as_str());
                let found = |thing: Thing| match thing.by_hand {
                    true => None,
                    false => Some(what(&thing.text).unwrap_or_else(|| panic!("{}", thing.text))),
                };
                rest.things.extend(there.map(|thing| (*id, found(thing))));
            }
            if status.drift.is_some_and(|drift| !drift.items.is_empty()) {
                rest.drifted.insert(id);
            }
        }
        (rest, left.into_keys().collect())
    }
}
