//! Floor 6: the public protocols.
//!
//! One port speaks HTTP with JSON and gRPC. Both front ends are thin: they read what a caller asks
//! (`ask`), pass it through the one door to the actors ([`crate::actors::Handle`]), and write what
//! comes back (`shape`). They hold no state and decide nothing; no other module knows a header, a
//! status code or a field number.
//!
//! What a caller can rely on:
//!
//! - every failure is an RFC 9457 problem document with a stable `code`, the place of the mistake
//!   and a trace id (`problem`, `edge`); a panic is one too;
//! - what is unknown is refused by name: fields, parameters, routes. A misspelt filter that is
//!   ignored shows somebody the wrong list;
//! - everything that is read has a limit: bytes, depth, time, entries, connections (`settings`,
//!   `serve`);
//! - the OpenAPI document is derived from the handlers and committed; a test fails when it drifts.
//!
//! Payloads are JSON text from the first byte to the last. Answers are assembled by copying that
//! text, so that an execution's outcome costs no parsing on its way out.
//!
//! Caveats: over HTTP/2, headers that are too large are refused by the HTTP library with a bare 431.
//! An answer `unavailable` does not say whether a change happened; an `Idempotency-Key` makes it
//! safe to ask again.

mod ask;
mod calls;
mod docs;
mod edge;
mod front;
mod grpc;
mod http;
mod problem;
mod router;
mod serve;
mod settings;
mod shape;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "fuzzing"))]
pub use grpc::rubbish::ask as ask_rubbish;
pub use router::{openapi, router};
pub use serve::{ConnectionLimits, serve};
pub use settings::{Access, ApiSettings};
