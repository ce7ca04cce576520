//! `ListEntries`, called over the wire.

use access::{Role, Sources};
use prost_types::Timestamp;
use proto::access::v1 as pb;
use proto::reason as codes;
use runtime::event::{Event, Resource};
use runtime::{Actor, ActorKind, Caller, auth::Principal};

use crate::source::{FakeSource, Faults, Served};
use crate::support::{Access, Client, Database, nobody, problem};

/// A log with these events after the one of the administrator's token.
async fn log_of(events: &[Event]) -> (Database, Served, Access) {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    for event in events {
        source.emit_raw(&event.envelope());
    }
    let served = source.serve();
    let access = database.start_with(Sources { registry: source.uri(), ..nobody() }, |_| {}).await;
    access.admin().wait_for_entries(events.len() as i64 + 1).await;
    (database, served, access)
}

fn at(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

fn event(actor: &str, kind: &'static str, resource: (&str, &str), seconds: i64) -> Event {
    let actor = Actor::new(ActorKind::User, actor, actor.to_uppercase());
    Event::of(actor, kind, Resource::new("thing", resource.0, resource.1), at(seconds))
}

async fn list(client: &Client, request: pb::ListEntriesRequest) -> pb::ListEntriesResponse {
    client.audit.clone().list_entries(request).await.unwrap().into_inner()
}

/// The ids of the resources that a request lists.
async fn resources(client: &Client, request: pb::ListEntriesRequest) -> Vec<String> {
    let page = list(client, request).await;
    assert_eq!(page.total_size, page.entries.len() as i64);
    let id = |entry: pb::Entry| entry.event.unwrap().resource.unwrap().id;
    page.entries.into_iter().map(id).collect()
}

fn time(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: at(seconds).timestamp(), nanos: 0 })
}

