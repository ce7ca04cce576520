//! What reading a name costs: `cargo bench -p slipway-imageref`. The limit for `parse` is 200 ns.

use std::hint::black_box;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_nanos(200);
const ROUNDS: u32 = 1_000_000;

fn main() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let names = [
        "redis".to_owned(),
        "redis:7-alpine".to_owned(),
        "portainer/portainer-ce:latest".to_owned(),
        "ghcr.io/acme/controllers/edge-agent:v2.1.0".to_owned(),
        format!("registry.example.com:5000/acme/app:1.2@{digest}"),
    ];
    println!("{:>9} {:>9}  name (limit of parse: {LIMIT:?})", "parse", "canonical");
    for name in &names {
        let parse = time(|| imageref::parse(black_box(name)).is_ok());
        let canonical = time(|| imageref::canonical(black_box(name)).is_ok());
        println!("{parse:>9.0?} {canonical:>9.0?}  {name}");
    }
}

fn time(work: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(black_box(work()), "the name is valid");
    }
    start.elapsed() / ROUNDS
}
