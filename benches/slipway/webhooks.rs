//! A webhook decided with commit, beside plain durable inserts of the same Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::json;
use sha2::Sha256;
use sqlx::Executor as _;
use sqlx::postgres::PgPoolOptions;
use testbed::Processes;

use crate::figures::{Durations, head, line};

/// How many a second, and for how long.
const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;
/// How many tags the pushes are of.
const TAGS: u32 = 500;
/// What the receiver's sender signs with.
const SECRET: &str = "of the benchmark and of nothing else";

/// Sends pushes of new tags at a steady rate, whatever the answers take.
pub async fn measure(slipway: &Processes) {
    head("webhook decided with commit, 500/s", "p50 ≤ 5 ms, p99 ≤ 25 ms");
    plain_inserts(slipway).await;

    let receiver = json!({
        "name": "bench", "vendor": "generic", "secret": SECRET,
        "registries": ["docker.io"], "repositories": ["**"], "payload_trust": true,
    });
    let made = slipway.api.post("/api/v1/receivers", &receiver).await.expect(201);
    let path = Arc::new(format!("/api/v1/webhooks/receivers/{}", made.text_at("/url_token")));
    let api = slipway.api.nobody();
    let refused = Arc::new(AtomicUsize::new(0));
    // The first round adds the tags, and warms connections and caches.
    for round in ["new tags", "known tags"] {
        refused.store(0, Ordering::Relaxed);
        let durations = steadily(|number| {
            let (api, path, refused) = (api.clone(), Arc::clone(&path), Arc::clone(&refused));
            async move {
                let pushed =
                    json!({"tag": format!("bench-{}", number % TAGS), "pushed_at": number});
                let body = json!({"repository": {"repo_name": "redis"}, "push_data": pushed});
                let body = body.to_string();
                let signature = signature(&body);
                let headers = [
                    ("content-type", "application/json"),
                    ("x-hub-signature-256", signature.as_str()),
                ];
                let answer = api.send(Method::POST, &path, &headers, body).await;
                refused.fetch_add(usize::from(answer.status != 200), Ordering::Relaxed);
            }
        })
        .await;
        line(&format!("decided, {round}: delivery, gate, answer"), &durations.shown());
        let refused = refused.load(Ordering::Relaxed);
        if refused > 0 {
            line("not decided in time", &refused.to_string());
        }
    }
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// One row, one commit, at the same rate.
async fn plain_inserts(slipway: &Processes) {
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .connect(slipway.database.owner_url())
        .await
        .unwrap();
    pool.execute("create table public.bench (id bigint primary key, body text)").await.unwrap();
    let durations = steadily(|number| {
        let pool = pool.clone();
        async move {
            sqlx::query("insert into public.bench values ($1, $2)")
                .bind(i64::from(number))
                .bind("x".repeat(200))
                .execute(&pool)
                .await
                .unwrap();
        }
    })
    .await;
    pool.close().await;
    line("limit: one durable insert", &durations.shown());
}

/// Starts a piece of work on every tick, and measures from the tick.
async fn steadily<F: Future<Output = ()> + Send + 'static>(work: impl Fn(u32) -> F) -> Durations {
    let start = tokio::time::Instant::now();
    let mut running = Vec::new();
    for number in 0..PER_SECOND * SECONDS {
        let due = start + Duration::from_secs(1) / PER_SECOND * number;
        tokio::time::sleep_until(due).await;
        let piece = work(number);
        running.push(tokio::spawn(async move {
            let begun = Instant::now();
            piece.await;
            begun.elapsed()
        }));
    }
    let mut durations = Vec::new();
    for piece in running {
        durations.push(piece.await.unwrap());
    }
    Durations::of(durations)
}
