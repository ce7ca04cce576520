//! `GET /api/v1/audit`: what is kept, found again and proved.

use serde_json::{Value, json};
use testbed::steps::somebody;
use testbed::{Slipway, eventually};

use super::{after_a_push, is_envelope};

/// Waits until the log holds an entry of this type, and returns the newest.
async fn entry(slipway: &Slipway, action: &str) -> Value {
    eventually(&format!("`{action}` in the log"), async || {
        let answer = slipway.api.get(&format!("/api/v1/audit?action={action}")).await.expect(200);
        answer.body["logs"].get(0).cloned().ok_or_else(|| format!("{answer:?}"))
    })
    .await
}

async fn verify(slipway: &Slipway) -> Value {
    slipway.api.get("/api/v1/audit/verify").await.expect(200).body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_stands_in_the_log_from_webhook_to_rollout() {
    let (slipway, rollout) = after_a_push().await;
    for action in [
        "receiver.created",
        "policy.created",
        "device.target_set",
        "image.webhook_received",
        "image.webhook_approved",
        "image.tag.added",
        "image.rollout_created",
    ] {
        let entry = entry(&slipway, action).await;
        assert_eq!(entry["action"], action);
        for name in ["timestamp", "user", "resource", "source", "hash"] {
            assert!(entry[name].is_string(), "{name} of {entry}");
        }
        assert_eq!(entry["id"], entry["sequence"]);
        assert_eq!(entry["hash"].as_str().unwrap().len(), 64);
        is_envelope(&entry["details"]);
        assert_eq!(entry["details"]["type"], action);
    }
    let created = entry(&slipway, "image.rollout_created").await;
    assert_eq!(created["details"]["resource"]["id"], rollout.id.as_str());
    let received = entry(&slipway, "image.webhook_received").await;
    assert_eq!(
        (&received["user"], &received["ip_address"]),
        (&json!("default"), &json!("127.0.0.1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_found_by_action_user_resource_and_time() {
    let (slipway, rollout) = after_a_push().await;
    let created = entry(&slipway, "image.rollout_created").await;
    let time = created["timestamp"].as_str().unwrap();
    let anna = somebody(&slipway.api, "anna", "operator").await;
    anna.post("/api/v1/images/1/tags", &json!({"tag": "8"})).await.expect(201);
    let by_anna = eventually("what anna did", async || {
        let answer = slipway.api.get("/api/v1/audit?user=anna&action=image.*").await.expect(200);
        if answer.body["total"] == 1 {
            Ok(answer.body["logs"][0].clone())
        } else {
            Err(answer.text)
        }
    })
    .await;
    assert_eq!((&by_anna["user"], &by_anna["action"]), (&json!("anna"), &json!("image.tag.added")));

    let types_of = async |query: &str| -> Vec<String> {
        let answer = slipway.api.get(&format!("/api/v1/audit?{query}")).await.expect(200);
        let logs = answer.body["logs"].as_array().unwrap().iter();
        logs.map(|log| log["action"].as_str().unwrap().to_owned()).collect()
    };
    let of_rollout = types_of(&format!("resource={}", rollout.id)).await;
    assert!(of_rollout.contains(&"image.rollout_created".to_owned()), "{of_rollout:?}");
    assert!(of_rollout.iter().all(|kind| kind.starts_with("image.rollout_")), "{of_rollout:?}");
    let webhooks = types_of("action=image.webhook_*").await;
    assert_eq!(webhooks, ["image.webhook_approved", "image.webhook_received"], "newest first");
    let none: [&str; 0] = [];
    assert_eq!(types_of(&format!("to={time}&action=image.rollout_created")).await, none);
    let found = types_of(&format!("from={time}&action=image.rollout_created")).await;
    assert_eq!(found, ["image.rollout_created"]);
    assert_eq!(types_of("user=nobody-of-this-name").await, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_comes_in_pages() {
    let (slipway, _) = after_a_push().await;
    entry(&slipway, "image.rollout_created").await;
    for page in [1, 2] {
        let path = format!("/api/v1/audit?page={page}&limit=2");
        let answer = slipway.api.get(&path).await.expect(200);
        assert_eq!((&answer.body["page"], &answer.body["limit"]), (&json!(page), &json!(2)));
        assert_eq!(answer.body["logs"].as_array().unwrap().len(), 2);
        assert!(answer.body["total"].as_i64().unwrap() > 4, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_holds_as_it_was_written() {
    let (slipway, _) = after_a_push().await;
    entry(&slipway, "image.rollout_created").await;
    let intact = verify(&slipway).await;
    assert_eq!((&intact["intact"], &intact["broken_at"]), (&json!(true), &json!(null)), "{intact}");
    assert_eq!(intact["checked_to"], intact["checked_count"], "no number is missing");
    assert!(intact["checked_count"].as_i64().unwrap() >= 7, "{intact}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_forgery_is_found_where_it_is() {
    for forgery in [
        "update access.audit_log set envelope = replace(envelope, 'a', 'b') where sequence = 3",
        "update access.audit_log set actor_name = 'mallory' where sequence = 3",
        "delete from access.audit_log where sequence = 3",
        "update access.audit_log set sequence = case sequence when 3 then 4 else 3 end
         where sequence in (3, 4)",
    ] {
        let (slipway, _) = after_a_push().await;
        entry(&slipway, "image.rollout_created").await;
        let mut owner = slipway.database.owner().await;
        let open = "alter table access.audit_log drop constraint audit_log_pkey";
        sqlx::raw_sql(open).execute(&mut owner).await.unwrap();
        sqlx::raw_sql(forgery).execute(&mut owner).await.unwrap();
        let broken = verify(&slipway).await;
        assert_eq!(
            (&broken["intact"], &broken["broken_at"]),
            (&json!(false), &json!(3)),
            "{forgery}"
        );
        assert!(broken["problem"].is_string(), "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_the_administrators() {
    let (slipway, _) = after_a_push().await;
    let viewer = somebody(&slipway.api, "vera", "viewer").await;
    for path in ["/api/v1/audit", "/api/v1/audit/verify"] {
        viewer.get(path).await.expect(403);
        slipway.api.nobody().get(path).await.expect(401);
    }
}
