//! Where everything listens.

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Result, bail};
use serde_json::json;

use super::data_dir::DataDir;

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
    /// The usual ports, when the gateway is where the documents print it and all are free; else free
    /// ones for everything but an address that was asked for.
    pub fn choose(asked: Option<SocketAddr>, usual: SocketAddr) -> Result<Self> {
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
        let held = (0..10)
            .map(|_| TcpListener::bind((loopback, 0)))
            .collect::<std::io::Result<Vec<_>>>()?;
        let free = held.iter().map(TcpListener::local_addr).collect::<std::io::Result<Vec<_>>>()?;
        let ports = [gateway, free[0], free[1], free[2], free[3], free[4]];
        let metrics = [free[5], free[6], free[7], free[8], free[9]];
        Ok(Self::of(ports, metrics, gateway == usual))
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
        [
            ("gateway", reachable(self.gateway)),
            ("registry", self.registry),
            ("approval", self.approval),
            ("rollout", self.rollout),
            ("access", self.access),
            ("link", self.link),
        ]
    }

    /// Writes `endpoints.json`.
    pub fn write(&self, data: &DataDir) -> Result<()> {
        let mut all = serde_json::Map::new();
        for (name, address) in self.all() {
            all.insert(name.to_owned(), json!(url(address)));
        }
        let names = ["gateway", "registry", "approval", "rollout", "access"];
        let metrics: serde_json::Map<_, _> = names
            .into_iter()
            .zip(self.metrics)
            .map(|(name, address)| (name.to_owned(), json!(format!("{}/metrics", url(address)))))
            .collect();
        all.insert("metrics".to_owned(), metrics.into());
        let text = serde_json::to_string_pretty(&all)?;
        data.write("endpoints.json", &format!("{text}\n"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_asked_for_and_is_taken_is_refused() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Endpoints::choose(Some(address), super::super::LISTEN).unwrap_err().to_string();
        assert!(error.contains("the port is taken"), "{error}");
    }

    #[test]
    fn another_address_gives_every_process_a_port_of_its_own() {
        let asked = "127.0.0.1:0".parse().unwrap();
        let chosen = Endpoints::choose(Some(asked), super::super::LISTEN).unwrap();
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
}
