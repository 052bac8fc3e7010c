//! Components that callers have uploaded: within bounds, for a while, and each caller's own.
//!
//! What one caller has uploaded is not to be had by another, nor to be told: a digest that somebody else has uploaded
//! is as unknown as any, and what is compiled of it is kept under its owner's name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Status;
use weir_query::UploadedComponent;

use crate::caller::Caller;
use crate::limits::ServerLimits;
use crate::status;

/// The components that are kept. Clones share them.
#[derive(Clone)]
pub(crate) struct Uploads(Arc<Shared>);

struct Shared {
    most: usize,
    most_per_caller: usize,
    keep: Duration,
    state: Mutex<State>,
    /// Told when there is one more to forget in time.
    added: Notify,
}

#[derive(Default)]
struct State {
    /// Of all callers, what is on its way included.
    bytes: usize,
    callers: HashMap<Caller, Share>,
}

/// What one caller has.
#[derive(Default)]
struct Share {
    /// What is on its way included.
    bytes: usize,
    kept: Vec<Kept>,
}

struct Kept {
    component: Arc<UploadedComponent>,
    used: Instant,
}

/// Room for a component that is on its way, given back when it is dropped.
pub(crate) struct Room {
    uploads: Uploads,
    caller: Caller,
    bytes: usize,
}

impl Uploads {
    pub(crate) fn new(limits: &ServerLimits) -> Uploads {
        Uploads(Arc::new(Shared {
            most: limits.max_uploads_bytes,
            most_per_caller: limits.max_uploads_bytes_per_caller,
            keep: limits.upload_keep,
            state: Mutex::default(),
            added: Notify::new(),
        }))
    }

    /// A component that this caller has uploaded, which is used now.
    pub(crate) fn find(&self, caller: Caller, digest: &str) -> Option<Arc<UploadedComponent>> {
        let mut state = self.lock();
        let kept = &mut state.callers.get_mut(&caller)?.kept;
        let found = kept.iter_mut().find(|kept| kept.component.digest == digest)?;
        found.used = Instant::now();
        Some(Arc::clone(&found.component))
    }

    /// Makes room for a component of so many bytes. The caller's own that were not used for longest make way.
    ///
    /// # Errors
    /// There isn't as much for one caller, or for all of them now.
    pub(crate) fn room(&self, caller: Caller, bytes: usize) -> Result<Room, Status> {
        let Shared { most, most_per_caller, .. } = *self.0;
        let mut state = self.lock();
        // What can't make way: of the caller, and of all.
        let own = state.share_bytes(caller) - state.kept_bytes(caller);
        let all = state.bytes - state.kept_bytes(caller);
        let refused = |limit, value, when: &str| {
            let message = format!("there is no room for a component of {bytes} bytes{when}");
            Err(status::limit("start.size", limit, value, &message))
        };
        if own.saturating_add(bytes) > most_per_caller {
            return refused("max_uploads_bytes_per_caller", most_per_caller, "");
        }
        if all.saturating_add(bytes) > most {
            return refused("max_uploads_bytes", most, " now; try again later");
        }
        while state.share_bytes(caller) + bytes > most_per_caller || state.bytes + bytes > most {
            state.forget_oldest(caller);
        }
        state.bytes += bytes;
        state.callers.entry(caller).or_default().bytes += bytes;
        Ok(Room { uploads: self.clone(), caller, bytes })
    }

    /// Forgets what wasn't used for as long as components are kept, for as long as it is polled.
    pub(crate) async fn forget_in_time(&self) {
        loop {
            let added = self.0.added.notified();
            let Some(next) = self.forget(Instant::now()) else {
                added.await;
                continue;
            };
            tokio::time::sleep_until(next).await;
        }
    }

    /// Forgets what is over at `now`, and says when to look again.
    fn forget(&self, now: Instant) -> Option<Instant> {
        let keep = self.0.keep;
        let mut state = self.lock();
        let State { bytes, callers } = &mut *state;
        for share in callers.values_mut() {
            share.kept.retain(|kept| {
                let stays = now < kept.used + keep;
                if !stays {
                    let gone = kept.component.bytes.len();
                    share.bytes -= gone;
                    *bytes -= gone;
                    tracing::info!(
                        digest = kept.component.digest,
                        "an uploaded filter was not used any more"
                    );
                }
                stays
            });
        }
        callers.retain(|_, share| share.bytes > 0 || !share.kept.is_empty());
        callers.values().flat_map(|share| &share.kept).map(|kept| kept.used + keep).min()
    }

