//! Requests that end, as the people of their pull requests see it.

use serde_json::json;

use super::Desk;
use crate::daemon::eventually;
use crate::world::{ask, drop_request, request_with};

const ID: &str = "orders/dev/sandbox";

#[test]
fn the_comment_warns_twice_says_that_it_is_over_and_that_it_is_gone() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["expiry"] = json!({"warn": ["20s", "8s"]}));
    let _daemon = desk.serve();
    let text = request_with("note@1.0.0", "{text: hello}", "ttl: 30s");
    let n = desk.propose("ada", "sandbox", [ask(ID, text)]);
    desk.says(n, &["create", "it ends 30s after it was first applied"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done", "it ends at "]);
    let body = desk.says(n, &["1 will end soon", "in less than 20s"]);
    assert!(body.contains(&format!("/vend extend {ID} 7d")), "{body}");

    let asked = desk.repo().comment("ada", n, "/vend extend 7d");
    desk.reacted(n, asked, "+1");
    desk.says(n, &["ttl: 604830s"]);
    desk.says(n, &["in less than 8s"]);
    // Its branch takes nothing but pull requests: people open the one that removes it.
    desk.says(n, &["Held", "is to be removed by a pull request"]);
    let gone = desk.propose("ada", "gone", [drop_request(ID)]);
    desk.says(gone, &["**Deletes**", ID]);
    desk.repo().merge("grace", gone);
    desk.says(gone, &["Done"]);
    eventually("its status goes", || desk.world.status_or_none(ID).is_none().then_some(()));
    desk.says(n, &["Done", "deleted"]);
    desk.again_nothing();
}
