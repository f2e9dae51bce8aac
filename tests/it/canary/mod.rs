//! A secret in every place that has one, a life of requests with everything that can be said of it,
//! and a look for those secrets in everything that was written or shown.

mod others;
mod scan;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::aws::{Aws, Fault, REGION, Rule};
use crate::daemon::{Serving, eventually};
use crate::observe::collector::Collector;
use crate::observe::receiver::Receiver;
use crate::remote::{TOKEN, https_world, server::Server};
use crate::review::{Desk, SECRET};
use crate::stacks::catalog as stacks;
use crate::world::catalog::template;
use crate::world::{Edit, STATUS, World, ask, note, request, request_with, write};
use scan::{Canary, Sink, leaks};

/// Typed where only a reference may stand.
const LITERAL: &str = "canary-literal-0af1";
/// What Secrets Manager keeps.
const KEPT: &str = "canary/\"kept\"+1be2 10%";
/// The value of a parameter that is not to be echoed, which the service repeats in an error.
const NOECHO: &str = "canary-noecho-2cd3";
/// An output that the template calls sensitive.
const OUTPUT: &str = "canary/output+3dc4 10%";
/// What AWS knows vend by.
const KEY: &str = "canary-aws-key-4eb5";
/// Part of a receiver's address.
const RECEIVER: &str = "canary-receiver-6ab7";
/// What messages to it are signed with.
const SIGNED: &str = "canary/\"signed\"+7bc8 10%";
/// What the collector of traces knows vend by.
const COLLECTOR: &str = "canary-collector-8cd9";
/// Of nobody's business in the environment of vend.
const AROUND: &str = "canary/\"environment\"+5fa6 10%";

/// A blob that is a whole stack's template.
const RENDERED: &str = "rendered template";

/// A template that takes a password by reference only.
fn database() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "password": {"type": "string", "x-sensitive": true}
    }}"#;
    let source = r#"Resources:
  Password:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: {{parameters.password}}
"#;
    let components = "    - {name: db, provider: cloudformation, source: stack.yaml.hbs}\n";
    template("db", "1.0.0", components, "{}", schema, &[("stack.yaml.hbs", source)])
}

/// A `git` in front of the real one, which writes down what it is given: its arguments and its environment,
/// each in a folder of `seen`. Gives the `PATH` by which it is found.
fn search_path(world: &World) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let (bin, seen) = (world.root().join("bin"), world.root().join("seen"));
    for folder in [&bin, &seen.join("arguments"), &seen.join("environment")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let paths = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&paths).map(|p| p.join("git")).find(|p| p.is_file()).unwrap();
    let (seen, real) = (seen.display(), real.display());
    let text = format!(
        "#!/bin/sh\necho \"$*\" > {seen}/arguments/$$\nenv > {seen}/environment/$$\nexec {real} \"$@\"\n"
    );
    std::fs::write(bin.join("git"), text).unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let all = std::iter::once(bin).chain(std::env::split_paths(&paths));
    std::env::join_paths(all).unwrap().into_string().unwrap()
}

/// A child that goes to that very server gets what opens it in its environment, encoded. Anybody on the
/// machine reads its arguments.
fn children() -> &'static [&'static str] {
    &["seen/environment/"]
}

/// All of it, at work.
struct Scene {
    desk: Desk,
    aws: Aws,
    server: Server,
    receiver: Receiver,
    collector: Collector,
    said: Vec<Sink>,
}

