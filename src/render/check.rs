//! What can be known of templates before they run: partials, cycles, nesting, and what they read.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Base, BlockKind, Expr, Node, Partial, Path, Span};
use super::guard::BLOCKS_MAX;
use super::problem::{Problem, place};
use super::scope::ROOTS;
use super::{Library, Reads};
use crate::model::{Diagnostic, nearest, quote};

/// The most blocks and partials inside one another.
const DEPTH_MAX: usize = 2 * BLOCKS_MAX;
/// What stands for any item of a list, or any value of a map, in a path.
pub(super) const ITEM: &str = "*";
/// The most elements that all uses of all partials come to.
const ELEMENTS_MAX: usize = 100_000;

/// What the units `roots` read, and the problems of all units.
pub(super) fn check(
    library: &Library,
    roots: impl Iterator<Item = usize>,
) -> (Reads, Vec<Diagnostic>) {
    let mut problems = names(library);
    let cycles = cycles(library);
    // Only acyclic partials are walked below.
    if !cycles.is_empty() {
        problems.extend(cycles);
        return (Reads::default(), problems);
    }
    let mut walker = Walker { library, unit: 0, elements: 0, paths: BTreeMap::new(), problems };
    for unit in roots {
        walker.unit = unit;
        walker.nodes(&library.units[unit].nodes, &mut Scopes::root(), 0);
    }
    let Walker { paths, problems, .. } = walker;
    let located = |(path, (unit, span)): (String, (usize, Span))| {
        let unit = &library.units[unit];
        (path, place(&unit.file, &unit.text, &span))
    };
    let (items, paths) =
        paths.into_iter().map(located).partition(|(path, _)| path.split('.').any(|p| p == ITEM));
    (Reads { paths, items }, problems)
}

/// Every partial of some nodes.
fn partials<'n>(nodes: &'n [Node], found: &mut Vec<&'n Partial>) {
    for node in nodes {
        match node {
            Node::Partial(partial) => found.push(partial),
            Node::Block(block) => {
                partials(&block.body, found);
                partials(&block.inverse, found);
            }
            Node::Text(_) | Node::Output(_) => {}
        }
    }
}

/// The partials that the units `roots` include, by whatever way.
pub(super) fn used(library: &Library, roots: impl Iterator<Item = usize>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut next: Vec<usize> = roots.collect();
    while let Some(unit) = next.pop() {
        let mut found = Vec::new();
        partials(&library.units[unit].nodes, &mut found);
        for partial in found {
            let Some(unit) = library.partials.get(&partial.name) else { continue };
            if used.insert(partial.name.clone()) {
                next.push(*unit);
            }
        }
    }
    used
}

fn names(library: &Library) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for unit in &library.units {
        let mut used = Vec::new();
        partials(&unit.nodes, &mut used);
        for partial in used.iter().filter(|p| !library.partials.contains_key(&p.name)) {
            let message = format!("no partial of the name {}", quote(&partial.name));
            let near = nearest(&partial.name, library.partials.keys().map(String::as_str));
            let problem = Problem::new("TPL001", partial.span.clone(), message);
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "partials are the files of the folder `partials/`".to_owned(),
            };
            problems.push(problem.help(help).at(&unit.file, &unit.text));
        }
    }
    problems
}

/// Partials that include themselves, by whatever way.
fn cycles(library: &Library) -> Vec<Diagnostic> {
    let mut uses = vec![Vec::new(); library.units.len()];
    for (unit, uses) in library.units.iter().zip(&mut uses) {
        let mut used = Vec::new();
        partials(&unit.nodes, &mut used);
        uses.extend(used.iter().filter_map(|p| Some((*library.partials.get(&p.name)?, *p))));
    }
    // Without recursion, since the chain may be as long as there are partials.
    let mut done = vec![false; uses.len()];
    let mut problems = Vec::new();
    for start in 0..uses.len() {
        let mut way = vec![(start, 0)];
        while let Some((unit, next)) = way.last_mut() {
            let at = *unit;
            let Some((to, partial)) = uses[at].get(*next).filter(|_| !done[at]) else {
                done[at] = true;
                way.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = way.iter().position(|(unit, _)| unit == to) {
                let name = |unit: usize| {
                    library
                        .partials
                        .iter()
                        .find(|(_, u)| **u == unit)
                        .map(|(name, _)| name.as_str())
                };
                let mut chain: Vec<_> = way[from..].iter().filter_map(|(u, _)| name(*u)).collect();
                chain.push(&partial.name);
                let message = format!("partials include one another: {}", chain.join(" → "));
                let problem = Problem::new("TPL002", partial.span.clone(), message);
                let unit = &library.units[at];
                problems.push(problem.at(&unit.file, &unit.text));
            } else if !done[*to] {
                way.push((*to, 0));
            }
        }
    }
    problems
}

/// A path from the root of the context, where it is known.
type Known = Option<Vec<String>>;

/// What names stand for, as far as can be known.
struct Scopes {
    scopes: Vec<Static>,
}

struct Static {
    this: Known,
    names: Vec<(String, Known)>,
    loops: bool,
}

impl Scopes {
    fn root() -> Self {
        let this = Some(Vec::new());
        Self { scopes: vec![Static { this, names: Vec::new(), loops: false }] }
    }

    fn this(&self, up: usize) -> Option<&Known> {
        let n = self.scopes.len().checked_sub(up + 1)?;
        Some(&self.scopes[n].this)
    }

    fn named(&self, name: &str) -> Option<&Known> {
        let mut scopes = self.scopes.iter().rev();
        scopes.find_map(|s| s.names.iter().find(|(n, _)| n == name)).map(|(_, known)| known)
    }
}

struct Walker<'l> {
    library: &'l Library,
    unit: usize,
    elements: usize,
    paths: BTreeMap<String, (usize, Span)>,
    problems: Vec<Diagnostic>,
}

