//! Receivers: who is let in, how fast, and what is shown of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use proto::approval::v1 as pb;
use proto::approval::v1::Decision;
use proto::reason;
use runtime::Problem;
use runtime::client::on_behalf_of;
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;

use std::time::Duration;

use crate::fake::registry::digest;
use crate::world::{World, github, hub, hub_at, person};

const SECRET: &str = "It's a Secret to Everybody";

pub fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub fn sha256(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn ghcr() -> pb::Receiver {
    pb::Receiver {
        name: "ghcr".to_owned(),
        vendor: pb::Vendor::Github.into(),
        ..Default::default()
    }
}

async fn list(world: &World) -> Vec<pb::Receiver> {
    let answer = world.receivers().list_receivers(pb::ListReceiversRequest::default()).await;
    answer.unwrap().into_inner().receivers
}

#[tokio::test]
async fn a_receiver_is_made_listed_and_removed() {
    let world = World::start().await;
    let request = pb::CreateReceiverRequest { receiver: Some(ghcr()), secret: SECRET.to_owned() };
    let made =
        world.receivers().create_receiver(on_behalf_of(request.clone(), &person("ops"))).await;
    let made = made.unwrap().into_inner();
    assert!(made.url_token.len() >= 43, "32 random bytes");
    let receiver = made.receiver.unwrap();
    assert!(receiver.has_secret && !receiver.is_default);
    assert_eq!(
        (receiver.registries, receiver.repositories),
        (vec!["ghcr.io".into()], vec!["**".into()])
    );
    assert_eq!(receiver.response_mode, i32::from(pb::ResponseMode::Strict));

    let problem = Problem::from(world.receivers().create_receiver(request).await.unwrap_err());
    assert_eq!((problem.reason(), problem.http_status()), (reason::RECEIVER_EXISTS, 409));
    assert_eq!(list(&world).await.len(), 1);

    let id = receiver.id;
    let removed =
        world.receivers().delete_receiver(pb::DeleteReceiverRequest { id: id.clone() }).await;
    assert_eq!(removed.unwrap().into_inner().name, "ghcr");
    let problem = world.send(&made.url_token, &[], "{}", "").await.expect_err("removed");
    assert_eq!((problem.reason(), problem.http_status()), (reason::RECEIVER_NOT_FOUND, 404));
    let again = world.receivers().delete_receiver(pb::DeleteReceiverRequest { id }).await;
    assert_eq!(Problem::from(again.unwrap_err()).reason(), reason::RECEIVER_NOT_FOUND);
    let events = world.events("receiver.created").await;
    assert_eq!(events[0]["on_behalf_of"]["id"], "ops");
    assert_eq!(world.events("receiver.deleted").await.len(), 1);
    assert!(
        !events[0].to_string().contains(SECRET) && !events[0].to_string().contains(&made.url_token)
    );
}

#[tokio::test]
async fn there_is_one_default_receiver() {
    let world = World::start().await;
    let problem = world.deliver(&hub("redis", "7")).await.expect_err("there is none");
    assert_eq!(problem.reason(), reason::RECEIVER_NOT_FOUND);
    world.demo_receiver().await;
    let second = pb::Receiver { is_default: true, allow_unauthenticated: true, ..ghcr() };
    let request = pb::CreateReceiverRequest { receiver: Some(second), secret: String::new() };
    let problem = Problem::from(world.receivers().create_receiver(request).await.unwrap_err());
    assert_eq!(problem.reason(), reason::RECEIVER_EXISTS);
    assert_eq!(problem.field_violations()[0].field, "receiver.is_default");
}

#[tokio::test]
async fn the_signature_must_fit_and_a_refusal_is_told_to_the_doctor() {
    let world = World::start().await;
    let token = world.receiver(ghcr(), SECRET).await;
    let body = github("acme/app", "1", &digest('a')).to_string();
    let good = sign(SECRET, body.as_bytes());
    let bad = sign("another secret", body.as_bytes());
    for (header, told) in [
        (("x", "y"), "has no `X-Hub-Signature-256`"),
        (("X-Hub-Signature", "sha1=00"), "SHA-1"),
        (("X-Hub-Signature-256", "sha256=zz"), "64 hex digits"),
        (("X-Hub-Signature-256", bad.as_str()), "fits no secret"),
    ] {
        let problem = world.send(&token, &[header], body.clone(), "").await.expect_err(told);
        assert_eq!((problem.reason(), problem.http_status()), (reason::BAD_SIGNATURE, 401));
        assert!(problem.message().contains(told), "{}", problem.message());
    }
    let receiver = &list(&world).await[0];
    assert_eq!(receiver.refused_since, 4);
    assert!(
        receiver.last_refusal.contains("fits no secret") && receiver.last_delivery_time.is_none()
    );

    world.clock.advance(Duration::from_secs(1));
    let headers = [("X-Hub-Signature-256", good.as_str()), ("X-GitHub-Event", "package")];
    assert!(world.send(&token, &headers, body.clone(), "").await.is_ok());
    let receiver = &list(&world).await[0];
    assert_eq!((receiver.refused_since, receiver.last_delivery_time.is_some()), (0, true));
    world.clock.advance(Duration::from_secs(1));
    let _ = world.send(&token, &[], body.clone(), "").await.expect_err("unsigned");
    assert_eq!(list(&world).await[0].refused_since, 1);
    // The signature is over the bytes, not over what they mean.
    let spaced = body.replace("\":", "\": ");
    assert!(world.send(&token, &headers, spaced, "").await.is_err());
}

#[tokio::test]
async fn what_was_sent_is_shown_without_its_credentials() {
    let world = World::start().await;
    let token = world.receiver(ghcr(), SECRET).await;
    let body = github("acme/app", "1", &digest('a')).to_string();
    let signature = sign(SECRET, body.as_bytes());
    let headers = [
        ("X-Hub-Signature-256", signature.as_str()),
        ("Authorization", "Bearer abc"),
        ("X-GitHub-Event", "package"),
    ];
    world.send(&token, &headers, body.clone(), "192.0.2.9").await.unwrap();
    let ping = [("X-Hub-Signature-256", &*sign(SECRET, b"{}")), ("X-GitHub-Event", "ping")];
    world.clock.advance(Duration::from_secs(1));
    world.send(&token, &ping, "{}", "192.0.2.9").await.unwrap();
    let receiver_id = list(&world).await[0].id.clone();
    let ask = async |page_token: String| {
        let request = pb::ListDeliveriesRequest {
            receiver_id: receiver_id.clone(),
            page_size: 1,
            page_token,
        };
        world.receivers().list_deliveries(request).await.unwrap().into_inner()
    };
    let newest = ask(String::new()).await;
    assert_eq!((newest.deliveries.len(), newest.total_size), (1, 2));
    assert_eq!(newest.deliveries[0].decision(), Decision::Ignored);
    assert!(newest.deliveries[0].note.contains("not about a package"));
    let oldest = ask(newest.next_page_token).await;
    assert!(oldest.next_page_token.is_empty());
    let delivery = &oldest.deliveries[0];
    assert_eq!(
        (delivery.body.as_slice(), delivery.peer_ip.as_str()),
        (body.as_bytes(), "192.0.2.9")
    );
    assert_eq!((delivery.push_ids.len(), delivery.decision()), (1, Decision::Hold));
    let shown: Vec<_> = delivery.headers.iter().map(|header| header.value.as_slice()).collect();
    assert_eq!(shown, [b"***".as_slice(), b"***", b"package"]);
}

#[tokio::test]
async fn a_receiver_that_is_sent_to_too_fast_asks_to_wait() {
    let settings = approval::Settings {
        deliveries: approval::Rate { per_second: 0.5, burst: 3.0 },
        ..approval::Settings::default()
    };
    let world = World::start_with(settings).await;
    world.demo_receiver().await;
    for second in 0..3 {
        world.deliver(&hub_at("redis", "7", second)).await.unwrap();
    }
    let problem = world.deliver(&hub_at("redis", "7", 4)).await.expect_err("too fast");
    assert_eq!((problem.reason(), problem.http_status()), (reason::TOO_MANY_DELIVERIES, 429));
    assert_eq!(problem.retry_time(), Some(Duration::from_secs(2)));
    world.clock.advance(Duration::from_secs(2));
    assert!(world.deliver(&hub_at("redis", "7", 4)).await.is_ok(), "it left no key");
}

#[tokio::test]
async fn an_address_that_guesses_is_shut_out_for_a_while() {
    let world = World::start().await;
    let token = world.receiver(ghcr(), SECRET).await;
    for guess in 0..20 {
        let wrong = if guess % 2 == 0 { token.clone() } else { format!("guess-{guess}") };
        let problem = world.send(&wrong, &[], "{}", "192.0.2.9").await.expect_err("wrong");
        assert!([401, 404].contains(&problem.http_status()));
    }
    let signature = sign(SECRET, b"{}");
    let ping = [("X-Hub-Signature-256", signature.as_str()), ("X-GitHub-Event", "ping")];
    let problem = world.send(&token, &ping, "{}", "192.0.2.9").await.expect_err("shut out");
    assert_eq!((problem.reason(), problem.http_status()), (reason::TOO_MANY_DELIVERIES, 429));
    assert!(problem.retry_time().is_some());
    assert!(world.send(&token, &ping, "{}", "192.0.2.10").await.is_ok(), "others are not");
    world.clock.advance(Duration::from_secs(4));
    assert!(world.send(&token, &ping, "{}", "192.0.2.9").await.is_ok());
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_refused() {
    let world = World::start().await;
    world.demo_receiver().await;
    let large = vec![b' '; (1 << 20) + 1];
    let problem = world.send("", &[], large, "").await.expect_err("too large");
    assert_eq!((problem.reason(), problem.http_status()), (reason::BODY_TOO_LARGE, 413));
    let mut most = hub("redis", "7").to_string().into_bytes();
    most.resize(1 << 20, b' ');
    assert!(world.send("", &[], most, "").await.is_ok());
}

#[tokio::test]
async fn a_secret_is_sealed_and_its_table_is_closed_to_the_reader() {
    let world = World::start().await;
    world.receiver(ghcr(), SECRET).await;
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed from approval.receiver_secrets")
        .fetch_one(&world.owner)
        .await
        .unwrap();
    assert!(!sealed.windows(8).any(|part| SECRET.as_bytes().starts_with(part)));
    let mut reader = sqlx::PgConnection::connect(&world.reader_url()).await.unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from approval.receivers")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(seen, 1);
    let refused = sqlx::query("select * from approval.receiver_secrets").execute(&mut reader).await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn only_processes_of_ours_hand_deliveries_in() {
    let world = World::start().await;
    let channel = runtime::client::channel(&world.address());
    let mut pushes = proto::approval::v1::pushes_client::PushesClient::new(channel);
    let refused = pushes.submit_delivery(pb::SubmitDeliveryRequest::default()).await;
    assert_eq!(Problem::from(refused.unwrap_err()).reason(), reason::CREDENTIALS_MISSING);
}
