//! Status files that are not all read: which requests one must look at is told by their bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::published::{document, record, rollouts};
use crate::git::{Blob, GitError, Kind, Mirror};
use crate::model::{
    InstanceId, ObjectId, Record, RequestId, Revision, Rollouts, Status, TemplateId,
};

/// A status file has at most so many bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Status files as bytes, by identity.
#[derive(Default)]
pub struct Sheets {
    texts: HashMap<RequestId, Vec<u8>>,
    /// Whose branch it is.
    pub instance: Option<InstanceId>,
    /// The moment of the tip's commit.
    pub at: Option<jiff::Timestamp>,
    /// How far versions had come.
    pub rollouts: Rollouts,
}

impl Sheets {
    /// All of a status branch.
    ///
    /// # Errors
    /// When its objects cannot be read.
    pub fn read(mirror: &Mirror, tip: &Revision) -> Result<Self, GitError> {
        let mut sheets = Self { at: mirror.commit_time(tip)?, ..Self::default() };
        let instance =
            mirror.find(tip, "instance.yaml")?.map(|e| mirror.blob(e.id, 65_536)).transpose()?;
        if let Some(Blob::Bytes(bytes)) = instance {
            sheets.instance = document(&bytes)
                .and_then(|v| serde_json::from_value(v.get("instance")?.clone()).ok());
        }
        sheets.rollouts = rollouts(mirror, tip)?;
        let Some(tree) = mirror.tree(tip, "status")? else { return Ok(sheets) };
        let mut ids: HashMap<ObjectId, RequestId> = HashMap::new();
        for entry in mirror.entries(tree, usize::MAX)? {
            let id = entry.path.strip_suffix(".yaml").and_then(RequestId::parse);
            if let (Kind::File, Some(id)) = (entry.kind, id) {
                ids.insert(entry.id, id);
            }
        }
        let blobs: Vec<ObjectId> = ids.keys().copied().collect();
        mirror.blobs(&blobs, MAX_BYTES, &mut |blob, bytes| {
            if let (Some(id), Blob::Bytes(bytes)) = (ids.remove(&blob), bytes) {
                sheets.texts.insert(id, bytes);
            }
        })?;
        Ok(sheets)
    }

    /// Whether there is one.
    pub fn has(&self, id: &RequestId) -> bool {
        self.texts.contains_key(id)
    }

    /// The one of a request.
    pub fn status(&self, id: &RequestId) -> Option<Status> {
        serde_json::from_value(document(self.texts.get(id)?)?).ok()
    }

    /// What is recorded of these.
    pub fn records<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a RequestId>,
    ) -> BTreeMap<RequestId, Record> {
        let record = |id: &RequestId| Some((id.clone(), record(&self.status(id)?)?));
        ids.into_iter().filter_map(record).collect()
    }

    /// Whether a request may use one of these templates, or waits or is held, perhaps for one. What
    /// is written by vend alone has its fields where vend writes them; a word too many only costs.
    pub fn concerns(&self, id: &RequestId, templates: &BTreeSet<String>) -> bool {
        let Some(text) = self.texts.get(id) else { return true };
        let mut rest = lines(text);
        let settled = |line: &&[u8]| *line == b"phase: Ready" || *line == b"phase: Suspended";
        if rest.clone().all(|line| !settled(&line)) {
            return true;
        }
        // The field `template` of the status, and its `name`, in either layout.
        let is_template = |line: &&[u8]| line.starts_with(b"template:");
        let Some(head) = rest.find(is_template) else { return true };
        let inner = rest.take_while(|line| line.starts_with(b" "));
        let names = std::iter::once(head).chain(inner);
        names.flat_map(words).any(|word| templates.contains(word))
    }

    /// Requests that were made with one of these versions.
    pub fn having(
        &self,
        versions: &BTreeSet<TemplateId>,
    ) -> BTreeMap<TemplateId, BTreeSet<RequestId>> {
        let names: BTreeSet<String> = versions.iter().map(|id| id.name.clone()).collect();
        let mut having: BTreeMap<TemplateId, BTreeSet<RequestId>> = BTreeMap::new();
        for id in self.texts.keys().filter(|id| self.concerns(id, &names)) {
            let Some(template) = self.status(id).and_then(|status| status.template) else {
                continue;
            };
            let version = TemplateId { name: template.name, version: template.version };
            if versions.contains(&version) {
                having.entry(version).or_default().insert(id.clone());
            }
        }
        having
    }

    /// Requests whose file of the status branch names one of `ids` as what they refer to.
    pub fn users(&self, ids: &HashSet<&str>) -> Vec<RequestId> {
        let uses = |text: &Vec<u8>| {
            // `references:` is rare, and what follows it is looked at only then.
            let after = lines(text).skip_while(|line| !line.starts_with(b"references:"));
            let inner =
                after.take_while(|line| line.starts_with(b" ") || line.starts_with(b"references:"));
            inner.flat_map(words).any(|word| ids.contains(word))
        };
        let users = self.texts.iter().filter(|(_, text)| uses(text));
        users.map(|(id, _)| id.clone()).collect()
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(|byte| *byte == b'\n')
}

/// The words of a line, without what YAML puts around them.
fn words(line: &[u8]) -> impl Iterator<Item = &str> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"' | '\'');
    let line = std::str::from_utf8(line).unwrap_or_default();
    line.split(is_end).map(|word| word.trim_end_matches(':'))
}
