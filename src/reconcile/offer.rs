//! Which requests could take a newer version of their template, and the edits that bring them there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use semver::Version;

use super::pass::{Pass, Wake};
use super::source::Source;
use super::{Engine, PassError, rollout};
use crate::catalog::{self, Catalog, Outcome, RequestFile, Requirement, Standing};
use crate::git::{Blob, Edit};
use crate::model::{RequestId, Revision, SourceName, TemplateId};
use crate::report::upgrade::{Edited, Left, Reason};
use crate::yaml;

/// What would bring the requests of one team to a version of their template.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The version.
    pub to: TemplateId,
    /// The team.
    pub team: String,
    /// The files that would be edited; one or more.
    pub edited: Vec<Edited>,
    /// The others of the team and the template, and why they stay as they are.
    pub left: Vec<Left>,
}

impl Offer {
    /// What it is called among proposals, in characters of a branch's name.
    pub fn name(&self) -> String {
        format!("{}-{}/{}", self.to.name, self.to.version, self.team)
    }

    /// The edits of files.
    pub fn edits(&self) -> Vec<Edit> {
        let edit =
            |e: &Edited| Edit { path: e.path.clone(), content: Some(e.after.clone().into_bytes()) };
        self.edited.iter().map(edit).collect()
    }
}

/// One for each version and team, in their order. What stays as it is goes with the version that its
/// template's others come to.
pub fn offers(edited: Vec<Edited>, left: Vec<Left>, templates: &Templates) -> Vec<Offer> {
    let mut offers: BTreeMap<(TemplateId, String), Offer> = BTreeMap::new();
    for one in edited {
        let (to, team) = (one.upgrade.to.clone(), one.id.team().to_owned());
        let empty =
            Offer { to: to.clone(), team: team.clone(), edited: Vec::new(), left: Vec::new() };
        offers.entry((to, team)).or_insert(empty).edited.push(one);
    }
    for one in left {
        let same = |offer: &&mut Offer| {
            offer.team == one.id.team() && templates.get(&one.id) == Some(&offer.to.name)
        };
        if let Some(offer) = offers.values_mut().find(same) {
            offer.left.push(one);
        }
    }
    offers.into_values().collect()
}

/// The template that each request is of.
pub type Templates = BTreeMap<RequestId, String>;

/// A request's file.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Whose.
    pub id: &'a RequestId,
    /// Its path.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What it says.
    pub file: &'a RequestFile,
    /// The version that was applied last.
    pub recorded: Option<&'a TemplateId>,
    /// Who uses which of its outputs.
    pub users: &'a [(RequestId, String)],
}

/// The file as it is with `to`, or with the highest stable version of its template; `None` when it is
/// there already.
///
/// # Errors
/// Why it stays as it is.
pub fn edited(
    catalog: &Catalog,
    asking: &Asking<'_>,
    to: Option<&Version>,
) -> Result<Option<Edited>, Reason> {
    let Asking { id, path, text, file, recorded, users } = *asking;
    if !file.problems().is_empty() {
        return Err(Reason::Invalid { after: false, problems: file.problems().to_vec() });
    }
    let upgrade = match catalog::upgrade(catalog, file, recorded, to) {
        Outcome::Upgrade(upgrade) => *upgrade,
        Outcome::Current => return Ok(None),
        Outcome::Left(why) => return Err(Reason::Why(why)),
    };
    if let Some(version) = catalog.version(&upgrade.to) {
        let users = users.iter().map(|(user, output)| (user, output.as_str()));
        if let Some(why) = catalog::lost_output(version, users) {
            return Err(Reason::Why(why));
        }
    }
    let place: Arc<str> = path.into();
    let (id, path, before) = (id.clone(), path.to_owned(), text.to_owned());
    match yaml::edit(&place, text, &upgrade.edits, &yaml::Options::request()) {
        Ok(after) => Ok(Some(Edited { id, path, upgrade, before, after })),
        Err(error) => Err(Reason::Unfit(crate::error::chain(&error))),
    }
}

/// What could be brought to newer versions in some sources, and the commits that this was read at.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub offers: Vec<Offer>,
    pub at: BTreeMap<SourceName, Revision>,
}

