//! What AWS does and the server behind does not.
//!
//! * The same client token twice is one effect and the same answer ("Specify this token if you plan
//!   to retry requests"); with other parameters it is `TokenAlreadyExistsException`.
//! * A stack that cannot be updated refuses an update's change set when it is made, and one that
//!   stands already refuses a creation's.
//! * Parameters and references that the template does not have are refused when it is handed in.
//! * Property values before and after stand in a change set, where they are asked for.
//! * A change set with `DeploymentMode=REVERT_DRIFT` takes back what somebody did by hand.
//! * A stack names the change set that was executed last.
//! * A change set that another's execution made void is `OBSOLETE`.

mod drift;
mod refusal;
mod values;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use hyper::body::Bytes;
use serde_json::Value;

use super::call::{Answer, Call, Sent, stack_name};
use super::form::{self, Form};
use super::wire::send;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Manners {
    tokens: Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<Option<Kept>>>>>,
    change_sets: Mutex<Vec<ChangeSet>>,
    /// Region and name of stacks that were made to be looked at only.
    reviewed: Mutex<HashSet<(String, String)>>,
    /// Id of the change set that was executed last, by account, region and stack.
    executed: Mutex<HashMap<(String, String, String), String>>,
    /// How often a stack's drift was taken back.
    reverted: Mutex<HashMap<(String, String, String), usize>>,
}

/// Region, action, stack and token.
type TokenKey = (String, String, String, String);

/// What was asked for with a token, and the answer.
struct Kept {
    form: Form,
    answer: Answer,
}

/// A change set that was made.
#[derive(Clone)]
pub(super) struct ChangeSet {
    id: String,
    name: String,
    account: String,
    region: String,
    stack: String,
    kind: String,
    /// What it would make of the stack, and what the stack is.
    after: Option<Template>,
    before: Option<Template>,
    /// What it takes back.
    reverts: Vec<drift::Drifted>,
    /// Its last description, once another one was executed.
    obsolete: bool,
}

/// A template with the values of its parameters.
#[derive(Clone)]
pub(super) struct Template {
    body: Value,
    parameters: HashMap<String, String>,
}

impl Manners {
    /// What a call does not say itself, and an earlier one did.
    pub fn complete(&self, call: &mut Call) {
        if call.action == "CreateChangeSet" {
            call.kind = match call.get("ChangeSetType") {
                "" => "UPDATE".to_owned(),
                kind => kind.to_owned(),
            };
        } else if let Some(set) = self.change_set(call) {
            call.stack.clone_from(&set.stack);
            call.kind = set.kind;
        }
        let stack = (call.region.clone(), call.stack.clone());
        if call.action == "DeleteStack" && self.reviewed.lock().unwrap().contains(&stack) {
            call.kind = "REVIEW".to_owned();
        }
    }

    /// Keeps in mind which stacks hold nothing.
    fn review(&self, call: &Call) {
        let stack = (call.region.clone(), call.stack.clone());
        let mut reviewed = self.reviewed.lock().unwrap();
        match call.action.as_str() {
            "CreateChangeSet" if call.kind == "CREATE" => {
                reviewed.insert(stack);
            }
            "CreateStack" | "UpdateStack" | "ExecuteChangeSet" | "DeleteStack" => {
                reviewed.remove(&stack);
                let stack = (call.account.clone(), call.region.clone(), call.stack.clone());
                self.executed.lock().unwrap().remove(&stack);
                if call.action == "CreateStack" {
                    self.reverted.lock().unwrap().remove(&stack);
                }
            }
            _ => {}
        }
    }

    fn change_set(&self, call: &Call) -> Option<ChangeSet> {
        let wanted = call.get("ChangeSetName");
        let sets = self.change_sets.lock().unwrap();
        let mut sets = sets.iter().rev().filter(|set| set.region == call.region);
        if wanted.starts_with("arn:") {
            return sets.find(|set| set.id == wanted).cloned();
        }
        sets.find(|s| s.account == call.account && s.stack == call.stack && s.name == wanted)
            .cloned()
    }

