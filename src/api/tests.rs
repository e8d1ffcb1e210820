//! The router from outside, without anything behind the door.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{Access, ApiSettings};
use crate::actors::Handle;
use crate::engine::model::{TenantId, Timestamp};
use crate::world::{Clock, Entropy, World};

const ID: &str = "01939c00-0000-7000-8000-000000000000";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

impl Entropy for Fixed {
    fn bits(&self) -> u128 {
        7
    }
}

fn router() -> Router {
    let access =
        Access::Anonymous { tenant: TenantId::new("default").expect("a slug"), user: "dev".to_owned() };
    let mut settings = ApiSettings::new(access, "0.0.0-test");
    settings.origins.push("https://ui.example".to_owned());
    let world = World { clock: Arc::new(Fixed), entropy: Arc::new(Fixed) };
    super::router(Handle::detached(), settings, world, || "up 1\n".to_owned())
}

async fn call(request: Request<Body>) -> Response {
    router().oneshot(request).await.expect("the router never fails")
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.expect("a body").to_bytes().to_vec()
}

/// Sends a request and reads the problem it is answered with.
async fn problem(method: &str, path: &str, kind: &str, text: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    let response = call(request.body(Body::from(text.to_owned())).expect("a request")).await;
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{method} {path}");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let trace_id = response.headers()["x-trace-id"].to_str().expect("ASCII").to_owned();
    let document: Value = serde_json::from_slice(&body(response).await).expect("a JSON document");
    assert_eq!(document["status"], status.as_u16());
    assert_eq!(document["trace_id"], trace_id);
    assert!(document["type"].as_str().is_some_and(|it| it.ends_with(document["code"].as_str().unwrap())));
    (status.as_u16(), document)
}

#[tokio::test]
async fn every_mistake_is_a_problem_with_its_code() {
    let json = "application/json";
    let submit = "/api/executions";
    let cases = [
        ("GET", "/nothing/here", "", "", 404, "route_not_found"),
        ("GET", "/api/executions/7", "", "", 404, "execution_not_found"),
        ("GET", "/api/workflows/%ff", "", "", 404, "workflow_not_found"),
        ("GET", "/api/executions/{01939c00-0000-7000-8000-000000000000}", "", "", 404, "execution_not_found"),
        ("GET", "/api/executions?limit=0", "", "", 400, "invalid_parameter"),
        ("GET", "/api/executions?staus=failed", "", "", 400, "unknown_parameter"),
        ("GET", "/runs?status=done", "", "", 400, "invalid_parameter"),
        ("POST", submit, json, "{", 400, "invalid_json"),
        ("POST", submit, json, "[]", 400, "invalid_field"),
        ("POST", submit, json, "{\"defintion\": {}}", 400, "unknown_field"),
        ("POST", submit, json, "", 400, "missing_field"),
        ("POST", submit, "text/plain", "{}", 415, "unsupported_media_type"),
        ("POST", submit, "application/x-www-form-urlencoded", "{}", 415, "unsupported_media_type"),
        ("POST", "/api/executions?wait=6m", json, "{}", 400, "invalid_parameter"),
        ("POST", "/api/workflows", json, "{\"name\": }", 400, "invalid_json"),
    ];
    for (method, path, kind, text, status, code) in cases {
        let path = path.replace('{', "%7B").replace('}', "%7D");
        let (found, document) = problem(method, &path, kind, text).await;
        assert_eq!((found, document["code"].as_str()), (status, Some(code)), "{method} {path} {text}");
    }
}

#[tokio::test]
async fn a_wrong_method_says_what_is_allowed() {
    let request = Request::builder().method("PATCH").uri(format!("/api/workflows/{ID}"));
    let response = call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = response.headers()["allow"].to_str().unwrap().to_owned();
    for method in ["GET", "PUT", "DELETE"] {
        assert!(allow.contains(method), "{allow} lacks {method}");
    }
    let document: Value = serde_json::from_slice(&body(response).await).unwrap();
    assert_eq!(document["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_read() {
    let length = (ApiSettings::BODY_BYTES_MAX + 1).to_string();
    let request = Request::builder().method("POST").uri("/api/workflows").header("content-length", length);
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let response = call(request.body(Body::from_stream(never)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
    let request = Request::builder().method("POST").uri("/api/workflows");
    let response = call(request.body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let request = Request::builder().method("POST").uri("/api/workflows");
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let response = call(request.body(Body::from_stream(never)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn the_trace_id_is_the_callers_if_there_is_one() {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::builder().uri("/health").header("traceparent", format!("00-{id}-00f067aa0ba902b7-01"));
    let response = call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["x-trace-id"], id);
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_configured_origins_may_read() {
    let from = |origin: &str| Request::builder().uri("/health").header("origin", origin);
    let ours = call(from("https://ui.example").body(Body::empty()).unwrap()).await;
    assert_eq!(ours.headers()["access-control-allow-origin"], "https://ui.example");
    let foreign = call(from("https://evil.example").body(Body::empty()).unwrap()).await;
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
    let preflight = from("https://ui.example").method("OPTIONS").header("access-control-request-method", "PUT");
    let preflight = call(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn pages_of_the_contract_are_served() {
    for (path, status, kind) in [
        ("/openapi.json", 200, "application/json"),
        ("/docs/", 200, "text/html"),
        ("/docs/swagger-initializer.js", 200, "text/javascript"),
        ("/docs/nothing.js", 404, "application/problem+json"),
        ("/docs", 308, ""),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/health", 200, "application/json"),
        ("/readyz", 503, "application/json"),
        ("/api/health", 200, "application/json"),
    ] {
        let response = call(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let found = response.headers().get("content-type").map_or("", |it| it.to_str().unwrap());
        assert_eq!(found, kind, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_grpc_service_is_unimplemented() {
    let request = Request::builder().method("POST").uri("/no.Service/Call").header("content-type", "application/grpc");
    let response = call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(response.status(), StatusCode::OK);
}

/// Run with `UPDATE=1` to write the document anew.
#[test]
fn the_committed_contract_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let now = super::openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &now).expect("docs/openapi.json can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == now, "docs/openapi.json is stale: run this test with UPDATE=1 and commit the file");
}
