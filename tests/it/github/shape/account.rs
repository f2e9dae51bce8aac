//! People, organisations, teams and Apps.

use serde_json::{Value, json};

use super::super::state::{AccountKind, App, Installation, State, Team};
use super::{node, with};

impl State {
    /// `simple-user`.
    pub fn user(&self, login: &str) -> Value {
        let (id, kind) = match self.accounts.get(login) {
            Some(account) => (account.id, account.kind),
            // Who left: their deeds stay, under this name.
            None => (10137, AccountKind::User),
        };
        let (base, api) = (&self.base, self.api());
        let path = login.replace('[', "%5B").replace(']', "%5D");
        let url = format!("{api}/users/{path}");
        json!({
            "login": login,
            "id": id,
            "node_id": node("U", id),
            "avatar_url": format!("{base}/avatars/u/{id}?v=4"),
            "gravatar_id": "",
            "url": url,
            "html_url": match login.strip_suffix("[bot]") {
                Some(app) => format!("{base}/apps/{app}"),
                None => format!("{base}/{login}"),
            },
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": format!("{kind:?}"),
            "site_admin": false,
        })
    }

    /// `public-user`.
    pub fn person(&self, login: &str) -> Value {
        with(
            self.user(login),
            json!({
                "name": login, "company": null, "blog": "", "location": null, "email": null,
                "hireable": null, "bio": null, "public_repos": 0, "public_gists": 0,
                "followers": 0, "following": 0,
                "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z",
            }),
        )
    }

    /// `organization-full`.
    pub fn organization(&self, login: &str) -> Value {
        let (base, id) = (&self.base, self.accounts[login].id);
        let url = format!("{}/orgs/{login}", self.api());
        json!({
            "login": login,
            "id": id,
            "node_id": node("O", id),
            "url": url,
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"),
            "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": format!("{base}/avatars/u/{id}?v=4"),
            "description": null,
            "has_organization_projects": true,
            "has_repository_projects": true,
            "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "html_url": format!("{base}/{login}"),
            "type": "Organization",
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "archived_at": null,
        })
    }

    /// `team-full`.
    pub fn team(&self, org: &str, slug: &str, team: &Team) -> Value {
        let organization = self.organization(org);
        let org_id = self.accounts[org].id;
        let url = format!("{}/organizations/{org_id}/team/{}", self.api(), team.id);
        json!({
            "id": team.id,
            "node_id": node("T", team.id),
            "url": url,
            "html_url": format!("{}/orgs/{org}/teams/{slug}", self.base),
            "name": team.name,
            "slug": slug,
            "description": null,
            "privacy": "closed",
            "permission": "pull",
            "members_url": format!("{url}/members{{/member}}"),
            "repositories_url": format!("{url}/repos"),
            "parent": null,
            "members_count": team.members.values().filter(|is_active| **is_active).count(),
            "repos_count": 0,
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "type": "organization",
            "organization": organization,
        })
    }

    /// `integration`.
    pub fn integration(&self, app: &App) -> Value {
        let base = &self.base;
        json!({
            "id": app.id,
            "slug": app.slug,
            "node_id": node("A", app.id),
            "client_id": format!("Iv23{:016}", app.id),
            "owner": self.user("acme"),
            "name": app.slug,
            "description": null,
            "external_url": format!("{base}/{}", app.slug),
            "html_url": format!("{base}/github-apps/{}", app.slug),
            "created_at": app.created,
            "updated_at": app.created,
            "permissions": app.permissions,
            "events": ["pull_request", "push"],
        })
    }

    /// `installation`.
    pub fn installation(&self, it: &Installation) -> Value {
        let api = self.api();
        json!({
            "id": it.id,
            "account": self.user(&it.account),
            "repository_selection": if it.selected.is_some() { "selected" } else { "all" },
            "access_tokens_url": format!("{api}/app/installations/{}/access_tokens", it.id),
            "repositories_url": format!("{api}/installation/repositories"),
            "html_url": format!("{}/organizations/{}/settings/installations/{}",
                self.base, it.account, it.id),
            "app_id": it.app,
            "app_slug": self.app(it.app).slug,
            "target_id": self.accounts[&it.account].id,
            "target_type": format!("{:?}", self.accounts[&it.account].kind),
            "permissions": it.permissions,
            "events": ["pull_request", "push"],
            "created_at": it.created,
            "updated_at": it.created,
            "single_file_name": null,
            "suspended_at": it.suspended,
            "suspended_by": it.suspended.map(|_| self.user(&it.account)),
        })
    }
}
