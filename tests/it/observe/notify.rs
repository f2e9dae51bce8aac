//! Who is told what is the matter: the real daemon, and receivers over HTTP.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::receiver::{Delivery, Receiver};
use super::{counted, sample};
use crate::daemon::{Serving, eventually};
use crate::world::{World, ask, drop_request, note, request, request_with};

const SECRET: &str = "the-secret-of-the-receiver";

/// A world with these receivers; nothing but commits and ends wakes its daemon.
fn telling(receivers: Value) -> World {
    let mut world = World::new();
    std::fs::write(world.root().join("notify-secret"), format!("{SECRET}\n")).unwrap();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
        c["notifications"] = receivers;
    });
    world
}

fn wrong() -> String {
    request("note@1.0.0", "{text: 7}")
}

/// Waits for the first `count` deliveries with different ids, as they came.
#[track_caller]
fn told(receiver: &Receiver, count: usize) -> Vec<Delivery> {
    eventually(&format!("{count} messages"), || {
        let mut seen = BTreeSet::new();
        let mut got = receiver.got();
        got.retain(|it| seen.insert(it.id().to_owned()));
        (got.len() >= count).then_some(got)
    })
}

/// `<request> <event>` of each event.
fn events(delivery: &Delivery) -> Vec<String> {
    let body = delivery.json();
    let events = body["events"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.map(|it| format!("{} {}", text(&it["request"]), text(&it["event"]))).collect()
}

/// All is said: a pass over something new that is nobody's matter brings no further message.
#[track_caller]
fn again_nothing(world: &World, daemon: &Serving, receiver: &Receiver, ready: usize) {
    let before = receiver.got().len();
    world.requests.commit([ask("orders/dev/fine", note("fine"))]);
    counted(daemon, &format!("vend_requests{{phase=\"Ready\"}} {ready}"));
    assert_eq!(receiver.got().len(), before, "again: nothing to say");
}

#[test]
fn what_is_the_matter_is_told_once_signed_and_told_again_when_it_is_over() {
    let (chat, call) = (Receiver::start(), Receiver::start());
    let mut world = telling(json!([
        {"name": "call", "url": call.url("/vend?key=1"), "secretFile": "notify-secret"},
        {"name": "chat", "urlFile": "chat-url", "format": "slack", "on": ["held"], "teams": ["payments"]},
    ]));
    std::fs::write(world.root().join("chat-url"), chat.url("/services/T0/B0/hush")).unwrap();
    world.environment([("VEND_LOG".to_owned(), "trace".to_owned())]);
    let over = request_with("note@1.0.0", "{text: hello}", "ttl: 1s\nprotect: true");
    world.requests.commit([ask("orders/dev/wrong", wrong()), ask("orders/dev/over", over)]);
    let mut daemon = Serving::ready(&world);
    let found = || {
        let all: Vec<String> = call.got().iter().flat_map(events).collect();
        let both = ["orders/dev/over expired", "orders/dev/wrong held"];
        both.iter().all(|it| all.iter().any(|said| said == it)).then_some(all)
    };
    let all = eventually("both are told", found);
    assert_eq!(all.len(), 2, "each once: {all:?}");
    let schema = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/observability/notification.schema.json"
    ));
    let schema = serde_json::from_str(&schema.unwrap()).unwrap();
    let shape = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for delivery in call.got() {
        let body = delivery.json();
        assert!(shape.is_valid(&body), "{body}");
        assert_eq!(delivery.path, "/vend?key=1");
        assert_eq!(body["id"], delivery.id());
        assert_eq!(delivery.headers["content-type"], "application/json");
        let at: i64 = delivery.headers["x-vend-timestamp"].parse().unwrap();
        let signed = vend::notify::signature(SECRET, at, &delivery.body);
        assert_eq!(delivery.headers["x-vend-signature-256"], signed);
    }
    let held = call.got().into_iter().find(|it| events(it).concat().contains("held")).unwrap();
    let body = held.json();
    let one = body["events"].as_array().unwrap().iter().find(|it| it["event"] == "held").unwrap();
    assert_eq!((&one["reason"], &one["team"]), (&json!("Invalid"), &json!("orders")));
    assert!(one["message"].as_str().unwrap().contains("text"), "{one}");
    assert_eq!(chat.got().len(), 0, "it asked for another team");

    // Words of files stay words.
    let hostile = request("note@1.0.0", "{'<!channel>': 7, text: hello}");
    world
        .requests
        .commit([ask("payments/dev/loud", hostile), ask("orders/dev/wrong", note("now"))]);
    let said = told(&chat, 1);
    assert_eq!(said[0].path, "/services/T0/B0/hush");
    let text = said[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("payments/dev/loud held (Invalid): "), "{text}");
    assert!(text.contains("&lt;!channel&gt;") && !text.contains('<'), "{text}");
    assert!(!said[0].headers.contains_key("x-vend-signature-256"), "it has no secret");
    let mended = |it: &Delivery| events(it).contains(&"orders/dev/wrong recovered".to_owned());
    eventually("it is told that it is over", || call.got().iter().any(mended).then_some(()));
    let body = call.got().iter().find(|it| mended(it)).unwrap().json();
    assert!(shape.is_valid(&body), "{body}");

    // What is gone is over.
    world.requests.commit([drop_request("payments/dev/loud")]);
    let said = told(&chat, 2);
    let text = said[1].json()["text"].as_str().unwrap().to_owned();
    assert_eq!(text, "payments/dev/loud recovered, it was held: it is gone");
    again_nothing(&world, &daemon, &chat, 2);
    let delivered =
        sample(&daemon, "vend_notifications_total{receiver=\"chat\",outcome=\"delivered\"}");
    assert_eq!(delivered, Some(2.0));
    daemon.stop();
    let log = daemon.lines().join("\n");
    for secret in ["hush", "key=1", SECRET] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_receiver_that_is_down_delays_nothing_and_hears_of_it_when_it_is_back() {
    let (down, up) = (Receiver::start(), Receiver::start());
    down.answer(503);
    let world = telling(json!([
        {"name": "down", "url": down.url("/")},
        {"name": "up", "url": up.url("/")},
    ]));
    world.requests.commit([ask("orders/dev/wrong", wrong()), ask("orders/dev/one", note("one"))]);
    let mut daemon = Serving::ready(&world);
    told(&up, 1);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 1");
    eventually("it is tried again", || (down.got().len() > 2).then_some(()));
    let line = daemon.logged("a notification could not be delivered");
    assert!(line.contains("it answers 503") && !line.contains(&down.address), "{line}");
    let tried = down.got();
    assert!(tried.iter().all(|it| it.id() == tried[0].id() && it.body == tried[0].body));

    // Meanwhile one comes and goes, and another one comes.
    world.requests.commit([ask("orders/dev/brief", wrong())]);
    counted(&daemon, "vend_holds{reason=\"Invalid\"} 2");
    world.requests.commit([ask("orders/dev/brief", note("two")), ask("orders/dev/late", wrong())]);
    counted(&daemon, "vend_requests{phase=\"Ready\"} 2");
    // The daemon ends in the middle of it, and goes on with the same message.
    daemon.kill();
    let mut daemon = Serving::ready(&world);
    down.answer(200);
    let messages = told(&down, 2);
    assert_eq!(messages[0].id(), tried[0].id());
    assert_eq!(events(&messages[0]), ["orders/dev/wrong held"]);
    assert_eq!(events(&messages[1]), ["orders/dev/late held"], "what came and went is not told");
    again_nothing(&world, &daemon, &down, 3);
    daemon.stop();
}

