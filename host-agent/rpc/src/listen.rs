//! Where the server listens, and under which protection: TLS, or what can't leave this machine.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::caller::Peer;
use crate::observer::Observer;
use crate::tls::{Certificates, Tls, TlsFiles};

/// How often, and how often again, a client is asked whether it is there, from a silence of `keepalive` on, before it
/// counts as gone. The system's own means, and not pings of HTTP/2: a client that is held up by what reads from it,
/// such as a pager, answers no pings, but its system still answers for it.
const KEEPALIVE_TIMES: u32 = 3;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket at this path, which only its owner may use (mode 0600).
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = ListenError;

    /// Reads `ADDRESS:PORT` or `unix:/PATH`.
    fn from_str(text: &str) -> Result<Listen, ListenError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Listen::Unix(path.into())),
                false => Err(ListenError::Address { text: text.to_owned() }),
            };
        }
        text.parse().map(Listen::Tcp).map_err(|_| ListenError::Address { text: text.to_owned() })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Checks all that can be checked without binding: that plain text stays on this machine, and the files.
    ///
    /// # Errors
    /// As [`Listener::bind`], but for addresses that the system refuses.
    pub fn check(&self, tls: Option<&TlsFiles>) -> Result<(), ListenError> {
        self.protection(tls).map(drop)
    }

    fn protection(&self, tls: Option<&TlsFiles>) -> Result<Option<Tls>, ListenError> {
        match (self, tls) {
            (Listen::Unix(_), Some(_)) => Err(ListenError::TlsOnUnix),
            (Listen::Unix(_), None) => Ok(None),
            (Listen::Tcp(address), None) if !address.ip().is_loopback() => {
                Err(ListenError::Plaintext { address: *address })
            }
            (Listen::Tcp(_), tls) => tls.cloned().map(Tls::load).transpose(),
        }
    }
}

/// Why the server can't listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Not an address.
    #[error("'{text}' is not a place to listen: give ADDRESS:PORT, such as 127.0.0.1:7411, or unix:/PATH")]
    Address {
        /// What was given.
        text: String,
    },
    /// Plain text would leave the machine.
    #[error(
        "without TLS only a loopback address or a Unix socket is allowed, and {address} is neither: \
         set tls.cert and tls.key (and tls.client_ca to admit only clients with a certificate)"
    )]
    Plaintext {
        /// What was given.
        address: SocketAddr,
    },
    /// TLS where it has no use.
    #[error("TLS is configured, but a Unix socket doesn't use it: take tls away, or listen on ADDRESS:PORT")]
    TlsOnUnix,
    /// A file of certificates or keys that can't be used.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refuses.
    #[error("can't listen on {listen}: {source}")]
    Bind {
        /// Where.
        listen: Listen,
        /// Why.
        source: io::Error,
    },
}

/// A bound socket, with its protection.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    local: Listen,
    tls: Option<Arc<Tls>>,
}

/// What a client is connected by.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// Held for its end.
        _file: SocketFile,
    },
}

impl Listener {
    /// Binds, within a tokio runtime. `tls` is required where plain text could leave the machine.
    ///
    /// # Errors
    /// Plain text off loopback, TLS files that can't be used, an address that can't be bound.
    pub async fn bind(listen: &Listen, tls: Option<&TlsFiles>) -> Result<Listener, ListenError> {
        let failed = |source| ListenError::Bind { listen: listen.clone(), source };
        let tls = listen.protection(tls)?.map(Arc::new);
        match listen {
            Listen::Tcp(address) => {
                let socket = TcpListener::bind(address).await.map_err(failed)?;
                let local = Listen::Tcp(socket.local_addr().map_err(failed)?);
                Ok(Listener { socket: Bound::Tcp(socket), local, tls })
            }
            Listen::Unix(path) => {
                let (listener, _file) = bind_unix(path).map_err(failed)?;
                Ok(Listener { socket: Bound::Unix { listener, _file }, local: listen.clone(), tls })
            }
        }
    }

    /// Where it listens, with the port that was taken.
    pub fn local(&self) -> &Listen {
        &self.local
    }

    /// How clients are to be met; `None` is plain text.
    /// The certificates that clients are met with, of which `observer` is told when they change; `None` without TLS.
    pub fn certificates(&self, observer: Arc<dyn Observer>) -> Option<Certificates> {
        self.tls.clone().map(|tls| Certificates { tls, observer })
    }

