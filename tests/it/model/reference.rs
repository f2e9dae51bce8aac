//! What stands once nothing is in the way any more: a few rules over a handful of names, which know
//! nothing of commits, plans, tokens, stores or faults.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Catalog, Edition, File, Hand, Id, Rest, What, Word};

fn team(id: Id) -> &'static str {
    id.split('/').next().unwrap()
}

fn name(id: Id) -> &'static str {
    id.rsplit('/').next().unwrap()
}

/// What was made of a request, and what became of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Made {
    what: What,
    by_hand: Option<Hand>,
    /// What its file said then.
    protect: bool,
    confirm: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Question {
    /// These go.
    Deletions(BTreeSet<Id>),
    /// The first went, and the second is another thing.
    NoMove(Id, Id),
    /// It goes back to an older version.
    Back(Id),
}

#[derive(Clone, Default)]
pub struct Reference {
    /// The versions that there are, each as it was when it could first be used.
    versions: BTreeMap<u8, Edition>,
    published: BTreeMap<u8, Edition>,
    reverts: bool,
    files: BTreeMap<Id, File>,
    /// What each file comes to, or why it comes to nothing.
    wanted: BTreeMap<Id, Result<What, &'static str>>,
    made: BTreeMap<Id, Made>,
    /// All that was ever seen, in its order.
    views: Vec<BTreeMap<Id, File>>,
    went: BTreeMap<Id, usize>,
    /// Those that were held as what may have moved.
    suspects: BTreeSet<Id>,
    /// Those that are held only by what came later and cannot be read.
    aside: BTreeSet<Id>,
    stopped: Vec<BTreeSet<Id>>,
    /// The files that were wholly applied last.
    settled: BTreeMap<Id, File>,
    /// Those that went, with those that say that they were these and have something of their own.
    claims: BTreeSet<(Id, Id)>,
    yes: BTreeSet<Question>,
    asked: BTreeSet<Question>,
}

type Held = BTreeMap<Id, &'static str>;

impl Reference {
    /// The files as a pass sees them.
    pub fn see(&mut self, files: &BTreeMap<Id, File>) {
        let gone = self.files.keys().filter(|id| !files.contains_key(*id));
        self.went.extend(gone.map(|id| (*id, self.views.len())));
        self.went.retain(|id, _| !files.contains_key(id));
        self.views.push(files.clone());
        self.files.clone_from(files);
    }

    /// The catalog as a pass sees it.
    pub fn browse(&mut self, catalog: &Catalog) {
        self.versions.clone_from(&catalog.folders);
        for (version, edition) in &mut self.versions {
            if *edition != Edition::Broken {
                self.published.entry(*version).or_insert(*edition);
            }
            *edition = *self.published.get(version).unwrap_or(edition);
        }
        self.reverts = catalog.reverts;
    }

    /// A person changes or removes what was made; what was removed cannot be changed.
    pub fn touch(&mut self, id: Id, how: Hand) {
        if let Some(made) = self.made.get_mut(id).filter(|m| m.by_hand != Some(Hand::Removed)) {
            made.by_hand = Some(how);
        }
    }

    /// Whether anything is not as it was made: it may take until the next look for that.
    pub fn is_touched(&self) -> bool {
        self.made.values().any(|made| made.by_hand.is_some())
    }

    pub fn approve(&mut self) {
        self.yes.append(&mut self.asked);
    }

    pub fn is_made(&self, id: Id) -> bool {
        self.made.contains_key(id)
    }

    pub fn rest(&mut self) -> Rest {
        self.asked.clear();
        self.aside.clear();
        self.wanted = self.files.iter().map(|(id, file)| (*id, self.want(id, file))).collect();
        let mut held = Held::new();
        self.moves(&mut held);
        self.alike(&mut held);
        self.delete(&mut held);
        self.apply(&mut held);
        self.suspects =
            held.iter().filter(|(_, why)| **why == "LooksLikeAMove").map(|(id, _)| *id).collect();
        self.suspects.retain(|id| !self.aside.contains(id));
        let (made, files, gone) = (&self.made, &self.files, self.gone());
        self.yes.retain(|question| match question {
            Question::Deletions(set) => set.iter().any(|id| gone.contains(id)),
            Question::NoMove(old, new) => made.contains_key(old) && !made.contains_key(new),
            Question::Back(_) => false,
        });
        let word = |id: Id| match held.get(id) {
            Some(&"Suspended") => Word::Suspended,
            Some(why) => Word::Held(why),
            None => self.wanted[id].err().map_or(Word::Ready, Word::Held),
        };
        let found = |made: &Made| (made.by_hand != Some(Hand::Changed)).then_some(made.what);
        let there = made.iter().filter(|(_, made)| made.by_hand != Some(Hand::Removed));
        let is_drifted = |id: &&Id| made.get(*id).is_some_and(|made| made.by_hand.is_some());
        Rest {
            words: files.keys().copied().chain(gone).map(|id| (id, word(id))).collect(),
            drifted: files.keys().filter(is_drifted).copied().collect(),
            things: there.map(|(id, made)| (*id, found(made))).collect(),
        }
    }

