//! Messages to receivers in words: as JSON for programs, and as a chat takes it.

use serde_json::{Value, json};

use crate::model::{InstanceId, Message, Notice, visible};

/// Characters of a sentence that are shown.
const SENTENCE_MAX: usize = 500;

/// Who says it.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// Which vend.
    pub instance: &'a InstanceId,
    /// To which receiver, by its name.
    pub receiver: &'a str,
}

/// For programs; `docs/observability/notification.schema.json` has the shape.
pub fn json(message: &Message, from: From<'_>) -> Value {
    let Message { id, at, counts, notices, told: _ } = message;
    let events: Vec<Value> = notices.iter().map(event).collect();
    json!({
        "apiVersion": "vend.dev/v1",
        "kind": "Notification",
        "id": id,
        "at": at,
        "instance": from.instance,
        "receiver": from.receiver,
        "summary": summary(message),
        "counts": counts,
        "events": events,
        "omitted": message.omitted(),
    })
}

fn event(notice: &Notice) -> Value {
    let Notice { request, matter, over, message, since, template } = notice;
    let mut event = json!({
        "request": request,
        "team": request.team(),
        "environment": request.environment(),
        "name": request.name(),
        "event": if *over { "recovered" } else { matter.trouble.word() },
        "message": message,
    });
    if *over {
        event["was"] = json!(matter.trouble.word());
    }
    if !matter.reason.is_empty() {
        event["reason"] = json!(matter.reason);
    }
    if let Some(since) = since {
        event["since"] = json!(since);
    }
    if let Some(template) = template {
        event["template"] = json!(template);
    }
    event
}

/// For a chat that takes what Slack takes. The text stays text: no markup, no mention, no preview of links.
pub fn slack(message: &Message) -> Value {
    let mut lines = Vec::new();
    let total: usize = message.counts.values().sum();
    if total > 1 {
        lines.push(summary(message));
    }
    lines.extend(message.notices.iter().map(line));
    if message.omitted() > 0 {
        lines.push(format!("… and {} more: `vend status --not-ready`", message.omitted()));
    }
    json!({
        "text": escaped(&lines.join("\n")),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Many things in one line.
fn summary(message: &Message) -> String {
    match message.notices.first() {
        Some(only) if message.counts.values().sum::<usize>() == 1 => line(only),
        _ => {
            let each = |(word, count): (&String, &usize)| format!("{count} {word}");
            let counts: Vec<String> = message.counts.iter().map(each).collect();
            format!("vend: {}", counts.join(", "))
        }
    }
}

fn line(notice: &Notice) -> String {
    let Notice { request, matter, over, message, .. } = notice;
    let said = visible(message, SENTENCE_MAX);
    if *over {
        return format!("{request} recovered, it was {}: {said}", matter.trouble.word());
    }
    match matter.reason.as_str() {
        "" => format!("{request} {}: {said}", matter.trouble.word()),
        reason => format!("{request} {} ({reason}): {said}", matter.trouble.word()),
    }
}

/// The three characters that mean something there: with them go mentions (`<!channel>`) and links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What is said of a request that is as its file asks again.
pub fn recovered(is_gone: bool) -> &'static str {
    if is_gone { "it is gone" } else { "it is not the matter any more" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Matter, RequestId, Trouble};

    fn message(words: &str, count: usize) -> Message {
        let notice = Notice {
            request: RequestId::new("orders", "dev", "events").unwrap(),
            matter: Matter { trouble: Trouble::Held, reason: "NeedsApproval".into() },
            over: false,
            message: words.into(),
            since: None,
            template: Some("queue@1.0.0".into()),
        };
        Message {
            id: "n-1".into(),
            at: "2026-11-20T10:00:00Z".parse().unwrap(),
            counts: [("held".to_owned(), count)].into(),
            notices: vec![notice],
            told: BTreeMap::new(),
        }
    }

    #[test]
    fn hostile_words_stay_words_in_a_chat() {
        let said = slack(&message("<!channel> <@U1> & <https://evil|here>\n*now*\u{202e}", 1));
        insta::assert_snapshot!(said["text"].as_str().unwrap(), @r"orders/dev/events held (NeedsApproval): &lt;!channel&gt; &lt;@U1&gt; &amp; &lt;https://evil|here&gt;\n*now*\u{202E}");
        assert_eq!((&said["mrkdwn"], &said["unfurl_links"]), (&json!(false), &json!(false)));
        let long = slack(&message(&"x".repeat(100_000), 1));
        assert!(long["text"].as_str().unwrap().chars().count() < 600);
    }

    #[test]
    fn many_are_counted_and_the_first_ones_named() {
        let said = slack(&message("a person must approve it", 500));
        insta::assert_snapshot!(said["text"].as_str().unwrap(), @r"
        vend: 500 held
        orders/dev/events held (NeedsApproval): a person must approve it
        … and 499 more: `vend status --not-ready`
        ");
    }
}
