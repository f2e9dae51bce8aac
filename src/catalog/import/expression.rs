//! Expressions of Jinja as expressions of Handlebars: a declared subset.
//!
//! Names, texts, numbers, `and` `or` `not`, comparisons, `in` a list that is written out, `is
//! defined`, and the filters `default`, `lower`, `upper`, `trim`, `join`, `replace` and `tojson`.

use std::collections::BTreeMap;

/// A piece of an expression.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Hbs {
    /// A name with its parts, such as `parameters.size`.
    Path(String),
    /// A text, a number, `true`, `false` or `null`, as Handlebars writes it.
    Literal(String),
    /// A helper with its arguments.
    Call(&'static str, Vec<Hbs>),
}

impl Hbs {
    /// As it is written inside a loop, where a name alone would be one of the item's.
    #[must_use]
    pub fn rooted(self) -> Self {
        match self {
            Self::Path(path) => Self::Path(format!("@root.{path}")),
            Self::Literal(text) => Self::Literal(text),
            Self::Call(name, arguments) => {
                Self::Call(name, arguments.into_iter().map(Self::rooted).collect())
            }
        }
    }

    /// As an argument, and as what `{{…}}` or a block holds.
    pub fn text(&self, inside: bool) -> String {
        match self {
            Self::Path(text) | Self::Literal(text) => text.clone(),
            Self::Call(name, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(|one| one.text(true)).collect();
                let call = format!("{name} {}", arguments.join(" "));
                if inside { format!("({call})") } else { call }
            }
        }
    }
}

