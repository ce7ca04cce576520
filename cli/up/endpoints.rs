//! Where everything listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::data_dir::DataDir;

/// The file with all addresses.
const FILE: &str = "endpoints.json";
/// What the addresses are called in it.
const NAMES: [&str; 6] = ["gateway", "registry", "approval", "rollout", "access", "link"];
/// Whose metrics there are.
const METRICS: [&str; 5] = ["gateway", "registry", "approval", "rollout", "access"];

/// Addresses of every process.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// REST, webhooks, events.
    pub gateway: SocketAddr,
    /// Images.
    pub registry: SocketAddr,
    /// Pushes.
    pub approval: SocketAddr,
    /// Rollouts.
    pub rollout: SocketAddr,
    /// Tokens.
    pub access: SocketAddr,
    /// Devices.
    pub link: SocketAddr,
    /// Metrics, in the order of the processes above, without the link.
    pub metrics: [SocketAddr; 5],
    /// Whether the gateway is where the documents print it.
    pub is_usual: bool,
}

impl Endpoints {
    /// The usual ports, when the gateway is where the documents print it and all are free. Else, for
    /// everything but an address that was asked for, those of the start before, where they are free,
    /// so that devices find their link again; and free ones.
    pub fn choose(
        asked: Option<SocketAddr>,
        usual: SocketAddr,
        before: Option<&Self>,
    ) -> Result<Self> {
        let loopback = usual.ip();
        let wants_usual = asked.is_none_or(|asked| asked == usual);
        let ports = [4002, 4011, 4012, 4013, 4014, 4020];
        let metrics = [4102, 4111, 4112, 4113, 4114];
        let all = ports.into_iter().chain(metrics);
        if wants_usual && all.into_iter().all(|port| is_free(loopback, port)) {
            let at = |port| SocketAddr::new(loopback, port);
            return Ok(Self::of(ports.map(at), metrics.map(at), true));
        }
        let gateway = match asked {
            Some(address) if address.port() != 0 && !is_free(address.ip(), address.port()) => {
                bail!(
                    "--listen {address}: the port is taken; stop what listens there, or choose another one"
                )
            }
            Some(address) if address.port() != 0 => address,
            Some(address) => free(address.ip())?,
            None if is_free(usual.ip(), usual.port()) => usual,
            None => free(loopback)?,
        };
        // Held until all are chosen, so that no two are the same.
        let _held = TcpListener::bind(gateway);
        let [registry, approval, rollout, access, link, a, b, c, d, e] =
            free_ones(before.map(Self::inner))?;
        let ports = [gateway, registry, approval, rollout, access, link];
        Ok(Self::of(ports, [a, b, c, d, e], gateway == usual))
    }

    /// The addresses of the start before, as `endpoints.json` has them. None when it cannot be read.
    pub fn load(data: &DataDir) -> Option<Self> {
        let text = std::fs::read_to_string(data.path().join(FILE)).ok()?;
        let all: Value = serde_json::from_str(&text).ok()?;
        let at = |all: &Value, name: &str| {
            let url = all.get(name)?.as_str()?.strip_prefix("http://")?;
            url.trim_end_matches("/metrics").parse().ok()
        };
        let [gateway, registry, approval, rollout, access, link] = NAMES.map(|name| at(&all, name));
        let ports = [gateway?, registry?, approval?, rollout?, access?, link?];
        let metrics = all.get("metrics")?;
        let [a, b, c, d, e] = METRICS.map(|name| at(metrics, name));
        Some(Self::of(ports, [a?, b?, c?, d?, e?], false))
    }

    /// All but the gateway's.
    fn inner(&self) -> [SocketAddr; 10] {
        let [a, b, c, d, e] = self.metrics;
        [self.registry, self.approval, self.rollout, self.access, self.link, a, b, c, d, e]
    }

    fn of(ports: [SocketAddr; 6], metrics: [SocketAddr; 5], is_usual: bool) -> Self {
        let [gateway, registry, approval, rollout, access, link] = ports;
        Self { gateway, registry, approval, rollout, access, link, metrics, is_usual }
    }

