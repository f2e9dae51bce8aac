//! Text into a tree: the parser is that of the crate `handlebars`, behind `guard`, and its tree
//! becomes ours.
//!
//! The crate tells where a tag begins. Where a name stands inside its tag is looked up in the tag's
//! own text: names come in the order of the tree, but for named arguments.

use std::sync::Arc;

use handlebars::template::{
    BlockParam, DecoratorTemplate, HelperTemplate, Parameter, Subexpression, Template,
    TemplateElement, TemplateMapping,
};
use serde_json::Value;

use super::ast::{Block, BlockKind, Call, Expr, Node, Partial, Span, Text, Unit};
use super::guard::{self, PROBLEMS_MAX, Tag, TagKind};
use super::helper;
use super::name::{self, Words};
use super::problem::Problem;
use super::syntax;
use crate::model::{Diagnostic, nearest, quote};

/// The most bytes of a template's source.
const SOURCE_MAX: usize = 256 * 1024;
/// The most arguments of a helper.
const ARGUMENTS_MAX: usize = 32;

/// Reads a template: its tree, as far as it can be read, and all of its problems. With any it is not to be
/// rendered, and what it reads may still be looked at.
pub(super) fn parse(file: &Arc<str>, text: &str) -> (Unit, Vec<Diagnostic>) {
    let text = text.replace("\r\n", "\n");
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let ((nodes, depth), problems) = match read(&text) {
        Ok((nodes, depth, problems)) => ((nodes, depth), problems),
        Err(problems) => ((Vec::new(), 0), problems),
    };
    let problems = problems.into_iter().take(PROBLEMS_MAX).map(|p| p.at(file, &text)).collect();
    (Unit { file: Arc::clone(file), text, nodes, depth }, problems)
}

fn read(text: &str) -> Result<(Vec<Node>, usize, Vec<Problem>), Vec<Problem>> {
    if text.len() > SOURCE_MAX {
        let message = format!("template is larger than {} KiB", SOURCE_MAX / 1024);
        let problem = Problem::new("TPL006", 0..0, message);
        return Err(vec![problem.help("split it into several files")]);
    }
    let guard::Guarded { tags, depth } = guard::guard(text)?;
    let template =
        Template::compile(text).map_err(|error| syntax::problems(text, &tags, &error))?;
    let mut reader = Reader { text, tags: &tags, next: 0, problems: Vec::new() };
    let nodes = reader.nodes(&template).unwrap_or_default();
    Ok((nodes, depth, reader.problems))
}

