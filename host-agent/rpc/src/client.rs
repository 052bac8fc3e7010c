//! The client: one agent's services as ours, so that a query over the network gives what a local one gives.

use std::collections::HashSet;
use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Streaming};
use weir_query::{Event, FilterInfo, FilterList, Flow, QueryError, QuerySpec, SourceInfo};

use crate::dial::{self, Dial};
use crate::endpoint::{self, Endpoint};
use crate::trace_id::{self, TraceId};
use crate::wire::v1;
use crate::{convert, convert_filters, status};
use v1::filter_service_client::FilterServiceClient;
use v1::query_service_client::QueryServiceClient;
use v1::source_service_client::SourceServiceClient;
use v1::upload_filter_request::Part;

/// Largest response taken, in bytes: one record of the longest line that an agent allows, with what filters
/// made of it.
const RESPONSE_BYTES: usize = 64 << 20;

/// Bytes of a component that are sent at a time.
const CHUNK_BYTES: usize = 128 << 10;

/// Why a call has no whole answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The endpoint can't be used: a URL, a file or a token.
    #[error("{field}: {message}")]
    Endpoint {
        /// Name of the [`Endpoint`]'s field.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Nobody answers, or not in a way that proves who they are.
    #[error("can't connect to {url}: {message}")]
    Connect {
        /// The endpoint's URL.
        url: String,
        /// Why.
        message: String,
        /// Name of the [`Endpoint`]'s field that may be wrong, or missing, where the reason tells it.
        look_at: Option<&'static str>,
    },
    /// The agent's own answer.
    #[error(transparent)]
    Query(QueryError),
    /// The connection was lost, the agent gives no sign of life or is shutting down: the answer so far has no end.
    #[error("the agent's answer broke off: {message}")]
    Lost {
        /// What the transport says.
        message: String,
    },
    /// The stream ended well, but without a summary: the answer isn't whole.
    #[error("the agent's answer ended without a summary, so it isn't whole")]
    Incomplete,
    /// The agent says what can't be, or doesn't know the call.
    #[error("the agent and this client don't understand each other: {message}")]
    Protocol {
        /// What was said.
        message: String,
    },
}

/// A connection to one agent.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
    trace: Option<Trace>,
}

/// What calls on several agents have in common, so that their logs have them under one id.
#[derive(Clone, Debug)]
pub struct Trace(MetadataValue<Ascii>);

