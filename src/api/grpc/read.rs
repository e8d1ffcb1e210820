//! What gRPC callers ask, read as strictly as what HTTP callers ask.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use everstep_proto::v1;

use crate::actors::{Submission, What};
use crate::api::ask::{self, Cursor};
use crate::api::problem::Problem;
use crate::api::settings::{PAGE_DEFAULT, WAIT_MAX};
use crate::consensus::ListQuery;
use crate::engine::model::{ExecutionId, Status, Timestamp, WorkflowId};

use super::convert;

/// How long `Execute` waits unless the caller says so.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

pub(super) fn execution_id(text: &str) -> Result<ExecutionId, Problem> {
    let uuid = ask::uuid(text);
    uuid.map(ExecutionId::from_uuid).ok_or_else(|| Problem::no_such("execution", "execution_not_found", text))
}

pub(super) fn workflow_id(text: &str) -> Result<WorkflowId, Problem> {
    let uuid = ask::uuid(text);
    uuid.map(WorkflowId::from_uuid).ok_or_else(|| Problem::no_such("workflow", "workflow_not_found", text))
}

/// The size of a page; 0 is the default.
pub(super) fn limit(limit: u32, max: usize) -> Result<usize, Problem> {
    match usize::try_from(limit).unwrap_or(usize::MAX) {
        0 => Ok(PAGE_DEFAULT),
        limit if limit <= max => Ok(limit),
        _ => Err(Problem::parameter("limit", format!("limit has to be a whole number from 1 to {max}"))),
    }
}

/// Where a page begins; the empty text is the first.
pub(super) fn cursor(text: &str) -> Result<Option<Cursor>, Problem> {
    (!text.is_empty()).then(|| Cursor::parse(text)).transpose()
}

pub(super) fn foreign_cursor() -> Problem {
    Problem::parameter("cursor", "this is a cursor of another list")
}

pub(super) fn idempotency_key(text: String) -> Result<Option<String>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    ask::check_key(&text).map_err(|detail| Problem::parameter("idempotency_key", detail))?;
    Ok(Some(text))
}

pub(super) fn submission(request: v1::SubmitRequest) -> Result<Submission, Problem> {
    let what = match request.what {
        Some(v1::submit_request::What::Definition(text)) => What::Inline { text },
        Some(v1::submit_request::What::Workflow(reference)) => {
            let version = Some(reference.version).filter(|version| *version > 0);
            What::Workflow { id: workflow_id(&reference.id)?, version }
        }
        None => {
            return Err(Problem::field("missing_field", "", "say what to run: definition or workflow"));
        }
    };
    let input = match request.input_json.as_str() {
        "" => None,
        text => Some(ask::json(text.as_bytes())?),
    };
    Ok(Submission {
        what,
        input: ask::input(input)?,
        labels: labels(request.labels)?,
        idempotency_key: idempotency_key(request.idempotency_key)?,
    })
}

fn labels(labels: HashMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    let labels: BTreeMap<String, String> = labels.into_iter().collect();
    ask::check_labels(&labels)?;
    Ok(labels)
}

pub(super) fn wait(wait: Option<prost_types::Duration>) -> Result<Duration, Problem> {
    let Some(wait) = wait else { return Ok(WAIT_DEFAULT) };
    let duration = Duration::try_from(wait).ok().filter(|wait| *wait <= WAIT_MAX);
    duration.ok_or_else(|| Problem::parameter("wait", "wait has to be a duration from 0 to 5 minutes"))
}

pub(super) fn executions(request: v1::ListExecutionsRequest, max: usize) -> Result<ListQuery, Problem> {
    let mut statuses: Vec<Status> = Vec::new();
    for number in request.statuses {
        let word = v1::ExecutionStatus::try_from(number).ok().and_then(convert::status_of);
        let Some(status) = word else {
            return Err(Problem::parameter("statuses", format!("there is no status {number}")));
        };
        statuses.push(status);
    }
    let workflow = match request.workflow_id.as_str() {
        "" => None,
        text => Some(workflow_id(text)?),
    };
    let before = match cursor(&request.cursor)? {
        None => None,
        Some(Cursor::Execution(id)) => Some(ExecutionId::from_uuid(id)),
        Some(_) => return Err(foreign_cursor()),
    };
    Ok(ListQuery {
        statuses,
        workflow,
        labels: request.labels.into_iter().collect(),
        created_from: instant("created_from", request.created_from)?,
        created_before: instant("created_before", request.created_before)?,
        before,
        limit: limit(request.limit, max)?,
    })
}

fn instant(name: &str, at: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Problem> {
    let Some(at) = at else { return Ok(None) };
    let micros = || {
        let seconds = u64::try_from(at.seconds).ok()?;
        let nanos = u64::try_from(at.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)
    };
    match micros() {
        Some(micros) => Ok(Some(Timestamp::from_micros(micros))),
        None => Err(Problem::parameter(name, format!("{name} has to be a time from 1970 on"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_waits_are_bounded() {
        assert_eq!(limit(0, 200).unwrap(), 50);
        assert_eq!(limit(200, 200).unwrap(), 200);
        assert!(limit(201, 200).is_err());
        assert_eq!(wait(None).unwrap(), WAIT_DEFAULT);
        assert!(wait(Some(prost_types::Duration { seconds: 301, nanos: 0 })).is_err());
        assert!(wait(Some(prost_types::Duration { seconds: -1, nanos: 0 })).is_err());
    }

    #[test]
    fn a_submission_says_what_to_run() {
        let problem = submission(v1::SubmitRequest::default()).unwrap_err();
        assert_eq!(problem.code, "missing_field");
        let what = Some(v1::submit_request::What::Definition("steps: []".to_owned()));
        let input_json = "{\"a\":".to_owned();
        let request = v1::SubmitRequest { what, input_json, ..v1::SubmitRequest::default() };
        assert_eq!(submission(request).unwrap_err().code, "invalid_json");
    }

    #[test]
    fn every_status_has_its_number() {
        for status in Status::ALL {
            assert_eq!(convert::status_of(convert::status(*status)), Some(*status));
        }
    }
}
