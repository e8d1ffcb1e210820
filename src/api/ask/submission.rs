//! The bodies and filters that say what to run, what to do and what to list.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::actors::What;
use crate::api::problem::Problem;
use crate::consensus::ListQuery;
use crate::engine::model::limits::{LABEL_BYTES_MAX, LABELS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::engine::model::{ExecutionId, Payload, RetryFrom, Status, WorkflowId};

use super::cursor::Cursor;
use super::fields::{Fields, pointer, wrong};
use super::id::uuid;
use super::query::Query;
use super::time::instant;

/// What a body of a submission holds.
#[derive(Debug)]
pub(in crate::api) struct Wish {
    /// None where the path names the workflow.
    pub(in crate::api) what: Option<What>,
    pub(in crate::api) input: Payload,
    pub(in crate::api) labels: BTreeMap<String, String>,
}

/// Reads the body of a submission. With `named` the path names the workflow, and the body may not.
pub(in crate::api) fn submission(fields: Fields, named: bool) -> Result<Wish, Problem> {
    let known: &[&'static str] = if named {
        &["input", "labels"]
    } else {
        &["definition", "workflow_id", "version", "input", "labels"]
    };
    let mut fields = fields.known(known)?;
    let input = input(fields.take("input"))?;
    let labels = labels(fields.object("labels")?)?;
    let what = if named { None } else { Some(what(&mut fields)?) };
    Ok(Wish { what, input, labels })
}

/// An input, null if there is none. Errors: it is too large.
pub(in crate::api) fn input(value: Option<Value>) -> Result<Payload, Problem> {
    let payload = value.as_ref().map_or_else(Payload::null, Payload::from_value);
    if payload.len() > PAYLOAD_BYTES_MAX {
        let detail = format!("the input has {} bytes; it may have {PAYLOAD_BYTES_MAX}", payload.len());
        return Err(Problem::field("input_too_large", "/input", detail));
    }
    Ok(payload)
}

fn what(fields: &mut Fields) -> Result<What, Problem> {
    let definition = fields.take("definition");
    let workflow = fields.text("workflow_id")?;
    let version = fields.count("version")?;
    match (definition, workflow) {
        (Some(definition), None) => {
            if version.is_some() {
                let detail = "a version belongs to a workflow_id; an inline definition has none";
                return Err(Problem::field("invalid_field", "/version", detail));
            }
            match definition {
                Value::String(text) => Ok(What::Inline { text }),
                Value::Object(_) => Ok(What::Inline { text: definition.to_string() }),
                other => Err(wrong("definition", "an object, or a text of JSON or YAML", &other)),
            }
        }
        (None, Some(text)) => match uuid(&text) {
            Some(id) => Ok(What::Workflow { id: WorkflowId::from_uuid(id), version }),
            None => Err(Problem::no_such("workflow", "workflow_not_found", &text).at("/workflow_id")),
        },
        (None, None) => {
            Err(Problem::field("missing_field", "", "say what to run: definition or workflow_id"))
        }
        (Some(_), Some(_)) => {
            let detail = "definition and workflow_id exclude each other";
            Err(Problem::field("invalid_field", "/definition", detail))
        }
    }
}

fn labels(map: Option<Map<String, Value>>) -> Result<BTreeMap<String, String>, Problem> {
    let mut labels = BTreeMap::new();
    for (name, value) in map.unwrap_or_default() {
        // As in a definition.
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let found = super::fields::kind(&value);
                let detail = format!("a label has to be a text, a number or a truth value, not {found}");
                return Err(Problem::field("invalid_field", format!("/labels{}", pointer(&name)), detail));
            }
        };
        labels.insert(name, value);
    }
    check_labels(&labels)?;
    Ok(labels)
}

/// Checks number and length of labels.
pub(in crate::api) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > LABELS_MAX {
        let detail = format!("there are {} labels; {LABELS_MAX} are the limit", labels.len());
        return Err(Problem::field("too_many_labels", "/labels", detail));
    }
    match labels.iter().find(|(name, value)| name.len().max(value.len()) > LABEL_BYTES_MAX || name.is_empty())
    {
        None => Ok(()),
        Some((name, _)) => {
            let at = format!("/labels{}", pointer(name));
            let detail = format!("names have 1 to {LABEL_BYTES_MAX} bytes, values at most as many");
            Err(Problem::field("invalid_label", at, detail))
        }
    }
}

/// The `reason` a person gives; empty if none.
pub(in crate::api) fn action_reason(fields: Fields) -> Result<String, Problem> {
    let reason = fields.known(&["reason"])?.text("reason")?.unwrap_or_default();
    check_reason(&reason)?;
    Ok(reason)
}

/// Checks the length of a reason.
pub(in crate::api) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.len() > NAME_BYTES_MAX {
        let detail = format!("a reason may have {NAME_BYTES_MAX} bytes");
        return Err(Problem::field("invalid_field", "/reason", detail));
    }
    Ok(())
}

