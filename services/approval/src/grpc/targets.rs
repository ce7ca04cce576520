//! `slipway.approval.v1.Targets`.

use proto::approval::v1 as pb;
use proto::approval::v1::targets_server::Targets;
use proto::rollout::v1 as rollout;
use runtime::{Caller, id};
use tonic::{Request, Response, Status, async_trait};

use crate::{App, target};

/// Serves what devices should run from the start.
#[derive(Debug, Clone)]
pub(crate) struct TargetsRpc(pub(crate) App);

#[async_trait]
impl Targets for TargetsRpc {
    async fn set_target(
        &self,
        request: Request<pb::SetTargetRequest>,
    ) -> Result<Response<pb::SetTargetResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        id::parse_uuid("device_id", &request.device_id)?;
        let wanted = target::check(request.services)?;
        let admitted = target::admit(&self.0, caller.person(), wanted).await?;
        let message = rollout::SetDeviceTargetRequest {
            device_id: request.device_id,
            services: admitted.iter().map(|service| service.to_service(&self.0)).collect(),
            etag: request.etag,
        };
        let target = self.0.peers.set_target(message, caller.person()).await?;
        Ok(Response::new(pb::SetTargetResponse {
            generation: target.generation,
            etag: target.etag,
            services: admitted.iter().map(Into::into).collect(),
        }))
    }

    async fn set_template(
        &self,
        request: Request<pb::SetTemplateRequest>,
    ) -> Result<Response<pb::SetTemplateResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let wanted = target::check(request.services)?;
        let admitted = target::admit(&self.0, caller.person(), wanted).await?;
        let message = rollout::SetFleetTemplateRequest {
            fleet: request.fleet.clone(),
            services: admitted.iter().map(|service| service.to_service(&self.0)).collect(),
        };
        let answer = self.0.peers.set_template(message, caller.person()).await?;
        Ok(Response::new(pb::SetTemplateResponse {
            fleet: request.fleet,
            services: admitted.iter().map(Into::into).collect(),
            devices: answer.devices,
        }))
    }
}
