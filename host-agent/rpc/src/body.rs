//! The bodies of calls: requests within bounds of size and time, answers that keep their call open.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use crate::connection::Call;
use crate::status;

/// Bytes of all requests that are being received. Clones share them.
#[derive(Clone)]
pub(crate) struct Arrivals {
    bytes: Arc<AtomicUsize>,
    most: usize,
}

impl Arrivals {
    /// None so far, and `most` at once.
    pub(crate) fn new(most: usize) -> Arrivals {
        Arrivals { bytes: Arc::default(), most }
    }
}

/// A request's body.
pub(crate) struct Arriving<B> {
    body: B,
    arrivals: Arrivals,
    /// Bytes of it so far.
    bytes: usize,
    patience: Duration,
    late: Pin<Box<Sleep>>,
}

impl<B> Arriving<B> {
    /// One that counts among `arrivals` and must be here within `patience`.
    pub(crate) fn new(body: B, arrivals: Arrivals, patience: Duration) -> Arriving<B> {
        Arriving { body, arrivals, bytes: 0, patience, late: Box::pin(tokio::time::sleep(patience)) }
    }
}

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                return self.late.as_mut().poll(context).map(|()| {
                    let seconds = self.patience.as_secs_f64();
                    Some(Err(status::limit(
                        "request",
                        "request_seconds",
                        seconds,
                        "it took too long to arrive",
                    )))
                });
            }
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.bytes += bytes;
        let before = self.arrivals.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.arrivals.most {
            let message = "too much arrives at once; try again later";
            let error = status::limit("request", "max_requests_bytes", self.arrivals.most, message);
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Arriving<B> {
    fn drop(&mut self) {
        self.arrivals.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An answer's body. Its call is open until it is dropped.
pub(crate) struct Counted {
    body: Body,
    _call: Call,
}

impl Counted {
    pub(crate) fn new(body: Body, call: Call) -> Counted {
        Counted { body, _call: call }
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
