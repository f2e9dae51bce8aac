//! Webhooks: what an App is told when something happens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use git2::Oid;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc::UnboundedSender;

use super::description;
use super::state::{CheckRun, State};

/// Where deliveries go and what becomes of them.
pub struct Hooks {
    /// Where an App wants to be told, and the secret.
    pub target: Option<(String, String)>,
    /// Whether deliveries are sent at all, and how often.
    pub times: usize,
    /// All, the oldest first.
    pub deliveries: Arc<Mutex<Vec<Delivery>>>,
    sender: UnboundedSender<Outgoing>,
    /// How many are under way.
    pub pending: Arc<AtomicUsize>,
    pub wrong: Arc<Mutex<Vec<String>>>,
}

/// Something an App is told.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-GitHub-Delivery`.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    pub payload: Value,
    /// What it was answered, in order; nothing while lost or under way.
    pub answers: Vec<Result<u16, String>>,
}

/// A delivery on its way.
pub struct Outgoing {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which of the deliveries it is; none for a forged one.
    pub index: Option<usize>,
    /// Where its answer is told as well.
    pub answered: Option<tokio::sync::oneshot::Sender<Result<u16, String>>>,
}

impl Hooks {
    pub fn new(sender: UnboundedSender<Outgoing>) -> Self {
        let (deliveries, wrong) = (Arc::default(), Arc::default());
        let pending = Arc::default();
        Self { target: None, times: 1, deliveries, sender, wrong, pending }
    }

    /// Keeps a delivery, and sends it if somebody wants it.
    fn deliver(&self, event: &str, payload: Value) {
        let index = {
            let mut all = self.deliveries.lock().unwrap();
            let n = all.len();
            let id = format!("{:08x}-0000-11ee-8000-{n:012x}", 0x1000_0000 + n);
            let event = event.to_owned();
            all.push(Delivery { id, event, payload, answers: Vec::new() });
            n
        };
        for _ in 0..self.times {
            self.send(index);
        }
    }

    /// Sends one of the deliveries, once more if it was sent before.
    pub fn send(&self, index: usize) {
        let Some((url, secret)) = &self.target else { return };
        let delivery = self.deliveries.lock().unwrap()[index].clone();
        let body = serde_json::to_vec(&delivery.payload).unwrap();
        let mut headers = headers(&delivery.event, &delivery.id);
        headers.push(("x-hub-signature-256".into(), signature(secret, &body)));
        self.outgoing(Outgoing {
            url: url.clone(),
            headers,
            body,
            index: Some(index),
            answered: None,
        });
    }

    pub fn outgoing(&self, outgoing: Outgoing) {
        self.pending.fetch_add(1, Ordering::SeqCst);
        // Nobody takes them any more once the server ends.
        let _ = self.sender.send(outgoing);
    }
}