    /// A request keeps the version that it has while it asks for that, also where that is gone. A range
    /// takes a newer one when its file changes, and the newest where it has none.
    fn want(&self, id: Id, file: &File) -> Result<What, &'static str> {
        let own = self.made.get(id).or_else(|| self.made.get(file.from?));
        let has = own.map(|made| made.what.version);
        let newest = || {
            let sound = self.versions.iter().rev().find(|(_, e)| **e != Edition::Broken);
            sound.or(self.versions.last_key_value()).map(|(version, _)| *version)
        };
        let kept = has.filter(|_| self.settled.get(id) == Some(file));
        let version = file.version.or(kept).or_else(newest).or(has).ok_or("Invalid")?;
        let is_ahead = self.versions.keys().last().is_some_and(|last| *last < version);
        match self.versions.get(&version) {
            Some(edition) if *edition != Edition::Broken && !file.broken => {
                Ok(What { version, edition: *edition, value: file.value })
            }
            None if has == Some(version) => Err("TemplateMissing"),
            None if is_ahead => Err("WaitingFor"),
            Some(_) | None => Err("Invalid"),
        }
    }

    fn gone(&self) -> Vec<Id> {
        self.made.keys().filter(|id| !self.files.contains_key(*id)).copied().collect()
    }

    fn unmade(&self, is: impl Fn(Id, &File) -> bool) -> Vec<Id> {
        let new = self.files.iter().filter(|(id, _)| !self.made.contains_key(*id));
        new.filter(|(id, file)| is(id, file)).map(|(id, _)| *id).collect()
    }

    fn ask(&mut self, question: Question) -> bool {
        let is_open = !self.yes.contains(&question);
        self.asked.extend(is_open.then_some(question));
        is_open
    }

    /// `movedFrom` carries what was made to the new name, if one alone says so.
    fn moves(&mut self, held: &mut Held) {
        for old in self.gone() {
            let says = |id: Id, file: &File| file.from == Some(old) && self.wanted[id].is_ok();
            match self.unmade(says).as_slice() {
                [] => {
                    // One that has something of its own cannot take another's. What it said when that was
                    // last as it should be is no word about what went later.
                    let is_new = |id: &Id| {
                        self.settled.get(id) != self.files.get(id)
                            || self.claims.contains(&(old, *id))
                    };
                    let claims = |(id, file): (&Id, &File)| says(id, file).then_some(*id);
                    if let Some(claims) = self.files.iter().filter_map(claims).find(is_new) {
                        self.claims.insert((old, claims));
                        if self.ask(Question::NoMove(old, claims)) {
                            held.insert(old, "LooksLikeAMove");
                        }
                    }
                }
                [new] => drop(self.made.remove(old).map(|made| self.made.insert(new, made))),
                several => {
                    held.insert(old, "LooksLikeAMove");
                    held.extend(several.iter().map(|new| (*new, "Invalid")));
                }
            }
        }
        let stands = |file: &File| file.from.is_some_and(|old| self.files.contains_key(old));
        let too_early = self.unmade(|id, file| self.wanted[id].is_ok() && stands(file));
        held.extend(too_early.into_iter().map(|new| (new, "LooksLikeAMove")));
    }

    /// What went while something like it came is held together with that.
    fn alike(&mut self, held: &mut Held) {
        for old in self.gone() {
            // Of several that say so, none is right before one is left.
            if self.unmade(|id, file| file.from == Some(old) && self.wanted[id].is_ok()).len() > 1 {
                continue;
            }
            let (value, went) = (self.made[old].what.value, self.went[old]);
            let is_known = |id: Id| self.made.contains_key(id) || self.files.contains_key(id);
            let astray = |file: &File| file.from.is_some_and(|from| !is_known(from));
            let mut alike = self.unmade(|id, file| {
                self.wanted[id].is_ok() && (file.value == value || astray(file))
            });
            alike.retain(|new| !self.lay_there(new, went));
            let is_near = |new: &Id| team(new) == team(old) || name(new) == name(old);
            let near = |of: &[Id]| -> Vec<Id> { of.iter().copied().filter(is_near).collect() };
            let (with, later): (Vec<Id>, Vec<Id>) =
                alike.into_iter().partition(|new| self.views[went].contains_key(new));
            let mut unread = self.unmade(|id, _| self.wanted[id].is_err());
            unread.retain(|new| team(new) == team(old) && !self.lay_there(new, went));
            let is_half = |new: &Id| {
                self.views[went].contains_key(new)
                    && !self.yes.contains(&Question::NoMove(old, new))
            };
            let is_incomplete =
                self.suspects.contains(old) || held.contains_key(old) || unread.iter().any(is_half);
            let alike = match near(&with) {
                near if !near.is_empty() => near,
                _ if !with.is_empty() || !is_incomplete => with,
                _ => near(&later),
            };
            for new in alike {
                if self.ask(Question::NoMove(old, new)) {
                    for id in [old, new] {
                        held.entry(id).or_insert("LooksLikeAMove");
                    }
                }
            }
            // One question at a time.
            let is_free = !held.contains_key(old);
            if is_free && unread.into_iter().any(|new| self.ask(Question::NoMove(old, new))) {
                held.insert(old, "LooksLikeAMove");
                self.aside.extend((!is_incomplete).then_some(old));
            }
        }
    }

    /// Whether a new file, of which nothing could come, lay there already when another went.
    fn lay_there(&self, new: Id, went: usize) -> bool {
        let at = |view: usize| self.views[view].get(new);
        let is_same = went > 0 && at(went).is_some() && at(went) == at(went - 1);
        let file = &self.files[new];
        is_same && if self.wanted[new].is_ok() { file.suspend } else { file.from.is_none() }
    }

    fn delete(&mut self, held: &mut Held) {
        for id in self.gone() {
            let last = self.views[self.went[id] - 1].get(id).filter(|file| !file.broken);
            let made = self.made[id];
            let says = |made: bool, file: fn(&File) -> bool| made || last.is_some_and(file);
            if says(made.protect, |f| f.protect) && !says(made.confirm, |f| f.confirm) {
                held.entry(id).or_insert("Protected");
            }
        }
        let free: BTreeSet<Id> =
            self.gone().into_iter().filter(|id| !held.contains_key(id)).collect();
        let of = |team_of: &str| self.made.keys().filter(|id| team(id) == team_of).count();
        let mut sets: Vec<BTreeSet<Id>> = Vec::new();
        if free.len() > usize::max(3, self.made.len() / 10) {
            sets.push(free.clone());
        } else {
            for whole in free.iter().map(|id| team(id)).collect::<BTreeSet<_>>() {
                let set: BTreeSet<Id> =
                    free.iter().copied().filter(|id| team(id) == whole).collect();
                sets.extend((set.len() >= 3 && set.len() == of(whole)).then_some(set));
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

    fn apply(&mut self, held: &mut Held) {
        for (id, file) in self.files.clone() {
            let (Ok(what), false) = (self.wanted[id], held.contains_key(id)) else { continue };
            let made = self.made.get(id).copied();
            let is_so = made.is_some_and(|made| made.what == what);
            let is_older = made.is_some_and(|made| made.what.version > what.version);
            // What was removed is made again; what was changed stays while nothing else is asked for.
            let by_hand = made.filter(|_| is_so).and_then(|made| made.by_hand);
            let may_stay = by_hand != Some(Hand::Removed) && !self.reverts;
            let is_done = is_so && (by_hand.is_none() || may_stay);
            if !is_done && file.suspend {
                held.insert(id, "Suspended");
            } else if is_older && self.ask(Question::Back(id)) {
                held.insert(id, "NeedsApproval");
            }
            let is_held = held.contains_key(id);
            if is_so || !is_held {
                let by_hand = by_hand.filter(|_| is_done || is_held);
                let File { protect, confirm, .. } = file;
                self.made.insert(id, Made { what, by_hand, protect, confirm });
                self.settled.insert(id, file);
            }
        }
        self.settled.retain(|id, _| self.made.contains_key(id));
        self.claims.retain(|(old, _)| !self.files.contains_key(old));
    }
}
