//! Our evaluator against the `cel` crate: where both give a value, it is the same one.

use everstep_engine::expression::Expression;
use proptest::prelude::*;
use serde_json::Value;

use crate::world::World;

/// What the other one says.
fn theirs(text: &str, input: &Value) -> Option<Value> {
    let program = cel::Program::compile(text).ok()?;
    let mut context = cel::Context::default();
    context.add_variable("input", input.clone()).ok()?;
    program.execute(&context).ok()?.json().ok()
}

fn ours(text: &str, world: &World) -> Option<Value> {
    Expression::compile(text, &world.names()).ok()?.evaluate(&world.scope()).ok()
}

/// Doubles are compared as numbers: `2.0` and `2` are one value of JSON.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same(l, r)),
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len()
                && l.iter().all(|(key, value)| r.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-20_i32..20).prop_map(|int| int.to_string()),
        prop_oneof![Just("1.5"), Just("0.25"), Just("2.0")].prop_map(str::to_owned),
        prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(str::to_owned),
        prop_oneof![Just("'a'"), Just("\"b c\""), Just("''"), Just("r'\\d+'")].prop_map(str::to_owned),
        prop_oneof![
            Just("input.amount"),
            Just("input.name"),
            Just("input.items"),
            Just("input.items[1].n"),
            Just("input.numbers"),
            Just("input.labels"),
            Just("input.missing"),
            Just("input.flag"),
        ]
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator = prop_oneof![
            Just("+"), Just("-"), Just("*"), Just("/"), Just("%"), Just("=="), Just("!="), Just("<"), Just("<="),
            Just(">"), Just(">="), Just("&&"), Just("||"), Just("in"),
        ];
        prop_oneof![
            4 => (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            1 => inner.clone().prop_map(|it| format!("!({it})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, t, o)| format!("({c} ? {t} : {o})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            1 => inner.clone().prop_map(|it| format!("size({it})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("input.numbers.map(x, {a} == x ? x : {b})")),
            1 => inner.clone().prop_map(|it| format!("input.items.filter(x, x.n > {it})")),
            1 => inner.clone().prop_map(|it| format!("input.items.all(x, x.n >= {it})")),
            1 => inner.clone().prop_map(|it| format!("input.items.exists(x, x.n == {it} || x.absent)")),
            1 => inner.clone().prop_map(|it| format!("{it}.contains('a')")),
            1 => inner.clone().prop_map(|it| format!("string({it})")),
            1 => inner.prop_map(|it| format!("int({it})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn where_both_give_a_value_it_is_the_same(text in expression()) {
        let world = World::new();
        let input = world.execution.input.value();
        let (ours, theirs) = (ours(&text, &world), theirs(&text, &input));
        if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
            prop_assert!(same(ours, theirs), "{text}: ours {ours}, theirs {theirs}");
        }
        // We take more, such as `1 + 1.5`, but nothing that is CEL is refused.
        prop_assert!(ours.is_some() || theirs.is_none(), "{text}: theirs gives {theirs:?}");
    }
}
