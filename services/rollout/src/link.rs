//! `slipway.rollout.v1.DeviceLink`: what devices call.

mod stream;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use proto::reason;
use proto::rollout::v1::device_link_server::DeviceLink;
use proto::rollout::v1::{
    EnrollRequest, EnrollResponse, GetTargetRequest, GetTargetResponse, NotModified, ReportRequest,
    ReportResponse, Session as PbSession, SubscribeRequest, SubscribeResponse, subscribe_response,
};
use runtime::{Caller, Code, Problem, database, time};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::app::App;
use crate::convert;
use crate::device::Hardware;
use crate::device_auth::DeviceAuth;
use crate::drive;
use crate::enrol;
use crate::error::Error;
use crate::session::Session;
use crate::store::{self};
use crate::target::Target;

pub use stream::DeviceStream;

/// The largest report.
pub const REPORT_BYTES: usize = 256 << 10;

/// How many streams may be opened a second, so that a fleet that returns at once does not drown
/// what it returns to.
#[derive(Clone)]
pub struct Admission(Arc<DefaultDirectRateLimiter>);

impl Admission {
    /// Admits so many a second, and twice as many in a burst.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let rate = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        let burst = rate.saturating_mul(NonZeroU32::new(2).unwrap_or(NonZeroU32::MIN));
        Self(Arc::new(RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))))
    }

    fn admit(&self) -> Result<(), Problem> {
        self.0.check().map_err(|_| {
            Problem::new(
                Code::ResourceExhausted,
                reason::TOO_MANY_CONNECTS,
                "too many devices connect at once; come again in a few seconds",
            )
            .retry_after(Duration::from_secs(5))
        })
    }
}

/// Serves devices.
#[derive(Clone)]
pub struct Link {
    app: App,
    auth: DeviceAuth,
    admission: Admission,
}

impl Link {
    /// Makes it.
    #[must_use]
    pub fn new(app: App, auth: DeviceAuth, admission: Admission) -> Self {
        crate::worker::watch_changes(&app, auth.clone());
        Self { app, auth, admission }
    }

    /// Opens the device's session and finds out what it has to be told first.
    async fn open(
        &self,
        device: Uuid,
        request: &SubscribeRequest,
    ) -> Result<(Session, SubscribeResponse), Error> {
        let mut tx = self.app.pool.begin().await?;
        let now = database::now(&mut tx, &self.app.clock).await?;
        let opened =
            store::session::open(&mut tx, device, self.app.replica, &request.boot_id, now).await?;
        let hardware = request.platform.clone().map(Hardware::from).unwrap_or_default();
        store::device::set_hardware(&mut tx, device, &hardware, &request.agent_version).await?;
        let back = [reason::OFFLINE];
        let rollouts = store::assignment::requeue(&mut tx, device, &back, now).await?;
        break_soaks(&self.app, &mut tx, device, now).await?;
        let target =
            catch_up(&mut tx, device, request.known_generation, &request.known_etag).await?;
        // The slot is there before the transaction ends: a target that changes right after it
        // finds the slot, one that changed before it is in this one.
        let session = self.app.sessions.open(device, opened.epoch, target.generation);
        tx.commit().await?;
        drive::wake(&self.app, &rollouts, now).await;

        let event =
            if request.known_generation == target.generation && request.known_etag == target.etag {
                let (generation, etag) = (target.generation, target.etag);
                subscribe_response::Event::NotModified(NotModified { generation, etag })
            } else {
                subscribe_response::Event::Target(convert::target_to_pb(device, &target, now))
            };
        let terms = PbSession {
            epoch: opened.epoch,
            last_seq: opened.last_seq,
            report_interval: Some(time::to_duration(self.app.settings.report_interval)),
            server_time: Some(time::to_timestamp(now)),
        };
        Ok((session, SubscribeResponse { session: Some(terms), event: Some(event) }))
    }