#[test]
fn a_flood_is_one_message() {
    let receiver = Receiver::start();
    let world = telling(json!([{"name": "call", "url": receiver.url("/")}]));
    world.requests.commit((0..60).map(|n| ask(&format!("orders/dev/n{n:02}"), wrong())));
    let mut daemon = Serving::ready(&world);
    let messages = told(&receiver, 1);
    let body = messages[0].json();
    assert_eq!(body["counts"], json!({"held": 60}));
    assert_eq!(body["events"].as_array().unwrap().len(), 20);
    assert_eq!(body["omitted"], 40);
    assert_eq!(body["summary"], "vend: 60 held");
    again_nothing(&world, &daemon, &receiver, 1);
    // Those that had no room were told as well: they are over with the others.
    world.requests.commit((0..60).map(|n| ask(&format!("orders/dev/n{n:02}"), note("mended"))));
    let messages = told(&receiver, 2);
    assert_eq!(messages[1].json()["counts"], json!({"recovered": 60}));
    daemon.stop();
}

#[test]
fn nothing_is_lost_and_nothing_gets_a_second_id_wherever_the_process_ends() {
    for point in
        ["notify.keep.before", "notify.keep.after", "notify.send.before", "notify.send.after"]
    {
        let receiver = Receiver::start();
        let world = telling(json!([{"name": "call", "url": receiver.url("/")}]));
        world.requests.commit([ask("orders/dev/wrong", wrong())]);
        let mut command = world.command(&["serve", "--log", "json"]);
        // The first keeping is of the mark up to which history was heard.
        command.env("VEND_FAULT", format!("{point}=kill@1"));
        assert_eq!(Serving::spawn(command).ended(), None, "{point}");
        let sent = usize::from(point == "notify.send.after");
        assert_eq!(receiver.got().len(), sent, "{point}");
        let mut daemon = Serving::ready(&world);
        let messages = told(&receiver, 1);
        assert_eq!(events(&messages[0]), ["orders/dev/wrong held"], "{point}");
        let line = "vend_notifications_total{receiver=\"call\",outcome=\"delivered\"} 1";
        counted(&daemon, line);
        assert_eq!(receiver.got().len(), sent + 1, "{point}: once more, and no more");
        again_nothing(&world, &daemon, &receiver, 1);
        let ids: BTreeSet<String> = receiver.got().iter().map(|it| it.id().to_owned()).collect();
        assert_eq!(ids.len(), 1, "{point}");
        daemon.stop();
    }
}

#[test]
fn a_receiver_that_cannot_be_used_is_refused_without_showing_its_address() {
    let world = telling(json!([{"name": "chat", "url": "http://hooks.chat.example/hush"}]));
    let said = world.vend_ends(3, &["status"]);
    let text = said.stdout + &said.stderr;
    assert!(
        text.contains("`notifications[0]`, of `chat`: its `url`: it begins with `https://`"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
    for (receivers, what) in [
        (json!([{"name": "a"}]), "it needs `url` or `urlFile`"),
        (json!([{"name": "a", "url": "https://h/", "urlFile": "x"}]), "take one of them out"),
        (
            json!([{"name": "a", "url": "https://h/"}, {"name": "a", "url": "https://i/"}]),
            "two receivers have that name",
        ),
        (json!([{"name": "a", "url": "https://h/", "on": ["woken"]}]), "failed"),
    ] {
        let world = telling(receivers);
        let said = world.vend_ends(3, &["status"]);
        let text = said.stdout + &said.stderr;
        assert!(text.contains(what), "{what}: {text}");
    }
}
