//! A real `rollout` on a database of its own, with its clock in the test's hand, and devices that
//! speak the real protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Uri;
use postgres::testing::{self, ROLE_PASSWORD, Template, TestDatabase};
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use proto::rollout::v1::devices_client::DevicesClient;
use proto::rollout::v1::policies_client::PoliciesClient;
use proto::rollout::v1::rollouts_client::RolloutsClient;
use proto::rollout::v1::{self as pb};
use rollout::{App, Config, SCHEMA, Settings};
use runtime::auth::Peers;
use runtime::client::{self, Identity, Outbound};
use runtime::database;
use runtime::process::Process;
use runtime::secret::Secret;
use runtime::{Clock, Lifecycle, migrate};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;
use tonic::Streaming;

pub const REDIS: &str = "docker.io/library/redis";
pub const NGINX: &str = "docker.io/library/nginx";

async fn template() -> Template {
    let versions: Vec<_> = SCHEMA.migrator.iter().map(|m| hex::encode(&m.checksum)).collect();
    let key = format!("rollout {} {}", versions.join(" "), SCHEMA.grants);
    testing::template(&key, async |url: String| {
        let mut owner = PgConnection::connect(&url).await?;
        let password = Secret::new(ROLE_PASSWORD);
        migrate::ensure_role(&mut owner, migrate::READER, &password).await.map_err(other)?;
        SCHEMA.ensure_role(&mut owner, &password).await.map_err(other)?;
        SCHEMA.migrate(&mut owner).await.map_err(other)?;
        owner.close().await
    })
    .await
    .expect("the template is made")
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(error))
}

/// One process on the test's database.
pub struct Replica {
    pub app: App,
    pub lifecycle: Lifecycle,
    pub channel: Outbound,
    pub link: Uri,
}

/// A test's Slipway: the database, the clock and one replica.
pub struct Slipway {
    pub clock: Clock,
    pub replica: Replica,
    database: Arc<TestDatabase>,
}

impl std::ops::Deref for Slipway {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.replica
    }
}

pub fn start_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

impl Slipway {
    pub async fn start() -> Self {
        Self::with(Clock::manual(start_of_time())).await
    }

    pub async fn with(clock: Clock) -> Self {
        let template = template().await;
        let database = Arc::new(testing::create_database(&template).await.expect("a database"));
        let replica = Replica::start(&database, clock.clone()).await;
        Self { clock, replica, database }
    }

    /// One more process on the same database.
    pub async fn another_replica(&self, clock: Clock) -> Replica {
        Replica::start(&self.database, clock).await
    }

    /// A connection of the owner, to look at rows.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.expect("the owner connects")
    }

    /// Lets time pass and the driver work.
    pub async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.drive().await;
    }

    /// Drives until nothing is due. The replicas' own drivers are at it too: what they hold is
    /// waited for.
    pub async fn drive(&self) {
        let mut owner = self.owner().await;
        wait_for("the rollouts to rest", async || {
            self.app.drive_until_idle().await.expect("the driver works");
            let busy: i64 = sqlx::query_scalar(
                "select count(*) from rollout.image_update_rollouts \
                 where lease_until is not null or wake_at <= $1",
            )
            .bind(self.clock.now())
            .fetch_one(&mut owner)
            .await
            .expect("a count");
            if busy == 0 { Ok(()) } else { Err(format!("{busy} are due or held")) }
        })
        .await;
    }
}

impl Replica {
    async fn start(database: &TestDatabase, clock: Clock) -> Self {
        let token = Secret::generate("slw_");
        let lifecycle = Lifecycle::new();
        let process = Process {
            name: "rollout",
            clock,
            lifecycle: lifecycle.clone(),
            peers: Peers::default().with("approval", token.hash()),
            token: token.clone(),
            no_auth: true,
        };
        let url = database.url_as(SCHEMA.role, ROLE_PASSWORD);
        let pool = database::pool("rollout", url.parse().expect("a URL"), 5);
        let bind = async || TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (listener, link_listener) = (bind().await, bind().await);
        let uri = |listener: &TcpListener| -> Uri {
            format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
        };
        let (address, link) = (uri(&listener), uri(&link_listener));
        let app = App::start(Config {
            process,
            pool,
            listener,
            link_listener,
            access: "http://127.0.0.1:1".parse().unwrap(),
            settings: Settings::default(),
        });
        let channel = client::connect(&address, Identity::of(&token));
        Self { app, lifecycle, channel, link }
    }

    pub fn policies(&self) -> PoliciesClient<Outbound> {
        PoliciesClient::new(self.channel.clone())
    }

    pub fn rollouts(&self) -> RolloutsClient<Outbound> {
        RolloutsClient::new(self.channel.clone())
    }

    pub fn devices(&self) -> DevicesClient<Outbound> {
        DevicesClient::new(self.channel.clone())
    }

