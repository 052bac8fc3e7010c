//! Who a call says that it is from: a bearer token, or the headers by which a front proxy passes an identity on.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::access::User;
use crate::caller::{Caller, Peer};
use crate::status;

/// What the names of all headers begin with that pass an identity on.
const PASSED_ON: &str = "x-remote-";

const USER: &str = "x-remote-user";
const UID: &str = "x-remote-uid";
const GROUP: &str = "x-remote-group";
const EXTRA: &str = "x-remote-extra-";

/// Names of a client's certificate, which was verified.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificateNames(pub(crate) Arc<[String]>);

impl CertificateNames {
    /// The DNS names and URIs of a certificate (DER). Its common name is none of them.
    pub(crate) fn of(certificate: &rustls::pki_types::CertificateDer<'_>) -> CertificateNames {
        let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
            return CertificateNames::default();
        };
        let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        CertificateNames(names.map(str::to_owned).collect())
    }
}

/// Who asks.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) peer: Peer,
    pub(crate) way: Way,
    /// Known unless everybody may ask.
    pub(crate) user: Option<Arc<User>>,
}

/// How it is known who asks.
#[derive(Clone)]
pub(crate) enum Way {
    /// It isn't asked.
    Open,
    /// By this token.
    Token(Arc<str>),
    /// By the word of a relay, of this certificate name.
    Relay(Arc<str>),
}

impl Identity {
    /// One of whom nothing is known but where the call came from.
    pub(crate) fn open(peer: Peer) -> Identity {
        Identity { peer, way: Way::Open, user: None }
    }

    /// Whom its calls count for: the user, through whichever relay and with whichever token.
    pub(crate) fn caller(&self) -> Caller {
        let Some(user) = &self.user else { return self.peer.caller() };
        let mut digest = Sha256::new();
        for part in [&user.name, &user.uid] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Caller::Named(digest.finalize().into())
    }
}

/// Whether a call passes an identity on.
pub(crate) fn passes_on(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PASSED_ON))
}

/// The identity that a call passes on.
///
/// # Errors
/// No user or several, a header that isn't known, text that isn't UTF-8.
pub(crate) fn passed_on(headers: &HeaderMap) -> Result<User, Status> {
    let mut user = User { name: only(headers, USER)?, uid: String::new(), ..User::default() };
    if user.name.is_empty() {
        return Err(refused(USER, "is missing; whoever passes an identity on gives its user"));
    }
    for name in headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with(PASSED_ON)) {
        match name {
            USER => {}
            UID => user.uid = only(headers, UID)?,
            GROUP => user.groups = texts(headers, GROUP)?,
            _ => {
                let key = name.strip_prefix(EXTRA).filter(|key| !key.is_empty());
                let key = key.ok_or_else(|| refused(name, "passes nothing on that is known"))?;
                user.extra.insert(unescaped(name, key)?, texts(headers, name)?);
            }
        }
    }
    Ok(user)
}

/// The bearer token of a call; `None` without one.
///
/// # Errors
/// Several, or credentials of another kind.
pub(crate) fn token(headers: &HeaderMap) -> Result<Option<&str>, Status> {
    let mut values = headers.get_all("authorization").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = || status::unauthenticated("the header authorization must be there once, as 'Bearer TOKEN'");
    let text = value.to_str().ok().filter(|_| values.next().is_none()).ok_or_else(wrong)?;
    let (scheme, token) = text.split_once(' ').ok_or_else(wrong)?;
    let token = token.trim();
    match scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        true => Ok(Some(token)),
        false => Err(wrong()),
    }
}

/// The value of a header that may be there once; empty without it.
fn only(headers: &HeaderMap, name: &str) -> Result<String, Status> {
    let mut values = texts(headers, name)?;
    match values.len() {
        0 | 1 => Ok(values.pop().unwrap_or_default()),
        _ => Err(refused(name, "is there more than once")),
    }
}

