//! The contract's stories against a server that speaks the real protocol.

mod server;

use std::collections::BTreeMap;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use serde_json::json;

use self::server::Server;
use super::{CloudFormation, CloudFormationSettings, Rate};
use crate::digest;
use crate::model::{Artifact, Map, Target};
use crate::provider::Provider;
use crate::provider::contract::{self, World};

struct Aws {
    server: Server,
    provider: CloudFormation,
}

impl Aws {
    async fn new() -> Self {
        let server = Server::start();
        let settings = CloudFormationSettings {
            endpoint: Some(server.endpoint()),
            changes: Rate::of(1_000.0),
            looks: Rate::of(1_000.0),
            events: Rate::of(1_000.0),
        };
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .load()
            .await;
        Self { server, provider: CloudFormation::with_config(settings, config) }
    }
}

impl World for Aws {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn settings(&self) -> Map {
        serde_json::from_value(json!({"region": "eu-west-1"})).unwrap()
    }

    /// A queue that keeps messages for `n` minutes.
    fn artifact(&self, n: u8) -> Artifact {
        let template = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Resources": {"Queue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"MessageRetentionPeriod": 60 * (u32::from(n) + 1)},
            }},
            "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}},
        });
        let digest = Some(digest::of(&template));
        let files = BTreeMap::from([("stack.json".to_owned(), template.to_string())]);
        Artifact { files, digest }
    }

    fn meddle(&self, target: &Target) {
        self.server.keep_messages_longer(target.name.as_str());
    }

    /// The server takes drift-aware change sets for ordinary ones.
    fn can_revert(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    contract::keeps(&Aws::new().await).await;
}