    /// Passes a call on, or answers as AWS would.
    pub async fn pass(&self, upstream: &str, call: &mut Call, sent: &Sent) -> Answer {
        let tokened =
            ["CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ExecuteChangeSet"];
        if !tokened.contains(&call.action.as_str()) || call.token().is_empty() {
            return self.pass_once(upstream, call, sent).await;
        }
        let key =
            (call.region.clone(), call.action.clone(), call.stack.clone(), call.token().to_owned());
        let place = Arc::clone(self.tokens.lock().unwrap().entry(key).or_default());
        // A second one waits for the answer to the first.
        let mut kept = place.lock().await;
        if let Some(kept) = kept.as_ref() {
            call.end.reached = true;
            call.end.replayed = true;
            if kept.form != call.form {
                let text = "A client request token already exists.";
                return Answer::error(400, "TokenAlreadyExistsException", text);
            }
            return kept.answer.clone();
        }
        let answer = self.pass_once(upstream, call, sent).await;
        if answer.status == 200 {
            *kept = Some(Kept { form: call.form.clone(), answer: answer.clone() });
        }
        answer
    }

    async fn pass_once(&self, upstream: &str, call: &mut Call, sent: &Sent) -> Answer {
        if let Some(refusal) = refusal::of(upstream, call, sent).await {
            call.end.reached = true;
            return refusal;
        }
        let before = match call.action.as_str() {
            "CreateChangeSet" if call.kind == "UPDATE" => standing(upstream, call, sent).await,
            _ => None,
        };
        let reverts = match call.get("DeploymentMode") {
            "REVERT_DRIFT" => drift::of(upstream, sent, &call.stack).await,
            _ => Vec::new(),
        };
        call.end.reached = true;
        let mut answer = match self.reverted(call, !reverts.is_empty()) {
            Some(n) => {
                let body = Bytes::from(form::encode(&drift::tagged(&call.form, n)));
                send(upstream, &Sent { body, ..sent.clone() }).await
            }
            None => send(upstream, sent).await,
        };
        if answer.status == 200 {
            self.review(call);
        }
        match call.action.as_str() {
            "CreateChangeSet" if answer.status == 200 => {
                self.made(call, &answer, before, reverts);
            }
            "ExecuteChangeSet" if answer.status == 200 => self.executed(call),
            "DeleteChangeSet" if answer.status == 200 => self.forget(|set| {
                call.get("ChangeSetName") == set.id
                    || call.get("ChangeSetName") == set.name && call.stack == set.stack
            }),
            "DeleteStack" if answer.status == 200 => self.forget(|set| set.stack == call.stack),
            "DescribeChangeSet" => self.describe(call, &mut answer),
            "DescribeStacks" if answer.status == 200 => self.describe_stacks(call, &mut answer),
            _ => {}
        }
        answer
    }

    fn made(
        &self,
        call: &Call,
        answer: &Answer,
        before: Option<Template>,
        reverts: Vec<drift::Drifted>,
    ) {
        let parameters = form_parameters(&call.form, before.as_ref());
        let body = match call.get("TemplateBody") {
            "" => before.as_ref().map(|t| t.body.clone()),
            text => serde_json::from_str(text).ok(),
        };
        self.change_sets.lock().unwrap().push(ChangeSet {
            id: answer.element("Id").unwrap_or_default(),
            name: call.get("ChangeSetName").to_owned(),
            account: call.account.clone(),
            region: call.region.clone(),
            stack: call.stack.clone(),
            kind: call.kind.clone(),
            after: body.map(|body| Template { body, parameters }),
            before,
            reverts,
            obsolete: false,
        });
    }

    /// How often a stack's drift was taken back so far, where that is more than never.
    fn reverted(&self, call: &Call, once_more: bool) -> Option<usize> {
        if !["CreateChangeSet", "UpdateStack"].contains(&call.action.as_str()) {
            return None;
        }
        let stack = (call.account.clone(), call.region.clone(), call.stack.clone());
        let mut reverted = self.reverted.lock().unwrap();
        if once_more {
            *reverted.entry(stack.clone()).or_default() += 1;
        }
        reverted.get(&stack).copied()
    }

    fn executed(&self, call: &Call) {
        let wanted = call.get("ChangeSetName");
        if let Some(set) = self.change_set(call) {
            let stack = (call.account.clone(), call.region.clone(), call.stack.clone());
            self.executed.lock().unwrap().insert(stack, set.id);
        }
        for set in self.change_sets.lock().unwrap().iter_mut() {
            let other = set.id != wanted && set.name != wanted;
            if other && (&set.account, &set.stack) == (&call.account, &call.stack) {
                set.obsolete = true;
            }
        }
    }