/// Where a retry begins; at what failed unless said otherwise.
pub(in crate::api) fn retry_from(fields: Fields) -> Result<RetryFrom, Problem> {
    match fields.known(&["from"])?.text("from")?.as_deref() {
        None | Some("failed") => Ok(RetryFrom::Failed),
        Some("start") => Ok(RetryFrom::Start),
        Some(other) => {
            let detail = format!("from has to be failed or start, not {other:.64?}");
            Err(Problem::field("invalid_field", "/from", detail))
        }
    }
}

/// The filters of the list of executions.
pub(in crate::api) const EXECUTION_FILTERS: &[&str] =
    &["status", "workflow_id", "created_from", "created_before", "label", "cursor", "limit"];

/// Reads the filters of the list of executions.
pub(in crate::api) fn execution_list(query: &Query, limit_max: usize) -> Result<ListQuery, Problem> {
    let mut list = ListQuery { limit: query.limit(limit_max)?, ..ListQuery::default() };
    for word in query.all("status").flat_map(|value| value.split(',')) {
        let Some(status) = Status::parse(word) else { return Err(no_status(word)) };
        if !list.statuses.contains(&status) {
            list.statuses.push(status);
        }
    }
    for label in query.all("label") {
        let Some((name, value)) = label.split_once(':') else {
            return Err(Problem::parameter("label", "a label filter is written name:value"));
        };
        list.labels.insert(name.to_owned(), value.to_owned());
    }
    let rfc3339 = "an RFC 3339 time such as 2026-01-31T09:00:00Z";
    list.workflow = query.parsed("workflow_id", "the id of a workflow", uuid)?.map(WorkflowId::from_uuid);
    list.created_from = query.parsed("created_from", rfc3339, instant)?;
    list.created_before = query.parsed("created_before", rfc3339, instant)?;
    list.before = match query.one("cursor")?.map(Cursor::parse).transpose()? {
        None => None,
        Some(Cursor::Execution(id)) => Some(ExecutionId::from_uuid(id)),
        Some(_) => return Err(Problem::parameter("cursor", "this is a cursor of another list")),
    };
    Ok(list)
}

fn no_status(word: &str) -> Problem {
    let all: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    Problem::parameter("status", format!("there is no status {word:.64?}; there are {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ask::body::json;

    fn read(text: &str, named: bool) -> Result<Wish, Problem> {
        match json(text.as_bytes())? {
            Value::Object(map) => submission(Fields::new(map), named),
            _ => panic!("an object is expected"),
        }
    }

    #[test]
    fn an_empty_body_starts_a_named_workflow() {
        let wish = submission(Fields::default(), true).unwrap();
        assert!(wish.what.is_none() && wish.labels.is_empty());
        assert_eq!(wish.input, Payload::null());
    }

    #[test]
    fn definitions_come_as_object_or_text() {
        for text in [r#"{"definition": {"steps": []}}"#, r#"{"definition": "steps: []"}"#] {
            assert!(matches!(read(text, false).unwrap().what, Some(What::Inline { .. })));
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let cases = [
            (r"{}", false, "missing_field", Some("")),
            (r#"{"input": 1, "inputs": 2}"#, true, "unknown_field", Some("/inputs")),
            (r#"{"workflow_id": "x"}"#, false, "workflow_not_found", Some("/workflow_id")),
            (r#"{"workflow_id": 7}"#, false, "invalid_field", Some("/workflow_id")),
            (r#"{"definition": 7}"#, false, "invalid_field", Some("/definition")),
            (r#"{"definition": {}, "version": 1}"#, false, "invalid_field", Some("/version")),
            (r#"{"labels": {"a": null}}"#, true, "invalid_field", Some("/labels/a")),
            (r#"{"labels": {"a": [1]}}"#, true, "invalid_field", Some("/labels/a")),
            (r#"{"labels": []}"#, true, "invalid_field", Some("/labels")),
        ];
        for (text, named, code, pointer) in cases {
            let problem = read(text, named).expect_err(text);
            assert_eq!((&*problem.code, problem.pointer.as_deref()), (code, pointer), "{text}");
        }
    }

    #[test]
    fn labels_are_typed_as_in_a_definition() {
        let labels = read(r#"{"labels": {"a": 1, "b": true, "c": "x"}}"#, true).unwrap().labels;
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(labels, [("a", "1"), ("b", "true"), ("c", "x")]);
    }

    #[test]
    fn filters_are_read() {
        let text =
            "status=failed,running&status=failed&label=team:a:b&limit=3&created_from=2026-01-31T09:00:00Z";
        let query = Query::parse(Some(text), EXECUTION_FILTERS).unwrap();
        let list = execution_list(&query, 200).unwrap();
        assert_eq!(list.statuses, [Status::Failed, Status::Running]);
        assert_eq!(list.labels["team"], "a:b");
        assert_eq!(list.limit, 3);
        assert!(list.created_from.is_some());
    }

    #[test]
    fn bad_filters_are_named() {
        for (text, name) in [
            ("status=done", "status"),
            ("label=x", "label"),
            ("workflow_id=x", "workflow_id"),
            ("created_before=now", "created_before"),
            ("cursor=w00000000000000000000000000000000", "cursor"),
        ] {
            let query = Query::parse(Some(text), EXECUTION_FILTERS).unwrap();
            let problem = execution_list(&query, 200).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some(name));
        }
    }
}
