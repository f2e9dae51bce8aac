//! The helpers: pure, few, and all of them here.

use serde_json::Value;

use crate::digest::sha256;

/// A helper that templates may call.
pub(super) struct Helper {
    pub name: &'static str,
    /// How it is called, for people.
    pub usage: &'static str,
    least: usize,
    most: usize,
    /// In text that is neither YAML nor JSON its result may hold line breaks.
    pub formats: bool,
    run: fn(&[&Value]) -> Outcome,
}

/// What a helper comes to; a misuse is a sentence that shows no value.
pub(super) type Outcome = Result<Made, Misuse>;

/// What a helper gives.
#[derive(PartialEq, Debug)]
pub(super) enum Made {
    Value(Value),
    /// The argument of that number, as it is.
    Argument(usize),
    /// What the second argument names in the first, or null.
    Part,
}

/// Why it gives nothing.
#[derive(PartialEq, Debug)]
pub(super) enum Misuse {
    /// An argument is of the wrong kind.
    Argument(String),
    /// A value that must be there is not; the template's own words.
    Required(String),
    /// The result would be larger than any output may be.
    TooLarge,
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Helper {
    pub fn takes(&self, arguments: usize) -> bool {
        (self.least..=self.most).contains(&arguments)
    }

    pub fn run(&self, args: &[&Value]) -> Outcome {
        (self.run)(args)
    }
}

/// The helper of that name.
pub(super) fn find(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

/// All names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|helper| helper.name)
}

const fn helper(
    name: &'static str,
    usage: &'static str,
    takes: (usize, usize),
    run: fn(&[&Value]) -> Outcome,
) -> Helper {
    Helper { name, usage, least: takes.0, most: takes.1, formats: false, run }
}

const fn formatter(
    name: &'static str,
    usage: &'static str,
    takes: (usize, usize),
    run: fn(&[&Value]) -> Outcome,
) -> Helper {
    Helper { name, usage, least: takes.0, most: takes.1, formats: true, run }
}

static HELPERS: &[Helper] = &[
    helper("and", "and a b …", (2, 16), |a| made(a.iter().all(|v| truthy(v)))),
    helper("concat", "concat a b …", (1, 16), concat),
    helper("default", "default value fallback", (2, 2), |a| {
        Ok(Made::Argument(usize::from(a[0].is_null())))
    }),
    helper("eq", "eq a b", (2, 2), |a| made(equal(a[0], a[1]))),
    helper("gt", "gt a b", (2, 2), |a| Ok(Made::Value((order(a)?.is_gt()).into()))),
    formatter("indent", "indent spaces text", (2, 2), indent),
    helper("join", "join list separator", (2, 2), join),
    formatter("json", "json value", (1, 1), |a| made(a[0].to_string())),
    helper("lookup", "lookup map key", (2, 2), |_| Ok(Made::Part)),
    helper("lower", "lower text", (1, 1), |a| made(text(a[0])?.to_lowercase())),
    helper("lt", "lt a b", (2, 2), |a| Ok(Made::Value((order(a)?.is_lt()).into()))),
    helper("ne", "ne a b", (2, 2), |a| made(!equal(a[0], a[1]))),
    helper("not", "not value", (1, 1), |a| made(!truthy(a[0]))),
    helper("or", "or a b …", (2, 16), |a| made(a.iter().any(|v| truthy(v)))),
    formatter("properties", "properties text", (1, 1), |a| made(properties(&text(a[0])?))),
    helper("replace", "replace text from to", (3, 3), replace),
    helper("required", "required value \"message\"", (2, 2), required),
    formatter("shell", "shell text", (1, 1), shell),
    helper("slug", "slug text", (1, 1), |a| made(slug(&text(a[0])?))),
    helper("trim", "trim text", (1, 1), |a| made(text(a[0])?.trim())),
    helper("truncate-hash", "truncate-hash text length", (2, 2), truncate_hash),
    helper("upper", "upper text", (1, 1), |a| made(text(a[0])?.to_uppercase())),
];

fn made(value: impl Into<Value>) -> Outcome {
    Ok(Made::Value(value.into()))
}

fn misuse<T>(message: impl Into<String>) -> Result<T, Misuse> {
    Err(Misuse::Argument(message.into()))
}

/// What Handlebars takes for true: neither false nor null, zero or empty.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// A scalar as text; the error says what it is instead.
pub(super) fn text(value: &Value) -> Result<String, Misuse> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            misuse(format!("expected text, found {}", kind(value)))
        }
    }
}

/// What kind of value it is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// As JSON; numbers by what they are worth.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || (x.is_f64() || y.is_f64()) && x.as_f64() == y.as_f64()
        }
        _ => a == b,
    }
}

fn order(args: &[&Value]) -> Result<std::cmp::Ordering, Misuse> {
    let ordering = match (args[0], args[1]) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    ordering.ok_or_else(|| {
        let (a, b) = (kind(args[0]), kind(args[1]));
        Misuse::Argument(format!("expected two numbers or two texts, found {a} and {b}"))
    })
}

fn concat(args: &[&Value]) -> Outcome {
    let mut out = String::new();
    for arg in args {
        out.push_str(&text(arg)?);
    }
    made(out)
}

fn join(args: &[&Value]) -> Outcome {
    let Value::Array(items) = args[0] else {
        return misuse(format!("expected a list, found {}", kind(args[0])));
    };
    let items = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let separator = text(args[1])?;
    fits(items.iter().map(String::len).sum::<usize>() + items.len() * separator.len())?;
    made(items.join(&separator))
}

