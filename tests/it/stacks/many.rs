//! Two hundred at once.

use serde_json::json;

use super::Account;
use crate::daemon::Serving;
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
    // Four at once after a pause, and five a second after those.
    for window in writes.windows(11) {
        let time = *window.last().unwrap() - window[0];
        assert!(time.as_millis() >= 900, "11 changes in {time:?}:\n{}", it.aws.history());
    }
    it.again_nothing();
}

#[test]
fn of_many_that_go_on_only_those_that_move_have_their_events_read_each_time() {
    const STACKS: usize = 24;
    let mut it = Account::new();
    it.world.configure(|config| {
        config["providers"]["cloudformation"]["rates"]["events"] = json!(6);
    });
    let id = |n: usize| format!("orders/dev/slow-{n}");
    let one = |n: usize| ask(&id(n), request("slow@1.0.0", "{}"));
    it.world.requests.commit((0..STACKS).map(one).collect::<Vec<Edit>>());
    let mut daemon = Serving::ready(&it.world);
    it.aws.eventually("all are under way", || (it.aws.stacks().len() == STACKS).then_some(()));
    let (looks, events) = (it.aws.count("DescribeStacks"), it.aws.count("DescribeStackEvents"));
    it.aws.eventually("they are asked about a few times", || {
        (it.aws.count("DescribeStacks") >= looks + 5).then_some(())
    });
    let read = it.aws.count("DescribeStackEvents") - events;
    assert!(read < 3 * STACKS, "{read} reads of events:\n{}", it.aws.history());
    for (stack, _) in it.aws.stacks() {
        it.aws.signal(&stack, "Handle1", "SUCCESS");
    }
    it.aws.eventually("all are ready", || {
        (0..STACKS)
            .all(|n| it.world.status_or_none(&id(n)).is_some_and(|s| s["phase"] == "Ready"))
            .then_some(())
    });
    daemon.stop();
    // Each event was told once, whether it was read on the way or at the end.
    for n in 0..STACKS {
        let logs = it.world.vend(&["logs", &id(n)]).stdout;
        assert_eq!(logs.matches("CREATE_COMPLETE").count(), 3, "{logs}");
    }
    it.again_nothing();
}