#[tokio::test]
async fn every_filter_takes_what_it_says() {
    let system = Caller::new(Principal::system("approval")).acting_for(Some(Actor::new(
        ActorKind::User,
        "anna",
        "ANNA",
    )));
    let resource = Resource::new("thing", "5", "redis");
    let (_database, _served, access) = log_of(&[
        event("ops", "image.registry.added", ("1", "redis"), 10),
        event("anna", "image.tag.added", ("2", "redis:7"), 20),
        event("ops", "image.rollout_created", ("3", "first"), 30),
        event("o_s", "policy.created", ("4", "50 %"), 40),
        Event::by(&system, "image.registry.approved", resource, at(50)),
    ])
    .await;
    let admin = access.admin();
    let all = pb::ListEntriesRequest::default;
    for (expected, request) in [
        (&["5", "4", "3", "2", "1"][..], pb::ListEntriesRequest { end_time: time(60), ..all() }),
        (&["3", "1"], pb::ListEntriesRequest { actor: "ops".into(), ..all() }),
        (&["3", "1"], pb::ListEntriesRequest { actor: "OPS".into(), ..all() }),
        (&["5", "2"], pb::ListEntriesRequest { actor: "anna".into(), ..all() }),
        (&["5"], pb::ListEntriesRequest { actor: "approval".into(), ..all() }),
        (&["4"], pb::ListEntriesRequest { actor: "o_s".into(), ..all() }),
        (&[], pb::ListEntriesRequest { actor: "op".into(), ..all() }),
        (&["2"], pb::ListEntriesRequest { r#type: "image.tag.added".into(), ..all() }),
        (&["5", "3", "2", "1"], pb::ListEntriesRequest { r#type: "image.*".into(), ..all() }),
        (&["5", "1"], pb::ListEntriesRequest { r#type: "image.registry.*".into(), ..all() }),
        (&[], pb::ListEntriesRequest { r#type: "image".into(), ..all() }),
        (&["4"], pb::ListEntriesRequest { resource: "50 %".into(), ..all() }),
        (&["5", "1"], pb::ListEntriesRequest { resource: "redis".into(), ..all() }),
        (&["2"], pb::ListEntriesRequest { resource: "2".into(), end_time: time(60), ..all() }),
        (&["3", "2"], pb::ListEntriesRequest { start_time: time(20), end_time: time(40), ..all() }),
        (&["1"], pb::ListEntriesRequest { actor: "ops".into(), resource: "redis".into(), ..all() }),
    ] {
        assert_eq!(resources(&admin, request.clone()).await, expected, "{request:?}");
    }
    let everything = list(&admin, all()).await;
    assert_eq!((everything.total_size, everything.entries.len()), (6, 6));
}

#[tokio::test]
async fn pages_follow_one_another_while_the_log_grows() {
    let events: Vec<_> =
        (1..=25).map(|n| event("ops", "image.tag.added", (&n.to_string(), "x"), n)).collect();
    let (_database, _served, access) = log_of(&events).await;
    let admin = access.admin();
    let mut request =
        pb::ListEntriesRequest { page_size: 10, actor: "ops".into(), ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = list(&admin, request.clone()).await;
        assert_eq!(page.total_size, 25);
        seen.extend(page.entries.iter().map(|entry| entry.event.as_ref().unwrap().sequence));
        admin.create(&format!("user-{}", seen.len()), Role::Viewer).await;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());

    let skipped = pb::ListEntriesRequest {
        skip: 20,
        page_size: 3,
        actor: "ops".into(),
        ..Default::default()
    };
    let page = list(&admin, skipped).await;
    let numbers: Vec<_> =
        page.entries.iter().map(|entry| entry.event.as_ref().unwrap().sequence).collect();
    assert_eq!((numbers, page.total_size), (vec![5, 4, 3], 25));
    assert!(!page.next_page_token.is_empty());
}

#[tokio::test]
async fn a_page_of_large_entries_is_cut_short_and_goes_on() {
    let large = |number: i64| {
        event("ops", "policy.updated", (&number.to_string(), "x"), number)
            .after(serde_json::json!("x".repeat(300_000)))
    };
    let events: Vec<_> = (1..=20).map(large).collect();
    let (_database, _served, access) = log_of(&events).await;
    let log = access.admin().log().await;
    assert_eq!(log.len(), 21);
    let request = pb::ListEntriesRequest { page_size: 500, ..Default::default() };
    let first = list(&access.admin(), request).await;
    assert!(first.entries.len() < 10, "{}", first.entries.len());
    assert!(!first.next_page_token.is_empty());
}

#[tokio::test]
async fn what_cannot_be_listed_names_its_field() {
    let (_database, _served, access) = log_of(&[]).await;
    let admin = access.admin();
    let all = pb::ListEntriesRequest::default;
    for (field, request) in [
        ("page_size", pb::ListEntriesRequest { page_size: -1, ..all() }),
        ("skip", pb::ListEntriesRequest { skip: -1, ..all() }),
        ("skip", pb::ListEntriesRequest { skip: 10_001, ..all() }),
        ("type", pb::ListEntriesRequest { r#type: "im*ge".into(), ..all() }),
        ("actor", pb::ListEntriesRequest { actor: "x".repeat(2_000), ..all() }),
        ("resource", pb::ListEntriesRequest { resource: "\0".into(), ..all() }),
        (
            "start_time",
            pb::ListEntriesRequest {
                start_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..all()
            },
        ),
        ("page_token", pb::ListEntriesRequest { page_token: "AAAA".into(), ..all() }),
        (
            "page_token",
            pb::ListEntriesRequest {
                page_token: runtime::page::token("x", &format!("{:?}", ())),
                ..all()
            },
        ),
    ] {
        let problem = problem(admin.audit.clone().list_entries(request.clone()).await);
        assert_eq!(problem.field_violations()[0].field, field, "{request:?}");
        let expected =
            if field == "page_token" { codes::INVALID_PAGE_TOKEN } else { codes::INVALID_ARGUMENT };
        assert_eq!(problem.reason(), expected, "{request:?}");
    }
}
