//! Values while an expression runs. What comes from a payload is borrowed, not copied.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::model::Timestamp;

use super::text::Text;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    /// CEL's `int` and `uint` together: from `i64::MIN` to `u64::MAX`, as JSON has it.
    Int(i128),
    Double(f64),
    Text(Text<'a>),
    /// Microseconds since 1970.
    Time(i64),
    /// Microseconds.
    Span(i64),
    List(List<'a>),
    Map(Map<'a>),
}

/// A list, borrowed or built.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [Value]),
    Built(Rc<Vec<Val<'a>>>),
}

/// A map with string keys, borrowed or built.
#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, Value>),
    Built(Rc<BTreeMap<Text<'a>, Val<'a>>>),
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int.into()),
                (None, Some(uint)) => Self::Int(uint.into()),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(Text::Borrowed(text)),
            Value::Array(items) => Self::List(List::Json(items)),
            Value::Object(map) => Self::Map(Map::Json(map)),
        }
    }
}

impl<'a> Val<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    pub(super) fn built(text: &str) -> Self {
        Self::Text(Text::Built(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Built(Rc::new(items)))
    }

    pub(super) fn map(entries: BTreeMap<Text<'a>, Self>) -> Self {
        Self::Map(Map::Built(Rc::new(entries)))
    }

    pub(super) fn time(at: Timestamp) -> Self {
        Self::Time(i64::try_from(at.micros()).unwrap_or(i64::MAX))
    }

    /// The CEL name of its type.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Time(_) => "timestamp",
            Self::Span(_) => "duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// With its article, for messages.
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::Time(_) => "a timestamp",
            Self::Span(_) => "a duration",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// How much there is to look at, for the work budget.
    pub(super) fn weight(&self) -> u64 {
        /// A byte costs far less than a node of the tree.
        const BYTES_PER_UNIT: usize = 32;
        let weight = match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Time(_) | Self::Span(_) => 0,
            Self::Text(text) => text.len() / BYTES_PER_UNIT,
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
        };
        u64::try_from(weight).unwrap_or(u64::MAX)
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Val<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Val::from),
            Self::Built(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Val<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Built(map) => map.len(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Val<'a>> {
        match self {
            Self::Json(map) => map.get(key).map(Val::from),
            Self::Built(map) => map.get(key).cloned(),
        }
    }

    /// Sorted, so that a comprehension visits them in the same order everywhere.
    pub(super) fn keys(&self) -> Vec<Text<'a>> {
        match self {
            Self::Json(map) => {
                let mut keys: Vec<_> = map.keys().map(|key| Text::Borrowed(key)).collect();
                keys.sort_unstable();
                keys
            }
            Self::Built(map) => map.keys().cloned().collect(),
        }
    }
}

/// Whether two values are equal. Numbers are equal by value, other values of different types are not.
pub(super) fn equal(left: &Val<'_>, right: &Val<'_>, work: &mut u64) -> bool {
    *work = work.saturating_add(1).saturating_add(left.weight().min(right.weight()));
    match (left, right) {
        (Val::Null, Val::Null) => true,
        (Val::List(left), Val::List(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(l, r)| equal(&l, &r, work))
        }
        (Val::Map(left), Val::Map(right)) => {
            left.len() == right.len()
                && left.keys().iter().all(|key| match (left.get(key), right.get(key)) {
                    (Some(l), Some(r)) => equal(&l, &r, work),
                    _ => false,
                })
        }
        _ => compare(left, right) == Some(Ordering::Equal),
    }
}

/// Which comes first; `None` for values that have no order between them.
pub(super) fn compare(left: &Val<'_>, right: &Val<'_>) -> Option<Ordering> {
    match (left, right) {
        (Val::Bool(l), Val::Bool(r)) => Some(l.cmp(r)),
        (Val::Int(l), Val::Int(r)) => Some(l.cmp(r)),
        (Val::Double(l), Val::Double(r)) => l.partial_cmp(r),
        (Val::Int(l), Val::Double(r)) => compare_mixed(*l, *r),
        (Val::Double(l), Val::Int(r)) => compare_mixed(*r, *l).map(Ordering::reverse),
        (Val::Text(l), Val::Text(r)) => Some(l.cmp(r)),
        (Val::Time(l), Val::Time(r)) | (Val::Span(l), Val::Span(r)) => Some(l.cmp(r)),
        _ => None,
    }
}

/// Exact, where a conversion of the integer would round.
#[expect(clippy::cast_possible_truncation, reason = "the double is known to fit")]
fn compare_mixed(int: i128, double: f64) -> Option<Ordering> {
    /// Beyond every integer there is.
    const BEYOND: f64 = 1e30;
    if double.is_nan() {
        return None;
    }
    if double.abs() > BEYOND {
        return Some(if double > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = double.trunc() as i128;
    Some(int.cmp(&whole).then_with(|| 0.0.partial_cmp(&double.fract()).unwrap_or(Ordering::Equal)))
}
