//! Random histories: deliveries, redeliveries, moved tags, votes, outages and restarts in any order.
//! However they go, in the end every push has one outcome.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proto::approval::v1 as pb;
use proto::approval::v1::push::State;
use proto::approval::v1::review;

use crate::fake::registry::{Answer, digest};
use crate::world::{World, hub_at, person};

/// Something that happens. Numbers pick a tag, a second, or one of what there is.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Deliver { tag: u8, second: u8 },
    Move { tag: u8, to: u8 },
    Vote { which: u8, approve: bool },
    Registry { up: bool },
    Rollout { up: bool },
    Restart,
    Pass { seconds: u8 },
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..3u8, 0..6u8).prop_map(|(tag, second)| Happens::Deliver { tag, second }),
        2 => (0..3u8, 0..4u8).prop_map(|(tag, to)| Happens::Move { tag, to }),
        3 => (any::<u8>(), prop::bool::weighted(0.8))
            .prop_map(|(which, approve)| Happens::Vote { which, approve }),
        2 => any::<bool>().prop_map(|up| Happens::Registry { up }),
        2 => any::<bool>().prop_map(|up| Happens::Rollout { up }),
        1 => Just(Happens::Restart),
        2 => (1..40u8).prop_map(|seconds| Happens::Pass { seconds }),
    ]
}

/// One tag of an approved image, one of an unknown one, and one that its registry does not know.
const IMAGES: [&str; 3] = ["redis:7", "acme/app:1", "acme/late:1"];

struct History {
    world: World,
    token: String,
    registry_up: bool,
    rollout_up: bool,
}

impl History {
    async fn begin() -> Self {
        let world = World::start().await;
        let token = world.hub_receiver().await;
        world.registry.approve("redis", &["7"]);
        world.registry.approve("acme/late", &["1"]);
        world.registry.upstream(IMAGES[0], Answer::Digest(digest('0')));
        world.registry.upstream(IMAGES[1], Answer::Digest(digest('0')));
        Self { world, token, registry_up: true, rollout_up: true }
    }

    async fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Deliver { tag, second } => {
                let (name, tag) = IMAGES[usize::from(tag)].rsplit_once(':').unwrap();
                let body = hub_at(name, tag, second.into()).to_string();
                self.world.send(&self.token, &[], body, "").await.unwrap();
            }
            Happens::Move { tag, to } => {
                let to = char::from(b'0' + to);
                self.world.registry.upstream(IMAGES[usize::from(tag)], Answer::Digest(digest(to)));
            }
            Happens::Vote { which, approve } => self.vote(which, approve).await,
            Happens::Registry { up } => self.switch_registry(up),
            Happens::Rollout { up } => self.switch_rollout(up),
            Happens::Restart => self.world.restart().await,
            Happens::Pass { seconds } => {
                self.world.clock.advance(Duration::from_secs(seconds.into()))
            }
        }
    }

    async fn vote(&self, which: u8, approve: bool) {
        let reviews = self.world.list_reviews().await;
        if reviews.is_empty() {
            return;
        }
        let review = &reviews[usize::from(which) % reviews.len()];
        let voter = person("anna");
        let decided = match approve {
            true => self.world.approve(&review.id, &voter).await,
            false => self.world.reject(&review.id, &voter, "no").await,
        };
        assert_eq!(decided.is_ok(), review.state() == review::State::Pending, "{decided:?}");
    }

    fn switch_registry(&mut self, up: bool) {
        match (self.registry_up, up) {
            (true, false) => self.world.registry.server.kill(),
            (false, true) => self.world.registry.server.revive(),
            (true, true) | (false, false) => {}
        }
        self.registry_up = up;
    }

    fn switch_rollout(&mut self, up: bool) {
        match (self.rollout_up, up) {
            (true, false) => self.world.rollout.server.kill(),
            (false, true) => self.world.rollout.server.revive(),
            (true, true) | (false, false) => {}
        }
        self.rollout_up = up;
    }

    /// Lets everything come back and all that waits go on, then looks at what came of it.
    async fn end(mut self) {
        self.switch_registry(true);
        self.switch_rollout(true);
        self.world.registry.upstream(IMAGES[2], Answer::Digest(digest('0')));
        self.world.clock.advance(Duration::from_secs(300));
        let pushes = self
            .world
            .wait_for("everything to settle", async || {
                let request = pb::ListPushesRequest { page_size: 500, ..Default::default() };
                let pushes = self.world.pushes().list_pushes(request).await.unwrap().into_inner();
                let open = pushes
                    .pushes
                    .iter()
                    .find(|push| matches!(push.state(), State::Received | State::Waiting));
                match open {
                    Some(push) => Err(format!("{push:?}")),
                    None => Ok(pushes.pushes),
                }
            })
            .await;
        for push in &pushes {
            self.has_one_outcome(push).await;
        }
        self.world.rollout.assert_consistent();
        let received = self.world.events("image.webhook_received").await;
        assert_eq!(received.len(), pushes.len(), "each push is told once");
    }

    async fn has_one_outcome(&self, push: &pb::Push) {
        let asked = self.world.rollout.created();
        let releases: Vec<_> = asked
            .iter()
            .filter(|created| created.request.request_id == push.id)
            .map(|created| created.release().digest.clone())
            .collect();
        match push.state() {
            State::Done if push.reasons.iter().any(|why| why.code == "SUPERSEDED") => {
                assert!(releases.is_empty(), "{push:?}");
            }
            State::Done => {
                assert!(
                    !releases.is_empty() && releases.iter().all(|digest| *digest == push.digest)
                );
                assert!(push.pinned, "{push:?}");
            }
            State::Held => {
                let review = self.world.review(&push.review_id).await;
                assert_eq!(review.state(), review::State::Pending, "{push:?}");
                assert!(releases.is_empty(), "{push:?}");
            }
            State::Denied => assert!(releases.is_empty(), "{push:?}"),
            State::Received | State::Waiting | State::Ignored | State::Unspecified => {
                panic!("it has not settled: {push:?}")
            }
        }
    }
}

#[test]
fn every_history_ends_with_one_outcome_for_each_push() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    runner
        .run(&prop::collection::vec(happens(), 5..40), |history| {
            runtime.block_on(async {
                let mut going = History::begin().await;
                for happens in history {
                    going.happen(happens).await;
                }
                going.end().await;
            });
            Ok(())
        })
        .unwrap();
}
