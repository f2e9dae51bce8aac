//! The server that is slow and counts calls, which measures are taken against, answers as the whole
//! one does: the same elements in every answer, the same codes and words in every refusal.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::super::proxy::{self, Answer, Sent};
use super::super::{Aws, REGION, RUNTIME, server};

struct Slow {
    address: String,
    child: Child,
    /// When it is closed the server ends.
    pipe: Option<ChildStdin>,
}

impl Slow {
    fn start(args: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/slow-cloudformation");
        let mut child = Command::new(server::python())
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let pipe = child.stdin.take();
        Self { address: address.trim().to_owned(), child, pipe }
    }

    fn ask(&self, form: &[(&str, &str)]) -> Answer {
        ask(&self.address, "test", form)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

fn ask(address: &str, account: &str, form: &[(&str, &str)]) -> Answer {
    let sts = form.contains(&("Action", "GetCallerIdentity"));
    let (service, version) =
        if sts { ("sts", "2011-06-15") } else { ("cloudformation", "2010-05-15") };
    let mut fields: proxy::Form =
        form.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    fields.insert("Version".to_owned(), version.to_owned());
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential={account}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    let mut headers = HeaderMap::new();
    headers.insert("authorization", signature.parse().unwrap());
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let body = Bytes::from(proxy::encode(&fields));
    let sent = Sent { method: hyper::Method::POST, path: "/".to_owned(), headers, body };
    RUNTIME.block_on(proxy::send(address, &sent))
}

/// The ways to all elements of an answer, and what of their values must be the same everywhere.
fn shape(answer: &Answer, status: u16) -> BTreeSet<String> {
    const SAME: [&str; 10] = [
        "Code",
        "Message",
        "Type",
        "StackStatus",
        "Status",
        "StatusReason",
        "ExecutionStatus",
        "ResourceStatus",
        "ResourceStatusReason",
        "OutputKey",
    ];
    let text = answer.text();
    let (mut way, mut found) = (Vec::new(), BTreeSet::from([format!("status {status}")]));
    for part in text.split('<').skip(1).filter(|p| !p.starts_with('?')) {
        let (tag, value) = part.split_once('>').unwrap();
        if tag.starts_with('/') {
            way.pop();
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        way.push(name);
        let value = if SAME.contains(&name) { format!(" = {value}") } else { String::new() };
        found.insert(format!("{}{value}", way.join("/")));
        if tag.ends_with('/') {
            way.pop();
        }
    }
    found
}

fn template(seconds: u32) -> String {
    let queue =
        json!({"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": seconds}});
    let outputs = json!({"QueueUrl": {"Value": {"Ref": "Queue"}}});
    let version = "2010-09-09";
    json!({"AWSTemplateFormatVersion": version, "Resources": {"Queue": queue}, "Outputs": outputs})
        .to_string()
}

#[test]
fn the_slow_server_answers_as_the_whole_one_does() {
    let slow = Slow::start(&["--seconds", "0", "--changes", "0", "--looks", "0", "--reads", "0"]);
    let whole = Aws::new();
    let (as_is, changed): (&str, &str) = (&template(60), &template(90));
    let tags = [("Tags.member.1.Key", "a:b"), ("Tags.member.1.Value", "c")];
    let set = |name, body| {
        let of = [("Action", "CreateChangeSet"), ("StackName", "s"), ("ChangeSetName", name)];
        [&of[..], &[("TemplateBody", body)], &tags].concat()
    };
    let make = [("Action", "CreateStack"), ("StackName", "s"), ("TemplateBody", as_is)];
    let make = [&make[..], &tags].concat();
    let of = |action, set| vec![("Action", action), ("StackName", "s"), ("ChangeSetName", set)];
    let on =
        |action, stack| vec![("Action", action), ("StackName", stack), ("ClientRequestToken", "t")];
    let same: Vec<Vec<(&str, &str)>> = vec![
        vec![("Action", "GetCallerIdentity")],
        vec![("Action", "Frobnicate")],
        on("DescribeStacks", "nobody"),
        on("DescribeStackEvents", "nobody"),
        make.clone(),
        make,
        on("DescribeStacks", "s"),
        vec![("Action", "DescribeStacks")],
        on("DescribeStackEvents", "s"),
        set("nothing", as_is),
        of("DescribeChangeSet", "nothing"),
        of("ExecuteChangeSet", "nothing"),
        of("DeleteChangeSet", "nothing"),
        of("DescribeChangeSet", "nothing"),
        set("more", changed),
        set("more", changed),
        of("DescribeChangeSet", "more"),
        of("ExecuteChangeSet", "more"),
        on("DescribeStacks", "s"),
        on("DescribeStackEvents", "s"),
        of("ExecuteChangeSet", "more"),
        on("DeleteStack", "s"),
        on("DescribeStacks", "s"),
        vec![("Action", "DescribeStacks")],
        on("DeleteStack", "nobody"),
    ];
    for form in same {
        // What it does takes the whole one a moment.
        let theirs = whole.eventually("it is at rest", || {
            let answer = ask(whole.upstream, whole.account(), &form);
            let rests = whole.stacks().iter().all(|(_, s)| !s.ends_with("_IN_PROGRESS"));
            let looks = form[0].1.starts_with("Describe");
            let worked_out = !answer.text().contains("<Status>CREATE_");
            let worked_out = worked_out || answer.text().contains("<Status>CREATE_COMPLETE");
            (!looks || rests && worked_out).then_some(answer)
        });
        let ours = slow.ask(&form);
        assert_eq!(
            shape(&ours, ours.status),
            shape(&theirs, theirs.status),
            "{form:?}:\n{}\n{}",
            ours.text(),
            theirs.text()
        );
    }
}

#[test]
fn the_slow_server_refuses_what_comes_too_fast() {
    let slow = Slow::start(&["--seconds", "60", "--looks", "2", "--reads", "0"]);
    let look = [("Action", "DescribeStacks")];
    let answers: Vec<Answer> = (0..10).map(|_| slow.ask(&look)).collect();
    assert!(answers[..2].iter().all(|a| a.status == 200));
    let refused = answers.iter().find(|a| a.status != 200).expect("two a second, and ten came");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("<Code>Throttling</Code><Message>Rate exceeded</Message>"));

    let body = template(60);
    let made = slow.ask(&[("Action", "CreateStack"), ("StackName", "s"), ("TemplateBody", &body)]);
    assert_eq!(made.status, 200);
    let events = slow.ask(&[("Action", "DescribeStackEvents"), ("StackName", "s")]).text();
    assert_eq!(events.matches("<ResourceStatus>").count(), 1, "what will be is not told: {events}");
    let answer = slow.ask(&[
        ("Action", "CreateChangeSet"),
        ("StackName", "s"),
        ("ChangeSetName", "c"),
        ("TemplateBody", &body),
    ]);
    assert!(answer.text().contains("is in CREATE_IN_PROGRESS state"), "{}", answer.text());

    let get = Sent {
        method: hyper::Method::POST,
        path: "/_calls".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let told = RUNTIME.block_on(proxy::send(&slow.address, &get));
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["calls"]["DescribeStacks"], 10, "{told}");
    assert!(told["refused"]["DescribeStacks"].as_u64().unwrap() >= 1, "{told}");
}
