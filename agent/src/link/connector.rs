//! How a device reaches its server.

use http::Uri;
use runtime::Code;
use runtime::Problem;
use tonic::transport::{Channel, Endpoint};

use crate::chance::Chance;
use crate::timing::LinkTiming;

/// Makes connections.
#[derive(Debug, Clone)]
pub struct Connector(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Each time a new one.
    Own(Box<Endpoint>),
    /// One that others use too, and that mends itself.
    Shared(Channel),
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a device link; write one such as `http://slipway.example:4020`")]
pub struct AddressError(String);

impl Connector {
    /// A connector whose every connection is the device's own.
    ///
    /// # Errors
    ///
    /// When the address is none.
    pub fn own(
        address: &str,
        timing: &LinkTiming,
        chance: &mut Chance,
    ) -> Result<Self, AddressError> {
        Ok(Self(Kind::Own(Box::new(endpoint(address, timing, chance)?))))
    }

    /// A connector whose clones all use one connection.
    ///
    /// # Errors
    ///
    /// When the address is none.
    pub fn shared(
        address: &str,
        timing: &LinkTiming,
        chance: &mut Chance,
    ) -> Result<Self, AddressError> {
        Ok(Self(Kind::Shared(endpoint(address, timing, chance)?.connect_lazy())))
    }

    pub(super) async fn connect(&self) -> Result<Channel, Problem> {
        match &self.0 {
            Kind::Shared(channel) => Ok(channel.clone()),
            Kind::Own(endpoint) => endpoint.connect().await.map_err(|error| {
                let message = format!("the server cannot be reached: {error}");
                Problem::new(Code::Unavailable, proto::reason::PEER_UNREACHABLE, message)
            }),
        }
    }
}

fn endpoint(
    address: &str,
    timing: &LinkTiming,
    chance: &mut Chance,
) -> Result<Endpoint, AddressError> {
    let refused = || AddressError(address.to_owned());
    let uri: Uri = address.parse().map_err(|_| refused())?;
    if uri.scheme_str() != Some("http") || uri.host().is_none() {
        return Err(refused());
    }
    Ok(Endpoint::from(uri)
        .connect_timeout(timing.answer)
        .tcp_nodelay(true)
        .buffer_size(16)
        .http2_keep_alive_interval(chance.around(timing.ping, 0.1))
        .keep_alive_timeout(timing.ping_answer)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Timing;

    #[tokio::test]
    async fn only_an_address_of_a_server_is_taken() {
        let (timing, mut chance) = (Timing::device().link, Chance::seeded(1));
        for bad in ["", "slipway:4020", "/path", "ftp://x", "https://slipway:4020"] {
            assert!(Connector::own(bad, &timing, &mut chance).is_err(), "{bad}");
        }
        assert!(Connector::shared("http://127.0.0.1:4020", &timing, &mut chance).is_ok());
    }
}
