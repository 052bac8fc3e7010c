//! The gate that every call passes: who asks, and what they may do, now and for as long as the call lasts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::codegen::http::HeaderMap;
use tonic::{Request, Status};
use weir_query::{QueryError, Right, Scope};

use crate::access::{Access, AccessError, Guard, User};
use crate::caller::Peer;
use crate::identity::{CertificateNames, Identity, Way, passed_on, passes_on, token};
use crate::observer::Observer;
use crate::status;

/// Identifies callers. Clones share it.
#[derive(Clone)]
pub(crate) struct Gate {
    guard: Arc<Guard>,
    observer: Arc<dyn Observer>,
}

impl Gate {
    pub(crate) fn new(guard: Guard, observer: Arc<dyn Observer>) -> Gate {
        Gate { guard: Arc::new(guard), observer }
    }

    /// Who asks. The first thing that each call does.
    ///
    /// # Errors
    /// It isn't known, or can't be told now; an identity that is passed on by somebody who may not.
    pub(crate) fn identify<'a, T>(
        &'a self,
        request: &'a Request<T>,
    ) -> impl Future<Output = Result<Identity, Status>> + Send + use<'a, T> {
        let names = request.extensions().get::<CertificateNames>().cloned().unwrap_or_default();
        self.identity(Peer::of(request), names, request.metadata().as_ref())
    }

    async fn identity(
        &self,
        peer: Peer,
        names: CertificateNames,
        headers: &HeaderMap,
    ) -> Result<Identity, Status> {
        if passes_on(headers) {
            let relay = names.0.iter().find(|name| self.guard.relays.contains(name));
            let relay = relay.ok_or_else(|| {
                let what = "passes an identity on, which only a client may whose certificate has a name that the agent's \
                            config lists in access.relays; leave the headers x-remote-* out";
                status::refused("x-remote-user", what)
            })?;
            if headers.contains_key("authorization") {
                let what = "comes with a token besides: pass on one identity, or the other";
                return Err(status::refused("x-remote-user", what));
            }
            let user = Some(Arc::new(passed_on(headers)?));
            return Ok(Identity { peer, way: Way::Relay(relay.as_str().into()), user });
        }
        let Some(access) = &self.guard.access else { return Ok(Identity::open(peer)) };
        let token = token(headers)?.ok_or_else(|| {
            status::unauthenticated(
                "this agent asks who you are: give a bearer token (weir --token-file FILE)",
            )
        })?;
        let user = access.user(token).await.map_err(|error| refusal(&error))?;
        Ok(Identity { peer, way: Way::Token(token.into()), user: Some(user) })
    }

    /// What a caller may do.
    pub(crate) fn rights(&self, identity: &Identity) -> Rights {
        Rights { guard: Arc::clone(&self.guard), identity: identity.clone(), granted: Arc::default() }
    }

    /// Counts a refusal that is about who asks.
    pub(crate) fn note<T>(&self, answer: Result<T, Status>) -> Result<T, Status> {
        if let Some(reason) = answer.as_ref().err().and_then(status::denial) {
            self.observer.denied(reason);
        }
        answer
    }

    /// Who records queries, and how.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }
}

/// What one call may do, and what of that it has asked for.
#[derive(Clone)]
pub(crate) struct Rights {
    guard: Arc<Guard>,
    identity: Identity,
    granted: Arc<Mutex<BTreeSet<Right>>>,
}

/// Why it isn't sure any more that a call may go on.
enum Doubt {
    /// It may not.
    Gone(Status),
    /// It can't be told.
    Unknown,
}

impl Rights {
    /// For queries, which ask from threads of their own. Within a tokio runtime, which answers.
    pub(crate) fn scope(&self) -> Scope {
        let Some(access) = self.guard.access.clone() else { return Scope::everything() };
        let (user, granted) = (self.identity.user.clone(), Arc::clone(&self.granted));
        let runtime = Handle::current();
        Scope::new(move |right| {
            // Who isn't known may read nothing.
            let Some(user) = user.clone() else { return Ok(false) };
            let may = ask(&runtime, &access, user, right.clone())
                .map_err(|error| QueryError::Unavailable { message: error.to_string() })?;
            if may {
                lock(&granted).insert(right.clone());
            }
            Ok(may)
        })
    }

