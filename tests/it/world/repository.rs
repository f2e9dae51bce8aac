//! A bare repository, written and read with the real `git`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use vend::yaml;

/// One path of a commit.
#[derive(Clone, Debug)]
pub enum Edit {
    /// A file with this text.
    Write(String, String),
    /// No file, and nothing below it.
    Remove(String),
    /// A symbolic link.
    Link(String, String),
    /// Nothing at all any more.
    RemoveAll,
}

/// A file with this text.
pub fn write(path: impl Into<String>, text: impl Into<String>) -> Edit {
    Edit::Write(path.into(), text.into())
}

/// No file there.
pub fn remove(path: impl Into<String>) -> Edit {
    Edit::Remove(path.into())
}

/// Who commits where nobody is named.
const ADA: &str = "Ada <ada@example.com>";

/// A bare repository in the world's folder.
pub struct Repository {
    path: PathBuf,
    home: PathBuf,
}

impl Repository {
    /// Makes it, with nothing in it.
    pub fn create(path: PathBuf, home: &Path) -> Self {
        let new = Self { path, home: home.to_owned() };
        let to = new.path.to_str().unwrap();
        git(&new.home, &["init", "--quiet", "--bare", "--initial-branch=main", to], "");
        new
    }

    /// One that is there already.
    pub fn open(path: PathBuf, home: &Path) -> Self {
        Self { path, home: home.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is, as configuration names it.
    pub fn url(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    /// Runs git in it; it must succeed.
    pub fn git(&self, args: &[&str]) -> String {
        let path = self.path.to_str().unwrap();
        git(&self.home, &[&["-C", path], args].concat(), "")
    }

    /// Commits to `main`, on what is there; the new commit.
    pub fn commit(&self, edits: impl IntoIterator<Item = Edit>) -> String {
        self.commit_to("main", edits)
    }

    /// Commits to a branch, on what is there; the new commit.
    pub fn commit_to(&self, branch: &str, edits: impl IntoIterator<Item = Edit>) -> String {
        let on = self.tip(branch);
        self.import(ADA, branch, on.as_deref(), edits)
    }

    /// The same by somebody: `NAME <ADDRESS>`.
    pub fn commit_by(
        &self,
        by: &str,
        branch: &str,
        edits: impl IntoIterator<Item = Edit>,
    ) -> String {
        let on = self.tip(branch);
        self.import(by, branch, on.as_deref(), edits)
    }

    /// Makes the branch an unrelated history of one commit.
    pub fn rewrite(&self, edits: impl IntoIterator<Item = Edit>) -> String {
        let fresh = self.import(ADA, "fresh", None, edits);
        self.git(&["update-ref", "refs/heads/main", &fresh]);
        self.git(&["update-ref", "-d", "refs/heads/fresh"]);
        fresh
    }

    fn import(
        &self,
        by: &str,
        branch: &str,
        on: Option<&str>,
        edits: impl IntoIterator<Item = Edit>,
    ) -> String {
        let mut stream = format!(
            "commit refs/heads/{branch}\ncommitter {by} 1800000000 +0000\ndata 6\nchange\n"
        );
        if let Some(on) = on {
            stream.push_str(&format!("from {on}\n"));
        }
        for edit in edits {
            match edit {
                Edit::Write(path, text) => stream.push_str(&blob("100644", &path, &text)),
                Edit::Link(path, to) => stream.push_str(&blob("120000", &path, &to)),
                Edit::Remove(path) => stream.push_str(&format!("D {path}\n")),
                Edit::RemoveAll => stream.push_str("deleteall\n"),
            }
        }
        let path = self.path.to_str().unwrap();
        git(&self.home, &["-C", path, "fast-import", "--quiet", "--force"], &stream);
        self.tip(branch).unwrap()
    }

    /// Commits so often to `main`, with nothing changed.
    pub fn commit_nothing(&self, times: usize) {
        let on = self.tip("main").expect("something to stand on");
        let commit = |n: usize| {
            let from = if n == 0 { format!("from {on}\n") } else { String::new() };
            format!(
                "commit refs/heads/main\ncommitter {ADA} 1800000000 +0000\ndata 6\nagain\n{from}\n"
            )
        };
        let stream: String = (0..times).map(commit).collect();
        let path = self.path.to_str().unwrap();
        git(&self.home, &["-C", path, "fast-import", "--quiet", "--force"], &stream);
    }

    /// The commit of a branch.
    pub fn tip(&self, branch: &str) -> Option<String> {
        let refs = self.refs();
        let name = format!("refs/heads/{branch}");
        refs.lines()
            .find_map(|line| Some(line.split_once(' ')?).filter(|(_, n)| *n == name))
            .map(|(id, _)| id.to_owned())
    }

    /// All refs with their commits, a line each.
    pub fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(objectname) %(refname)"])
    }

    /// A file of a branch or commit.
    pub fn read(&self, at: &str, path: &str) -> Option<String> {
        // The branch may move on between two looks at it.
        let commit = self.commit_at(at)?;
        self.files(&commit, path)
            .contains(&path.to_owned())
            .then(|| self.git(&["cat-file", "blob", &format!("{commit}:{path}")]))
    }

    fn commit_at(&self, at: &str) -> Option<String> {
        let name = format!("{at}^{{commit}}");
        let found = self.git(&["rev-list", "--no-walk", "--ignore-missing", &name]);
        found.lines().next().map(str::to_owned)
    }

    /// A YAML file of a branch or commit.
    pub fn read_yaml(&self, at: &str, path: &str) -> Option<serde_json::Value> {
        let text = self.read(at, path)?;
        let options = yaml::Options { max_bytes: 1 << 20, ..yaml::Options::request() };
        let nodes = yaml::read(&path.into(), text.as_bytes(), &options)
            .unwrap_or_else(|problems| panic!("{path}: {}\n{text}", problems[0].message));
        Some(nodes[0].to_json())
    }

    /// Paths of the files at or below `folder`; all for an empty one. A branch that is not there
    /// has none.
    pub fn files(&self, at: &str, folder: &str) -> Vec<String> {
        let Some(commit) = self.commit_at(at) else { return Vec::new() };
        let mut args = vec!["ls-tree", "-r", "-z", "--name-only", &commit];
        if !folder.is_empty() {
            args.extend(["--", folder]);
        }
        self.git(&args).split_terminator('\0').map(str::to_owned).collect()
    }

    /// Files of a branch whose paths begin so, all at once: a process for each of thousands would be slow.
    pub fn contents(&self, branch: &str, prefix: &str) -> Vec<(String, String)> {
        let git = git2::Repository::open_bare(&self.path).unwrap();
        let Ok(found) = git.revparse_single(&format!("refs/heads/{branch}^{{tree}}")) else {
            return Vec::new();
        };
        let mut files = Vec::new();
        let tree = found.peel_to_tree().unwrap();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            let path = format!("{folder}{}", entry.name().unwrap());
            if path.starts_with(prefix)
                && let Some(blob) = entry.to_object(&git).unwrap().as_blob()
            {
                files.push((path, String::from_utf8_lossy(blob.content()).into_owned()));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        files
    }

    /// The commits of a branch, the oldest first, each with its message.
    pub fn log(&self, branch: &str) -> Vec<(String, String)> {
        if self.tip(branch).is_none() {
            return Vec::new();
        }
        let text = self.git(&["log", "--reverse", "--format=%H%n%B%x00", branch]);
        let entries = text.split('\0').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
            .map(|(id, message)| (id.to_owned(), message.to_owned()))
            .collect()
    }
}

fn blob(mode: &str, path: &str, text: &str) -> String {
    format!("M {mode} inline {path}\ndata {}\n{text}\n", text.len())
}

/// The program by its whole path: by its name alone a process is forked to look for it in a `PATH` that was set, and a
/// fork copies the tables of all the memory that the tests have used so far.
pub static GIT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("git"));
    found.filter(|path| path.is_absolute()).find(|path| path.is_file()).expect("a git in the PATH")
});

/// A `git` that knows nothing of whoever runs the tests.
pub fn git(home: &Path, args: &[&str], input: &str) -> String {
    let mut child = Command::new(&*GIT)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl Edit {
    /// The same with something else in its text; it must have been there.
    #[track_caller]
    pub fn and_replace(self, from: &str, to: &str) -> Self {
        match self {
            Self::Write(path, text) => {
                assert!(text.contains(from), "{path} lacks {from}");
                Self::Write(path, text.replace(from, to))
            }
            other => panic!("{other:?} has no text"),
        }
    }
}