/// What names stand for.
pub(super) trait Names {
    /// What a path is here; why it is nothing, as a sentence.
    fn name(&mut self, path: &[String]) -> Result<Hbs, String>;
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Mark(&'static str),
}

const MARKS: [&str; 20] = [
    "==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", "{", "}", "|", ",", ".", "~", "+", "-",
    "%", ":",
];

/// Reads an expression.
///
/// # Errors
/// What in it has no counterpart, as a sentence.
pub(super) fn read(text: &str, names: &mut dyn Names) -> Result<Hbs, String> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, names, depth: 0 };
    let found = reader.either()?;
    match reader.next() {
        None => Ok(found),
        Some(Token::Name(word)) if word == "if" => Err("a choice within an expression".into()),
        Some(token) => Err(format!("`{}` at this place", shown(&token))),
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Text(text) | Token::Number(text) => text.clone(),
        Token::Mark(mark) => (*mark).to_owned(),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let mut value = String::new();
            let mut chars = rest[1..].char_indices();
            let end = loop {
                match chars.next() {
                    Some((n, c)) if c == first => break n + 1 + c.len_utf8(),
                    Some((_, '\\')) => match chars.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, 't')) => value.push('\t'),
                        Some((_, c)) => value.push(c),
                        None => return Err("a text that does not end".into()),
                    },
                    Some((_, c)) => value.push(c),
                    None => return Err("a text that does not end".into()),
                }
            };
            tokens.push(Token::Text(value));
            rest = &rest[end..];
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            tokens.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        } else {
            return Err(format!("the character `{}`", first.escape_default()));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    names: &'a mut dyn Names,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, mark: &str) -> bool {
        let is_it = match self.tokens.get(self.at) {
            Some(Token::Mark(found)) => *found == mark,
            Some(Token::Name(found)) => found == mark,
            _ => false,
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn either(&mut self) -> Result<Hbs, String> {
        self.depth += 1;
        if self.depth > 12 {
            return Err("more parentheses inside one another than a template may have".into());
        }
        let mut all = vec![self.both()?];
        while self.takes("or") {
            all.push(self.both()?);
        }
        self.depth -= 1;
        Ok(many("or", all))
    }

    fn both(&mut self) -> Result<Hbs, String> {
        let mut all = vec![self.not()?];
        while self.takes("and") {
            all.push(self.not()?);
        }
        Ok(many("and", all))
    }

    fn not(&mut self) -> Result<Hbs, String> {
        let mut turned = false;
        while self.takes("not") {
            turned = !turned;
        }
        let inner = self.compared()?;
        Ok(if turned { Hbs::Call("not", vec![inner]) } else { inner })
    }

    fn compared(&mut self) -> Result<Hbs, String> {
        let left = self.joined()?;
        for (mark, helper, turned) in [
            ("==", "eq", false),
            ("!=", "ne", false),
            ("<=", "gt", true),
            (">=", "lt", true),
            ("<", "lt", false),
            (">", "gt", false),
        ] {
            if self.takes(mark) {
                let call = Hbs::Call(helper, vec![left, self.joined()?]);
                return Ok(if turned { Hbs::Call("not", vec![call]) } else { call });
            }
        }
        if self.takes("is") {
            let turned = self.takes("not");
            let test = self.next().map(|token| shown(&token)).unwrap_or_default();
            let there = Hbs::Call("ne", vec![left, Hbs::Literal("null".into())]);
            let holds = match test.as_str() {
                "defined" => !turned,
                "undefined" | "none" => turned,
                test => return Err(format!("the test `is {test}`")),
            };
            return Ok(if holds { there } else { Hbs::Call("not", vec![there]) });
        }
        let turned = self.tokens.get(self.at) == Some(&Token::Name("not".into()))
            && self.tokens.get(self.at + 1) == Some(&Token::Name("in".into()));
        self.at += usize::from(turned);
        if self.takes("in") {
            if !self.takes("[") && !self.takes("(") {
                return Err("`in` something else than a list that is written out".into());
            }
            let mut all = Vec::new();
            while !self.takes("]") && !self.takes(")") {
                all.push(Hbs::Call("eq", vec![left.clone(), self.joined()?]));
                if !self.takes(",") && !self.takes("]") && !self.takes(")") {
                    return Err("a list that does not end".into());
                } else if matches!(self.tokens.get(self.at - 1), Some(Token::Mark("]" | ")"))) {
                    break;
                }
            }
            let any = many("or", all);
            return Ok(if turned { Hbs::Call("not", vec![any]) } else { any });
        }
        Ok(left)
    }

    fn joined(&mut self) -> Result<Hbs, String> {
        let mut all = vec![self.filtered()?];
        while self.takes("~") {
            all.push(self.filtered()?);
        }
        if matches!(self.tokens.get(self.at), Some(Token::Mark("+" | "-" | "%"))) {
            return Err("arithmetic".into());
        }
        Ok(many("concat", all))
    }

    fn filtered(&mut self) -> Result<Hbs, String> {
        let mut value = self.primary()?;
        while self.takes("|") {
            let Some(Token::Name(filter)) = self.next() else { return Err("a `|` alone".into()) };
            let mut arguments = Vec::new();
            if self.takes("(") {
                while !self.takes(")") {
                    arguments.push(self.either()?);
                    if !self.takes(",") {
                        if self.takes(")") {
                            break;
                        }
                        return Err(format!("the arguments of the filter `{filter}`"));
                    }
                }
            }
            let name = match (filter.as_str(), arguments.len()) {
                ("default" | "d", 1) => "default",
                ("lower", 0) => "lower",
                ("upper", 0) => "upper",
                ("trim", 0) => "trim",
                ("join", 0) => {
                    arguments.push(Hbs::Literal("\"\"".into()));
                    "join"
                }
                ("join", 1) => "join",
                ("replace", 2) => "replace",
                ("tojson" | "to_json", 0) => "json",
                _ => return Err(format!("the filter `{filter}`")),
            };
            let all = std::iter::once(value).chain(arguments);
            value = Hbs::Call(name, all.collect());
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<Hbs, String> {
        match self.next() {
            Some(Token::Text(text)) => literal(&text),
            Some(Token::Number(text)) => Ok(Hbs::Literal(text)),
            Some(Token::Mark("(")) => {
                let inner = self.either()?;
                if self.takes(")") {
                    Ok(inner)
                } else {
                    Err("a parenthesis that stays open".into())
                }
            }
            Some(Token::Name(word)) => match word.as_str() {
                "true" | "True" => Ok(Hbs::Literal("true".into())),
                "false" | "False" => Ok(Hbs::Literal("false".into())),
                "none" | "None" => Ok(Hbs::Literal("null".into())),
                _ => self.path(word),
            },
            Some(token) => Err(format!("`{}` at this place", shown(&token))),
            None => Err("an expression that ends too early".into()),
        }
    }

    fn path(&mut self, first: String) -> Result<Hbs, String> {
        let mut path = vec![first];
        loop {
            if self.takes(".") {
                let Some(Token::Name(part)) = self.next() else {
                    return Err("a name that ends with a dot".into());
                };
                path.push(part);
            } else if self.takes("[") {
                match self.next() {
                    Some(Token::Text(part) | Token::Number(part)) => path.push(part),
                    _ => return Err("a key that is not written out".into()),
                }
                if !self.takes("]") {
                    return Err("a key that is not written out".into());
                }
            } else if self.tokens.get(self.at) == Some(&Token::Mark("(")) {
                return Err(format!("the call of `{}`", path.join(".")));
            } else {
                return self.names.name(&path);
            }
        }
    }
}

fn many(helper: &'static str, mut all: Vec<Hbs>) -> Hbs {
    if all.len() == 1 { all.remove(0) } else { Hbs::Call(helper, all) }
}

/// A text as Handlebars takes it: it has no escapes.
fn literal(text: &str) -> Result<Hbs, String> {
    if text.contains(['\n', '\r', '\\']) || text.contains("}}") {
        return Err("a text with a line break, a backslash or two closing braces".into());
    }
    match (text.contains('"'), text.contains('\'')) {
        (false, _) => Ok(Hbs::Literal(format!("\"{text}\""))),
        (true, false) => Ok(Hbs::Literal(format!("'{text}'"))),
        (true, true) => Err("a text with both kinds of quotes".into()),
    }
}

/// Names of variables that stand for something else, for loops and `set`.
pub(super) type Aliases = BTreeMap<String, Hbs>;
