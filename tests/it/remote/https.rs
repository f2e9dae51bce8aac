//! Catalog, requests, status and output over https.

use serde_json::json;

use super::server::{Fault, Server};
use super::{credentials, https_world, token_file, untouched};
use crate::world::{World, ask, drop_request, note};

const ID: &str = "orders/dev/hello";
const OTHER: &str = "payments/dev/other";
const OUTPUT: &str = "dev/orders/hello/note/note.yaml";

/// Applied once.
fn applied() -> (World, Server) {
    let (world, server) = https_world();
    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("other"))]);
    world.apply();
    server.seen();
    (world, server)
}

#[test]
fn all_of_a_requests_life_over_https_with_a_token() {
    let (world, server) = applied();
    for id in [ID, OTHER] {
        world.ready(id);
    }
    world.again_nothing();

    world.requests.commit([ask(ID, note("changed")), drop_request(OTHER)]);
    world.apply();
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: changed\n");
    assert!(world.status_or_none(OTHER).is_none());
    world.again_nothing();

    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.authorized), "{seen:#?}");
    let [_, _, protocol] = &seen[0].encodings;
    assert_eq!(protocol.as_deref(), Some("version=2"));
    for pushed in ["/requests/git-receive-pack", "/output/git-receive-pack"] {
        assert!(seen.iter().any(|seen| seen.line.ends_with(pushed)), "{seen:#?}");
    }
}

#[test]
fn f07_a_refused_token_never_reads_as_empty_and_is_read_anew_when_it_is_replaced() {
    let (world, server) = applied();
    server.rules(|rules| rules.token = Some("another".into()));
    let refused = "the server refuses the token that `credentials` has for it";
    untouched(&world, &["`requests` is not there", "`catalog` is not there", refused]);
    // GitHub's way: what one may not see is not there.
    server.rules(|rules| rules.refusal = Some(404));
    untouched(&world, &["`requests` is not there", "`catalog` is not there"]);
    server.rules(|rules| rules.refusal = Some(403));
    untouched(&world, &["`requests` is not there", "`catalog` is not there"]);

    std::fs::write(token_file(&world), "another").unwrap();
    world.requests.commit([ask(ID, note("back"))]);
    world.apply();
    assert_eq!(world.output_file(OUTPUT).unwrap(), "text: back\n");
    world.ready(OTHER);
    world.again_nothing();
}

#[test]
fn b65_f01_a_server_that_is_another_one_is_shown_nothing() {
    let (mut world, server) = applied();
    let elsewhere = Server::start(world.root(), "elsewhere");
    server.breaks(Fault::Redirect(elsewhere.url_by_name()));
    untouched(&world, &["the server redirects", "`requests` could not be fetched"]);
    let seen = elsewhere.seen();
    assert!(seen.is_empty(), "{seen:#?}");
    server.mend();
    server.seen();

    for authority in [elsewhere.ca_file(), "/dev/null".into()] {
        world.configure(|config| config["credentials"][1]["caFile"] = json!(authority));
        untouched(&world, &["certificate is not trusted", "`requests` could not be fetched"]);
        let seen = server.seen();
        assert!(seen.is_empty(), "{seen:#?}");
    }
    world.configure(|config| config["credentials"] = credentials(&server.url(), &server));
    world.apply();
    world.again_nothing();
}

#[test]
fn b65_a_token_for_another_host_or_folder_is_not_shown() {
    let (mut world, server) = applied();
    let by_port = server.url().replace("127.0.0.1:", "127.0.0.1:1");
    let by_folder = format!("{}/request", server.url());
    for other in [server.url_by_name(), by_port, by_folder] {
        world.configure(|config| config["credentials"] = credentials(&other, &server));
        untouched(&world, &["the server wants a token, and `credentials` has none for this"]);
        let seen = server.seen();
        assert!(!seen.is_empty(), "{other}");
        assert!(seen.iter().all(|seen| !seen.authorized), "{other}: {seen:#?}");
    }
}

#[test]
fn b64_what_a_catalog_names_stays_shut_unless_the_operator_opens_it() {
    let (mut world, _server) = https_world();
    world.configure(|config| config["network"] = json!({"allow": ["10.0.0.0/8"]}));
    world.requests.commit([ask(ID, note("hello"))]);
    let output = world.vend(&["apply"]);
    assert!(output.stdout.contains("`network.allow` may name it"), "{output:?}");
    assert!(world.output.refs().is_empty());

    world.configure(|config| config["network"] = json!({"allow": ["127.0.0.0/8"]}));
    world.vend(&["retry", ID]);
    world.apply();
    world.ready(ID);
}
