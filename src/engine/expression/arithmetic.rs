//! Operators on numbers, strings, lists and times.
//!
//! JSON does not tell `1000` from `1000.0` by type, so an integer and a double mix here, where CEL
//! would refuse: the result is a double.

use super::tree::Operator;
use super::value::{List, Val};

/// What is wrong, to be put behind the text of the expression.
pub(super) type Why = String;

/// Applies an arithmetic operator; `None` if it does not take such values.
pub(super) fn compute<'a>(
    operator: Operator,
    left: &Val<'a>,
    right: &Val<'a>,
) -> Option<Result<Val<'a>, Why>> {
    Some(match (left, right) {
        (Val::Int(l), Val::Int(r)) => integers(operator, *l, *r),
        (Val::Double(l), Val::Double(r)) => doubles(operator, *l, *r)?,
        (Val::Int(l), Val::Double(r)) => doubles(operator, rounded(*l), *r)?,
        (Val::Double(l), Val::Int(r)) => doubles(operator, *l, rounded(*r))?,
        (Val::Text(l), Val::Text(r)) if operator == Operator::Add => Ok(Val::built(&[&**l, &**r].concat())),
        (Val::List(l), Val::List(r)) if operator == Operator::Add => Ok(joined(l, r)),
        _ => times(operator, left, right)?,
    })
}

/// The negative of a number or a duration.
pub(super) fn negate<'a>(value: &Val<'a>) -> Result<Val<'a>, Why> {
    match value {
        Val::Int(int) => within(int.checked_neg(), INT_MAX),
        Val::Double(double) => Ok(Val::Double(-double)),
        Val::Span(micros) => micros.checked_neg().map(Val::Span).ok_or_else(overflow),
        other => Err(format!("is {}, and `-` takes a number", other.what())),
    }
}

/// The largest `int` of CEL. What is beyond is a `uint`.
const INT_MAX: i128 = i64::MAX as i128;

/// An operation on `int`s has to give an `int`, as in CEL; only where a `uint` takes part may one come out.
fn integers<'a>(operator: Operator, left: i128, right: i128) -> Result<Val<'a>, Why> {
    let most = if left.max(right) > INT_MAX { i128::from(u64::MAX) } else { INT_MAX };
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide | Operator::Remainder if right == 0 => return Err("divides by zero".to_owned()),
        Operator::Divide => left.checked_div(right),
        Operator::Remainder => left.checked_rem(right),
        Operator::Equal
        | Operator::Unequal
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::In => unreachable!("comparisons are not arithmetic"),
    };
    within(result, most)
}

fn within<'a>(int: Option<i128>, most: i128) -> Result<Val<'a>, Why> {
    let lawful = i128::from(i64::MIN)..=most;
    int.filter(|it| lawful.contains(it)).map(Val::Int).ok_or_else(|| "overflows 64 bits".to_owned())
}

fn overflow() -> Why {
    "overflows".to_owned()
}

fn doubles<'a>(operator: Operator, left: f64, right: f64) -> Option<Result<Val<'a>, Why>> {
    let double = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => return None,
        Operator::Equal
        | Operator::Unequal
        | Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::In => unreachable!("comparisons are not arithmetic"),
    };
    Some(Ok(Val::Double(double)))
}

/// As a double, losing what does not fit 53 bits.
#[expect(clippy::cast_precision_loss, reason = "that is what a double does")]
pub(super) fn rounded(int: i128) -> f64 {
    int as f64
}

/// The integer a double stands for, if it stands for one.
#[expect(clippy::cast_possible_truncation, reason = "the double is known to fit")]
pub(super) fn whole(value: &Val<'_>) -> Option<i128> {
    match value {
        Val::Double(double) if double.fract() == 0.0 && double.abs() < 1e15 => Some(*double as i128),
        _ => None,
    }
}

fn joined<'a>(left: &List<'a>, right: &List<'a>) -> Val<'a> {
    Val::list(left.iter().chain(right.iter()).collect())
}

fn times<'a>(operator: Operator, left: &Val<'a>, right: &Val<'a>) -> Option<Result<Val<'a>, Why>> {
    let value = match (operator, left, right) {
        (Operator::Add, Val::Time(time), Val::Span(span))
        | (Operator::Add, Val::Span(span), Val::Time(time)) => {
            time.checked_add(*span).filter(|it| is_in_calendar(*it)).map(Val::Time)
        }
        (Operator::Subtract, Val::Time(time), Val::Span(span)) => {
            time.checked_sub(*span).filter(|it| is_in_calendar(*it)).map(Val::Time)
        }
        (Operator::Subtract, Val::Time(l), Val::Time(r)) => l.checked_sub(*r).map(Val::Span),
        (Operator::Add, Val::Span(l), Val::Span(r)) => l.checked_add(*r).map(Val::Span),
        (Operator::Subtract, Val::Span(l), Val::Span(r)) => l.checked_sub(*r).map(Val::Span),
        _ => return None,
    };
    Some(value.ok_or_else(overflow))
}

/// Whether an instant, in microseconds since 1970, has a date of four digits.
pub(super) fn is_in_calendar(micros: i64) -> bool {
    jiff::Timestamp::from_microsecond(micros).is_ok()
}
