use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic::Code;
use weir_query::Place;

use super::*;
use crate::access::Answer;
use crate::observer::Unobserved;

const RECHECK: Duration = Duration::from_secs(30);
const UNAVAILABLE: Duration = Duration::from_secs(120);

/// Knows one token, whose user may read some places.
#[derive(Default)]
struct Known {
    may: Mutex<HashSet<Right>>,
    token_is_over: AtomicBool,
    is_down: AtomicBool,
}

impl Known {
    fn down(&self) -> Result<(), AccessError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(AccessError::Unavailable { message: "it is down".to_owned() }),
            false => Ok(()),
        }
    }
}

impl Access for Known {
    fn user<'a>(&'a self, token: &'a str) -> Answer<'a, Arc<User>> {
        let known = self.down().and_then(|()| match token {
            "jane's" if !self.token_is_over.load(Ordering::Relaxed) => {
                Ok(Arc::new(User { name: "jane".to_owned(), ..User::default() }))
            }
            _ => Err(AccessError::Token { message: "the token is nobody's".to_owned() }),
        });
        Box::pin(std::future::ready(known))
    }

    fn may<'a>(&'a self, _user: &'a Arc<User>, right: &'a Right) -> Answer<'a, bool> {
        let may = self.down().map(|()| self.may.lock().expect("one thread").contains(right));
        Box::pin(std::future::ready(may))
    }
}

fn guarded(access: &Arc<Known>) -> Gate {
    let access: Arc<dyn Access> = Arc::<Known>::clone(access);
    let guard = Guard {
        access: Some(access),
        relays: vec!["relay.weir".to_owned()],
        recheck: RECHECK,
        unavailable: UNAVAILABLE,
        ..Guard::open()
    };
    Gate::new(guard, Arc::new(Unobserved))
}

