//! Resume tokens: where a search stood in each of its sources, so that it can go on from there.
//!
//! A [`SourcePosition`] comes with the records that lead up to it. It is signed with a key of whoever searches
//! the logs, so that one that was changed, or that another node made, is refused and not misread. A
//! [`ResumeToken`] is a client's collection of the newest position of each source, as one text.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::hash::Hasher as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use weir_scan::{Direction, Position, Source};

use crate::QueryError;

/// Version of what is signed.
const FORMAT: u8 = 1;

/// Bytes of a signature: SipHash-2-4 with 128 bits, made to tell whether a short message was forged.
const SIGNATURE_BYTES: usize = 16;

/// Bytes of most sealed positions: two files, and no record whose end is still to be written.
const SEALED_BYTES: usize = 128;

/// Signs positions. Whoever is to go on after a restart must keep it.
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

    /// What signs positions of `source`.
    pub(crate) fn signer(&self, source: &Source) -> Signer {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        let Source { namespace, pod, container, restart, uid, container_id: _ } = source;
        for part in [namespace, pod, container, uid] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.write_u32(*restart);
        Signer(hasher)
    }
}

/// Signs positions of one source: a key that has taken in whose they are.
#[derive(Clone, Copy)]
pub(crate) struct Signer(SipHasher24);

impl Signer {
    fn sign(&self, body: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut hasher = self.0;
        hasher.write(body);
        hasher.finish128().as_bytes()
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
pub(crate) fn seal(signer: &Signer, direction: Direction, position: Position) -> Vec<u8> {
    let body = Body { format: FORMAT, backward: direction == Direction::Backward, position };
    let room = Vec::with_capacity(SEALED_BYTES);
    let mut sealed = postcard::to_extend(&body, room).expect("numbers and lists can be written");
    let signature = signer.sign(&sealed);
    sealed.extend_from_slice(&signature);
    sealed
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
    let foreign = || {
        refused(
            "was made by another agent or node, or was changed on the way: hand back a whole token to the one that \
             made it, or search without",
        )
    };
    let (body, signature) = sealed
        .split_last_chunk::<SIGNATURE_BYTES>()
        .ok_or_else(|| refused("is too short: hand back the whole token"))?;
    let forged =
        key.signer(source).sign(body).iter().zip(signature).fold(0, |sum, (a, b)| sum | (a ^ b)) != 0;
    if forged {
        return Err(foreign());
    }
    let body: Body = postcard::from_bytes(body)
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
    fn what_is_no_token_is_refused() {
        let text = token().to_string();
        for wrong in ["", "?", "abc", &text[1..], &text[..text.len() - 1], &format!("{text}AAAA")] {
            assert_eq!(wrong.parse::<ResumeToken>(), Err(NotAToken), "{wrong}");
        }
    }
}
