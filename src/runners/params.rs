//! Reading resolved parameters.

use serde::Deserialize;
use serde_json::Value;

use crate::engine::model::{Fault, Payload, codes};

/// Parameters as a type. No parameters at all read as an empty object. Errors: a fatal `schema` fault,
/// since the same parameters will not read better next time.
pub(super) fn decode<'a, T: Deserialize<'a>>(params: &'a Payload) -> Result<T, Fault> {
    let text = if params.as_str() == "null" { "{}" } else { params.as_str() };
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

/// The fault for parameters of the wrong shape.
pub(super) fn unreadable(error: &serde_json::Error) -> Fault {
    wrong(format!("the parameters do not have the shape this step needs: {error}"))
}

/// The fault for a parameter of the wrong kind.
pub(super) fn wrong(message: impl Into<String>) -> Fault {
    Fault::fatal(codes::SCHEMA, message)
}

/// A list of parameter names, owned.
pub(super) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A value where text is needed: numbers and truth values are written out. Errors: a `schema` fault for
/// null, lists and objects, naming the parameter.
pub(super) fn text(name: &str, value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(wrong(format!("`{name}` has to be text, a number or a truth value")))
        }
    }
}
