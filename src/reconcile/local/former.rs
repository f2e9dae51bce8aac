//! Problems of an edited text that is not written, told of the text that lies there.

use std::sync::Arc;

use crate::catalog::Moved;
use crate::model::{Diagnostic, Place};
use crate::yaml::{self, Data, Node, Span};

/// The problems of `after` at the places of `before`: each where that says the same thing, by the names
/// that parameters had before `moves`, else where it names its template. What was suggested for the
/// one text is left out, since it may not suit the other.
pub fn former(
    problems: Vec<Diagnostic>,
    file: &Arc<str>,
    moves: &[Moved],
    (before, after): (&str, &str),
) -> Vec<Diagnostic> {
    let read = |text: &str| {
        let read = yaml::read(file, text.as_bytes(), &yaml::Options::request());
        read.ok().and_then(|mut documents| documents.pop())
    };
    let (Some(before), Some(after)) = (read(before), read(after)) else { return problems };
    let texts = Texts { file, before, after, moves };
    let one = |problem: Diagnostic| Diagnostic {
        place: texts.place(&problem.place),
        related: problem
            .related
            .iter()
            .map(|(at, label)| (texts.place(at), label.clone()))
            .collect(),
        fix: None,
        ..problem
    };
    problems.into_iter().map(one).collect()
}

struct Texts<'a> {
    file: &'a Arc<str>,
    before: Node,
    after: Node,
    moves: &'a [Moved],
}

impl Texts<'_> {
    fn place(&self, place: &Place) -> Place {
        if place.file != *self.file || *place == Place::file(Arc::clone(self.file)) {
            return place.clone();
        }
        let (at, is_key) = pointer(&self.after, String::new(), place);
        let same = self.was(&at).and_then(|at| match is_key {
            true => Some(self.before.key_at(&at)?.span),
            false => Some(self.before.at(&at)?.span),
        });
        let asked = || self.before.at("/spec/template").map(|node| node.span);
        same.or_else(asked).unwrap_or(self.before.span).place(self.file)
    }

    /// The pointer by the names of before; `None`: nothing was there.
    fn was(&self, at: &str) -> Option<String> {
        let parts: Vec<&str> = at.split('/').collect();
        let ["", "spec", section @ ("parameters" | "references" | "secrets"), name, rest @ ..] =
            parts.as_slice()
        else {
            return Some(at.to_owned());
        };
        let mut former = name.replace("~1", "/").replace("~0", "~");
        for moved in self.moves.iter().rev() {
            match moved {
                Moved::Renamed { from, to } if *to == former => former.clone_from(from),
                Moved::Split { from, into } if into.contains(&former) => former.clone_from(from),
                Moved::Defaulted(given) if *given == former => return None,
                Moved::Renamed { .. }
                | Moved::Split { .. }
                | Moved::Defaulted(_)
                | Moved::Set(_)
                | Moved::Dropped(_) => {}
            }
        }
        let below: String = rest.iter().map(|part| format!("/{part}")).collect();
        Some(format!("/spec/{section}/{}{below}", yaml::token(&former)))
    }
}

/// What stands at a place, as a JSON pointer, and whether it is that one's key.
fn pointer(node: &Node, at: String, place: &Place) -> (String, bool) {
    let start = (place.line, place.column);
    let from = |span: Span| (span.start.line, span.start.column);
    let holds = |span: Span| {
        let end = (span.end.line, span.end.column);
        from(span) == start || (from(span) < start && start < end)
    };
    match &node.data {
        Data::Map(entries) => {
            for (key, value) in entries {
                let below = || format!("{at}/{}", yaml::token(&key.name));
                if from(key.span) == start {
                    return (below(), true);
                }
                if holds(value.span) {
                    return pointer(value, below(), place);
                }
            }
        }
        Data::List(items) => {
            if let Some(n) = items.iter().position(|item| holds(item.span)) {
                return pointer(&items[n], format!("{at}/{n}"), place);
            }
        }
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => {}
    }
    (at, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "spec:\n  template: db@1.0.0\n  parameters:\n    endpoint: a:b   # x\n    days: {most: 400}\n    zone: a\n";
    const AFTER: &str = "spec:\n  template: db@2.0.0\n  parameters:\n    host: a\n    port: b\n    time: {most: 400}\n    zone: a\n    tier: gold\n";

    #[test]
    fn a_place_is_told_of_what_lies_there() {
        let file: Arc<str> = "a.yaml".into();
        let moves = [
            Moved::Renamed { from: "days".into(), to: "time".into() },
            Moved::Split { from: "endpoint".into(), into: vec!["host".into(), "port".into()] },
            Moved::Defaulted("tier".into()),
        ];
        let told = |line, column| {
            let place = Place {
                line,
                column,
                end_line: line,
                end_column: column + 1,
                ..Place::file(file.clone())
            };
            let problem = Diagnostic::error("X001", place.clone(), "x").fix(place, "y");
            let told = former(vec![problem], &file, &moves, (BEFORE, AFTER)).remove(0);
            assert_eq!(told.fix, None);
            (told.place.line, told.place.column, told.place.end_column)
        };
        assert_eq!(told(2, 13), (2, 13, 21));
        assert_eq!(told(5, 11), (4, 15, 18), "a part of what was split");
        assert_eq!(told(6, 18), (5, 18, 21), "deep inside of what is called otherwise");
        assert_eq!(told(6, 5), (5, 5, 9), "its key");
        assert_eq!(told(7, 11), (6, 11, 12));
        assert_eq!(told(8, 5), (2, 13, 21), "what was not there");
        let elsewhere = Diagnostic::error("X001", Place::file("b.yaml"), "x");
        assert_eq!(former(vec![elsewhere.clone()], &file, &moves, (BEFORE, AFTER)), [elsewhere]);
    }
}
