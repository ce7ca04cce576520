//! Simulated devices over the real device protocol, faster than the field's.

use agent::profile::Profile;
use agent::simulator::{Connections, SimulatedDevice, SimulatedGroup, Simulator, SimulatorConfig};
use agent::timing::Timing;
use runtime::Clock;
use runtime::secret::Secret;
use serde_json::json;

use crate::patience::PATIENCE;
use crate::{Api, eventually};

/// How much faster than in a demonstration the devices pull and become healthy.
const PACE: f64 = 0.1;
/// From how many devices on several share a connection, and how many do: half of the streams that
/// the server allows on one.
const MANY: (usize, usize) = (100, 4);

/// The devices of one fleet.
#[derive(Debug)]
pub struct Fleet {
    /// The fleet's name.
    pub name: String,
    /// The devices.
    pub simulator: Simulator,
}

impl Fleet {
    /// Gives a fleet its template, makes a key for it, and starts devices that enrol with it. Waits
    /// until all of them have said that they run what the template says.
    ///
    /// # Panics
    ///
    /// When something is refused or does not come about.
    pub async fn start(
        api: &Api,
        link_url: &str,
        name: &str,
        devices: usize,
        images: &[(&str, &str)],
        profile: Profile,
    ) -> Self {
        set_template(api, name, images).await;
        let fleet = Self::enrol(api, link_url, name, devices, profile).await;
        fleet.wait_until_healthy(api).await;
        fleet
    }

    /// Starts devices that enrol with a new key of the fleet.
    ///
    /// # Panics
    ///
    /// When the key is refused.
    pub async fn enrol(
        api: &Api,
        link_url: &str,
        name: &str,
        devices: usize,
        profile: Profile,
    ) -> Self {
        let key = enrolment_key(api, name).await;
        let profile = profile.scaled(PACE);
        let group = SimulatedGroup { profile, ..SimulatedGroup::new(name, devices, key) };
        let (many, per_connection) = MANY;
        let simulator = Simulator::start(SimulatorConfig {
            link_url: link_url.to_owned(),
            groups: vec![group],
            timing: Timing::fast(),
            clock: Clock::system(),
            storage: None,
            connections: if devices > many {
                Connections::Shared(per_connection)
            } else {
                Connections::Own
            },
            seed: 7,
        })
        .unwrap();
        Self { name: name.to_owned(), simulator }
    }

    /// Waits until the server knows of all devices that they run what they should, healthy.
    pub async fn wait_until_healthy(&self, api: &Api) {
        let count = self.devices().len();
        let path = format!("/api/v1/fleets/{}", self.name);
        eventually(&format!("{count} healthy devices"), async || {
            let answer = api.get(&path).await;
            if answer.body["in_sync_count"] == count {
                Ok(())
            } else {
                Err(format!("{answer:?}; {:?}", self.simulator.summary()))
            }
        })
        .await;
    }

    /// Waits until exactly so many devices run an image, healthy.
    ///
    /// # Panics
    ///
    /// When they do not come to it.
    pub async fn wait_until_running(&self, reference: &str, on: usize) {
        let runs = |device: &SimulatedDevice| {
            device.seen().rows.iter().any(|row| row.reference == reference && row.healthy)
        };
        self.simulator
            .wait_for(&format!("{on} devices to run {reference}"), PATIENCE, |devices| {
                devices.iter().filter(|device| runs(device)).count() == on
            })
            .await
            .unwrap();
    }

    /// The devices.
    #[must_use]
    pub fn devices(&self) -> &[SimulatedDevice] {
        self.simulator.devices()
    }
}

/// Says what the devices of a fleet run: service and image.
///
/// # Panics
///
/// When it is refused.
pub async fn set_template(api: &Api, fleet: &str, images: &[(&str, &str)]) {
    let services: Vec<_> =
        images.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    let path = format!("/api/v1/fleets/{fleet}/template");
    api.put(&path, &json!({"services": services})).await.expect(200);
}

/// Makes an enrolment key and returns its secret.
///
/// # Panics
///
/// When it is refused.
pub async fn enrolment_key(api: &Api, fleet: &str) -> Secret {
    let name = format!("{fleet}-{}", runtime::id::uuid_v7(Clock::system().now()));
    let answer = api.post("/api/v1/enrolment-keys", &json!({"name": name, "fleet": fleet})).await;
    Secret::new(answer.expect(201).text_at("/key"))
}
