//! `Tokens`, called over the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use access::Role;
use prost_types::Timestamp;
use proto::access::v1 as pb;
use proto::reason as codes;
use runtime::secret::{Hash, Secret};
use runtime::{Actor, ActorKind, client};
use uuid::Uuid;

use crate::support::{Access, Client, Database, problem, reason, request, wait_for};

fn in_seconds(access: &Access, seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: access.clock.now().timestamp() + seconds, nanos: 0 })
}

async fn create(
    client: &Client,
    request: pb::CreateTokenRequest,
) -> Result<pb::CreateTokenResponse, tonic::Status> {
    client.tokens.clone().create_token(request).await.map(tonic::Response::into_inner)
}

async fn list(client: &Client, request: pb::ListTokensRequest) -> pb::ListTokensResponse {
    client.tokens.clone().list_tokens(request).await.unwrap().into_inner()
}

async fn revoke(client: &Client, id: i64) -> Result<pb::Token, tonic::Status> {
    let request = pb::RevokeTokenRequest { id };
    client.tokens.clone().revoke_token(request).await.map(tonic::Response::into_inner)
}

async fn who_am_i(client: &Client) -> Result<pb::Principal, tonic::Status> {
    client.tokens.clone().who_am_i(pb::WhoAmIRequest {}).await.map(tonic::Response::into_inner)
}

