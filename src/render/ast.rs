//! What a template is once it has been read.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::helper::Helper;

/// A template's text and what it says.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its path, for places.
    pub file: Arc<str>,
    /// Line ends are LF.
    pub text: String,
    pub nodes: Vec<Node>,
    /// The deepest nesting of its blocks.
    pub depth: usize,
}

/// Bytes of a unit's text.
pub(super) type Span = Range<usize>;

#[derive(Debug)]
pub(super) enum Node {
    Text(Text),
    Output(Expr),
    Block(Box<Block>),
    Partial(Box<Partial>),
}

/// What stands between tags, white-space control done.
#[derive(Debug)]
pub(super) struct Text {
    pub text: String,
    /// Where it stands; longer than the text by the backslashes of `\\{{`.
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockKind {
    If,
    Unless,
    Each,
    With,
}

impl BlockKind {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "if" => Self::If,
            "unless" => Self::Unless,
            "each" => Self::Each,
            "with" => Self::With,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::Unless => "unless",
            Self::Each => "each",
            Self::With => "with",
        }
    }
}

/// `{{#kind subject as |params|}} body {{else}} inverse {{/kind}}`
#[derive(Debug)]
pub(super) struct Block {
    pub kind: BlockKind,
    pub subject: Expr,
    pub params: Vec<String>,
    pub body: Vec<Node>,
    pub inverse: Vec<Node>,
    /// The opening tag.
    pub span: Span,
}

/// `{{> name context key=value}}`
#[derive(Debug)]
pub(super) struct Partial {
    pub name: String,
    pub context: Option<Expr>,
    pub hash: Vec<(String, Expr)>,
    /// White space before it, when it stands alone on its line.
    pub indent: String,
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum Expr {
    Path(Path),
    Literal(Value, Span),
    Call(Call),
}

/// `helper argument …`
#[derive(Debug)]
pub(super) struct Call {
    pub helper: &'static Helper,
    pub args: Vec<Expr>,
    pub span: Span,
}

/// Where a path begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Base {
    /// The current context; a single name may also be a block parameter.
    Name,
    /// `this`, so many `../` up.
    This { up: usize },
    /// `@root`
    Root,
    /// `@index` and its like, so many loops up.
    Local { up: usize, name: Local },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Local {
    Index,
    Key,
    First,
    Last,
}

#[derive(Debug)]
pub(super) struct Path {
    pub base: Base,
    pub parts: Vec<String>,
    pub span: Span,
}

impl Expr {
    /// The name of the outermost helper.
    pub fn helper(&self) -> Option<&'static str> {
        match self {
            Self::Call(call) => Some(call.helper.name),
            Self::Path(_) | Self::Literal(..) => None,
        }
    }

    /// Where it stands.
    pub fn span(&self) -> &Span {
        match self {
            Self::Path(path) => &path.span,
            Self::Literal(_, span) => span,
            Self::Call(call) => &call.span,
        }
    }
}
