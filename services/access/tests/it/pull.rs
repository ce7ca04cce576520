//! Events of other processes on their way into the log.

use std::collections::BTreeMap;
use std::time::Duration;

use access::{Role, Sources};
use proto::access::v1 as pb;
use proto::event::v1::ListEventsRequest;
use runtime::secret::Secret;

use crate::source::{FakeSource, Faults};
use crate::support::{Access, Client, Database, nobody, wait_for};

/// What is in the log, by source: the numbers that the events had there, in the order of the log.
pub async fn by_source(client: &Client) -> BTreeMap<String, Vec<i64>> {
    let mut sources = BTreeMap::<_, Vec<_>>::new();
    for (entry, sequence) in client.log().await.into_iter().zip(1..) {
        assert_eq!(entry.sequence, sequence, "the log is dense from 1");
        sources.entry(entry.source).or_default().push(entry.event.unwrap().sequence);
    }
    sources
}

/// The log holds the first so many events of a source, once and in order, and the chain holds.
async fn assert_complete(client: &Client, source: &str, count: i64) {
    let numbers = by_source(client).await.remove(source).unwrap_or_default();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{source}");
    let verified = client.verify().await;
    assert!(verified.intact, "{verified:?}");
}

async fn registry(database: &Database, source: &FakeSource) -> Access {
    database.start_with(Sources { registry: source.uri(), ..nobody() }, |_| {}).await
}

#[tokio::test]
async fn the_events_of_all_processes_become_one_chain() {
    let database = Database::create().await;
    let fakes =
        ["registry", "approval", "rollout"].map(|name| FakeSource::new(name, Faults::default()));
    fakes[0].emit(1_500);
    fakes[1].emit(700);
    let _served = [fakes[0].serve(), fakes[1].serve(), fakes[2].serve()];
    let sources =
        Sources { registry: fakes[0].uri(), approval: fakes[1].uri(), rollout: fakes[2].uri() };
    let access = database.start_with(sources, |_| {}).await;
    let admin = access.admin();
    for round in 0..10 {
        fakes[2].emit(30);
        fakes[0].emit(50);
        admin.create(&format!("user-{round}"), Role::Viewer).await;
    }
    admin.wait_for_entries(2_000 + 700 + 300 + 11).await;
    for (source, count) in
        [("registry", 2_000), ("approval", 700), ("rollout", 300), ("access", 11)]
    {
        assert_complete(&admin, source, count).await;
    }
    let entry = admin.log().await.into_iter().find(|entry| entry.source == "registry").unwrap();
    let event = entry.event.unwrap();
    assert_eq!(
        (event.r#type.as_str(), event.actor.unwrap().name.as_str()),
        ("image.tag.added", "Olga")
    );
    assert_eq!(event.resource.unwrap().name, "registry-1");
    assert_eq!((entry.ip.as_str(), entry.hash.len()), ("192.0.2.7", 32));
}

#[tokio::test]
async fn a_feed_that_loses_repeats_and_breaks_leaves_no_trace() {
    let faults = [
        Faults { repeat: true, ..Faults::default() },
        Faults { lose: Some(7), message: 3, ..Faults::default() },
        Faults { cut: Some(2), message: 40, ..Faults::default() },
        Faults { lose: Some(11), repeat: true, cut: Some(3), message: 17 },
    ];
    for faults in faults {
        let database = Database::create().await;
        let source = FakeSource::new("registry", faults);
        let _served = source.serve();
        let access = registry(&database, &source).await;
        let admin = access.admin();
        admin.wait_for_entries(1).await;
        wait_for("the feed to be followed", async || (source.opened() > 0).then_some(()).ok_or(0))
            .await;
        let emitting = tokio::spawn({
            let source = source.clone();
            async move {
                for _ in 0..60 {
                    source.emit(10);
                    tokio::task::yield_now().await;
                }
            }
        });
        emitting.await.unwrap();
        admin.wait_for_entries(601).await;
        assert_complete(&admin, "registry", 600).await;
    }
}

#[tokio::test]
async fn numbers_that_the_source_itself_does_not_have_hold_nobody_up() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    source.emit(10).free(4);
    let _served = source.serve();
    let access = registry(&database, &source).await;
    access.admin().wait_for_entries(7).await;
    let log = by_source(&access.admin()).await;
    assert_eq!(log["registry"], [5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn a_source_that_was_away_is_read_where_it_was_left() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    source.emit(100);
    let served = source.serve();
    let access = registry(&database, &source).await;
    access.admin().wait_for_entries(101).await;

    served.kill().await;
    source.emit(100);
    let _served = source.serve();
    access.admin().wait_for_entries(201).await;
    source.emit(1);
    access.admin().wait_for_entries(202).await;
    assert_complete(&access.admin(), "registry", 201).await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_however_often_the_process_is_killed() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults { message: 25, ..Faults::default() });
    let _served = source.serve();
    let entries = "select count(*) from access.audit_log";
    let mut killed_early = 0;
    for round in 1..=6 {
        source.emit(2_500);
        let before = database.number(entries).await;
        let access = registry(&database, &source).await;
        wait_for("some entries more", async || {
            let now = database.number(entries).await;
            (now > before).then_some(()).ok_or(now)
        })
        .await;
        access.kill().await;
        killed_early += i32::from(database.number(entries).await < 1 + 2_500 * round);
    }
    assert!(killed_early > 0, "it was killed in the middle of its work");
    let access = registry(&database, &source).await;
    access.admin().wait_for_entries(15_001).await;
    assert_complete(&access.admin(), "registry", 15_000).await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_connections_to_the_database_break() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults { message: 20, ..Faults::default() });
    let _served = source.serve();
    let access = registry(&database, &source).await;
    let break_them = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and usename = 'slipway_access'";
    for _ in 0..40 {
        source.emit(50);
        database.number(break_them).await;
    }
    let stored = async || database.number("select count(*) from access.audit_log").await;
    wait_for("all entries", async || {
        let now = stored().await;
        (now >= 2_001).then_some(()).ok_or(now)
    })
    .await;
    assert_complete(&access.admin(), "registry", 2_000).await;
}

