//! `weir.v1.QueryService`: admits queries and has each run as a [`Job`].

use std::sync::Arc;

use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use weir_query::{Cancel, CancelWhenDropped, Engine, FilterRef, QueryError};

use crate::admission::Admission;
use crate::audit::Entry;
use crate::caller::{Caller, Peer};
use crate::connection::Calls;
use crate::gate::Gate;
use crate::job::Job;
use crate::launcher::Launcher;
use crate::limits::ServerLimits;
use crate::observer::Observer;
use crate::outbox::Responses;
use crate::phase::Phases;
use crate::trace_id::TraceId;
use crate::uploads::Uploads;
use crate::wire::v1;
use crate::{convert, status};

/// The service.
pub(crate) struct Queries {
    pub(crate) engine: Arc<Engine>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) admission: Admission,
    pub(crate) limits: ServerLimits,
    pub(crate) phases: Phases,
    pub(crate) launcher: Launcher,
    pub(crate) uploads: Uploads,
    pub(crate) gate: Gate,
}

/// Whose query it is, for whoever reads logs.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) peer: Peer,
    pub(crate) trace: TraceId,
}

impl Queries {
    /// A component that the caller has uploaded.
    fn uploaded(&self, caller: Caller, field: &str, upload: v1::Upload) -> Result<FilterRef, QueryError> {
        let v1::Upload { label, digest } = upload;
        self.engine.check_components_allowed(&format!("{field} ({label})"))?;
        match self.uploads.find(caller, &digest) {
            Some(component) => Ok(FilterRef::Uploaded { label, component }),
            None => Err(QueryError::ComponentNeeded { field: field.to_owned(), digest }),
        }
    }

    /// From the request to the stream that answers it. The entry stays, unless a job has it.
    async fn begin(
        &self,
        request: Request<v1::QueryRequest>,
        asked: Asked,
        entry: &mut Option<Entry>,
    ) -> Result<Responses, Status> {
        let identity = self.gate.identify(&request).await?;
        let rights = self.gate.rights(&identity);
        let calls = request.extensions().get::<Calls>().cloned();
        let request = request.into_inner();
        let bytes = request.encoded_len();
        let caller = identity.caller();
        entry.iter_mut().for_each(|entry| entry.identified(&identity));
        let spec = convert::query_spec(request, &|field, upload| self.uploaded(caller, field, upload))
            .map_err(|error| status::from_error(&error))?;
        entry.iter_mut().for_each(|entry| entry.asked(&spec));
        let slot = match spec.follow {
            true => self.admission.follow(caller)?,
            // What it has uploaded may be forgotten while it waits, but not given up.
            false => self.admission.search(caller, bytes + spec.uploaded_bytes()).await?,
        };
        let cancel = Cancel::default();
        // Of a call that is dropped before the query is planned; after that, its response stream ends it.
        let abandoned = CancelWhenDropped::new(cancel.clone());
        let job = Job {
            engine: Arc::clone(&self.engine),
            observer: Arc::clone(&self.observer),
            limits: self.limits.clone(),
            phases: self.phases.clone(),
            launcher: self.launcher.clone(),
            calls,
            asked,
            spec,
            rights,
            entry: entry.take().expect("it was made for this query"),
            cancel,
            slot,
        };
        let (answer, planned) = oneshot::channel();
        let runtime = Handle::current();
        self.launcher.launch(move || {
            let _within = runtime.enter();
            job.run(answer);
        });
        let planned = planned.await;
        abandoned.defuse();
        match planned {
            Ok(planned) => planned.map_err(|error| status::from_error(&error)),
            Err(_) => Err(status::no_summary()),
        }
    }
}

#[tonic::async_trait]
impl v1::query_service_server::QueryService for Queries {
    type QueryStream = Responses;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Responses>, Status> {
        let asked = Asked { peer: Peer::of(&request), trace: TraceId::of(request.metadata()) };
        let mut entry = Some(Entry::new(Arc::clone(&self.gate.guard().audit), asked.peer, asked.trace));
        match self.gate.note(self.begin(request, asked, &mut entry).await) {
            Ok(responses) => {
                let mut response = Response::new(responses);
                asked.trace.tell(response.metadata_mut());
                Ok(response)
            }
            Err(mut status) => {
                let limit = status::limit_of(&status);
                self.observer.refused(limit.as_deref());
                tracing::info!(
                    peer = %asked.peer, trace_id = %asked.trace, code = ?status.code(), field = status::field_of(&status),
                    "query refused"
                );
                entry.into_iter().for_each(|entry| entry.refuse(&status));
                asked.trace.tell(status.metadata_mut());
                Err(status)
            }
        }
    }
}