    /// The state is whole between any two statements, so that a panic elsewhere can't have torn it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn share_bytes(&self, caller: Caller) -> usize {
        self.callers.get(&caller).map_or(0, |share| share.bytes)
    }

    fn kept_bytes(&self, caller: Caller) -> usize {
        let kept = self.callers.get(&caller).into_iter().flat_map(|share| &share.kept);
        kept.map(|kept| kept.component.bytes.len()).sum()
    }

    /// Forgets the caller's own component that was not used for longest.
    fn forget_oldest(&mut self, caller: Caller) {
        let share = self.callers.get_mut(&caller).expect("one that has nothing has nothing to forget");
        let oldest = share.kept.iter().enumerate().min_by_key(|(_, kept)| kept.used).map(|(at, _)| at);
        let oldest = oldest.expect("what is kept was more than enough");
        let gone = share.kept.swap_remove(oldest).component.bytes.len();
        share.bytes -= gone;
        self.bytes -= gone;
    }

    fn give_back(&mut self, caller: Caller, bytes: usize) {
        self.bytes -= bytes;
        if let Some(share) = self.callers.get_mut(&caller) {
            share.bytes -= bytes;
            if share.bytes == 0 && share.kept.is_empty() {
                self.callers.remove(&caller);
            }
        }
    }
}

impl Room {
    /// Keeps what has come, in the room that was made for it.
    pub(crate) fn keep(mut self, digest: String, bytes: Vec<u8>) {
        debug_assert_eq!(bytes.len(), self.bytes, "room was made for all of it");
        let component = Arc::new(UploadedComponent { digest, bytes, owner: self.caller.to_string() });
        let mut state = self.uploads.lock();
        let known = |share: &Share| share.kept.iter().any(|kept| kept.component.digest == component.digest);
        // The same may have come by another call meanwhile; then this room is given back.
        if let Some(share) = state.callers.get_mut(&self.caller).filter(|share| !known(share)) {
            share.kept.push(Kept { component, used: Instant::now() });
            drop(state);
            self.bytes = 0;
            self.uploads.0.added.notify_one();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.uploads.lock().give_back(self.caller, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn uploads() -> Uploads {
        Uploads::new(&ServerLimits {
            max_uploads_bytes: 100,
            max_uploads_bytes_per_caller: 60,
            upload_keep: KEEP,
            ..ServerLimits::default()
        })
    }

    fn keep(uploads: &Uploads, caller: Caller, digest: &str, bytes: usize) -> Result<(), Status> {
        uploads.room(caller, bytes)?.keep(digest.to_owned(), vec![0; bytes]);
        Ok(())
    }

    fn refused(result: Result<(), Status>) -> Option<String> {
        status::limit_of(&result.expect_err("there is no room"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_finds_its_own_and_no_others() {
        let uploads = uploads();
        let (one, other) = (Caller::User(1), Caller::User(2));
        keep(&uploads, one, "a", 10).expect("room");
        assert_eq!(uploads.find(one, "a").expect("its own").owner, one.to_string());
        assert!(uploads.find(other, "a").is_none() && uploads.find(one, "b").is_none());
        keep(&uploads, other, "a", 10).expect("room");
        assert_ne!(uploads.find(other, "a").expect("its own").owner, one.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn a_callers_oldest_make_way_and_nobody_elses() {
        let uploads = uploads();
        let (one, other) = (Caller::User(1), Caller::User(2));
        for digest in ["a", "b"] {
            keep(&uploads, one, digest, 30).expect("room");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(uploads.find(one, "a").is_some(), "now b is the oldest");
        keep(&uploads, one, "c", 30).expect("b makes way");
        assert!(uploads.find(one, "b").is_none() && uploads.find(one, "a").is_some());
        assert_eq!(refused(keep(&uploads, one, "d", 61)).as_deref(), Some("max_uploads_bytes_per_caller"));
        keep(&uploads, other, "e", 40).expect("room");
        assert_eq!(refused(keep(&uploads, Caller::User(3), "f", 50)).as_deref(), Some("max_uploads_bytes"));
        assert!(uploads.find(other, "e").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_is_not_used_is_given_back() {
        let uploads = uploads();
        let one = Caller::User(1);
        let room = uploads.room(one, 60).expect("room");
        assert_eq!(refused(keep(&uploads, one, "a", 1)).as_deref(), Some("max_uploads_bytes_per_caller"));
        drop(room);
        keep(&uploads, one, "a", 40).expect("room");
        // The same once more takes no more of it.
        uploads.room(one, 20).expect("room").keep("a".to_owned(), vec![0; 20]);
        keep(&uploads, one, "b", 20).expect("room");
        assert!(uploads.find(one, "a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_used_is_forgotten_in_time() {
        let uploads = uploads();
        let one = Caller::User(1);
        let forgetting = tokio::spawn({
            let uploads = uploads.clone();
            async move { uploads.forget_in_time().await }
        });
        keep(&uploads, one, "a", 10).expect("room");
        keep(&uploads, one, "b", 10).expect("room");
        tokio::time::sleep(KEEP / 2).await;
        assert!(uploads.find(one, "a").is_some());
        tokio::time::sleep(KEEP * 2 / 3).await;
        assert!(uploads.find(one, "b").is_none(), "it was not used");
        assert!(uploads.find(one, "a").is_some(), "it was");
        tokio::time::sleep(KEEP * 2).await;
        assert!(uploads.lock().callers.is_empty() && uploads.lock().bytes == 0);
        forgetting.abort();
    }
}
