//! Resume tokens: where a search stood in each of its sources, so that it can go on from there.
//!
//! A [`SourcePosition`] comes with the records that lead up to it. It is sealed with a key of whoever searches
//! the logs: one that was changed, or that another node made, is refused and not misread; and nobody else can read in it
//! where lines begin and how files do, which says something about what policies take out. A
//! [`ResumeToken`] is a client's collection of the newest position of each source, as one text.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};
use weir_scan::{Direction, Position, Source};

use crate::QueryError;

/// Version of what is sealed.
const FORMAT: u8 = 2;

/// What is sealed is filled up to a multiple of so many bytes, so that its length tells nothing of the numbers in it.
/// Most positions take one: two files, and no record whose end is still to be written.
const UNIT_BYTES: usize = 128;

/// Seals positions. Whoever is to go on after a restart must keep it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResumeKey([u8; 16]);

impl ResumeKey {
    /// A key of 16 bytes that nobody else knows.
    pub fn new(bytes: [u8; 16]) -> ResumeKey {
        ResumeKey(bytes)
    }

    /// A key that this process alone knows: what it signs is worth nothing to another.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> io::Result<ResumeKey> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(ResumeKey(bytes))
    }

    /// The key that a secret makes, of at least [`ResumeKey::SECRET_BYTES`]: whoever has the same secret goes on where
    /// another stopped. `None`: it is shorter.
    pub fn of_secret(secret: &[u8]) -> Option<ResumeKey> {
        if secret.len() < ResumeKey::SECRET_BYTES {
            return None;
        }
        let digest = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"weir resume key");
        let bytes = digest.as_ref().first_chunk().expect("HMAC-SHA256 gives 32 bytes");
        Some(ResumeKey(*bytes))
    }

    /// Least bytes of a secret that makes a key.
    pub const SECRET_BYTES: usize = 16;

    /// The key kept in a file that only its owner can read; made when it isn't there.
    ///
    /// # Errors
    /// A file that can't be read or made, or that isn't a key.
    pub fn load(path: &Path) -> io::Result<ResumeKey> {
        let read = |path: &Path| -> io::Result<ResumeKey> {
            let bytes = fs::read(path)?;
            let key =
                bytes.try_into().map_err(|_| io::Error::other("it isn't a key of 16 bytes; delete it"))?;
            Ok(ResumeKey(key))
        };
        match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            known => return known,
        }
        let key = ResumeKey::random()?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&key.0)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(key),
            // Another process was faster.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => read(path),
            Err(error) => Err(error.error),
        }
    }

    /// What seals positions of `source`.
    pub(crate) fn sealer(&self, source: &Source) -> Sealer {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), b"weir resume positions");
        let key = UnboundKey::new(&CHACHA20_POLY1305, derived.as_ref());
        let key = LessSafeKey::new(key.expect("HMAC-SHA256 gives the 32 bytes that the cipher wants"));
        let mut whose = Vec::new();
        let Source { namespace, pod, container, restart, uid, container_id: _ } = source;
        for part in [namespace, pod, container, uid] {
            whose.extend_from_slice(&(part.len() as u64).to_le_bytes());
            whose.extend_from_slice(part.as_bytes());
        }
        whose.extend_from_slice(&restart.to_le_bytes());
        Sealer { key, whose }
    }
}

/// Seals positions of one source.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: LessSafeKey,
    /// Goes into the seal: the position of one source can't be taken for another's.
    whose: Vec<u8>,
}

impl Sealer {
    /// A new nonce, what was sealed with it, and the tag.
    fn seal(&self, mut body: Vec<u8>) -> Vec<u8> {
        body.resize(body.len().next_multiple_of(UNIT_BYTES), 0);
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("a kernel that opens files beneath a folder gives random bytes");
        let sealed = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&self.whose),
            &mut body,
        );
        sealed.expect("a position is far shorter than what the cipher takes");
        [nonce.as_slice(), &body].concat()
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (nonce, mut body) = (Nonce::assume_unique_for_key(*nonce), body.to_vec());
        let length = self.key.open_in_place(nonce, Aad::from(&self.whose), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey(..)")
    }
}

/// Where the search of one source stands, behind all its records given so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// Number of the source.
    pub source: u32,
    /// What to hand back in [`ResumeToken`]. Means nothing to anybody but its maker.
    pub position: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    format: u8,
    backward: bool,
    position: Position,
}

/// Makes a position of a source one that can be given away.
pub(crate) fn seal(sealer: &Sealer, direction: Direction, position: Position) -> Vec<u8> {
    let body = Body { format: FORMAT, backward: direction == Direction::Backward, position };
    sealer.seal(postcard::to_allocvec(&body).expect("numbers and lists can be written"))
}

