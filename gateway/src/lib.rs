//! The HTTP edge: REST, webhooks and live events. It translates and decides nothing.
//!
//! Every route stands for one RPC of a process behind it, or a few. What a caller may do, whether an
//! image may run and what an event says is decided there; here is only the translation of paths,
//! bodies, headers and errors, and the protection of a listener that strangers can reach. It keeps
//! no state but counters.
//!
//! ```text
//! server    connections: how many, how long a request may take to come, drain
//! router    routes, the OpenAPI document made of them, its page, and what no route takes
//! edge      around every request: request id, span, limits, panics; faults become bodies, answers
//!           that the client has already become 304
//! extract   what handlers take out of a request: body, query, path, If-Match, Idempotency-Key
//! routes    one module per family of routes: its shapes, its RPCs, its documentation
//! relay     the caller's line to the processes; peer says which of them does not answer
//! error     a fault, and the two shapes in which families tell it
//! answer, list, shape, sse
//!           what several families answer with: made things, lists, shared members, live events
//! ```
//!
//! What must hold:
//!
//! - A call carries the caller's own credential, so that it counts as the caller's. The gateway proves
//!   itself beside it, with headers that no caller can set. In its own name it only hands webhooks on,
//!   and shows what happened to a thing that the caller was shown.
//! - Paths, names, status codes and shapes are those of the API's documents, family by family; also
//!   the 404 of a path that no route has is told in the shape of the family it would belong to.
//! - A member, parameter or header that is not understood is refused by name: a misspelt filter must
//!   never widen a rollout. Webhook bodies are the exception; they are not read here at all.
//! - Nothing is read without a limit, and nothing is waited for without an end.
//! - Only what may come twice is tried again: reads, and webhooks, which `approval` knows again. A change
//!   is sent once.
//! - The path is never logged, only the route's pattern: a path may hold a receiver's token.
//! - The handlers are the one truth of REST: the OpenAPI document is made of them.

mod answer;
mod app;
mod args;
mod edge;
mod error;
mod extract;
mod list;
mod openapi;
mod peer;
mod relay;
mod router;
mod routes;
mod server;
mod shape;
mod sse;
mod stats;

pub use app::{App, Config, Settings};
pub use args::Args;
pub use openapi::document;
pub use relay::Addresses;
