//! Stacks and resources, made and changed behind the executable's back.

use aws_sdk_cloudformation::types::{
    Capability, ChangeSetType, Parameter, Stack, StackStatus, Tag,
};
use serde_json::{Value, json};

use super::Aws;

/// A template of these resources.
pub fn template(resources: &Value) -> Value {
    json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
}

/// One queue, `Queue`, that keeps messages so long.
pub fn queue(seconds: u32) -> Value {
    let mut template = template(&json!({
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": seconds}}
    }));
    template["Outputs"] = json!({
        "QueueUrl": {"Value": {"Ref": "Queue"}},
        "QueueArn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}},
    });
    template
}

/// A stack that stays `CREATE_IN_PROGRESS` until `Aws::signal`, or fails after so many seconds.
pub fn slow(seconds: u32) -> Value {
    template(&json!({
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": seconds.to_string()}
        }
    }))
}

/// A stack with `Custom::Thing`, whose function does as the properties `OnCreate`, `OnUpdate` and
/// `OnDelete` of the same name say: `fail`, or anything else for success. On an update that is
/// rolled back, `OnUpdate` is the older template's.
pub fn moody(on_create: &str, on_update: &str, on_delete: &str, note: &str) -> Value {
    let code = r"
import json, urllib.request
def handler(event, context):
    properties = event['ResourceProperties']
    mood = properties['On' + event['RequestType']]
    answer = {
        'Status': 'FAILED' if mood == 'fail' else 'SUCCESS',
        'Reason': 'the thing does not want to',
        'PhysicalResourceId': event.get('PhysicalResourceId', 'thing'),
        'StackId': event['StackId'], 'RequestId': event['RequestId'],
        'LogicalResourceId': event['LogicalResourceId'], 'Data': {},
    }
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event['ResponseURL'], data=body, method='PUT'))
";
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"}
    }]});
    template(&json!({
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "Runtime": "python3.11", "Handler": "index.handler", "Timeout": 20,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"ZipFile": code}
        }},
        "Thing": {"Type": "Custom::Thing", "Properties": {
            "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
            "OnCreate": on_create, "OnUpdate": on_update, "OnDelete": on_delete, "Note": note
        }}
    }))
}

impl Aws {
    /// Makes a stack and waits for its end; the status it ends with.
    #[track_caller]
    pub fn make(&self, name: &str, template: &Value, tags: &[(&str, &str)]) -> StackStatus {
        self.begin(name, template, tags);
        self.settled(name)
    }

    /// Makes a stack of a template with parameters, as somebody does by hand, and waits for its end.
    #[track_caller]
    pub fn make_with(
        &self,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> StackStatus {
        let given = parameters.iter().map(|(key, value)| {
            Parameter::builder().parameter_key(*key).parameter_value(*value).build()
        });
        let call = self.client.create_stack().stack_name(name).template_body(template);
        self.wait(call.set_parameters(Some(given.collect())).send()).unwrap();
        self.settled(name)
    }

    /// Begins to make a stack.
    #[track_caller]
    pub fn begin(&self, name: &str, template: &Value, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build());
        let call = self
            .client
            .create_stack()
            .stack_name(name)
            .template_body(template.to_string())
            .capabilities(Capability::CapabilityNamedIam)
            .set_tags(Some(tags.collect()));
        self.wait(call.send()).unwrap();
    }

    /// Makes a change set of a stack that is not there, and does not execute it.
    #[track_caller]
    pub fn review(&self, name: &str, template: &Value) {
        let call = self.client.create_change_set().stack_name(name).change_set_name("somebodys");
        let call = call.change_set_type(ChangeSetType::Create).template_body(template.to_string());
        self.wait(call.send()).unwrap();
        let status = self.stack(name).unwrap().stack_status.unwrap();
        assert_eq!(status, StackStatus::ReviewInProgress);
    }

    /// Removes what is left of a stack whose deletion failed, but for that resource.
    #[track_caller]
    pub fn remove_but(&self, name: &str, resource: &str) {
        let call = self.client.delete_stack().stack_name(name).retain_resources(resource);
        self.wait(call.send()).unwrap();
        self.deleted(name);
        self.removed.lock().unwrap().push((self.calls().len(), name.to_owned()));
    }

    /// Changes a stack and waits for its end.
    #[track_caller]
    pub fn change(&self, name: &str, template: &Value) -> StackStatus {
        let call = self
            .client
            .update_stack()
            .stack_name(name)
            .template_body(template.to_string())
            .capabilities(Capability::CapabilityNamedIam);
        self.wait(call.send()).unwrap();
        self.settled(name)
    }

    /// Removes a stack and waits for its end.
    #[track_caller]
    pub fn remove(&self, name: &str) -> Option<StackStatus> {
        self.wait(self.client.delete_stack().stack_name(name).send()).unwrap();
        let end = self.deleted(name);
        self.removed.lock().unwrap().push((self.calls().len(), name.to_owned()));
        end
    }

    /// Turns a stack's termination protection on or off by hand.
    #[track_caller]
    pub fn protect(&self, name: &str, on: bool) {
        let call = self.client.update_termination_protection().stack_name(name);
        self.wait(call.enable_termination_protection(on).send()).unwrap();
    }

    #[track_caller]
    fn deleted(&self, name: &str) -> Option<StackStatus> {
        self.eventually("the deletion ends", || match self.stack(name) {
            Some(stack) => match stack.stack_status()? {
                StackStatus::DeleteInProgress => None,
                status => Some(Some(status.clone())),
            },
            None => Some(None),
        })
    }

