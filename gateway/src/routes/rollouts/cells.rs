//! A rollout as a grid: one letter per device.

use axum::Json;
use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;

use super::part::State;
use super::status::Status;
use super::{PARTS, current};
use crate::error::Fault;
use crate::extract::At;
use crate::relay::{Relay, read};

/// A rollout's devices, one letter for each.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "rollout_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13", "status": "in_progress",
    "batches": [{"number": 1, "cells": "s"}, {"number": 2, "cells": "sdvw"}]
}))]
pub struct Cells {
    /// The rollout.
    rollout_id: String,
    /// Where it stands.
    status: Status,
    /// Its batches.
    batches: Vec<Row>,
}

/// A batch's devices.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CellRow)]
pub struct Row {
    /// The batch, from 1.
    number: i32,
    /// Its devices in their stored order: `q` waits, `o` was sent, `d` downloads, `i` installs, `v` is
    /// verified, `s` succeeded, `f` failed, `w` is away, `k` was skipped, `c` was withdrawn, `r` goes
    /// back, `b` is back, `x` could not go back.
    cells: String,
}

/// Get a rollout's cells
///
/// Needs `viewer`. One letter per device in batch order, small enough to be fetched again and again;
/// with `If-None-Match` only when something changed.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/cells", tag = "rollouts",
    params(("id" = String, Path, description = "The rollout's id.")),
    responses(
        (status = 200, description = "The cells.", body = Cells),
        (status = 304, description = "They are as `If-None-Match` knows them."),
    ),
)]
pub async fn get_rollout_cells(relay: Relay, At(id): At<String>) -> Result<Json<Cells>, Fault> {
    let rollout = current(&relay, id).await?;
    let mut request = pb::ListAssignmentsRequest {
        rollout_id: rollout.id.clone(),
        page_size: PARTS,
        ..pb::ListAssignmentsRequest::default()
    };
    let mut batches = Vec::new();
    loop {
        let part = read(relay.rollouts(), request.clone(), async |mut to, ask| {
            to.list_assignments(ask).await
        });
        let part = part.await?;
        append(&mut batches, &part.assignments);
        if part.next_page_token.is_empty() {
            break;
        }
        request.page_token = part.next_page_token;
    }
    Ok(Json(Cells { status: Status::of(&rollout), rollout_id: rollout.id, batches }))
}

/// Writes the next devices; they come in batch order.
fn append(batches: &mut Vec<Row>, parts: &[pb::Assignment]) {
    for part in parts {
        let letter = State::from(part.state()).letter();
        match batches.last_mut() {
            Some(row) if row.number == part.batch_number => row.cells.push(letter),
            Some(_) | None => {
                batches.push(Row { number: part.batch_number, cells: letter.to_string() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::rollout::v1::assignment::State as Wire;

    use super::*;

    #[test]
    fn a_batch_that_is_cut_by_a_page_stays_one_row() {
        let part = |batch_number, state: Wire| pb::Assignment {
            batch_number,
            state: state.into(),
            ..pb::Assignment::default()
        };
        let mut batches = Vec::new();
        append(&mut batches, &[part(1, Wire::Succeeded), part(2, Wire::Verifying)]);
        append(&mut batches, &[part(2, Wire::Queued), part(3, Wire::RevertFailed)]);
        let rows: Vec<_> = batches.iter().map(|row| (row.number, row.cells.as_str())).collect();
        assert_eq!(rows, [(1, "s"), (2, "vq"), (3, "x")]);
    }
}
