//! Where the server differs from what AWS documents, the proxy makes up for it.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::operation::create_change_set::{
    CreateChangeSetError, CreateChangeSetOutput,
};
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{ChangeSetType, DeploymentMode, Parameter, Tag};
use serde_json::{Value, json};

use super::refusal;
use crate::aws::{Aws, stack};

type Made =
    Result<CreateChangeSetOutput, aws_sdk_cloudformation::error::SdkError<CreateChangeSetError>>;

struct Sets<'a> {
    aws: &'a Aws,
    client: Client,
}

impl<'a> Sets<'a> {
    fn new(aws: &'a Aws) -> Self {
        Self { aws, client: aws.through_proxy() }
    }

    fn create(&self, stack: &str, set: &str, kind: ChangeSetType, template: &Value) -> Made {
        let call = self.client.create_change_set().stack_name(stack).change_set_name(set);
        let call = call.client_token(set).change_set_type(kind).template_body(template.to_string());
        self.aws.wait(call.send())
    }

    fn update(&self, stack: &str, set: &str, template: &Value) -> Made {
        self.create(stack, set, ChangeSetType::Update, template)
    }

    fn describe(&self, stack: &str, set: &str) -> DescribeChangeSetOutput {
        let call = self.client.describe_change_set().stack_name(stack).change_set_name(set);
        self.aws.wait(call.include_property_values(true).send()).unwrap()
    }

    fn execute(&self, stack: &str, set: &str) {
        let call = self.client.execute_change_set().stack_name(stack).change_set_name(set);
        self.aws.wait(call.client_request_token(set).send()).unwrap();
    }
}

#[test]
fn one_token_is_one_effect() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    let template = stack::queue(60);
    for _ in 0..2 {
        sets.create("one", "set", ChangeSetType::Create, &template).unwrap();
    }
    assert_eq!(sets.describe("one", "set").changes().len(), 1);
    for _ in 0..2 {
        sets.execute("one", "set");
    }
    assert_eq!(aws.settled("one").as_str(), "CREATE_COMPLETE");
    for _ in 0..2 {
        let call = sets.client.delete_stack().stack_name("one").client_request_token("away");
        aws.wait(call.send()).unwrap();
    }
    aws.eventually("it is gone", || aws.stack("one").is_none().then_some(()));
    assert_eq!(aws.effects("one"), ["create", "delete"]);
    let replayed = aws.calls().iter().filter(|call| call.end.replayed).count();
    assert_eq!(replayed, 3, "{}", aws.history());
    aws.assert_sound();
}

#[test]
fn one_token_for_two_things_is_refused() {
    let aws = Aws::new();
    let client = aws.through_proxy();
    let create = |seconds: u32| {
        let call = client.create_stack().stack_name("one").client_request_token("token");
        aws.wait(call.template_body(stack::queue(seconds).to_string()).send())
    };
    create(60).unwrap();
    assert_eq!(refusal(create(61)).0, "TokenAlreadyExistsException");
    aws.impolite();
    assert_eq!(refusal(create(60)).0, "AlreadyExistsException", "so the server by itself");
}

#[test]
fn a_stack_that_cannot_be_updated_refuses_a_change_set() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    aws.make_bucket("taken-name");
    let bucket = stack::template(&json!({
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "taken-name"}}
    }));
    assert_eq!(aws.make("failed", &bucket, &[]).as_str(), "ROLLBACK_COMPLETE");
    let (code, text) = refusal(sets.update("failed", "set", &stack::queue(60)));
    assert_eq!(code, "ValidationError");
    assert!(text.starts_with("Stack:arn:aws:cloudformation:eu-west-1:"), "{text}");
    assert!(text.ends_with(" is in ROLLBACK_COMPLETE state and can not be updated."), "{text}");
    let create = sets.create("failed", "set", ChangeSetType::Create, &stack::queue(60));
    let text =
        "Stack [failed] already exists and cannot be created again with the changeSet [set].";
    assert_eq!(refusal(create), ("ValidationError".to_owned(), text.to_owned()));
    let (_, text) = refusal(sets.update("nothing", "set", &stack::queue(60)));
    assert_eq!(text, "Stack [nothing] does not exist");
}

#[test]
fn what_a_template_lacks_is_said_at_once() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    let mut template = stack::queue(60);
    template["Resources"]["Queue"]["Properties"]["QueueName"] = json!({"Ref": "Nowhere"});
    let (code, text) = refusal(sets.create("one", "set", ChangeSetType::Create, &template));
    assert_eq!(code, "ValidationError");
    assert!(text.contains("Unresolved resource dependencies [Nowhere]"), "{text}");
    let unknown = Parameter::builder().parameter_key("Unknown").parameter_value("1").build();
    let call = sets.client.create_change_set().stack_name("one").change_set_name("set");
    let call = call.template_body(stack::queue(60).to_string()).parameters(unknown);
    let (_, text) = refusal(aws.wait(call.change_set_type(ChangeSetType::Create).send()));
    assert_eq!(text, "Parameters: [Unknown] do not exist in the template");
    assert!(aws.stacks().is_empty());
}

