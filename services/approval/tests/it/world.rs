//! One approval process with its database and its peers, for one test.

use std::sync::Arc;
use std::time::Duration;

use approval::{App, Config, SCHEMA, Settings};
use chrono::{DateTime, TimeZone as _, Utc};
use http::Uri;
use postgres::testing::{self, ROLE_PASSWORD, TestDatabase};
use proto::approval::v1 as pb;
use proto::approval::v1::pushes_client::PushesClient;
use proto::approval::v1::receivers_client::ReceiversClient;
use proto::approval::v1::reviews_client::ReviewsClient;
use proto::approval::v1::targets_client::TargetsClient;
use runtime::auth::{Actor, ActorKind, Peers};
use runtime::client::{self, Identity, Outbound, on_behalf_of};
use runtime::migrate::{READER, ensure_role};
use runtime::process::Process;
use runtime::seal::Sealer;
use runtime::secret::{Hash, Secret};
use runtime::{Clock, Lifecycle, Problem};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::net::TcpListener;

use crate::fake::registry::Registry;
use crate::fake::rollout::Rollout;

const GATEWAY: &str = "slw_gateway";
const APPROVAL: &str = "slw_approval";

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub clock: Clock,
    pub registry: Registry,
    pub rollout: Rollout,
    /// As the owner of the database.
    pub owner: PgPool,
    pub settings: Settings,
    database: TestDatabase,
    sealer: Sealer,
    running: Running,
}

