//! Workflows as the server shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Finding;

/// A versioned definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Workflow {
    /// Its id.
    pub id: String,
    /// The version shown, from 1.
    pub version: u32,
    /// The definition's name.
    pub name: String,
    /// `draft`, `active` or `archived`; only active ones run.
    pub status: String,
    /// The definition's labels.
    pub labels: BTreeMap<String, String>,
    /// The definition. Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One version of a workflow, as a line of the list of versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WorkflowVersion {
    /// From 1.
    pub version: u32,
    /// The definition's name.
    pub name: String,
    /// Of the definition, as the server stores it.
    pub hash: String,
    /// Who saved it.
    pub created_by: String,
    /// RFC 3339.
    pub created_at: String,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What the server says of a definition it was asked to check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Validation {
    /// Nothing is wrong.
    pub valid: bool,
    /// Everything that is wrong.
    pub errors: Vec<Finding>,
    /// What this version of the client does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Which workflows to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// `draft`, `active` or `archived`.
    pub status: Option<String>,
    /// Workflows per page; the server's choice if not said.
    pub limit: Option<u32>,
}

/// The text of a definition. JSON and YAML are one language; YAML is the wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(pub &'a str);

impl Text<'_> {
    /// How the text is announced, so that findings name its lines and columns.
    pub(crate) fn content_type(self) -> &'static str {
        if self.0.trim_start().starts_with('{') { "application/json" } else { "application/yaml" }
    }
}