async fn introspect(client: &Client, secret: &str) -> Result<pb::Principal, tonic::Status> {
    let request = pb::IntrospectRequest { token_hash: Hash::of(secret).0.to_vec() };
    client.tokens.clone().introspect(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_token_is_shown_once_and_known_by_its_hash_alone() {
    let database = Database::create().await;
    let access = database.start().await;
    let made = create(&access.admin(), request("ci", Role::Operator)).await.unwrap();
    let (token, secret) = (made.token.unwrap(), made.secret);
    assert!(secret.starts_with("ghd_") && secret.len() == 47, "32 random bytes");
    assert_eq!(token.prefix, secret[..10]);
    assert_eq!(token.subject.as_ref().unwrap().id, "admin", "the caller's own");

    let principal = who_am_i(&access.bearing(&Secret::new(&*secret))).await.unwrap();
    assert_eq!((principal.actor.unwrap().id.as_str(), principal.role), ("admin", 2));
    assert_eq!(principal.permissions.len(), Role::Operator.permissions().len());

    let listed = list(&access.admin(), pb::ListTokensRequest::default()).await;
    assert_eq!(listed.tokens[0].id, token.id);
    assert!(!format!("{listed:?}").contains(&secret));
    access.admin().wait_for_entries(2).await;
    for table in ["tokens", "token_hashes", "outbox", "audit_log"] {
        let query =
            format!("select count(*) from access.{table} as row where row::text like '%{secret}%'");
        assert_eq!(database.number(&query).await, 0, "{table} holds the secret");
    }
    assert_eq!(database.number("select count(*) from access.token_hashes").await, 2);
}

#[tokio::test]
async fn a_request_that_cannot_work_names_its_field() {
    let database = Database::create().await;
    let access = database.start().await;
    let good = request("ci", Role::Viewer);
    for (field, bad) in [
        ("name", pb::CreateTokenRequest { name: String::new(), ..good.clone() }),
        ("name", pb::CreateTokenRequest { name: "x".repeat(101), ..good.clone() }),
        ("name", pb::CreateTokenRequest { name: "a\nb".to_owned(), ..good.clone() }),
        ("role", pb::CreateTokenRequest { role: 0, ..good.clone() }),
        ("role", pb::CreateTokenRequest { role: 9, ..good.clone() }),
        ("user", pb::CreateTokenRequest { user: " ".to_owned(), ..good.clone() }),
        (
            "user",
            pb::CreateTokenRequest {
                user: "anna".to_owned(),
                service_account: true,
                ..good.clone()
            },
        ),
        (
            "expire_time",
            pb::CreateTokenRequest { expire_time: in_seconds(&access, 0), ..good.clone() },
        ),
        (
            "expire_time",
            pb::CreateTokenRequest {
                expire_time: Some(Timestamp { seconds: 1, nanos: -1 }),
                ..good.clone()
            },
        ),
        ("request_id", pb::CreateTokenRequest { request_id: "7".to_owned(), ..good.clone() }),
    ] {
        let problem = problem(create(&access.admin(), bad.clone()).await);
        assert_eq!(problem.reason(), codes::INVALID_ARGUMENT, "{bad:?}");
        assert_eq!(problem.field_violations()[0].field, field, "{bad:?}");
    }
    assert_eq!(database.number("select count(*) from access.tokens").await, 1);
}

#[tokio::test]
async fn a_name_is_free_again_when_its_token_has_ended() {
    let database = Database::create().await;
    let access = database.start().await;
    let admin = access.admin();
    let soon = pb::CreateTokenRequest {
        expire_time: in_seconds(&access, 60),
        ..request("ci", Role::Viewer)
    };
    let first = create(&admin, soon).await.unwrap().token.unwrap();
    let taken = problem(create(&admin, request("ci", Role::Operator)).await);
    assert_eq!(taken.reason(), codes::TOKEN_EXISTS);
    assert_eq!(
        taken.message(),
        "`admin` has a token named `ci`; choose another name or revoke that one"
    );

    admin.create("anna", Role::Viewer).await;
    let annas = pb::CreateTokenRequest { user: "anna".to_owned(), ..request("ci", Role::Viewer) };
    assert!(create(&admin, annas).await.is_ok(), "another subject has names of its own");

    access.clock.advance(Duration::from_secs(60));
    let second = create(&admin, request("ci", Role::Viewer)).await.unwrap().token.unwrap();
    assert_eq!(second.id, first.id + 3, "no number is burnt by what was refused");
    revoke(&admin, second.id).await.unwrap();
    assert!(create(&admin, request("ci", Role::Viewer)).await.is_ok());
}

#[tokio::test]
async fn a_repeated_request_makes_one_token_and_shows_its_secret_once() {
    let database = Database::create().await;
    let access = database.start().await;
    let request = pb::CreateTokenRequest {
        request_id: Uuid::from_u128(7).to_string(),
        ..request("ci", Role::Operator)
    };
    let at_once = (0..8).map(|_| {
        let (admin, request) = (access.admin(), request.clone());
        tokio::spawn(async move { create(&admin, request).await.unwrap() })
    });
    let mut secrets = Vec::new();
    let mut ids = BTreeSet::new();
    for answer in at_once.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        ids.insert(answer.token.unwrap().id);
        secrets.push(answer.secret);
    }
    secrets.retain(|secret| !secret.is_empty());
    assert_eq!((ids.len(), secrets.len()), (1, 1));
    assert_eq!(
        database.number("select count(*) from access.outbox where type = 'token.create'").await,
        2,
        "the administrator's and this one"
    );

    let other = pb::CreateTokenRequest { name: "cd".to_owned(), ..request.clone() };
    assert_eq!(reason(create(&access.admin(), other).await), codes::REQUEST_ID_REUSED);

    let secret = access.admin().create("root", Role::Admin).await.secret;
    let another = create(&access.bearing(&Secret::new(secret)), request).await.unwrap();
    assert!(!ids.contains(&another.token.unwrap().id), "request ids are the caller's own");
}

#[tokio::test]
async fn a_repeated_request_is_answered_also_after_its_end_has_passed() {
    let database = Database::create().await;
    let access = database.start().await;
    let request = pb::CreateTokenRequest {
        request_id: Uuid::from_u128(7).to_string(),
        expire_time: in_seconds(&access, 10),
        ..request("ci", Role::Operator)
    };
    let first = create(&access.admin(), request.clone()).await.unwrap();
    access.clock.advance(Duration::from_secs(20));
    let again = create(&access.admin(), request).await.unwrap();
    assert_eq!(again.token.unwrap().id, first.token.unwrap().id);
}

#[tokio::test]
async fn tokens_are_listed_newest_first_page_by_page() {
    let database = Database::create().await;
    let access = database.start().await;
    let admin = access.admin();
    let mut ids = Vec::new();
    for number in 0..7 {
        let name = format!("ci-{number}");
        ids.push(create(&admin, request(&name, Role::Viewer)).await.unwrap().token.unwrap().id);
    }
    revoke(&admin, ids[2]).await.unwrap();
    let mut seen = Vec::new();
    let mut page = pb::ListTokensRequest { page_size: 3, ..Default::default() };
    loop {
        let answer = list(&admin, page.clone()).await;
        assert_eq!(answer.total_size, 7, "with the administrator's, without the revoked one");
        seen.extend(answer.tokens.into_iter().map(|token| token.id));
        if answer.next_page_token.is_empty() {
            break;
        }
        page.page_token = answer.next_page_token;
    }
    assert_eq!(seen, [8, 7, 6, 5, 3, 2, 1]);

    let all = list(&admin, pb::ListTokensRequest { show_ended: true, ..Default::default() }).await;
    assert_eq!((all.total_size, all.tokens.len()), (8, 8));
    assert!(all.tokens.iter().find(|token| token.id == ids[2]).unwrap().revoke_time.is_some());

    let other_list = pb::ListTokensRequest { show_ended: true, ..page };
    let refused = admin.tokens.clone().list_tokens(other_list).await;
    assert_eq!(reason(refused), codes::INVALID_PAGE_TOKEN);
    let negative = pb::ListTokensRequest { page_size: -1, ..Default::default() };
    assert_eq!(reason(admin.tokens.clone().list_tokens(negative).await), codes::INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_revoked_token_stops_at_once_and_stays_revoked() {
    let database = Database::create().await;
    let access = database.start().await;
    let admin = access.admin();
    let made = create(&admin, request("ci", Role::Admin)).await.unwrap();
    let (id, bearer) = (made.token.unwrap().id, access.bearing(&Secret::new(&*made.secret)));
    assert!(who_am_i(&bearer).await.is_ok());

    let revoked = revoke(&admin, id).await.unwrap();
    assert_eq!(reason(who_am_i(&bearer).await), codes::TOKEN_REVOKED);
    assert_eq!(reason(introspect(&access.gateway(), &made.secret).await), codes::TOKEN_REVOKED);

    access.clock.advance(Duration::from_secs(5));
    assert_eq!(revoke(&admin, id).await.unwrap(), revoked, "nothing changes");
    let events = "select count(*) from access.outbox where type = 'token.revoke'";
    assert_eq!(database.number(events).await, 1);
    let unknown = problem(revoke(&admin, 4_711).await);
    assert_eq!(unknown.reason(), codes::TOKEN_NOT_FOUND);
    assert_eq!(unknown.metadata()["token_id"], "4711");
}

#[tokio::test]
async fn an_expired_token_ends_at_its_time() {
    let database = Database::create().await;
    let access = database.start().await;
    let request = pb::CreateTokenRequest {
        expire_time: in_seconds(&access, 60),
        ..request("ci", Role::Viewer)
    };
    let secret = create(&access.admin(), request).await.unwrap().secret;
    let bearer = access.bearing(&Secret::new(&*secret));
    access.clock.advance(Duration::from_secs(59));
    assert!(who_am_i(&bearer).await.unwrap().expire_time.is_some());
    access.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(who_am_i(&bearer).await), codes::TOKEN_EXPIRED);
    assert_eq!(reason(introspect(&access.gateway(), &secret).await), codes::TOKEN_EXPIRED);
}

#[tokio::test]
async fn only_an_administrator_handles_tokens_and_reads_the_log() {
    let database = Database::create().await;
    let access = database.start().await;
    for role in [Role::Viewer, Role::Operator, Role::Approver] {
        let client = access.a(role).await;
        let mut tokens = client.tokens.clone();
        let mut audit = client.audit.clone();
        for (permission, refused) in [
            ("tokens.write", problem(create(&client, request("x", role)).await)),
            ("tokens.write", problem(revoke(&client, 1).await)),
            ("tokens.read", problem(tokens.list_tokens(pb::ListTokensRequest::default()).await)),
            ("audit.read", problem(audit.list_entries(pb::ListEntriesRequest::default()).await)),
            ("audit.read", problem(audit.verify_chain(pb::VerifyChainRequest::default()).await)),
        ] {
            assert_eq!(refused.reason(), codes::PERMISSION_MISSING, "{role}");
            assert_eq!(refused.metadata()["permission"], permission, "{role}");
        }
        let listing = proto::event::v1::ListEventsRequest::default();
        let refused = problem(client.events.clone().list_events(listing).await);
        assert_eq!(
            refused.metadata()["permission"],
            "tokens.read",
            "all events here are of tokens"
        );
        let watching = proto::event::v1::WatchEventsRequest::default();
        let refused = client.events.clone().watch_events(watching).await.map(drop);
        assert_eq!(reason(refused), codes::PERMISSION_MISSING);
        assert_eq!(who_am_i(&client).await.unwrap().actor.unwrap().id, role.as_str());
    }
    let nobody = access.nobody();
    assert_eq!(reason(who_am_i(&nobody).await), codes::CREDENTIALS_MISSING);
    let stranger = access.bearing(&Secret::generate("ghd_"));
    assert_eq!(reason(who_am_i(&stranger).await), codes::TOKEN_UNKNOWN);
}

#[tokio::test]
async fn only_other_processes_ask_who_bears_a_token() {
    let database = Database::create().await;
    let access = database.start().await;
    let secret = access.admin().create("anna", Role::Approver).await.secret;
    assert_eq!(reason(introspect(&access.admin(), &secret).await), codes::SERVICE_ONLY);

    let principal = introspect(&access.gateway(), &secret).await.unwrap();
    assert_eq!(principal.role(), pb::Role::Approver);
    assert_eq!(principal.actor.unwrap().id, "anna");
    let expected: Vec<_> = Role::Approver.permissions().iter().cloned().collect();
    assert_eq!(principal.permissions, expected, "sorted");

    assert_eq!(reason(introspect(&access.gateway(), "ghd_x").await), codes::TOKEN_UNKNOWN);
    let short = pb::IntrospectRequest { token_hash: vec![0; 31] };
    let refused = problem(access.gateway().tokens.clone().introspect(short).await);
    assert_eq!(refused.field_violations()[0].field, "token_hash");
}

#[tokio::test]
async fn a_process_and_nobody_are_told_what_they_may_do() {
    let database = Database::create().await;
    let access = database.start().await;
    let process = who_am_i(&access.gateway()).await.unwrap();
    assert_eq!((process.actor.unwrap().id.as_str(), process.role), ("gateway", 0));
    assert!(process.permissions.contains(&"audit.read".to_owned()));

    let open =
        database.start_with(crate::support::nobody(), |config| config.process.no_auth = true).await;
    let nobody = who_am_i(&open.nobody()).await.unwrap();
    assert_eq!((nobody.actor.unwrap().id.as_str(), nobody.role), ("anonymous", 4));
    let made = create(&open.nobody(), request("CI/CD Token", Role::Operator)).await.unwrap();
    let subject = made.token.unwrap().subject.unwrap();
    assert_eq!(subject.id, "anonymous", "nobody knows who made it, and the token says so");
}

#[tokio::test]
async fn tokens_are_made_for_programs_for_others_and_on_behalf_of_people() {
    let database = Database::create().await;
    let access = database.start().await;
    let program =
        pb::CreateTokenRequest { service_account: true, ..request("deploy-bot", Role::Operator) };
    let made = create(&access.admin(), program.clone()).await.unwrap();
    let subject = made.token.unwrap().subject.unwrap();
    assert_eq!((subject.kind, subject.id.as_str()), (2, "deploy-bot"));
    assert_eq!(reason(create(&access.admin(), program).await), codes::TOKEN_EXISTS);

    let anna = Actor::new(ActorKind::User, "anna", "Anna");
    let message = client::on_behalf_of(request("mine", Role::Viewer), &anna);
    let made = access.gateway().tokens.clone().create_token(message).await.unwrap();
    assert_eq!(made.into_inner().token.unwrap().subject.unwrap().name, "Anna");
    let own = problem(create(&access.gateway(), request("mine", Role::Viewer)).await);
    assert_eq!(own.field_violations()[0].field, "user", "a process has no tokens of its own");
}

#[tokio::test]
async fn a_use_is_noted_to_the_minute_and_not_by_the_call() {
    let database = Database::create().await;
    let access = database.start().await;
    let made = access.admin().create("anna", Role::Viewer).await;
    let id = made.token.unwrap().id;
    let used = async |id: i64| {
        let listed = list(&access.admin(), pb::ListTokensRequest::default()).await;
        listed.tokens.into_iter().find(|token| token.id == id).unwrap().last_use_time
    };
    access.clock.advance(Duration::from_secs(30));
    let minute = access.clock.now().timestamp() / 60 * 60;
    for _ in 0..20 {
        introspect(&access.gateway(), &made.secret).await.unwrap();
    }
    assert_eq!(used(id).await, None, "no call writes");
    access.clock.advance(Duration::from_secs(60));
    let noted = wait_for("the use to be noted", async || used(id).await.ok_or("not noted")).await;
    assert_eq!(noted, Timestamp { seconds: minute, nanos: 0 });

    access.clock.advance(Duration::from_secs(600));
    introspect(&access.gateway(), &made.secret).await.unwrap();
    access.stop().await;
    let noted = "select extract(epoch from max(last_used_at))::bigint from access.tokens";
    assert_eq!(database.number(noted).await, (minute + 660) / 60 * 60, "also at the end");
}
