//! What people ask of vend in a comment: `/vend plan`, `/vend retry`, and so on.
//!
//! Only the words are read here. Who may ask is decided by whoever carries it out.

use crate::digest::Digest;
use crate::model::{Length, RequestId, Revision, escape};

/// At most so many commands of one comment are heard.
const MOST: usize = 5;

/// Lines and bytes of a comment that are looked at.
const LINES: usize = 500;
const BYTES: usize = 65_536;

/// Characters of a command that are repeated.
const ASKED: usize = 80;

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Plan again; with a commit, look at the accounts for that very one, which a fork brought.
    Plan {
        /// As 40 lower-case hexadecimal digits.
        commit: Option<Revision>,
    },
    /// Try again what failed.
    Retry {
        /// Of this request only.
        request: Option<RequestId>,
    },
    /// Let go on what is held.
    Approve {
        /// What the comment printed.
        digest: Digest,
    },
    /// Say where a request stands, and why.
    Explain {
        /// Which.
        request: RequestId,
    },
    /// Say what gives it a later end.
    Extend {
        /// Of this request only.
        request: Option<RequestId>,
        /// By how much.
        by: Length,
    },
    /// Say what can be asked.
    Help {
        /// What was asked and not understood: escaped and cut.
        unknown: Option<String>,
    },
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plan { commit: None } => write!(f, "/vend plan"),
            Self::Plan { commit: Some(commit) } => write!(f, "/vend plan {commit}"),
            Self::Retry { request: None } => write!(f, "/vend retry"),
            Self::Retry { request: Some(request) } => write!(f, "/vend retry {request}"),
            Self::Approve { digest } => write!(f, "/vend approve {digest}"),
            Self::Explain { request } => write!(f, "/vend explain {request}"),
            Self::Extend { request: None, by } => write!(f, "/vend extend {by}"),
            Self::Extend { request: Some(request), by } => write!(f, "/vend extend {request} {by}"),
            Self::Help { unknown: None } => write!(f, "/vend help"),
            Self::Help { unknown: Some(asked) } => write!(f, "{asked}"),
        }
    }
}

