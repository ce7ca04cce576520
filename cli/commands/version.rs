//! `slipway version`: what both sides are.

use serde::Deserialize;
use serde_json::json;

use crate::client::{CONNECT_PATIENCE, Request};
use crate::failure::{Exit, Outcome};
use crate::options::Options;
use crate::output::Output;
use crate::output::table::Facts;
use crate::session::Session;

#[derive(Debug, Deserialize)]
struct Health {
    version: String,
}

/// Prints both versions. A server that does not answer is no error here.
pub async fn run(options: &Options, out: &Output) -> Outcome {
    let session = Session::open(options, out)?;
    let request = Request::get(["health"]).within(CONNECT_PATIENCE);
    let answer = session.api.ask(request).await;
    let server = answer.as_ref().ok().and_then(|answer| answer.read::<Health>().ok());
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(members) = out.json() {
        let server = server.as_ref().map(|server| &server.version);
        out.document(members, &json!({"client": ours, "server": server}))?;
        return Ok(Exit::Done);
    }
    let place = session.api.target().place();
    let told = match &server {
        Some(server) => format!("{} at {place}", server.version),
        None => format!("no answer from {place}"),
    };
    Facts::default().with("client", ours).with("server", told).print(out)?;
    Ok(Exit::Done)
}
