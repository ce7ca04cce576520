//! A running `access`, its database, and callers.

use std::net::SocketAddr;
use std::time::Duration;

use access::{App, Config, Role, SCHEMA, Sources, bootstrap_admin_token};
use chrono::DateTime;
use http::Uri;
use postgres::testing::{self, ROLE_PASSWORD, TestDatabase};
use proto::access::v1 as pb;
use proto::access::v1::audit_log_client::AuditLogClient;
use proto::access::v1::tokens_client::TokensClient;
use proto::event::v1::event_log_client::EventLogClient;
use runtime::auth::Peers;
use runtime::client::{self, Identity, Outbound};
use runtime::migrate::{self, READER};
use runtime::process::Process;
use runtime::secret::{Hash, Secret};
use runtime::{Clock, Lifecycle, Problem, database};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::net::TcpListener;

/// The token of the process `gateway`.
const GATEWAY: &str = "slw_gateway";
/// The token of the process itself.
pub const OWN: &str = "slw_access";
/// How long something may take that happens by itself.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A database of one test.
pub struct Database {
    database: TestDatabase,
    /// The secret of the administrator's token.
    pub admin: Secret,
}

impl Database {
    pub async fn create() -> Self {
        let key = SCHEMA.migrator.iter().fold(SCHEMA.grants.to_owned(), |key, migration| {
            format!("{key} {:?}", migration.checksum)
        });
        let template = testing::template(&format!("access {key}"), prepare).await.unwrap();
        let database = testing::create_database(&template).await.unwrap();
        let admin = Secret::generate(access::TOKEN_PREFIX);
        let database = Self { database, admin };
        bootstrap_admin_token(&database.pool(), &clock(), &database.admin).await.unwrap();
        database
    }

    /// A pool of the role of the process.
    pub fn pool(&self) -> PgPool {
        self.pool_as(SCHEMA.role)
    }

    /// A pool of the role that `slipway psql` uses.
    pub fn reader(&self) -> PgPool {
        self.pool_as(READER)
    }

    fn pool_as(&self, role: &str) -> PgPool {
        let url = self.database.url_as(role, ROLE_PASSWORD);
        database::pool("access", url.parse().unwrap(), 10)
    }

    /// A pool of the owner, who may do everything.
    pub fn owner(&self) -> PgPool {
        database::pool("test", self.database.url().parse().unwrap(), 5)
    }

    /// Runs a statement as the owner.
    pub async fn execute(&self, statement: &str) {
        let mut db = PgConnection::connect(self.database.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut db).await.unwrap();
    }

    /// Reads a number as the owner.
    pub async fn number(&self, query: &str) -> i64 {
        let mut db = PgConnection::connect(self.database.url()).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut db).await.unwrap()
    }

    /// Starts a replica with a clock of its own that collects from nobody.
    pub async fn start(&self) -> Access {
        self.start_with(nobody(), |_| {}).await
    }

    /// Starts a replica.
    pub async fn start_with(&self, sources: Sources, change: impl FnOnce(&mut Config)) -> Access {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (clock, lifecycle) = (clock(), Lifecycle::new());
        let mut config = Config {
            process: Process {
                name: "access",
                clock: clock.clone(),
                lifecycle: lifecycle.clone(),
                peers: Peers::default()
                    .with("gateway", Hash::of(GATEWAY))
                    .with("access", Hash::of(OWN)),
                token: Secret::new(OWN),
                no_auth: false,
            },
            pool: self.pool(),
            listener,
            sources,
            outbox_retention: Duration::from_secs(30 * 86_400),
            watch_patience: Duration::from_secs(10),
        };
        change(&mut config);
        App::start(config);
        Access { address, clock, lifecycle, admin: self.admin.clone() }
    }
}

async fn prepare(url: String) -> anyhow::Result<()> {
    let mut owner = PgConnection::connect(&url).await?;
    let password = Secret::new(ROLE_PASSWORD);
    migrate::ensure_role(&mut owner, READER, &password).await?;
    SCHEMA.ensure_role(&mut owner, &password).await?;
    SCHEMA.migrate(&mut owner).await?;
    Ok(())
}

fn clock() -> Clock {
    Clock::manual(DateTime::from_timestamp(1_790_000_000, 0).unwrap())
}