impl Trace {
    /// A new one.
    pub fn new() -> Trace {
        Trace(TraceId::new().traceparent().parse().expect("hex digits are a header's value"))
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// An endpoint that can't be used, plain text to another machine included; an agent that can't be reached or
    /// trusted.
    pub async fn connect(endpoint: &Endpoint) -> Result<Client, ClientError> {
        let authorization = endpoint.token.as_deref().map(endpoint::bearer).transpose()?;
        let transport = endpoint::transport(endpoint)?;
        let channel = transport.connect().await.map_err(|error| ClientError::Connect {
            url: endpoint.url.clone(),
            message: causes(&error),
            look_at: look_at(&error),
        })?;
        Ok(Client { channel, authorization, trace: None })
    }

    /// Connects over a stream that `dial` opens, and over another one when that was lost. Of the endpoint's URL, which
    /// must be `https://`, only the host counts: the agent's certificate must have that name.
    ///
    /// # Errors
    /// An endpoint that can't be used; no stream in time ([`Endpoint::patience`]); an agent that can't be trusted.
    pub async fn connect_over(endpoint: &Endpoint, dial: Arc<dyn Dial>) -> Result<Client, ClientError> {
        let transport = endpoint::transport(endpoint)?;
        let failed = |message: String| ClientError::Connect { url: dial.place(), message, look_at: None };
        let token = match &endpoint.token {
            Some(token) => Some(token.clone()),
            None => dial.token().await.map_err(|error| failed(error.to_string()))?,
        };
        let authorization = token.as_deref().map(endpoint::bearer).transpose()?;
        let first = timeout(endpoint.connect_time(), dial.open())
            .await
            .map_err(|_| failed(format!("no stream within {:?}", endpoint.connect_time())))?
            .map_err(|error| failed(error.to_string()))?;
        let connector = dial::connector(first, Arc::clone(&dial));
        let connected = transport.connect_with_connector(connector).await;
        let channel = connected.map_err(|error| ClientError::Connect {
            url: dial.place(),
            message: causes(&error),
            look_at: look_at(&error),
        })?;
        Ok(Client { channel, authorization, trace: None })
    }

    /// Has calls from now on be part of a trace.
    pub fn join(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// Runs a query and hands each event to `sink`, the summary last. Components that it brings and the agent doesn't
    /// have are uploaded before. When `sink` says
    /// [`Flow::Stop`], the agent's search is cancelled and that is no error. While `sink` works, the agent waits.
    ///
    /// # Errors
    /// A query that the agent refuses; a stream that ends without a summary.
    pub async fn query(
        &mut self,
        spec: &QuerySpec,
        sink: &mut dyn FnMut(Event) -> Flow,
    ) -> Result<(), ClientError> {
        let mut answer = self.open(spec).await?;
        while let Some(event) = answer.next().await? {
            if sink(event) == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// Begins a query, whose answer is to be taken event by event. Components that it brings and the agent doesn't have
    /// are uploaded before.
    ///
    /// # Errors
    /// A query that the agent refuses.
    pub async fn open(&mut self, spec: &QuerySpec) -> Result<Answer, ClientError> {
        let mut uploaded = HashSet::new();
        loop {
            match self.ask(spec).await {
                Ok(responses) => return Ok(Answer { responses, is_whole: false }),
                // One that is needed again is not to be had there.
                Err(ClientError::Query(QueryError::ComponentNeeded { field, digest }))
                    if spec.component(&digest).is_some() && uploaded.insert(digest.clone()) =>
                {
                    let (component, signature) = spec.component(&digest).expect("it was just looked for");
                    let label = spec.component_label(&digest).unwrap_or_default();
                    let uploaded = self.upload(component, signature, digest).await;
                    uploaded.map_err(|error| about(error, format!("{field} ({label})")))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn ask(&mut self, spec: &QuerySpec) -> Result<Streaming<v1::QueryResponse>, ClientError> {
        let request = self.request(convert::query_request(spec));
        let answer = QueryServiceClient::new(self.channel.clone())
            .max_decoding_message_size(RESPONSE_BYTES)
            .max_encoding_message_size(usize::MAX)
            .query(request)
            .await;
        answer.map(Response::into_inner).map_err(|status| status::to_error(&status))
    }

    /// Uploads a component for queries that name it by its digest.
    async fn upload(
        &mut self,
        component: &[u8],
        signature: Option<&[u8]>,
        digest: String,
    ) -> Result<(), ClientError> {
        let signature = signature.unwrap_or_default().to_vec();
        let start = Part::Start(v1::UploadStart { digest, size: component.len() as u64, signature });
        let component = Bytes::copy_from_slice(component);
        let chunks = (0..component.len()).step_by(CHUNK_BYTES);
        let chunks = chunks.map(|at| Part::Chunk(component.slice(at..component.len().min(at + CHUNK_BYTES))));
        let parts: Vec<_> = std::iter::once(start)
            .chain(chunks)
            .map(|part| v1::UploadFilterRequest { part: Some(part) })
            .collect();
        let request = self.request(tokio_stream::iter(parts));
        let uploaded = FilterServiceClient::new(self.channel.clone()).upload_filter(request).await;
        uploaded.map(|_| ()).map_err(|status| status::to_error(&status))
    }

    /// The sources that any of `selectors` takes (all, when there is none), with their times.
    ///
    /// # Errors
    /// A selector that can't be read or takes nothing.
    pub async fn sources(&mut self, selectors: &[String]) -> Result<Vec<SourceInfo>, ClientError> {
        self.list_sources(selectors, true).await
    }

    /// Whether `selector` takes anything.
    ///
    /// # Errors
    /// A selector that can't be read or takes nothing.
    pub async fn finds(&mut self, selector: &str) -> Result<(), ClientError> {
        self.list_sources(&[selector.to_owned()], false).await.map(drop)
    }

    async fn list_sources(
        &mut self,
        selectors: &[String],
        times: bool,
    ) -> Result<Vec<SourceInfo>, ClientError> {
        let request = self.request(v1::ListSourcesRequest { selectors: selectors.to_vec(), times });
        let response = SourceServiceClient::new(self.channel.clone())
            .max_decoding_message_size(RESPONSE_BYTES)
            .list_sources(request)
            .await
            .map_err(|status| status::to_error(&status))?;
        let sources = response.into_inner().sources.into_iter();
        sources.map(|source| convert::source_info(source).map_err(protocol)).collect()
    }

    /// Every filter that the agent has, and every file of its folder of filters.
    ///
    /// # Errors
    /// A filter that can't be compiled there.
    pub async fn filters(&mut self) -> Result<FilterList, ClientError> {
        let request = self.request(v1::ListFiltersRequest {});
        let response = FilterServiceClient::new(self.channel.clone())
            .max_decoding_message_size(RESPONSE_BYTES)
            .list_filters(request)
            .await
            .map_err(|status| status::to_error(&status))?;
        convert_filters::filter_list(response.into_inner()).map_err(protocol)
    }

    /// The filter of that name.
    ///
    /// # Errors
    /// No such filter, or one that can't be compiled there.
    pub async fn filter(&mut self, name: &str) -> Result<FilterInfo, ClientError> {
        let request = self.request(v1::DescribeFilterRequest { name: name.to_owned() });
        let response = FilterServiceClient::new(self.channel.clone())
            .describe_filter(request)
            .await
            .map_err(|status| status::to_error(&status))?;
        let filter = response
            .into_inner()
            .filter
            .ok_or_else(|| protocol("a description without a filter".to_owned()))?;
        convert_filters::filter_info(filter).map_err(protocol)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        if let Some(Trace(trace)) = &self.trace {
            request.metadata_mut().insert(trace_id::HEADER, trace.clone());
        }
        request
    }
}

/// The answer to one query as it comes. While nothing is taken of it, the agent waits; dropping it ends the agent's
/// search.
#[derive(Debug)]
pub struct Answer {
    responses: Streaming<v1::QueryResponse>,
    /// The event taken last was the summary.
    is_whole: bool,
}

impl Answer {
    /// The next event; `None` behind the summary.
    ///
    /// # Errors
    /// An answer that breaks off, or ends without a summary.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        while let Some(response) =
            self.responses.message().await.map_err(|status| status::to_error(&status))?
        {
            if let Some(event) = convert::event(response).map_err(protocol)? {
                self.is_whole = matches!(event, Event::Summary(_));
                return Ok(Some(event));
            }
        }
        if self.is_whole { Ok(None) } else { Err(ClientError::Incomplete) }
    }
}

fn protocol(message: String) -> ClientError {
    ClientError::Protocol { message }
}

/// The error and what caused it: the transport's own text is often just "transport error".
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}

/// The field of an endpoint that may be why TLS has failed.
fn look_at(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error names the cause of what it wraps, and not that itself.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| wrapped.and_then(|inner| inner.downcast_ref()));
        match tls {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
                return match reason {
                    UnknownIssuer => Some("ca"),
                    NotValidForName | NotValidForNameContext { .. } => Some("server_name"),
                    _ => None,
                };
            }
            Some(rustls::Error::AlertReceived(_)) => return Some("cert"),
            Some(rustls::Error::InvalidMessage(_)) => return Some("url"),
            _ => next = error.source(),
        }
    }
    None
}

/// An error of an upload as one of the query's own field, which is what the caller has typed.
fn about(error: ClientError, field: String) -> ClientError {
    let ClientError::Query(error) = error else { return error };
    ClientError::Query(match error {
        QueryError::Invalid { message, .. } => QueryError::Invalid { field, message },
        QueryError::Refused { message, .. } => QueryError::Refused { field, message },
        QueryError::LimitExceeded { limit, value, message, .. } => {
            QueryError::LimitExceeded { field, limit, value, message }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_fails_says_why() {
        let url = "unix:///nowhere/agent.sock".to_owned();
        match Client::connect(&Endpoint { url, ..Endpoint::default() }).await {
            Err(error @ ClientError::Connect { .. }) => {
                let error = error.to_string();
                assert!(error.contains("/nowhere/agent.sock") && error.contains("No such file"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
