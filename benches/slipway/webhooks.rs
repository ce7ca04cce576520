//! A webhook decided with commit, beside plain durable inserts of the same Postgres.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Executor as _;
use sqlx::postgres::PgPoolOptions;
use testbed::Processes;

use crate::figures::{Durations, head, line};

/// How many a second, and for how long.
const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;

/// Sends pushes of new tags at a steady rate, whatever the answers take.
pub async fn measure(slipway: &Processes) {
    head("webhook decided with commit, 500/s", "p50 ≤ 5 ms, p99 ≤ 25 ms");
    plain_inserts(slipway).await;

    let receiver = json!({
        "name": "bench", "vendor": "generic", "allow_unauthenticated": true,
        "registries": ["docker.io"], "repositories": ["**"], "payload_trust": true,
    });
    let made = slipway.api.post("/api/v1/receivers", &receiver).await.expect(201);
    let path = Arc::new(format!("/api/v1/webhooks/receivers/{}", made.text_at("/url_token")));
    let api = slipway.api.nobody();
    // Connections and caches are warm before anything counts.
    for round in ["warm", "measured"] {
        let durations = steadily(|number| {
            let (api, path) = (api.clone(), Arc::clone(&path));
            async move {
                let tag = format!("{round}-{number}");
                let body = json!({"repository": {"repo_name": "redis"}, "push_data": {"tag": tag}});
                api.post(&path, &body).await.expect(200);
            }
        })
        .await;
        if round == "measured" {
            line("decided: delivery, gate, no policy, answer", &durations.shown());
        }
    }
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
