//! Who is told what is the matter: the real daemon, and receivers over HTTP.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;

use serde_json::{Value, json};
use vend::reconcile::notify::Receiver as Teller;
use vend::store::Store;

use super::receiver::{Delivery, Receiver};
use super::{counted, sample};
use crate::crash::lab::{self, Clock};
use crate::crash::{MODES, TOLD, carried_out, elsewhere, share_out};
use crate::daemon::{Serving, eventually};
use crate::lacking::not_run;
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
fn f55_f61_nothing_is_lost_and_nothing_gets_a_second_id_wherever_it_is_broken_off() {
    let points = elsewhere(TOLD);
    let cases = points.iter().flat_map(|point| MODES.map(|mode| (*point, mode)));
    share_out(4, cases.collect(), |(point, mode)| broken_off(point, mode));
}

fn broken_off(point: &str, mode: &str) {
    let what = format!("{point}={mode}");
    let receiver = Receiver::start();
    let world = telling(json!([{"name": "call", "url": receiver.url("/")}]));
    world.requests.commit([ask("orders/dev/wrong", wrong())]);
    let log = world.root().join("passed");
    let mut command = world.command(&["serve", "--log", "json"]);
    // The first keeping is of the mark up to which history was heard.
    command.env("VEND_FAULT", &what).env("VEND_FAULT_LOG", &log);
    let mut daemon = Serving::spawn(command);
    let sent_before = usize::from(point == "notify.send.after" && mode != "delay");
    if mode == "kill" {
        assert_eq!(daemon.ended(), None, "{what}");
        assert_eq!(receiver.got().len(), sent_before, "{what}");
        daemon = Serving::ready(&world);
    }
    let messages = told(&receiver, 1);
    assert_eq!(events(&messages[0]), ["orders/dev/wrong held"], "{what}");
    let line = "vend_notifications_total{receiver=\"call\",outcome=\"delivered\"} 1";
    counted(&daemon, line);
    assert!(carried_out(&log, &what), "{what}");
    assert_eq!(receiver.got().len(), sent_before + 1, "{what}: once more, and no more");
    again_nothing(&world, &daemon, &receiver, 1);
    let ids: BTreeSet<String> = receiver.got().iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(ids.len(), 1, "{what}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn f55_what_is_never_taken_is_given_up_and_what_is_the_matter_goes_into_a_new_message() {
    let receiver = Receiver::start();
    receiver.answer(413);
    let world = telling(json!([{"name": "call", "url": receiver.url("/")}]));
    world.requests.commit([ask("orders/dev/wrong", wrong())]);
    world.vend(&["apply"]);
    let clock = Clock::new();
    let store: Arc<dyn Store> = Arc::new(lab::store(&world));
    let lease = lab::lease(store.as_ref(), &clock).await;
    let settings = lab::config(&world).settings.notifications[0].clone();
    let open = || Teller::open(settings.clone(), store.clone(), Arc::new([]));
    let mut teller = open().await.unwrap();
    let ids = || -> Vec<String> { receiver.got().iter().map(|it| it.id().to_owned()).collect() };
    let mut turns = 0;
    while ids().iter().collect::<BTreeSet<_>>().len() < 2 {
        turns += 1;
        assert!(turns < 200, "{:?}", ids().len());
        // The end of a process in the middle of it counts nothing anew.
        if turns == 50 {
            teller = open().await.unwrap();
        }
        let wait = teller.turn(&lease, 1_000, &|| clock.now()).await.unwrap();
        clock.advance(i64::try_from(wait.unwrap_or_default().as_secs()).unwrap() + 1);
    }
    let ids = ids();
    let first = ids.iter().filter(|id| **id == ids[0]).count();
    assert_eq!((first, ids.len()), (100, 101));
    receiver.answer(204);
    while teller.turn(&lease, 1_000, &|| clock.now()).await.unwrap().is_some() {
        clock.advance(1_000);
    }
    let got = receiver.got();
    assert_eq!((got.len(), got[100].id()), (102, got[101].id()), "the new one is taken");
    assert_eq!(events(&got[101]), ["orders/dev/wrong held"]);
    // Again: nothing to say.
    assert_eq!(teller.turn(&lease, 1_000, &|| clock.now()).await.unwrap(), None);
    assert_eq!(receiver.got().len(), 102);
}

/// A name that leads to this machine and does not say so.
fn name_of_here() -> Option<&'static str> {
    let names = ["ip6-localhost", "ip6-loopback", "localhost.localdomain"];
    names.into_iter().find(|name| {
        let found = (*name, 443).to_socket_addrs();
        found.is_ok_and(|mut found| found.all(|at| at.ip().is_loopback()))
    })
}

