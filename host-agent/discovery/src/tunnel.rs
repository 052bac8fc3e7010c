//! The way to the agent of a node through the API server: a port-forward to its pod, which kubelet ends.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use weir_rpc::{Dial, Dialing, Stream};

use crate::agent::{Agent, State};
use crate::cluster::Cluster;
use crate::error::DiscoveryError;

/// The way to the agent of a node. A pod that has come in place of the one that was known is found again.
#[derive(Debug)]
pub struct Tunnel {
    cluster: Cluster,
    node: String,
    /// Namespace of the agents, where it was given.
    namespace: Option<String>,
    /// The agent that was found last, for the first stream.
    known: Mutex<Option<Agent>>,
    /// Whether the kubeconfig's token is for the agent too.
    gives_token: bool,
}

impl Tunnel {
    /// A way to the agent of `node`: the known one, or whichever is there when a stream is opened. Where `gives_token`
    /// isn't set, the kubeconfig's token stays with the API server.
    pub fn new(
        cluster: &Cluster,
        node: &str,
        namespace: Option<&str>,
        known: Option<Agent>,
        gives_token: bool,
    ) -> Tunnel {
        Tunnel {
            cluster: cluster.clone(),
            node: node.to_owned(),
            namespace: namespace.map(str::to_owned),
            known: Mutex::new(known),
            gives_token,
        }
    }

    async fn agent(&self) -> Result<Agent, DiscoveryError> {
        // What is in it is replaced as a whole.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut agents = self.cluster.agents(self.namespace.as_deref(), Some(&self.node)).await?;
        agents.remove(&self.node).ok_or_else(|| DiscoveryError::refused("no agent of Weir runs on that node"))
    }

    async fn forward(&self) -> Result<Forward, DiscoveryError> {
        let Agent { namespace, pod, port, state, .. } = self.agent().await?;
        if let State::NotReady(why) = state {
            return Err(DiscoveryError::refused(format!("its pod {namespace}/{pod}: {why}")));
        }
        let doing = format!("port-forward to {namespace}/{pod}");
        let hint = format!("it takes the verbs get and create on pods/portforward in namespace {namespace}");
        let mut forwarder = Api::<Pod>::namespaced(self.cluster.client.clone(), &namespace)
            .portforward(&pod, &[port])
            .await
            .map_err(|error| DiscoveryError::of(doing, &error).with_hint(&hint))?;
        let stream = forwarder.take_stream(port).expect("the stream of a port is there once");
        let error = forwarder.take_error(port).expect("so are its errors");
        Ok(Forward { stream, error: Some(Box::pin(error)) })
    }
}

impl Dial for Tunnel {
    fn place(&self) -> String {
        format!("the agent on {}", self.node)
    }

    fn open(&self) -> Dialing<'_, Box<dyn Stream>> {
        Box::pin(async {
            let stream = self.forward().await.map_err(io::Error::other)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn token(&self) -> Dialing<'_, Option<String>> {
        Box::pin(async {
            match self.gives_token {
                true => self.cluster.token().await.map(Some).map_err(io::Error::other),
                false => Ok(None),
            }
        })
    }
}

/// A forwarded port. What kubelet says of it comes beside it, and ends it.
struct Forward {
    stream: DuplexStream,
    error: Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
}

impl Forward {
    fn poll_error(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(error) = &mut self.error else { return Poll::Pending };
        match error.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(told) => {
                self.error = None;
                told.map_or(Poll::Pending, |told| Poll::Ready(io::Error::other(told)))
            }
        }
    }
}

impl AsyncRead for Forward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.poll_error(context) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => Pin::new(&mut self.stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Forward {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
