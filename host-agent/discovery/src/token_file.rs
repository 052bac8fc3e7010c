//! A bearer token in a file that a kubeconfig names. kube takes a file's last newline for a part of the token; kubectl,
//! and with it whoever writes such files, doesn't.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;

/// How long a token is used before its file, which may have been replaced, is read again.
const FRESH: Duration = Duration::from_secs(30);

/// Such a file, and what it held last.
#[derive(Clone)]
pub(crate) struct TokenFile {
    path: PathBuf,
    last: Arc<Mutex<(Instant, HeaderValue)>>,
}

impl TokenFile {
    pub(crate) fn read(path: &Path) -> Result<TokenFile> {
        let last = Arc::new(Mutex::new((Instant::now(), header(path)?)));
        Ok(TokenFile { path: path.to_owned(), last })
    }

    /// The header that says who we are. Of a file that is gone it is the last one, as it is with kubectl.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.elapsed() >= FRESH {
            last.0 = Instant::now();
            if let Ok(header) = header(&self.path) {
                last.1 = header;
            }
        }
        last.1.clone()
    }
}

fn header(path: &Path) -> Result<HeaderValue> {
    let text = fs::read_to_string(path)?;
    let invalid = |what| Error::new(ErrorKind::InvalidData, what);
    let token = Some(text.trim()).filter(|token| !token.is_empty()).ok_or_else(|| invalid("it is empty"))?;
    let mut header =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| invalid("it is no token"))?;
    header.set_sensitive(true);
    Ok(header)
}
