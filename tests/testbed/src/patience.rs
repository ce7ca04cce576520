//! Waiting for what happens by itself.

use std::time::Duration;

/// How long anything may take. Only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is there.
///
/// # Panics
///
/// With the last thing that was in the way, after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(_) if tokio::time::Instant::now() < end => {}
            Err(instead) => panic!("waited {} s for {what}: {instead}", PATIENCE.as_secs()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
