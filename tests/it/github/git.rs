//! What GitHub does with the repositories behind its pull requests.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{
    Commit, Delta, DiffFindOptions, DiffOptions, Oid, Repository, Signature, Sort, Time, Tree,
};
use jiff::Timestamp;

/// How pull requests are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Merge,
    Squash,
    Rebase,
}

/// A file that differs.
pub struct Changed {
    pub sha: Oid,
    pub path: String,
    /// Where it was, for one that was moved.
    pub previous: Option<String>,
    /// `added removed modified renamed`.
    pub status: &'static str,
    pub additions: usize,
    pub deletions: usize,
    /// `None` for what is not text, or is a pure move.
    pub patch: Option<String>,
}

pub fn open(path: &Path) -> Repository {
    Repository::open_bare(path).unwrap()
}

pub fn create(path: &Path) {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).mkpath(true).initial_head("main");
    let new = Repository::init_opts(path, &options).unwrap();
    let mut config = new.config().unwrap();
    // Shown to who fetches, closed to who pushes: GitHub keeps these itself.
    config.set_str("receive.hideRefs", "refs/pull").unwrap();
    config.set_str("http.receivepack", "true").unwrap();
    config.set_str("uploadpack.allowAnySHA1InWant", "true").unwrap();
    config.set_str("uploadpack.allowFilter", "true").unwrap();
}

/// Branches and tags with their commits.
pub fn refs(repo: &Repository) -> BTreeMap<String, Oid> {
    let all = repo.references().unwrap().flatten();
    let all = all.filter_map(|it| Some((it.name().ok()?.to_owned(), it.target()?)));
    all.filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        .collect()
}

/// The commit that a branch, a tag, a full ref name or a SHA means.
pub fn resolve(repo: &Repository, name: &str) -> Option<Oid> {
    if name.len() == 40
        && let Ok(id) = Oid::from_str(name)
    {
        return repo.find_commit(id).ok().map(|commit| commit.id());
    }
    let name = name.strip_prefix("refs/").unwrap_or(name);
    ["refs", "refs/heads", "refs/tags"].iter().find_map(|at| {
        let found = repo.find_reference(&format!("{at}/{name}")).ok()?;
        Some(found.peel_to_commit().ok()?.id())
    })
}

/// The tree of `head` merged into `base`; `None` where they conflict.
fn merged(repo: &Repository, base: &Commit<'_>, head: &Commit<'_>) -> Option<Oid> {
    let mut index = repo.merge_commits(base, head, None).ok()?;
    (!index.has_conflicts()).then(|| index.write_tree_to(repo).unwrap())
}

/// Makes the commit that a pull request would be merged as, and gives it.
pub fn test_merge(repo: &Repository, base: Oid, head: Oid, now: Timestamp) -> Option<Oid> {
    let (base, head) = (repo.find_commit(base).ok()?, repo.find_commit(head).ok()?);
    let tree = repo.find_tree(merged(repo, &base, &head)?).unwrap();
    let message = format!("Merge {} into {}", head.id(), base.id());
    let by = signature("GitHub", now);
    Some(repo.commit(None, &by, &by, &message, &tree, &[&base, &head]).unwrap())
}

/// What is to be merged, where to, and what is said about it.
pub struct Merge<'a> {
    pub base: Oid,
    pub head: Oid,
    pub method: Method,
    pub message: &'a str,
    pub author: &'a str,
    pub now: Timestamp,
}

/// Makes the commits of a merge, and gives the new tip of the base; `None` where they conflict.
pub fn merge(repo: &Repository, merge: &Merge<'_>) -> Option<Oid> {
    let (base, head) = (repo.find_commit(merge.base).ok()?, repo.find_commit(merge.head).ok()?);
    let by = signature(merge.author, merge.now);
    let hub = signature("GitHub", merge.now);
    let tree = repo.find_tree(merged(repo, &base, &head)?).unwrap();
    let commit = |parents: &[&Commit<'_>]| {
        repo.commit(None, &by, &hub, merge.message, &tree, parents).unwrap()
    };
    match merge.method {
        Method::Merge => Some(commit(&[&base, &head])),
        Method::Squash => Some(commit(&[&base])),
        Method::Rebase => rebase(repo, merge.base, merge.head, &hub),
    }
}

fn rebase(repo: &Repository, base: Oid, head: Oid, by: &Signature<'_>) -> Option<Oid> {
    let mut tip = repo.find_commit(base).unwrap();
    for id in commits(repo, base, head) {
        let old = repo.find_commit(id).unwrap();
        if old.parent_count() > 1 {
            continue;
        }
        let mut index = repo.cherrypick_commit(&old, &tip, 0, None).ok()?;
        if index.has_conflicts() {
            return None;
        }
        let tree = repo.find_tree(index.write_tree_to(repo).unwrap()).unwrap();
        let message = old.message().unwrap_or_default();
        let new = repo.commit(None, &old.author(), by, message, &tree, &[&tip]).unwrap();
        tip = repo.find_commit(new).unwrap();
    }
    Some(tip.id())
}

