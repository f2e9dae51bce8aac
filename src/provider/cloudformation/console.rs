//! Where a person sees a stack: its page in the console of its partition.

/// The page of a stack by its id; `None`: it is no ARN of a stack, or of a partition whose console
/// this vend does not know.
pub(super) fn page(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let (Some("arn"), Some(partition), Some("cloudformation"), Some(region), Some(_), Some(stack)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let domain = match partition {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    let is_region =
        |r: &str| !r.is_empty() && r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !stack.starts_with("stack/") || !is_region(region) {
        return None;
    }
    Some(format!(
        "https://{region}.{domain}/cloudformation/home?region={region}#/stacks/stackinfo?stackId={}",
        encoded(arn)
    ))
}

/// As the console itself writes an id into its address.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_a_console_of_its_own() {
        let page = |partition: &str, region: &str| {
            page(&format!("arn:{partition}:cloudformation:{region}:123456789012:stack/vend-a/7f-1"))
        };
        assert_eq!(
            page("aws", "eu-north-1").unwrap(),
            "https://eu-north-1.console.aws.amazon.com/cloudformation/home?region=eu-north-1#/stacks/stackinfo?stackId=arn%3Aaws%3Acloudformation%3Aeu-north-1%3A123456789012%3Astack%2Fvend-a%2F7f-1"
        );
        let host = |partition, region| {
            let page = page(partition, region).unwrap();
            page.split('/').nth(2).map(str::to_owned).unwrap()
        };
        assert_eq!(host("aws-cn", "cn-north-1"), "cn-north-1.console.amazonaws.cn");
        assert_eq!(
            host("aws-us-gov", "us-gov-west-1"),
            "us-gov-west-1.console.amazonaws-us-gov.com"
        );
        assert_eq!(page("aws-iso", "us-iso-east-1"), None);
        assert_eq!(page("aws", "evil.example/"), None);
    }

    #[test]
    fn a_ticket_links_to_its_stack_unless_another_endpoint_is_set() {
        use crate::model::{
            ComponentName, InstanceId, Map, RequestId, Target, TargetKey, TargetName, Token,
        };
        use crate::provider::Provider;
        use crate::provider::cloudformation::ticket::{Notes, Operation};
        use crate::provider::cloudformation::{CloudFormation, CloudFormationSettings, Rate};
        let request = RequestId::new("orders", "prod", "events").unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        let instance = InstanceId::new("i");
        let settings: Map =
            serde_json::from_value(serde_json::json!({"region": "eu-north-1"})).unwrap();
        let name = TargetName::compute(&instance, &key);
        let provider = "cloudformation".into();
        let target = Target { name, key, instance, provider, settings, id: None };
        let token = Token::derive(
            &target.instance,
            &target.name,
            &crate::digest::sha256(b"x"),
            0,
            jiff::Timestamp::UNIX_EPOCH,
        );
        let arn = "arn:aws:cloudformation:eu-north-1:123456789012:stack/vend-a/7f-1";
        let ticket = Notes::new(Operation::Create, arn).ticket(&token, &target);
        let link = |endpoint: Option<&str>| {
            let endpoint = endpoint.map(str::to_owned);
            let (changes, looks, events) = (Rate::of(1.0), Rate::of(1.0), Rate::of(1.0));
            CloudFormation::new(CloudFormationSettings { endpoint, changes, looks, events })
                .link(&ticket)
        };
        assert_eq!(link(None), page(arn));
        assert_eq!(link(Some("http://127.0.0.1:4566")), None);
    }

    #[test]
    fn a_name_is_no_id() {
        for id in ["vend-a", "", "arn:aws:sqs:eu-north-1:123456789012:queue"] {
            assert_eq!(page(id), None, "{id}");
        }
    }
}
