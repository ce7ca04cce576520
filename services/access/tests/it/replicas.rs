//! Two processes on one database.

use access::{Role, Sources};
use proto::access::v1 as pb;

use crate::pull::by_source;
use crate::source::{FakeSource, Faults};
use crate::support::{Database, wait_for};
use crate::watch::Watch;

#[tokio::test]
async fn two_replicas_read_every_event_once() {
    let database = Database::create().await;
    let faults = Faults { lose: Some(13), cut: Some(9), message: 20, repeat: false };
    let fakes = ["registry", "approval", "rollout"].map(|name| FakeSource::new(name, faults));
    let _served = [fakes[0].serve(), fakes[1].serve(), fakes[2].serve()];
    let sources =
        Sources { registry: fakes[0].uri(), approval: fakes[1].uri(), rollout: fakes[2].uri() };
    let one = database.start_with(sources.clone(), |_| {}).await;
    let other = database.start_with(sources, |_| {}).await;
    wait_for("both to follow all", async || {
        let opened = fakes.each_ref().map(FakeSource::opened);
        opened.iter().all(|count| *count >= 2).then_some(()).ok_or(opened)
    })
    .await;
    for round in 0..50 {
        for fake in &fakes {
            fake.emit(20);
        }
        let replica = if round % 2 == 0 { &one } else { &other };
        replica.admin().create(&format!("user-{round}"), Role::Viewer).await;
    }
    one.admin().wait_for_entries(3 * 1_000 + 51).await;
    let log = by_source(&other.admin()).await;
    for fake in ["registry", "approval", "rollout"] {
        assert_eq!(log[fake], (1..=1_000).collect::<Vec<_>>(), "{fake}");
    }
    assert_eq!(log["access"], (1..=51).collect::<Vec<_>>());
    assert!(other.admin().verify().await.intact);
}

#[tokio::test]
async fn what_one_replica_does_is_seen_at_the_other() {
    let database = Database::create().await;
    let (one, other) = (database.start().await, database.start().await);
    one.admin().wait_for_entries(1).await;
    let mut watch = Watch::open(&other.admin(), Some(1), &[]).await;
    let made = one.admin().create("anna", Role::Viewer).await;
    assert_eq!(watch.take(1).await, [2]);

    let id = made.token.unwrap().id;
    other.admin().tokens.revoke_token(pb::RevokeTokenRequest { id }).await.unwrap();
    let bearer = one.bearing(&runtime::secret::Secret::new(made.secret));
    assert!(bearer.tokens.clone().who_am_i(pb::WhoAmIRequest {}).await.is_err());
}

#[tokio::test]
async fn one_replica_goes_on_when_the_other_is_killed() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults { message: 10, ..Faults::default() });
    let _served = source.serve();
    let sources = Sources { registry: source.uri(), ..crate::support::nobody() };
    let one = database.start_with(sources.clone(), |_| {}).await;
    let other = database.start_with(sources, |_| {}).await;
    source.emit(500);
    one.admin().wait_for_entries(100).await;
    source.emit(500);
    one.kill().await;
    source.emit(500);
    other.admin().wait_for_entries(1_501).await;
    let log = by_source(&other.admin()).await;
    assert_eq!(log["registry"], (1..=1_500).collect::<Vec<_>>());
}
