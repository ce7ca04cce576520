//! One gateway with its peers, for one test.

use std::net::SocketAddr;

use chrono::{TimeZone as _, Utc};
use gateway::{Addresses, App, Config, Settings};
use http::{Method, Uri};
use runtime::auth::Peers;
use runtime::process::Process;
use runtime::secret::Secret;
use runtime::{Clock, Lifecycle};
use tokio::net::TcpListener;

use crate::client::Call;
use crate::peer::Peer;

/// What the gateway makes itself known with.
pub const GATEWAY: &str = "slw_gateway";

pub struct World {
    pub clock: Clock,
    pub lifecycle: Lifecycle,
    pub registry: Peer,
    pub approval: Peer,
    pub rollout: Peer,
    pub link: Peer,
    pub access: Peer,
    pub address: SocketAddr,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Settings::default(), |_| {}).await
    }

    /// With other settings, and with addresses at which perhaps nobody answers.
    pub async fn start_with(settings: Settings, change: impl FnOnce(&mut Addresses)) -> Self {
        let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap());
        let lifecycle = Lifecycle::new();
        let (registry, approval, rollout, link, access) =
            tokio::join!(Peer::start(), Peer::start(), Peer::start(), Peer::start(), Peer::start());
        let mut peers = Addresses {
            registry: registry.uri(),
            approval: approval.uri(),
            rollout: rollout.uri(),
            link: link.uri(),
            access: access.uri(),
        };
        change(&mut peers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let process = Process {
            name: "gateway",
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
            peers: Peers::default(),
            token: Secret::new(GATEWAY),
            no_auth: false,
        };
        let public_url = "https://slipway.example".to_owned();
        App::start(Config { process, listener, peers, public_url, settings });
        Self { clock, lifecycle, registry, approval, rollout, link, access, address }
    }

    pub fn get(&self, path: &str) -> Call {
        Call::new(self.address, Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        Call::new(self.address, Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call {
        Call::new(self.address, Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        Call::new(self.address, Method::DELETE, path)
    }
}

/// An address at which nobody answers.
pub async fn nobody() -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}