struct Running {
    lifecycle: Lifecycle,
    channel: Outbound,
    address: Uri,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        let database = database().await;
        let owner = PgPool::connect_lazy(database.url()).unwrap();
        let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap());
        let (registry, rollout) = (Registry::start(), Rollout::start());
        let sealer = Sealer::generate();
        let uris = (registry.uri(), rollout.uri());
        let running = run(&database, &clock, &sealer, &settings, uris).await;
        Self { clock, registry, rollout, owner, settings, database, sealer, running }
    }

    /// Cuts the process off as a kill would, and starts another one on the same database.
    pub async fn restart(&mut self) {
        self.stop().await;
        let uris = (self.registry.uri(), self.rollout.uri());
        self.running = run(&self.database, &self.clock, &self.sealer, &self.settings, uris).await;
    }

    /// Cuts the process off.
    pub async fn stop(&self) {
        self.running.lifecycle.finish(Duration::ZERO).await;
    }

    /// Starts a second replica and returns its channel.
    pub async fn replica(&self) -> Outbound {
        let uris = (self.registry.uri(), self.rollout.uri());
        run(&self.database, &self.clock, &self.sealer, &self.settings, uris).await.channel
    }

    /// How `slipway psql` reaches the database.
    pub fn reader_url(&self) -> String {
        self.database.url_as(READER, ROLE_PASSWORD)
    }

    pub fn address(&self) -> Uri {
        self.running.address.clone()
    }

    pub fn pushes(&self) -> PushesClient<Outbound> {
        PushesClient::new(self.running.channel.clone())
    }

    pub fn reviews(&self) -> ReviewsClient<Outbound> {
        ReviewsClient::new(self.running.channel.clone())
    }

    pub fn receivers(&self) -> ReceiversClient<Outbound> {
        ReceiversClient::new(self.running.channel.clone())
    }

    pub fn targets(&self) -> TargetsClient<Outbound> {
        TargetsClient::new(self.running.channel.clone())
    }

    /// Adds a receiver and returns the token of its URL.
    pub async fn receiver(&self, receiver: pb::Receiver, secret: &str) -> String {
        let request =
            pb::CreateReceiverRequest { receiver: Some(receiver), secret: secret.to_owned() };
        let answer = self.receivers().create_receiver(request).await.unwrap();
        answer.into_inner().url_token
    }

    /// Adds the default receiver of the demo: everybody on this machine is believed.
    pub async fn demo_receiver(&self) {
        let receiver = pb::Receiver {
            name: "default".to_owned(),
            vendor: pb::Vendor::Generic.into(),
            allow_unauthenticated: true,
            payload_trust: true,
            is_default: true,
            ..Default::default()
        };
        self.receiver(receiver, "").await;
    }

    /// Adds a receiver for Docker Hub whose word alone does not count.
    pub async fn hub_receiver(&self) -> String {
        let receiver = pb::Receiver {
            name: "hub".to_owned(),
            vendor: pb::Vendor::Dockerhub.into(),
            ..Default::default()
        };
        self.receiver(receiver, "").await
    }

    /// Sends a body to the default receiver from this machine.
    pub async fn deliver(&self, body: &Value) -> Result<pb::SubmitDeliveryResponse, Problem> {
        self.send("", &[], body.to_string(), "127.0.0.1").await
    }

    /// Sends a body that must be taken, and returns its one push.
    pub async fn push(&self, body: &Value) -> pb::Push {
        let mut answer = self.deliver(body).await.unwrap();
        assert_eq!(answer.pushes.len(), 1, "{answer:?}");
        answer.pushes.remove(0)
    }

    /// Sends a request as the gateway would.
    pub async fn send(
        &self,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
        peer_ip: &str,
    ) -> Result<pb::SubmitDeliveryResponse, Problem> {
        let header = |(name, value): &(&str, &str)| pb::Header {
            name: (*name).to_owned(),
            value: value.as_bytes().to_vec(),
        };
        let body: Vec<u8> = body.into();
        let request = pb::SubmitDeliveryRequest {
            receiver_token: token.to_owned(),
            headers: headers.iter().map(header).collect(),
            body: body.into(),
            peer_ip: peer_ip.to_owned(),
        };
        let answer = self.pushes().submit_delivery(request).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::from)
    }

    pub async fn get(&self, push: &str) -> pb::Push {
        let request = pb::GetPushRequest { id: push.to_owned() };
        self.pushes().get_push(request).await.unwrap().into_inner()
    }

    pub async fn explain(&self, push: &str) -> pb::ExplainPushResponse {
        let request = pb::ExplainPushRequest { id: push.to_owned() };
        self.pushes().explain_push(request).await.unwrap().into_inner()
    }

    pub async fn review(&self, id: &str) -> pb::Review {
        let request = pb::GetReviewRequest { id: id.to_owned() };
        self.reviews().get_review(request).await.unwrap().into_inner()
    }

    pub async fn list_reviews(&self) -> Vec<pb::Review> {
        let answer = self.reviews().list_reviews(pb::ListReviewsRequest::default()).await;
        answer.unwrap().into_inner().reviews
    }

    pub async fn approve(&self, id: &str, voter: &Actor) -> Result<pb::ReviewDecision, Problem> {
        let request = pb::ApproveReviewRequest { id: id.to_owned(), ..Default::default() };
        let answer = self.reviews().approve_review(on_behalf_of(request, voter)).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::from)
    }

    pub async fn reject(
        &self,
        id: &str,
        voter: &Actor,
        reason: &str,
    ) -> Result<pb::ReviewDecision, Problem> {
        let request = pb::RejectReviewRequest {
            id: id.to_owned(),
            reason: reason.to_owned(),
            ..Default::default()
        };
        let answer = self.reviews().reject_review(on_behalf_of(request, voter)).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::from)
    }

    /// Asks for a push by hand.
    pub async fn submit(&self, reference: &str, person: &Actor) -> Result<pb::Push, Problem> {
        let request =
            pb::SubmitPushRequest { reference: reference.to_owned(), ..Default::default() };
        let answer = self.pushes().submit_push(on_behalf_of(request, person)).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::from)
    }

    /// Waits until a push is as wanted; the clock is cranked meanwhile.
    pub async fn wait_for_push(
        &self,
        id: &str,
        what: &str,
        is: impl Fn(&pb::Push) -> bool,
    ) -> pb::Push {
        self.wait_for(what, async || {
            let push = self.get(id).await;
            if is(&push) { Ok(push) } else { Err(format!("{push:#?}")) }
        })
        .await
    }

    /// Waits until a review is as wanted; the clock is cranked meanwhile.
    pub async fn wait_for_review(
        &self,
        id: &str,
        what: &str,
        is: impl Fn(&pb::Review) -> bool,
    ) -> pb::Review {
        self.wait_for(what, async || {
            let review = self.review(id).await;
            if is(&review) { Ok(review) } else { Err(format!("{review:#?}")) }
        })
        .await
    }

    /// Asks until the answer is there; the clock is cranked by a second each time.
    pub async fn wait_for<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T, String>) -> T {
        self.ask_until(what, Duration::from_secs(1), ask).await
    }

    /// Asks until the answer is there, while the clock stands still.
    pub async fn look_for<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T, String>) -> T {
        self.ask_until(what, Duration::ZERO, ask).await
    }

    async fn ask_until<T>(
        &self,
        what: &str,
        crank: Duration,
        ask: impl AsyncFn() -> Result<T, String>,
    ) -> T {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let last = match ask().await {
                Ok(found) => return found,
                Err(last) => last,
            };
            assert!(tokio::time::Instant::now() < end, "waited for {what}; last seen: {last}");
            self.clock.advance(crank);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The types of all events, in the order in which they were written.
    pub async fn event_types(&self) -> Vec<String> {
        sqlx::query_scalar("select type from approval.outbox order by position")
            .fetch_all(&self.owner)
            .await
            .unwrap()
    }

    /// All events of a type.
    pub async fn events(&self, kind: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select envelope from approval.outbox where type = $1 order by position",
        )
        .bind(kind)
        .fetch_all(&self.owner)
        .await
        .unwrap();
        rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.lifecycle.stop();
    }
}

