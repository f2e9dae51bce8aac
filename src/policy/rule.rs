//! Rules, and what they come to for one request.

use super::compile::Compiled;
use super::eval::{Outcome, evaluate};
use super::facts::{Facts, PlanFacts};
use super::value::Value;
use crate::model::{Place, Requirement};

/// `policy: [{deny, message}]`.
#[derive(Clone, Debug)]
pub struct DenyRule {
    /// The expression.
    pub deny: Compiled,
    /// Its text.
    pub text: String,
    /// What people are told.
    pub message: String,
    /// Where it is written.
    pub place: Place,
}

/// `approvals: [{when, teams, count, reason}]`.
#[derive(Clone, Debug)]
pub struct ApprovalRule {
    /// The expression; `None`: always.
    pub when: Option<Compiled>,
    /// Its text.
    pub text: String,
    /// Whose approval counts; one of them is enough.
    pub teams: Vec<String>,
    /// How many different people.
    pub count: u32,
    /// Why, for those who are asked.
    pub reason: Option<String>,
    /// Where it is written.
    pub place: Place,
}

impl ApprovalRule {
    /// What it asks for, where it does.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            rule: self.text.clone(),
            place: self.place.clone(),
            teams: self.teams.clone(),
            count: self.count,
            reason: self.reason.clone(),
            had: Vec::new(),
            undecided: None,
        }
    }
}

/// The rules of a template's version or of an environment.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What may not be.
    pub deny: Vec<DenyRule>,
    /// Who has to say yes.
    pub approvals: Vec<ApprovalRule>,
}

impl Rules {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.approvals.is_empty()
    }

    /// Those that `others` do not have in the same words.
    pub fn beyond(&self, others: &Self) -> Self {
        let mut own = self.clone();
        own.deny.retain(|rule| !others.deny.iter().any(|other| other.text == rule.text));
        own.approvals.retain(|rule| {
            let asks = |of: &ApprovalRule| (of.text.clone(), of.teams.clone(), of.count);
            !others.approvals.iter().any(|other| asks(other) == asks(rule))
        });
        own
    }
}

/// What a rule comes to, where it comes to anything.
#[derive(Clone, PartialEq, Debug)]
pub enum Finding {
    /// It may not be.
    Denied {
        /// The rule's word.
        message: String,
        /// The rule.
        place: Place,
        /// Parameters that the rule names.
        parameters: Vec<String>,
    },
    /// The rule cannot be evaluated.
    Broken {
        /// Why, as a sentence without values.
        why: String,
        /// The rule.
        place: Place,
    },
    /// Whether it may be depends on what is not known yet.
    Undecided {
        /// What that is, for people.
        what: String,
        /// The rule's word.
        message: String,
        /// The rule.
        place: Place,
    },
    /// Somebody has to say yes; or may have to, where it is undecided.
    Needs(Requirement),
}

/// Holds a request against rules. Without a plan, those that look at one are left out: they come when
/// there is one. Who approves is not asked before there is a plan either.
pub fn judge<'a>(
    rules: impl IntoIterator<Item = &'a Rules>,
    facts: &Facts,
    plan: Option<&PlanFacts>,
) -> Vec<Finding> {
    let fact = |name: &str| match name {
        "request" => facts.request.clone(),
        "parameters" => facts.parameters.clone(),
        "environment" => facts.environment.clone(),
        "template" => facts.template.clone(),
        _ => plan.map_or_else(|| Value::Unknown("the plan".into()), |plan| plan.0.clone()),
    };
    let mut findings = Vec::new();
    for rules in rules {
        for rule in &rules.deny {
            if rule.deny.uses_plan && plan.is_none() {
                continue;
            }
            let (place, message) = (rule.place.clone(), rule.message.clone());
            findings.extend(match evaluate(&rule.deny, &fact) {
                Outcome::Yes => {
                    let parameters = rule.deny.parameters.clone();
                    Some(Finding::Denied { message, place, parameters })
                }
                Outcome::No => None,
                Outcome::Unknown(what) => {
                    Some(Finding::Undecided { what: what.to_string(), message, place })
                }
                Outcome::Failed(why) => Some(Finding::Broken { why, place }),
            });
        }
        for rule in rules.approvals.iter().filter(|_| plan.is_some()) {
            let outcome = rule.when.as_ref().map_or(Outcome::Yes, |when| evaluate(when, &fact));
            let requirement =
                |undecided| Finding::Needs(Requirement { undecided, ..rule.requirement() });
            findings.extend(match outcome {
                Outcome::Yes => Some(requirement(None)),
                Outcome::No => None,
                Outcome::Unknown(what) => Some(requirement(Some(what.to_string()))),
                Outcome::Failed(why) => Some(Finding::Broken { why, place: rule.place.clone() }),
            });
        }
    }
    findings
}
