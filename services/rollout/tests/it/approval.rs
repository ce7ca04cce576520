//! Releases that lose their approval on the way, and get it back.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as Try;
use proto::rollout::v1::create_rollout_response::Outcome;
use proto::rollout::v1::rollout::State;
use runtime::Problem;

use crate::harness::{REDIS, Slipway, digest};

#[tokio::test]
async fn a_release_whose_approval_is_lost_stops_in_the_middle() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(3).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let request = pb::RevokeReleaseRequest {
        repository: REDIS.to_owned(),
        reason: "redis was rejected".to_owned(),
        ..pb::RevokeReleaseRequest::default()
    };
    let met = slipway.rollouts().revoke_release(request.clone()).await.unwrap().into_inner();
    assert_eq!(met.rollout_ids, std::slice::from_ref(&rollout.id));
    let paused = slipway.get(&rollout.id).await;
    assert_eq!(
        (paused.state(), paused.state_reason.as_str()),
        (State::Paused, reason::APPROVAL_LOST)
    );
    let status = slipway.command(&rollout.id, "resume").await.expect_err("not approved");
    assert_eq!(Problem::from(status).reason(), reason::APPROVAL_LOST);

    // Admitted anew, it may go on.
    let unchanged = slipway.push("8", '2').await;
    assert!(matches!(unchanged, Outcome::Unchanged(_)), "{unchanged:?}");
    slipway.command(&rollout.id, "resume").await.expect("approved again");
    slipway.drive().await;
    let offered = slipway.assignments(&rollout.id).await;
    let offered = offered.iter().find(|a| a.state() == Try::Offered).unwrap();
    let id = &offered.device.as_ref().unwrap().id;
    let device = devices.iter_mut().find(|device| device.id == *id).unwrap();
    assert_eq!(device.next_target().await.services[0].digest, digest('2'));

    // A rollout that has not begun fails.
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Manual.into();
            policy.image_pattern = "nginx:*".to_owned();
        })
        .await;
    let Outcome::Rollout(pending) = slipway.push_of(crate::harness::NGINX, "2", 'b').await else {
        panic!("no rollout");
    };
    let repository = crate::harness::NGINX.to_owned();
    slipway
        .rollouts()
        .revoke_release(pb::RevokeReleaseRequest { repository, ..request })
        .await
        .unwrap();
    slipway.drive().await;
    assert_eq!(slipway.get(&pending.id).await.state(), State::Failed);
}

#[tokio::test]
async fn a_release_that_is_approved_again_can_be_resumed() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let revoke = pb::RevokeReleaseRequest {
        repository: REDIS.to_owned(),
        tag: "8".to_owned(),
        reason: "the tag is marked as deprecated".to_owned(),
        ..pb::RevokeReleaseRequest::default()
    };
    slipway.rollouts().revoke_release(revoke).await.unwrap();

    let list = async || {
        let request = pb::GetRevokedReleasesRequest { repository: REDIS.to_owned() };
        slipway.rollouts().get_revoked_releases(request).await.unwrap().into_inner().releases
    };
    let revoked = list().await;
    assert_eq!(revoked.len(), 1);
    assert_eq!((revoked[0].tag.as_str(), &revoked[0].digest), ("8", &digest('2')));
    let restore = async |tag: &str| {
        let request = pb::RestoreReleaseRequest {
            repository: REDIS.to_owned(),
            tag: tag.to_owned(),
            digest: digest('2'),
        };
        slipway.rollouts().restore_release(request).await.unwrap().into_inner().rollout_ids
    };
    assert!(restore("9").await.is_empty(), "another tag");
    slipway.command(&rollout.id, "resume").await.expect_err("not approved");

    assert_eq!(restore("8").await, std::slice::from_ref(&rollout.id));
    assert!(list().await.is_empty());
    slipway.drive().await;
    let waits = slipway.get(&rollout.id).await;
    assert_eq!(waits.state(), State::Paused, "a person resumes it");
    assert!(waits.state_detail.contains("approved again"), "{}", waits.state_detail);
    let resumed = slipway.command(&rollout.id, "resume").await.expect("approved again");
    assert_eq!(resumed.state(), State::Running);
    drop(devices);
}
