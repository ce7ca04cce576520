//! Policies: kept, changed, previewed.

use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};

use crate::harness::Slipway;

#[tokio::test]
async fn a_policy_is_read_as_it_was_written() {
    let slipway = Slipway::start().await;
    let made = slipway
        .policy(|policy| {
            policy.name = "caches".to_owned();
            policy.batch_size = 3;
            policy.batch_delay = Some(prost_types::Duration { seconds: 300, nanos: 0 });
        })
        .await;
    let request = pb::GetPolicyRequest { id: made.id.clone() };
    let read = slipway.policies().get_policy(request).await.unwrap().into_inner();
    assert_eq!(read, made);
    let list = slipway.policies().list_policies(pb::ListPoliciesRequest::default()).await;
    assert_eq!(list.unwrap().into_inner().policies, [made]);
}

#[tokio::test]
async fn a_change_names_what_it_has_seen() {
    let slipway = Slipway::start().await;
    let made = slipway.policy(|_| {}).await;
    let change = |etag: &str| pb::UpdatePolicyRequest {
        policy: Some(pb::Policy {
            id: made.id.clone(),
            etag: etag.to_owned(),
            enabled: false,
            ..pb::Policy::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["enabled".to_owned()] }),
    };
    let changed = slipway.policies().update_policy(change(&made.etag)).await.unwrap().into_inner();
    assert_eq!((changed.enabled, changed.revision), (false, 2));
    let status = slipway.policies().update_policy(change(&made.etag)).await.expect_err("stale");
    let problem = Problem::from(status);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
}

#[tokio::test]
async fn a_policy_whose_rollout_is_under_way_is_not_removed() {
    let slipway = Slipway::start().await;
    let made = slipway.policy(|_| {}).await;
    let _devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    let request = pb::DeletePolicyRequest { id: made.id.clone() };
    let status = slipway.policies().delete_policy(request.clone()).await.expect_err("in use");
    let problem = Problem::from(status);
    assert_eq!(problem.reason(), reason::POLICY_HAS_ROLLOUTS);
    assert_eq!(problem.metadata().get("rollout_id"), Some(&rollout.id));
    slipway.command(&rollout.id, "cancel").await.unwrap();
    slipway.drive().await;
    slipway.policies().delete_policy(request.clone()).await.expect("nothing is under way");
    let status = slipway.policies().delete_policy(request).await.expect_err("gone");
    assert_eq!(Problem::from(status).reason(), reason::POLICY_NOT_FOUND);
}

#[tokio::test]
async fn names_are_unique_and_a_repeated_request_gets_the_first_answer() {
    let slipway = Slipway::start().await;
    let policy = pb::Policy {
        name: "caches".to_owned(),
        image_pattern: "redis:*".to_owned(),
        strategy: pb::Strategy::Auto.into(),
        enabled: true,
        ..pb::Policy::default()
    };
    let request = pb::CreatePolicyRequest {
        policy: Some(policy.clone()),
        request_id: "0198f3a4-0000-7000-8000-000000000001".to_owned(),
    };
    let first = slipway.policies().create_policy(request.clone()).await.unwrap().into_inner();
    let again = slipway.policies().create_policy(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.id, again.id);
    let other = pb::CreatePolicyRequest {
        policy: Some(pb::Policy { image_pattern: "nginx:*".to_owned(), ..policy.clone() }),
        ..request
    };
    let status = slipway.policies().create_policy(other).await.expect_err("another request");
    assert_eq!(Problem::from(status).http_status(), 422);
    let same_name = pb::CreatePolicyRequest { policy: Some(policy), request_id: String::new() };
    let status = slipway.policies().create_policy(same_name).await.expect_err("the name is taken");
    assert_eq!(Problem::from(status).reason(), reason::POLICY_EXISTS);
}

#[tokio::test]
async fn the_preview_is_what_the_rollout_does() {
    let slipway = Slipway::start().await;
    let policy = slipway.policy(|_| {}).await;
    let devices = slipway.fleet(10).await;
    let pinned = pb::PinDeviceRequest {
        id: devices[0].id.clone(),
        pinned: true,
        reason: "under repair".to_owned(),
    };
    slipway.devices().pin_device(pinned).await.unwrap();
    let bare = slipway.bare_device("runs-nothing").await;

    let request = pb::PreviewPolicyRequest {
        policy: Some(policy),
        reference: format!("redis:8@{}", crate::harness::digest('2')),
    };
    let preview = slipway.policies().preview_policy(request).await.unwrap().into_inner();
    let sizes: Vec<_> = preview.batches.iter().map(|batch| batch.size).collect();
    assert_eq!((preview.devices, sizes.as_slice()), (9, &[1, 4, 4][..]));
    let why = |id: &str| {
        preview
            .excluded
            .iter()
            .find(|excluded| excluded.device.as_ref().is_some_and(|device| device.id == id))
            .map(|excluded| excluded.reason.clone())
    };
    assert_eq!(why(&devices[0].id).as_deref(), Some(reason::PINNED));
    assert_eq!(why(&bare.id).as_deref(), Some(reason::NO_MATCHING_SERVICE));

    let rollout = slipway.rollout("8", '2').await;
    let planned: Vec<_> = rollout.batches.iter().map(|batch| batch.size).collect();
    assert_eq!(planned, sizes);
    let shown = preview
        .batches
        .iter()
        .flat_map(|batch| batch.devices.iter().map(|device| (batch.number, device.id.clone())));
    let sent = slipway.assignments(&rollout.id).await.into_iter();
    let sent = sent.map(|part| (part.batch_number, part.device.unwrap().id));
    assert!(shown.eq(sent), "the same devices in the same batches");
}

#[tokio::test]
async fn repositories_are_matched_whatever_the_tag() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.image_pattern = "redis:7*".to_owned()).await;
    slipway
        .policy(|policy| {
            policy.image_pattern = "redis:*".to_owned();
            policy.enabled = false;
        })
        .await;
    let ask = async |repository: &str| {
        let request = pb::MatchRepositoryRequest { repository: repository.to_owned() };
        let answer = slipway.policies().match_repository(request).await.unwrap().into_inner();
        answer.policies.len()
    };
    assert_eq!(ask("docker.io/library/redis").await, 1);
    assert_eq!(ask("docker.io/library/postgres").await, 0);
}
