//! The fields of a JSON object, taken one by one; what is left over is unknown.

use serde_json::{Map, Value};

use crate::api::problem::Problem;

use super::nearest::nearest;

/// The fields of a body.
#[derive(Debug, Default)]
pub(in crate::api) struct Fields(Map<String, Value>);

impl Fields {
    pub(in crate::api) const fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// Refuses fields that are not known. Call it first, so that a misspelt field is not reported as
    /// a missing one.
    pub(in crate::api) fn known(self, known: &[&'static str]) -> Result<Self, Problem> {
        let Some(name) = self.0.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(self);
        };
        let shown: String = name.chars().take(64).collect();
        let detail = match (nearest(name, known), known) {
            (Some(near), _) => format!("there is no field {shown:?}; did you mean {near}?"),
            (None, []) => format!("there is no field {shown:?}; this body takes none"),
            (None, _) => format!("there is no field {shown:?}; this body takes {}", known.join(", ")),
        };
        Err(Problem::field("unknown_field", pointer(name), detail))
    }

    /// Takes a field; null counts as absent.
    pub(in crate::api) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text.
    pub(in crate::api) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a text", &other)),
        }
    }

    /// Takes a whole number of at least 1.
    pub(in crate::api) fn count(&mut self, name: &str) -> Result<Option<u32>, Problem> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match whole(&value).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(count) => Ok(Some(count)),
            None => Err(wrong(name, "a whole number from 1 to 4294967295", &value)),
        }
    }

    /// Takes an object.
    pub(in crate::api) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong(name, "an object", &other)),
        }
    }
}

/// The whole number a value is. JSON does not tell `3` from `3.0`.
fn whole(value: &Value) -> Option<u64> {
    let double = || value.as_f64().filter(|it| it.fract() == 0.0)?.to_string().parse().ok();
    value.as_u64().or_else(double)
}

/// A field of the wrong kind.
pub(in crate::api) fn wrong(name: &str, expected: &str, found: &Value) -> Problem {
    let detail = format!("{name} has to be {expected}, not {}", kind(found));
    Problem::field("invalid_field", pointer(name), detail)
}

/// The pointer to a field at the top of the body.
pub(in crate::api) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What a value is, with the value where it is short.
pub(in crate::api) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(map) => Fields::new(map),
            _ => panic!("an object is expected"),
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_the_nearest_known_one() {
        let problem = fields(serde_json::json!({"lables": {}})).known(&["input", "labels"]).unwrap_err();
        assert_eq!(problem.code, "unknown_field");
        assert_eq!(problem.pointer.as_deref(), Some("/lables"));
        assert!(problem.detail.ends_with("did you mean labels?"), "{}", problem.detail);
    }

    #[test]
    fn a_wrong_kind_has_its_pointer() {
        let problem = fields(serde_json::json!({"a/b": 7})).text("a/b").unwrap_err();
        assert_eq!(problem.pointer.as_deref(), Some("/a~1b"));
        assert_eq!(problem.detail, "a/b has to be a text, not 7");
        assert!(fields(serde_json::json!({"n": 0})).count("n").is_err());
        assert!(fields(serde_json::json!({"n": 1.5})).count("n").is_err());
        assert_eq!(fields(serde_json::json!({"n": 3.0})).count("n").unwrap(), Some(3));
        assert_eq!(fields(serde_json::json!({"n": null})).count("n").unwrap(), None);
    }
}
