//! The small catalog of stacks that stories are told with.

use crate::aws::{Aws, REGION, stack};
use crate::world::catalog::template;
use crate::world::{Edit, write};

/// Everything of it, for an account.
pub fn files(aws: &Aws) -> Vec<Edit> {
    let mut files = vec![
        write(
            "catalog.yaml",
            "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stacks}\nspec: {format: 1}\n",
        ),
        environment(aws, "dev", "", ""),
        environment(aws, "prod", "", "  protect: true\n"),
    ];
    files.extend(queue("1.0.0", ""));
    files.extend(bucket());
    files.extend(reader());
    files.extend(slow());
    files.extend(steps("steps", "", ""));
    files.extend(steps("hurried", "\n  timeout: 2s", ""));
    files.extend(steps("swapped", "", REPLACES));
    files.extend(steps("hurried-swap", "\n  timeout: 2s", REPLACES));
    files.extend(moody());
    files.extend(handle());
    files.extend(role("role", ", with: {capabilities: [CAPABILITY_IAM]}"));
    files.extend(role("undeclared", ""));
    files.extend(partial());
    files
}

/// An environment in that account; `settings` are further ones of the provider (`, key: value`),
/// `more` further lines of its spec.
pub fn environment(aws: &Aws, name: &str, settings: &str, more: &str) -> Edit {
    let account = aws.account();
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  providers:\n    cloudformation: {{account: \"{account}\", region: {REGION}{settings}}}\n{more}"
    );
    write(format!("environments/{name}.yaml"), text)
}

/// One queue. Its retention changes in place; with another name it is another queue. `more` are further
/// lines of its properties.
pub fn queue(version: &str, more: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "seconds": {"type": "integer", "default": 60},
        "name": {"type": "string", "default": ""}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      {{#if parameters.name}}
      QueueName: {{parameters.name}}
      {{/if}}
      MessageRetentionPeriod: {{parameters.seconds}}
MORE
Outputs:
  QueueUrl:
    Value: !Ref Queue
  QueueArn:
    Value: !GetAtt Queue.Arn
"#;
    let source = source.replace("MORE\n", more);
    let components = "    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = "{url: {from: queue.QueueUrl}, arn: {from: queue.QueueArn}}";
    template("queue", version, components, outputs, schema, &[("stack.yaml.hbs", &source)])
}

/// A queue, and a bucket of a name that may be taken.
fn bucket() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string"}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      BucketName: {{parameters.name}}
  Queue:
    Type: AWS::SQS::Queue
Outputs:
  Name:
    Value: !Ref Bucket
"#;
    let components = "    - {name: bucket, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = "{name: {from: bucket.Name}}";
    template("bucket", "1.0.0", components, outputs, schema, &[("stack.yaml.hbs", source)])
}

/// A queue, and a bucket in a stack of its own, of a name that may be taken.
pub fn two() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string"}
    }}"#;
    let queue = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n";
    let bucket = r"Resources:
  Bucket:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      BucketName: {{parameters.name}}
";
    let components = "    - {name: queue, provider: cloudformation, source: queue.yaml.hbs}\n    - {name: bucket, provider: cloudformation, source: bucket.yaml.hbs}\n";
    let sources = [("queue.yaml.hbs", queue), ("bucket.yaml.hbs", bucket)];
    template("two", "1.0.0", components, "{}", schema, &sources)
}

/// A parameter that holds what another request gives.
fn reader() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["of"], "properties": {
        "of": {"type": "string"}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Parameter:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: "{{parameters.of}}"
Outputs:
  Read:
    Value: !GetAtt Parameter.Value
"#;
    let components = "    - {name: reader, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = "{read: {from: reader.Read}}";
    template("reader", "1.0.0", components, outputs, schema, &[("stack.yaml.hbs", source)])
}

/// A queue, and an output that a condition leaves out.
fn partial() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Conditions:
  Never: !Equals ["a", "b"]