/// Sources that nobody serves.
pub fn nobody() -> Sources {
    let nowhere = Uri::from_static("http://127.0.0.1:1");
    Sources { registry: nowhere.clone(), approval: nowhere.clone(), rollout: nowhere }
}

/// A running replica; it ends with this value.
pub struct Access {
    pub address: SocketAddr,
    pub clock: Clock,
    pub lifecycle: Lifecycle,
    admin: Secret,
}

impl Access {
    pub fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// The administrator.
    pub fn admin(&self) -> Client {
        self.bearing(&self.admin)
    }

    /// The bearer of a token.
    pub fn bearing(&self, secret: &Secret) -> Client {
        Client::new(client::connect(&self.uri(), Identity::of(secret)))
    }

    /// Another process of Slipway.
    pub fn gateway(&self) -> Client {
        self.bearing(&Secret::new(GATEWAY))
    }

    /// Somebody without a credential.
    pub fn nobody(&self) -> Client {
        Client::new(client::connect(&self.uri(), Identity::none()))
    }

    /// The bearer of a new token of this role, of the user with the role's name.
    pub async fn a(&self, role: Role) -> Client {
        let secret = self.admin().create(role.as_str(), role).await.secret;
        self.bearing(&Secret::new(secret))
    }

    /// Ends it softly.
    pub async fn stop(self) {
        assert!(self.lifecycle.finish(PATIENCE).await, "it ends well");
    }

    /// Ends it in the middle of whatever it does.
    pub async fn kill(self) {
        self.lifecycle.finish(Duration::ZERO).await;
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

/// Somebody's clients of all services.
#[derive(Clone)]
pub struct Client {
    pub tokens: TokensClient<Outbound>,
    pub audit: AuditLogClient<Outbound>,
    pub events: EventLogClient<Outbound>,
}

impl Client {
    fn new(channel: Outbound) -> Self {
        Self {
            tokens: TokensClient::new(channel.clone()),
            audit: AuditLogClient::new(channel.clone()),
            events: EventLogClient::new(channel),
        }
    }

    /// Makes a token of the user with that name.
    pub async fn create(&self, user: &str, role: Role) -> pb::CreateTokenResponse {
        let request = pb::CreateTokenRequest { user: user.to_owned(), ..request(user, role) };
        self.tokens.clone().create_token(request).await.unwrap().into_inner()
    }

    /// All entries, oldest first.
    pub async fn log(&self) -> Vec<pb::Entry> {
        let mut entries = Vec::new();
        let mut request = pb::ListEntriesRequest { page_size: 500, ..Default::default() };
        loop {
            let page = self.audit.clone().list_entries(request.clone()).await.unwrap().into_inner();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                entries.reverse();
                return entries;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// How many entries there are.
    pub async fn log_size(&self) -> i64 {
        let request = pb::ListEntriesRequest { page_size: 1, ..Default::default() };
        self.audit.clone().list_entries(request).await.unwrap().into_inner().total_size
    }

    /// Waits until there are at least so many entries.
    pub async fn wait_for_entries(&self, count: i64) {
        wait_for(&format!("{count} entries"), async || {
            let size = self.log_size().await;
            (size >= count).then_some(()).ok_or(size)
        })
        .await;
    }

    /// Asks whether the chain holds.
    pub async fn verify(&self) -> pb::VerifyChainResponse {
        let request = pb::VerifyChainRequest { from_sequence: 0 };
        self.audit.clone().verify_chain(request).await.unwrap().into_inner()
    }
}

/// A request for a token of the caller's own.
pub fn request(name: &str, role: Role) -> pb::CreateTokenRequest {
    pb::CreateTokenRequest {
        name: name.to_owned(),
        role: proto::access::v1::Role::from(role).into(),
        ..Default::default()
    }
}

/// The problem that a refusal tells.
pub fn problem<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> Problem {
    Problem::from(answer.expect_err("it is refused"))
}

/// The reason of a refusal.
pub fn reason<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> String {
    problem(answer).reason().to_owned()
}

/// Asks until it is so; tells what it was last when it never is.
pub async fn wait_for<T, E: std::fmt::Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) if tokio::time::Instant::now() > end => {
                panic!("waited for {what}, but it is {last:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
