//! Rules and lists of types, from the files that write them.

use std::sync::Arc;

use super::explain::Part;
use super::file::{ApprovalDocument, PolicyDocument};
use super::schema::place_in;
use crate::model::{Diagnostic, Place};
use crate::policy::{Allowed, ApprovalRule, Compiled, DenyRule, Rules, Scope, compile};
use crate::yaml::Node;

/// Reads the rules of one file.
pub(super) struct Reader<'a> {
    pub node: &'a Node,
    pub file: &'a Arc<str>,
    pub scope: Scope,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn place(&self, pointer: &str) -> Place {
        place_in(self.node, self.file, pointer, Part::Value)
    }

    /// The rules that can be used; what is wrong with others is a problem.
    pub(super) fn rules(
        &mut self,
        policy: Vec<PolicyDocument>,
        approvals: Vec<ApprovalDocument>,
    ) -> Rules {
        let mut rules = Rules::default();
        for (n, PolicyDocument { deny: text, message }) in policy.into_iter().enumerate() {
            let pointer = format!("/spec/policy/{n}/deny");
            let Some(deny) = self.expression(&pointer, &text) else { continue };
            let message = message.unwrap_or_else(|| format!("a rule forbids it: {text}"));
            rules.deny.push(DenyRule { deny, text, message, place: self.place(&pointer) });
        }
        for (n, ApprovalDocument { when, teams, count, reason }) in
            approvals.into_iter().enumerate()
        {
            let entry = format!("/spec/approvals/{n}");
            let pointer = format!("{entry}/when");
            let text = when.clone().unwrap_or_else(|| "true".into());
            let when = match when.map(|when| self.expression(&pointer, &when)) {
                Some(None) => continue,
                Some(Some(when)) => Some(when),
                None => None,
            };
            let place = match when {
                Some(_) => self.place(&pointer),
                None => place_in(self.node, self.file, &entry, Part::Key),
            };
            let count = count.unwrap_or(1);
            rules.approvals.push(ApprovalRule { when, text, teams, count, reason, place });
        }
        rules
    }

    /// The list of types, where there is one. Its entries were held against the schema.
    pub(super) fn allow(&self, patterns: Option<Vec<String>>) -> Option<Allowed> {
        let place = || place_in(self.node, self.file, "/spec/allow", Part::Key);
        patterns.map(|patterns| Allowed { patterns, place: place() })
    }

    fn expression(&mut self, pointer: &str, text: &str) -> Option<Compiled> {
        match compile(text, &self.scope) {
            Ok(compiled) => Some(compiled),
            Err(mistakes) => {
                for mistake in mistakes {
                    let place = self.within(pointer, text, mistake.at);
                    let problem = Diagnostic::error("POL003", place, mistake.message);
                    self.problems.push(match mistake.help {
                        Some(help) => problem.help(help),
                        None => problem,
                    });
                }
                None
            }
        }
    }

    /// The place of a character of a scalar, where it stands in the file as it reads: plain, or in
    /// quotes without escapes. Else that of the scalar.
    fn within(&self, pointer: &str, text: &str, at: u32) -> Place {
        let place = self.place(pointer);
        let Some(node) = self.node.at(pointer) else { return place };
        let (start, end) = (node.span.start, node.span.end);
        let width = end.column.checked_sub(start.column).filter(|_| start.line == end.line);
        let length = text.chars().count() as u32;
        let before = match width {
            Some(width) if width == length => 0,
            Some(width) if width == length + 2 => 1,
            _ => return place,
        };
        Place { column: start.column + before + at.min(length.saturating_sub(1)), ..place }
    }
}
