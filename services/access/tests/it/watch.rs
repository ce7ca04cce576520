//! `WatchEntries`, called over the wire.

use std::time::Duration;

use access::{Role, Sources};
use proto::access::v1 as pb;
use proto::reason as codes;
use runtime::secret::Secret;
use runtime::{Actor, ActorKind, Problem};
use tonic::Streaming;

use crate::source::{FakeSource, Faults, Served};
use crate::support::{Access, Client, Database, PATIENCE, nobody, problem, wait_for};

async fn with_registry(source: &FakeSource) -> (Database, Served, Access) {
    let database = Database::create().await;
    let served = source.serve();
    let access = database.start_with(Sources { registry: source.uri(), ..nobody() }, |_| {}).await;
    (database, served, access)
}

fn registry() -> FakeSource {
    FakeSource::new("registry", Faults::default())
}

/// A watcher that has what it was sent.
pub struct Watch(Streaming<pb::WatchEntriesResponse>);

impl Watch {
    pub async fn open(client: &Client, after: Option<i64>, types: &[&str]) -> Self {
        let request = pb::WatchEntriesRequest {
            after_sequence: after,
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        Self(client.audit.clone().watch_entries(request).await.unwrap().into_inner())
    }

    pub async fn next(&mut self) -> pb::WatchEntriesResponse {
        let message = tokio::time::timeout(PATIENCE, self.0.message());
        message.await.expect("something comes").unwrap().expect("the stream goes on")
    }

    /// The sequences of the next so many entries.
    pub async fn take(&mut self, count: usize) -> Vec<i64> {
        let mut sequences = Vec::new();
        while sequences.len() < count {
            let message = self.next().await;
            assert!(!message.reset, "nothing is left out");
            assert!(!message.entries.is_empty());
            sequences.extend(message.entries.iter().map(|entry| entry.sequence));
            assert!(*sequences.last().unwrap() <= message.last_sequence);
        }
        sequences
    }

    /// How the stream ends.
    pub async fn end(mut self) -> Option<Problem> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.message()).await.expect("it ends") {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status.into()),
            }
        }
    }
}

#[tokio::test]
async fn what_is_stored_comes_first_and_then_what_happens() {
    let source = registry();
    source.emit(600);
    let (_database, _served, access) = with_registry(&source).await;
    access.admin().wait_for_entries(601).await;
    let mut watch = Watch::open(&access.admin(), Some(0), &[]).await;
    assert_eq!(watch.take(601).await, (1..=601).collect::<Vec<_>>());
    let mut from_now = Watch::open(&access.admin(), None, &[]).await;
    for round in 0..5 {
        source.emit(3);
        let expected: Vec<_> = (1..=3).map(|n| 601 + round * 3 + n).collect();
        assert_eq!(watch.take(3).await, expected);
        assert_eq!(from_now.take(3).await, expected);
    }
}

