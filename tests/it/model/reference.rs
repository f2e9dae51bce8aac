//! What stands once nothing is in the way any more: a few rules over a handful of names, which know
//! nothing of commits, plans, tokens, stores or faults.

use std::collections::{BTreeMap, BTreeSet};

pub type Id = &'static str;

/// What a request file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    pub value: u16,
    pub protect: bool,
    /// Permits its deletion.
    pub confirm: bool,
    pub suspend: bool,
    pub broken: bool,
    /// `movedFrom`.
    pub from: Option<Id>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Made {
    value: u16,
    protect: bool,
    confirm: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Word {
    Ready,
    Suspended,
    Held(&'static str),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Question {
    /// These go.
    Deletions(BTreeSet<Id>),
    /// The first went, and the second is another thing.
    NoMove(Id, Id),
}

/// What is there at rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// What each request that is known stands at.
    pub words: BTreeMap<Id, Word>,
    /// What is there in the world.
    pub things: BTreeMap<Id, u16>,
}

#[derive(Clone, Default)]
pub struct Reference {
    files: BTreeMap<Id, File>,
    made: BTreeMap<Id, Made>,
    /// All that was ever seen, in its order.
    views: Vec<BTreeMap<Id, File>>,
    went: BTreeMap<Id, usize>,
    /// Those that were held as what may have moved.
    suspects: BTreeSet<Id>,
    stopped: Vec<BTreeSet<Id>>,
    /// The files that were wholly applied last.
    settled: BTreeMap<Id, File>,
    /// Those that went, with those that say that they were these and have something of their own.
    claims: BTreeSet<(Id, Id)>,
    yes: BTreeSet<Question>,
    asked: BTreeSet<Question>,
}

fn team(id: Id) -> &'static str {
    id.split('/').next().unwrap()
}
fn name(id: Id) -> &'static str {
    id.rsplit('/').next().unwrap()
}

impl Reference {
    /// The files as a pass sees them.
    pub fn see(&mut self, files: &BTreeMap<Id, File>) {
        let gone = self.files.keys().filter(|id| !files.contains_key(*id));
        self.went.extend(gone.map(|id| (*id, self.views.len())));
        self.went.retain(|id, _| !files.contains_key(id));
        self.views.push(files.clone());
        self.files.clone_from(files);
    }

    pub fn approve(&mut self) {
        self.yes.append(&mut self.asked);
    }

    pub fn is_made(&self, id: Id) -> bool {
        self.made.contains_key(id)
    }

    pub fn rest(&mut self) -> Rest {
        self.asked.clear();
        let mut held: BTreeMap<Id, &'static str> = BTreeMap::new();
        self.moves(&mut held);
        self.alike(&mut held);
        self.delete(&mut held);
        self.apply(&held);
        self.suspects =
            held.iter().filter(|(_, why)| **why == "LooksLikeAMove").map(|(id, _)| *id).collect();
        let (made, files) = (&self.made, &self.files);
        self.yes.retain(|question| match question {
            Question::Deletions(set) => {
                set.iter().any(|id| made.contains_key(id) && !files.contains_key(id))
            }
            Question::NoMove(old, new) => made.contains_key(old) && !made.contains_key(new),
        });
        let stands = |file: &File, id: Id| match held.get(id) {
            _ if file.broken => Word::Held("Invalid"),
            Some(why) => Word::Held(why),
            None if file.suspend && !self.is_so(id) => Word::Suspended,
            None => Word::Ready,
        };
        let files = self.files.iter().map(|(id, file)| (*id, stands(file, id)));
        let gone = self.made.keys().filter(|id| !self.files.contains_key(*id));
        let gone = gone.map(|id| (*id, Word::Held(held[id])));
        Rest {
            words: files.chain(gone).collect(),
            things: self.made.iter().map(|(id, made)| (*id, made.value)).collect(),
        }
    }

    fn is_so(&self, id: Id) -> bool {
        self.made.get(id).is_some_and(|made| made.value == self.files[id].value)
    }

    fn gone(&self) -> Vec<Id> {
        self.made.keys().filter(|id| !self.files.contains_key(*id)).copied().collect()
    }

    /// Files which nothing was made of yet.
    fn unmade(&self, is: impl Fn(&File) -> bool) -> Vec<Id> {
        let new = self.files.iter().filter(|(id, file)| !self.made.contains_key(*id) && is(file));
        new.map(|(id, _)| *id).collect()
    }

    fn ask(&mut self, question: Question) -> bool {
        let is_said = self.yes.contains(&question);
        if !is_said {
            self.asked.insert(question);
        }
        !is_said
    }

    /// `movedFrom` carries what was made to the new name, if one alone says so.
    fn moves(&mut self, held: &mut BTreeMap<Id, &'static str>) {
        for old in self.gone() {
            let says = |file: &File| file.from == Some(old) && !file.broken;
            match self.unmade(says).as_slice() {
                [] => {
                    // One that has something of its own cannot take another's. What it said when that was
                    // last as it should be is no word about what went later.
                    let mut claims =
                        self.files.iter().filter(|(_, file)| says(file)).map(|(id, _)| *id);
                    let is_new = |id: &Id| {
                        self.settled.get(id) != self.files.get(id)
                            || self.claims.contains(&(old, *id))
                    };
                    if let Some(claims) = claims.find(is_new) {
                        self.claims.insert((old, claims));
                        if self.ask(Question::NoMove(old, claims)) {
                            held.insert(old, "LooksLikeAMove");
                        }
                    }
                }
                [new] => {
                    let made = self.made.remove(old).unwrap();
                    self.made.insert(new, made);
                }
                several => {
                    held.insert(old, "LooksLikeAMove");
                    held.extend(several.iter().map(|new| (*new, "Invalid")));
                }
            }
        }
        for new in self.unmade(|file| !file.broken && file.from.is_some()) {
            let stands = |old: Id| self.files.contains_key(old);
            if self.files[new].from.is_some_and(stands) {
                held.insert(new, "LooksLikeAMove");
            }
        }
    }

