//! The actions of `logic`: computed within a decision, from resolved parameters.

use serde_json::{Map, Value, json};

use crate::definition::Pure;
use crate::model::{Fault, Payload, codes};

/// The output of a pure step.
///
/// Errors: a fault with the code `assertion` if an assertion does not hold, `schema` if a parameter is
/// missing or of another type than the rule needs.
pub(super) fn compute(rule: Pure, params: &Payload) -> Result<Payload, Fault> {
    match rule {
        Pure::Set => Ok(params.clone()),
        Pure::Assert => assert_that(&params.value()),
        Pure::Switch => switch(&params.value()),
        Pure::Transform => required(&params.value(), "value").map(Payload::from_value),
        Pure::Merge => merge(&params.value()),
    }
}

fn assert_that(params: &Value) -> Result<Payload, Fault> {
    if truth(required(params, "that")?, "/that")? {
        return Ok(Payload::from_value(&json!({ "held": true })));
    }
    let message = match params.get("message") {
        Some(Value::String(message)) => message.clone(),
        Some(message) => message.to_string(),
        None => "the assertion does not hold".to_owned(),
    };
    Err(Fault::fatal(codes::ASSERTION, message))
}

fn switch(params: &Value) -> Result<Payload, Fault> {
    for (number, case) in list(params, "cases")?.iter().enumerate() {
        let pointer = format!("/cases/{number}");
        let when = case.get("when").ok_or_else(|| missing(&format!("{pointer}/when")))?;
        if truth(when, &format!("{pointer}/when"))? {
            let name = case.get("name").cloned().unwrap_or_else(|| json!(number));
            let value = case.get("value").unwrap_or(&Value::Null);
            return Ok(Payload::from_value(&json!({ "case": name, "value": value })));
        }
    }
    let value = params.get("default").unwrap_or(&Value::Null);
    Ok(Payload::from_value(&json!({ "case": "default", "value": value })))
}

fn merge(params: &Value) -> Result<Payload, Fault> {
    let mut merged = Map::new();
    for (number, object) in list(params, "objects")?.iter().enumerate() {
        let Value::Object(object) = object else {
            return Err(wrong(&format!("/objects/{number}"), "an object", object));
        };
        merged.extend(object.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Payload::from_value(&Value::Object(merged)))
}

fn required<'a>(params: &'a Value, name: &str) -> Result<&'a Value, Fault> {
    params.get(name).ok_or_else(|| missing(&format!("/{name}")))
}

fn list<'a>(params: &'a Value, name: &str) -> Result<&'a [Value], Fault> {
    match required(params, name)? {
        Value::Array(items) => Ok(items),
        other => Err(wrong(&format!("/{name}"), "a list", other)),
    }
}

fn truth(value: &Value, pointer: &str) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| wrong(pointer, "true or false", value))
}

fn missing(pointer: &str) -> Fault {
    Fault::fatal(codes::SCHEMA, format!("params{pointer} is missing"))
}

fn wrong(pointer: &str, wanted: &str, found: &Value) -> Fault {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Fault::fatal(codes::SCHEMA, format!("params{pointer} is {found}, and has to be {wanted}"))
}
