//! A parsed document with its interpolations still open. It depends on the template's control flow
//! alone and not on values, so that it is kept from one render to the next.

use crate::yaml::{Ambiguity, Data, Key, Node, Span};

use super::Flavour;

/// A node of a document.
#[derive(Debug)]
pub(super) enum Shape {
    /// Nothing to fill in.
    Fixed(Node),
    /// A plain scalar that is exactly one interpolation: the value as it is.
    Typed(usize),
    Text {
        tag: Option<Box<str>>,
        words: Vec<Word>,
        sub: bool,
    },
    /// `Fn::GetAtt` written as one text, `<resource>.<attribute>`.
    GetAtt(Vec<Word>),
    List {
        tag: Option<Box<str>>,
        items: Vec<Shape>,
    },
    Map {
        tag: Option<Box<str>>,
        entries: Vec<(Vec<Word>, Shape)>,
    },
}

/// A stretch of a text.
#[derive(Debug)]
pub(super) enum Word {
    Text(String),
    Hole(usize),
}

/// A problem at a place of the rendered text.
pub(super) struct Flaw {
    pub span: Span,
    pub message: String,
    pub help: &'static str,
}

/// Reads documents for what is to be filled in.
pub(super) struct Builder<'t> {
    /// The text that was parsed.
    pub text: &'t str,
    pub mark: char,
    pub flavour: Flavour,
    pub flaws: Vec<Flaw>,
}

impl Builder<'_> {
    pub fn shape(&mut self, node: Node) -> Shape {
        self.node(node, false)
    }

    fn node(&mut self, mut node: Node, sub: bool) -> Shape {
        self.unambiguous(&node);
        if self.flavour == Flavour::CloudFormation
            && let Some(tag) = node.tag.take()
        {
            return self.short(&tag, node);
        }
        let Node { span, tag, ambiguous, plain, data } = node;
        let fixed = |tag, data| Shape::Fixed(Node { tag, ambiguous, ..Node::new(span, data) });
        match data {
            Data::String(text) if text.contains(self.mark) => {
                let words = words(&text, self.mark);
                match words[..] {
                    [Word::Hole(hole)] if tag.is_none() && !sub && self.is_plain(span) => {
                        Shape::Typed(hole)
                    }
                    _ => Shape::Text { tag, words, sub },
                }
            }
            Data::List(items) => {
                // Of `Fn::Sub`'s list the first is the text, the second what its names stand for.
                let items: Vec<_> = (items.into_iter().enumerate())
                    .map(|(n, item)| self.node(item, sub && n == 0))
                    .collect();
                if items.iter().all(|item| matches!(item, Shape::Fixed(_))) {
                    fixed(tag, Data::List(items.into_iter().filter_map(Shape::fixed).collect()))
                } else {
                    Shape::List { tag, items }
                }
            }
            Data::Map(entries) => self.map(tag, span, entries),
            data @ (Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_)) => {
                Shape::Fixed(Node { tag, ambiguous, plain, ..Node::new(span, data) })
            }
        }
    }

    fn map(&mut self, tag: Option<Box<str>>, span: Span, entries: Vec<(Key, Node)>) -> Shape {
        let mut open = false;
        let mut shapes = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let sub = self.flavour == Flavour::CloudFormation && key.name == "Fn::Sub";
            let value = self.node(value, sub);
            open |= key.name.contains(self.mark) || !matches!(value, Shape::Fixed(_));
            shapes.push((key, value));
        }
        if open {
            let entries =
                shapes.into_iter().map(|(key, value)| (words(&key.name, self.mark), value));
            return Shape::Map { tag, entries: entries.collect() };
        }
        let entries = shapes.into_iter().filter_map(|(key, value)| Some((key, value.fixed()?)));
        Shape::Fixed(Node { tag, ..Node::new(span, Data::Map(entries.collect())) })
    }

    /// A short tag as its long form.
    fn short(&mut self, tag: &str, node: Node) -> Shape {
        let name = tag.trim_start_matches('!');
        let span = node.span;
        let long = match name {
            "Ref" | "Condition" => name.to_owned(),
            _ if FUNCTIONS.contains(&name) => format!("Fn::{name}"),
            _ => {
                let message = format!("unknown tag {}", crate::model::quote(tag));
                let help = "CloudFormation has `!Ref`, `!Sub`, `!GetAtt` and others";
                self.flaws.push(Flaw { span, message, help });
                return Shape::Fixed(node);
            }
        };
        let value = match &node.data {
            Data::String(text) if name == "GetAtt" => Shape::GetAtt(words(text, self.mark)),
            _ => self.node(node, name == "Sub"),
        };
        match value {
            Shape::Fixed(value) => {
                let entry = (Key { name: long, span }, value);
                Shape::Fixed(Node::new(span, Data::Map(vec![entry])))
            }
            value => Shape::Map { tag: None, entries: vec![(vec![Word::Text(long)], value)] },
        }
    }

    /// A template says `"0777"` or `511`, and leaves no doubt which.
    fn unambiguous(&mut self, node: &Node) {
        let doubt = matches!(
            node.ambiguous,
            Some(Ambiguity::LeadingZero | Ambiguity::NotRoundTrip | Ambiguity::Sexagesimal)
        );
        if doubt && node.tag.is_none() {
            let written = node.plain.as_deref().unwrap_or_default();
            let message = format!("{} is read as another value", crate::model::quote(written));
            let help = "put it in quotes, or write the number plainly";
            self.flaws.push(Flaw { span: node.span, message, help });
        }
    }

    /// Whether a scalar that is one interpolation stands without quotes, `|` or `!!str`.
    fn is_plain(&self, span: Span) -> bool {
        let start = span.start.byte as usize;
        let before = self.text.get(..start).unwrap_or_default();
        self.text.get(start..).is_some_and(|text| text.starts_with(self.mark))
            && !before.trim_end().ends_with("!!str")
            && !opens_block(before)
    }
}

/// Whether a text ends with the header of a block scalar, such as `|-`, and its line end.
fn opens_block(before: &str) -> bool {
    let (above, margin) = before.split_at(before.trim_end_matches(['\n', ' ']).len());
    let line = above.rsplit('\n').next().unwrap_or_default();
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    let head = line.trim_end_matches(|c: char| matches!(c, '+' | '-') || c.is_ascii_digit());
    margin.contains('\n') && head.ends_with(['|', '>'])
}

impl Shape {
    fn fixed(self) -> Option<Node> {
        match self {
            Self::Fixed(node) => Some(node),
            _ => None,
        }
    }
}

/// The functions that have a short tag, without `Ref` and `Condition`. See "Intrinsic function
/// reference" in the user guide of AWS CloudFormation.
const FUNCTIONS: [&str; 18] = [
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
];

/// Cuts a text at its markers.
fn words(text: &str, mark: char) -> Vec<Word> {
    let cut = text.split(mark).enumerate().map(|(n, part)| match part.parse() {
        Ok(hole) if n % 2 == 1 => Word::Hole(hole),
        _ => Word::Text(part.to_owned()),
    });
    cut.filter(|word| !matches!(word, Word::Text(text) if text.is_empty())).collect()
}
