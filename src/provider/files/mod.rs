//! The provider `files`: the rendered files of a component, in a folder of an output repository's
//! branch or in a plain folder of this host.
//!
//! Each target has a folder of its own with a file `.vend` that says whose it is, from what it was
//! written, by which change, and with which files. A folder with files and without ours is
//! somebody else's; folders of targets never lie inside one another.

mod allow;
mod directory;
mod disk;
mod look;
mod marker;
mod path;
mod repository;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use self::allow::{Allow, Place};
use self::disk::DiskError;
use self::look::{Look, Mark};
use self::marker::State;
use self::repository::Branch;
use self::settings::{Root, Where};
use super::{Provider, ProviderError};
use crate::digest::sha256;
use crate::fault::point;
use crate::git::{Location, Transport, Trust};
use crate::model::{
    Artifact, Change, Map, Observation, Preview, Progress, Revision, Target, TargetKey, Ticket,
    Token,
};

pub use settings::settle;

/// What the operator says about `files`.
#[derive(Clone, Debug)]
pub struct FilesSettings {
    /// `providers.files.allow`: absolute paths and URLs; what lies under one may be written.
    pub allow: Vec<String>,
    /// A folder of this provider's own, for mirrors of output repositories.
    pub state: PathBuf,
    /// How repositories are reached.
    pub transport: Arc<Transport>,
    /// How many changes one commit may carry, at least 1; 500 is a good number.
    pub batch: usize,
}

/// See the module. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    allow: Allow,
    state: PathBuf,
    transport: Arc<Transport>,
    batch: usize,
    /// By repository and branch.
    branches: Mutex<BTreeMap<(String, String), Arc<Branch>>>,
    /// By lane of directories: held while one of them is written.
    writers: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
}

impl Files {
    /// Reaches nothing. The error is a sentence that names the entry of `providers.files.allow`
    /// that is wrong.
    pub fn new(settings: FilesSettings) -> Result<Self, String> {
        let FilesSettings { allow, state, transport, batch } = settings;
        let allow = Allow::parse(&allow)?;
        Ok(Self(Arc::new(Inner {
            allow,
            state,
            transport,
            batch: batch.max(1),
            branches: Mutex::default(),
            writers: Mutex::default(),
        })))
    }
}

/// Where a target's files go, ready to be worked on.
#[derive(Clone)]
enum Site {
    Directory(directory::Place, Arc<Mutex<()>>),
    Branch(Arc<Branch>),
}

impl Inner {
    /// Where targets' files go, if the operator allows it. Each root is looked at once.
    fn sites(&self, targets: &[Target]) -> Vec<Result<(Where, Site), ProviderError>> {
        type Opened = Result<Arc<Branch>, ProviderError>;
        let mut branches: BTreeMap<(String, String), Opened> = BTreeMap::new();
        let mut site = |target: &Target| {
            let place = Where::read(&target.settings).map_err(ProviderError::Refused)?;
            place.permit(&self.allow).map_err(ProviderError::Refused)?;
            let site = match &place.root {
                Root::Directory(root) => {
                    let lane = place.lane(&self.allow);
                    let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
                    let writer = writers.entry(lane).or_default().clone();
                    let folder = directory::Place::new(&self.allow, root, &place.path);
                    Site::Directory(folder, writer)
                }
                Root::Repository { repository, place: at, branch } => {
                    let open = || self.branch(repository, at, branch);
                    let key = (repository.clone(), branch.clone());
                    Site::Branch(branches.entry(key).or_insert_with(open).clone()?)
                }
            };
            Ok((place, site))
        };
        targets.iter().map(&mut site).collect()
    }

    fn branch(
        &self,
        repository: &str,
        at: &Place,
        branch: &str,
    ) -> Result<Arc<Branch>, ProviderError> {
        let trust = match at {
            Place::Local(path) => {
                self.check_local(path)?;
                Trust::Operator
            }
            Place::Remote(_) => Trust::Content,
        };
        let key = (repository.to_owned(), branch.to_owned());
        let mut branches = self.branches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(branch) = branches.get(&key) {
            return Ok(branch.clone());
        }
        let location = Location::parse(repository, branch, trust).map_err(repository::before)?;
        let name = sha256(format!("{repository}\0{branch}").as_bytes()).hex();
        let folder = self.state.join(&name[..32]);
        let opened = Arc::new(Branch::open(&folder, location, self.transport.clone())?);
        branches.insert(key, opened.clone());
        Ok(opened)
    }

