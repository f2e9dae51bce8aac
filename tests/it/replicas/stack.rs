//! Stacks, which take longer than a replica may live. The judge is the record of the proxy in front of
//! CloudFormation.

use std::process::Command;

use serde_json::json;

use super::server::PostgresServer;
use super::{Replicas, leader, nothing_is_left, with_store};
use crate::aws::{Aws, Fault, Rule};
use crate::daemon::eventually;
use crate::stacks::Account;
use crate::world::{ask, drop_request, request};

const ID: &str = "orders/dev/events";

impl Replicas {
    /// Replicas whose requests become stacks in an account of its own.
    fn of_stacks(who: &str) -> Option<(Self, Aws)> {
        let server = PostgresServer::start(who)?;
        let Account { aws, mut world } = Account::new();
        let url = server.url();
        aws.intents_told_by(move |token| {
            let rows = format!("SELECT count(*) FROM vend.journal WHERE token = '{token}'");
            let asked = Command::new("psql").args([&url, "-XAtqc", &rows]).output().unwrap();
            asked.stdout == b"1\n"
        });
        world.configure(|config| with_store(config, &server));
        Some((Self { server, world }, aws))
    }
}

/// The leader is killed once there is a stack, of whose making it was told, or not told, anything.
fn killed_over_a_stack(who: &str, fault: Option<Fault>) {
    let Some((replicas, aws)) = Replicas::of_stacks(who) else { return };
    let (world, url) = (&replicas.world, replicas.server.url());
    let is_told = fault.is_none();
    if let Some(fault) = fault {
        aws.rule(Rule::on("CreateStack", fault).once());
    }
    world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    let mut daemons: Vec<_> = ["r0", "r1"].map(|name| replicas.start(name, &url)).into();
    let first = eventually("one leads", || leader(&daemons));
    let stack = aws.eventually("it is under way", || aws.stacks().pop()).0;
    if is_told {
        eventually("that is said", || {
            world.status_or_none(ID).filter(|status| status["phase"] == json!("Applying"))
        });
    }
    daemons[first].kill();

    // The other one takes up what it finds in the store, and begins nothing of its own.
    let before = aws.calls().len();
    let second = &mut daemons[1 - first];
    second.logged("the lease is held");
    aws.eventually("the other one asks about it", || {
        let calls = aws.calls();
        calls[before..].iter().any(|call| call.stack == stack).then_some(())
    });
    aws.signal(&stack, "Handle1", "SUCCESS");
    eventually("it is ready", || {
        world.status_or_none(ID).filter(|status| status["phase"] == "Ready")
    });
    assert_eq!(aws.effects(""), ["create"], "{}", aws.history());
    let sent = aws.calls().into_iter().filter(|call| call.action == "CreateStack");
    let mut tokens: Vec<String> = sent.map(|call| call.token().to_owned()).collect();
    assert_eq!(tokens.len() == 1, is_told, "{}", aws.history());
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "it is sent again under its own token: {}", aws.history());

    world.requests.commit([drop_request(ID)]);
    eventually("it is gone", || world.status_or_none(ID).is_none().then_some(()));
    second.stop();
    assert_eq!(aws.effects(""), ["create", "delete"], "{}", aws.history());
    aws.assert_rules_used(who);
    aws.only_looks(|| nothing_is_left(world));
    aws.assert_sound();
}

#[test]
fn one_that_is_killed_while_a_stack_is_made_leaves_it_to_another() {
    killed_over_a_stack("replicas, one of which is killed over a stack", None);
}

#[test]
fn f35_one_that_is_killed_before_it_hears_of_its_stack_leaves_it_to_another() {
    killed_over_a_stack("replicas, one of which never hears of its stack", Some(Fault::Silence));
}
