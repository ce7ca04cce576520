//! All processes of Slipway in the test's own process.

use std::time::Duration;

use agent::profile::Profile;
use http::Uri;
use runtime::client::{self, Identity, Outbound};
use runtime::process::Process;
use runtime::seal::Sealer;
use runtime::{Clock, Lifecycle, database};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::patience::PATIENCE;
use crate::processes::check;
use crate::{Api, Database, Fleet, Tokens};

/// A running Slipway; it ends with this value.
#[derive(Debug)]
pub struct Slipway {
    /// The administrator, by REST.
    pub api: Api,
    /// Where devices call.
    pub link: String,
    /// The database.
    pub database: Database,
    /// What processes make themselves known with.
    pub tokens: Tokens,
    addresses: Addresses,
    lifecycle: Lifecycle,
}

/// Where the processes serve gRPC.
#[derive(Debug, Clone)]
struct Addresses {
    registry: Uri,
    approval: Uri,
    rollout: Uri,
    access: Uri,
    link: Uri,
}

/// What can be set, per process.
#[derive(Debug)]
pub struct Settings {
    /// Of `approval`.
    pub approval: approval::Settings,
    /// Of `rollout`.
    pub rollout: rollout::Settings,
    /// Of the gateway.
    pub gateway: gateway::Settings,
    /// Whether callers without a credential count as an administrator.
    pub no_auth: bool,
}

impl Default for Settings {
    /// As it is shipped, but that senders wait for the verdict however busy the machine is, and that
    /// devices say nothing when there is nothing to say.
    fn default() -> Self {
        Self {
            approval: approval::Settings { inline: PATIENCE, ..approval::Settings::default() },
            rollout: rollout::Settings {
                report_interval: Duration::from_secs(30),
                ..rollout::Settings::default()
            },
            gateway: gateway::Settings::default(),
            no_auth: false,
        }
    }
}

impl Slipway {
    /// Starts one with the first data that migrations make, and nothing else.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// Starts one with settings.
    ///
    /// # Panics
    ///
    /// When there is no Postgres or no port.
    pub async fn start_with(settings: Settings) -> Self {
        Self::start_on(Database::create().await, settings).await
    }

    /// Starts one on this database.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub async fn start_on(database: Database, settings: Settings) -> Self {
        let tokens = Tokens::create(&database).await;
        let lifecycle = Lifecycle::new();
        let mut listeners = Vec::new();
        for _ in 0..6 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let url = |index: usize| format!("http://{}", listeners[index].local_addr().unwrap());
        let uri = |index: usize| -> Uri { url(index).parse().unwrap() };
        let (gateway_url, link) = (url(5), url(4));
        let addresses = Addresses {
            registry: uri(0),
            approval: uri(1),
            rollout: uri(2),
            access: uri(3),
            link: uri(4),
        };
        let parts = Parts {
            database: &database,
            tokens: &tokens,
            lifecycle: &lifecycle,
            no_auth: settings.no_auth,
        };
        parts.start(listeners, &addresses, &gateway_url, settings);
        let api = Api::new(&gateway_url, Some(tokens.admin.clone()));
        Self { api, link, database, tokens, addresses, lifecycle }
    }

    /// A gRPC channel to a process, as the administrator.
    ///
    /// # Panics
    ///
    /// When there is no process of this name.
    #[must_use]
    pub fn channel(&self, process: &str) -> Outbound {
        client::connect(&self.uri(process), Identity::of(&self.tokens.admin))
    }

    /// Where a process serves gRPC.
    ///
    /// # Panics
    ///
    /// When there is no process of this name.
    #[must_use]
    pub fn uri(&self, process: &str) -> Uri {
        let addresses = &self.addresses;
        match process {
            "registry" => addresses.registry.clone(),
            "approval" => addresses.approval.clone(),
            "rollout" => addresses.rollout.clone(),
            "access" => addresses.access.clone(),
            "link" => addresses.link.clone(),
            other => panic!("there is no process `{other}`"),
        }
    }

    /// Devices that run what is asked for, on which nothing goes wrong but what the profile says.
    pub async fn fleet(
        &self,
        name: &str,
        devices: usize,
        images: &[(&str, &str)],
        profile: &str,
    ) -> Fleet {
        let profile: Profile = profile.parse().unwrap();
        Fleet::start(&self.api, &self.link, name, devices, images, profile).await
    }

    /// Runs `slipway check` of this program until it finds nothing wrong.
    pub async fn check(&self, program: &str) {
        check(program.as_ref(), &self.database, None).await;
    }
}

impl Drop for Slipway {
    fn drop(&mut self) {
        let lifecycle = self.lifecycle.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { lifecycle.finish(Duration::ZERO).await });
        }
    }
}

/// What all processes have.
struct Parts<'a> {
    database: &'a Database,
    tokens: &'a Tokens,
    lifecycle: &'a Lifecycle,
    no_auth: bool,
}

impl Parts<'_> {
    fn start(
        &self,
        listeners: Vec<TcpListener>,
        addresses: &Addresses,
        gateway_url: &str,
        settings: Settings,
    ) {
        let mut listeners = listeners.into_iter();
        let mut listener = || listeners.next().expect("there are six");
        registry::App::start(registry::Config {
            process: self.process("registry"),
            pool: self.pool("registry"),
            listener: listener(),
            access: addresses.access.clone(),
            rollout: addresses.rollout.clone(),
            times: registry::Times::default(),
        });
        approval::App::start(approval::Config {
            process: self.process("approval"),
            pool: self.pool("approval"),
            listener: listener(),
            access: addresses.access.clone(),
            registry: addresses.registry.clone(),
            rollout: addresses.rollout.clone(),
            sealer: Sealer::generate(),
            settings: settings.approval,
        });
        let rollout_listener = listener();
        let access_listener = listener();
        rollout::App::start(rollout::Config {
            process: self.process("rollout"),
            pool: self.pool("rollout"),
            listener: rollout_listener,
            link_listener: listener(),
            access: addresses.access.clone(),
            settings: settings.rollout,
        });
        access::App::start(access::Config {
            process: self.process("access"),
            pool: self.pool("access"),
            listener: access_listener,
            sources: access::Sources {
                registry: addresses.registry.clone(),
                approval: addresses.approval.clone(),
                rollout: addresses.rollout.clone(),
            },
            outbox_retention: Duration::from_secs(30 * 86_400),
            watch_patience: Duration::from_secs(10),
        });
        gateway::App::start(gateway::Config {
            process: self.process("gateway"),
            listener: listener(),
            peers: gateway::Addresses {
                registry: addresses.registry.clone(),
                approval: addresses.approval.clone(),
                rollout: addresses.rollout.clone(),
                link: addresses.link.clone(),
                access: addresses.access.clone(),
            },
            public_url: gateway_url.to_owned(),
            settings: settings.gateway,
        });
    }

    fn process(&self, name: &'static str) -> Process {
        Process {
            name,
            clock: Clock::system(),
            lifecycle: self.lifecycle.clone(),
            peers: self.tokens.peers(),
            token: self.tokens.of(name),
            no_auth: self.no_auth,
        }
    }

    fn pool(&self, name: &'static str) -> PgPool {
        database::pool(name, self.database.url_of(name).parse().unwrap(), 8)
    }
}