#[tokio::test]
async fn a_source_that_was_set_back_loses_nothing_that_it_does_anew() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    source.emit(100);
    let served = source.serve();
    let access = registry(&database, &source).await;
    access.admin().wait_for_entries(101).await;

    served.kill().await;
    source.set_back(60);
    // The first new ones have numbers that the log has seen, with other events.
    source.emit(70);
    let _served = source.serve();
    access.admin().wait_for_entries(171).await;
    let log = by_source(&access.admin()).await;
    let expected: Vec<_> = (1..=100).chain(61..=130).collect();
    assert_eq!(log["registry"], expected);
    assert!(access.admin().verify().await.intact);

    source.emit(1);
    access.admin().wait_for_entries(172).await;
}

#[tokio::test]
async fn an_event_that_is_none_is_kept_and_does_not_stop_those_behind_it() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    let long = "x".repeat(100_000);
    for strange in [
        "",
        "nonsense",
        "a zero \0 byte",
        r#"{"id":"no uuid","time":"+99999-01-01T00:00:00Z","actor":{"id":"a\u0000b"}}"#,
        &format!(r#"{{"id":"{}","actor":{{"name":"{long}"}}}}"#, uuid::Uuid::from_u128(1)),
    ] {
        source.emit_raw(strange);
    }
    source.emit(1);
    let _served = source.serve();
    let access = registry(&database, &source).await;
    access.admin().wait_for_entries(7).await;
    assert_complete(&access.admin(), "registry", 6).await;
}

#[tokio::test]
async fn a_source_learns_how_far_its_events_are_stored() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    source.emit(2_300);
    let _served = source.serve();
    let access = registry(&database, &source).await;
    wait_for("all to be acknowledged", async || {
        let acknowledged = source.acknowledged();
        (acknowledged == 2_300).then_some(()).ok_or(acknowledged)
    })
    .await;
    let stored =
        database.number("select count(*) from access.audit_log where source = 'registry'").await;
    assert_eq!(stored, 2_300, "nothing is acknowledged before it is stored");
    access.stop().await;
}

#[tokio::test]
async fn own_events_stay_in_the_outbox_for_a_while_and_in_the_log_for_ever() {
    let database = Database::create().await;
    let access = database.start().await;
    let admin = access.admin();
    let old = admin.create("anna", Role::Viewer).await.token.unwrap().id;
    admin.wait_for_entries(2).await;
    let outbox = "select count(*) from access.outbox";
    wait_for("the outbox to be acknowledged", async || {
        let query = "select coalesce(max(sequence), 0) from access.outbox_readers";
        // Listing tells; the feed that is followed meanwhile is listed anew only after minutes.
        let acknowledged = database.number(query).await;
        (acknowledged >= 1).then_some(()).ok_or(acknowledged)
    })
    .await;

    access.clock.advance(Duration::from_secs(29 * 86_400));
    let younger = pb::RevokeTokenRequest { id: old };
    admin.tokens.clone().revoke_token(younger).await.unwrap();
    admin.wait_for_entries(3).await;
    access.clock.advance(Duration::from_secs(2 * 86_400));
    wait_for("what is old to be swept", async || {
        let left = database.number(outbox).await;
        (left < 3).then_some(()).ok_or(left)
    })
    .await;
    assert_eq!(admin.log_size().await, 3);
    let youngest = "select count(*) from access.outbox where type = 'token.revoke'";
    assert_eq!(database.number(youngest).await, 1, "it is not old enough");
}

#[tokio::test]
async fn the_feed_of_a_real_process_is_read_over_its_socket() {
    let (there, here) = (Database::create().await, Database::create().await);
    let peer = there.start().await;
    for number in 0..20 {
        peer.admin().create(&format!("user-{number}"), Role::Viewer).await;
    }
    let access = here.start_with(Sources { rollout: peer.uri(), ..nobody() }, |_| {}).await;
    let admin = access.admin();
    admin.wait_for_entries(22).await;
    assert_complete(&admin, "rollout", 21).await;
    peer.admin().create("one more", Role::Viewer).await;
    admin.wait_for_entries(23).await;

    let theirs = ListEventsRequest { after_sequence: 0, page_size: 1_000 };
    let theirs = peer.admin().events.list_events(theirs).await.unwrap().into_inner().events;
    let ours = admin.log().await.into_iter().filter(|entry| entry.source == "rollout");
    let ours: Vec<_> = ours.map(|entry| entry.event.unwrap()).collect();
    assert_eq!(ours, theirs, "bit for bit");
}

#[tokio::test]
async fn a_process_that_is_not_believed_gives_nothing_and_breaks_nothing() {
    let (there, here) = (Database::create().await, Database::create().await);
    let peer = there.start().await;
    let sources = Sources { rollout: peer.uri(), ..nobody() };
    let access =
        here.start_with(sources, |config| config.process.token = Secret::new("slw_stranger")).await;
    access.admin().create("anna", Role::Viewer).await;
    access.admin().wait_for_entries(2).await;
    assert!(!by_source(&access.admin()).await.contains_key("rollout"));
    access.stop().await;
}
