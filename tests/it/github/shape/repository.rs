//! Repositories.

use serde_json::{Map, Value, json};

use super::super::state::{Repo, State};
use super::{node, with};

/// What hangs below a repository, with the part that varies.
const BELOW: &[(&str, &str)] = &[
    ("archive", "/{archive_format}{/ref}"),
    ("assignees", "/assignees{/user}"),
    ("blobs", "/git/blobs{/sha}"),
    ("branches", "/branches{/branch}"),
    ("collaborators", "/collaborators{/collaborator}"),
    ("comments", "/comments{/number}"),
    ("commits", "/commits{/sha}"),
    ("compare", "/compare/{base}...{head}"),
    ("contents", "/contents/{+path}"),
    ("contributors", "/contributors"),
    ("deployments", "/deployments"),
    ("downloads", "/downloads"),
    ("events", "/events"),
    ("forks", "/forks"),
    ("git_commits", "/git/commits{/sha}"),
    ("git_refs", "/git/refs{/sha}"),
    ("git_tags", "/git/tags{/sha}"),
    ("hooks", "/hooks"),
    ("issue_comment", "/issues/comments{/number}"),
    ("issue_events", "/issues/events{/number}"),
    ("issues", "/issues{/number}"),
    ("keys", "/keys{/key_id}"),
    ("labels", "/labels{/name}"),
    ("languages", "/languages"),
    ("merges", "/merges"),
    ("milestones", "/milestones{/number}"),
    ("notifications", "/notifications{?since,all,participating}"),
    ("pulls", "/pulls{/number}"),
    ("releases", "/releases{/id}"),
    ("stargazers", "/stargazers"),
    ("statuses", "/statuses/{sha}"),
    ("subscribers", "/subscribers"),
    ("subscription", "/subscription"),
    ("tags", "/tags"),
    ("teams", "/teams"),
    ("trees", "/git/trees{/sha}"),
];

impl State {
    /// Address of a repository in the REST API.
    pub fn repo_url(&self, full: &str) -> String {
        format!("{}/repos/{full}", self.api())
    }

    /// `minimal-repository`.
    pub fn minimal_repository(&self, full: &str) -> Value {
        let repo = &self.repos[full];
        let url = self.repo_url(full);
        let below = BELOW.iter();
        let below: Map<_, _> =
            below.map(|(name, at)| (format!("{name}_url"), format!("{url}{at}").into())).collect();
        with(
            json!({
                "id": repo.id,
                "node_id": node("R", repo.id),
                "name": repo.name,
                "full_name": full,
                "private": repo.is_private,
                "owner": self.user(&repo.owner),
                "html_url": format!("{}/{full}", self.base),
                "description": null,
                "fork": repo.parent.is_some(),
                "url": url,
            }),
            below.into(),
        )
    }

    /// `repository`.
    pub fn repository(&self, full: &str) -> Value {
        let repo = &self.repos[full];
        with(self.minimal_repository(full), self.more(full, repo))
    }

    fn more(&self, full: &str, repo: &Repo) -> Value {
        let base = &self.base;
        let open = repo.issues.values().filter(|issue| issue.is_open && !issue.is_deleted).count();
        let forks =
            self.repos.values().filter(|other| other.parent.as_deref() == Some(full)).count();
        json!({
            "git_url": format!("git:{}/{full}.git", base.trim_start_matches("http:")),
            "ssh_url": format!("git@github.example.com:{full}.git"),
            "clone_url": format!("{base}/{full}.git"),
            "svn_url": format!("{base}/{full}"),
            "mirror_url": null,
            "homepage": null,
            "language": null,
            "license": null,
            "forks_count": forks, "forks": forks,
            "stargazers_count": 0,
            "watchers_count": 0, "watchers": 0,
            "size": 1,
            "default_branch": "main",
            "open_issues_count": open, "open_issues": open,
            "has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false,
            "has_downloads": true, "has_discussions": false,
            "archived": false,
            "topics": [],
            "disabled": false,
            "visibility": if repo.is_private { "private" } else { "public" },
            "pushed_at": repo.pushed,
            "created_at": repo.created,
            "updated_at": repo.pushed,
            "allow_rebase_merge": true, "allow_squash_merge": true, "allow_merge_commit": true,
        })
    }

    /// `full-repository`.
    pub fn full_repository(&self, full: &str) -> Value {
        let more = json!({"subscribers_count": 0, "network_count": 0});
        with(self.repository(full), more)
    }
}
