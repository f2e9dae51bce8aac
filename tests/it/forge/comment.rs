//! The one comment, and reactions: said once, whatever happens to the answer.

use std::time::Duration;

use vend::forge::{Forge, ForgeError, Reaction, Saying, marker};

use super::{Desk, gone, refused, unavailable, unknown};
use crate::github::Fault;

const COMMENTS: &str = "/repos/*/*/issues/*/comments";
const COMMENT: &str = "/repos/*/*/issues/comments/*";

impl Desk {
    fn marker(&self, number: u64) -> String {
        marker(&[7; 32], "plan", &self.repo(), number)
    }

    fn say(&self, number: u64, id: Option<u64>, text: &str) -> Result<u64, ForgeError> {
        let marker = self.marker(number);
        let body = format!("{marker}\n{text}\n");
        let saying = Saying { id, marker, body };
        Ok(self.run(self.forge.say(&self.repo(), number, &saying))?.id)
    }
}

#[test]
fn it_is_said_once_edited_in_place_and_left_when_it_is_as_it_should_be() {
    let desk = Desk::app();
    let n = desk.open("one");
    let id = desk.say(n, None, "first").unwrap();
    for known in [None, Some(id), Some(id + 1_000)] {
        assert_eq!(desk.say(n, known, "first").unwrap(), id);
    }
    assert_eq!(desk.writes(), 1);
    assert_eq!(desk.say(n, Some(id), "second").unwrap(), id);
    assert_eq!(desk.say(n, None, "third").unwrap(), id);
    let said = desk.hosted().comments(n);
    assert_eq!((said.len(), said[0].author.as_str()), (1, "vend[bot]"));
    assert!(said[0].body.contains("third"));
    assert_eq!(desk.writes(), 3);
}

#[test]
fn f53_a_lost_answer_makes_no_second_comment() {
    let desk = Desk::app();
    let n = desk.open("one");
    desk.hub.fault("POST", COMMENTS, Some(1), Fault::Lost);
    desk.say(n, None, "first").unwrap();
    desk.hub.fault("PATCH", COMMENT, Some(1), Fault::Lost);
    desk.say(n, None, "second").unwrap();
    let said = desk.hosted().comments(n);
    assert!(said.len() == 1 && said[0].body.contains("second"), "{said:?}");
    assert_eq!(desk.writes(), 2, "neither was repeated");
}

#[test]
fn a_write_that_did_nothing_is_made_again_once_and_unknown_after_that() {
    let desk = Desk::app();
    let n = desk.open("one");
    for fault in [Fault::Status(502), Fault::Cut] {
        desk.hub.fault("POST", COMMENTS, Some(1), fault);
    }
    unknown(&desk.say(n, None, "first"));
    assert_eq!(desk.calls("POST", "issues/*/comments"), 2);
    assert!(desk.hosted().comments(n).is_empty());
    desk.hub.fault("POST", COMMENTS, Some(1), Fault::Status(502));
    desk.say(n, None, "first").unwrap();
    assert_eq!(desk.hosted().comments(n).len(), 1);
}

#[test]
fn f52_what_was_deleted_is_said_anew_and_a_deleted_pull_request_is_gone() {
    let desk = Desk::app();
    let n = desk.open("one");
    let id = desk.say(n, None, "first").unwrap();
    desk.hosted().delete_comment("ada", id);
    let anew = desk.say(n, Some(id), "first").unwrap();
    assert_ne!(anew, id);
    assert_eq!(desk.hosted().comments(n).len(), 1);
    desk.hosted().delete_pull(n);
    gone(&desk.say(n, Some(anew), "second"));
    gone(&desk.run(desk.forge.pull(&desk.repo(), n)));
}

#[test]
fn somebody_elses_copy_of_our_marker_is_not_ours() {
    let desk = Desk::app();
    let n = desk.open("one");
    let copy = format!("{} mine now", desk.marker(n));
    let theirs = desk.hosted().comment("ada", n, &copy);
    let ours = desk.say(n, Some(theirs), "first").unwrap();
    assert_ne!(ours, theirs);
    let said = desk.hosted().comments(n);
    assert_eq!(said.iter().map(|it| it.author.as_str()).collect::<Vec<_>>(), ["ada", "vend[bot]"]);
    assert_eq!(said[0].body, copy);
}