    /// Waits until nothing happens to a stack any more.
    #[track_caller]
    pub fn settled(&self, name: &str) -> StackStatus {
        self.eventually(&format!("{name} settles"), || {
            let status = self.stack(name)?.stack_status()?.clone();
            (!status.as_str().ends_with("_IN_PROGRESS")).then_some(status)
        })
    }

    /// A stack that stands, as the server describes it.
    #[track_caller]
    pub fn stack(&self, name: &str) -> Option<Stack> {
        match self.wait(self.client.describe_stacks().stack_name(name).send()) {
            Ok(found) => found.stacks.unwrap_or_default().pop(),
            Err(error) => {
                let error = error.into_service_error();
                let text = error.meta().message().unwrap_or_default().to_owned();
                assert!(text.contains("does not exist"), "{error:?}");
                None
            }
        }
    }

    /// Names of the stacks that stand, with their status, sorted.
    #[track_caller]
    pub fn stacks(&self) -> Vec<(String, String)> {
        let pages = self.client.describe_stacks().into_paginator().items().send();
        let stacks = self.wait(pages.collect::<Result<Vec<_>, _>>()).unwrap();
        let mut found: Vec<_> = stacks
            .into_iter()
            .map(|s| {
                let status = s.stack_status().map_or("", StackStatus::as_str).to_owned();
                (s.stack_name.unwrap_or_default(), status)
            })
            .collect();
        found.sort();
        found
    }

    /// A stack's template as it stands.
    #[track_caller]
    pub fn template(&self, name: &str) -> Value {
        let said = self.wait(self.client.get_template().stack_name(name).send()).unwrap();
        serde_json::from_str(said.template_body().unwrap()).unwrap()
    }

    /// The id of a stack that stands: made again under its name it has another.
    #[track_caller]
    pub fn id(&self, name: &str) -> Option<String> {
        self.stack(name)?.stack_id
    }

    /// A tag of a stack that stands.
    #[track_caller]
    pub fn tag(&self, name: &str, key: &str) -> Option<String> {
        let stack = self.stack(name)?;
        let tag = stack.tags().iter().find(|tag| tag.key() == Some(key))?;
        tag.value().map(str::to_owned)
    }

    /// An output of a stack that stands.
    #[track_caller]
    pub fn output(&self, name: &str, key: &str) -> Option<String> {
        let stack = self.stack(name)?;
        let output = stack.outputs().iter().find(|o| o.output_key() == Some(key))?;
        output.output_value().map(str::to_owned)
    }

    /// The physical id of a stack's resource.
    #[track_caller]
    pub fn physical(&self, stack: &str, resource: &str) -> Option<String> {
        let call = self.client.describe_stack_resource().stack_name(stack);
        let found = self.wait(call.logical_resource_id(resource).send()).ok()?;
        found.stack_resource_detail?.physical_resource_id
    }

    /// Lets a wait come to its end, `SUCCESS` or `FAILURE`, by the handle that it waits at.
    #[track_caller]
    pub fn signal(&self, stack: &str, handle: &str, status: &str) {
        let url = self.eventually("the handle is there", || {
            self.physical(stack, handle).filter(|url| url.starts_with("http"))
        });
        let body = json!({"Status": status, "UniqueId": "1", "Data": "", "Reason": "told to"});
        let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap_or_default());
        let put = hyper::Method::PUT;
        let answer = self.send("s3", put, &path, "", &body.to_string(), &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// How long a queue keeps messages, in seconds.
    #[track_caller]
    pub fn retention(&self, url: &str) -> String {
        let asked = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        let answer = self.json("sqs", "AmazonSQS.GetQueueAttributes", &asked);
        answer["Attributes"]["MessageRetentionPeriod"].as_str().unwrap_or_default().to_owned()
    }

    /// Drift made by hand: a queue keeps messages so long.
    #[track_caller]
    pub fn set_retention(&self, url: &str, seconds: u32) {
        let attributes = json!({"MessageRetentionPeriod": seconds.to_string()});
        let body = json!({"QueueUrl": url, "Attributes": attributes});
        self.json("sqs", "AmazonSQS.SetQueueAttributes", &body);
    }

    /// Drift made by hand: a queue is gone.
    #[track_caller]
    pub fn remove_queue(&self, url: &str) {
        self.json("sqs", "AmazonSQS.DeleteQueue", &json!({"QueueUrl": url}));
    }

    /// A bucket of that name, made by hand.
    #[track_caller]
    pub fn make_bucket(&self, name: &str) {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint>\
             </CreateBucketConfiguration>",
            super::REGION
        );
        let answer = self.send("s3", hyper::Method::PUT, &format!("/{name}"), "", &place, &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// A file in a bucket.
    #[track_caller]
    pub fn put_object(&self, bucket: &str, key: &str, body: &str) {
        let path = format!("/{bucket}/{key}");
        let answer = self.send("s3", hyper::Method::PUT, &path, "text/plain", body, &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Where the server itself finds that.
    pub fn object_url(&self, bucket: &str, key: &str) -> String {
        format!("http://{}/{bucket}/{key}", self.upstream)
    }

    /// Whether a bucket of that name is there.
    pub fn has_bucket(&self, name: &str) -> bool {
        self.send("s3", hyper::Method::HEAD, &format!("/{name}"), "", "", &[]).status == 200
    }
}