    /// Refuses a call whose caller may not do that.
    ///
    /// # Errors
    /// It may not; `field` and `what` say so. It can't be told now.
    pub(crate) async fn require(&self, right: Right, field: &str, what: &str) -> Result<(), Status> {
        let Some(access) = &self.guard.access else { return Ok(()) };
        let may = match &self.identity.user {
            Some(user) => access.may(user, &right).await.map_err(|error| refusal(&error))?,
            None => false,
        };
        if may { Ok(()) } else { Err(status::refused(field, what)) }
    }

    /// Waits until what was granted may not be read any more, or that can't be told for too long; gives what to tell the
    /// client. Waits for ever where everybody may read everything.
    pub(crate) async fn gone(&self) -> Status {
        let Some(access) = &self.guard.access else { return std::future::pending().await };
        let mut sure = Instant::now();
        loop {
            tokio::time::sleep(self.guard.recheck).await;
            match self.check(&**access).await {
                Ok(()) => sure = Instant::now(),
                Err(Doubt::Gone(status)) => return status,
                Err(Doubt::Unknown) if sure.elapsed() >= self.guard.unavailable => {
                    return status::unavailable(
                        "it could not be asked for too long whether this may still be read; try again later",
                    );
                }
                Err(Doubt::Unknown) => {}
            }
        }
    }

    async fn check(&self, access: &dyn Access) -> Result<(), Doubt> {
        let doubt = |error| match error {
            AccessError::Token { .. } => {
                Doubt::Gone(status::unauthenticated("the token that this began with is not valid any more"))
            }
            AccessError::Unavailable { .. } => Doubt::Unknown,
        };
        let user = match (&self.identity.way, &self.identity.user) {
            // Its groups may have changed.
            (Way::Token(token), _) => access.user(token).await.map_err(doubt)?,
            (_, Some(user)) => Arc::clone(user),
            (_, None) => return Ok(()),
        };
        let granted = lock(&self.granted).clone();
        for right in granted {
            if !access.may(&user, &right).await.map_err(doubt)? {
                let (field, what) = match right {
                    Right::Read(_) => (
                        "sources",
                        "what this reads may not be read by its caller any more; ask again for what still may be",
                    ),
                    Right::UseFilter(_) | Right::UploadFilter => (
                        "filters",
                        "a filter of this may not be used by its caller any more; ask again without it",
                    ),
                    Right::BypassPolicy(_) => (
                        "bypass_policies",
                        "a policy may not be left out by its caller any more; ask again without that",
                    ),
                };
                return Err(Doubt::Gone(status::refused(field, what)));
            }
        }
        Ok(())
    }
}

/// Asks from a thread that may wait.
fn ask(
    runtime: &Handle,
    access: &Arc<dyn Access>,
    user: Arc<User>,
    right: Right,
) -> Result<bool, AccessError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let access = Arc::clone(access);
    runtime.spawn(async move {
        let answer = access.may(&user, &right).await;
        // A thread that doesn't wait any more has ended.
        sender.send(answer).unwrap_or_default();
    });
    let ending = || AccessError::Unavailable { message: "the agent is shutting down".to_owned() };
    receiver.recv().unwrap_or_else(|_| Err(ending()))
}

/// What to tell of it.
fn refusal(error: &AccessError) -> Status {
    match error {
        AccessError::Token { message } => status::unauthenticated(message),
        AccessError::Unavailable { message } => status::unavailable(message),
    }
}

/// The set is whole between any two statements, so that a panic elsewhere can't have torn it.
fn lock(granted: &Mutex<BTreeSet<Right>>) -> MutexGuard<'_, BTreeSet<Right>> {
    granted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
