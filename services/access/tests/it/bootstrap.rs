//! The first administrator's token.

use access::{Bootstrap, Error, Role, bootstrap_admin_token};
use proto::access::v1 as pb;
use runtime::Clock;
use runtime::secret::Secret;

use crate::support::Database;

#[tokio::test]
async fn it_is_made_once_and_can_do_everything() {
    let database = Database::create().await;
    for pool in [database.pool(), database.owner()] {
        let again = bootstrap_admin_token(&pool, &Clock::system(), &database.admin).await;
        assert_eq!(again.unwrap(), Bootstrap::Present);
    }
    let access = database.start().await;
    let me = access.admin().tokens.clone().who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    let me = me.into_inner();
    assert_eq!(me.role(), pb::Role::Admin);
    assert_eq!(me.actor.unwrap().id, "admin");
    access.admin().wait_for_entries(1).await;
    let log = access.admin().log().await;
    let event = log[0].event.clone().unwrap();
    assert_eq!((log.len(), event.r#type.as_str()), (1, "token.create"));
    assert_eq!(event.actor.unwrap().id, "access");
}

#[tokio::test]
async fn a_lost_secret_is_followed_by_a_new_token() {
    let database = Database::create().await;
    let access = database.start().await;
    for _ in 0..2 {
        let secret = Secret::generate(access::TOKEN_PREFIX);
        let made = bootstrap_admin_token(&database.owner(), &access.clock, &secret).await;
        assert_eq!(made.unwrap(), Bootstrap::Created);
        assert!(access.bearing(&secret).tokens.who_am_i(pb::WhoAmIRequest {}).await.is_ok());
    }
    let request = pb::ListTokensRequest::default();
    let listed = access.admin().tokens.list_tokens(request).await.unwrap().into_inner();
    let names: Vec<_> = listed.tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["admin 3", "admin 2", "admin"]);
}

#[tokio::test]
async fn a_secret_whose_token_ended_is_not_brought_back() {
    let database = Database::create().await;
    let access = database.start().await;
    let viewer = Secret::new(access.admin().create("eve", Role::Viewer).await.secret);
    access.admin().tokens.revoke_token(pb::RevokeTokenRequest { id: 1 }).await.unwrap();
    for secret in [&database.admin, &viewer] {
        let made = bootstrap_admin_token(&database.pool(), &access.clock, secret).await;
        assert_eq!(made.unwrap(), Bootstrap::Ended);
    }
    assert_eq!(database.number("select count(*) from access.tokens").await, 2);
}

#[tokio::test]
async fn a_secret_that_could_be_guessed_is_refused() {
    let database = Database::create().await;
    for weak in ["", "admin", "ghd_", "ghd_secret", &"x".repeat(47)] {
        let secret = Secret::new(weak);
        let refused = bootstrap_admin_token(&database.pool(), &Clock::system(), &secret).await;
        assert!(matches!(refused, Err(Error::WeakSecret)), "{weak}");
    }
}