    /// Refuses a local repository that only looks as if it were under an allowed entry, or that
    /// was written by way of a target: its settings could have commands run here.
    fn check_local(&self, path: &Path) -> Result<(), ProviderError> {
        let unavailable = |error: std::io::Error| ProviderError::unavailable(error);
        let real = path.canonicalize().map_err(unavailable)?;
        let base = self.allow.local(path).unwrap_or(path).canonicalize().map_err(unavailable)?;
        let refuse =
            |why| Err(ProviderError::Refused(format!("the repository `{}` {why}", path.display())));
        if !real.starts_with(&base) {
            return refuse("is a link to what lies under no entry of `providers.files.allow`");
        }
        if real.ancestors().any(|folder| folder.join(path::MARKER).symlink_metadata().is_ok()) {
            return refuse("lies in a folder of files that vend wrote");
        }
        Ok(())
    }
}

/// A target's folder, and the commit that last changed it where there are commits.
struct Seen {
    place: Where,
    look: Look,
    commit: Option<Revision>,
}

impl Files {
    async fn sites(&self, targets: Vec<Target>) -> Vec<Result<(Where, Site), ProviderError>> {
        let (inner, count) = (self.0.clone(), targets.len());
        match blocking(move || inner.sites(&targets)).await {
            Ok(sites) => sites,
            Err(error) => vec![Err(ProviderError::unavailable(error)); count],
        }
    }

    /// `now`: as it is now, not as it was moments ago.
    async fn look(&self, target: &Target, now: bool) -> Result<Seen, ProviderError> {
        let mut sites = self.sites(vec![target.clone()]).await;
        let (place, site) =
            sites.pop().unwrap_or_else(|| Err(ProviderError::unavailable(GIVEN_UP)))?;
        let target = target.clone();
        let (look, commit) = match site {
            Site::Branch(branch) => branch.look(place.clone(), target, now).await?,
            Site::Directory(folder, _) => {
                let look = blocking(move || directory::look(&folder, &target)).await;
                (look.map_err(ProviderError::unavailable)?.map_err(DiskError::before)?, None)
            }
        };
        Ok(Seen { place, look, commit })
    }

    /// Hands items to where their files go, those of one lane together and the lanes side by side,
    /// and puts the answers in order. What may not go where it says is answered at once, and what
    /// a task leaves unanswered is `lost`.
    async fn each<I, T, F>(
        &self,
        items: &[I],
        target: impl Fn(&I) -> &Target,
        lost: fn(&'static str) -> ProviderError,
        work: impl Fn(Group<I>) -> F,
    ) -> Vec<Result<T, ProviderError>>
    where
        I: Clone,
        T: Send + 'static,
        F: Future<Output = Vec<Result<T, ProviderError>>> + Send + 'static,
    {
        let mut answers: Vec<Option<Result<T, ProviderError>>> =
            items.iter().map(|_| None).collect();
        let mut groups: BTreeMap<usize, (Vec<usize>, Group<I>)> = BTreeMap::new();
        let sites = self.sites(items.iter().map(|item| target(item).clone()).collect()).await;
        for (n, (item, site)) in items.iter().zip(sites).enumerate() {
            match site {
                Err(error) => answers[n] = Some(Err(error)),
                Ok((place, site)) => {
                    let (numbers, group) =
                        groups.entry(site.key()).or_insert_with(|| (Vec::new(), Group::default()));
                    numbers.push(n);
                    group.push(place, site, item.clone());
                }
            }
        }
        let mut running = JoinSet::new();
        for (numbers, group) in groups.into_values() {
            let work = work(group);
            running.spawn(async move { (numbers, work.await) }.in_current_span());
        }
        while let Some(done) = running.join_next().await {
            if let Ok((numbers, results)) = done {
                for (n, result) in numbers.into_iter().zip(results) {
                    answers[n] = Some(result);
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(lost(GIVEN_UP)))).collect()
    }
}

/// What is said of work whose task did not come to its end.
const GIVEN_UP: &str = "the work was given up";

impl Site {
    /// Equal for what is worked on together.
    fn key(&self) -> usize {
        match self {
            Self::Directory(_, writer) => Arc::as_ptr(writer).addr(),
            Self::Branch(branch) => Arc::as_ptr(branch).addr(),
        }
    }
}

/// What one lane is asked: a root is a branch or a directory, so one of the two lists is empty.
struct Group<I> {
    branch: Option<Arc<Branch>>,
    committed: Vec<(Where, I)>,
    writer: Arc<Mutex<()>>,
    written: Vec<(Where, directory::Place, I)>,
}

impl<I> Default for Group<I> {
    fn default() -> Self {
        Self { branch: None, committed: Vec::new(), writer: Arc::default(), written: Vec::new() }
    }
}

impl<I> Group<I> {
    fn push(&mut self, place: Where, site: Site, item: I) {
        match site {
            Site::Branch(branch) => {
                self.branch = Some(branch);
                self.committed.push((place, item));
            }
            Site::Directory(folder, writer) => {
                self.writer = writer;
                self.written.push((place, folder, item));
            }
        }
    }
}

/// Runs what waits for the disk where it keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await
}

#[async_trait]
impl Provider for Files {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn lane(&self, target: &Target) -> String {
        Where::read(&target.settings)
            .map_or_else(|_| "files".into(), |place| place.lane(&self.0.allow))
    }