    /// What went while something like it came is held together with that.
    fn alike(&mut self, held: &mut BTreeMap<Id, &'static str>) {
        for old in self.gone() {
            // Of several that say so, none is right before one is left.
            if self.unmade(|file| file.from == Some(old) && !file.broken).len() > 1 {
                continue;
            }
            let (value, went) = (self.made[old].value, self.went[old]);
            let astray = |file: &File| file.from.is_some_and(|from| !self.is_known(from));
            let mut alike =
                self.unmade(|file| !file.broken && (file.value == value || astray(file)));
            alike.retain(|new| !self.lay_there(new, went));
            let near = |new: &Id| team(new) == team(old) || name(new) == name(old);
            let later = |new: &Id| !self.views[went].contains_key(new);
            let of = |is: &dyn Fn(&Id) -> bool| -> Vec<Id> {
                alike.iter().copied().filter(|new| is(new)).collect()
            };
            let with = of(&|new| !later(new) && near(new));
            let others = of(&|new| !later(new));
            let alike = match (with.is_empty(), others.is_empty(), self.suspects.contains(old)) {
                (false, _, _) => with,
                (true, true, true) => of(&near),
                (true, _, _) => others,
            };
            for new in alike {
                if self.ask(Question::NoMove(old, new)) {
                    held.extend([old, new].map(|id| (id, "LooksLikeAMove")));
                }
            }
            // One question at a time.
            if held.contains_key(old) {
                continue;
            }
            let mut unread = self.unmade(|file| file.broken);
            unread.retain(|new| team(new) == team(old) && !self.lay_there(new, went));
            if unread.into_iter().any(|new| self.ask(Question::NoMove(old, new))) {
                held.insert(old, "LooksLikeAMove");
            }
        }
    }

    /// Whether a new file, of which nothing could come, lay there already when another went.
    fn lay_there(&self, new: Id, went: usize) -> bool {
        let at = |view: usize| self.views.get(view).and_then(|files| files.get(new));
        let file = &self.files[new];
        let then = at(went);
        went > 0
            && then.is_some()
            && then == at(went - 1)
            && (file.suspend && !file.broken
                || file.broken && then.is_some_and(|f| f.from.is_none()))
    }

    fn is_known(&self, id: Id) -> bool {
        self.made.contains_key(id) || self.files.contains_key(id)
    }

    fn delete(&mut self, held: &mut BTreeMap<Id, &'static str>) {
        for id in self.gone() {
            let last = self.views[self.went[id] - 1].get(id).filter(|file| !file.broken);
            let made = self.made[id];
            let protect = made.protect || last.is_some_and(|file| file.protect);
            let confirm = made.confirm || last.is_some_and(|file| file.confirm);
            if protect && !confirm {
                held.entry(id).or_insert("Protected");
            }
        }
        let free: BTreeSet<Id> =
            self.gone().into_iter().filter(|id| !held.contains_key(id)).collect();
        let of = |team_of: &str, ids: &mut dyn Iterator<Item = Id>| -> BTreeSet<Id> {
            ids.filter(|id| team(id) == team_of).collect()
        };
        let mut sets = Vec::new();
        if free.len() > usize::max(3, self.made.len() / 10) {
            sets.push(free.clone());
        } else {
            for team in free.iter().map(|id| team(id)).collect::<BTreeSet<_>>() {
                let set = of(team, &mut free.iter().copied());
                if set.len() >= 3 && set.len() == of(team, &mut self.made.keys().copied()).len() {
                    sets.push(set);
                }
            }
        }
        // What comes meanwhile makes no set smaller, and neither does what else holds one of it.
        for set in std::mem::take(&mut self.stopped) {
            let open: BTreeSet<Id> = set.intersection(&free).copied().collect();
            let is_whole = set.iter().all(|id| self.gone().contains(id));
            if is_whole && !open.is_empty() && !sets.iter().any(|other| other.is_superset(&open)) {
                sets.push(open);
            }
        }
        for set in sets {
            if self.ask(Question::Deletions(set.clone())) {
                held.extend(set.iter().map(|id| (*id, "TooManyDeletes")));
                self.stopped.push(set);
            }
        }
        self.made.retain(|id, _| !free.contains(id) || held.contains_key(id));
    }

    fn apply(&mut self, held: &BTreeMap<Id, &'static str>) {
        for (id, file) in &self.files {
            let File { value, protect, confirm, .. } = *file;
            if !file.broken && (!file.suspend || self.is_so(id)) && !held.contains_key(id) {
                self.made.insert(id, Made { value, protect, confirm });
                self.settled.insert(id, *file);
            }
        }
        self.settled.retain(|id, _| self.made.contains_key(id));
        let files = &self.files;
        self.claims.retain(|(old, _)| !files.contains_key(old));
    }
}
