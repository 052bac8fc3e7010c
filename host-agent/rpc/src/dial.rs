//! Ways to an agent that aren't addresses: a stream that somebody else opens, such as one through the API server.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::Uri;
use tower::Service;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What a [`Dial`] is still about to do.
pub type Dialing<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Opens streams to an agent. TLS and HTTP/2 are spoken over them by [`Client`](crate::Client).
pub trait Dial: fmt::Debug + Send + Sync {
    /// Where they lead, for messages: "the agent on node-7".
    fn place(&self) -> String;

    /// Opens a stream. The error says all that there is to say.
    fn open(&self) -> Dialing<'_, Box<dyn Stream>>;

    /// The bearer token to send with each call over a connection that is about to be made, if there is one.
    fn token(&self) -> Dialing<'_, Option<String>>;
}

/// Gives the first stream, then new ones.
pub(crate) fn connector(
    first: Box<dyn Stream>,
    dial: Arc<dyn Dial>,
) -> impl Service<Uri, Response = TokioIo<Box<dyn Stream>>, Error = io::Error, Future: Send> + Send + 'static
{
    let mut first = Some(first);
    tower::service_fn(move |_: Uri| {
        let (first, dial) = (first.take(), Arc::clone(&dial));
        async move {
            match first {
                Some(stream) => Ok(TokioIo::new(stream)),
                None => dial.open().await.map(TokioIo::new),
            }
        }
    })
}
