//! A template's sources and a request's values into the files of a component.
//!
//! Sources are Handlebars, strict: a name that is not there is a problem at its line and column.
//! For YAML and JSON a value can never change the structure. Each interpolation writes a marker;
//! the text is parsed with the markers in it; values are put into the scalars that hold markers.
//! There is no second parse that a value could reach.
//!
//! Nothing here reads a file, the environment, a clock or a random number, and every loop is
//! bounded: steps, output and nesting at run time, size and partial cycles when compiling.

mod ast;
mod check;
mod compile;
mod eval;
mod fill;
mod guard;
mod helper;
mod name;
mod output;
mod parse;
mod problem;
mod reference;
mod scope;
mod shape;
mod still;
mod syntax;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::model::{Artifact, Diagnostic, Place, RequestId, Symbol};
pub use crate::model::{Slot, Source};
pub use output::digest_of;

/// Whom the rendered files are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavour {
    /// Files as they are.
    Plain,
    /// Short tags become functions, values are escaped in `Fn::Sub`, and YAML is written as JSON.
    CloudFormation,
}

/// What a template may read.
#[derive(Clone, PartialEq, Debug)]
pub struct Context {
    /// `request`: id, team, environment, name, labels.
    pub request: Value,
    /// `parameters`: every parameter that the schema declares; null where it has no value.
    pub parameters: BTreeMap<String, Slot>,
    /// `environment`: name, variables.
    pub environment: Value,
    /// `template`: name, version.
    pub template: Value,
    /// `components.<name>.outputs.<output>`, as far as it is known.
    pub components: BTreeMap<String, BTreeMap<String, Value>>,
    /// Components whose other outputs are not known yet.
    pub pending: BTreeSet<String>,
    /// Whose outputs those are.
    pub request_id: RequestId,
    /// Texts that stand for secrets: the only values that may hold one of CloudFormation's dynamic
    /// references.
    pub secrets: BTreeSet<String>,
}

/// What rendering may take. All files of a component together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Elements of the template that are run, turns of loops, calls of helpers, and one for every
    /// 64 bytes that a helper works on.
    pub steps: u64,
    /// Bytes of output.
    pub output: usize,
    /// Lists and maps inside one another, in a rendered document.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 100_000, output: 1024 * 1024, nesting: 64 }
    }
}

/// The files of a component.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Paths and texts, with their digest.
    pub artifact: Artifact,
    /// What the files wait to learn, sorted.
    pub unknown: Vec<Symbol>,
}

/// One component of one template version, ready to be rendered for any request.
#[derive(Clone, Debug)]
pub struct Compiled(Arc<compile::Program>);

/// Reads and checks the sources of a component.
///
/// `sources` are paths in the version's folder; `root` is the component's source, a folder or a
/// file, whose folder is taken off the paths of the output, as is `.hbs`. `partials` are texts by
/// name. Places name files under `file_prefix`, the version's folder, and partials under its
/// `partials/<name>.hbs`.
///
/// # Errors
/// Every problem of every source: `TPL001` to `TPL009`.
pub fn compile(
    sources: &BTreeMap<String, Source>,
    root: &str,
    partials: &BTreeMap<String, Arc<str>>,
    file_prefix: &str,
    flavour: Flavour,
) -> Result<Compiled, Vec<Diagnostic>> {
    try_compile(sources, root, partials, file_prefix, flavour).map_err(|unfit| unfit.problems)
}

/// As [`compile`], with what the sources read though they cannot be rendered.
///
/// # Errors
/// Every problem of every source, and what could be read beside them.
pub fn try_compile(
    sources: &BTreeMap<String, Source>,
    root: &str,
    partials: &BTreeMap<String, Arc<str>>,
    file_prefix: &str,
    flavour: Flavour,
) -> Result<Compiled, Unfit> {
    let program = compile::program(sources, root, partials, file_prefix, flavour)?;
    Ok(Compiled(Arc::new(program)))
}

/// Sources that cannot be rendered.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// Why not.
    pub problems: Vec<Diagnostic>,
    /// What they read, as far as that can be seen.
    pub reads: Reads,
}

/// What sources read from the context, inside conditionals too, each at the first place that reads it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reads {
    /// Paths such as `parameters.fifo`.
    pub paths: Vec<(String, Place)>,
    /// What is read of the items of a loop, which stand there as `*`: `parameters.ports.*.number`.
    pub items: Vec<(String, Place)>,
}

impl Compiled {
    /// Every path that the sources read from the context, such as `parameters.fifo`, inside
    /// conditionals too, each at the first place that reads it. What items of a loop hold is not
    /// among them.
    pub fn paths_read(&self) -> Vec<(String, Place)> {
        self.0.reads.paths.clone()
    }

    /// All that the sources read.
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// What the rendered text would be refused for, whatever the values are: found without any, with every
    /// condition as it may come.
    pub fn refused(&self) -> Vec<Diagnostic> {
        still::problems(&self.0, &Limits::default())
    }

    /// The partials that the sources include, also by way of others.
    pub fn partials_used(&self) -> BTreeSet<String> {
        check::used(&self.0.library, self.0.roots())
    }

    /// Renders the component for a request. Equal contexts give equal bytes.
    ///
    /// # Errors
    /// Every problem that was met, at the line and column of the template. No message repeats a
    /// value of the context, but for the words of `required` and the names of keys.
    pub fn render(&self, context: &Context, limits: &Limits) -> Result<Rendered, Vec<Diagnostic>> {
        output::render(&self.0, context, limits)
    }
}

/// The templates and partials of a component.
#[derive(Debug)]
struct Library {
    units: Vec<ast::Unit>,
    /// Units by the name that `{{> name}}` uses.
    partials: BTreeMap<String, usize>,
}

#[cfg(test)]
mod tests;
