//! Whatever the text, the answer is a value or a finding, never a panic.

use everstep_engine::definition::{Spec, render};
use everstep_engine::expression::{Expression, Template};
use proptest::prelude::*;
use serde_json::Value;

use crate::world::{World, catalogue};

/// Pieces that mean something, in an order that seldom does.
fn pieces(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(all), 0..40).prop_map(|pieces| pieces.concat())
}

const EXPRESSION: &[&str] = &[
    "${",
    "}",
    "$${",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "!",
    "-",
    "+",
    "==",
    "&&",
    "||",
    " ",
    "'",
    "\"",
    "\\",
    "steps",
    ".my-step",
    ".0",
    ".output",
    "input",
    "1",
    "0x",
    "1e9",
    "9999999999999999999999",
    "map",
    "(x,",
    "x",
    "has",
    "in",
    "ü",
    "\n",
    "r'",
    "'''",
    "size",
    "matches",
    "now",
    "null",
    "e",
    "u",
    "@",
    "#",
    "`",
    "=",
];

const DEFINITION: &[&str] = &[
    "name: x\n",
    "steps:\n",
    "  - id: a\n",
    "  - ",
    "    type: noop\n",
    "    needs: [a, b]\n",
    "    needs: []\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\n",
    " ",
    "  ",
    "- ",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    ">\n",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "when: true\n",
    "retry: 3\n",
    "\t",
    "ü",
    "\u{0}",
    "params: {timeout: 3}\n",
    "null",
    "1e400",
    "0x10",
    "~",
    "<<: *a\n",
    "? ",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"name\"",
    "\"steps\"",
    "\"x\"",
    "\"",
    "\\",
    "\\u12",
    "1",
    "-",
    "1e5",
    "true",
    "null",
    "tru",
    " ",
    "\n",
    "\"id\"",
    "\"type\"",
    "ü",
];

fn check(text: &str) {
    if let Err(findings) = Spec::parse(text, &catalogue()) {
        assert!(!findings.is_empty(), "a refusal says why");
        assert!(!render(&findings, "file", text).is_empty());
    }
    let _ = Spec::load(text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_expression_of_rubbish(text in prop_oneof![pieces(EXPRESSION), any::<String>()]) {
        let world = World::new();
        if let Ok(expression) = Expression::compile(&text, &world.names()) {
            let _ = expression.evaluate(&world.scope());
        }
        match Template::compile(&Value::from(text), &world.names()) {
            Ok(template) => drop(template.resolve(&world.scope())),
            Err(wrong) => prop_assert!(!wrong.is_empty()),
        }
    }

    #[test]
    fn a_definition_of_rubbish(text in prop_oneof![pieces(DEFINITION), pieces(JSON), any::<String>()]) {
        check(&text);
    }

    #[test]
    fn a_definition_with_a_byte_changed(at in 0_usize..400, byte in any::<char>()) {
        let text = "name: x\nlabels: {a: b}\nsteps:\n  - id: a\n    type: http\n    params: {url: \"x/${ input.a }\"}\n    \
            retry: {attempts: 3, on: [5xx]}\n  - {id: b, type: noop, needs: [a], when: '${ steps.a.output.ok }'}\n";
        let mut chars: Vec<char> = text.chars().collect();
        let place = at % chars.len();
        chars[place] = byte;
        check(&chars.into_iter().collect::<String>());
    }
}