/// The commands of a comment, in order, each once: its lines that begin with `/vend`. What is quoted,
/// fenced, indented as code or hidden in an HTML comment was not said by its author, or was not seen.
pub fn commands(comment: &str) -> Vec<Command> {
    let mut found: Vec<Command> = Vec::new();
    for line in spoken(comment) {
        let Some(command) = command(line) else { continue };
        if !found.contains(&command) {
            found.push(command);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// The lines that an author says themselves.
fn spoken(comment: &str) -> Vec<&str> {
    let cut = comment.char_indices().map(|(n, _)| n).find(|n| *n >= BYTES);
    let comment = &comment[..cut.unwrap_or(comment.len())];
    let mut lines = Vec::new();
    // The fence that is open, and whether an HTML comment is.
    let (mut fence, mut hidden) = (None, false);
    // A quote goes on over lines without its sign until a blank one.
    let mut quoted = false;
    for line in comment.lines().take(LINES) {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let text = line.trim();
        if let Some((sign, length)) = fence {
            if ends(text, sign, length) && indent < 4 {
                fence = None;
            }
            continue;
        }
        if hidden {
            hidden = !text.contains("-->");
            continue;
        }
        if text.is_empty() {
            quoted = false;
            continue;
        }
        quoted |= text.starts_with('>');
        if quoted {
            continue;
        }
        if indent < 4
            && let Some(opened) = opening(text.trim_start_matches(['-', '*', '+', ' ']))
        {
            fence = Some(opened);
            continue;
        }
        if let Some(at) = text.rfind("<!--") {
            hidden = !text[at..].contains("-->");
            continue;
        }
        if indent < 4 && !line.starts_with('\t') {
            lines.push(text);
        }
    }
    lines
}

/// The sign and length of a fence that a line opens.
fn opening(line: &str) -> Option<(char, usize)> {
    let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == sign).count();
    // Backticks later on the line make it a code span.
    let is_span = sign == '`' && line[length..].contains('`');
    (length >= 3 && !is_span).then_some((sign, length))
}

fn ends(line: &str, sign: char, length: usize) -> bool {
    line.chars().all(|c| c == sign) && line.chars().count() >= length
}

/// A line's command; `None` when it is not spoken to vend.
fn command(line: &str) -> Option<Command> {
    let mut words = line.split_whitespace();
    if words.next()? != "/vend" {
        return None;
    }
    let words: Vec<&str> = words.take(4).collect();
    let known = match words.as_slice() {
        ["help"] | [] => Some(Command::Help { unknown: None }),
        ["plan"] => Some(Command::Plan { commit: None }),
        ["plan", commit] => revision(commit).map(|commit| Command::Plan { commit: Some(commit) }),
        ["retry"] => Some(Command::Retry { request: None }),
        ["retry", id] => RequestId::parse(bare(id)).map(|id| Command::Retry { request: Some(id) }),
        ["approve", digest] => bare(digest).parse().ok().map(|digest| Command::Approve { digest }),
        ["extend", by] => Length::parse(bare(by)).map(|by| Command::Extend { request: None, by }),
        ["extend", id, by] => RequestId::parse(bare(id))
            .zip(Length::parse(bare(by)))
            .map(|(id, by)| Command::Extend { request: Some(id), by }),
        ["explain", id] => RequestId::parse(bare(id)).map(|request| Command::Explain { request }),
        _ => None,
    };
    Some(known.unwrap_or_else(|| Command::Help { unknown: Some(escape(line, ASKED)) }))
}

/// Without the backticks that it is often pasted with.
fn bare(word: &str) -> &str {
    word.trim_matches('`')
}

/// A whole commit: a part of one could be meant for another.
fn revision(word: &str) -> Option<Revision> {
    let word = bare(word).to_ascii_lowercase();
    let whole = word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| Revision::new(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::sha256;

    fn said(comment: &str) -> Vec<String> {
        commands(comment).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_command_is_understood_with_what_it_takes() {
        let commit = "0123456789abcdef0123456789ABCDEF01234567";
        let digest = sha256(b"plan");
        let comment = format!(
            "Thanks! One more try:\n/vend retry orders/dev/events\n  /vend   plan\t{commit}  \r\n\
             /vend approve `{digest}`\n/vend explain orders/dev/events\n/vend"
        );
        let found = commands(&comment);
        let request = RequestId::parse("orders/dev/events").unwrap();
        assert_eq!(
            found,
            [
                Command::Retry { request: Some(request.clone()) },
                Command::Plan { commit: Some(Revision::new(commit.to_lowercase())) },
                Command::Approve { digest },
                Command::Explain { request },
                Command::Help { unknown: None },
            ]
        );
        let again: Vec<Command> = found.iter().flat_map(|c| commands(&c.to_string())).collect();
        assert_eq!(again, found, "what is shown can be pasted");
    }

    #[test]
    fn what_is_not_understood_asks_for_help_and_never_for_more() {
        for line in [
            "/vend paln",
            "/vend plan 0123456",
            "/vend plan a b",
            "/vend retry ../../etc",
            "/vend retry a/b/c --force",
            "/vend approve",
            "/vend approve sha256:12",
            "/vend approve main@0123456789abcdef0123456789abcdef01234567",
            "/vend explain",
            "/vend Plan",
        ] {
            assert_eq!(
                commands(line),
                [Command::Help { unknown: Some(line.to_owned()) }],
                "{line}"
            );
        }
        let long = format!("/vend {}\u{202e}", "`@a`".repeat(100));
        let [Command::Help { unknown: Some(shown) }] = &commands(&long)[..] else { panic!() };
        assert!(shown.chars().count() <= 81 && !shown.contains('`'), "{shown}");
    }

    #[test]
    fn what_was_not_said_by_its_author_is_not_heard() {
        for comment in [
            "> /vend plan",
            ">/vend plan\n/vend approve x\n still quoted",
            "```\n/vend plan\n```",
            "~~~text\n```\n/vend plan\n~~~",
            "````\n```\n/vend plan\n```\n",
            "- ```\n  /vend plan\n  ```",
            "    /vend plan",
            "\t/vend plan",
            "<!-- /vend plan -->",
            "<!--\n/vend plan\n-->",
            "please /vend plan",
            "`/vend plan`",
            "/vendor plan",
            "//vend plan",
            "- /vend plan",
            "",
        ] {
            assert_eq!(said(comment), [""; 0], "{comment}");
        }
        assert_eq!(said("> quoted\n\n/vend plan"), ["/vend plan"]);
        assert_eq!(said("```\n/vend help\n```\n/vend plan"), ["/vend plan"]);
        assert_eq!(said("<!-- x -->\n/vend plan"), ["/vend plan"]);
    }

    #[test]
    fn one_comment_asks_for_a_few_things_and_each_once() {
        assert_eq!(said(&"/vend plan\n".repeat(10_000)), ["/vend plan"]);
        let many: String = (0..100).map(|n| format!("/vend retry a/b/c{n}\n")).collect();
        assert_eq!(commands(&many).len(), MOST);
        assert!(commands(&format!("{}/vend plan", "\u{1f980}".repeat(BYTES))).is_empty());
    }

    proptest! {
        #[test]
        fn no_comment_makes_it_panic_or_ask_for_more(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "/vend", " ", "\n", "\r", "plan", "retry", "approve", "`", "```", "~~~", ">", "<!--", "-->",
                    "a/b/c", "sha256:", "é", "\u{202e}", "\t", "    ",
                ]),
                0..60,
            ),
        ) {
            let comment = pieces.concat();
            let found = commands(&comment);
            prop_assert!(found.len() <= MOST);
            for command in found {
                let text = command.to_string();
                prop_assert!(text.starts_with("/vend") && text.chars().count() <= 200);
            }
        }
    }
}