/// Goes through the crate's tree and the tags of the text side by side.
struct Reader<'t> {
    text: &'t str,
    tags: &'t [Tag],
    /// The tag that comes next.
    next: usize,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    /// The tree of a template; `None` when the text cannot be followed.
    fn nodes(&mut self, template: &Template) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        for (n, element) in template.elements.iter().enumerate() {
            let at = template.mapping.get(n);
            match element {
                TemplateElement::RawString(text) => nodes.extend(self.text(text)),
                TemplateElement::Expression(said) => {
                    let tag = self.tag(&[TagKind::Output], at)?;
                    let expr = expr(said, &mut Words::of(self.text, tag));
                    nodes.extend(self.keep(expr).map(Node::Output));
                }
                TemplateElement::HelperBlock(said) => {
                    let tag = self.tag(&[TagKind::Open], at)?;
                    nodes.push(self.block(said, tag)?);
                    self.tag(&[TagKind::Close], None)?;
                }
                TemplateElement::PartialExpression(said) => {
                    let tag = self.tag(&[TagKind::Partial], at)?;
                    let partial = partial(said, self.text, tag);
                    nodes.extend(self.keep(partial).map(|p| Node::Partial(Box::new(p))));
                }
                TemplateElement::Comment(_) => {
                    self.tag(&[TagKind::Comment], at)?;
                }
                // Refused before: triple braces, decorators, inline partials.
                _ => {
                    self.tag(&[], at)?;
                }
            }
        }
        Some(nodes)
    }

    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// The next tag, which must be of a kind and begin where the crate says. A text that the crate
    /// reads in another way than the guard would have been bounded for nothing, and is refused.
    fn tag(&mut self, kinds: &[TagKind], at: Option<&TemplateMapping>) -> Option<&'t Tag> {
        let tag = self.tags.get(self.next);
        self.next += 1;
        let fits = tag.is_some_and(|tag| {
            kinds.contains(&tag.kind) && at.is_none_or(|at| (at.0, at.1) == (tag.line, tag.column))
        });
        if !fits {
            let span = tag.map_or(0..0, |tag| tag.span.clone());
            self.problems.push(Problem::new("TPL007", span, "this tag cannot be read"));
            return None;
        }
        tag
    }

    /// Text between the last tag and the next, less what white-space control took.
    fn text(&self, text: &str) -> Option<Node> {
        if text.is_empty() {
            return None;
        }
        let start = self.next.checked_sub(1).and_then(|n| self.tags.get(n)).map_or(0, end);
        let end = self.tags.get(self.next).map_or(self.text.len(), |tag| tag.span.start);
        let source = self.text.get(start..end).unwrap_or_default();
        let blank = |text: &str| text.len() - text.trim_start().len();
        let skipped = match text.trim().is_empty() {
            true => source.find(text).unwrap_or(0),
            false => blank(source).saturating_sub(blank(text)),
        };
        let text = text.to_owned();
        Some(Node::Text(Text { text, span: start + skipped..end }))
    }

    fn block(&mut self, said: &HelperTemplate, tag: &Tag) -> Option<Node> {
        let head = head(said, self.text, tag);
        let head = self.keep(head);
        let body = match &said.template {
            Some(template) => self.nodes(template)?,
            None => Vec::new(),
        };
        let inverse = match &said.inverse {
            None => Vec::new(),
            Some(inverse) => match chained(inverse) {
                Some(said) => {
                    let tag = self.tag(&[TagKind::Chain], None)?;
                    vec![self.block(said, tag)?]
                }
                None => {
                    self.tag(&[TagKind::Else], None)?;
                    self.nodes(inverse)?
                }
            },
        };
        // Without a head there is a problem, and no tree.
        let (kind, subject, params) = head.unwrap_or_else(|| {
            (BlockKind::If, Expr::Literal(Value::Null, tag.span.clone()), Vec::new())
        });
        let span = tag.span.clone();
        Some(Node::Block(Box::new(Block { kind, subject, params, body, inverse, span })))
    }
}

fn end(tag: &Tag) -> usize {
    tag.span.end
}

/// The block that `else if` opens: the crate puts it into a template of its own, without a place.
fn chained(inverse: &Template) -> Option<&HelperTemplate> {
    match &inverse.elements[..] {
        [TemplateElement::HelperBlock(said)] if inverse.mapping.is_empty() => Some(said),
        _ => None,
    }
}

/// What the opening tag of a block says.
fn head(
    said: &HelperTemplate,
    text: &str,
    tag: &Tag,
) -> Result<(BlockKind, Expr, Vec<String>), Problem> {
    let mut words = Words::of(text, tag);
    let word = said.name.as_name().unwrap_or_default();
    let span = words.take(|taken| taken == word);
    let Some(kind) = BlockKind::from_name(word) else {
        let help = match nearest(word, ["if", "unless", "each", "with"]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "there are `if`, `unless`, `each` and `with`".to_owned(),
        };
        let message = format!("unknown block {}", quote(word));
        return Err(Problem::new("TPL008", span, message).help(help));
    };
    let mut args = arguments(said, &mut words)?;
    let params = match &said.block_param {
        None => Vec::new(),
        Some(BlockParam::Single(one)) => vec![one],
        Some(BlockParam::Pair((one, two))) => vec![one, two],
        Some(_) => Vec::new(),
    };
    let params: Vec<_> = params.iter().filter_map(|p| p.as_name()).map(str::to_owned).collect();
    if params.iter().any(|name| name::literal(name).is_some() || name == "this") {
        let problem = words.problem("TPL007", "expected one or two names");
        return Err(problem.help("write `as |item index|`"));
    }
    let most = if kind == BlockKind::Each { 2 } else { usize::from(kind == BlockKind::With) };
    match args.pop() {
        Some(subject) if args.is_empty() && said.hash.is_empty() && params.len() <= most => {
            Ok((kind, subject, params))
        }
        _ => {
            let problem = words.problem("TPL008", format!("`{word}` takes one value"));
            Err(problem.help(format!("write `{{{{#{word} value}}}}`")))
        }
    }
}

