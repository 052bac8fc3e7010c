//! Answers that are remembered for a while. Whoever asks while the same question is on its way waits for that answer.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Answers by question. Errors aren't remembered. Clones share it.
pub(crate) struct Cache<K, V, E>(Arc<Shared<K, V, E>>);

struct Shared<K, V, E> {
    /// Answers at once; those that are on their way included.
    most: usize,
    entries: Mutex<HashMap<K, Entry<V, E>>>,
}

type Answer<V, E> = Option<Result<V, E>>;

enum Entry<V, E> {
    OnItsWay(watch::Receiver<Answer<V, E>>),
    Known { value: V, until: Instant },
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<V> {
    /// It was known, or on its way.
    Known(V),
    /// It was asked for.
    Fresh(V),
}

/// There is no room for one more question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Cache(Arc::clone(&self.0))
    }
}

impl<K, V, E> Cache<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// A cache of at most so many answers; those that would be forgotten first make way.
    pub(crate) fn new(most: usize) -> Cache<K, V, E> {
        Cache(Arc::new(Shared { most, entries: Mutex::default() }))
    }

    /// The answer to `key`: as `ask` gives it, or as it was remembered, for as long as `keep` says. The time counts from
    /// when it was asked for. A question once asked is answered even if nobody waits for it any more.
    ///
    /// # Errors
    /// That of `ask`; no room.
    pub(crate) async fn get<F>(
        &self,
        key: K,
        ask: impl FnOnce() -> F,
        keep: impl FnOnce(&V) -> Duration + Send + 'static,
    ) -> Result<Result<Found<V>, E>, Full>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let (mut answer, is_fresh) = {
            let mut entries = self.lock();
            match entries.get(&key) {
                Some(Entry::Known { value, until }) if Instant::now() < *until => {
                    return Ok(Ok(Found::Known(value.clone())));
                }
                Some(Entry::OnItsWay(answer)) => (answer.clone(), false),
                _ => {
                    make_room(&mut entries, &key, self.0.most)?;
                    let (sender, answer) = watch::channel(None);
                    entries.insert(key.clone(), Entry::OnItsWay(answer.clone()));
                    let question = Question { cache: self.clone(), key, asked: Instant::now(), sender };
                    tokio::spawn(question.ask(ask(), keep));
                    (answer, true)
                }
            }
        };
        let told = answer.wait_for(Option::is_some).await;
        let told = told.map(|told| told.clone().expect("it was waited for"));
        // Its task is gone with its runtime only.
        let Ok(answer) = told else { return std::future::pending().await };
        Ok(answer.map(|value| if is_fresh { Found::Fresh(value) } else { Found::Known(value) }))
    }

    /// The map is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V, E>>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out what is over and, where that isn't enough, what would be over first.
fn make_room<K: Clone + Eq + Hash, V, E>(
    entries: &mut HashMap<K, Entry<V, E>>,
    key: &K,
    most: usize,
) -> Result<(), Full> {
    if entries.len() < most || entries.contains_key(key) {
        return Ok(());
    }
    let now = Instant::now();
    entries.retain(|_, entry| !matches!(entry, Entry::Known { until, .. } if *until <= now));
    if entries.len() < most {
        return Ok(());
    }
    let known = entries.iter().filter_map(|(key, entry)| match entry {
        Entry::Known { until, .. } => Some((until, key)),
        Entry::OnItsWay(_) => None,
    });
    let first = known.min_by_key(|(until, _)| **until).map(|(_, key)| key.clone()).ok_or(Full)?;
    entries.remove(&first);
    Ok(())
}

/// A question that is on its way.
struct Question<K, V, E> {
    cache: Cache<K, V, E>,
    key: K,
    asked: Instant,
    sender: watch::Sender<Answer<V, E>>,
}