impl Scene {
    fn new() -> Self {
        let (mut world, server) = https_world();
        let aws = Aws::new();
        let arn = aws.json(
            "secretsmanager",
            "secretsmanager.CreateSecret",
            &json!({"Name": "orders/db", "SecretString": KEPT}),
        );
        assert!(arn["ARN"].is_string(), "{arn}");
        let environment = format!(
            "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  providers:\n    \
             files: {{repository: {}/output}}\n    cloudformation: {{account: \"{}\", region: {REGION}}}\n  \
             secrets: {{allow: [\"arn:aws:secretsmanager:*:*:secret:{{team}}/*\"]}}\n",
            server.url(),
            aws.account(),
        );
        let mut catalog = vec![write("environments/dev.yaml", environment)];
        catalog.extend(database());
        catalog.extend(stacks::secret("1.0.0", NOECHO));
        world.catalog.commit(catalog);
        let path = search_path(&world);
        let mut around = aws.environment();
        around.retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY");
        around.extend([
            ("AWS_SECRET_ACCESS_KEY".to_owned(), KEY.to_owned()),
            ("DATABASE_PASSWORD".to_owned(), AROUND.to_owned()),
            ("PATH".to_owned(), path),
            ("VEND_LOG".to_owned(), "trace".to_owned()),
        ]);
        world.environment(around);
        let mut desk = Desk::with(world);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let secret = desk.world.root().join("webhook-secret");
        desk.world.configure(|c| {
            c["server"] = json!({"listen": "127.0.0.1:0"});
            c["forge"]["webhook"] = json!({"listen": listen, "secretFile": secret});
            c["providers"]["cloudformation"] = json!({"endpoint": aws.endpoint()});
            let hub = c["requests"][0]["repository"].clone();
            c["status"] = json!({"repository": hub});
        });
        desk.hub.hook(&format!("http://{listen}/webhook/github"), SECRET);
        let receiver = Receiver::start();
        std::fs::write(desk.world.root().join("notify-secret"), SIGNED).unwrap();
        let url = receiver.url(&format!("/{RECEIVER}"));
        desk.world.configure(|c| {
            c["notifications"] = json!([{
                "name": "call", "url": url, "secretFile": "notify-secret",
                "on": ["failed", "held", "drifted", "expired", "expiring"],
            }]);
        });
        let collector = Collector::start();
        std::fs::write(desk.world.root().join("otel-headers"), format!("x-key: {COLLECTOR}\n"))
            .unwrap();
        let at = collector.url();
        desk.world.configure(|c| {
            c["traces"] = json!({"endpoint": at, "headersFile": "otel-headers"});
        });
        Self { desk, aws, server, receiver, collector, said: Vec::new() }
    }

    /// Runs a command and keeps what it said.
    fn hear(&mut self, args: &[&str]) {
        self.heard(self.desk.world.command(args));
    }

    /// As somebody runs it for themselves: their own `git` is given their own environment.
    fn hear_own(&mut self, args: &[&str]) {
        let mut command = self.desk.world.command(args);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        self.heard(command);
    }

    fn heard(&mut self, mut command: Command) {
        let output = command.output().unwrap();
        let name = format!("what {command:?} says");
        self.said.push(Sink::new(name, [output.stdout, output.stderr].concat()));
    }

    /// A daemon with this log for as long as `work` takes.
    fn serving(&mut self, log: &str, work: impl FnOnce(&mut Self, &Serving)) {
        let mut daemon = Serving::spawn(self.desk.world.command(&["serve", "--log", log]));
        work(self, &daemon);
        if log == "json" {
            self.said.push(Sink::new("/metrics", daemon.get("/metrics").1));
        }
        daemon.stop();
        let lines = daemon.lines();
        assert!(lines.len() > 50, "it logs everything");
        self.said.push(Sink::new(format!("the log as {log}"), lines.join("\n")));
    }

    /// Everything that was written or shown so far.
    fn sinks(&self) -> Vec<Sink> {
        let world = &self.desk.world;
        let mut sinks: Vec<Sink> =
            self.said.iter().map(|s| Sink::new(s.name.clone(), s.bytes.clone())).collect();
        for folder in ["state", "home", "seen"] {
            scan::files(&world.root().join(folder), &mut sinks);
        }
        for entry in self.desk.hub.log() {
            let text = format!("{} {}\n{}", entry.path, entry.query, entry.body);
            sinks.push(Sink::new(
                format!("said to the forge: {} {}", entry.method, entry.path),
                text,
            ));
        }
        for (n, told) in self.receiver.got().iter().enumerate() {
            let text = format!("{:?}\n{}", told.headers, String::from_utf8_lossy(&told.body));
            sinks.push(Sink::new(format!("message {n} to a receiver"), text));
        }
        assert!(self.collector.spans().len() > 100, "its life is traced");
        for (n, told) in self.collector.0.got().into_iter().enumerate() {
            assert_eq!(told.headers["x-key"], COLLECTOR);
            sinks.push(Sink::new(format!("spans {n} to the collector"), told.body));
        }
        for call in self.aws.calls() {
            let text: String = call.form.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
            sinks.push(Sink::new(format!("said to AWS: {}", call.action), text));
        }
        sinks.extend(self.objects());
        sinks
    }