#[test]
fn values_stand_before_and_after() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    aws.make("one", &stack::queue(60), &[]);
    let mut template = stack::queue(120);
    template["Resources"]["Queue"]["Properties"]["DelaySeconds"] = json!(5);
    sets.update("one", "set", &template).unwrap();
    let found = sets.describe("one", "set");
    let change = found.changes()[0].resource_change().unwrap();
    let context = |text: Option<&str>| serde_json::from_str::<Value>(text.unwrap()).unwrap();
    assert_eq!(
        context(change.before_context()),
        json!({"Properties": {"MessageRetentionPeriod": 60}})
    );
    assert_eq!(context(change.after_context())["Properties"]["DelaySeconds"], 5);
    let details: Vec<_> = change
        .details()
        .iter()
        .map(|detail| {
            let target = detail.target().unwrap();
            let kind = target.attribute_change_type().map(|k| k.as_str().to_owned());
            (
                target.path().unwrap().to_owned(),
                kind.unwrap(),
                target.before_value().map(str::to_owned),
                target.after_value().map(str::to_owned),
            )
        })
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        details,
        [
            ("/Properties/DelaySeconds".into(), "Add".into(), None, text("5")),
            ("/Properties/MessageRetentionPeriod".into(), "Modify".into(), text("60"), text("120")),
        ]
    );
}

#[test]
fn a_change_set_takes_drift_back_where_it_is_asked_to() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    let mut template = stack::queue(60);
    template["Resources"]["Queue"]["Properties"]["DelaySeconds"] = json!(5);
    aws.make("one", &template, &[("mine", "1")]);
    let url = aws.output("one", "QueueUrl").unwrap();
    aws.set_retention(&url, 90);
    let create = |set: &str, mode: Option<DeploymentMode>| {
        let call = sets.client.create_change_set().stack_name("one").change_set_name(set);
        let tag = Tag::builder().key("mine").value("1").build();
        let call = call.template_body(template.to_string()).tags(tag);
        aws.wait(call.set_deployment_mode(mode).send()).unwrap();
        sets.describe("one", set)
    };
    let plain = create("plain", None);
    assert!(plain.status_reason().unwrap().contains("didn't contain changes"));

    let made = create("back", Some(DeploymentMode::RevertDrift));
    let change = made.changes()[0].resource_change().unwrap();
    let detail = change.details()[0].target().unwrap();
    assert_eq!(change.details().len(), 1);
    assert_eq!(detail.path(), Some("/Properties/MessageRetentionPeriod"));
    assert_eq!((detail.before_value(), detail.after_value()), (Some("90"), Some("60")));
    sets.execute("one", "back");
    assert_eq!(aws.settled("one").as_str(), "UPDATE_COMPLETE");
    assert_eq!(aws.retention(&url), "60");

    let again = create("again", Some(DeploymentMode::RevertDrift));
    assert!(again.status_reason().unwrap().contains("didn't contain changes"));
    let seen = aws.wait(sets.client.describe_stacks().stack_name("one").send()).unwrap();
    assert_eq!(seen.stacks()[0].tags().len(), 1, "{:?}", seen.stacks()[0].tags());
}

#[test]
fn a_change_set_is_void_after_anothers_execution() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    aws.make("one", &stack::queue(60), &[]);
    sets.update("one", "first", &stack::queue(120)).unwrap();
    sets.update("one", "second", &stack::queue(180)).unwrap();
    sets.execute("one", "first");
    aws.settled("one");
    let seen = aws.wait(sets.client.describe_stacks().stack_name("one").send()).unwrap();
    let last = seen.stacks()[0].change_set_id().unwrap().to_owned();
    assert!(last.contains(":changeSet/first/"), "{last}");
    let void = sets.describe("one", "second");
    assert_eq!(void.execution_status().unwrap().as_str(), "OBSOLETE");
}

#[test]
fn looking_at_a_creation_is_no_effect() {
    let aws = Aws::new();
    let sets = Sets::new(&aws);
    for _ in 0..2 {
        sets.create("one", "set", ChangeSetType::Create, &stack::queue(60)).unwrap();
        assert_eq!(aws.stacks(), [("one".to_owned(), "REVIEW_IN_PROGRESS".to_owned())]);
        aws.wait(sets.client.delete_stack().stack_name("one").send()).unwrap();
        assert!(aws.stack("one").is_none());
    }
    assert!(aws.effects("one").is_empty(), "{}", aws.history());
    assert_eq!(aws.calls().iter().filter(|call| call.writes()).count(), 4);
}