    /// Adds a policy for redis with these strategy and changes.
    pub async fn policy(&self, change: impl FnOnce(&mut pb::Policy)) -> pb::Policy {
        let mut policy = pb::Policy {
            image_pattern: "redis:*".to_owned(),
            strategy: pb::Strategy::Staged.into(),
            enabled: true,
            ..pb::Policy::default()
        };
        change(&mut policy);
        let request = pb::CreatePolicyRequest { policy: Some(policy), request_id: String::new() };
        self.policies().create_policy(request).await.expect("a policy").into_inner()
    }

    /// Asks for a rollout of redis at this digest.
    pub async fn push(&self, tag: &str, digit: char) -> pb::create_rollout_response::Outcome {
        self.push_of(REDIS, tag, digit).await
    }

    pub async fn push_of(
        &self,
        repository: &str,
        tag: &str,
        digit: char,
    ) -> pb::create_rollout_response::Outcome {
        let request = create_request(repository, tag, digit);
        let answer = self.rollouts().create_rollout(request).await.expect("an answer");
        answer.into_inner().outcome.expect("an outcome")
    }

    /// Asks for a rollout that must be made.
    pub async fn rollout(&self, tag: &str, digit: char) -> pb::Rollout {
        match self.push(tag, digit).await {
            pb::create_rollout_response::Outcome::Rollout(rollout) => *rollout,
            other => panic!("no rollout but {other:?}"),
        }
    }

    pub async fn get(&self, id: &str) -> pb::Rollout {
        let request = pb::GetRolloutRequest { id: id.to_owned() };
        self.rollouts().get_rollout(request).await.expect("the rollout").into_inner()
    }

    pub async fn assignments(&self, id: &str) -> Vec<pb::Assignment> {
        let request = pb::ListAssignmentsRequest {
            rollout_id: id.to_owned(),
            page_size: 1_000,
            ..pb::ListAssignmentsRequest::default()
        };
        self.rollouts().list_assignments(request).await.expect("a list").into_inner().assignments
    }

    /// Makes devices that run redis 7 (and nginx 1), connected and healthy.
    pub async fn fleet(&self, count: usize) -> Vec<Device> {
        let mut devices = Vec::with_capacity(count);
        for index in 0..count {
            devices.push(self.device(&format!("device-{index:03}")).await);
        }
        devices
    }

    pub async fn device(&self, name: &str) -> Device {
        let mut device = self.bare_device(name).await;
        let services = vec![service("cache", REDIS, "7", '1'), service("web", NGINX, "1", 'a')];
        self.set_target(&device.id, services).await;
        device.connect().await;
        device.report_running().await;
        device
    }

    pub async fn bare_device(&self, name: &str) -> Device {
        let request = pb::CreateDeviceRequest {
            name: name.to_owned(),
            fleet: "north".to_owned(),
            ..pb::CreateDeviceRequest::default()
        };
        let made = self.devices().create_device(request).await.expect("a device").into_inner();
        let id = made.device.expect("a device").id;
        Device::new(&self.link, id, name.to_owned(), &Secret::new(made.token))
    }

    pub async fn set_target(&self, device: &str, services: Vec<pb::Service>) -> pb::TargetState {
        let request = pb::SetDeviceTargetRequest {
            device_id: device.to_owned(),
            services,
            etag: String::new(),
        };
        self.devices().set_target(request).await.expect("a target").into_inner()
    }

    pub async fn command(&self, id: &str, name: &str) -> Result<pb::Rollout, tonic::Status> {
        let command = pb::RolloutCommand { id: id.to_owned(), ..pb::RolloutCommand::default() };
        let mut rollouts = self.rollouts();
        let answer = match name {
            "start" => rollouts.start_rollout(command).await,
            "pause" => rollouts.pause_rollout(command).await,
            "resume" => rollouts.resume_rollout(command).await,
            "rollback" => rollouts.roll_back_rollout(command).await,
            "retry" => rollouts.retry_failed(command).await,
            "cancel" | "cancel and revert" => {
                let revert = name == "cancel and revert";
                let id = id.to_owned();
                let request =
                    pb::CancelRolloutRequest { id, revert, ..pb::CancelRolloutRequest::default() };
                rollouts.cancel_rollout(request).await
            }
            other => panic!("no command `{other}`"),
        };
        answer.map(tonic::Response::into_inner)
    }
}

pub fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub fn service(name: &str, repository: &str, tag: &str, digit: char) -> pb::Service {
    pb::Service {
        name: name.to_owned(),
        image: format!("{repository}:{tag}"),
        digest: digest(digit),
        config: "{}".to_owned(),
        ..pb::Service::default()
    }
}

pub fn create_request(repository: &str, tag: &str, digit: char) -> pb::CreateRolloutRequest {
    pb::CreateRolloutRequest {
        request_id: runtime::id::uuid_v7(start_of_time()).to_string(),
        release: Some(pb::Release {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest(digit),
            ..pb::Release::default()
        }),
        ..pb::CreateRolloutRequest::default()
    }
}

/// A device by hand: each step is the test's.
pub struct Device {
    pub id: String,
    pub name: String,
    pub seq: i64,
    pub client: DeviceLinkClient<Outbound>,
    pub stream: Option<Streaming<pb::SubscribeResponse>>,
    pub target: pb::TargetState,
    /// What runs, by service: image, digest.
    pub runs: BTreeMap<String, (String, String)>,
}