    /// Every object of every repository, those that vend keeps among them.
    fn objects(&self) -> Vec<Sink> {
        let world = &self.desk.world;
        let ids = |at: &Path| scan::objects(at).into_iter().map(|(id, _)| id);
        let published = scan::reached(world.requests.path(), STATUS);
        let mut authored: BTreeSet<String> = ids(world.catalog.path()).collect();
        authored.extend(ids(world.requests.path()).filter(|id| !published.contains(id)));
        let mut places = scan::repositories(&world.root().join("state"));
        assert!(places.len() >= 3, "the mirrors: {places:?}");
        places.extend(
            [&world.catalog, &world.requests, &world.output].map(|it| it.path().to_owned()),
        );
        let mut sinks = Vec::new();
        for place in places {
            for (id, bytes) in scan::objects(&place) {
                let is_authored = authored.contains(&id);
                let is_rendered = bytes.windows(6).any(|part| part == b"NoEcho");
                let kind = if is_rendered { RENDERED } else { "object" };
                let name = format!("{}: {kind} {id}", place.display());
                sinks.push(Sink { name, bytes, is_authored });
            }
        }
        sinks
    }
}

fn canaries(scene: &Scene) -> Vec<Canary> {
    let key = std::fs::read_to_string(scene.desk.world.root().join("app.pem")).unwrap();
    let line = key.lines().nth(5).unwrap().to_owned();
    vec![
        Canary { is_authored: true, ..Canary::new("what was typed", LITERAL) },
        Canary::new("what Secrets Manager keeps", KEPT),
        // What a template renders to goes to the provider, is kept as what was applied, published as
        // that, and printed for whoever asks for it.
        Canary {
            is_authored: true,
            home: &["said to AWS: Create", "state/vend.sqlite", RENDERED, "\"render\""],
            ..Canary::new("what is not to be echoed", NOECHO)
        },
        Canary::new("a sensitive output", OUTPUT),
        Canary::new("the key to AWS", KEY),
        Canary::new("a variable of the environment", AROUND),
        Canary::new("the webhook's secret", SECRET),
        Canary::new("a receiver's address", RECEIVER),
        Canary::new("what messages are signed with", SIGNED),
        Canary::new("what the collector knows vend by", COLLECTOR),
        Canary::new("the App's key", &line),
        Canary { home: children(), ..Canary::new("the token of a remote", TOKEN) },
        Canary { home: children(), ..Canary::new("an installation's token", "ghs_0") },
    ]
}

const SECRETS: [&str; 2] = ["orders/dev/hidden", "orders/dev/db"];