    /// A device without a stream was heard; what waited for it goes on.
    async fn hear(&self, device: Uuid) -> Result<(Target, i64, DateTime<Utc>), Error> {
        let mut tx = self.app.pool.begin().await?;
        let now = database::now(&mut tx, &self.app.clock).await?;
        let heard = store::session::heard(&mut tx, device, now).await?;
        let rollouts = store::assignment::requeue(&mut tx, device, &[reason::OFFLINE], now).await?;
        let target = only(store::target::get(&mut tx, &[device]).await?, device)?;
        tx.commit().await?;
        drive::wake(&self.app, &rollouts, now).await;
        Ok((target, heard.last_seq, now))
    }
}

fn only(
    mut targets: std::collections::BTreeMap<Uuid, Target>,
    device: Uuid,
) -> Result<Target, Error> {
    targets.remove(&device).ok_or_else(|| Error::DeviceNotFound(device.to_string()))
}

/// Reads the device's target. A device that knows a higher generation, or another etag under the
/// same one, has seen a future that this database has not: it was restored from a backup. The target
/// then goes above what the device knows, so that it is taken for new.
async fn catch_up(
    db: &mut sqlx::PgConnection,
    device: Uuid,
    known_generation: i64,
    known_etag: &str,
) -> Result<Target, Error> {
    let target = only(store::target::get(db, &[device]).await?, device)?;
    let diverged = known_generation > target.generation
        || (known_generation == target.generation
            && known_generation > 0
            && !known_etag.is_empty()
            && known_etag != target.etag);
    if !diverged {
        return Ok(target);
    }
    let mut target = only(store::target::lock(db, &[device]).await?, device)?;
    target.generation = target.generation.max(known_generation) + 1;
    tracing::warn!(
        device.id = %device,
        "device `{device}` knows generation {known_generation}, which this database does not; \
         its target goes on from {}",
        target.generation
    );
    store::target::update(db, &[(device, target.clone())]).await?;
    Ok(target)
}

/// A soak does not go on over a break of the session: the device says anew that it is healthy.
async fn break_soaks(
    app: &App,
    db: &mut sqlx::PgConnection,
    device: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for stored in store::assignment::lock_active(db, &[device]).await? {
        let frozen = app.frozen.get(db, stored.try_.rollout).await?;
        if let Some(next) = stored.try_.session_broke(&frozen.rules, now) {
            store::assignment::update(db, &[(stored.id, next)], &frozen.rules, now).await?;
        }
    }
    Ok(())
}

/// The device that calls.
fn device(caller: &Caller) -> Result<Uuid, Problem> {
    Uuid::try_parse(&caller.actor().id).map_err(|error| Problem::internal(&error))
}

#[async_trait]
impl DeviceLink for Link {
    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        let caller = Caller::of(&request);
        let enrolled = enrol::enrol(&self.app, &caller, request.into_inner()).await?;
        Ok(Response::new(enrolled))
    }

    type SubscribeStream = DeviceStream;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<DeviceStream>, Status> {
        let device = device(&Caller::of(&request))?;
        self.admission.admit()?;
        let (session, first) = self.open(device, request.get_ref()).await?;
        metrics::counter!("device_stream_connects_total").increment(1);
        let streams = self.app.sessions.devices().len();
        Ok(Response::new(DeviceStream::new(session, first, self.auth.clone(), streams)))
    }

    async fn get_target(
        &self,
        request: Request<GetTargetRequest>,
    ) -> Result<Response<GetTargetResponse>, Status> {
        let device = device(&Caller::of(&request))?;
        let (target, last_seq, now) = self.hear(device).await?;
        let known = request.into_inner().known_etag;
        let target = (known.is_empty() || known != target.etag)
            .then(|| convert::target_to_pb(device, &target, now));
        let report_interval = Some(time::to_duration(self.app.settings.poll_interval));
        Ok(Response::new(GetTargetResponse { target, last_seq, report_interval }))
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let device = device(&Caller::of(&request))?;
        let report = convert::report_from_pb(device, request.into_inner())?;
        let answer = self.app.reports.submit(report).await?;
        Ok(Response::new(ReportResponse {
            stale: answer.stale,
            last_seq: answer.last_seq,
            stale_services: answer.stale_services,
        }))
    }
}