impl Device {
    pub fn new(link: &Uri, id: String, name: String, token: &Secret) -> Self {
        let client = DeviceLinkClient::new(client::connect(link, Identity::of(token)));
        Self {
            id,
            name,
            seq: 0,
            client,
            stream: None,
            target: pb::TargetState::default(),
            runs: BTreeMap::new(),
        }
    }

    /// Opens a stream and takes the first message.
    pub async fn connect(&mut self) -> pb::SubscribeResponse {
        let request = pb::SubscribeRequest {
            known_generation: self.target.generation,
            known_etag: self.target.etag.clone(),
            boot_id: "boot".to_owned(),
            agent_version: "test".to_owned(),
            platform: None,
        };
        let mut stream = self.client.subscribe(request).await.expect("a stream").into_inner();
        let first = stream.message().await.expect("no error").expect("a first message");
        if let Some(pb::subscribe_response::Event::Target(target)) = &first.event {
            self.target = target.clone();
        }
        self.stream = Some(stream);
        first
    }

    /// Waits for the next target.
    pub async fn next_target(&mut self) -> &pb::TargetState {
        let stream = self.stream.as_mut().expect("a stream");
        let message = tokio::time::timeout(Duration::from_secs(10), stream.message())
            .await
            .unwrap_or_else(|_| panic!("`{}` waited for a target", self.name))
            .expect("no error")
            .expect("the stream goes on");
        match message.event {
            Some(pb::subscribe_response::Event::Target(target)) => self.target = target,
            other => panic!("`{}` got {other:?}", self.name),
        }
        &self.target
    }

    /// Waits for the end of the stream.
    pub async fn end(&mut self) -> Option<tonic::Status> {
        let stream = self.stream.as_mut().expect("a stream");
        loop {
            match tokio::time::timeout(Duration::from_secs(10), stream.message()).await {
                Err(_) => panic!("the stream of `{}` did not end", self.name),
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return None,
                Ok(Err(status)) => return Some(status),
            }
        }
    }

    pub async fn disconnect(&mut self, slipway: &Slipway) {
        self.stream = None;
        let id = self.id.clone();
        wait_for("the device to be offline", async || {
            let request = pb::GetDeviceRequest { id: id.clone() };
            let device = slipway.devices().get_device(request).await.unwrap().into_inner();
            (!device.online).then_some(()).ok_or_else(|| "online".to_owned())
        })
        .await;
    }

    /// What the target says of a service.
    pub fn wanted(&self, name: &str) -> &pb::Service {
        self.target.services.iter().find(|service| service.name == name).expect("the service")
    }

    pub fn seen(&self, name: &str, phase: pb::Phase, healthy: bool) -> pb::ServiceReport {
        let wanted = self.wanted(name);
        let update = wanted.rollout.clone().unwrap_or_default();
        let (image, digest) = self.runs.get(name).cloned().unwrap_or_default();
        pb::ServiceReport {
            name: name.to_owned(),
            image,
            digest,
            phase: phase.into(),
            healthy,
            rollout_id: update.id,
            attempt: update.attempt,
            ..pb::ServiceReport::default()
        }
    }

    pub async fn report(&mut self, services: Vec<pb::ServiceReport>) -> pb::ReportResponse {
        self.seq += 1;
        self.send(self.seq, services).await
    }

    pub async fn send(&mut self, seq: i64, services: Vec<pb::ServiceReport>) -> pb::ReportResponse {
        let request = pb::ReportRequest {
            boot_id: "boot".to_owned(),
            seq,
            generation: self.target.generation,
            etag: self.target.etag.clone(),
            services,
            ..pb::ReportRequest::default()
        };
        self.client.report(request).await.expect("an answer").into_inner()
    }

    /// Applies the whole target and reports it as running, healthy.
    pub async fn report_running(&mut self) -> pb::ReportResponse {
        for service in &self.target.services {
            let runs = (service.image.clone(), service.digest.clone());
            self.runs.insert(service.name.clone(), runs);
        }
        let names: Vec<_> =
            self.target.services.iter().map(|service| service.name.clone()).collect();
        let seen = names.iter().map(|name| self.seen(name, pb::Phase::Running, true)).collect();
        self.report(seen).await
    }

    /// Reports that the new redis runs and is not healthy, then that it failed.
    pub async fn report_failed(&mut self) -> pb::ReportResponse {
        let wanted = self.wanted("cache").clone();
        self.runs.insert("cache".to_owned(), (wanted.image, wanted.digest));
        let verifying = self.seen("cache", pb::Phase::Verifying, false);
        self.report(vec![verifying]).await;
        let mut failed = self.seen("cache", pb::Phase::Failed, false);
        failed.reason = "HEALTH_CHECK_FAILED".to_owned();
        self.report(vec![failed]).await
    }
}

/// Asks until the answer is there; a test that waits in vain says what it last saw.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..1_000 {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) => last = seen,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for {what}, and last saw: {last}");
}
