//! How parameters of older versions become those of a version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::explain::{Part, escape};
use super::file::MigrationDocument;
use super::parameters::Parameters;
use super::request::Requirement;
use super::schema::place_in;
use crate::model::{Diagnostic, Map, Place, nearest, quote};
use crate::yaml::Node;

/// One entry of a version's `migrations`.
#[derive(Clone, PartialEq, Debug)]
pub struct Migration {
    /// The versions that it starts from.
    pub from: Requirement,
    /// Old name to new name.
    pub rename: BTreeMap<String, String>,
    /// A text into several parameters.
    pub split: BTreeMap<String, Split>,
    /// Values, whatever stood there.
    pub set: Map,
    /// Values where there is none.
    pub default: Map,
    /// Parameters that go.
    pub drop: BTreeSet<String>,
}

/// How a text becomes several parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// What stands between the parts.
    pub by: String,
    /// Where each part goes; there must be as many parts.
    pub into: Vec<String>,
}

/// Reads the migrations of one file.
pub(super) struct Reader<'a> {
    pub node: &'a Node,
    pub file: &'a Arc<str>,
    pub parameters: &'a Parameters,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Those that can be used; what is wrong with others is a problem.
    pub(super) fn migrations(&mut self, all: Vec<MigrationDocument>) -> Vec<Migration> {
        let one = |(n, document)| self.migration(&format!("/spec/migrations/{n}"), document);
        all.into_iter().enumerate().filter_map(one).collect()
    }

    fn migration(&mut self, at: &str, document: MigrationDocument) -> Option<Migration> {
        let MigrationDocument { from, rename, split, set, default, drop } = document;
        let before = self.problems.len();
        let range = Requirement::parse(&from);
        if range.is_none() {
            let message = format!("{} is neither a version nor a range of them", quote(&from));
            let place = self.place(&format!("{at}/from"), Part::Value);
            let help = "write the versions that it starts from, such as `^1` or `~1.2`";
            self.problems.push(Diagnostic::error("MIG001", place, message).help(help));
        }
        let mut written: BTreeMap<String, Place> = BTreeMap::new();
        for (old, new) in &rename {
            let pointer = format!("{at}/rename/{}", escape(old));
            self.writes(new, self.place(&pointer, Part::Value), &mut written);
            self.leaves(old, new, &pointer);
        }
        for (old, one) in &split {
            let pointer = format!("{at}/split/{}", escape(old));
            for (n, new) in one.into.iter().enumerate() {
                let place = self.place(&format!("{pointer}/into/{n}"), Part::Value);
                self.writes(new, place, &mut written);
                self.leaves(old, new, &pointer);
            }
        }
        for (field, values) in [("set", &set), ("default", &default)] {
            for name in values.keys() {
                let pointer = format!("{at}/{field}/{}", escape(name));
                self.writes(name, self.place(&pointer, Part::Key), &mut written);
            }
        }
        for (n, name) in drop.iter().enumerate() {
            let place = self.place(&format!("{at}/drop/{n}"), Part::Value);
            self.stays(name, place, &written);
        }
        for old in split.keys() {
            let place = self.place(&format!("{at}/split/{}", escape(old)), Part::Key);
            let first = match rename.iter().find(|(from, to)| *from == old || *to == old) {
                Some((from, _)) => self.place(&format!("{at}/rename/{}", escape(from)), Part::Key),
                None => continue,
            };
            let message = format!("this migration renames and splits {}", quote(old));
            let problem = Diagnostic::error("MIG003", place, message).related(first, "the other");
            self.problems.push(problem.help("keep one of them"));
        }
        let split = split.into_iter().map(|(name, s)| (name, Split { by: s.by, into: s.into }));
        let drop = drop.into_iter().collect();
        let made = Migration { from: range?, rename, split: split.collect(), set, default, drop };
        (self.problems.len() == before).then_some(made)
    }

    fn place(&self, pointer: &str, part: Part) -> Place {
        place_in(self.node, self.file, pointer, part)
    }

    /// What is written must be a parameter of this version, and be written once.
    fn writes(&mut self, name: &str, place: Place, written: &mut BTreeMap<String, Place>) {
        let known = &self.parameters.names;
        if !known.contains(name) && !self.parameters.is_open() {
            let message = format!("this version has no parameter {}", quote(name));
            let problem = Diagnostic::error("MIG002", place.clone(), message);
            self.problems.push(match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("a migration gives parameters that the schema declares"),
            });
        }
        if let Some(first) = written.insert(name.to_owned(), place.clone()) {
            let message = format!("this migration gives {} twice", quote(name));
            let problem = Diagnostic::error("MIG003", place, message).related(first, "the other");
            self.problems.push(problem.help("keep one of them"));
        }
    }

    /// What is given cannot be dropped as well: it would be lost with the value that it was given.
    fn stays(&mut self, name: &str, place: Place, written: &BTreeMap<String, Place>) {
        if let Some(first) = written.get(name) {
            let message = format!("this migration gives {} and drops it", quote(name));
            let problem = Diagnostic::error("MIG003", place, message);
            let problem = problem.related(first.clone(), "it is given here");
            self.problems.push(problem.help("keep one of them"));
        }
    }

    /// A parameter cannot become itself.
    fn leaves(&mut self, old: &str, new: &str, pointer: &str) {
        if old == new {
            let message = format!("{} would become itself", quote(old));
            let problem = Diagnostic::error("MIG003", self.place(pointer, Part::Key), message);
            self.problems.push(problem.help("take it out"));
        }
    }
}