#[tokio::test]
async fn a_watcher_that_comes_back_again_and_again_misses_and_repeats_nothing() {
    let source = registry();
    let (_database, _served, access) = with_registry(&source).await;
    let mut seen = Vec::new();
    for taken in [1, 30, 7, 200, 1, 90, 400].into_iter().cycle().take(28) {
        source.emit(taken / 2);
        let after = seen.last().copied().unwrap_or(0);
        let mut watch = Watch::open(&access.admin(), Some(after), &[]).await;
        // It is appended while the watcher reads what is stored, and while it waits.
        for _ in 0..taken {
            source.emit(1);
        }
        seen.extend(watch.take(taken).await);
    }
    let expected: Vec<_> = (1..=i64::try_from(seen.len()).unwrap()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn twenty_watchers_see_the_same_while_the_log_grows() {
    let source = registry();
    let (_database, _served, access) = with_registry(&source).await;
    let mut watchers = Vec::new();
    for round in 0..20 {
        source.emit(50);
        let client = access.admin();
        watchers.push(tokio::spawn(async move {
            Watch::open(&client, Some(0), &[]).await.take(1_001).await
        }));
        access.admin().wait_for_entries(1 + 25 * round).await;
    }
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), (1..=1_001).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_place_that_the_log_does_not_have_begins_with_a_reset() {
    let source = registry();
    source.emit(9);
    let (database, _served, access) = with_registry(&source).await;
    let admin = access.admin();
    admin.wait_for_entries(10).await;
    // Nothing of ours removes entries; an owner who has moved them elsewhere can.
    database.execute("delete from access.audit_log where sequence <= 4").await;
    for too_old_or_new in [0, 3, 11, i64::MAX] {
        let mut watch = Watch::open(&admin, Some(too_old_or_new), &[]).await;
        let first = watch.next().await;
        assert!(first.reset && first.entries.is_empty(), "{too_old_or_new}");
        assert_eq!(first.last_sequence, 10);
    }
    assert_eq!(Watch::open(&admin, Some(4), &[]).await.take(6).await, [5, 6, 7, 8, 9, 10]);

    let mut watch = Watch::open(&admin, Some(700), &[]).await;
    assert!(watch.next().await.reset);
    source.emit(1);
    assert_eq!(watch.take(1).await, [11], "it goes on from the newest");
}

#[tokio::test]
async fn only_the_types_asked_for_come() {
    let source = registry();
    let actor = || Actor::new(ActorKind::User, "ops", "ops");
    let (_database, _served, access) = with_registry(&source).await;
    let admin = access.admin();
    admin.wait_for_entries(1).await;
    let stored_and_live = async |types: &[&str], expected: &[i64]| {
        let mut watch = Watch::open(&admin, Some(0), types).await;
        assert_eq!(watch.take(expected.len()).await, expected, "{types:?}");
        watch
    };
    for kind in ["image.tag.added", "policy.created", "image.rollout_created", "image.tag.deleted"]
    {
        source.emit_as(actor(), kind, "x");
    }
    admin.wait_for_entries(5).await;
    let mut tags = stored_and_live(&["image.tag.*"], &[2, 5]).await;
    let mut two = stored_and_live(&["policy.created", "image.rollout_created"], &[3, 4]).await;
    let mut tokens = stored_and_live(&["token.*"], &[1]).await;
    let mut all = stored_and_live(&["*"], &[1, 2, 3, 4, 5]).await;

    source.emit_as(actor(), "policy.created", "y");
    source.emit_as(actor(), "image.tag.added", "y");
    admin.wait_for_entries(7).await;
    admin.create("anna", Role::Viewer).await;
    assert_eq!(tags.take(1).await, [7]);
    assert_eq!(two.take(1).await, [6]);
    assert_eq!(tokens.take(1).await, [8]);
    assert_eq!(all.take(3).await, [6, 7, 8]);
}

#[tokio::test]
async fn whoever_may_not_see_tokens_does_not_see_what_happens_to_them() {
    let source = registry();
    source.emit(1);
    let (_database, _served, access) = with_registry(&source).await;
    let viewer = access.a(Role::Viewer).await;
    access.admin().wait_for_entries(3).await;
    let mut watch = Watch::open(&viewer, Some(0), &[]).await;
    let first = watch.next().await;
    let kinds: Vec<_> =
        first.entries.into_iter().map(|entry| entry.event.unwrap().r#type).collect();
    assert_eq!(kinds, ["image.tag.added"]);
    access.admin().create("anna", Role::Viewer).await;
    access.admin().wait_for_entries(4).await;
    source.emit(1);
    assert_eq!(watch.take(1).await, [5]);
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused() {
    let database = Database::create().await;
    let access = database.start().await;
    let negative = pb::WatchEntriesRequest { after_sequence: Some(-1), ..Default::default() };
    let pattern = |text: &str| pb::WatchEntriesRequest {
        types: vec!["image.*".to_owned(), text.to_owned()],
        ..Default::default()
    };
    let many = pb::WatchEntriesRequest { types: vec!["a".to_owned(); 101], ..Default::default() };
    for (field, request) in [
        ("after_sequence", negative),
        ("types[1]", pattern("im*ge")),
        ("types[1]", pattern("")),
        ("types", many),
    ] {
        let refused = access.admin().audit.watch_entries(request).await.map(drop);
        let problem = problem(refused);
        assert_eq!(problem.reason(), codes::INVALID_ARGUMENT);
        assert_eq!(problem.field_violations()[0].field, field);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let database = Database::create().await;
    let access = database.start().await;
    let made = access.admin().create("anna", Role::Viewer).await;
    let client = access.bearing(&Secret::new(made.secret));
    let watch = Watch::open(&client, None, &[]).await;
    let id = made.token.unwrap().id;
    access.admin().tokens.revoke_token(pb::RevokeTokenRequest { id }).await.unwrap();
    let end = watch.end().await.expect("it is told why");
    assert_eq!(end.reason(), codes::TOKEN_REVOKED);
}

#[tokio::test]
async fn a_stream_ends_well_when_the_process_does() {
    let database = Database::create().await;
    let access = database.start().await;
    let watch = Watch::open(&access.admin(), None, &[]).await;
    let (ended, ()) = tokio::join!(watch.end(), access.stop());
    assert_eq!(ended, None);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_holds_nobody_up() {
    let database = Database::create().await;
    let source = registry();
    let _served = source.serve();
    let sources = Sources { registry: source.uri(), ..nobody() };
    let access = database
        .start_with(sources, |config| config.watch_patience = Duration::from_millis(100))
        .await;
    let admin = access.admin();
    admin.wait_for_entries(1).await;
    let mut slow = Watch::open(&admin, Some(1), &[]).await;
    let mut quick = Watch::open(&access.admin(), Some(1), &[]).await;
    // More than all windows and buffers hold.
    let large = "x".repeat(100_000);
    let envelope =
        |n: u128| format!(r#"{{"id":"{}","after":"{large}"}}"#, uuid::Uuid::from_u128(n));
    for round in 0..20 {
        for number in 1..=10 {
            source.emit_raw(&envelope(round * 10 + number));
        }
        quick.take(10).await;
    }
    wait_for("the slow one to be given up", async || {
        let waiting = database
            .number("select count(*) from access.audit_log where source = 'registry'")
            .await;
        (waiting == 200).then_some(()).ok_or(waiting)
    })
    .await;
    let mut seen = Vec::new();
    let reset = loop {
        let message = slow.next().await;
        if message.reset {
            break message;
        }
        seen.extend(message.entries.iter().map(|entry| entry.sequence));
    };
    assert_eq!(seen, (2..2 + seen.len() as i64).collect::<Vec<_>>(), "without a gap up to the cut");
    assert!(seen.len() < 200, "{}", seen.len());
    assert_eq!(reset.last_sequence, 201);
    source.emit(1);
    assert_eq!(slow.take(1).await, [202], "it goes on from the newest");
}
