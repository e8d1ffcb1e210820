//! The first decision of an execution.

use std::collections::BTreeMap;

use crate::definition::Spec;
use crate::model::{Create, Created, DefinitionStatus, Event, Execution, Moment, Rejection, limits};

use super::advance::advance;
use super::draft::{Draft, fits};

/// Checks what was submitted; then the execution exists and its first steps begin, all in one commit.
pub(super) fn create(
    execution: &Execution,
    spec: &Spec,
    wish: Create,
    moment: Moment,
) -> Result<Vec<Event>, Rejection> {
    if execution.version > 0 {
        return Err(Rejection::ExecutionExists { id: execution.id });
    }
    if spec.status != DefinitionStatus::Active {
        return Err(Rejection::NotActive { name: spec.name.clone(), status: spec.status });
    }
    check_limits(&wish)?;
    if let Some(schema) = &spec.input {
        let mistakes = schema.mistakes(&wish.input);
        if !mistakes.is_empty() {
            return Err(Rejection::InvalidInput { mistakes });
        }
    }
    let mut labels = spec.labels.clone();
    labels.extend(wish.labels);
    check_labels(&labels)?;
    let steps = u16::try_from(spec.steps.len()).expect("a definition has at most STEPS_MAX steps");
    let mut draft = Draft::new(execution, spec, moment);
    draft.push(Event::Created(Box::new(Created {
        tenant: wish.tenant,
        workflow: wish.workflow,
        workflow_version: wish.workflow_version,
        workflow_name: spec.name.clone(),
        spec: spec.hash,
        steps,
        input: wish.input,
        labels,
        priority: spec.priority,
        by: wish.by,
        deadline: spec.timeout.map(|timeout| moment.at + timeout),
    })));
    advance(&mut draft);
    Ok(draft.into_events())
}

fn check_limits(wish: &Create) -> Result<(), Rejection> {
    fits(wish.input.clone(), "the input").map_err(|_| Rejection::Limit {
        what: "the input".into(),
        limit: format!("{} bytes and {} levels", limits::PAYLOAD_BYTES_MAX, limits::JSON_DEPTH_MAX),
    })?;
    super::person::check_name("the submitter's name", &wish.by)
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Rejection> {
    if labels.len() > limits::LABELS_MAX {
        let limit = format!("{} labels", limits::LABELS_MAX);
        return Err(Rejection::Limit { what: "the number of labels".into(), limit });
    }
    let too_long = |text: &String| text.len() > limits::LABEL_BYTES_MAX;
    match labels.iter().find(|(name, value)| too_long(name) || too_long(value)) {
        Some((name, _)) => {
            let shown: String = name.chars().take(40).collect();
            let limit = format!("{} bytes", limits::LABEL_BYTES_MAX);
            Err(Rejection::Limit { what: format!("label `{shown}`"), limit })
        }
        None => Ok(()),
    }
}
