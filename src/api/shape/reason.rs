//! Why an execution is not further.

use crate::engine::Reason;
use crate::engine::model::Execution;

use super::write::Object;

/// Writes `{execution_id, status, reasons}`.
pub(in crate::api) fn write_explanation(out: &mut Vec<u8>, execution: &Execution, reasons: &[Reason]) {
    let mut object = Object::new(out);
    object.shown("execution_id", execution.id);
    object.text("status", execution.status.as_str());
    object.list("reasons", reasons, |out, reason| {
        let mut object = Object::new(out);
        object.text("code", reason.code);
        match &reason.step {
            Some(step) => object.text("step_id", step),
            None => object.null("step_id"),
        }
        object.text("message", &reason.message);
        object.time("until", reason.until);
        object.end();
    });
    object.end();
}
