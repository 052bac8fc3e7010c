//! One accepted connection, over TCP or a Unix socket, and who is at its other end.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Request;
use tonic::transport::server::{Connected, TlsConnectInfo};

use crate::phase::Phases;

/// A connection. It fails as soon as the server cuts what is still there after a drain, so that whatever
/// is stuck on it ends.
pub(crate) struct Connection {
    socket: Socket,
    peer: Peer,
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _slot: OwnedSemaphorePermit,
}

/// What a connection is made of.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// A connection that counts as one of the connections allowed at once, until it is dropped.
    pub(crate) fn new(socket: Socket, peer: Peer, phases: Phases, slot: OwnedSemaphorePermit) -> Connection {
        Connection { socket, peer, cut: Some(Box::pin(phases.cut())), _slot: slot }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// An address.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix,
    /// Not known.
    Unknown,
}

impl Peer {
    /// Who sent `request`.
    pub(crate) fn of<T>(request: &Request<T>) -> Peer {
        let extensions = request.extensions();
        let over_tls = extensions.get::<TlsConnectInfo<Peer>>().map(TlsConnectInfo::get_ref);
        over_tls.or_else(|| extensions.get::<Peer>()).cloned().unwrap_or(Peer::Unknown)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::Unknown => f.write_str("unknown"),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever holds a connection always has a read pending on it, so that this is where it is woken.
        if self.cut.as_mut().is_none_or(|cut| cut.as_mut().poll(context).is_ready()) {
            self.cut = None;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the agent ends")));
        }
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(context, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_read(context, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(context, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_write(context, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_write_vectored(context, bufs),
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(context, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(socket) => socket.is_write_vectored(),
            Socket::Unix(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(context),
            Socket::Unix(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
