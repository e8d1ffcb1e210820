//! Expressions and their values.

use everstep_engine::expression::{Expression, Scope, Template};
use everstep_engine::model::{Payload, StepIndex, codes};
use serde_json::{Value, json};

use crate::golden;
use crate::world::World;

#[test]
fn every_line_has_its_value() {
    let world = World::new();
    golden::lines("expressions", |question| {
        if question.contains("${") {
            return answer_template(&world, question);
        }
        match Expression::compile(question, &world.names()) {
            Ok(expression) => match expression.evaluate(&world.scope()) {
                Ok(value) => value.to_string(),
                Err(fault) => format!("{fault}"),
            },
            Err(problem) => refused(&problem.message, problem.hint.as_deref(), problem.at),
        }
    });
}

fn refused(message: &str, hint: Option<&str>, at: usize) -> String {
    format!("refused at {at}: {message}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())
}

fn answer_template(world: &World, text: &str) -> String {
    match Template::compile(&Value::from(text), &world.names()) {
        Ok(template) => match template.resolve(&world.scope()) {
            Ok(payload) => payload.to_string(),
            Err(fault) => format!("{fault}"),
        },
        Err(wrong) => {
            let problem = &wrong[0].problem;
            refused(&problem.message, problem.hint.as_deref(), problem.at)
        }
    }
}

fn resolve(document: &Value) -> Payload {
    let world = World::new();
    Template::compile(document, &world.names()).unwrap().resolve(&world.scope()).unwrap()
}

#[test]
fn a_document_keeps_its_shape_around_its_expressions() {
    let document = json!({
        "order": "${ input.name }", "n": [1, "${ input.amount }", {"deep": "${steps.0.output}"}],
        "text": "pay ${input.amount} for ${ input.name }", "literal": "$${x}", "plain": 2.5, "none": null
    });
    assert_eq!(
        resolve(&document).value(),
        json!({
            "order": "Ada", "n": [1, 1000, {"deep": {"id": "ch_1", "body": {"paid": true}, "cents": 100_000}}],
            "text": "pay 1000 for Ada", "literal": "${x}", "plain": 2.5, "none": null
        })
    );
}

#[test]
fn keys_come_out_sorted() {
    let document = json!({"b": "${ {'z': 1, 'a': 2} }", "a": 1});
    assert_eq!(resolve(&document).as_str(), r#"{"a":1,"b":{"a":2,"z":1}}"#);
}

#[test]
fn a_constant_template_is_one_payload_shared_by_all() {
    let world = World::new();
    let template = Template::compile(&json!({"a": [1, "$${x}"]}), &world.names()).unwrap();
    let (first, second) =
        (template.resolve(&world.scope()).unwrap(), template.resolve(&world.scope()).unwrap());
    assert_eq!(first.as_str(), r#"{"a":[1,"${x}"]}"#);
    assert!(std::ptr::eq(first.as_str(), second.as_str()), "resolving a constant copies no text");
}

#[test]
fn a_reshape_sees_the_raw_answer_as_output_and_as_the_steps_own() {
    let world = World::new();
    let names = world.names().reshaping(StepIndex(4));
    let document = json!(["${ output.a }", "${ steps.tell.output.a }", "${ steps.charge.output.id }"]);
    let template = Template::compile(&document, &names).unwrap();
    let raw = Payload::from_text(r#"{"a":5}"#).unwrap();
    let scope = Scope { result: Some((StepIndex(4), &raw)), ..world.scope() };
    assert_eq!(template.resolve(&scope).unwrap().as_str(), r#"[5,5,"ch_1"]"#);
    assert!(Template::compile(&document, &world.names()).is_err(), "`output` is known only there");
}

#[test]
fn every_wrong_string_of_a_document_is_reported_with_its_pointer() {
    let world = World::new();
    let document = json!({"a/b": ["${ 1 + }", "fine", "${ nput }"], "c${x}": 1});
    let wrong = Template::compile(&document, &world.names()).unwrap_err();
    let pointers: Vec<_> = wrong.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/a~1b/0", "/a~1b/2", ""]);
}

#[test]
fn work_and_size_are_bounded() {
    let mut world = World::new();
    let numbers: Vec<u32> = (0..9_000).collect();
    world.execution.input = Payload::from_value(&json!({"n": numbers, "s": "x".repeat(1_000)}));
    let cases = [
        "input.n.map(a, input.n.map(b, a * b))",
        "input.n.all(a, !input.n.exists(b, b == -1))",
        "input.n.map(a, input.n)",
        "input.n.map(a, input.s + input.s)",
        "(input.n + input.n).map(a, a)",
        "input.n.map(a, input.s.matches(string(a) + '[a-z]{50}'))",
        "input.n.map(a, input.n == input.n)",
    ];
    for text in cases {
        let fault = Expression::compile(text, &world.names()).unwrap().evaluate(&world.scope()).unwrap_err();
        assert_eq!(fault.code, codes::LIMIT, "{text}: {fault}");
        assert!(!fault.retryable, "{text}");
    }
    let lawful = Expression::compile("input.n.filter(n, n % 2 == 0).map(n, n * 2).size()", &world.names());
    assert_eq!(lawful.unwrap().evaluate(&world.scope()).unwrap(), json!(4_500));
    let many = Template::compile(&json!(vec!["${ input.n.map(a, a) }"; 100]), &world.names()).unwrap();
    assert_eq!(many.resolve(&world.scope()).unwrap_err().code, codes::LIMIT, "one budget for a document");
}

#[test]
fn the_deepest_lawful_expressions_fit_a_small_stack() {
    let world = World::new();
    let nested = format!("{}1{}", "(".repeat(31), ")".repeat(31));
    let lists = format!("{}1{}", "[".repeat(31), "]".repeat(31));
    let sum = ["1"; 155].join(" + ");
    let fields = format!("input{}", ".x".repeat(155));
    let choices = format!("{}1", "true ? 1 : ".repeat(30));
    let flat = ["true"; 1_000].join(" && ");
    let rows = [nested, lists, sum, choices, flat, "!".repeat(4_000) + "true", "-".repeat(4_000) + "1"];
    let names = world.names();
    for text in &rows {
        let expression = Expression::compile(text, &names).unwrap_or_else(|it| panic!("{text}: {it:?}"));
        expression.evaluate(&world.scope()).unwrap_or_else(|it| panic!("{text}: {it}"));
    }
    assert_eq!(
        Expression::compile(&fields, &names).unwrap().evaluate(&world.scope()).unwrap_err().code,
        "expression"
    );
    let refused = [
        format!("{}1{}", "(".repeat(4_000), ")".repeat(4_000)),
        "[".repeat(8_000),
        "{'a':".repeat(1_000),
        ["1"; 2_000].join("+"),
        format!("input{}", ".x".repeat(4_000)),
        "true?1:".repeat(1_000),
        "x.map(x,".repeat(900),
        "size(".repeat(1_500),
    ];
    for text in &refused {
        assert!(Expression::compile(text, &names).is_err(), "{} is too deep", &text[..20]);
    }
}

#[test]
fn a_condition_is_a_boolean_and_nothing_else() {
    let world = World::new();
    let truth = |text: &str| Expression::compile(text, &world.names()).unwrap().truth(&world.scope());
    assert_eq!(truth("${ input.amount > 999.5 }"), Ok(true));
    assert_eq!(truth("input.amount > 1000"), Ok(false));
    assert_eq!(truth("true"), Ok(true));
    for text in ["input.amount", "'true'", "null", "input.missing"] {
        assert_eq!(truth(text).unwrap_err().code, codes::EXPRESSION, "{text}");
    }
}

#[test]
fn a_fault_that_is_absorbed_costs_no_message() {
    let mut world = World::new();
    let wide: serde_json::Map<_, _> = (0..5_000).map(|at| (format!("key-{at}"), json!(at))).collect();
    let numbers: Vec<u32> = (0..9_000).collect();
    world.execution.input = Payload::from_value(&json!({"wide": wide, "n": numbers}));
    let expression =
        Expression::compile("input.n.exists(n, input.wide.kee-1 == 0 || n == 8999)", &world.names());
    assert!(expression.is_err(), "a key with a hyphen needs brackets");
    let text = "input.n.exists(n, input.wide['kee-1'] == 0 || n == 8999)";
    let expression = Expression::compile(text, &world.names()).unwrap();
    assert_eq!(expression.truth(&world.scope()), Ok(true), "nine thousand absent keys are no work");
}
