//! Commits, files and refs.

use git2::{Oid, Repository};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::git::{self, Changed};
use super::super::state::State;
use super::{node, sha};

impl State {
    /// `commit`, with its files where `whole`.
    pub fn commit(&self, full: &str, git: &Repository, id: Oid, whole: bool) -> Value {
        let commit = git.find_commit(id).unwrap();
        let (url, html) = (self.repo_url(full), format!("{}/{full}", self.base));
        let person = |by: &git2::Signature<'_>| {
            json!({
                "name": String::from_utf8_lossy(by.name_bytes()),
                "email": String::from_utf8_lossy(by.email_bytes()),
                "date": Timestamp::from_second(by.when().seconds()).unwrap(),
            })
        };
        let parents = commit.parent_ids().map(|id| {
            json!({
                "sha": sha(id),
                "url": format!("{url}/commits/{id}"),
                "html_url": format!("{html}/commit/{id}"),
            })
        });
        let mut told = json!({
            "sha": sha(id),
            "node_id": format!("C_{id}"),
            "url": format!("{url}/commits/{id}"),
            "html_url": format!("{html}/commit/{id}"),
            "comments_url": format!("{url}/commits/{id}/comments"),
            "author": self.known(&commit.author()),
            "committer": self.known(&commit.committer()),
            "commit": {
                "url": format!("{url}/git/commits/{id}"),
                "message": String::from_utf8_lossy(commit.message_bytes()).trim_end(),
                "author": person(&commit.author()),
                "committer": person(&commit.committer()),
                "comment_count": 0,
                "tree": {
                    "sha": sha(commit.tree_id()),
                    "url": format!("{url}/git/trees/{}", commit.tree_id()),
                },
            },
            "parents": parents.collect::<Vec<_>>(),
        });
        if whole {
            let files = git::changed_by(git, id);
            let (more, less) = count(&files);
            told["stats"] = json!({"total": more + less, "additions": more, "deletions": less});
            told["files"] = files.iter().map(|file| self.file(full, id, file)).collect();
        }
        told
    }

    /// The account that has the mail address; nobody's for those that GitHub was not told of.
    fn known(&self, by: &git2::Signature<'_>) -> Value {
        let is_theirs = |login: &&String| git::mail(login).as_bytes() == by.email_bytes();
        self.accounts.keys().find(is_theirs).map_or(Value::Null, |login| self.user(login))
    }

    /// `simple-commit`.
    pub fn simple_commit(&self, git: &Repository, id: Oid) -> Value {
        let commit = git.find_commit(id).unwrap();
        let person = |by: &git2::Signature<'_>| {
            json!({
                "name": String::from_utf8_lossy(by.name_bytes()),
                "email": String::from_utf8_lossy(by.email_bytes()),
            })
        };
        json!({
            "id": sha(id),
            "tree_id": sha(commit.tree_id()),
            "message": String::from_utf8_lossy(commit.message_bytes()),
            "timestamp": Timestamp::from_second(commit.time().seconds()).unwrap(),
            "author": person(&commit.author()),
            "committer": person(&commit.committer()),
        })
    }

    /// `diff-entry`.
    pub fn file(&self, full: &str, head: Oid, file: &Changed) -> Value {
        let path: Vec<_> = file.path.split('/').map(escape).collect();
        let path = path.join("/");
        let html = format!("{}/{full}", self.base);
        let mut told = json!({
            "sha": sha(file.sha),
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": format!("{html}/blob/{head}/{path}"),
            "raw_url": format!("{html}/raw/{head}/{path}"),
            "contents_url": format!("{}/contents/{path}?ref={head}", self.repo_url(full)),
        });
        if let Some(patch) = &file.patch {
            told["patch"] = patch.as_str().into();
        }
        if let Some(previous) = &file.previous {
            told["previous_filename"] = previous.as_str().into();
        }
        told
    }

    /// `git-ref`.
    pub fn git_ref(&self, full: &str, name: &str, id: Oid) -> Value {
        let url = self.repo_url(full);
        json!({
            "ref": name,
            "node_id": node("REF", u64::from(id.as_bytes()[0])),
            "url": format!("{url}/git/{name}"),
            "object": {"type": "commit", "sha": sha(id), "url": format!("{url}/git/commits/{id}")},
        })
    }
}

/// Lines added and deleted.
pub fn count(files: &[Changed]) -> (usize, usize) {
    files.iter().fold((0, 0), |(more, less), file| (more + file.additions, less + file.deletions))
}

fn escape(part: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    part.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
