//! The services as the wire has them. What they do stands in the modules below, one per noun.

mod admission;
mod decisions;
mod gate;
mod images;
mod tags;
mod upstreams;

use proto::registry::v1 as pb;
use proto::registry::v1::gate_server::Gate;
use proto::registry::v1::image_registry_server::ImageRegistry;
use proto::registry::v1::upstreams_server::Upstreams;
use runtime::Caller;
use tonic::{Request, Response, Status, async_trait};

use crate::App;

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ImageRegistry for App {
    async fn create_image(&self, request: Request<pb::CreateImageRequest>) -> Answer<pb::Image> {
        let caller = Caller::of(&request);
        Ok(Response::new(images::create(self, &caller, request.into_inner()).await?))
    }

    async fn get_image(&self, request: Request<pb::GetImageRequest>) -> Answer<pb::Image> {
        Ok(Response::new(images::get(self, request.into_inner()).await?))
    }

    async fn list_images(
        &self,
        request: Request<pb::ListImagesRequest>,
    ) -> Answer<pb::ListImagesResponse> {
        Ok(Response::new(images::list(self, request.into_inner()).await?))
    }

    async fn update_image(&self, request: Request<pb::UpdateImageRequest>) -> Answer<pb::Image> {
        let caller = Caller::of(&request);
        Ok(Response::new(images::update(self, &caller, request.into_inner()).await?))
    }

    async fn delete_image(&self, request: Request<pb::DeleteImageRequest>) -> Answer<pb::Image> {
        let caller = Caller::of(&request);
        Ok(Response::new(images::delete(self, &caller, request.into_inner()).await?))
    }

    async fn approve_image(&self, request: Request<pb::ApproveImageRequest>) -> Answer<pb::Image> {
        let caller = Caller::of(&request);
        Ok(Response::new(decisions::approve(self, &caller, request.into_inner()).await?))
    }

    async fn reject_image(&self, request: Request<pb::RejectImageRequest>) -> Answer<pb::Image> {
        let caller = Caller::of(&request);
        Ok(Response::new(decisions::reject(self, &caller, request.into_inner()).await?))
    }

    async fn list_categories(
        &self,
        _: Request<pb::ListCategoriesRequest>,
    ) -> Answer<pb::ListCategoriesResponse> {
        Ok(Response::new(images::categories(self).await?))
    }

    async fn create_tag(&self, request: Request<pb::CreateTagRequest>) -> Answer<pb::Tag> {
        let caller = Caller::of(&request);
        Ok(Response::new(tags::create(self, &caller, request.into_inner()).await?))
    }

    async fn list_tags(
        &self,
        request: Request<pb::ListTagsRequest>,
    ) -> Answer<pb::ListTagsResponse> {
        Ok(Response::new(tags::list(self, request.into_inner()).await?))
    }

    async fn update_tag(&self, request: Request<pb::UpdateTagRequest>) -> Answer<pb::Tag> {
        let caller = Caller::of(&request);
        Ok(Response::new(tags::update(self, &caller, request.into_inner()).await?))
    }

    async fn delete_tag(&self, request: Request<pb::DeleteTagRequest>) -> Answer<pb::Tag> {
        let caller = Caller::of(&request);
        Ok(Response::new(tags::delete(self, &caller, request.into_inner()).await?))
    }

    async fn admit_reference(
        &self,
        request: Request<pb::AdmitReferenceRequest>,
    ) -> Answer<pb::Verdict> {
        let caller = Caller::of(&request);
        Ok(Response::new(admission::admit(self, &caller, request.into_inner()).await?))
    }
}

#[async_trait]
impl Gate for App {
    async fn get_gate(&self, _: Request<pb::GetGateRequest>) -> Answer<pb::GateSettings> {
        Ok(Response::new(gate::get(self).await?))
    }

    async fn update_gate(
        &self,
        request: Request<pb::UpdateGateRequest>,
    ) -> Answer<pb::GateSettings> {
        let caller = Caller::of(&request);
        Ok(Response::new(gate::update(self, &caller, request.into_inner()).await?))
    }
}

#[async_trait]
impl Upstreams for App {
    async fn create_upstream(
        &self,
        request: Request<pb::CreateUpstreamRequest>,
    ) -> Answer<pb::Upstream> {
        let caller = Caller::of(&request);
        Ok(Response::new(upstreams::create(self, &caller, request.into_inner()).await?))
    }

    async fn get_upstream(&self, request: Request<pb::GetUpstreamRequest>) -> Answer<pb::Upstream> {
        Ok(Response::new(upstreams::get(self, request.into_inner()).await?))
    }

    async fn list_upstreams(
        &self,
        request: Request<pb::ListUpstreamsRequest>,
    ) -> Answer<pb::ListUpstreamsResponse> {
        Ok(Response::new(upstreams::list(self, request.into_inner()).await?))
    }

    async fn update_upstream(
        &self,
        request: Request<pb::UpdateUpstreamRequest>,
    ) -> Answer<pb::Upstream> {
        let caller = Caller::of(&request);
        Ok(Response::new(upstreams::update(self, &caller, request.into_inner()).await?))
    }

    async fn delete_upstream(
        &self,
        request: Request<pb::DeleteUpstreamRequest>,
    ) -> Answer<pb::Upstream> {
        let caller = Caller::of(&request);
        Ok(Response::new(upstreams::delete(self, &caller, request.into_inner()).await?))
    }

    async fn test_upstream(
        &self,
        request: Request<pb::TestUpstreamRequest>,
    ) -> Answer<pb::TestUpstreamResponse> {
        Ok(Response::new(upstreams::test(self, request.into_inner()).await?))
    }

    async fn resolve_tag(
        &self,
        request: Request<pb::ResolveTagRequest>,
    ) -> Answer<pb::ResolveTagResponse> {
        Ok(Response::new(upstreams::resolve_tag(self, request.into_inner()).await?))
    }
}
