//! What the server makes of the stacks that stories use.

use crate::aws::{Aws, stack};
use serde_json::json;

#[test]
fn a_slow_stack_waits_for_its_signal() {
    let aws = Aws::new();
    aws.begin("good", &stack::slow(600), &[]);
    aws.begin("bad", &stack::slow(600), &[]);
    let status = |name: &str| aws.stack(name).unwrap().stack_status().unwrap().as_str().to_owned();
    aws.signal("bad", "Handle", "FAILURE");
    assert_eq!(aws.settled("bad").as_str(), "ROLLBACK_COMPLETE");
    assert_eq!(status("good"), "CREATE_IN_PROGRESS");
    aws.signal("good", "Handle", "SUCCESS");
    assert_eq!(aws.settled("good").as_str(), "CREATE_COMPLETE");
}

#[test]
fn a_moody_stack_fails_when_it_is_told_to() {
    let aws = Aws::new();
    let moody = stack::moody;
    assert_eq!(aws.make("one", &moody("ok", "ok", "ok", "1"), &[]).as_str(), "CREATE_COMPLETE");
    let failing = moody("ok", "fail", "ok", "2");
    assert_eq!(aws.change("one", &failing).as_str(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(aws.change("one", &moody("ok", "ok", "fail", "3")).as_str(), "UPDATE_COMPLETE");
    assert_eq!(aws.remove("one").unwrap().as_str(), "DELETE_FAILED");
}

#[test]
fn a_queue_drifts_and_goes() {
    let aws = Aws::new();
    aws.make("one", &stack::queue(60), &[("vend:instance", "x")]);
    assert_eq!(aws.tag("one", "vend:instance").as_deref(), Some("x"));
    let url = aws.output("one", "QueueUrl").unwrap();
    aws.set_retention(&url, 90);
    assert_eq!(aws.retention(&url), "90");
    assert_eq!(drift(&aws), ["/MessageRetentionPeriod: 60 -> 90"]);
    aws.remove_queue(&url);
    assert_eq!(drift(&aws), ["DELETED"]);
    assert!(aws.remove("one").is_none());
    assert!(aws.stacks().is_empty());
}

fn drift(aws: &Aws) -> Vec<String> {
    let id = aws.wait(aws.client.detect_stack_drift().stack_name("one").send()).unwrap();
    let id = id.stack_drift_detection_id().unwrap();
    aws.eventually("the detection ends", || {
        let call = aws.client.describe_stack_drift_detection_status();
        let status = aws.wait(call.stack_drift_detection_id(id).send()).unwrap();
        (status.detection_status()?.as_str() == "DETECTION_COMPLETE").then_some(())
    });
    let call = aws.client.describe_stack_resource_drifts().stack_name("one");
    let found = aws.wait(call.send()).unwrap();
    let mut lines = Vec::new();
    for resource in found.stack_resource_drifts() {
        for difference in resource.property_differences() {
            let (path, was, is) = (
                difference.property_path().unwrap_or_default(),
                difference.expected_value().unwrap_or_default(),
                difference.actual_value().unwrap_or_default(),
            );
            lines.push(format!("{path}: {was} -> {is}"));
        }
        let status = resource.stack_resource_drift_status().map_or("", |s| s.as_str());
        if status == "DELETED" {
            lines.push(status.to_owned());
        }
    }
    lines
}

#[test]
fn accounts_know_nothing_of_each_other() {
    let (ours, theirs) = (Aws::new(), Aws::new());
    assert_ne!(ours.account(), theirs.account());
    ours.make("one", &stack::queue(60), &[]);
    assert!(theirs.stack("one").is_none());
    let id = ours.stack("one").unwrap().stack_id.unwrap();
    assert!(id.contains(ours.account()), "{id}");
}

#[test]
fn a_strict_server_asks_for_capabilities() {
    let aws = Aws::strict();
    let template = stack::template(&json!({"Role": {"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}
    }}}));
    let call = aws.client.create_stack().stack_name("one").template_body(template.to_string());
    let (code, text) = super::refusal(aws.wait(call.send()));
    assert_eq!(code, "InsufficientCapabilitiesException", "{text}");
    assert_eq!(text, "Requires capabilities : [CAPABILITY_IAM]");
}

#[test]
fn the_server_ends_when_its_pipe_does() {
    // Its parent and this process are the same; a second reader of the pipe would keep it alive.
    let pid = crate::aws::server_pid();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[1], std::process::id().to_string(), "our child");
    assert_eq!(fields[2], pid.to_string(), "and the leader of a group of its own");
}
