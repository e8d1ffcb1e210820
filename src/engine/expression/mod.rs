//! `${ … }`: CEL over an execution's values.
//!
//! An [`Expression`] is one CEL expression, such as a step's `when`. A [`Template`] is a JSON document
//! whose strings may hold expressions, such as a step's `params`: a string that is exactly one
//! expression keeps the type of its value, any other is interpolated text (strings as they are,
//! everything else as JSON), and `$${` is a literal `${`.
//!
//! # The life of an expression
//! `token` cuts the text, `parse` builds a tree and resolves every name on the way (`names` knows them
//! and offers the nearest one for a misspelt one), all when a definition is saved. When a decision
//! needs the value, `loaded` parses the payloads the expression mentions, and no others, and `evaluate`
//! walks the tree over borrowed JSON. `write` turns the result into JSON text. A template without
//! expressions is a finished [`Payload`] and costs a reference count.
//!
//! # Names
//! `input`, `steps.<id>.output`, `.status` and `.error`, `execution` (`id`, `started_at`, `attempt`),
//! `workflow` (`id`, `name`, `version`), `now`, and, in the `output` of a step, `output`: what its runner
//! answered. A step is named by its id, hyphens included, or by its position from 0: `steps.0.output`.
//! It is always a literal, so that a definition can be checked for references to steps that cannot have run.
//!
//! # Why not an interpreter from elsewhere
//! Expressions run inside decisions, on the leader, in front of everybody else's work. That needs a
//! budget on work, the same order of map keys on every node, no copy of payloads, and no text that can
//! exhaust the stack. So this is an own evaluator of CEL; the tests hold it against the `cel` crate.
//!
//! # Limits
//! Text of 8 KiB, brackets 32 deep, two nested comprehensions over at most 10,000 items each, results of
//! 1 MiB, and a budget of work in place of a deadline, because a clock would make replays differ.
//! Regular expressions run in linear time.
//!
//! # Caveats: where it differs from CEL
//! - `int` and `uint` are one type; an integer and a double mix in arithmetic, because JSON does not
//!   tell `1000` from `1000.0`. Dividing integers truncates, as in CEL. What does not fit is a fault:
//!   never a double, and a number above 2^63-1 only where one took part.
//! - `has(x.f)` is false where `x` is null, which an input that was not given is. Without `has`,
//!   `x.f` is a fault there, as everywhere.
//! - Keys of maps are strings. There are no bytes, no protocol buffers and no optional types.
//! - `now` and `execution.started_at` are timestamps; as results they are RFC 3339 strings. Calendar
//!   functions know UTC only.

mod arithmetic;
mod calls;
mod evaluate;
mod functions;
mod loaded;
mod names;
mod parse;
mod pattern;
mod stop;
mod template;
mod text;
mod token;
mod tree;
mod value;
mod write;

pub use names::Names;
pub(crate) use names::nearest;
pub use template::Template;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::definition::Spec;
use crate::model::limits::EXPRESSION_BYTES_MAX;
use crate::model::{Execution, Fault, Payload, StepIndex, Timestamp};

use evaluate::Machine;
use loaded::Loaded;
use parse::{Until, parse};
use stop::Stop;
use tree::{Node, Root};
use write::Writer;

/// Brackets inside brackets. The parser recurses; this many fit a stack of 2 MiB many times over.
const NESTING_MAX: usize = 32;
/// Operators inside operators, counted along the deepest path. The evaluator recurses.
const DEPTH_MAX: usize = 160;
/// Comprehensions inside comprehensions. Two pair up the items of two lists; three are a program.
const COMPREHENSIONS_NESTED_MAX: usize = 2;
/// Items of a list that is built or gone through.
const LIST_ITEMS_MAX: usize = 10_000;
/// Nodes visited in one evaluation, or in all those of one template. About 20 ms of work, in front of which a partition waits.
const WORK_MAX: u64 = 500_000;
/// Bytes of payloads looked at in one evaluation. Parsed, they take several times as much memory.
const LOADED_BYTES_MAX: usize = 8 << 20;

/// What an expression may see. Payloads are parsed only when looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The execution.
    pub execution: &'a Execution,
    /// Its definition.
    pub spec: &'a Spec,
    /// The recorded time of the decision.
    pub now: Timestamp,
    /// In a step's `output`: the step's position and what its runner answered.
    pub result: Option<(StepIndex, &'a Payload)>,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    node: Node,
    roots: BTreeSet<Root>,
}

impl Expression {
    /// Compiles a text, which may be wrapped in `${ … }`. Errors: the first thing wrong with it.
    pub fn compile(text: &str, names: &Names) -> Result<Self, Problem> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let message = format!("an expression is at most {EXPRESSION_BYTES_MAX} bytes long");
            return Err(Problem::new(0, message));
        }
        let wrapped = text.trim_start().starts_with("${");
        let parsed = if wrapped {
            let from = text.find("${").unwrap_or(0) + 2;
            let parsed = parse(text, from, Until::Brace, names)?;
            if !text[parsed.end..].trim().is_empty() {
                return Err(Problem::new(parsed.end, "there is text behind the expression"));
            }
            parsed
        } else {
            parse(text, 0, Until::End, names)?
        };
        Ok(Self { source: text.to_owned(), node: parsed.node, roots: parsed.roots })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The steps it looks at, in the definition's order.
    pub fn steps(&self) -> impl Iterator<Item = StepIndex> + '_ {
        steps_of(&self.roots)
    }

    /// What its value is, with its article, if that can be told from the text alone and is no boolean.
    #[must_use]
    pub fn never_a_condition(&self) -> Option<&'static str> {
        self.node.never_a_bool()
    }

    /// Evaluates.
    ///
    /// Errors: a fault with code `expression`, or `limit` if the result or the work is too much.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        let loaded = Loaded::new(scope, &self.roots).map_err(Stop::into_fault)?;
        let mut writer = Writer::default();
        let value = Machine::new(&self.source, &loaded).run(&self.node).map_err(Stop::into_fault)?;
        writer.value(&value, 0).map_err(Stop::into_fault)?;
        serde_json::from_str(&writer.finish()).map_err(|error| Stop::wrong(error.to_string()).into_fault())
    }

    /// Evaluates to a boolean; anything else is a fault.
    pub fn truth(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        let loaded = Loaded::new(scope, &self.roots).map_err(Stop::into_fault)?;
        Machine::new(&self.source, &loaded).truth(&self.node).map_err(Stop::into_fault)
    }
}

fn steps_of(roots: &BTreeSet<Root>) -> impl Iterator<Item = StepIndex> + '_ {
    roots.iter().filter_map(|root| match root {
        Root::StepOutput(step) | Root::StepStatus(step) | Root::StepError(step) => Some(*step),
        Root::Input | Root::Execution | Root::Workflow | Root::Now | Root::Result => None,
    })
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes from the start of the string.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Problem {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A problem in one of a template's strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// RFC 6901 pointer from the root of the template.
    pub pointer: String,
    /// What is wrong there.
    pub problem: Problem,
}
