//! `weir.v1.FilterService`: lists and describes filters. Listing compiles what hasn't been compiled yet.

use tonic::{Request, Response, Status};

use crate::convert;
use crate::lookup::Lookups;
use crate::wire::v1;

/// The service.
pub(crate) struct Filters {
    lookups: Lookups,
}

impl Filters {
    pub(crate) fn new(lookups: Lookups) -> Filters {
        Filters { lookups }
    }
}

#[tonic::async_trait]
impl v1::filter_service_server::FilterService for Filters {
    async fn list_filters(
        &self,
        _request: Request<v1::ListFiltersRequest>,
    ) -> Result<Response<v1::ListFiltersResponse>, Status> {
        let filters = self.lookups.run(|engine| engine.filters()).await?;
        let filters = filters.into_iter().map(convert::wire_filter_info).collect();
        Ok(Response::new(v1::ListFiltersResponse { filters }))
    }

    async fn describe_filter(
        &self,
        request: Request<v1::DescribeFilterRequest>,
    ) -> Result<Response<v1::DescribeFilterResponse>, Status> {
        let name = request.into_inner().name;
        let filter = self.lookups.run(move |engine| engine.filter(&name)).await?;
        Ok(Response::new(v1::DescribeFilterResponse { filter: Some(convert::wire_filter_info(filter)) }))
    }
}
