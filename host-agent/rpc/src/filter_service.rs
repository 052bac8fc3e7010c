//! `weir.v1.FilterService`: lists and describes filters, and takes components of callers' own. Listing compiles what
//! hasn't been compiled yet.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};
use weir_query::{QueryError, Right};

use crate::caller::{Caller, Peer};
use crate::gate::Gate;
use crate::identity::Identity;
use crate::lookup::Lookups;
use crate::observer::Observer;
use crate::uploads::Uploads;
use crate::wire::v1;
use crate::{convert_filters, status};
use v1::upload_filter_request::Part;

/// Largest message of a request: a part of an upload.
pub(crate) const MESSAGE_BYTES: usize = 256 << 10;

/// The service.
pub(crate) struct Filters {
    lookups: Lookups,
    uploads: Uploads,
    observer: Arc<dyn Observer>,
    gate: Gate,
}

impl Filters {
    pub(crate) fn new(
        lookups: Lookups,
        uploads: Uploads,
        observer: Arc<dyn Observer>,
        gate: Gate,
    ) -> Filters {
        Filters { lookups, uploads, observer, gate }
    }

    /// Refuses who isn't known. Filters aren't anybody's secret.
    async fn identify<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        self.gate.note(self.gate.identify(request).await)
    }

    /// Refuses who may not bring filters of their own.
    async fn uploader<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let identity = self.identify(request).await?;
        let what = "a filter of one's own may not be used: that takes the verb 'upload' on filters.weir.dev";
        let allowed = self.gate.rights(&identity).require(Right::UploadFilter, "start", what).await;
        self.gate.note(allowed)?;
        Ok(identity.caller())
    }

    /// Takes an upload, and says how many bytes it had.
    async fn take(
        &self,
        caller: Caller,
        parts: &mut Streaming<v1::UploadFilterRequest>,
    ) -> Result<usize, Status> {
        let start = match parts.message().await?.and_then(|first| first.part) {
            Some(Part::Start(start)) => start,
            _ => return Err(invalid("start", "the first part of an upload says what is to come: set start")),
        };
        let refused = |error: QueryError| status::from_error(&error);
        self.lookups.engine().check_components_allowed("start").map_err(refused)?;
        check_digest(&start.digest)?;
        if self.uploads.find(caller, &start.digest).is_some() {
            return Ok(0);
        }
        let most = self.lookups.engine().component_bytes();
        let size = usize::try_from(start.size).ok().filter(|size| *size <= most);
        let Some(size) = size else {
            let message = format!("the component has {} bytes", start.size);
            return Err(status::limit("start.size", "component_bytes", most, &message));
        };
        let room = self.uploads.room(caller, size)?;
        let component = receive(parts, size).await?;
        let admitted = self.lookups.run(move |engine| {
            let signature = (!start.signature.is_empty()).then_some(start.signature.as_slice());
            let digest = engine.admit_upload(&component, signature, "component")?;
            Ok((digest, component))
        });
        let (digest, component) = admitted.await?;
        if digest != start.digest {
            let message =
                format!("is {}, but what came has {digest}; send the component as it is", start.digest);
            return Err(invalid("start.digest", &message));
        }
        room.keep(digest, component);
        Ok(size)
    }
}

/// The bytes of a component, which has so many.
async fn receive(parts: &mut Streaming<v1::UploadFilterRequest>, size: usize) -> Result<Vec<u8>, Status> {
    let mut component = Vec::with_capacity(size);
    while let Some(part) = parts.message().await? {
        let Some(Part::Chunk(chunk)) = part.part else {
            return Err(invalid("chunk", "after start, each part is the component's next bytes: set chunk"));
        };
        if component.len() + chunk.len() > size {
            return Err(invalid(
                "start.size",
                &format!("is {size}, but there are more bytes; give the right size"),
            ));
        }
        component.extend_from_slice(&chunk);
    }
    if component.len() < size {
        let message = format!("is {size}, but only {} bytes came; give the right size", component.len());
        return Err(invalid("start.size", &message));
    }
    Ok(component)
}

fn check_digest(digest: &str) -> Result<(), Status> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(is_hex) => Ok(()),
        _ => Err(invalid("start.digest", "is no digest; give sha256: and 64 lower-case hex digits")),
    }
}

fn invalid(field: &str, message: &str) -> Status {
    status::from_error(&QueryError::Invalid { field: field.to_owned(), message: message.to_owned() })
}

#[tonic::async_trait]
impl v1::filter_service_server::FilterService for Filters {
    async fn list_filters(
        &self,
        request: Request<v1::ListFiltersRequest>,
    ) -> Result<Response<v1::ListFiltersResponse>, Status> {
        self.identify(&request).await?;
        let list = self.lookups.run(|engine| engine.filters()).await?;
        Ok(Response::new(convert_filters::wire_filter_list(list)))
    }

    async fn describe_filter(
        &self,
        request: Request<v1::DescribeFilterRequest>,
    ) -> Result<Response<v1::DescribeFilterResponse>, Status> {
        self.identify(&request).await?;
        let name = request.into_inner().name;
        let filter = self.lookups.run(move |engine| engine.filter(&name)).await?;
        Ok(Response::new(v1::DescribeFilterResponse {
            filter: Some(convert_filters::wire_filter_info(filter)),
        }))
    }

    async fn upload_filter(
        &self,
        request: Request<Streaming<v1::UploadFilterRequest>>,
    ) -> Result<Response<v1::UploadFilterResponse>, Status> {
        let peer = Peer::of(&request);
        let taken = match self.uploader(&request).await {
            Ok(caller) => self.take(caller, &mut request.into_inner()).await,
            Err(status) => Err(status),
        };
        self.observer.uploaded(taken.is_ok());
        match taken {
            Ok(bytes) => {
                tracing::info!(%peer, bytes, "filter uploaded");
                Ok(Response::new(v1::UploadFilterResponse {}))
            }
            Err(error) => {
                tracing::info!(%peer, code = ?error.code(), reason = error.message(), "upload refused");
                Err(error)
            }
        }
    }
}
