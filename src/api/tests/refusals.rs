//! What is refused, and how; and what every response has.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use super::{ID, Node, body};
use crate::api::ApiSettings;

/// Sends a request and reads the problem it is answered with.
async fn problem(node: &Node, method: &str, path: &str, kind: &str, text: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    let response = node.call(request.body(Body::from(text.to_owned())).expect("a request")).await;
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
    let node = Node::start().await;
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
        let (found, document) = problem(&node, method, &path, kind, text).await;
        assert_eq!((found, document["code"].as_str()), (status, Some(code)), "{method} {path} {text}");
    }
}

#[tokio::test]
async fn a_wrong_method_says_what_is_allowed() {
    let node = Node::start().await;
    let request = Request::builder().method("PATCH").uri(format!("/api/workflows/{ID}"));
    let response = node.call(request.body(Body::empty()).unwrap()).await;
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
    let node = Node::start().await;
    let length = (ApiSettings::BODY_BYTES_MAX + 1).to_string();
    let request = Request::builder().method("POST").uri("/api/workflows").header("content-length", length);
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let response = node.call(request.body(Body::from_stream(never)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
    let request = Request::builder().method("POST").uri("/api/workflows");
    let response = node.call(request.body(Body::from_stream(endless)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let node = Node::start().await;
    let request = Request::builder().method("POST").uri("/api/workflows");
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let response = node.call(request.body(Body::from_stream(never)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn the_trace_id_is_the_callers_if_there_is_one() {
    let node = Node::start().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request =
        Request::builder().uri("/health").header("traceparent", format!("00-{id}-00f067aa0ba902b7-01"));
    let response = node.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["x-trace-id"], id);
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_configured_origins_may_read() {
    let node = Node::start().await;
    let from = |origin: &str| Request::builder().uri("/health").header("origin", origin);
    let ours = node.call(from("https://ui.example").body(Body::empty()).unwrap()).await;
    assert_eq!(ours.headers()["access-control-allow-origin"], "https://ui.example");
    let foreign = node.call(from("https://evil.example").body(Body::empty()).unwrap()).await;
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
    let preflight =
        from("https://ui.example").method("OPTIONS").header("access-control-request-method", "PUT");
    let preflight = node.call(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn pages_of_the_contract_are_served() {
    let node = Node::start().await;
    for (path, status, kind) in [
        ("/openapi.json", 200, "application/json"),
        ("/docs/", 200, "text/html"),
        ("/docs/swagger-initializer.js", 200, "text/javascript"),
        ("/docs/nothing.js", 404, "application/problem+json"),
        ("/docs", 308, ""),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/health", 200, "application/json"),
        ("/readyz", 200, "application/json"),
        ("/api/health", 200, "application/json"),
    ] {
        let response = node.call(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let found = response.headers().get("content-type").map_or("", |it| it.to_str().unwrap());
        assert_eq!(found, kind, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_grpc_service_is_unimplemented() {
    let node = Node::start().await;
    let request =
        Request::builder().method("POST").uri("/no.Service/Call").header("content-type", "application/grpc");
    let response = node.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(response.status(), StatusCode::OK);
}