/// The identity of a call with these headers, by a client whose certificate has these names.
async fn identity(gate: &Gate, names: &[&str], lines: &[(&'static str, &str)]) -> Result<Identity, Status> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().expect("a value"));
    }
    let names = CertificateNames(names.iter().map(|name| (*name).to_owned()).collect());
    gate.identity(Peer::user(0), names, &headers).await
}

fn prod() -> Right {
    Right::Read(Place::Namespace("prod".to_owned()))
}

/// Rights that were granted a namespace.
async fn granted(access: &Arc<Known>) -> Rights {
    access.may.lock().expect("one thread").insert(prod());
    let gate = guarded(access);
    let identity = identity(&gate, &[], &[("authorization", "Bearer jane's")]).await.expect("jane");
    let rights = gate.rights(&identity);
    lock(&rights.granted).insert(prod());
    rights
}

#[tokio::test]
async fn a_token_says_who_asks() {
    let gate = guarded(&Arc::default());
    let jane = identity(&gate, &[], &[("authorization", "Bearer jane's")]).await.expect("jane");
    assert_eq!(jane.user.expect("a user").name, "jane");
    for lines in [&[][..], &[("authorization", "Bearer other")], &[("authorization", "Basic x")]] {
        let status = identity(&gate, &[], lines).await.err().expect("refused");
        assert_eq!(status.code(), Code::Unauthenticated, "{lines:?}");
    }
    let down = Arc::new(Known { is_down: AtomicBool::new(true), ..Known::default() });
    let status = identity(&guarded(&down), &[], &[("authorization", "Bearer jane's")]).await.err();
    assert_eq!(status.expect("refused").code(), Code::Unavailable, "that says nothing of the token");
}

#[tokio::test]
async fn only_a_relay_passes_an_identity_on() {
    let access = Arc::<Known>::default();
    let (gate, open) = (guarded(&access), Gate::new(Guard::open(), Arc::new(Unobserved)));
    let passed = [("x-remote-user", "joe"), ("x-remote-group", "dev")];
    let joe = identity(&gate, &["other", "relay.weir"], &passed).await.expect("joe");
    assert_eq!(joe.user.expect("a user").groups, ["dev"]);
    assert!(matches!(joe.way, Way::Relay(name) if &*name == "relay.weir"));
    for (gate, names) in [(&gate, &[][..]), (&gate, &["other"]), (&open, &["relay.weir"])] {
        for lines in [&passed[..], &[("x-remote-extra-a", "b"), ("authorization", "Bearer jane's")]] {
            let status = identity(gate, names, lines).await.err().expect("refused, not ignored");
            assert_eq!(status.code(), Code::PermissionDenied, "{names:?} {lines:?}");
            assert!(status.message().contains("access.relays"), "{}", status.message());
        }
    }
    let both = [("x-remote-user", "joe"), ("authorization", "Bearer jane's")];
    let status = identity(&gate, &["relay.weir"], &both).await.err().expect("two identities");
    assert_eq!(status.code(), Code::PermissionDenied);
    // A relay may hand on a token, too.
    let jane = identity(&gate, &["relay.weir"], &both[1..]).await.expect("jane");
    assert_eq!(jane.user.expect("a user").name, "jane");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_scope_asks_and_notes_what_was_granted() {
    let access = Arc::<Known>::default();
    let rights = granted(&access).await;
    lock(&rights.granted).clear();
    let scope = rights.scope();
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(dir.path().join("prod_web_1/app")).expect("a folder");
    std::fs::write(dir.path().join("prod_web_1/app/0.log"), "").expect("a file");
    let inputs = weir_query::Inputs::root(dir.path().to_owned());
    let compiler = weir_query::Compiler::Child { program: "/nowhere".into(), args: Vec::new() };
    let engine = weir_query::Engine::new(weir_query::EngineConfig::new(inputs, compiler), &[]).expect("one");
    let listed = tokio::task::spawn_blocking(move || engine.sources(&[], false, &scope)).await;
    assert_eq!(listed.expect("a thread").expect("a list").len(), 1);
    assert_eq!(*lock(&rights.granted), BTreeSet::from([prod()]), "everything was asked for, and denied");
}

#[tokio::test(start_paused = true)]
async fn what_lasts_ends_when_access_is_gone() {
    for token in [false, true] {
        let access = Arc::<Known>::default();
        let rights = granted(&access).await;
        let gone = tokio::spawn(async move { rights.gone().await });
        tokio::time::sleep(10 * RECHECK).await;
        assert!(!gone.is_finished());
        let (begun, code) = match token {
            true => {
                access.token_is_over.store(true, Ordering::Relaxed);
                (Instant::now(), Code::Unauthenticated)
            }
            false => {
                access.may.lock().expect("one thread").clear();
                (Instant::now(), Code::PermissionDenied)
            }
        };
        assert_eq!(gone.await.expect("a status").code(), code);
        assert!(begun.elapsed() <= RECHECK);
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_goes_on_for_a_while_when_nobody_can_be_asked() {
    let access = Arc::<Known>::default();
    let rights = granted(&access).await;
    let gone = tokio::spawn(async move { rights.gone().await });
    for _ in 0..5 {
        access.is_down.store(true, Ordering::Relaxed);
        tokio::time::sleep(UNAVAILABLE - 2 * RECHECK).await;
        access.is_down.store(false, Ordering::Relaxed);
        tokio::time::sleep(2 * RECHECK).await;
        assert!(!gone.is_finished());
    }
    access.is_down.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    assert_eq!(gone.await.expect("a status").code(), Code::Unavailable);
    assert!((UNAVAILABLE..=UNAVAILABLE + 2 * RECHECK).contains(&(begun.elapsed() + RECHECK)));
}

#[tokio::test(start_paused = true)]
async fn where_everybody_may_read_nothing_ends() {
    let gate = Gate::new(Guard::open(), Arc::new(Unobserved));
    let identity = identity(&gate, &[], &[("authorization", "Bearer whatever")]).await.expect("anybody");
    assert!(identity.user.is_none());
    let rights = gate.rights(&identity);
    assert!(tokio::time::timeout(100 * RECHECK, rights.gone()).await.is_err());
}
