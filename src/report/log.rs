//! Lines of a request's history, one each.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::pass::Paint;
use crate::model::{Event, visible};

/// Characters of a name or state that are shown.
const NAME_MAX: usize = 200;

/// Characters of a message that are shown.
const MESSAGE_MAX: usize = 4_000;

/// For people: when (UTC), what, to what. The words of providers and files are shown escaped, so
/// that a line is a line.
pub fn terminal(event: &Event, colour: bool) -> String {
    let paint = Paint(colour);
    let (word, about) = match event.happened() {
        Some(happened) => {
            let part = &happened.happening;
            let kind = part.kind.iter().map(|kind| format!(" ({})", visible(kind, NAME_MAX)));
            let message = part.message.iter().map(|m| format!(": {}", visible(m, MESSAGE_MAX)));
            let name = format!("{}/{}", happened.component, visible(&part.what, NAME_MAX));
            (part.state.clone(), [name].into_iter().chain(kind).chain(message).collect())
        }
        None => (event.kind.clone(), visible(&event.message, MESSAGE_MAX)),
    };
    let word = format!("{:<18}", visible(&word, NAME_MAX));
    let word = match tone(event) {
        Tone::Good => paint.green(&word),
        Tone::Bad => paint.red(&word),
        Tone::Waiting => paint.yellow(&word),
        Tone::Plain => word,
    };
    format!("{}  {word}  {about}", paint.dim(&moment(event.at)))
}

/// For programs: one object a line, with the line's number.
pub fn json(n: u64, event: &Event) -> Value {
    let Event { at, request, kind, message, data } = event;
    json!({"n": n, "at": at, "request": request, "kind": kind, "message": message, "data": data})
}

/// A moment to the second, in UTC.
pub fn moment(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

enum Tone {
    Good,
    Bad,
    Waiting,
    Plain,
}

fn tone(event: &Event) -> Tone {
    if let Some(happened) = event.happened() {
        let state = &happened.happening.state;
        return match () {
            () if happened.happening.is_failure() => Tone::Bad,
            () if state.contains("ROLLBACK") => Tone::Waiting,
            () if state.ends_with("_COMPLETE") => Tone::Good,
            () => Tone::Plain,
        };
    }
    match event.kind.as_str() {
        "Created" | "Updated" | "Replaced" | "Restored" | "Deleted" | "Moved" => Tone::Good,
        "Failed" | "Refused" | "Unknown" => Tone::Bad,
        "Held" | "Drifted" => Tone::Waiting,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, Happened, Happening, RequestId, Token};

    fn own(kind: &str, message: &str) -> Event {
        Event {
            at: "2026-11-20T10:00:00.123Z".parse().unwrap(),
            request: RequestId::new("orders", "dev", "events"),
            kind: kind.into(),
            message: message.into(),
            data: Value::Null,
        }
    }

    fn part(what: &str, kind: Option<&str>, state: &str, message: Option<&str>) -> Event {
        let happening = Happening {
            at: "2026-11-20T10:00:00.123Z".parse().unwrap(),
            what: what.into(),
            kind: kind.map(str::to_owned),
            state: state.into(),
            message: message.map(str::to_owned),
        };
        let happened = Happened {
            token: Token::new("t-1"),
            component: ComponentName::new("queue"),
            happening,
        };
        Event {
            data: serde_json::to_value(happened).unwrap(),
            ..own(Event::HAPPENED, "as data says")
        }
    }

    #[test]
    fn one_line_for_each() {
        let lines = [
            own("Held", "it is protected: `delete: {confirm: events}` lets it go"),
            part("Queue", Some("AWS::SQS::Queue"), "CREATE_IN_PROGRESS", None),
            part("Queue", Some("AWS::SQS::Queue"), "CREATE_FAILED", Some("the name is taken")),
            own("Failed", "queue `vend-orders`: the name is taken"),
        ];
        let text: Vec<String> = lines.iter().map(|event| terminal(event, false)).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        2026-11-20T10:00:00Z  Held                it is protected: `delete: {confirm: events}` lets it go
        2026-11-20T10:00:00Z  CREATE_IN_PROGRESS  queue/Queue (AWS::SQS::Queue)
        2026-11-20T10:00:00Z  CREATE_FAILED       queue/Queue (AWS::SQS::Queue): the name is taken
        2026-11-20T10:00:00Z  Failed              queue `vend-orders`: the name is taken
        ");
    }

    #[test]
    fn b72_a_line_stays_a_line_and_moves_no_cursor() {
        let evil = "x\n2026-11-20T10:00:00Z  Created\u{1b}[2J\u{202e}";
        for event in [own(evil, evil), part(evil, Some(evil), evil, Some(evil))] {
            let text = terminal(&event, false);
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text}");
        }
        insta::assert_snapshot!(
            terminal(&own("Failed", evil), true),
            @"\u{1b}[2m2026-11-20T10:00:00Z\u{1b}[0m  \u{1b}[31mFailed            \u{1b}[0m  x\\n2026-11-20T10:00:00Z  Created\\u{1B}[2J\\u{202E}"
        );
    }

    #[test]
    fn programs_get_all_of_it() {
        insta::assert_snapshot!(
            json(7, &part("Queue", None, "CREATE_COMPLETE", None)),
            @r#"{"at":"2026-11-20T10:00:00.123Z","data":{"at":"2026-11-20T10:00:00.123Z","component":"queue","state":"CREATE_COMPLETE","token":"t-1","what":"Queue"},"kind":"Progress","message":"as data says","n":7,"request":"orders/dev/events"}"#
        );
    }
}