Resources:
  Queue:
    Type: AWS::SQS::Queue
Outputs:
  Url:
    Value: !Ref Queue
  Other:
    Condition: Never
    Value: !Ref Queue
"#;
    let components = "    - {name: queue, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = "{url: {from: queue.Url}, other: {from: queue.Other}}";
    template("partial", "1.0.0", components, outputs, schema, &[("stack.yaml.hbs", source)])
}

/// A role, which takes a capability to make.
fn role(name: &str, with: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "note": {"type": "string", "default": "none"}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Description: {{parameters.note}}
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: []
"#;
    let components =
        format!("    - {{name: role, provider: cloudformation, source: stack.yaml.hbs{with}}}\n");
    template(name, "1.0.0", &components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// A queue, in a template of 26,000 bytes for each of its notes.
pub fn large() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "seconds": {"type": "integer", "default": 60},
        "notes": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]}
    }}"#;
    let source = r#"Metadata:
  {{#each parameters.notes as |note|}}
  Note{{note}}: LONG
  {{/each}}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      MessageRetentionPeriod: {{parameters.seconds}}
"#;
    let source = source.replace("LONG", &"x".repeat(26_000));
    let components = "    - {name: large, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("large", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", &source)])
}

/// A template of so many components, each a queue of its own that waits for the one before it.
pub fn chain(length: usize) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false}"#;
    let source = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n";
    let components: String = (1..=length)
        .map(|n| {
            let needs = if n == 1 { String::new() } else { format!(", needs: [part-{}]", n - 1) };
            format!(
                "    - {{name: part-{n}, provider: cloudformation, source: stack.yaml.hbs{needs}}}\n"
            )
        })
        .collect();
    template("chain", "1.0.0", &components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// A parameter that is not to be echoed, with this value, and an output that is not to be shown.
pub fn secret(version: &str, value: &str) -> Vec<Edit> {
    let outputs = "{url: {from: secret.QueueUrl, sensitive: true}}";
    secret_of(version, value, "", outputs)
}

/// As [`secret`], with an output beside it that repeats the parameter's value.
pub fn repeating(version: &str, value: &str) -> Vec<Edit> {
    let more = "  Repeated:\n    Value: !Sub \"it is ${Password}\"\n";
    let outputs =
        "{url: {from: secret.QueueUrl, sensitive: true}, repeated: {from: secret.Repeated}}";
    secret_of(version, value, more, outputs)
}

fn secret_of(version: &str, value: &str, more: &str, outputs: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false}"#;
    let source = format!(
        r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Password:
    Type: String
    NoEcho: true
    Default: {value}
Resources:
  Queue:
    Type: AWS::SQS::Queue
  Kept:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: !Ref Password
      Description: {value}
Outputs:
  QueueUrl:
    Value: !Ref Queue
{more}"#
    );
    let components = "    - {name: secret, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("secret", version, components, outputs, schema, &[("stack.yaml.hbs", &source)])
}

