//! The workflow object and its versions.

use crate::consensus::{Workflow, WorkflowVersion};

use super::write::Object;

/// Writes a workflow as of one of its versions, with that version's definition.
pub(in crate::api) fn write_workflow(out: &mut Vec<u8>, workflow: &Workflow, version: &WorkflowVersion) {
    write(out, workflow, version, true);
}

/// Writes a workflow as one line of a list: without its definition, which may be four megabytes.
pub(in crate::api) fn write_workflow_line(out: &mut Vec<u8>, workflow: &Workflow) {
    write(out, workflow, workflow.latest(), false);
}

fn write(out: &mut Vec<u8>, workflow: &Workflow, version: &WorkflowVersion, whole: bool) {
    let mut object = Object::new(out);
    object.shown("id", workflow.id);
    object.number("version", u64::from(version.version));
    object.number("latest_version", u64::from(workflow.latest().version));
    object.text("name", &version.name);
    object.text("status", workflow.status.as_str());
    object.texts("labels", &version.labels);
    if whole {
        object.key("definition").extend_from_slice(version.text.as_bytes());
    }
    object.shown("hash", version.hash);
    object.text("created_by", &version.by);
    object.time("created_at", Some(workflow.created_at));
    object.time("updated_at", Some(workflow.updated_at));
    object.end();
}

/// Writes one version as a line of the list of versions.
pub(in crate::api) fn write_version(out: &mut Vec<u8>, version: &WorkflowVersion) {
    let mut object = Object::new(out);
    object.number("version", u64::from(version.version));
    object.text("name", &version.name);
    object.texts("labels", &version.labels);
    object.shown("hash", version.hash);
    object.text("created_by", &version.by);
    object.time("created_at", Some(version.created_at));
    object.end();
}