/// A commit on `tip` that takes back what `merge` did to its first parent.
pub fn revert(
    repo: &Repository,
    merge: Oid,
    tip: Oid,
    message: &str,
    author: &str,
    now: Timestamp,
) -> Option<Oid> {
    let (old, tip) = (repo.find_commit(merge).ok()?, repo.find_commit(tip).ok()?);
    let mainline = u32::from(old.parent_count() > 1);
    let mut index = repo.revert_commit(&old, &tip, mainline, None).ok()?;
    if index.has_conflicts() {
        return None;
    }
    let tree = repo.find_tree(index.write_tree_to(repo).unwrap()).unwrap();
    let by = signature(author, now);
    Some(repo.commit(None, &by, &by, message, &tree, &[&tip]).unwrap())
}

pub fn signature(name: &str, now: Timestamp) -> Signature<'static> {
    Signature::new(name, &mail(name), &Time::new(now.as_second(), 0)).unwrap()
}

/// The address that GitHub knows somebody by.
pub fn mail(login: &str) -> String {
    let plain: String = login.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}@users.noreply.example.com", plain.to_lowercase())
}

/// Somebody as a commit names them.
pub fn person(login: &str) -> String {
    format!("{login} <{}>", mail(login))
}

/// Commits of `head` that `base` lacks, the oldest first.
pub fn commits(repo: &Repository, base: Oid, head: Oid) -> Vec<Oid> {
    let mut walk = repo.revwalk().unwrap();
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).unwrap();
    walk.push(head).unwrap();
    let _ = walk.hide(base);
    walk.flatten().collect()
}

pub fn is_ancestor(repo: &Repository, old: Oid, new: Oid) -> bool {
    old == new || repo.graph_descendant_of(new, old).unwrap_or(false)
}

/// What `head` changes since it left `base`.
pub fn changed(repo: &Repository, base: Oid, head: Oid) -> Vec<Changed> {
    let from = repo.merge_base(base, head).ok();
    let tree = |id: Oid| repo.find_commit(id).unwrap().tree().unwrap();
    between(repo, from.map(tree).as_ref(), &tree(head))
}

/// What a commit changes in its first parent.
pub fn changed_by(repo: &Repository, commit: Oid) -> Vec<Changed> {
    let commit = repo.find_commit(commit).unwrap();
    let parent = commit.parent(0).ok().map(|parent| parent.tree().unwrap());
    between(repo, parent.as_ref(), &commit.tree().unwrap())
}

fn between(repo: &Repository, old: Option<&Tree<'_>>, new: &Tree<'_>) -> Vec<Changed> {
    let mut options = DiffOptions::new();
    let mut diff = repo.diff_tree_to_tree(old, Some(new), Some(&mut options)).unwrap();
    diff.find_similar(Some(DiffFindOptions::new().renames(true))).unwrap();
    let all = 0..diff.deltas().len();
    all.map(|n| {
        let delta = diff.get_delta(n).unwrap();
        let path = |file: git2::DiffFile<'_>| {
            String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned()
        };
        let (old, new) = (delta.old_file(), delta.new_file());
        let status = match delta.status() {
            Delta::Added => "added",
            Delta::Deleted => "removed",
            Delta::Renamed => "renamed",
            _ => "modified",
        };
        let patch = git2::Patch::from_diff(&diff, n).unwrap();
        let (_, additions, deletions) =
            patch.as_ref().map_or((0, 0, 0), |patch| patch.line_stats().unwrap());
        Changed {
            sha: if status == "removed" { old.id() } else { new.id() },
            previous: (status == "renamed").then(|| path(old)),
            path: path(new),
            status,
            additions,
            deletions,
            patch: patch.and_then(|mut patch| hunks(&mut patch)),
        }
    })
    .collect()
}

/// A patch as GitHub shows it: from the first hunk on.
fn hunks(patch: &mut git2::Patch<'_>) -> Option<String> {
    let text = patch.to_buf().ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let at = text.find("\n@@ ")?;
    Some(text[at + 1..].trim_end_matches('\n').to_owned())
}

/// Brings commits of another repository over, under a ref.
pub fn copy(from: &Path, to: &Path, commit: Oid, name: &str) {
    let home = to.parent().unwrap();
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let refspec = format!("+{commit}:{name}");
    crate::world::git(home, &["-C", to, "fetch", "--quiet", from, &refspec], "");
}