impl<'l> Walker<'l> {
    fn problem(&mut self, problem: Problem) {
        let unit = &self.library.units[self.unit];
        let found = problem.at(&unit.file, &unit.text);
        if !self.problems.contains(&found) {
            self.problems.push(found);
        }
    }

    fn nodes(&mut self, nodes: &'l [Node], scopes: &mut Scopes, depth: usize) {
        for node in nodes {
            self.elements += 1;
            if self.elements > ELEMENTS_MAX {
                return;
            }
            match node {
                Node::Text(_) => {}
                Node::Output(expr) => {
                    self.expr(expr, scopes);
                }
                Node::Block(block) => {
                    let subject = self.expr(&block.subject, scopes);
                    let deeper = depth + 1;
                    if deeper > DEPTH_MAX {
                        return self.too_deep(block.span.clone());
                    }
                    let pushed = match block.kind {
                        BlockKind::If | BlockKind::Unless => None,
                        BlockKind::With => Some((subject, false)),
                        BlockKind::Each => {
                            let item = |whole: Vec<String>| [whole, vec![ITEM.to_owned()]].concat();
                            Some((subject.map(item), true))
                        }
                    };
                    if let Some((this, loops)) = pushed {
                        let mut names = Vec::new();
                        for (n, name) in block.params.iter().enumerate() {
                            let known = if n == 0 { this.clone() } else { None };
                            names.push((name.clone(), known));
                        }
                        scopes.scopes.push(Static { this, names, loops });
                        self.nodes(&block.body, scopes, deeper);
                        scopes.scopes.pop();
                    } else {
                        self.nodes(&block.body, scopes, deeper);
                    }
                    self.nodes(&block.inverse, scopes, deeper);
                }
                Node::Partial(partial) => self.partial(partial, scopes, depth),
            }
        }
    }

    fn too_deep(&mut self, span: Span) {
        let message = format!("more than {DEPTH_MAX} blocks and partials inside one another");
        self.problem(Problem::new("TPL006", span, message));
    }

    fn partial(&mut self, partial: &'l Partial, scopes: &mut Scopes, depth: usize) {
        let this = match &partial.context {
            Some(expr) => self.expr(expr, scopes),
            None => scopes.this(0).cloned().flatten(),
        };
        let hash: Vec<_> =
            partial.hash.iter().map(|(name, e)| (name.clone(), self.expr(e, scopes))).collect();
        let Some(&unit) = self.library.partials.get(&partial.name) else { return };
        let inner = &self.library.units[unit];
        if depth + 1 + inner.depth > DEPTH_MAX {
            return self.too_deep(partial.span.clone());
        }
        let caller = std::mem::replace(&mut self.unit, unit);
        let mut scopes = Scopes { scopes: vec![Static { this, names: hash, loops: false }] };
        self.nodes(&inner.nodes, &mut scopes, depth + 1);
        self.unit = caller;
        if self.elements > ELEMENTS_MAX {
            let message = "partials include too many others";
            self.problem(Problem::new("TPL006", partial.span.clone(), message));
        }
    }

    /// Notes what an expression reads; its own path, where it is one that is known.
    fn expr(&mut self, expr: &'l Expr, scopes: &Scopes) -> Known {
        match expr {
            Expr::Literal(..) => None,
            Expr::Call(call) => {
                for arg in &call.args {
                    self.expr(arg, scopes);
                }
                None
            }
            Expr::Path(path) => self.path(path, scopes),
        }
    }

    fn path(&mut self, path: &'l Path, scopes: &Scopes) -> Known {
        let (start, parts): (Known, _) = match &path.base {
            Base::Root => (Some(Vec::new()), &path.parts[..]),
            Base::Local { up, .. } => {
                if scopes.scopes.iter().filter(|scope| scope.loops).count() <= *up {
                    self.nothing(path, "it is known only inside `each`");
                }
                return None;
            }
            Base::This { up } => match scopes.this(*up) {
                Some(known) => (known.clone(), &path.parts[..]),
                None => {
                    self.nothing(path, "there are fewer blocks around it");
                    return None;
                }
            },
            Base::Name => match scopes.named(&path.parts[0]) {
                Some(known) => (known.clone(), &path.parts[1..]),
                None => (scopes.this(0)?.clone(), &path.parts[..]),
            },
        };
        let mut whole = start?;
        whole.extend(parts.iter().cloned());
        let root = whole.first()?;
        if !ROOTS.contains(&root.as_str()) {
            let message = format!("unknown name {}", quote(root));
            let help = match nearest(root, ROOTS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", ROOTS.join(", ")),
            };
            self.problem(Problem::new("TPL003", path.span.clone(), message).help(help));
            return None;
        }
        self.paths.entry(whole.join(".")).or_insert((self.unit, path.span.clone()));
        Some(whole)
    }

    fn nothing(&mut self, path: &Path, help: &str) {
        let unit = &self.library.units[self.unit];
        let message = format!("{} is not there", quote(&unit.text[path.span.clone()]));
        self.problem(Problem::new("TPL003", path.span.clone(), message).help(help));
    }
}