#[test]
fn b92_nothing_is_sent_where_a_machine_keeps_its_credentials_or_to_itself_by_another_name() {
    let up = Receiver::start();
    let mut receivers = vec![
        json!({"name": "link", "url": "https://169.254.169.254/latest/meta-data"}),
        json!({"name": "up", "url": up.url("/")}),
    ];
    match name_of_here() {
        Some(name) => receivers.push(json!({"name": "here", "url": format!("https://{name}/x")})),
        None => not_run(
            "a receiver by a name of this machine",
            "name",
            "this machine has none that leads to itself",
        ),
    }
    let names: Vec<String> =
        receivers.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    let mut world = telling(json!(receivers));
    world.requests.commit([ask("orders/dev/wrong", wrong())]);
    let mut daemon = Serving::ready(&world);
    assert_eq!(events(&told(&up, 1)[0]), ["orders/dev/wrong held"]);
    let refused = |daemon: &Serving, name: &str| {
        let of = format!("\"receiver\":\"{name}\"");
        let mut lines = daemon.lines().into_iter();
        lines.rfind(|line| line.contains(&of) && line.contains("NET001"))
    };
    for name in names.iter().filter(|name| *name != "up") {
        let line = eventually(&format!("{name} is refused"), || refused(&daemon, name));
        assert!(!line.contains("169.254") && !line.contains("https"), "{line}");
    }
    again_nothing(&world, &daemon, &up, 1);
    daemon.stop();

    // Where the operator says that it is meant, it is tried.
    if name_of_here().is_some() {
        world.configure(|c| c["network"] = json!({"allow": ["127.0.0.0/8", "::1/128"]}));
        let mut daemon = Serving::ready(&world);
        eventually("it is tried", || {
            let mut lines = daemon.lines().into_iter();
            let is_tried = |line: &String| line.contains("here") && line.contains("delivered");
            lines.any(|line| is_tried(&line) && !line.contains("NET001")).then_some(())
        });
        assert_eq!(refused(&daemon, "here"), None);
        daemon.stop();
    }
}

#[test]
fn b92_a_redirect_is_not_followed_and_the_message_is_sent_again_where_it_was_meant_for() {
    // Where a machine keeps its credentials, and a place that may be sent to.
    let metadata = "http://169.254.169.254/latest/meta-data".to_owned();
    for (status, to) in [(302, None), (303, None), (307, None), (308, None), (308, Some(metadata))]
    {
        let (up, elsewhere) = (Receiver::start(), Receiver::start());
        let to = to.unwrap_or_else(|| elsewhere.url("/latest/meta-data"));
        up.redirect(status, &to);
        let world = telling(json!([{"name": "up", "url": up.url("/hook")}]));
        world.requests.commit([ask("orders/dev/wrong", wrong())]);
        let mut daemon = Serving::ready(&world);
        let line = eventually("it is told", || {
            let mut lines = daemon.lines().into_iter();
            lines.find(|line| {
                line.contains("\"receiver\":\"up\"") && line.contains(&status.to_string())
            })
        });
        assert!(line.contains("could not be delivered"), "{line}");
        assert!(!line.contains("meta-data"), "{line}");
        // It was not taken: it comes again, under the same id.
        eventually("it is sent again", || (up.got().len() > 1).then_some(()));
        up.answer(204);
        daemon.logged("a notification was delivered");
        let got = up.got();
        assert!(got.iter().all(|it| it.id() == got[0].id() && it.path == "/hook"), "{got:?}");
        assert_eq!(events(&got[0]), ["orders/dev/wrong held"]);
        again_nothing(&world, &daemon, &up, 1);
        daemon.stop();
        assert_eq!(elsewhere.got().len(), 0, "{status} was followed");
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