/// What a tag or a parenthesis holds: a helper's call, or a value.
fn expr(said: &HelperTemplate, words: &mut Words<'_>) -> Result<Expr, Problem> {
    match &said.name {
        // Alone a helper's name is read as a path.
        Parameter::Path(path) if helper::find(name::raw(path)).is_none() => words.path(path),
        Parameter::Subexpression(inner) => subexpression(inner, words),
        name => call(name.as_name().unwrap_or_default(), said, words),
    }
}

fn call(name: &str, said: &HelperTemplate, words: &mut Words<'_>) -> Result<Expr, Problem> {
    let start = words.take(|word| word == name);
    let Some(helper) = helper::find(name) else {
        let help = match nearest(name, helper::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", helper::names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown helper {}", quote(name));
        return Err(Problem::new("TPL008", start, message).help(help));
    };
    let args = arguments(said, words)?;
    let end = args.iter().map(|arg| arg.span().end).fold(start.end, usize::max);
    let span = start.start..end;
    if !said.hash.is_empty() || !helper.takes(args.len()) {
        let problem = Problem::new("TPL008", span, format!("`{name}` takes other arguments"));
        return Err(problem.help(format!("write `{}`", helper.usage)));
    }
    Ok(Expr::Call(Call { helper, args, span }))
}

fn arguments(said: &HelperTemplate, words: &mut Words<'_>) -> Result<Vec<Expr>, Problem> {
    counted(said.params.len() + said.hash.len(), words)?;
    said.params.iter().map(|param| value(param, words)).collect()
}

fn counted(arguments: usize, words: &Words<'_>) -> Result<(), Problem> {
    if arguments <= ARGUMENTS_MAX {
        return Ok(());
    }
    Err(words.problem("TPL006", format!("more than {ARGUMENTS_MAX} arguments")))
}

fn value(said: &Parameter, words: &mut Words<'_>) -> Result<Expr, Problem> {
    match said {
        Parameter::Path(path) => words.path(path),
        Parameter::Subexpression(inner) => subexpression(inner, words),
        Parameter::Literal(value) => words.literal(value),
        other => {
            let message =
                format!("expected a value, found {}", quote(other.as_name().unwrap_or("")));
            Err(words.problem("TPL007", message))
        }
    }
}

fn subexpression(said: &Subexpression, words: &mut Words<'_>) -> Result<Expr, Problem> {
    match said.as_element() {
        TemplateElement::Expression(said) => expr(said, words),
        _ => Err(words.problem("TPL007", "this tag cannot be read")),
    }
}

fn partial(said: &DecoratorTemplate, text: &str, tag: &Tag) -> Result<Partial, Problem> {
    let mut words = Words::of(text, tag);
    let name = said.name.as_name().unwrap_or_default().to_owned();
    words.take(|word| word == name);
    counted(said.params.len() + said.hash.len(), &words)?;
    if said.params.len() > 1 {
        let problem = words.problem("TPL007", "a partial takes one context");
        return Err(problem.help("name the others: `key=value`"));
    }
    let context = said.params.first().map(|param| value(param, &mut words)).transpose()?;
    // The crate's map has no order.
    let mut hash: Vec<_> = said.hash.iter().collect();
    hash.sort_by_key(|(key, _)| *key);
    let hash = (hash.into_iter())
        .map(|(key, said)| Ok((key.clone(), value(said, &mut words)?)))
        .collect::<Result<_, Problem>>()?;
    let indent = said.indent.as_deref().filter(|_| is_alone(text, &tag.span));
    let indent = indent.unwrap_or_default().to_owned();
    Ok(Partial { name, context, hash, indent, span: tag.span.clone() })
}

/// Whether a tag stands alone on its line. The crate's own answer is not public, and its `indent`
/// is there for other tags too.
fn is_alone(text: &str, tag: &Span) -> bool {
    let blank = [' ', '\t'];
    let before = text[..tag.start].trim_end_matches(blank);
    let after = &text[tag.end..];
    (before.is_empty() || before.ends_with(['\n', '\r']))
        && (after.is_empty() || after.trim_start_matches(blank).starts_with(['\n', '\r']))
}