/// The most bytes of text that a helper makes: a few arguments may ask for gigabytes.
const MADE_MAX: usize = 4 * 1024 * 1024;

fn fits(bytes: usize) -> Result<(), Misuse> {
    if bytes > MADE_MAX { Err(Misuse::TooLarge) } else { Ok(()) }
}

fn replace(args: &[&Value]) -> Outcome {
    let (whole, from, to) = (text(args[0])?, text(args[1])?, text(args[2])?);
    if from.is_empty() {
        return misuse("expected some text to replace, found none");
    }
    fits(whole.len() + whole.matches(&from).count() * to.len())?;
    made(whole.replace(&from, &to))
}

fn required(args: &[&Value]) -> Outcome {
    let missing = args[0].is_null() || args[0].as_str().is_some_and(str::is_empty);
    if missing {
        return Err(Misuse::Required(text(args[1])?));
    }
    Ok(Made::Argument(0))
}

/// Every line after the first moves right, since the tag itself stands where the first one does.
fn indent(args: &[&Value]) -> Outcome {
    let Some(spaces) = args[0].as_u64().filter(|n| *n <= 64) else {
        return misuse("expected a number of spaces up to 64");
    };
    let margin = " ".repeat(spaces as usize);
    let text = text(args[1])?;
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(&margin);
            }
        }
        out.push_str(line);
    }
    made(out)
}

/// One word for a POSIX shell.
fn shell(args: &[&Value]) -> Outcome {
    let text = text(args[0])?;
    if text.contains('\0') {
        return misuse("a shell word cannot hold U+0000");
    }
    made(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The value of a line of a Java properties file: `java.util.Properties`, "load".
fn properties(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, c) in text.chars().enumerate() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if n == 0 => out.push_str("\\ "),
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out
}

/// Lower case letters, digits and single hyphens.
fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// Digits of the hash that tell cut names apart.
const HASH_DIGITS: usize = 10;

fn truncate_hash(args: &[&Value]) -> Outcome {
    let text = text(args[0])?;
    let least = HASH_DIGITS as u64 + 2;
    let Some(most) = args[1].as_u64().filter(|n| (least..=1024).contains(n)) else {
        return misuse(format!("expected a length from {least} to 1024"));
    };
    let most = most as usize;
    if text.chars().count() <= most {
        return made(text);
    }
    let head: String = text.chars().take(most - HASH_DIGITS - 1).collect();
    let hash = sha256(text.as_bytes()).hex();
    made(format!("{}-{}", head.trim_end_matches('-'), &hash[..HASH_DIGITS]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(name: &str, args: &[Value]) -> Outcome {
        let helper = find(name).unwrap();
        assert!(helper.takes(args.len()), "{name}");
        helper.run(&args.iter().collect::<Vec<_>>())
    }

    fn gives(name: &str, args: &[Value], expected: impl Into<Value>) {
        assert_eq!(call(name, args), made(expected), "{name}");
    }

    #[test]
    fn the_table_is_sorted_and_every_usage_begins_with_the_name() {
        assert!(names().is_sorted());
        assert!(HELPERS.iter().all(|h| h.usage.split(' ').next() == Some(h.name)));
    }

    #[test]
    fn comparisons_see_values_and_not_spellings() {
        gives("eq", &[json!(1), json!(1.0)], true);
        gives("eq", &[json!("1"), json!(1)], false);
        gives("lt", &[json!(9), json!(10)], true);
        gives("gt", &[json!("b"), json!("a")], true);
        assert!(call("lt", &[json!("9"), json!(10)]).is_err());
        gives("lt", &[json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_993_i64)], true);
    }

    #[test]
    fn text_helpers() {
        gives("lower", &[json!("ÀB")], "àb");
        gives("slug", &[json!("  Orders & Events! ")], "orders-events");
        gives("slug", &[json!("---")], "");
        gives("join", &[json!(["a", 1, true]), json!(",")], "a,1,true");
        gives("indent", &[json!(2), json!("a\nb\n\nc")], "a\n  b\n\n  c");
        gives("shell", &[json!("it's $HOME")], r"'it'\''s $HOME'");
        gives(
            "properties",
            &[json!(" a=b\né😀")],
            r" a\=b\n\u00E9\uD83D\uDE00".replacen(' ', "\\ ", 1),
        );
        gives("replace", &[json!("a.b"), json!("."), json!("-")], "a-b");
        gives("json", &[json!({"b": 1, "a": [null]})], r#"{"a":[null],"b":1}"#);
        assert!(call("upper", &[json!(null)]).is_err());
    }

    #[test]
    fn a_cut_name_stays_within_its_length_and_tells_others_apart() {
        let (a, b) = (json!("x".repeat(80) + "a"), json!("x".repeat(80) + "b"));
        let cut = |v: &Value| match call("truncate-hash", &[v.clone(), json!(63)]) {
            Ok(Made::Value(Value::String(text))) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(cut(&a).len(), 63);
        assert_ne!(cut(&a), cut(&b));
        gives("truncate-hash", &[json!("short"), json!(63)], "short");
        assert!(call("truncate-hash", &[json!("x"), json!(5)]).is_err());
    }

    #[test]
    fn default_and_required_pass_values_through() {
        assert_eq!(call("default", &[json!(null), json!(1)]), Ok(Made::Argument(1)));
        assert_eq!(call("default", &[json!(false), json!(1)]), Ok(Made::Argument(0)));
        assert_eq!(call("required", &[json!([]), json!("m")]), Ok(Made::Argument(0)));
        assert_eq!(
            call("required", &[json!(""), json!("say who")]),
            Err(Misuse::Required("say who".to_owned()))
        );
    }
}
