//! The gate.

use proto::registry::v1 as pb;
use runtime::Caller;

use crate::event::Teller;
use crate::{App, Error, convert, store};

pub(super) async fn get(app: &App) -> Result<pb::GateSettings, Error> {
    let mut db = app.pool.acquire().await?;
    Ok(store::gate::read(&mut db).await?.into())
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    request: pb::UpdateGateRequest,
) -> Result<pb::GateSettings, Error> {
    let (etag, change) = convert::gate_change(request)?;
    let now = app.clock.now();
    let mut tx = app.pool.begin().await?;
    let before = store::gate::lock(&mut tx).await?;
    before.require_etag(&etag)?;
    let Some(after) = before.changed(change, now) else { return Ok(before.into()) };
    let after = store::gate::update(&mut tx, &after).await?;
    app.outbox.append(&mut tx, &Teller { caller, now }.gate_updated(&before, &after)).await?;
    app.outbox.commit(tx).await?;
    Ok(after.into())
}