    /// Waits for the next client, which is asked whether it is there after a silence of `keepalive`.
    pub(crate) async fn accept(&self, keepalive: Duration) -> io::Result<(Socket, Peer)> {
        match &self.socket {
            Bound::Tcp(listener) => {
                let (socket, address) = listener.accept().await?;
                socket.set_nodelay(true)?;
                // The system counts in seconds.
                let interval = (keepalive / KEEPALIVE_TIMES).max(Duration::from_secs(1));
                let keepalive = TcpKeepalive::new()
                    .with_time(keepalive)
                    .with_interval(interval)
                    .with_retries(KEEPALIVE_TIMES);
                SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
                Ok((Socket::Tcp(socket), Peer::at(address)))
            }
            Bound::Unix { listener, .. } => {
                let (socket, _) = listener.accept().await?;
                let uid = socket.peer_cred()?.uid();
                Ok((Socket::Unix(socket), Peer::user(uid)))
            }
        }
    }
}

/// The socket's file, taken away with the listener unless another took its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file stays behind");
        }
    }
}

/// Binds a socket that nobody but its owner can ever connect to: it is made in a folder that only the owner
/// can enter, gets its mode there, and takes its place by a rename. What is left of an agent that was killed is
/// replaced; one that still answers is not.
fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(error),
    }
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let private = parent.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&private)?;
    let made = bind_in(&private, path);
    fs::remove_dir_all(&private)?;
    made
}

fn bind_in(private: &Path, path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let made = private.join("s");
    let socket = UnixListener::bind(&made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    let inode = fs::symlink_metadata(&made)?.ino();
    if fs::symlink_metadata(path)
        .is_ok_and(|found| !std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()))
    {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
    }
    fs::rename(&made, path)?;
    Ok((socket, SocketFile { path: path.to_owned(), inode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen() {
        let tcp = |text: &str| Listen::Tcp(text.parse().expect("an address"));
        for (text, expected) in [
            ("127.0.0.1:0", tcp("127.0.0.1:0")),
            ("[::1]:7411", tcp("[::1]:7411")),
            ("unix:/run/weir.sock", Listen::Unix("/run/weir.sock".into())),
            ("unix:///run/weir.sock", Listen::Unix("/run/weir.sock".into())),
        ] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen, expected);
            assert_eq!(listen.to_string().parse::<Listen>().expect("its own text"), listen);
        }
        for text in ["", "7411", "localhost:7411", "unix:relative.sock", "unix:", "http://127.0.0.1:1"] {
            let error = text.parse::<Listen>().expect_err(text).to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[tokio::test]
    async fn plain_text_stays_on_this_machine() {
        for text in ["0.0.0.0:0", "[::]:0", "10.1.2.3:7411"] {
            let error = Listener::bind(&text.parse().expect(text), None).await.expect_err(text).to_string();
            assert!(error.contains("tls.cert and tls.key"), "{error}");
        }
        let listener =
            Listener::bind(&"127.0.0.1:0".parse().expect("an address"), None).await.expect("loopback");
        assert!(matches!(listener.local(), Listen::Tcp(address) if address.port() != 0));
    }

    #[tokio::test]
    async fn a_unix_socket_is_its_owners_and_replaces_only_the_dead() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("agent.sock");
        let listen = Listen::Unix(path.clone());
        // What a killed agent leaves: a socket that nobody listens on.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let listener = Listener::bind(&listen, None).await.expect("a dead socket is replaced");
        let mode = fs::metadata(&path).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = Listener::bind(&listen, None).await.expect_err("a live socket is not").to_string();
        assert!(error.contains("another process"), "{error}");
        drop(listener);
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 0, "nothing stays behind");

        fs::write(&path, "mine").expect("a file");
        assert!(Listener::bind(&listen, None).await.is_err());
        assert_eq!(fs::read(&path).expect("the file"), b"mine");
    }

    #[tokio::test]
    async fn tls_files_are_checked_by_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let empty = dir.path().join("empty.pem");
        fs::write(&empty, "").expect("a file");
        let listen = "0.0.0.0:0".parse().expect("an address");
        let missing = dir.path().join("missing.pem");
        for cert in [empty, missing] {
            let reload = Duration::from_secs(10);
            let tls = TlsFiles {
                cert: cert.clone(),
                key: cert.clone(),
                client_ca: None,
                client_cert_optional: false,
                reload,
            };
            let error = Listener::bind(&listen, Some(&tls)).await.expect_err("no certificate").to_string();
            assert!(error.contains(&*cert.to_string_lossy()), "{error}");
            assert!(matches!(
                Listener::bind(&Listen::Unix("/run/x".into()), Some(&tls)).await,
                Err(ListenError::TlsOnUnix)
            ));
        }
    }
}
