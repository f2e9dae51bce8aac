//! Bounds: whether one follows from others.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::Types;

/// Whether a bound follows from one of the older schemas, or is none for the types that they let
/// through.
pub(super) fn follows(olds: &[&Value], types: Types, key: &str, value: &Value) -> bool {
    let subject = match key {
        "minLength" | "maxLength" => Types::STRING,
        "minItems" | "maxItems" | "uniqueItems" => Types::ARRAY,
        "minProperties" | "maxProperties" => Types::OBJECT,
        _ => Types::NUMBER,
    };
    if !types.overlaps(subject) {
        return true;
    }
    let has = |key: &str, is: &dyn Fn(&Number) -> bool| {
        olds.iter().any(|old| old.get(key).and_then(Value::as_number).is_some_and(is))
    };
    if key == "uniqueItems" {
        let unique = olds.iter().any(|old| old.get(key) == Some(&Value::Bool(true)));
        return *value == Value::Bool(false)
            || unique
            || has("maxItems", &|n| n.as_u64().is_some_and(|n| n <= 1));
    }
    let Value::Number(bound) = value else { return false };
    let at_least =
        |n: &Number| matches!(order(n, bound), Some(Ordering::Greater | Ordering::Equal));
    let at_most = |n: &Number| matches!(order(n, bound), Some(Ordering::Less | Ordering::Equal));
    match key {
        "minimum" => has("minimum", &at_least) || has("exclusiveMinimum", &at_least),
        "exclusiveMinimum" => {
            has("exclusiveMinimum", &at_least)
                || has("minimum", &|n| order(n, bound) == Some(Ordering::Greater))
        }
        "maximum" => has("maximum", &at_most) || has("exclusiveMaximum", &at_most),
        "exclusiveMaximum" => {
            has("exclusiveMaximum", &at_most)
                || has("maximum", &|n| order(n, bound) == Some(Ordering::Less))
        }
        "multipleOf" => {
            let whole = bound.as_u64() == Some(1) && !types.overlaps(Types::FRACTION);
            whole || has(key, &|n| n == bound || divides(bound, n))
        }
        "minLength" | "minItems" | "minProperties" => zero(bound) || has(key, &at_least),
        _ => has(key, &at_most),
    }
}

fn zero(number: &Number) -> bool {
    number.as_u64() == Some(0)
}

fn divides(divisor: &Number, number: &Number) -> bool {
    match (divisor.as_u64(), number.as_u64()) {
        (Some(divisor), Some(number)) => divisor != 0 && number % divisor == 0,
        _ => false,
    }
}

/// Beyond this a number with a fraction is not exact any more.
const EXACT: i128 = 1 << 53;

/// How two numbers stand to each other, where that can be told exactly.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |n: &Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (a_whole, b_whole) => {
            let is_exact = |n: Option<i128>| n.is_none_or(|n| n.abs() <= EXACT);
            if !is_exact(a_whole) || !is_exact(b_whole) {
                return None;
            }
            a.as_f64()?.partial_cmp(&b.as_f64()?)
        }
    }
}
