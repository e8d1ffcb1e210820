//! Texts and what the check says of them.

use std::fmt::Write;

use everstep_engine::definition::{OnError, Spec, StepSpec, render};
use everstep_engine::model::limits::{DEFINITION_BYTES_MAX, STEPS_MAX};

use crate::golden;
use crate::world::catalogue;

#[test]
fn every_script_is_answered_as_written() {
    golden::blocks("definitions", |text| match Spec::parse(text, &catalogue()) {
        Ok(parsed) => {
            let loaded = Spec::load(&parsed.canonical).expect("what was accepted can be loaded");
            assert_eq!(shown(&loaded), shown(&parsed.spec), "a definition is loaded as it was parsed");
            assert_eq!(loaded.hash, parsed.spec.hash);
            shown(&parsed.spec)
        }
        Err(findings) => {
            for finding in &findings {
                assert!(finding.line.is_some() && finding.column.is_some(), "{finding:?} has a place");
            }
            let name = if text.contains("\n{") || text.starts_with('{') { "file.json" } else { "file.yaml" };
            render(&findings, name, text)
        }
    });
}

/// What the engine makes of a definition, step by step.
fn shown(spec: &Spec) -> String {
    let mut text = format!("{} {} priority={}", spec.name, spec.status, spec.priority);
    if let Some(timeout) = spec.timeout {
        write!(text, " timeout={timeout}").unwrap();
    }
    if !spec.labels.is_empty() {
        write!(text, " labels={:?}", spec.labels).unwrap();
    }
    let id = |index: everstep_engine::model::StepIndex| spec.steps[index.usize()].id.to_string();
    for step in &spec.steps {
        let needs: Vec<_> = step.needs.iter().map(|it| id(*it)).collect();
        write!(text, "\n{} {}", step.id, step.runner).unwrap();
        if !step.action.is_empty() {
            write!(text, "/{}", step.action).unwrap();
        }
        write!(text, " needs=[{}]", needs.join(" ")).unwrap();
        details(&mut text, step, &id);
    }
    text
}

fn details(text: &mut String, step: &StepSpec, id: &dyn Fn(everstep_engine::model::StepIndex) -> String) {
    write!(text, " join={:?} kind={:?}", step.join, step.kind).unwrap();
    if let Some(payload) = step.params.as_constant() {
        write!(text, " params={payload}").unwrap();
    } else {
        let steps: Vec<_> = step.params.steps().map(id).collect();
        write!(text, " params looks at [{}]", steps.join(" ")).unwrap();
    }
    if let Some(when) = &step.when {
        write!(text, " when={}", when.source()).unwrap();
    }
    if let Some(timeout) = step.timeout {
        write!(text, " timeout={timeout}").unwrap();
    }
    if step.retry.attempts > 1 {
        let retry = &step.retry;
        write!(text, " retry={}x {:?} {}", retry.attempts, retry.backoff, retry.initial).unwrap();
        write!(text, " x{} max {} jitter {} on {:?}", retry.factor, retry.max, retry.jitter, retry.on)
            .unwrap();
    }
    match step.on_error {
        OnError::Fail => {}
        OnError::Continue => text.push_str(" on_error=continue"),
        OnError::Goto(target) => write!(text, " on_error=goto {}", id(target)).unwrap(),
    }
    if !step.catches.is_empty() {
        let catches: Vec<_> = step.catches.iter().map(|it| id(*it)).collect();
        write!(text, " catches=[{}]", catches.join(" ")).unwrap();
    }
}

#[test]
fn json_and_yaml_are_the_same_definition() {
    let yaml = "name: a\nsteps:\n  - type: noop\n    params: { value: [1, 2.5, null, yes, 'x'] }\n";
    let json = r#"{"steps":[{"params":{"value":[1,2.5,null,"yes","x"]},"type":"noop"}],"name":"a"}"#;
    let yaml = Spec::parse(yaml, &catalogue()).unwrap();
    let json = Spec::parse(json, &catalogue()).unwrap();
    assert_eq!(yaml.canonical, json.canonical);
    assert_eq!(yaml.spec.hash, json.spec.hash);
    assert_eq!(
        json.canonical,
        r#"{"name":"a","steps":[{"params":{"value":[1,2.5,null,"yes","x"]},"type":"noop"}]}"#
    );
}

#[test]
fn the_hash_is_the_sha_256_of_the_canonical_text() {
    let hash = Spec::hash_of("{}").to_string();
    assert_eq!(hash, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

#[test]
fn limits_are_findings() {
    let steps = |count: usize| {
        let steps = "{\"type\":\"noop\"},".repeat(count);
        format!("{{\"name\":\"x\",\"steps\":[{}]}}", steps.trim_end_matches(','))
    };
    assert_eq!(Spec::parse(&steps(STEPS_MAX), &catalogue()).unwrap().spec.steps.len(), STEPS_MAX);
    let findings = Spec::parse(&steps(STEPS_MAX + 1), &catalogue()).unwrap_err();
    assert_eq!((findings[0].code, findings.len()), ("limit", 1));

    let long = format!("name: x\ndescription: {}\n", "x".repeat(DEFINITION_BYTES_MAX));
    assert_eq!(Spec::parse(&long, &catalogue()).unwrap_err()[0].code, "malformed");

    let deep = format!("{{\"name\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(Spec::parse(&deep, &catalogue()).unwrap_err()[0].code, "malformed");
    let deep = format!("name: {}{}", "[".repeat(150), "]".repeat(150));
    assert_eq!(Spec::parse(&deep, &catalogue()).unwrap_err()[0].code, "malformed");

    let wrong = "{\"typo\":1},".repeat(STEPS_MAX);
    let wrong = format!("{{\"name\":\"x\",\"steps\":[{}]}}", wrong.trim_end_matches(','));
    assert!(Spec::parse(&wrong, &catalogue()).unwrap_err().len() <= 100, "a bounded number of findings");
}

#[test]
fn a_few_lines_of_aliases_do_not_become_gigabytes() {
    let mut text = "name: laughs\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        writeln!(text, "a{level}: &a{level} [{}]", alias.trim_end_matches(", ")).unwrap();
    }
    let findings = Spec::parse(&text, &catalogue()).unwrap_err();
    assert_eq!(findings[0].code, "malformed");
    assert!(findings[0].message.contains("aliases"), "{}", findings[0].message);
}

#[test]
fn a_stored_definition_outlives_its_runners_and_newer_rules() {
    let stored = r#"{"name":"x","colour":"red","steps":[{"type":"retired","params":{"any":1}}]}"#;
    assert_eq!(Spec::load(stored).unwrap().steps[0].runner, "retired");
    assert!(Spec::parse(stored, &catalogue()).is_err());
    assert!(Spec::load("not even yaml: [").is_err());
}

#[test]
fn a_schema_cannot_make_checking_take_forever() {
    let mut defs = String::from("{\"d25\":{\"type\":\"object\"}");
    for level in 0..25 {
        let next = level + 1;
        let r = format!("{{\"$ref\":\"#/$defs/d{next}\"}}");
        write!(defs, ",\"d{level}\":{{\"allOf\":[{r},{r}]}}").unwrap();
    }
    defs.push('}');
    let text = format!(
        "{{\"name\":\"x\",\"input\":{{\"$ref\":\"#/$defs/d0\",\"$defs\":{defs}}},\"steps\":[{{\"type\":\"noop\"}}]}}"
    );
    let findings = Spec::parse(&text, &catalogue()).unwrap_err();
    assert_eq!((findings[0].code, findings.len()), ("schema", 1));
}