/// A person.
pub fn person(name: &str) -> Actor {
    Actor::new(ActorKind::User, name, name)
}

/// Docker Hub's body as the source documents print it.
pub fn hub(repository: &str, tag: &str) -> Value {
    json!({"repository": {"repo_name": repository}, "push_data": {"tag": tag}})
}

/// Docker Hub's body with the time of the push, `second` seconds after noon.
pub fn hub_at(repository: &str, tag: &str, second: i64) -> Value {
    let noon = DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z").unwrap().timestamp();
    json!({
        "repository": {"repo_name": repository},
        "push_data": {"tag": tag, "pushed_at": noon + second, "pusher": "anna"},
    })
}

/// GitHub's body for a tag with a digest.
pub fn github(repository: &str, tag: &str, digest: &str) -> Value {
    let (owner, name) = repository.split_once('/').unwrap();
    json!({
        "action": "published",
        "package": {
            "name": name, "owner": {"login": owner}, "package_type": "container",
            "package_version": {"container_metadata": {"tag": {"name": tag, "digest": digest}}},
        },
        "sender": {"login": "anna"},
    })
}

/// The codes of a push's reasons.
pub fn codes(push: &pb::Push) -> Vec<&str> {
    push.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

async fn database() -> TestDatabase {
    let key =
        SCHEMA.migrator.iter().map(|step| step.checksum.to_vec()).collect::<Vec<_>>().concat();
    let key = format!("approval {:?} {}", Hash::of(&format!("{key:?}")), SCHEMA.grants.len());
    let template = testing::template(&key, prepare).await.unwrap();
    testing::create_database(&template).await.unwrap()
}

async fn prepare(url: String) -> Result<(), Box<dyn std::error::Error>> {
    let mut owner = PgConnection::connect(&url).await?;
    let password = Secret::new(ROLE_PASSWORD);
    ensure_role(&mut owner, READER, &password).await?;
    SCHEMA.ensure_role(&mut owner, &password).await?;
    SCHEMA.migrate(&mut owner).await?;
    owner.close().await?;
    Ok(())
}

async fn run(
    database: &TestDatabase,
    clock: &Clock,
    sealer: &Sealer,
    settings: &Settings,
    (registry, rollout): (Uri, Uri),
) -> Running {
    let options: PgConnectOptions = database.url_as(SCHEMA.role, ROLE_PASSWORD).parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let lifecycle = Lifecycle::new();
    let process = Process {
        name: "approval",
        clock: clock.clone(),
        lifecycle: lifecycle.clone(),
        peers: Peers::default().with("gateway", Hash::of(GATEWAY)),
        token: Secret::new(APPROVAL),
        no_auth: false,
    };
    App::start(Config {
        process,
        pool: runtime::database::pool("approval", options, 10),
        listener,
        access: "http://127.0.0.1:1".parse().unwrap(),
        registry,
        rollout,
        sealer: sealer.clone(),
        settings: settings.clone(),
    });
    let channel = client::connect(&address, Identity::of(&Secret::new(GATEWAY)));
    Running { lifecycle, channel, address }
}

/// Runs something many times at once.
pub async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    make: impl Fn(usize) -> F,
) -> Vec<T> {
    let gate = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (gate, work) = (gate.clone(), make(index));
            tokio::spawn(async move {
                gate.wait().await;
                work.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