    fn batch(&self) -> usize {
        self.0.batch
    }

    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        settle(settings, key)
    }

    fn known(&self, target: &Target, artifact: &Artifact) -> Map {
        Where::read(&target.settings)
            .map(|place| look::outputs(&place, look::digest_of(artifact), None))
            .unwrap_or_default()
    }

    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        let seen = self.each(targets, |target| target, ProviderError::unavailable, observe).await;
        targets.iter().cloned().zip(seen).collect()
    }

    async fn recall(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        let seen = self.each(targets, |target| target, ProviderError::unavailable, recall).await;
        targets.iter().cloned().zip(seen).collect()
    }

    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        self.look(&change.target, false).await?.look.preview(change)
    }

    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let batch = self.0.batch;
        let done = self
            .each(
                changes,
                |change| &change.target,
                ProviderError::unknown,
                move |group| submit(group, batch),
            )
            .await;
        changes.iter().map(|change| change.token.clone()).zip(done).collect()
    }

    /// Every change has its end when `submit` returns, so this is asked only by one who did not
    /// see that: the answer is in the folder.
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        let Seen { place, look, commit } = self.look(&ticket.target, true).await?;
        match &look.mark {
            Mark::Ours(marker)
                if marker.token == ticket.token && marker.state == State::Written =>
            {
                let commit = commit.as_ref().map(Revision::as_str);
                Ok(Progress::Succeeded {
                    outputs: look::outputs(&place, marker.digest, commit),
                    state: marker.state.word().into(),
                    mark: None,
                    events: Vec::new(),
                })
            }
            Mark::Vacant | Mark::Nobody | Mark::Other(_) | Mark::Ours(_) => {
                Err(ProviderError::unknown(
                    "the folder does not bear the change's token: send it again",
                ))
            }
        }
    }

    /// A change is over before anybody could stop it.
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.poll(ticket).await
    }
}

async fn observe(group: Group<Target>) -> Vec<Result<Observation, ProviderError>> {
    see(group, false).await
}

/// With the commits that made them, for which the history is searched.
async fn recall(group: Group<Target>) -> Vec<Result<Observation, ProviderError>> {
    see(group, true).await
}

async fn see(group: Group<Target>, search: bool) -> Vec<Result<Observation, ProviderError>> {
    let Group { branch, committed, writer: _, written } = group;
    if let Some(branch) = branch {
        return branch.observe(committed, search).await;
    }
    let look = move || {
        let one = |(place, folder, target): (Where, directory::Place, Target)| {
            let look = directory::look(&folder, &target).map_err(DiskError::before)?;
            Ok(look.observation(&place, None))
        };
        written.into_iter().map(one).collect()
    };
    blocking(look).await.unwrap_or_default()
}

async fn submit(group: Group<Change>, batch: usize) -> Vec<Result<Progress, ProviderError>> {
    let Group { branch, committed, writer, written } = group;
    if let Some(branch) = branch {
        let mut answers = Vec::with_capacity(committed.len());
        for part in committed.chunks(batch) {
            answers.extend(branch.submit(part.to_vec()).await);
        }
        return answers;
    }
    // One after another: each must see the folders that the others made.
    let write = move || {
        let _turn = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(place, folder, change): (Where, directory::Place, Change)| {
            directory::submit(&folder, &change, &|| Ok(point!("files.effect.before")?))?;
            point!("files.effect.after").map_err(ProviderError::unknown)?;
            Ok(look::succeeded(&change, &place, None))
        };
        written.into_iter().map(one).collect()
    };
    blocking(write).await.unwrap_or_default()
}
