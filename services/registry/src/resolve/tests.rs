//! Who shares which answer. The registry here answers when it is allowed to.

use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use imageref::Algorithm;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::*;
use crate::upstream::UpstreamId;

/// A registry with one tag, whose digest is that of a changing body.
struct Slow {
    url: String,
    state: Arc<State>,
}

struct State {
    body: watch::Sender<String>,
    looks: AtomicUsize,
    permits: Semaphore,
}

impl Slow {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            body: watch::channel("{\"manifests\": []}".to_owned()).0,
            looks: AtomicUsize::new(0),
            permits: Semaphore::new(0),
        });
        let shared = state.clone();
        let router = Router::new().fallback(move |method: Method| answer(shared.clone(), method));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    fn upstream(&self) -> Upstream {
        Upstream {
            id: UpstreamId(1),
            name: "slow".to_owned(),
            url: self.url.clone(),
            host: "docker.io".to_owned(),
            allow_plain_http: false,
            is_default: false,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            version: 1,
        }
    }

    /// Waits until this many looks are under way or answered.
    async fn looked(&self, times: usize) {
        while self.state.looks.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }

    fn permit(&self) {
        self.state.permits.add_permits(1);
    }
}

async fn answer(state: Arc<State>, method: Method) -> Response {
    let body = state.body.borrow().clone();
    if method == Method::HEAD {
        state.looks.fetch_add(1, Ordering::SeqCst);
        state.permits.acquire().await.unwrap().forget();
    }
    let digest = manifest::digest_like(Algorithm::Sha256, body.as_bytes()).to_string();
    ([("docker-content-digest", digest)], body).into_response()
}

fn resolver() -> Resolver {
    Resolver::new(Clock::manual(DateTime::UNIX_EPOCH), Duration::from_secs(30))
}

#[tokio::test]
async fn who_comes_while_a_question_is_under_way_shares_its_answer() {
    let (slow, resolver) = (Slow::start().await, resolver());
    let (upstream, redis) = (slow.upstream(), Repository::parse("redis").unwrap());
    let ask = || resolver.resolve(&upstream, &redis, "7", false);
    let release = async {
        slow.looked(1).await;
        slow.permit();
    };
    let (a, b, c, ()) = tokio::join!(ask(), ask(), ask(), release);
    assert!(a.is_ok() && a == b && b == c);
    assert_eq!(slow.state.looks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_wants_a_fresh_answer_shares_the_next_question() {
    let (slow, resolver) = (Slow::start().await, resolver());
    let (upstream, redis) = (slow.upstream(), Repository::parse("redis").unwrap());
    let ask = || resolver.resolve(&upstream, &redis, "7", true);
    let release = async {
        slow.looked(1).await;
        // What the first question sees is decided; whoever waits must not be given it.
        slow.state.body.send_replace("{\"manifests\": [], \"new\": true}".to_owned());
        slow.permit();
        slow.looked(2).await;
        slow.permit();
    };
    let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), release);
    assert_ne!(first, second);
    assert_eq!(second, third);
    assert_eq!(slow.state.looks.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_gives_up_leaves_the_question_to_the_next() {
    let (slow, resolver) = (Slow::start().await, resolver());
    let (upstream, redis) = (slow.upstream(), Repository::parse("redis").unwrap());
    let impatient = async {
        tokio::select! {
            _ = resolver.resolve(&upstream, &redis, "7", false) => panic!("nothing is permitted"),
            () = slow.looked(1) => {}
        }
    };
    impatient.await;
    slow.permit();
    slow.permit();
    let answer = resolver.resolve(&upstream, &redis, "7", false).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn questions_that_are_over_make_room() {
    let (slow, resolver) = (Slow::start().await, resolver());
    let (upstream, redis) = (slow.upstream(), Repository::parse("redis").unwrap());
    slow.state.permits.add_permits(SLOTS + 10);
    for version in 0..SLOTS + 10 {
        resolver.resolve(&upstream, &redis, &version.to_string(), false).await.unwrap();
    }
    assert!(resolver.slots.lock().unwrap().len() <= SLOTS);
}
