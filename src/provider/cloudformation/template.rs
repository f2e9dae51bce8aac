//! The template as it is sent: along with the call, or by way of a bucket when it is too large.

use super::error::Trouble;
use super::session::Session;
use super::settings::Place;
use crate::model::{Artifact, Change};
use crate::provider::ProviderError;

/// CloudFormation's limit for a template in the call itself, in bytes.
const SENT_ALONG: usize = 51_200;

/// CloudFormation's limit for a template in a bucket, in bytes.
const IN_A_BUCKET: usize = 1_000_000;

/// What a call says about the template: one of the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) body: Option<String>,
    pub(super) url: Option<String>,
}

/// The one file of a component that is a stack.
pub(super) fn text(artifact: &Artifact) -> Result<&str, ProviderError> {
    let mut files = artifact.files.values();
    match (files.next(), files.next()) {
        (Some(text), None) => Ok(text),
        (None, _) => Err(ProviderError::Refused("the component has no template".into())),
        (Some(_), Some(_)) => {
            let names: Vec<_> = artifact.files.keys().map(|n| format!("`{n}`")).collect();
            Err(ProviderError::Refused(format!(
                "a CloudFormation component is one template, and this one has the files {}",
                names.join(", ")
            )))
        }
    }
}

/// Puts the template where the service finds it.
pub(super) async fn send(
    session: &Session,
    place: &Place,
    change: &Change,
) -> Result<Sent, ProviderError> {
    let artifact = change
        .artifact
        .as_ref()
        .ok_or_else(|| ProviderError::Refused("the change has no template".into()))?;
    let text = text(artifact)?;
    if text.len() <= SENT_ALONG {
        return Ok(Sent { body: Some(text.to_owned()), url: None });
    }
    if text.len() > IN_A_BUCKET {
        return Err(ProviderError::Refused(format!(
            "the template has {} bytes; CloudFormation takes at most {IN_A_BUCKET}: split it into components",
            text.len()
        )));
    }
    let Some(bucket) = &place.template_bucket else {
        return Err(ProviderError::Refused(format!(
            "the template has {} bytes; above {SENT_ALONG} CloudFormation reads it from a bucket: name one as `templateBucket` in the environment's settings",
            text.len()
        )));
    };
    let digest = artifact.digest.unwrap_or_else(|| crate::digest::sha256(text.as_bytes()));
    let key = format!("vend/{}.json", digest.hex());
    upload(session, bucket, &key, text).await?;
    let url = match session.config.endpoint_url() {
        Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
        None => {
            let domain =
                if place.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{bucket}.s3.{}.{domain}/{key}", place.region)
        }
    };
    Ok(Sent { body: None, url: Some(url) })
}

/// Named by its content: writing it twice is writing it once.
async fn upload(
    session: &Session,
    bucket: &str,
    key: &str,
    text: &str,
) -> Result<(), ProviderError> {
    let config = aws_sdk_s3::config::Builder::from(&session.config)
        .force_path_style(session.config.endpoint_url().is_some())
        .build();
    let put = aws_sdk_s3::Client::from_conf(config)
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .body(text.as_bytes().to_vec().into());
    match put.send().await.map_err(Trouble::of) {
        Ok(_) => Ok(()),
        Err(Trouble::Rejected { code, message }) => Err(ProviderError::Refused(format!(
            "the template cannot be put into the bucket `{bucket}`: {code}: {message}"
        ))),
        // A template that lies in a bucket changes nothing: it is put there again.
        Err(trouble) => Err(trouble.of_a_look()),
    }
}
