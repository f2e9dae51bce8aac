//! Rules that somebody wrote, over the facts of one request.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use vend::model::{Place, Step};
use vend::policy::{
    ApprovalRule, DenyRule, Facts, Finding, PlanFacts, Rules, Scope, Value, compile, judge, plan,
};

const PARAMETERS: [&str; 4] = ["size", "name", "list", "later"];

/// `later` is what an apply will tell.
fn facts(later: Value) -> Facts {
    let request = json!({
        "id": "orders/prod/a", "team": "orders", "environment": "prod", "name": "a",
        "labels": {"service": "orders"}, "protect": false, "reason": null, "adopt": false,
    });
    Facts {
        request: Value::json(&request),
        parameters: Value::map([
            ("size", Value::Int(14)),
            ("name", Value::Null),
            ("list", Value::List(vec![Value::text("a"), later.clone()].into())),
            ("later", later),
        ]),
        environment: Value::json(&json!({"name": "prod", "variables": {"tier": 1}})),
        template: Value::json(&json!({"name": "q", "version": "1.0.0", "lifecycle": "stable"})),
        waits: Vec::new(),
    }
}

/// What a rule comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    True,
    False,
    Undecided,
    Broken,
}

/// As a rule that denies has it, and as one that asks for approval does: the two agree.
fn is(rules: &Rules, facts: &Facts, plan: &PlanFacts) -> Is {
    let found = judge([rules], facts, Some(plan));
    assert_eq!(found, judge([rules], facts, Some(plan)));
    let mut is = (Is::False, Is::False);
    for finding in found {
        match finding {
            Finding::Denied { .. } => is.0 = Is::True,
            Finding::Undecided { .. } => is.0 = Is::Undecided,
            Finding::Needs(need) if need.undecided.is_some() => is.1 = Is::Undecided,
            Finding::Needs(_) => is.1 = Is::True,
            Finding::Broken { why, .. } => {
                assert!(!why.contains(|c: char| c.is_control()), "{why:?}");
                // The one that denies comes first.
                if is.0 == Is::False { is.0 = Is::Broken } else { is.1 = Is::Broken }
            }
        }
    }
    assert_eq!(is.0, is.1);
    is.0
}

/// What is said of an expression lies in it, and what is decided before all is known is not decided
/// otherwise once it is.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let names: BTreeSet<String> = PARAMETERS.map(str::to_owned).into();
    for parameters in [Some(Arc::new(names)), None] {
        let compiled = match compile(text, &Scope { parameters }) {
            Ok(compiled) => compiled,
            Err(mistakes) => {
                assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    let said = format!("{} {}", mistake.message, mistake.help.unwrap_or_default());
                    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
                    assert!(mistake.at as usize <= text.chars().count(), "{said}");
                }
                continue;
            }
        };
        let place = Place::file("rules.yaml");
        let deny = DenyRule {
            deny: compiled.clone(),
            text: text.into(),
            message: "no".into(),
            place: place.clone(),
        };
        let when = ApprovalRule {
            when: Some(compiled),
            text: text.into(),
            teams: vec!["platform".into()],
            count: 1,
            reason: None,
            place,
        };
        let rules = Rules { deny: vec![deny], approvals: vec![when] };
        let plan = plan(std::iter::empty(), &|_: &Step| None);
        let before = is(&rules, &facts(Value::Unknown("what it waits for".into())), &plan);
        let values = [
            Value::text("vpc-1"),
            Value::text(""),
            Value::Int(14),
            Value::Double(0.5),
            Value::Bool(true),
            Value::Null,
            Value::List(vec![Value::text("a")].into()),
            Value::map([("a", Value::Int(1))]),
        ];
        for later in values {
            let after = is(&rules, &facts(later.clone()), &plan);
            assert_ne!(after, Is::Undecided, "{later:?}: nothing is unknown any more");
            // A rule that breaks denies, so it takes nothing back that was allowed in good faith.
            let stands = match before {
                Is::True | Is::False => after == before || after == Is::Broken,
                Is::Broken | Is::Undecided => true,
            };
            assert!(stands, "{later:?}: {before:?} became {after:?}");
        }
    }
}
