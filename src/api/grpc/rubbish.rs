//! Any bytes at all as the message of a gRPC request, for the fuzz target `grpc` and the tests of what it found.

use everstep_proto::v1;
use prost::Message;

use super::read;
use crate::api::settings::PAGE_MAX;

/// Reads the bytes as a request: the first byte says as which. What is lawful stays within the limits.
pub fn ask(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    match which % 5 {
        0 => submit(body),
        1 => execute(body),
        2 => list(body),
        3 => history(body),
        _ => create(body),
    }
}

fn submit(body: &[u8]) {
    let Ok(request) = v1::SubmitRequest::decode(body) else { return };
    if let Ok(submission) = read::submission(request) {
        assert!(submission.labels.len() <= crate::engine::model::limits::LABELS_MAX, "labels are counted");
        assert!(submission.idempotency_key.is_none_or(|key| !key.is_empty()), "an empty key is none");
    }
}

fn execute(body: &[u8]) {
    let Ok(request) = v1::ExecuteRequest::decode(body) else { return };
    if let Ok(wait) = read::wait(request.wait) {
        assert!(wait <= crate::api::settings::WAIT_MAX, "a wait has an end");
    }
}

fn list(body: &[u8]) {
    let Ok(request) = v1::ListExecutionsRequest::decode(body) else { return };
    if let Ok(query) = read::executions(request, PAGE_MAX) {
        assert!((1..=PAGE_MAX).contains(&query.limit), "a page has a size");
    }
}

fn history(body: &[u8]) {
    let Ok(request) = v1::GetHistoryRequest::decode(body) else { return };
    let _refused = read::execution_id(&request.id);
    let _refused = read::cursor(&request.cursor);
    let _refused = read::limit(request.limit, PAGE_MAX);
}

fn create(body: &[u8]) {
    let Ok(request) = v1::CreateWorkflowRequest::decode(body) else { return };
    let _refused = read::idempotency_key(request.idempotency_key);
    let _findings = crate::engine::definition::Spec::parse(&request.definition, &Default::default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_are_refused_or_within_the_limits(bytes: Vec<u8>) {
            ask(&bytes);
        }
    }
}