impl<K, V, E> Question<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    async fn ask(self, ask: impl Future<Output = Result<V, E>>, keep: impl FnOnce(&V) -> Duration) {
        let answer = ask.await;
        let mut entries = self.cache.lock();
        match &answer {
            Ok(value) => {
                let until = self.asked + keep(value);
                entries.insert(self.key, Entry::Known { value: value.clone(), until });
            }
            Err(_) => drop(entries.remove(&self.key)),
        }
        drop(entries);
        self.sender.send_replace(Some(answer));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::time::{advance, sleep};

    use super::*;

    const KEEP: Duration = Duration::from_secs(30);

    /// Counts what is asked, and answers after a second.
    #[derive(Clone, Default)]
    struct Source(Arc<AtomicUsize>);

    impl Source {
        async fn ask<E>(self, answer: Result<usize, E>) -> Result<usize, E> {
            self.0.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            answer
        }

        fn asked(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    async fn get(cache: &Cache<usize, usize, &'static str>, source: &Source, key: usize) -> Found<usize> {
        let source = source.clone();
        let answer = cache.get(key, || source.ask(Ok(key * 10)), |_| KEEP).await;
        answer.expect("room").expect("an answer")
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_from_when_it_was_asked_for() {
        let (cache, source) = (Cache::new(8), Source::default());
        assert_eq!(get(&cache, &source, 1).await, Found::Fresh(10));
        assert_eq!(get(&cache, &source, 1).await, Found::Known(10));
        // It took a second.
        advance(KEEP - Duration::from_millis(1001)).await;
        assert_eq!(get(&cache, &source, 1).await, Found::Known(10));
        advance(Duration::from_millis(1)).await;
        assert_eq!(get(&cache, &source, 1).await, Found::Fresh(10));
        assert_eq!(source.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn equal_questions_at_once_are_one() {
        let (cache, source) = (Cache::new(8), Source::default());
        let asking = (0..20).map(|number| {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move { get(&cache, &source, number % 2).await })
        });
        let mut fresh = 0;
        for asking in asking.collect::<Vec<_>>() {
            fresh += usize::from(matches!(asking.await.expect("an answer"), Found::Fresh(_)));
        }
        assert_eq!((source.asked(), fresh), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_told_to_all_who_wait_and_not_remembered() {
        let (cache, source) = (Cache::<usize, usize, &str>::new(8), Source::default());
        let ask = || cache.get(1, || source.clone().ask(Err("down")), |_| KEEP);
        let (one, other) = tokio::join!(ask(), ask());
        assert_eq!((one, other), (Ok(Err("down")), Ok(Err("down"))));
        assert_eq!(source.asked(), 1);
        assert_eq!(get(&cache, &source, 1).await, Found::Fresh(10));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_the_answer_from_nobody() {
        let (cache, source) = (Cache::new(8), Source::default());
        let first = tokio::spawn({
            let (cache, source) = (cache.clone(), source.clone());
            async move { get(&cache, &source, 1).await }
        });
        sleep(Duration::from_millis(500)).await;
        first.abort();
        assert_eq!(get(&cache, &source, 1).await, Found::Known(10));
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn its_size_is_bounded() {
        let (cache, source) = (Cache::new(3), Source::default());
        for key in 0..10 {
            get(&cache, &source, key).await;
            assert!(cache.lock().len() <= 3);
        }
        assert_eq!(get(&cache, &source, 9).await, Found::Known(90), "the newest stay");
        assert_eq!(get(&cache, &source, 0).await, Found::Fresh(0));

        // While all of them are on their way, there is no room for another one.
        let cache = Cache::<usize, usize, &str>::new(2);
        let gate = Arc::new(Semaphore::new(0));
        for key in 0..2 {
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            let ask = || async move { gate.acquire().await.map(|_| 1).map_err(|_| "closed") };
            tokio::spawn(async move { cache.get(key, ask, |_| KEEP).await });
        }
        tokio::task::yield_now().await;
        assert_eq!(cache.get(2, || source.clone().ask(Ok(1)), |_| KEEP).await, Err(Full));
        gate.add_permits(2);
    }
}
