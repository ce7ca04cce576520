
use axum::Router; use axum::routing::get; use crate::App; use crate::relay::{Relay, read}; use crate::error::Fault;
use proto::registry::v1 as pb;
async fn h(relay: Relay) -> Result<String, Fault> {
    let answer = read(relay.images(), pb::GetImageRequest{id:1}, async |mut c, q| c.get_image(q).await).await?;
    Ok(answer.etag)
}
pub fn router(app: App) -> Router { Router::new().route("/", get(h)).with_state(app) }
