//! `slipway.rollout.v1.Devices`.

use imageref::Repository;
use proto::rollout::v1 as pb;
use proto::rollout::v1::devices_server::Devices as Service;
use runtime::event::{Event, Resource};
use runtime::secret::Secret;
use runtime::{Caller, Problem, database, page, time};
use serde_json::json;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::app::App;
use crate::convert;
use crate::device::{Device, DeviceId, Hardware, KeyId, check_fleet, check_labels, check_name};
use crate::enrol::{self, NewDevice};
use crate::error::Error;
use crate::retire::{self, facts, resource};
use crate::store::device::{Filter, Page};
use crate::store::key::Key;
use crate::store::{self};
use crate::take_over;

/// Serves devices to operators.
#[derive(Debug, Clone)]
pub struct Devices(pub App);

impl Devices {
    async fn get(&self, id: DeviceId) -> Result<pb::Device, Error> {
        let mut db = self.0.pool.acquire().await?;
        let now = database::now(&mut db, &self.0.clock).await?;
        let picture = store::device::get(&mut db, id, self.0.heard_since(now)).await?;
        Ok(convert::device_to_pb(&picture, now))
    }

    async fn create(
        &self,
        caller: &Caller,
        request: pb::CreateDeviceRequest,
    ) -> Result<(DeviceId, Secret), Error> {
        let app = &self.0;
        let request_id = convert::optional_uuid("request_id", &request.request_id)?;
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        if let Some(request) = request_id
            && let Some(made) = store::device::by_request(&mut tx, request).await?
        {
            let token = enrol::new_token(&mut tx, made, now).await?;
            tx.commit().await?;
            return Ok((made, token));
        }
        let new = NewDevice {
            name: request.name,
            fleet: request.fleet,
            labels: request.labels.into_iter().collect(),
            hardware: Hardware::default(),
        };
        let (device, token) = enrol::make(&mut tx, new, request_id, now).await?;
        let event =
            Event::by(caller, "device.enrolled", resource(&device), now).after(facts(&device));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok((device.id, token))
    }

    /// Changes a device under its lock and tells it.
    async fn change(
        &self,
        caller: &Caller,
        id: DeviceId,
        version: Option<i64>,
        change: impl FnOnce(&mut Device) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let app = &self.0;
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        store::device::lock(&mut tx, id).await?;
        let before = store::device::get(&mut tx, id, app.heard_since(now)).await?.device;
        if version.is_some_and(|seen| seen != before.version) {
            return Err(Error::StaleEtag);
        }
        let mut next = before.clone();
        change(&mut next)?;
        next.version += 1;
        next.updated_at = now;
        store::fleet::ensure(&mut tx, &next.fleet, now).await?;
        store::device::update(&mut tx, &next).await?;
        let event = Event::by(caller, "device.updated", resource(&next), now)
            .before(facts(&before))
            .after(facts(&next));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok(())
    }

    async fn create_key(
        &self,
        caller: &Caller,
        request: pb::CreateEnrolmentKeyRequest,
    ) -> Result<(Key, Secret), Error> {
        let app = &self.0;
        check_name("name", &request.name)?;
        check_fleet("fleet", &request.fleet)?;
        if request.quota < 0 {
            return Err(Problem::invalid("quota", "is negative; leave it out for no limit").into());
        }
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        let expires_at = match request.expire_time {
            Some(end) => Some(time::from_timestamp("expire_time", end)?),
            None => None,
        };
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid("expire_time", "has passed; give a later time").into());
        }
        let key = Key {
            id: KeyId::new(now),
            name: request.name,
            fleet: request.fleet,
            quota: request.quota,
            used: 0,
            expires_at,
            revoked_at: None,
            created_at: now,
        };
        let secret = Secret::generate("gde_");
        store::fleet::ensure(&mut tx, &key.fleet, now).await?;
        store::key::insert(&mut tx, &key, &secret.hash()).await?;
        let what = Resource::new("enrolment_key", key.id, key.name.clone());
        let event = Event::by(caller, "enrolment_key.created", what, now)
            .after(json!({"fleet": key.fleet, "quota": key.quota, "expires_at": key.expires_at}));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok((key, secret))
    }
}

fn filter(request: &pb::ListDevicesRequest) -> Result<Filter, Problem> {
    let repository = match &*request.repository {
        "" => None,
        text => Some(
            Repository::parse(text)
                .map_err(|error| Problem::invalid("repository", error.to_string()))?
                .as_str()
                .to_owned(),
        ),
    };
    Ok(Filter {
        fleet: Some(request.fleet.clone()).filter(|fleet| !fleet.is_empty()),
        labels: request.labels.clone().into_iter().collect(),
        repository,
        online: request.online,
        ..Filter::default()
    })
}

