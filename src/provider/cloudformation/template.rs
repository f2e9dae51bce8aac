//! The template as it is sent: along with the call, or by way of a bucket when it is too large.

use serde_json::Value;

use super::echo;
use super::error::Trouble;
use super::session::Session;
use super::settings::Place;
use crate::fault::point;
use crate::model::{Artifact, Change};
use crate::provider::ProviderError;

/// CloudFormation's limit for a template in the call itself, in bytes.
const SENT_ALONG: usize = 51_200;

/// CloudFormation's limit for a template in a bucket, in bytes.
const IN_A_BUCKET: usize = 1_000_000;

/// How many entries a template's sections may have: CloudFormation's quotas.
const SECTIONS: [(&str, usize); 4] =
    [("Mappings", 200), ("Outputs", 200), ("Parameters", 200), ("Resources", 500)];

/// CloudFormation's limit for the value of a parameter, in bytes.
const PARAMETER_MAX: usize = 4_096;

/// What a call says about the template: one of the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) body: Option<String>,
    pub(super) url: Option<String>,
}

/// The one file of a component that is a stack.
pub(super) fn text(artifact: &Artifact) -> Result<&str, String> {
    let mut files = artifact.files.values();
    match (files.next(), files.next()) {
        (Some(text), None) => Ok(text),
        (None, _) => Err("the component has no template".into()),
        (Some(_), Some(_)) => {
            let names: Vec<_> = artifact.files.keys().map(|n| format!("`{n}`")).collect();
            Err(format!(
                "a CloudFormation component is one template, and this one has the files {}",
                names.join(", ")
            ))
        }
    }
}

/// The error says what CloudFormation would refuse once it has read all of it. What cannot be read here is
/// for the service to judge.
fn within_limits(text: &str) -> Result<(), String> {
    let Some(template) = echo::parsed(text) else { return Ok(()) };
    let section = |name: &str| template.get(name).and_then(Value::as_object);
    for (name, most) in SECTIONS {
        let count = section(name).map_or(0, |entries| entries.len());
        if count > most {
            return Err(format!(
                "the template has {count} entries in `{name}`; CloudFormation takes at most {most}: split it into components"
            ));
        }
    }
    for (name, parameter) in section("Parameters").into_iter().flatten() {
        let size = parameter.get("Default").and_then(Value::as_str).map_or(0, str::len);
        if size > PARAMETER_MAX {
            return Err(format!(
                "the value of the template's parameter `{name}` has {size} bytes; CloudFormation takes at most {PARAMETER_MAX}"
            ));
        }
    }
    Ok(())
}

/// The template, where CloudFormation would take it. The error says why it would not.
pub(super) fn sendable<'a>(artifact: &'a Artifact, place: &Place) -> Result<&'a str, String> {
    let text = text(artifact)?;
    within_limits(text)?;
    let size = text.len();
    if size > IN_A_BUCKET {
        return Err(format!(
            "the template has {size} bytes; CloudFormation takes at most {IN_A_BUCKET}: split it into components"
        ));
    }
    if size > SENT_ALONG && place.template_bucket.is_none() {
        return Err(format!(
            "the template has {size} bytes; above {SENT_ALONG} CloudFormation reads it from a bucket: name one as `templateBucket` in the environment's settings"
        ));
    }
    Ok(text)
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
    let text = sendable(artifact, place).map_err(ProviderError::Refused)?;
    let Some(bucket) = place.template_bucket.as_ref().filter(|_| text.len() > SENT_ALONG) else {
        return Ok(Sent { body: Some(text.to_owned()), url: None });
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
    point!("aws.upload.before")?;
    let put = put.send().await.map_err(Trouble::of);
    point!("aws.upload.after")?;
    match put {
        Ok(_) => Ok(()),
        Err(Trouble::Rejected { code, message }) => Err(ProviderError::Refused(format!(
            "the template cannot be put into the bucket `{bucket}`: {code}: {message}"
        ))),
        // A template that lies in a bucket changes nothing: it is put there again.
        Err(trouble) => Err(trouble.of_a_look()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_service_would_refuse_is_said_before_the_call() {
        let many = |section: &str, count: usize| {
            let entries: serde_json::Map<String, Value> =
                (0..count).map(|n| (format!("X{n}"), json!({"Type": "String"}))).collect();
            within_limits(&json!({section: entries}).to_string())
        };
        for (section, most) in SECTIONS {
            assert_eq!(many(section, most), Ok(()));
            assert!(many(section, most + 1).unwrap_err().contains(section));
        }
        let long = |size: usize| {
            let parameter = json!({"Type": "String", "Default": "x".repeat(size)});
            within_limits(&json!({"Parameters": {"Long": parameter}}).to_string())
        };
        assert_eq!(long(PARAMETER_MAX), Ok(()));
        assert!(long(PARAMETER_MAX + 1).unwrap_err().contains("`Long` has 4097 bytes"));
        assert_eq!(within_limits("{{"), Ok(()), "the service says what is wrong");
    }
}
