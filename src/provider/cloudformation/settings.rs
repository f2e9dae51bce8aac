//! Where a stack lives and what it is made with: the recorded settings of a target, read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::stack;
use crate::model::{Map, TargetKey};

/// Settings of one target. All but the region may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Place {
    /// Twelve digits; compared with whom the credentials belong to before the first write.
    #[serde(default)]
    pub(super) account: Option<String>,
    pub(super) region: String,
    /// Taken on for everything but previews.
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) external_id: Option<String>,
    /// What CloudFormation itself takes on.
    #[serde(default)]
    pub(super) service_role: Option<String>,
    /// Taken on for previews; by default `role`.
    #[serde(default)]
    pub(super) preview_role: Option<String>,
    /// For templates that are too large to be sent along.
    #[serde(default)]
    pub(super) template_bucket: Option<String>,
    /// Must be the operator's: the catalog does not choose where signed requests go.
    #[serde(default)]
    pub(super) endpoint: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) capabilities: Vec<String>,
    /// Instead of the target's name: for stacks that exist already.
    #[serde(default)]
    pub(super) stack_name: Option<String>,
}

/// CloudFormation's limit for a stack's name.
const STACK_NAME_MAX: usize = 128;

impl Place {
    /// The error is a sentence about the setting that is wrong.
    pub(super) fn read(settings: &Map) -> Result<Self, String> {
        serde_json::from_value(settings.clone().into_iter().collect())
            .map_err(|error| format!("the settings of `cloudformation`: {error}"))
    }

    /// As recorded: the placeholders of `stackName` filled in, and all of it checked against what
    /// the operator allows.
    pub(super) fn settle(
        settings: &Map,
        key: &TargetKey,
        operators: Option<&str>,
    ) -> Result<Map, String> {
        let mut settled = settings.clone();
        let place = Self::read(settings)?;
        if let Some(endpoint) = place.endpoint.as_deref().filter(|e| Some(*e) != operators) {
            return Err(format!(
                "the endpoint `{endpoint}` is not `providers.cloudformation.endpoint` of the operator's configuration: requests with credentials go nowhere else"
            ));
        }
        if let Some(pattern) = &place.stack_name {
            let id = &key.request;
            let name = pattern
                .replace("{team}", id.team())
                .replace("{environment}", id.environment())
                .replace("{name}", id.name())
                .replace("{component}", key.component.as_str());
            if !is_stack_name(&name) || name.starts_with("vend-") {
                return Err(format!(
                    "`stackName` comes to `{name}`: a stack's name has at most {STACK_NAME_MAX} letters, digits and hyphens, starts with a letter, and those that start with `vend-` are given by vend"
                ));
            }
            settled.insert("stackName".into(), name.into());
        }
        Ok(settled)
    }

    /// What bounds concurrency: an account's region. A role's account is in its ARN; where nothing names one,
    /// it is that of the process's own credentials.
    pub(super) fn lane(&self) -> String {
        // `arn:aws:iam::ACCOUNT:role/NAME`
        let of_role = self.role.as_deref().and_then(|role| role.split(':').nth(4));
        let who = self.account.as_deref().or(of_role).unwrap_or("default");
        format!("cloudformation:{who}/{}", self.region)
    }
}

/// Settings that say by whose rights a stack is reached, and not where it is.
const RIGHTS: [&str; 4] = ["role", "externalId", "previewRole", "serviceRole"];

/// See [`Provider::reach`](crate::provider::Provider::reach). A stack without a recorded account is in the
/// one that its ARN names: to name that later moves nothing.
pub(super) fn reach(recorded: &Map, id: Option<&str>, now: Option<&Map>) -> Map {
    let mut reached = recorded.clone();
    let made = id.and_then(stack::account);
    let account = |settings: &Map| text(settings, "account").or(made).map(str::to_owned);
    let here = |now: &&Map| {
        text(recorded, "region") == text(now, "region") && account(recorded) == account(now)
    };
    let Some(now) = now.filter(here) else { return reached };
    for key in RIGHTS.into_iter().chain(["account"]) {
        match now.get(key) {
            Some(value) => reached.insert(key.to_owned(), value.clone()),
            None => reached.remove(key),
        };
    }
    reached
}

fn text<'a>(settings: &'a Map, key: &str) -> Option<&'a str> {
    settings.get(key).and_then(Value::as_str)
}

fn is_stack_name(name: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '-';
    name.len() <= STACK_NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, RequestId};
    use serde_json::json;

    fn settle(settings: serde_json::Value, operators: Option<&str>) -> Result<Map, String> {
        let request = RequestId::new("orders", "prod", "events").unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        Place::settle(&serde_json::from_value(settings).unwrap(), &key, operators)
    }

    #[test]
    fn a_stack_name_is_filled_in_once() {
        let settled = settle(json!({"region": "eu-west-1", "stackName": "{team}-{name}"}), None);
        let settled = settled.unwrap();
        assert_eq!(settled["stackName"], "orders-events");
        assert_eq!(settle(json!(settled), None).unwrap(), settled, "again: nothing");
    }

    #[test]
    fn what_is_recorded_is_reached_by_the_rights_of_now_where_it_is_the_same_place() {
        let map =
            |settings: serde_json::Value| -> Map { serde_json::from_value(settings).unwrap() };
        let id = Some("arn:aws:cloudformation:eu-west-1:111111111111:stack/vend-a/1");
        let (ours, theirs) = ("111111111111", "222222222222");
        let old = map(json!({"region": "eu-west-1", "role": "old", "tags": {"a": "b"}}));
        let named = map(json!({"region": "eu-west-1", "account": ours, "serviceRole": "cfn"}));
        let reached = reach(&old, id, Some(&named));
        let all = json!({
            "region": "eu-west-1", "account": ours, "serviceRole": "cfn", "tags": {"a": "b"},
        });
        assert_eq!(json!(reached), all);
        assert_eq!(reach(&reached, id, Some(&named)), reached, "again: nothing");
        let unnamed = map(json!({"region": "eu-west-1", "role": "new"}));
        assert_eq!(reach(&reached, id, Some(&unnamed))["role"], "new");
        assert_eq!(reach(&old, None, Some(&unnamed))["role"], "new");
        for (id, now) in [
            (id, json!({"region": "eu-west-1", "account": theirs, "role": "new"})),
            (id, json!({"region": "eu-north-1", "role": "new"})),
            (None, json!({"region": "eu-west-1", "account": ours, "role": "new"})),
        ] {
            assert_eq!(reach(&old, id, Some(&map(now.clone()))), old, "{now}");
        }
        assert_eq!(reach(&old, id, None), old, "the environment is gone");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let problem = |settings, operators| settle(settings, operators).unwrap_err();
        let elsewhere = json!({"region": "eu-west-1", "endpoint": "http://169.254.169.254"});
        assert!(problem(elsewhere.clone(), None).contains("go nowhere else"));
        assert!(problem(elsewhere, Some("http://127.0.0.1:4566")).contains("go nowhere else"));
        let ours = json!({"region": "eu-west-1", "endpoint": "http://127.0.0.1:4566"});
        assert!(settle(ours, Some("http://127.0.0.1:4566")).is_ok());
        for name in ["{nmae}", "vend-orders", "9x", "a b", &"x".repeat(129)] {
            let settings = json!({"region": "eu-west-1", "stackName": name});
            assert!(problem(settings, None).contains("`stackName` comes to"), "{name}");
        }
        assert!(problem(json!({}), None).contains("region"));
        assert!(problem(json!({"region": "x", "regoin": "y"}), None).contains("regoin"));
    }
}
