//! Places where a test may kill the process, to see that nothing is lost there.
//!
//! A debug build whose environment holds `SLIPWAY_CRASH_AT=<point>` ends itself by SIGKILL when it
//! comes to that point, once; a release build does nothing.

/// Ends the process here when the environment asks for it. The points in use are listed in
/// `docs/ARCHITECTURE.md`.
pub fn point(name: &str) {
    if cfg!(debug_assertions)
        && let Ok(armed) = std::env::var("SLIPWAY_CRASH_AT")
        && armed == name
    {
        kill_self(name);
    }
}

fn kill_self(name: &str) {
    tracing::warn!(crash.point = name, "killed by the crash point that the environment names");
    let own = rustix::process::getpid();
    let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
}
