//! The proxy breaks what it is told to, and its record says so.

use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::timeout::TimeoutConfig;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_cloudformation::operation::create_stack::CreateStackError;

use crate::aws::{Aws, Fault, Gate, Rule, stack};

/// One try, and not longer than a moment.
fn once(aws: &Aws) -> Client {
    let config = aws.through_proxy().config().to_builder();
    let times = TimeoutConfig::builder().operation_timeout(Duration::from_secs(8)).build();
    Client::from_conf(config.retry_config(RetryConfig::disabled()).timeout_config(times).build())
}

fn create(aws: &Aws, client: &Client, name: &str) -> Result<(), SdkError<CreateStackError>> {
    let call = client.create_stack().stack_name(name).client_request_token("token");
    aws.wait(call.template_body(stack::queue(60).to_string()).send()).map(|_| ())
}

#[test]
fn calls_are_recorded_with_who_made_them_and_what_became_of_them() {
    let aws = Aws::new();
    create(&aws, &once(&aws), "plain").unwrap();
    aws.settled("plain");
    let calls = aws.calls();
    assert_eq!(calls.len(), 1, "what is done out of band is not in the record");
    let call = &calls[0];
    assert_eq!((call.action.as_str(), call.stack.as_str()), ("CreateStack", "plain"));
    assert_eq!((call.account.as_str(), call.region.as_str()), (aws.account(), "eu-west-1"));
    assert_eq!((call.service.as_str(), call.token()), ("cloudformation", "token"));
    assert!(call.done() && call.writes());
    assert_eq!(aws.effects("plain"), ["create"]);
    aws.assert_sound();
}

#[test]
fn what_is_refused_never_reaches_the_server() {
    let aws = Aws::new();
    aws.rule(Rule::on("CreateStack", Fault::Throttle).once());
    aws.rule(Rule::on("Create*", Fault::Refuse(403, "AccessDenied", "no & never")).after(1).once());
    aws.rule(Rule::any(Fault::ResetBefore).stack("two").after(3));
    let client = once(&aws);
    assert_eq!(create(&aws, &client, "one").unwrap_err().code(), Some("Throttling"));
    let denied = create(&aws, &client, "two").unwrap_err();
    assert_eq!((denied.code(), denied.message()), (Some("AccessDenied"), Some("no & never")));
    create(&aws, &client, "three").unwrap();
    for _ in 0..2 {
        let _ = create(&aws, &client, "two");
    }
    let reset = create(&aws, &client, "two").unwrap_err();
    assert!(matches!(reset, SdkError::DispatchFailure(_)), "{reset:?}");
    let reached: Vec<bool> = aws.calls().iter().map(|call| call.end.reached).collect();
    assert_eq!(reached, [false, false, true, true, true, false]);
    assert_eq!(aws.calls()[5].end.status, None);
}

#[test]
fn what_is_lost_has_happened() {
    let aws = Aws::new();
    let client = once(&aws);
    let faults = [
        ("reset", Fault::ResetAfter),
        ("failed", Fault::FailAfter(503)),
        ("garbage", Fault::Garbage),
        ("cut", Fault::Cut),
        ("silent", Fault::Silence),
    ];
    for (name, fault) in faults {
        aws.rule(Rule::on("CreateStack", fault).stack(name).once());
        let error = create(&aws, &client, name).unwrap_err();
        assert_eq!(error.code(), None, "{name}: {error:?}");
        aws.settled(name);
        let call = aws.calls().pop().unwrap();
        assert!(call.done() && call.end.lost, "{}", call.line());
        // The same token finds what was done.
        create(&aws, &client, name).unwrap();
        assert!(aws.calls().pop().unwrap().end.replayed, "{name}");
        assert_eq!(aws.effects(name), ["create"]);
    }
    aws.assert_sound();
}

#[test]
fn the_sdk_tries_again_by_itself() {
    let aws = Aws::new();
    aws.rule(Rule::on("CreateStack", Fault::Throttle).once());
    aws.rule(Rule::on("CreateStack", Fault::ResetAfter).after(1).once());
    create(&aws, &aws.through_proxy(), "again").unwrap();
    let ends: Vec<_> =
        aws.calls().iter().map(|c| (c.end.reached, c.end.lost, c.end.replayed)).collect();
    assert_eq!(ends, [(false, false, false), (true, true, false), (true, false, true)]);
}

#[test]
fn calls_wait_at_a_gate_and_for_a_delay() {
    let aws = Aws::new();
    let gate = Gate::closed();
    aws.rule(Rule::on("CreateStack", Fault::Hold(gate.clone())).stack("held"));
    aws.rule(Rule::on("CreateStack", Fault::Delay(Duration::from_millis(30))));
    // Whoever is held waits for as long as it takes.
    let client = aws.through_proxy();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| create(&aws, &client, "held").unwrap());
        aws.eventually("it arrived", || (aws.count("CreateStack") == 1).then_some(()));
        assert!(aws.stack("held").is_none());
        create(&aws, &client, "passes").unwrap();
        assert!(!held.is_finished());
        gate.open();
    });
    assert_eq!(aws.stacks().len(), 2);
}

#[test]
fn requests_and_answers_are_changed_on_the_way() {
    let aws = Aws::new();
    aws.rule(Rule::on(
        "CreateStack",
        Fault::request(|form| {
            form.insert("StackName".to_owned(), "other".to_owned());
        }),
    ));
    aws.rule(Rule::on(
        "DescribeStacks",
        Fault::answer(|_, answer| {
            answer.edit(|text| text.replace("CREATE_COMPLETE", "UPDATE_ROLLBACK_FAILED"));
        }),
    ));
    let client = once(&aws);
    create(&aws, &client, "mine").unwrap();
    aws.settled("other");
    let seen = aws.wait(client.describe_stacks().stack_name("other").send()).unwrap();
    assert_eq!(seen.stacks()[0].stack_status().unwrap().as_str(), "UPDATE_ROLLBACK_FAILED");
    aws.no_rules();
    let seen = aws.wait(client.describe_stacks().stack_name("other").send()).unwrap();
    assert_eq!(seen.stacks()[0].stack_status().unwrap().as_str(), "CREATE_COMPLETE");
}

#[test]
fn a_share_of_calls_is_the_same_in_any_order() {
    let lost = |order: Vec<usize>| {
        let aws = Aws::new();
        aws.rule(Rule::on("DescribeStacks", Fault::Throttle).share(30));
        let client = once(&aws);
        let mut lost: Vec<usize> = Vec::new();
        for n in order {
            let name = format!("stack-{n}");
            let error = aws.wait(client.describe_stacks().stack_name(name).send()).unwrap_err();
            lost.extend((error.code() == Some("Throttling")).then_some(n));
        }
        lost.sort_unstable();
        lost
    };
    let forwards = lost((0..40).collect());
    assert_eq!(forwards, lost((0..40).rev().collect()));
    assert!((4..=24).contains(&forwards.len()), "{forwards:?}");
}
