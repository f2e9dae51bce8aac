//! Questions to providers that may take their time: a pass waits for each as long as it has patience,
//! and goes on without those that are not answered. One account that hangs keeps nobody else waiting.
//!
//! # Guarantees
//! - One question of a key is open at a time, however many passes would ask it, and only its own answer
//!   is taken for its: one that was taken back as it was answered answers no later question.
//! - What is open stays so between passes, and ends with whoever keeps it: a memory, for what changes nothing;
//!   the engine, for what is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

/// How long a pass waits for what it asks: nearly all is answered within a second or two.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Questions<K, T> {
    running: JoinSet<(K, u64, T)>,
    /// By what they are of, under which number they were asked.
    open: BTreeMap<K, (u64, AbortHandle)>,
    asked: u64,
}

impl<K, T> Default for Questions<K, T> {
    fn default() -> Self {
        Self { running: JoinSet::new(), open: BTreeMap::new(), asked: 0 }
    }
}

impl<K, T> Questions<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Send + 'static,
{
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Asks, unless that is asked already; whether it was not.
    pub fn ask(&mut self, key: K, question: impl Future<Output = T> + Send + 'static) -> bool {
        if self.open.contains_key(&key) {
            return false;
        }
        self.asked += 1;
        let (own, number) = (key.clone(), self.asked);
        let handle = self.running.spawn(async move { (own, number, question.await) });
        self.open.insert(key, (number, handle));
        true
    }

    /// Takes back what nobody wants to know any more.
    pub fn take_back(&mut self, is_unwanted: impl Fn(&K) -> bool) {
        self.open.retain(|key, (_, handle)| {
            let unwanted = is_unwanted(key);
            if unwanted {
                handle.abort();
            }
            !unwanted
        });
    }

    /// Waits until all of `keys` are answered, and no longer than `patience` where there is one; gives
    /// whatever was answered by then, of earlier passes too.
    pub async fn answers(&mut self, keys: &BTreeSet<K>, patience: Option<Duration>) -> Vec<(K, T)> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut answers = Vec::new();
        loop {
            while let Some(answer) = self.running.try_join_next() {
                answers.extend(self.take(answer));
            }
            if !keys.iter().any(|key| self.open.contains_key(key)) {
                return answers;
            }
            let next = self.running.join_next();
            let next = match until {
                Some(until) => match tokio::time::timeout_at(until, next).await {
                    Ok(next) => next,
                    Err(_) => return answers,
                },
                None => next.await,
            };
            let Some(answer) = next else { return answers };
            answers.extend(self.take(answer));
        }
    }

    fn take(&mut self, answer: Result<(K, u64, T), JoinError>) -> Option<(K, T)> {
        match answer {
            Ok((key, number, answer)) => {
                // One that was taken back as it was answered is nobody's any more, also where the same was
                // asked again since.
                let is_open = self.open.get(&key).is_some_and(|(open, _)| *open == number);
                is_open.then(|| {
                    self.open.remove(&key);
                    (key, answer)
                })
            }
            // It was taken back.
            Err(lost) if lost.is_cancelled() => None,
            // A bug of ours: which one it was is told by nothing but that it is over, and what is asked
            // again costs less than what stays open for ever.
            Err(_) => {
                self.open.retain(|_, (_, handle)| !handle.is_finished());
                None
            }
        }
    }
}

/// Answers as they come, to what earlier passes began: it is not dropped by being given up, and asked for again
/// under its token.
impl<K, T> Questions<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Send + 'static,
{
    /// What is asked, and not answered yet.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.open.keys()
    }

    /// As [`Questions::answers`], as soon as there are any: none once all of `keys` are answered, or it is
    /// too late.
    pub async fn next(&mut self, keys: &BTreeSet<K>, until: Instant) -> Vec<(K, T)> {
        let mut answers = Vec::new();
        loop {
            while let Some(answer) = self.running.try_join_next() {
                answers.extend(self.take(answer));
            }
            if !answers.is_empty() || !keys.iter().any(|key| self.open.contains_key(key)) {
                return answers;
            }
            match tokio::time::timeout_at(until, self.running.join_next()).await {
                Ok(Some(answer)) => answers.extend(self.take(answer)),
                Ok(None) | Err(_) => return answers,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(all: &[u8]) -> BTreeSet<u8> {
        all.iter().copied().collect()
    }

    #[tokio::test]
    async fn what_hangs_keeps_nobody_waiting_and_is_asked_once() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut questions = Questions::default();
        assert!(questions.ask(1, async { "one" }));
        assert!(questions.ask(2, async move { told.await.unwrap_or("lost") }));
        assert_eq!(questions.answers(&keys(&[1]), None).await, [(1, "one")]);
        assert_eq!(questions.answers(&keys(&[2]), Some(Duration::ZERO)).await, []);

        assert!(!questions.ask(2, async { "again" }), "it is open still");
        assert!(questions.ask(3, async { "three" }));
        // Were the second waited for, this would never end.
        assert_eq!(questions.answers(&keys(&[3]), None).await, [(3, "three")]);

        tell.send("two").unwrap();
        assert_eq!(questions.answers(&keys(&[2]), None).await, [(2, "two")]);
        assert_eq!(questions.len(), 0);
    }

    #[tokio::test]
    async fn an_answer_to_what_was_taken_back_is_none_to_what_was_asked_since() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (ended, end) = tokio::sync::oneshot::channel();
        let mut questions = Questions::default();
        questions.ask(1, async move {
            ended.send(()).unwrap();
            "before"
        });
        end.await.unwrap();
        questions.take_back(|key| *key == 1);
        assert!(questions.ask(1, async move { told.await.unwrap_or("lost") }));
        assert_eq!(questions.answers(&keys(&[1]), Some(Duration::ZERO)).await, []);
        assert_eq!(questions.len(), 1);
        tell.send("since").unwrap();
        assert_eq!(questions.answers(&keys(&[1]), None).await, [(1, "since")]);
        assert_eq!(questions.len(), 0);
    }

    #[tokio::test]
    async fn what_is_taken_back_is_never_answered() {
        let mut questions = Questions::default();
        questions.ask(1, std::future::pending::<()>());
        questions.take_back(|key| *key == 1);
        assert_eq!(questions.len(), 0);
        questions.ask(1, async {});
        assert_eq!(questions.answers(&keys(&[1]), None).await, [(1, ())]);
        // One that broke leaves the way free.
        questions.ask(2, async { panic!("as a bug would") });
        assert_eq!(questions.answers(&keys(&[2]), None).await, []);
        assert_eq!(questions.len(), 0);
    }

    #[tokio::test]
    async fn answers_come_as_they_are_given_and_not_too_late() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (mut questions, soon) = (Questions::default(), Instant::now());
        questions.ask(1, async { "one" });
        questions.ask(2, async move { told.await.unwrap_or("lost") });
        let all = keys(&[1, 2]);
        // The second is not waited for.
        assert_eq!(questions.next(&all, soon + PATIENCE).await, [(1, "one")]);
        assert_eq!(questions.next(&all, soon).await, [], "it is too late");
        assert_eq!(questions.keys().collect::<Vec<_>>(), [&2]);
        tell.send("two").unwrap();
        assert_eq!(questions.next(&all, soon + PATIENCE).await, [(2, "two")]);
        assert_eq!(questions.next(&all, soon + PATIENCE).await, [], "all is answered");
    }
}
