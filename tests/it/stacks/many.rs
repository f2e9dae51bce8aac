//! Two hundred at once.

use serde_json::json;

use super::Account;
use crate::world::{Edit, ask, request};

#[test]
fn two_hundred_stacks_come_at_once_within_the_limits() {
    let it = Account::new();
    let id = |n: usize| format!("team-{}/dev/queue-{n}", n % 10);
    let one = |n: usize| ask(&id(n), request("queue@1.0.0", "{}"));
    it.world.requests.commit((0..200).map(one).collect::<Vec<Edit>>());
    let said = it.apply();
    assert!(said.contains("200 created") && said.contains("200 ready"), "{said}");
    let stacks = it.aws.stacks();
    assert_eq!(stacks.len(), 200);
    assert!(stacks.iter().all(|(_, status)| status == "CREATE_COMPLETE"));
    assert_eq!(it.aws.effects("").len(), 200);
    // Nobody looks at stacks one by one when there are many.
    let looks = it.aws.count("DescribeStacks");
    assert!(looks < 200, "{looks} looks");
    it.again_nothing();

    it.world.requests.commit([ask(&id(7), request("queue@1.0.0", "{seconds: 61}"))]);
    let before = it.aws.calls().len();
    it.apply();
    let calls = it.aws.calls().len() - before;
    assert!(calls < 30, "one change costs {calls} calls:\n{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn the_rate_is_kept() {
    let mut it = Account::new();
    it.world.configure(|config| {
        config["providers"]["cloudformation"]["rates"] = json!({"changes": 5, "looks": 20});
    });
    let one = |n: usize| ask(&format!("orders/dev/queue-{n}"), request("queue@1.0.0", "{}"));
    it.world.requests.commit((0..20).map(one).collect::<Vec<Edit>>());
    it.apply();
    let calls = it.aws.calls();
    let writes: Vec<_> = calls.iter().filter(|c| c.writes()).map(|c| c.at).collect();
    // Ten at once after a pause, and five a second after those.
    for window in writes.windows(17) {
        let time = *window.last().unwrap() - window[0];
        assert!(time.as_millis() >= 900, "17 changes in {time:?}:\n{}", it.aws.history());
    }
    it.again_nothing();
}