#[async_trait]
impl Service for Devices {
    async fn create_device(
        &self,
        request: Request<pb::CreateDeviceRequest>,
    ) -> Result<Response<pb::CreateDeviceResponse>, Status> {
        let caller = Caller::of(&request);
        let (id, token) = self.create(&caller, request.into_inner()).await?;
        let device = Some(self.get(id).await?);
        let token = token.expose().to_owned();
        Ok(Response::new(pb::CreateDeviceResponse { device, token }))
    }

    async fn get_device(
        &self,
        request: Request<pb::GetDeviceRequest>,
    ) -> Result<Response<pb::Device>, Status> {
        let id = DeviceId::parse("id", &request.into_inner().id)?;
        Ok(Response::new(self.get(id).await?))
    }

    async fn list_devices(
        &self,
        request: Request<pb::ListDevicesRequest>,
    ) -> Result<Response<pb::ListDevicesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let filter = filter(&request)?;
        let key = format!("devices {filter:?}");
        let after = page::key(&request.page_token, &key)?.and_then(|text| {
            let (id, name) = text.split_once(' ')?;
            Some((name.to_owned(), Uuid::try_parse(id).ok()?))
        });
        let wanted = Page { after, skip: page::skip(request.skip)?, limit: Some(size + 1) };
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let now = database::now(&mut db, &self.0.clock).await.map_err(Error::from)?;
        let (found, total) =
            store::device::list(&mut db, &filter, &wanted, self.0.heard_since(now)).await?;
        let (found, next_page_token) = page::cut(found, size, &key, |picture| {
            format!("{} {}", picture.device.id, picture.device.name)
        });
        Ok(Response::new(pb::ListDevicesResponse {
            devices: found.iter().map(|picture| convert::device_to_pb(picture, now)).collect(),
            next_page_token,
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
        }))
    }

    async fn update_device(
        &self,
        request: Request<pb::UpdateDeviceRequest>,
    ) -> Result<Response<pb::Device>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let change = request.device.ok_or_else(|| Problem::invalid("device", "is missing"))?;
        let id = DeviceId::parse("device.id", &change.id)?;
        let version = convert::version(&change.etag)?;
        let mask = request.update_mask.unwrap_or_default().paths;
        self.change(&caller, id, version, |device| {
            edit(device, change, &mask).map_err(Error::from)
        })
        .await?;
        Ok(Response::new(self.get(id).await?))
    }

    async fn delete_device(
        &self,
        request: Request<pb::DeleteDeviceRequest>,
    ) -> Result<Response<pb::Device>, Status> {
        let caller = Caller::of(&request);
        let id = DeviceId::parse("id", &request.into_inner().id)?;
        Ok(Response::new(retire::delete(&self.0, &caller, id).await?))
    }

    async fn revoke_device(
        &self,
        request: Request<pb::RevokeDeviceRequest>,
    ) -> Result<Response<pb::Device>, Status> {
        let caller = Caller::of(&request);
        let id = DeviceId::parse("id", &request.into_inner().id)?;
        retire::revoke(&self.0, &caller, id).await?;
        Ok(Response::new(self.get(id).await?))
    }

    async fn rotate_device_token(
        &self,
        request: Request<pb::RotateDeviceTokenRequest>,
    ) -> Result<Response<pb::CreateDeviceResponse>, Status> {
        let caller = Caller::of(&request);
        let id = DeviceId::parse("id", &request.into_inner().id)?;
        let app = &self.0;
        let mut tx = app.pool.begin().await.map_err(Error::from)?;
        let now = database::now(&mut tx, &app.clock).await.map_err(Error::from)?;
        store::device::lock(&mut tx, id).await?;
        let mut device = store::device::get(&mut tx, id, app.heard_since(now)).await?.device;
        device.revoked_at = None;
        device.version += 1;
        device.updated_at = now;
        store::device::update(&mut tx, &device).await?;
        let token = enrol::new_token(&mut tx, id, now).await?;
        let event = Event::by(&caller, "device.token_rotated", resource(&device), now);
        app.outbox.append(&mut tx, &event).await.map_err(Error::from)?;
        app.outbox.commit(tx).await.map_err(Error::from)?;
        let device = Some(self.get(id).await?);
        let token = token.expose().to_owned();
        Ok(Response::new(pb::CreateDeviceResponse { device, token }))
    }

    async fn pin_device(
        &self,
        request: Request<pb::PinDeviceRequest>,
    ) -> Result<Response<pb::Device>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let id = DeviceId::parse("id", &request.id)?;
        self.change(&caller, id, None, |device| {
            device.pinned = request.pinned;
            device.pin_reason = if request.pinned {
                request.reason.chars().take(500).collect()
            } else {
                String::new()
            };
            Ok(())
        })
        .await?;
        Ok(Response::new(self.get(id).await?))
    }

    async fn set_target(
        &self,
        request: Request<pb::SetDeviceTargetRequest>,
    ) -> Result<Response<pb::TargetState>, Status> {
        let caller = Caller::of(&request);
        Ok(Response::new(take_over::set(&self.0, &caller, request.into_inner()).await?))
    }

    async fn set_template(
        &self,
        request: Request<pb::SetFleetTemplateRequest>,
    ) -> Result<Response<pb::SetFleetTemplateResponse>, Status> {
        let caller = Caller::of(&request);
        let devices = take_over::set_template(&self.0, &caller, request.into_inner()).await?;
        Ok(Response::new(pb::SetFleetTemplateResponse { devices }))
    }

    async fn list_fleets(
        &self,
        _: Request<pb::ListFleetsRequest>,
    ) -> Result<Response<pb::ListFleetsResponse>, Status> {
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let now = database::now(&mut db, &self.0.clock).await.map_err(Error::from)?;
        let fleets = store::fleet::list(&mut db, None, self.0.heard_since(now)).await?;
        let fleets = fleets.iter().map(|fleet| convert::fleet_to_pb(fleet, now)).collect();
        Ok(Response::new(pb::ListFleetsResponse { fleets }))
    }

    async fn get_fleet(
        &self,
        request: Request<pb::GetFleetRequest>,
    ) -> Result<Response<pb::Fleet>, Status> {
        let name = request.into_inner().name;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let now = database::now(&mut db, &self.0.clock).await.map_err(Error::from)?;
        let found = store::fleet::list(&mut db, Some(&name), self.0.heard_since(now)).await?;
        let fleet = found.first().ok_or(Error::FleetNotFound(name))?;
        Ok(Response::new(convert::fleet_to_pb(fleet, now)))
    }

    async fn create_enrolment_key(
        &self,
        request: Request<pb::CreateEnrolmentKeyRequest>,
    ) -> Result<Response<pb::CreateEnrolmentKeyResponse>, Status> {
        let caller = Caller::of(&request);
        let (key, secret) = self.create_key(&caller, request.into_inner()).await?;
        let secret = secret.expose().to_owned();
        let key = Some(convert::key_to_pb(&key));
        Ok(Response::new(pb::CreateEnrolmentKeyResponse { key, secret }))
    }

    async fn list_enrolment_keys(
        &self,
        request: Request<pb::ListEnrolmentKeysRequest>,
    ) -> Result<Response<pb::ListEnrolmentKeysResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let before = match page::key(&request.page_token, "enrolment keys")? {
            Some(id) => Some(runtime::id::parse_uuid("page_token", &id)?),
            None => None,
        };
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let (found, total) = store::key::list(&mut db, before, size + 1).await?;
        let (found, next_page_token) =
            page::cut(found, size, "enrolment keys", |key| key.id.to_string());
        Ok(Response::new(pb::ListEnrolmentKeysResponse {
            keys: found.iter().map(convert::key_to_pb).collect(),
            next_page_token,
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
        }))
    }

    async fn revoke_enrolment_key(
        &self,
        request: Request<pb::RevokeEnrolmentKeyRequest>,
    ) -> Result<Response<pb::EnrolmentKey>, Status> {
        let caller = Caller::of(&request);
        let id = KeyId::parse("id", &request.into_inner().id)?;
        let app = &self.0;
        let mut tx = app.pool.begin().await.map_err(Error::from)?;
        let now = database::now(&mut tx, &app.clock).await.map_err(Error::from)?;
        let key = store::key::revoke(&mut tx, id, now).await?;
        if key.revoked_at == Some(now) {
            let what = Resource::new("enrolment_key", key.id, key.name.clone());
            let event = Event::by(&caller, "enrolment_key.revoked", what, now);
            app.outbox.append(&mut tx, &event).await.map_err(Error::from)?;
        }
        app.outbox.commit(tx).await.map_err(Error::from)?;
        Ok(Response::new(convert::key_to_pb(&key)))
    }
}

/// Puts the fields that a mask names over a device.
fn edit(device: &mut Device, change: pb::Device, mask: &[String]) -> Result<(), Problem> {
    if mask.is_empty() {
        return Err(Problem::invalid("update_mask", "is empty; name the fields to change"));
    }
    for field in mask {
        match field.as_str() {
            "name" => {
                check_name("device.name", &change.name)?;
                device.name.clone_from(&change.name);
            }
            "fleet" => {
                check_fleet("device.fleet", &change.fleet)?;
                device.fleet.clone_from(&change.fleet);
            }
            "labels" => {
                let labels = change.labels.clone().into_iter().collect();
                check_labels("device.labels", &labels)?;
                device.labels = labels;
            }
            other => {
                return Err(Problem::invalid(
                    "update_mask",
                    format!("names `{}`, which cannot be changed", other.escape_debug()),
                ));
            }
        }
    }
    Ok(())
}
