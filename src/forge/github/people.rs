//! What people may do, and which teams they are in.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::GitHub;
use super::auth::Who;
use super::call::{Trouble, encode, read};
use crate::forge::{Permission, Repo};

#[derive(Deserialize)]
struct PermissionShape {
    permission: Option<String>,
    role_name: Option<String>,
}

#[derive(Deserialize)]
struct MembershipShape {
    state: Option<String>,
}

impl PermissionShape {
    fn permission(&self) -> Permission {
        let of = |name: Option<&str>| {
            Some(match name? {
                "admin" => Permission::Admin,
                "maintain" => Permission::Maintain,
                "write" => Permission::Write,
                "triage" => Permission::Triage,
                "read" => Permission::Read,
                "none" => Permission::None,
                // A role of the organisation's own, which stands on one of these.
                _ => return None,
            })
        };
        let role = of(self.role_name.as_deref());
        role.or_else(|| of(self.permission.as_deref())).unwrap_or(Permission::None)
    }
}

impl GitHub {
    pub(super) async fn permission_of(
        &self,
        repo: &Repo,
        user: &str,
    ) -> Result<Permission, Trouble> {
        let path = format!("/repos/{repo}/collaborators/{}/permission", encode(user));
        match self.get(Who::Of(repo), &path).await {
            Ok(body) => Ok(read::<PermissionShape>(&body)?.permission()),
            // An account that is gone may do nothing.
            Err(Trouble::Gone { .. }) => Ok(Permission::None),
            Err(other) => Err(other),
        }
    }

    pub(super) async fn memberships(
        &self,
        repo: &Repo,
        user: &str,
        teams: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Trouble> {
        let (owner, user) = (&repo.owner, encode(user));
        let mut found = BTreeSet::new();
        for team in teams {
            let slug = encode(team);
            let path = format!("/orgs/{owner}/teams/{slug}/memberships/{user}");
            match self.get(Who::Of(repo), &path).await {
                // Somebody who was only invited is not in it yet.
                Ok(body) if read::<MembershipShape>(&body)?.state.as_deref() == Some("active") => {
                    found.insert(team.clone());
                }
                Ok(_) | Err(Trouble::Gone { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_says_more_than_the_old_four_words_and_one_of_their_own_no_more() {
        let of = |permission: &str, role: Option<&str>| {
            let role_name = role.map(str::to_owned);
            PermissionShape { permission: Some(permission.into()), role_name }.permission()
        };
        assert_eq!(of("write", Some("maintain")), Permission::Maintain);
        assert_eq!(of("read", Some("triage")), Permission::Triage);
        assert_eq!(of("read", Some("security-manager")), Permission::Read);
        assert_eq!(of("admin", None), Permission::Admin);
        assert_eq!(of("owner", Some("owner")), Permission::None);
        let nothing = PermissionShape { permission: None, role_name: None };
        assert_eq!(nothing.permission(), Permission::None);
    }
}