    /// The gateway's URL, as seen from this machine.
    pub fn gateway_url(&self) -> String {
        url(reachable(self.gateway))
    }

    /// Names and addresses, as `endpoints.json` and the screen show them.
    pub fn all(&self) -> [(&'static str, SocketAddr); 6] {
        let Self { gateway, registry, approval, rollout, access, link, .. } = *self;
        let ports = [reachable(gateway), registry, approval, rollout, access, link];
        std::array::from_fn(|index| (NAMES[index], ports[index]))
    }

    /// Where each process tells its metrics. The link is a part of `rollout`.
    pub fn metrics_urls(&self) -> impl Iterator<Item = (&'static str, String)> {
        METRICS.into_iter().zip(self.metrics.map(|address| format!("{}/metrics", url(address))))
    }

    /// Writes `endpoints.json`.
    pub fn write(&self, data: &DataDir) -> Result<()> {
        let mut all = serde_json::Map::new();
        for (name, address) in self.all() {
            all.insert(name.to_owned(), json!(url(address)));
        }
        let metrics = self.metrics_urls().map(|(name, url)| (name.to_owned(), json!(url)));
        let metrics: serde_json::Map<_, _> = metrics.collect();
        all.insert("metrics".to_owned(), metrics.into());
        let text = serde_json::to_string_pretty(&all)?;
        data.write(FILE, &format!("{text}\n"))
    }
}

/// The URL of an address.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// An address that listens everywhere is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, address.port()))
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

fn is_free(ip: IpAddr, port: u16) -> bool {
    TcpListener::bind((ip, port)).is_ok()
}

fn free(ip: IpAddr) -> Result<SocketAddr> {
    Ok(TcpListener::bind((ip, 0))?.local_addr()?)
}

/// Addresses on loopback that are free: those of before where they are.
fn free_ones<const N: usize>(before: Option<[SocketAddr; N]>) -> Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    for index in 0..N {
        let known = before.map(|before| before[index]).filter(|known| known.ip().is_loopback());
        let listener = match known.and_then(|known| TcpListener::bind(known).ok()) {
            Some(listener) => listener,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        };
        held.push(listener);
    }
    let mut chosen = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for (place, listener) in chosen.iter_mut().zip(&held) {
        *place = listener.local_addr()?;
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_asked_for_and_is_taken_is_refused() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error =
            Endpoints::choose(Some(address), super::super::LISTEN, None).unwrap_err().to_string();
        assert!(error.contains("the port is taken"), "{error}");
    }

    #[test]
    fn another_address_gives_every_process_a_port_of_its_own() {
        let asked = "127.0.0.1:0".parse().unwrap();
        let chosen = Endpoints::choose(Some(asked), super::super::LISTEN, None).unwrap();
        let mut ports: Vec<_> = chosen
            .all()
            .iter()
            .map(|(_, at)| at.port())
            .chain(chosen.metrics.map(|at| at.port()))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 11);
    }

    #[test]
    fn the_addresses_of_the_start_before_are_taken_again_where_they_are_free() {
        // Nothing else listens on this address of the loopback network.
        let at = |port| SocketAddr::from(([127, 77, 0, 1], port));
        let before = Endpoints::of(
            [4002, 4011, 4012, 4013, 4014, 4020].map(at),
            [4102, 4111, 4112, 4113, 4114].map(at),
            false,
        );
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::resolve(Some(folder.path())).unwrap();
        assert!(Endpoints::load(&data).is_none());
        before.write(&data).unwrap();
        let loaded = Endpoints::load(&data).unwrap();
        let _taken = TcpListener::bind(before.access).unwrap();

        let asked = "127.0.0.1:0".parse().unwrap();
        let chosen = Endpoints::choose(Some(asked), super::super::LISTEN, Some(&loaded)).unwrap();
        assert_eq!(chosen.metrics, before.metrics);
        assert_eq!((chosen.registry, chosen.link), (before.registry, before.link));
        assert_ne!(chosen.access, before.access);
    }
}
