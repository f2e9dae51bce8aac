//! Looking at stacks: one by its name, or all of an account's region by pages, whichever is fewer
//! calls.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudformation::types::StackStatus;
use tokio::time::Instant;

use super::error::Trouble;
use super::session::{Session, in_account};
use super::settings::Place;
use super::stack::{self, Stack};
use super::status;
use crate::model::{Observation, Owner, Stuck, Target};

/// All stacks that were there at a moment, by name and by id.
pub(super) struct Listed {
    /// When the first page was asked for.
    began: Instant,
    stacks: HashMap<String, Arc<Stack>>,
}

/// The listing that all share who look at once by the same right.
#[derive(Default)]
pub(super) struct Looks {
    last: tokio::sync::Mutex<Option<Arc<Listed>>>,
    /// Pages of the last listing.
    pages: AtomicUsize,
    waiting: AtomicUsize,
    /// When stacks were looked at one by one lately.
    singles: Mutex<VecDeque<Instant>>,
    /// A listing was refused: whose right is for stacks of certain names may look at each of those.
    refused: AtomicBool,
}

/// Stacks in which this process began something lately, by id and by name.
#[derive(Default)]
pub(super) struct Begun(Mutex<HashMap<String, Instant>>);

impl Begun {
    /// Something was begun in a stack: what was seen before says nothing of it any more.
    pub(super) fn note(&self, stack: &str) {
        let now = Instant::now();
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, at| now.saturating_duration_since(*at) < RECENT);
        begun.insert(stack.to_owned(), now);
    }

    fn at(&self, stack: &str) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stack).copied()
    }
}

impl Looks {
    /// Whether a listing is fewer calls than what is asked for now, and what was asked for one by one
    /// in the time for which a listing would have been good.
    fn is_for_a_listing(&self) -> bool {
        let pages = match self.pages.load(Ordering::Relaxed) {
            0 => FEW,
            pages => pages,
        };
        let mut singles = self.singles.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while singles.front().is_some_and(|at| now.saturating_duration_since(*at) >= RECENT) {
            singles.pop_front();
        }
        !self.refused.load(Ordering::SeqCst)
            && self.waiting.load(Ordering::SeqCst) + singles.len() > pages
    }
}

/// Whoever asks how things are getting on takes what was seen so lately.
const RECENT: Duration = Duration::from_millis(500);

/// How long the first who looks waits for others who look too.
const GATHER: Duration = Duration::from_millis(20);

/// Fewer than this are looked at one by one while nobody knows how many pages there are.
const FEW: usize = 3;

/// Counts those who wait, for as long as they wait.
struct Waiting<'a> {
    all: &'a AtomicUsize,
    ours: usize,
}

impl<'a> Waiting<'a> {
    fn new(all: &'a AtomicUsize, ours: usize) -> Self {
        all.fetch_add(ours, Ordering::SeqCst);
        Self { all, ours }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.ours, Ordering::SeqCst);
    }
}

impl Session {
    /// The stacks of these names or ids, in that order; `None`: it is not there.
    pub(super) async fn stacks(
        &self,
        names: &[String],
    ) -> Vec<Result<Option<Arc<Stack>>, Trouble>> {
        self.stacks_since(names, Instant::now()).await
    }

    /// The stack of this name or id as it was lately, and not before this process began something in it.
    pub(super) async fn recent(&self, name: &str) -> Result<Option<Arc<Stack>>, Trouble> {
        let now = Instant::now();
        let since = now.checked_sub(RECENT).unwrap_or(now);
        let since = self.limits.begun.at(name).map_or(since, |begun| begun.max(since));
        let mut stacks = self.stacks_since(&[name.to_owned()], since).await;
        stacks.pop().unwrap_or(Ok(None))
    }

    async fn stacks_since(
        &self,
        names: &[String],
        since: Instant,
    ) -> Vec<Result<Option<Arc<Stack>>, Trouble>> {
        let looks = &self.listed;
        let _waiting = Waiting::new(&looks.waiting, names.len());
        let found = |listed: &Listed| {
            names.iter().map(|n| Ok(listed.stacks.get(n).cloned())).collect::<Vec<_>>()
        };
        if let Some(listed) = looks.last.lock().await.as_ref().filter(|l| l.began >= since) {
            return found(listed);
        }
        tokio::time::sleep(GATHER).await;
        if looks.is_for_a_listing() {
            match self.listing(since).await {
                Ok(Some(listed)) => return found(&listed),
                Ok(None) => {}
                Err(trouble) => return names.iter().map(|_| Err(trouble.clone())).collect(),
            }
        }
        let mut stacks = Vec::with_capacity(names.len());
        for name in names {
            looks.singles.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
            stacks.push(self.stack(name).await);
        }
        stacks
    }