/// The headers of a delivery, but for the signature.
pub fn headers(event: &str, id: &str) -> Vec<(String, String)> {
    let all = [
        ("content-type", "application/json"),
        ("user-agent", "GitHub-Hookshot/0000000"),
        ("accept", "*/*"),
        ("x-github-event", event),
        ("x-github-delivery", id),
        ("x-github-hook-id", "1"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// `X-Hub-Signature-256`.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

impl State {
    /// Tells Apps that see the repository.
    pub fn tell(&self, full: &str, event: &str, sender: &str, mut payload: Value) {
        // What an App is told names the installation.
        let Some(it) = self.installations.iter().find(|it| it.covers(full)) else { return };
        payload["repository"] = self.hooked_repository(full);
        payload["sender"] = self.user(sender);
        payload["installation"] = json!({"id": it.id, "node_id": format!("MDIz{}", it.id)});
        let owner = &self.repos[full].owner;
        if self.accounts[owner].kind == super::state::AccountKind::Organization {
            payload["organization"] = self.simple_organization(owner);
        }
        self.hand_over(event, payload);
    }

    /// Holds a payload against the description, and delivers it.
    pub fn hand_over(&self, event: &str, payload: Value) {
        let name = match payload["action"].as_str() {
            Some(action) => format!("HOOK {event}-{action}"),
            None => format!("HOOK {event}"),
        };
        let wrong = description::operation(&name.replace('_', "-")).check_payload(&payload);
        self.hooks.wrong.lock().unwrap().extend(wrong);
        self.hooks.deliver(event, payload);
    }

    fn hooked_repository(&self, full: &str) -> Value {
        let mut told = self.repository(full);
        let more = json!({
            "default_branch": "main", "topics": [], "allow_forking": true, "is_template": false,
            "web_commit_signoff_required": false, "custom_properties": {},
        });
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for name in ["allow_rebase_merge", "allow_squash_merge", "allow_merge_commit"] {
            told.as_object_mut().unwrap().remove(name);
        }
        told
    }

    fn simple_organization(&self, login: &str) -> Value {
        let mut told = self.organization(login);
        let keep = [
            "login",
            "id",
            "node_id",
            "url",
            "repos_url",
            "events_url",
            "hooks_url",
            "issues_url",
            "members_url",
            "public_members_url",
            "avatar_url",
            "description",
        ];
        told.as_object_mut().unwrap().retain(|name, _| keep.contains(&name.as_str()));
        told
    }

    /// Tells that an App was installed.
    pub fn tell_installed(&self, id: u64) {
        let it = self.installations.iter().find(|it| it.id == id).expect("an installation");
        let covered = self.repos.iter().filter(|(full, _)| it.covers(full));
        let repositories = covered.map(|(full, repo)| {
            json!({
                "id": repo.id, "node_id": format!("R_{}", repo.id), "name": repo.name,
                "full_name": full, "private": repo.is_private,
            })
        });
        let payload = json!({
            "action": "created",
            "installation": self.installation(it),
            "repositories": repositories.collect::<Vec<_>>(),
            "requester": null,
            "sender": self.user(&it.account),
        });
        self.hand_over("installation", payload);
    }

    /// Tells a new target of webhooks that it is one.
    pub fn tell_ping(&self, app: u64, url: &str) {
        let created = self.app(app).created;
        let payload = json!({
            "zen": "Mind your words, they are important.",
            "hook_id": 1,
            "hook": {
                "type": "App", "id": 1, "name": "web", "active": true, "app_id": app,
                "events": ["pull_request", "push"],
                "config": {"content_type": "json", "insecure_ssl": "0", "url": url},
                "created_at": created, "updated_at": created,
            },
        });
        self.hand_over("ping", payload);
    }

    /// Tells of a check suite: one that was made for a push, or that somebody wants again.
    pub fn tell_suite(&self, full: &str, id: u64, action: &str, sender: &str) {
        let mut told = self.check_suite(full, &self.repos[full].check_suites[&id]);
        told.as_object_mut().unwrap().remove("repository");
        let payload = json!({"action": action, "check_suite": told});
        self.tell(full, "check_suite", sender, payload);
    }

    pub fn tell_pull(&self, full: &str, number: u64, action: &str, sender: &str, more: Value) {
        let issue = &self.repos[full].issues[&number];
        let mut payload = more;
        payload["action"] = action.into();
        payload["number"] = number.into();
        payload["pull_request"] = self.full_pull(full, issue);
        self.tell(full, "pull_request", sender, payload);
    }

    pub fn tell_comment(&self, full: &str, id: u64, action: &str, sender: &str, more: Value) {
        let repo = &self.repos[full];
        let comment = &repo.comments[&id];
        let mut payload = more;
        payload["action"] = action.into();
        payload["comment"] = self.comment_told(full, comment);
        payload["issue"] = self.issue_told(full, &repo.issues[&comment.issue]);
        self.tell(full, "issue_comment", sender, payload);
    }

    pub fn tell_review(&self, full: &str, number: u64, id: u64, action: &str, sender: &str) {
        let issue = &self.repos[full].issues[&number];
        let review = issue.pull().reviews.iter().find(|review| review.id == id).unwrap();
        let mut told = self.review(full, number, review);
        // Here, and only here, in small letters.
        told["state"] = review.state.to_lowercase().into();
        let payload = json!({
            "action": action,
            "review": told,
            "pull_request": self.simple_pull(full, issue),
        });
        self.tell(full, "pull_request_review", sender, payload);
    }

    pub fn tell_check(&self, full: &str, run: &CheckRun, action: &str, sender: &str) {
        let payload = json!({"action": action, "check_run": self.check_run(full, run)});
        self.tell(full, "check_run", sender, payload);
    }

    /// Tells of a ref that moved.
    pub fn pushed(
        &self,
        full: &str,
        pusher: &str,
        name: &str,
        before: Option<Oid>,
        after: Option<Oid>,
    ) {
        let git = super::git::open(&self.path(full));
        let zero = Oid::ZERO_SHA1;
        let html = format!("{}/{full}", self.base);
        let told = |id: Oid| {
            let commit = git.find_commit(id).unwrap();
            let at = jiff::Timestamp::from_second(commit.time().seconds()).unwrap();
            let person = |by: &git2::Signature<'_>| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                json!({"name": text(by.name_bytes()), "email": text(by.email_bytes())})
            };
            let files = super::git::changed_by(&git, id);
            let those = |status: &str| {
                let those = files.iter().filter(|file| file.status == status);
                those.map(|file| file.path.clone()).collect::<Vec<_>>()
            };
            json!({
                "id": id.to_string(),
                "tree_id": commit.tree_id().to_string(),
                "distinct": true,
                "message": String::from_utf8_lossy(commit.message_bytes()),
                "timestamp": at,
                "url": format!("{html}/commit/{id}"),
                "author": person(&commit.author()),
                "committer": person(&commit.committer()),
                "added": those("added"),
                "removed": those("removed"),
                "modified": those("modified"),
            })
        };
        let new = match (before, after) {
            (Some(before), Some(after)) => super::git::commits(&git, before, after),
            (None, Some(after)) => vec![after],
            (_, None) => vec![],
        };
        let forced = matches!((before, after), (Some(before), Some(after))
            if !super::git::is_ancestor(&git, before, after));
        let payload = json!({
            "ref": name,
            "before": before.unwrap_or(zero).to_string(),
            "after": after.unwrap_or(zero).to_string(),
            "created": before.is_none(),
            "deleted": after.is_none(),
            "forced": forced,
            "base_ref": null,
            "compare": format!("{html}/compare"),
            // GitHub tells no more than these.
            "commits": new.iter().take(2048).map(|id| told(*id)).collect::<Vec<_>>(),
            "head_commit": after.map(told),
            "pusher": {"name": pusher, "email": null},
        });
        self.tell(full, "push", pusher, payload);
    }
}