    /// A change set that is gone can be made again with the same token.
    fn forget(&self, gone: impl Fn(&ChangeSet) -> bool) {
        let mut sets = self.change_sets.lock().unwrap();
        let mut stacks: Vec<String> = Vec::new();
        sets.retain(|set| {
            let gone = gone(set);
            stacks.extend(gone.then(|| set.stack.clone()));
            !gone
        });
        self.tokens.lock().unwrap().retain(|(_, action, stack, _), _| {
            action != "CreateChangeSet" || !stacks.contains(stack)
        });
    }

    fn describe_stacks(&self, call: &Call, answer: &mut Answer) {
        let executed = self.executed.lock().unwrap();
        answer.edit(|text| {
            let text = drift::untagged(&text);
            let mut parts = text.split("<StackName>");
            let mut out = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let name = part.split('<').next().unwrap_or_default();
                let stack = (call.account.clone(), call.region.clone(), name.to_owned());
                if let Some(id) = executed.get(&stack) {
                    out.push_str(&format!("<ChangeSetId>{id}</ChangeSetId>"));
                }
                out.push_str("<StackName>");
                out.push_str(part);
            }
            out
        });
    }

    fn describe(&self, call: &Call, answer: &mut Answer) {
        let Some(set) = self.change_set(call) else { return };
        if answer.status == 200 && call.get("IncludePropertyValues") == "true" {
            answer.edit(|text| values::insert(&text, set.before.as_ref(), set.after.as_ref()));
        }
        if answer.status == 200 && !set.reverts.is_empty() {
            answer.edit(|text| drift::describe(&drift::untagged(&text), &set.reverts));
        }
        if set.obsolete && answer.element("Code").as_deref() == Some("ChangeSetNotFound") {
            *answer = Answer::xml(
                200,
                format!(
                    "<DescribeChangeSetResponse xmlns=\"http://cloudformation.amazonaws.com/doc/\
                     2010-05-15/\"><DescribeChangeSetResult><ChangeSetId>{}</ChangeSetId>\
                     <ChangeSetName>{}</ChangeSetName><StackName>{}</StackName>\
                     <Status>CREATE_COMPLETE</Status><ExecutionStatus>OBSOLETE</ExecutionStatus>\
                     <Changes/></DescribeChangeSetResult></DescribeChangeSetResponse>",
                    set.id, set.name, set.stack
                ),
            );
        }
    }
}

/// Asks the server something else on behalf of whoever made the call.
async fn ask(upstream: &str, sent: &Sent, action: &str, stack: &str) -> Answer {
    ask_with(upstream, sent, action, &[("StackName", stack)]).await
}

async fn ask_with(upstream: &str, sent: &Sent, action: &str, more: &[(&str, &str)]) -> Answer {
    let parts = [("Action", action), ("Version", "2010-05-15")];
    let parts = parts.iter().chain(more);
    let form: Form = parts.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let body = Bytes::from(form::encode(&form));
    send(upstream, &Sent { body, ..sent.clone() }).await
}

/// The template and parameters that a stack has now.
async fn standing(upstream: &str, call: &Call, sent: &Sent) -> Option<Template> {
    let answer = ask(upstream, sent, "GetTemplate", stack_name(call.get("StackName"))).await;
    let body = serde_json::from_str(&unescape(&answer.element("TemplateBody")?)).ok()?;
    let answer = ask(upstream, sent, "DescribeStacks", stack_name(call.get("StackName"))).await;
    let text = answer.text();
    let mut parameters = HashMap::new();
    for part in text.split("<ParameterKey>").skip(1) {
        let (key, rest) = part.split_once("</ParameterKey>")?;
        let value = super::call::element(rest, "ParameterValue").unwrap_or_default();
        parameters.insert(unescape(key), unescape(value));
    }
    Some(Template { body, parameters })
}

fn form_parameters(form: &Form, before: Option<&Template>) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    for n in 1.. {
        let part = |name: &str| form.get(&format!("Parameters.member.{n}.{name}"));
        let Some(key) = part("ParameterKey") else { break };
        let previous = || before?.parameters.get(key).cloned();
        if let Some(value) = part("ParameterValue").cloned().or_else(previous) {
            parameters.insert(key.clone(), value);
        }
    }
    parameters
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#x27;", "'").replace("&#39;", "'").replace("&amp;", "&")
}