    /// One stack, by its own call. By its id, one that is deleted is still described.
    pub(super) async fn stack(&self, name: &str) -> Result<Option<Arc<Stack>>, Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.describe_stacks().stack_name(name).send()
        };
        match self.look(call).await {
            Ok(said) => {
                let stack = said.stacks.unwrap_or_default().into_iter().next();
                let stack = stack.and_then(Stack::of).map(Arc::new);
                stack.map(Some).ok_or_else(|| {
                    Trouble::Unsent(format!(
                        "the answer about the stack `{name}` has no stack in it"
                    ))
                })
            }
            Err(trouble) if trouble.says_absent() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// What a target's stack is, of what was found by its name: that must be in the account in which
    /// the stack was made, and where nothing was found there, the stack's own id has the last word.
    /// What only a preview of ours left there is nothing.
    pub(super) async fn meant(
        &self,
        found: Option<Arc<Stack>>,
        place: &Place,
        target: &Target,
    ) -> Result<Option<Arc<Stack>>, Trouble> {
        let found = match found {
            Some(stack) if stack.is_in_review() => {
                // Who may not ask what is in it is told that it is there.
                let left = self.is_lost_preview(&stack.name, &target.instance).await;
                (!left.unwrap_or(false)).then_some(stack)
            }
            found => found,
        };
        let Some(id) = target.id.as_deref() else { return Ok(found) };
        match found {
            Some(stack) => {
                let account = stack::account(&stack.id);
                account.map_or(Ok(()), |account| in_account(account, place, Some(id)))?;
                Ok(Some(stack))
            }
            None => {
                self.check_account(place, Some(id)).await?;
                self.stack(id).await
            }
        }
    }

    /// What was seen of a stack, with what its status does not tell: one of ours whose deletion failed was
    /// of use to somebody, or is what is left of a creation that failed.
    pub(super) async fn judged(&self, stack: &Stack, seen: Observation) -> Observation {
        let Observation::Present(mut live) = seen else { return seen };
        if live.owner == Owner::Ours
            && stack.status == StackStatus::DeleteFailed
            && self.was_never_whole(&stack.id).await
        {
            live.stuck = Some(Stuck { advice: status::UNMADE.to_owned(), unmade: true });
        }
        Observation::Present(live)
    }

    /// All stacks, as they were at `since` or later; `None`: they may not be listed.
    async fn listing(&self, since: Instant) -> Result<Option<Arc<Listed>>, Trouble> {
        let looks = &self.listed;
        // Whoever waited here while another listed takes what that one found.
        let mut last = looks.last.lock().await;
        if let Some(listed) = last.as_ref().filter(|l| l.began >= since) {
            return Ok(Some(listed.clone()));
        }
        if looks.refused.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let began = Instant::now();
        let (mut stacks, mut pages, mut token) = (HashMap::new(), 0, None);
        loop {
            let next: Option<String> = token.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_stacks().set_next_token(next).send()
            };
            let page = match self.look(call).await {
                Ok(page) => page,
                Err(trouble) if trouble.is("AccessDenied") => {
                    looks.refused.store(true, Ordering::SeqCst);
                    return Ok(None);
                }
                Err(trouble) => return Err(trouble),
            };
            pages += 1;
            for stack in page.stacks.unwrap_or_default().into_iter().filter_map(Stack::of) {
                let stack = Arc::new(stack);
                stacks.insert(stack.id.clone(), stack.clone());
                stacks.insert(stack.name.clone(), stack);
            }
            match page.next_token {
                Some(more) => token = Some(more),
                None => break,
            }
        }
        looks.pages.store(pages, Ordering::Relaxed);
        let listed = Arc::new(Listed { began, stacks });
        *last = Some(listed.clone());
        Ok(Some(listed))
    }
}