/// Reads what [`seal`] made.
pub(crate) fn open(
    key: &ResumeKey,
    source: &Source,
    direction: Direction,
    sealed: &[u8],
) -> Result<Position, QueryError> {
    let refused = |what: &str| {
        let name = format!("{}:{}/{}", source.namespace, source.pod, source.container);
        QueryError::invalid("resume", format!("the token's position in {name} {what}"))
    };
    let body = key.sealer(source).open(sealed).ok_or_else(|| {
        refused(
            "was made by another agent or node, or by another version of it, or was changed on the way: hand back a \
             whole token to the one that made it, or search without",
        )
    })?;
    let (body, _): (Body, _) = postcard::take_from_bytes(&body)
        .map_err(|_| refused("is of another version of the agent; search without the token"))?;
    if body.format != FORMAT {
        return Err(refused("is of another version of the agent; search without the token"));
    }
    if body.backward != (direction == Direction::Backward) {
        let (was, is) = if body.backward { ("newest", "oldest") } else { ("oldest", "newest") };
        return Err(refused(&format!(
            "is of a search from the {was} record on, this one begins at the {is}"
        )));
    }
    Ok(body.position)
}

/// Where a search stood in each of its sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeToken {
    /// Start of the time range, nanoseconds since the epoch: what "an hour ago" was when the search began.
    pub since: Option<i64>,
    /// The search has told that it follows: what was there when it began was given, and a source that isn't named
    /// came later.
    pub live: bool,
    positions: BTreeMap<SourceKey, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct SourceKey(String, String, String, u32, String, String);

impl ResumeToken {
    /// Notes where the search of a source stands now.
    pub fn note(&mut self, source: &Source, position: Vec<u8>) {
        let Source { namespace, pod, container, restart, uid, container_id } = source.clone();
        self.positions.insert(SourceKey(namespace, pod, container, restart, uid, container_id), position);
    }

    /// The sources, and the search's position in each.
    pub fn positions(&self) -> impl Iterator<Item = (Source, &[u8])> {
        self.positions.iter().map(|(key, position)| {
            let SourceKey(namespace, pod, container, restart, uid, container_id) = key.clone();
            (Source { namespace, pod, container, restart, uid, container_id }, position.as_slice())
        })
    }

    /// Whether it is of a search that hasn't given anything.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && !self.live
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = postcard::to_allocvec(self).map_err(|_| fmt::Error)?;
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// A text that is no [`ResumeToken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a resume token: give one as it was printed, whole and on one line")]
pub struct NotAToken;

impl FromStr for ResumeToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<ResumeToken, NotAToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| NotAToken)?;
        match postcard::take_from_bytes(&bytes) {
            Ok((token, [])) => Ok(token),
            _ => Err(NotAToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pod: &str) -> Source {
        Source { namespace: "shop".into(), pod: pod.into(), container: "app".into(), ..Source::default() }
    }

    fn token() -> ResumeToken {
        let mut token = ResumeToken { since: Some(7), live: true, ..ResumeToken::default() };
        token.note(&source("a"), vec![1, 2, 3]);
        token.note(&source("b"), vec![]);
        token.note(&source("a"), vec![4]);
        token
    }

    #[test]
    fn a_token_is_one_text() {
        let text = token().to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token()));
        let positions: Vec<_> = token().positions().map(|(source, at)| (source.pod, at.to_vec())).collect();
        assert_eq!(positions, [("a".to_owned(), vec![4]), ("b".to_owned(), vec![])]);
    }

    #[test]
    fn a_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("resume.key");
        let key = ResumeKey::load(&path).expect("made");
        assert_eq!(ResumeKey::load(&path).expect("read"), key);
        assert_ne!(ResumeKey::random().expect("random"), key);
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).expect("there"));
        assert_eq!(mode & 0o077, 0);
        fs::write(&path, "short").expect("written");
        assert!(ResumeKey::load(&path).is_err());
    }

    #[test]
    fn whoever_has_the_same_secret_has_the_same_key() {
        let of = |secret: &[u8]| ResumeKey::of_secret(secret);
        assert!(of(b"sixteen random b").is_some() && of(b"sixteen random b") == of(b"sixteen random b"));
        assert_ne!(of(b"sixteen random b"), of(b"sixteen random c"));
        assert_eq!(of(b"fifteen bytes.."), None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let text = token().to_string();
        for wrong in ["", "?", "abc", &text[1..], &text[..text.len() - 1], &format!("{text}AAAA")] {
            assert_eq!(wrong.parse::<ResumeToken>(), Err(NotAToken), "{wrong}");
        }
    }
}
