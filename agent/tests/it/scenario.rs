//! Where scenarios begin.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use proto::rollout::v1 as pb;

use crate::targets::{reference, service, target, update, with};
use crate::world::World;

/// Long enough for any timer of an update to pass.
pub const QUIET: Duration = Duration::from_secs(1_200);

/// A device that runs version 1 of `web`, committed.
pub fn running_web(faults: Vec<Fault>) -> World {
    let mut world = World::new(faults);
    world.send(with(target(1), vec![service("web", "1")]));
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
    world
}

/// A device that runs version 1 of `web` and `api`, committed.
pub fn running_both(faults: Vec<Fault>) -> World {
    let mut world = World::new(faults);
    world.send(with(target(1), vec![service("api", "1"), service("web", "1")]));
    world.settle(QUIET);
    assert_eq!((world.version("web"), world.version("api")), ("1".to_owned(), "1".to_owned()));
    world
}

/// A fault of version 2 of `web`.
pub fn bad_web(kind: FaultKind) -> Vec<Fault> {
    vec![Fault::of(&reference("web", "2"), kind)]
}

/// The target that updates `web` to version 2.
pub fn to_two() -> pb::TargetState {
    with(target(2), vec![update("web", "2", "r", 1, "1")])
}