#[test]
fn what_somebody_made_of_our_comment_is_mended_where_it_stands() {
    let desk = Desk::app();
    let n = desk.open("one");
    let id = desk.say(n, None, "first").unwrap();
    desk.hosted().edit_comment("ada", id, "all is well, merge it");
    assert_eq!(desk.say(n, Some(id), "first").unwrap(), id);
    assert!(desk.hosted().comments(n)[0].body.contains("first"));
}

#[test]
fn f51_f52_refusals_are_githubs_words() {
    let desk = Desk::app();
    let n = desk.open("one");
    let text = refused(desk.say(n, None, &"x".repeat(66_000)));
    assert!(text.contains("422") && text.contains("65536"), "{text}");
    desk.hosted().lock(n);
    let text = refused(desk.say(n, None, "first"));
    assert!(text.contains("403") && text.contains("locked"), "{text}");
}

#[test]
fn f50_a_secondary_limit_is_kept_by_what_is_said_and_not_by_what_is_read() {
    let desk = Desk::app();
    let n = desk.open("one");
    desk.hub.fault("POST", COMMENTS, Some(1), Fault::SecondaryLimit(None));
    assert_eq!(unavailable(desk.say(n, None, "first")), Some(Duration::from_secs(60)));
    let writes = desk.writes();
    let wait = unavailable(desk.say(n, None, "first")).unwrap();
    assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
    assert_eq!(desk.writes(), writes, "nobody was asked");
    desk.run(desk.forge.pull(&desk.repo(), n)).unwrap();
    desk.advance(61);
    desk.hub.fault("POST", COMMENTS, Some(1), Fault::SecondaryLimit(Some(7)));
    assert_eq!(unavailable(desk.say(n, None, "first")), Some(Duration::from_secs(7)));
    desk.advance(8);
    desk.say(n, None, "first").unwrap();
    assert_eq!(desk.hosted().comments(n).len(), 1);
}

#[test]
fn f50_forty_are_said_in_a_minute() {
    let desk = Desk::app();
    let n = desk.open("one");
    let id = desk.say(n, None, "0").unwrap();
    let until = (1..).find(|text| desk.say(n, Some(id), &text.to_string()).is_err());
    // One comes back in a second and a half, if the machine is slow.
    assert!((40..60).contains(&until.unwrap()), "{until:?}");
    assert!(unavailable(desk.say(n, Some(id), "more")).unwrap() <= Duration::from_secs(2));
    desk.advance(10);
    desk.say(n, Some(id), "more").unwrap();
}

#[test]
fn a_reaction_is_one_however_often_it_is_given() {
    let desk = Desk::app();
    let n = desk.open("one");
    let id = desk.hosted().comment("ada", n, "/vend plan");
    desk.hub.fault("POST", "/repos/*/*/issues/comments/*/reactions", Some(1), Fault::Lost);
    for with in [Reaction::Eyes, Reaction::Eyes, Reaction::ThumbsUp, Reaction::Confused] {
        desk.run(desk.forge.react(&desk.repo(), id, with)).unwrap();
    }
    let found = &desk.hosted().comments(n)[0].reactions;
    assert_eq!(*found, ["vend[bot] eyes", "vend[bot] +1", "vend[bot] confused"]);
    desk.hosted().delete_comment("ada", id);
    gone(&desk.run(desk.forge.react(&desk.repo(), id, Reaction::Eyes)));
}

#[test]
fn remarks_come_page_after_page_and_by_when_they_changed() {
    let desk = Desk::app();
    let n = desk.open("one");
    let ids: Vec<u64> =
        (0..130).map(|it| desk.hosted().comment("ada", n, &format!("{it}"))).collect();
    desk.say(n, None, "ours").unwrap();
    let all = desk.run(desk.forge.remarks(&desk.repo(), n, None)).unwrap();
    assert_eq!(all.len(), 131);
    assert_eq!(all.iter().map(|it| it.id).take(130).collect::<Vec<_>>(), ids);
    assert!(all[130].bot && !all[0].bot);
    desk.advance(100);
    desk.hosted().edit_comment("ada", ids[3], "changed");
    let since = all[130].updated + jiff::SignedDuration::from_secs(50);
    let some = desk.run(desk.forge.remarks(&desk.repo(), n, Some(since))).unwrap();
    assert_eq!(some.iter().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["changed"]);
}