/// A parameter that holds what a secret opens with, which never changes to another one.
pub fn opened() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["password"], "properties": {
        "password": {"type": "string", "x-sensitive": true, "x-change": "immutable"},
        "note": {"type": "string", "default": "none"}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Kept:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: "{{parameters.password}}"
      Description: {{parameters.note}}
"#;
    let components = "    - {name: kept, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("opened", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// A stack that waits at `Handle` and its round; each round waits anew.
fn slow() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "round": {"type": "integer", "default": 1}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Handle{{parameters.round}}:
    Type: AWS::CloudFormation::WaitConditionHandle
  Wait{{parameters.round}}:
    Type: AWS::CloudFormation::WaitCondition
    Properties:
      Handle: !Ref "Handle{{parameters.round}}"
      Timeout: "600"
"#;
    let components = "    - {name: slow, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("slow", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// What the schema of a parameter says whose change replaces.
const REPLACES: &str = r#", "x-change": "replace""#;

/// A stack whose queue comes after a wait at `Handle`, where its round is awaited anew; `more` are further
/// lines of the template's spec, `round` more of the schema of its round.
fn steps(name: &str, more: &str, round: &str) -> Vec<Edit> {
    let schema = format!(
        r#"{{"type": "object", "additionalProperties": false, "properties": {{
        "round": {{"type": "integer", "default": 0{round}}},
        "seconds": {{"type": "integer", "default": 60}}
    }}}}"#
    );
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Resources:
  {{#if parameters.round}}
  Handle{{parameters.round}}:
    Type: AWS::CloudFormation::WaitConditionHandle
  Wait{{parameters.round}}:
    Type: AWS::CloudFormation::WaitCondition
    Properties:
      Handle: !Ref "Handle{{parameters.round}}"
      Timeout: "600"
  {{/if}}
  Queue:
    Type: AWS::SQS::Queue
    {{#if parameters.round}}
    DependsOn: "Wait{{parameters.round}}"
    {{/if}}
    Properties:
      MessageRetentionPeriod: {{parameters.seconds}}
Outputs:
  QueueUrl:
    Value: !Ref Queue
  Unpromised:
    Value: !GetAtt Queue.Arn
"#;
    let components = "    - {name: steps, provider: cloudformation, source: stack.yaml.hbs}\n";
    let outputs = format!("{{url: {{from: steps.QueueUrl}}}}{more}");
    template(name, "1.0.0", components, &outputs, &schema, &[("stack.yaml.hbs", source)])
}

/// A resource that takes no tags. Its note is nothing that CloudFormation would change a stack for;
/// its queue, if it has one, is.
fn handle() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "note": {"type": "string", "default": "none"},
        "queue": {"type": "boolean", "default": false}
    }}"#;
    let source = r#"AWSTemplateFormatVersion: "2010-09-09"
Metadata:
  Note: {{parameters.note}}
Resources:
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
  {{#if parameters.queue}}
  Queue:
    Type: AWS::SQS::Queue
  {{/if}}
"#;
    let components = "    - {name: handle, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("handle", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// A thing that does not go, and after it one that does not come.
pub fn stubborn() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false}"#;
    let mut source = stack::moody("ok", "ok", "fail", "none");
    let mut other = source["Resources"]["Thing"].clone();
    other["DependsOn"] = "Thing".into();
    other["Properties"]["OnCreate"] = "fail".into();
    source["Resources"]["Other"] = other;
    let source = serde_json::to_string_pretty(&source).unwrap();
    let components = "    - {name: stubborn, provider: cloudformation, source: stack.json.hbs, with: {capabilities: [CAPABILITY_IAM]}}\n";
    template("stubborn", "1.0.0", components, "{}", schema, &[("stack.json.hbs", &source)])
}

/// A stack within the stack, of the template `inner` that lies at this address.
pub fn nested(url: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["inner"], "properties": {
        "inner": {"type": "string"}
    }}"#;
    let source = format!(
        "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: \"{url}{{{{parameters.inner}}}}\"\n"
    );
    let components = "    - {name: outer, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("nested", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", &source)])
}

/// A thing that fails where its parameters say so.
fn moody() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "create": {"type": "string", "default": "ok"},
        "update": {"type": "string", "default": "ok"},
        "delete": {"type": "string", "default": "ok"},
        "note": {"type": "string", "default": "none"}
    }}"#;
    let of = |name: &str| format!("{{{{parameters.{name}}}}}");
    let source = stack::moody(&of("create"), &of("update"), &of("delete"), &of("note"));
    let source = serde_json::to_string_pretty(&source).unwrap();
    let components = "    - {name: moody, provider: cloudformation, source: stack.json.hbs, with: {capabilities: [CAPABILITY_IAM]}}\n";
    template("moody", "1.0.0", components, "{}", schema, &[("stack.json.hbs", &source)])
}