impl Engine {
    /// What could be proposed for the requests of these sources, as the last pass has read them, for
    /// the templates that `takes` says. Only files of requests that are behind are read.
    pub(super) async fn offers(
        &mut self,
        sources: &BTreeSet<SourceName>,
        takes: &(dyn Fn(&str) -> bool + Sync),
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Offered, PassError> {
        let memory = self.lent().await?;
        let known = memory.built.catalog.clone();
        let snapshots = self.snapshots_at(&memory, &BTreeMap::new());
        let at = snapshots.iter().filter(|s| sources.contains(&s.source.name));
        let at = at.filter_map(|s| Some((s.source.name.clone(), s.commit.clone()?))).collect();
        let wake = Wake::Look { previews: false };
        let mut pass = Pass::at(self, wake, clock, memory, snapshots);
        let outcome = pass.offers(sources, takes).await;
        let read = pass.memory.catalog.take();
        drop(pass);
        self.shelve(read, &known);
        Ok(Offered { offers: outcome?, at })
    }
}

impl Pass<'_> {
    async fn offers(
        &mut self,
        sources: &BTreeSet<SourceName>,
        takes: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<Offer>, PassError> {
        self.read_catalog(&mut Vec::new()).await?;
        let catalog = Arc::clone(&self.catalog);
        let mut templates = Templates::new();
        for entry in self.memory.desired().iter() {
            let Some(template) = &entry.template else { continue };
            let is_behind = || {
                let best = self.best(&template.name);
                best.is_some_and(|best| best.version > template.version)
            };
            if sources.contains(entry.spot.source()) && takes(&template.name) && is_behind() {
                templates.insert(entry.id.clone(), template.name.clone());
            }
        }
        if templates.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<RequestId> = templates.keys().cloned().collect();
        self.load_records(ids.clone()).await?;
        let users = self.users_of(&templates).await?;
        let texts = self.texts(&ids)?;
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for (id, name) in &templates {
            let Some((path, text)) = texts.get(id) else { continue };
            let place: Arc<str> = path.as_str().into();
            let Ok(file) = catalog::request(&place, id, text.as_bytes()) else { continue };
            let Some(best) = self.best(name) else { continue };
            // What its range takes by itself comes in waves; what no wave brings, nothing else does.
            if let Requirement::Range(range) = &file.template.requirement
                && range.matches(&best.version)
                && rollout::stands(&self.memory, id, &best, false) != Standing::Free
            {
                continue;
            }
            let record = self.records.get(id).and_then(Option::as_ref);
            let asking = Asking {
                id,
                path,
                text,
                file: &file,
                recorded: record.map(|record| &record.template),
                users: users.get(id).map_or(&[], Vec::as_slice),
            };
            match edited(&catalog, &asking, Some(&best.version)) {
                Ok(Some(one)) => done.push(one),
                Ok(None) => {}
                Err(reason) => left.push(Left { id: id.clone(), path: path.clone(), reason }),
            }
        }
        Ok(offers(done, left, &templates))
    }

    /// The version that requests of a template are brought to: the highest, but for those whose rollout was
    /// stopped, by failures or by a person. Those are offered to nobody.
    fn best(&self, name: &str) -> Option<TemplateId> {
        let is_stopped = |version: &TemplateId| {
            let rollout = self.memory.rollouts.get(version);
            rollout.is_some_and(|rollout| rollout.is_open() && rollout.stopped.is_some())
        };
        let versions = self.catalog.templates.get(name)?.values().rev();
        let mut sound = versions.filter(|version| version.is_sound());
        sound.find(|version| !is_stopped(&version.id)).map(|version| version.id.clone())
    }

    /// Who uses which output of these.
    async fn users_of(
        &self,
        of: &Templates,
    ) -> Result<BTreeMap<RequestId, Vec<(RequestId, String)>>, PassError> {
        let uses = |references: &[RequestId]| references.iter().any(|id| of.contains_key(id));
        let users = self.memory.desired().iter().filter(|entry| uses(&entry.references));
        let ids: Vec<RequestId> = users.map(|entry| entry.id.clone()).collect();
        let mut users: BTreeMap<RequestId, Vec<(RequestId, String)>> = BTreeMap::new();
        for desired in self.engine.store.desired(&ids).await? {
            let Some(spec) = desired.spec() else { continue };
            for reference in spec.references.values() {
                let user = (desired.id.clone(), reference.output.clone());
                users.entry(reference.request.clone()).or_default().push(user);
            }
        }
        Ok(users)
    }

    /// The path and text of each request's file; those that are no text are left out.
    fn texts(&self, ids: &[RequestId]) -> Result<BTreeMap<RequestId, (String, String)>, PassError> {
        let max = self.engine.config.settings.limits.file_bytes;
        let mut texts = BTreeMap::new();
        for snapshot in &self.snapshots[1..] {
            let Source { name, .. } = &snapshot.source;
            let entries = ids.iter().filter_map(|id| self.memory.desired().get(id));
            let entries: Vec<_> = entries.filter(|e| e.spot.source() == name).collect();
            let blobs: Vec<_> = entries.iter().map(|entry| entry.blob).collect();
            let mut read = HashMap::new();
            let mut keep = |id, blob| {
                if let Blob::Bytes(bytes) = blob
                    && let Ok(text) = String::from_utf8(bytes)
                {
                    read.insert(id, text);
                }
            };
            let fail = |source| PassError::Source { name: name.clone(), source };
            snapshot.source.mirror().blobs(&blobs, max, &mut keep).map_err(fail)?;
            for entry in entries {
                if let Some(text) = read.get(&entry.blob) {
                    let path = entry.spot.origin(&entry.id).path.to_string();
                    texts.insert(entry.id.clone(), (path, text.clone()));
                }
            }
        }
        Ok(texts)
    }
}

/// The sources among these that hold requests.
pub(super) fn of_requests(engine: &Engine, names: &[SourceName]) -> BTreeSet<SourceName> {
    let known = |name: &&SourceName| engine.sources().requests.iter().any(|s| s.name == **name);
    names.iter().filter(known).cloned().collect()
}