fn texts(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Status> {
    let text = |value: &[u8]| {
        String::from_utf8(value.to_vec()).map_err(|_| refused(name, "holds text that isn't UTF-8"))
    };
    headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect()
}

/// A key of an extra: in a header's name, what can't stand there is written as `%` and two hex digits.
fn unescaped(name: &str, key: &str) -> Result<String, Status> {
    let wrong = || refused(name, "has a key that isn't escaped as %XX");
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>().ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
        bytes.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn refused(name: &str, what: &str) -> Status {
    status::refused(name, what)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn an_identity_is_read_as_front_proxies_pass_it_on() {
        let passed = headers(&[
            ("x-remote-user", "jane"),
            ("x-remote-uid", "u-1"),
            ("x-remote-group", "dev"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-extra-scopes", "read"),
            ("x-remote-extra-scopes", "write"),
            ("x-remote-extra-acme.com%2Fproject", "42"),
        ]);
        let user = passed_on(&passed).expect("an identity");
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("jane", "u-1"));
        assert_eq!(user.groups, ["dev", "system:authenticated"]);
        assert_eq!(user.extra["scopes"], ["read", "write"]);
        assert_eq!(user.extra["acme.com/project"], ["42"]);
        assert!(passes_on(&passed) && !passes_on(&headers(&[("authorization", "Bearer x")])));
    }

    #[test]
    fn half_an_identity_is_none() {
        for (lines, name) in [
            (&[("x-remote-group", "dev")][..], "x-remote-user"),
            (&[("x-remote-user", "")], "x-remote-user"),
            (&[("x-remote-user", "a"), ("x-remote-user", "b")], "x-remote-user"),
            (&[("x-remote-user", "a"), ("x-remote-uid", "1"), ("x-remote-uid", "2")], "x-remote-uid"),
            (&[("x-remote-user", "a"), ("x-remote-extras", "{}")], "x-remote-extras"),
            (&[("x-remote-user", "a"), ("x-remote-extra-", "1")], "x-remote-extra-"),
            (&[("x-remote-user", "a"), ("x-remote-extra-%2", "1")], "x-remote-extra-%2"),
            (&[("x-remote-user", "a"), ("x-remote-extra-%zz", "1")], "x-remote-extra-%zz"),
            (&[("x-remote-user", "a"), ("x-remote-extra-%ff", "1")], "x-remote-extra-%ff"),
        ] {
            let lines = headers(lines);
            assert!(passes_on(&lines));
            let status = passed_on(&lines).expect_err(name);
            assert_eq!(status.code(), Code::PermissionDenied);
            assert!(status.message().starts_with(&format!("{name}: ")), "{}", status.message());
        }
    }

    #[test]
    fn a_token_is_there_once_and_is_a_bearer_token() {
        assert_eq!(token(&headers(&[])).expect("none"), None);
        for value in ["Bearer a.b-c", "bearer  a.b-c "] {
            assert_eq!(token(&headers(&[("authorization", value)])).expect("one"), Some("a.b-c"));
        }
        for lines in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
            &[("authorization", "Basic YTpi")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
        ] {
            assert_eq!(token(&headers(lines)).expect_err("refused").code(), Code::Unauthenticated);
        }
    }

    #[test]
    fn a_user_is_one_caller_wherever_the_calls_come_from() {
        let named = |name: &str, uid: &str, peer: &str| {
            let user = User { name: name.to_owned(), uid: uid.to_owned(), ..User::default() };
            let peer = Peer::at(peer.parse().expect("an address"));
            Identity { peer, way: Way::Relay("relay".into()), user: Some(Arc::new(user)) }.caller()
        };
        assert_eq!(named("a", "1", "10.0.0.1:1"), named("a", "1", "10.0.0.2:2"));
        assert_ne!(named("a", "1", "10.0.0.1:1"), named("b", "1", "10.0.0.1:1"));
        assert_ne!(named("a", "1", "10.0.0.1:1"), named("a", "2", "10.0.0.1:1"));
        assert_ne!(named("a1", "", "10.0.0.1:1"), named("a", "1", "10.0.0.1:1"));
        let open = Identity::open(Peer::user(1));
        assert_eq!(open.caller(), Peer::user(1).caller());
    }
}
