//! The body of an answer, on its way out.
//!
//! It keeps its request counted as at work until it is out, and it ends a stream that has nothing to say
//! when the server stops. Server-sent events just end, and their reader comes back elsewhere with the id
//! of the last one; a gRPC stream ends as unavailable, which clients take for the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;

use super::wire::AtWork;
use crate::api::edge::GRPC_CODE;

/// How a body ends whose server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It is no stream: by itself, soon.
    Itself,
    /// Just so.
    Plain,
    /// With the status of a call.
    Trailers,
}

/// The body of an answer.
pub(super) struct Outgoing {
    inner: Body,
    _at_work: AtWork,
    ending: Ending,
    stopping: watch::Receiver<bool>,
    /// Resolves when the server stops. Made when the body first has nothing to say, which few ever have.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ended: bool,
}

impl Outgoing {
    pub(super) fn wrap(
        response: Response,
        at_work: AtWork,
        stopping: watch::Receiver<bool>,
    ) -> hyper::Response<Self> {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let ending = match kind {
            kind if kind.starts_with(b"text/event-stream") => Ending::Plain,
            kind if kind.starts_with(b"application/grpc") => Ending::Trailers,
            _ => Ending::Itself,
        };
        let around = |inner| Self { inner, _at_work: at_work, ending, stopping, stop: None, ended: false };
        response.map(around)
    }

    fn stops(&mut self, cx: &mut Context<'_>) -> bool {
        let stopping = &self.stopping;
        let stop = self.stop.get_or_insert_with(|| {
            let mut stopping = stopping.clone();
            Box::pin(async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            })
        });
        stop.as_mut().poll(cx).is_ready()
    }
}

fn unavailable() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("14"));
    trailers.insert("grpc-message", HeaderValue::from_static("the node is stopping"));
    trailers.insert(GRPC_CODE, HeaderValue::from_static("unavailable"));
    trailers
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending if this.ending != Ending::Itself && this.stops(cx) => {
                this.ended = true;
                let last = (this.ending == Ending::Trailers).then(|| Ok(Frame::trailers(unavailable())));
                Poll::Ready(last)
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