#[test]
fn i8_no_secret_is_in_anything_that_is_written_or_shown() {
    let mut scene = Scene::new();
    let hide = Fault::answer(|_, answer| {
        let text = answer.text();
        let mut parts = text.split("<OutputValue>");
        let first = parts.next().unwrap_or_default().to_owned();
        let changed = parts.fold(first, |all, part| {
            let after = part.split_once('<').map_or("", |(_, after)| after);
            format!("{all}<OutputValue>{OUTPUT}<{after}")
        });
        answer.body = changed.into();
    });
    scene.aws.rule(Rule::on("DescribeStacks", hide));
    let said = format!("Parameter validation failed: Password: {NOECHO} is too short");
    let said: &'static str = Box::leak(said.into_boxed_str());
    let fails = Fault::Refuse(400, "ValidationError", said);
    scene.aws.rule(Rule::on("CreateStack", fails).stack("vend-orders-dev-hidden").once());
    let arn = format!("arn:aws:secretsmanager:{REGION}:{}:secret:orders/db", scene.aws.account());
    let by_reference = format!("secrets: {{password: {{awsSecretsManager: \"{arn}\"}}}}");

    scene.serving("json", |scene, _| {
        let desk = &scene.desk;
        eventually("a first pass", || desk.world.requests.tip(STATUS));
        let typed = request("db@1.0.0", &format!("{{password: {LITERAL}}}"));
        let wrong = desk.propose("ada", "typed", [ask("orders/dev/typed", typed)]);
        desk.says(wrong, &["SEC001"]);
        desk.repo().merge("grace", wrong);
        let n = desk.propose(
            "ada",
            "good",
            [
                ask(SECRETS[0], request("secret@1.0.0", "{}")),
                ask(SECRETS[1], request_with("db@1.0.0", "{}", &by_reference)),
                ask("orders/dev/note", note("hello")),
            ],
        );
        desk.says(n, &["3 to create"]);
        desk.repo().merge("grace", n);
        eventually("the failure is told", || {
            let status = desk.world.status_or_none(SECRETS[0])?;
            status.to_string().contains("is too short").then_some(())
        });
        desk.ready(SECRETS[1]);
        desk.ready("orders/dev/note");
        for id in [SECRETS[0], "orders/dev/typed"] {
            scene.hear(&["status", id, "--format", "json"]);
            scene.hear(&["explain", id]);
            scene.hear(&["logs", id]);
        }
        scene.hear(&["retry", SECRETS[0]]);
        scene.desk.ready(SECRETS[0]);
    });
    for args in [
        &["plan"][..],
        &["plan", "--preview", "--format", "json"],
        &["apply", "--wait", "--log", "text"],
        &["status"],
    ] {
        scene.hear(args);
    }
    for id in SECRETS.iter().chain(&["orders/dev/typed"]) {
        for command in ["status", "explain", "logs"] {
            scene.hear(&[command, id]);
            scene.hear(&[command, id, "--format", "json"]);
        }
        scene.hear_own(&["render", id]);
    }
    scene.serving("text", |scene, _| {
        let desk = &scene.desk;
        let n = desk.propose("ada", "more", [ask("orders/dev/note", note("changed"))]);
        desk.says(n, &["1 to update"]);
        desk.repo().merge("grace", n);
        desk.says(n, &["Done"]);
    });
    let (canaries, sinks) = (canaries(&scene), scene.sinks());
    let found = leaks(&canaries, &sinks);
    assert!(found.is_empty(), "{} things: {found:#?}", sinks.len());
    assert!(sinks.len() > 500, "it looked at {} things", sinks.len());
    for (folder, known) in [("arguments", "fetch"), ("environment", "GIT_")] {
        let mut seen = sinks.iter().filter(|sink| sink.name.contains(&format!("seen/{folder}/")));
        let is_there = seen.any(|sink| String::from_utf8_lossy(&sink.bytes).contains(known));
        assert!(is_there, "it saw no {folder} of children");
    }

    // It finds each of them, wherever and however it is.
    let places = ["the log as text", "/metrics", "state/vend.sock", "seen/arguments/1"];
    scan::assert_each_would_be_found(&canaries, &places);
    let kept = Canary::new("what Secrets Manager keeps", KEPT).forms();
    let leak = |(n, (_, form)): (usize, &(&str, String))| {
        write(format!("dev/leak-{n}.yaml"), format!("password: {form}\n"))
    };
    scene.desk.world.output.commit(kept.iter().enumerate().map(leak));
    let found = leaks(&canaries, &scene.sinks());
    assert_eq!(found.len(), kept.len(), "{found:#?}");
    for (kind, form) in &kept {
        let is = |it: &&String| {
            it.contains(&format!(", {kind}, in")) && it.contains("output") && it.contains(form)
        };
        assert_eq!(found.iter().filter(is).count(), 1, "{kind}, {form}: {found:#?}");
    }
    let _ = &scene.server;
}
