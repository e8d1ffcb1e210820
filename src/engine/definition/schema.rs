//! JSON Schema, compiled once.

use std::error::Error;

use jsonschema::{PatternOptions, Retrieve, Uri};
use serde_json::Value;

use crate::model::limits::INPUT_MISTAKES_MAX;
use crate::model::{InputMistake, Payload};

use super::expansion;

/// Refuses to fetch schemas from elsewhere.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        Err("a schema refers only to places inside itself".into())
    }
}

/// A compiled JSON Schema.
#[derive(Debug)]
pub struct Schema(pub jsonschema::Validator);

impl Schema {
    /// Compiles a schema. References lead only to places inside it: nothing is fetched. Patterns run in
    /// linear time.
    ///
    /// Errors: where the schema is wrong, as a JSON pointer, and what is wrong there.
    pub fn compile(schema: &Value) -> Result<Self, (String, String)> {
        expansion::check(schema)?;
        let options =
            jsonschema::options().with_pattern_options(PatternOptions::regex()).with_retriever(Nowhere);
        let validator = options.build(schema);
        validator.map(Self).map_err(|error| (error.instance_path().to_string(), error.to_string()))
    }

    /// What is wrong with a document, at most [`INPUT_MISTAKES_MAX`]; nothing if it matches.
    #[must_use]
    pub fn mistakes(&self, document: &Payload) -> Vec<InputMistake> {
        /// The message quotes the document; a large one would drown the reason.
        const MESSAGE_CHARS_MAX: usize = 300;
        let value = document.value();
        let mistake = |error: jsonschema::ValidationError<'_>| InputMistake {
            pointer: error.instance_path().to_string(),
            message: error.to_string().chars().take(MESSAGE_CHARS_MAX).collect(),
        };
        self.0.iter_errors(&value).take(INPUT_MISTAKES_MAX).map(mistake).collect()
    }
}
