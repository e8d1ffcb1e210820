//! Every example runs to the end its header promises.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Server, web};

/// What an example is given and how it ends.
struct Story {
    file: &'static str,
    input: Value,
    status: &'static str,
    /// A pointer into the execution, and what stands there.
    holds: (&'static str, Value),
}

fn story(file: &'static str, input: Value, holds: (&'static str, Value)) -> Story {
    Story { file, input, status: "completed", holds }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_it_says() {
    let page = web(|_| (200, r#"{"title":"a page of words"}"#.to_owned())).await;
    let mut calls = 0;
    let flaky = web(move |_| {
        calls += 1;
        if calls < 3 { (503, "{}".to_owned()) } else { (200, r#"{"well":true}"#.to_owned()) }
    })
    .await;
    let server = Server::start().await;
    let demo = server.dir.path().join("demo.txt").display().to_string();
    let order = json!({"customer": "Ada", "items": [{"sku": "lamp", "n": 2, "price": 40}]});
    let stories = [
        story("hello", Value::Null, ("/result/output/letters", json!(13))),
        story("shell-and-http", json!({"url": format!("http://{page}/")}), ("/error", Value::Null)),
        story("nightly-report", Value::Null, ("/error", Value::Null)),
        story("retry-flaky", json!({"url": format!("http://{flaky}/")}), ("/error", Value::Null)),
        story("graph", Value::Null, ("/result/results/sum/value", json!(42))),
        story("durable-demo", json!({"file": demo}), ("/error", Value::Null)),
        story("branching", json!({"amount": 1500}), ("/result/results/route/case", json!("large"))),
        story("delay", json!({"wait": "20ms"}), ("/error", Value::Null)),
        story("on-error-goto", Value::Null, ("/error", Value::Null)),
        story("catch", Value::Null, ("/error", Value::Null)),
        story("inputs-and-output", order, ("/error", Value::Null)),
    ];
    let told: BTreeSet<_> = stories.iter().map(|it| format!("{}.yaml", it.file)).collect();
    assert_eq!(told, examples(), "every example has a story");
    for story in &stories {
        let text = std::fs::read_to_string(format!("examples/{}.yaml", story.file)).unwrap();
        let ended = server.run(json!(text), story.input.clone()).await;
        assert_eq!(ended["status"], story.status, "{}: {ended}", story.file);
        let (pointer, wanted) = &story.holds;
        assert_eq!(ended.pointer(pointer), Some(wanted), "{}: {pointer} in {ended}", story.file);
    }
    assert_eq!(std::fs::read_to_string(demo).unwrap().lines().count(), 20, "each step has its line once");
}

/// The examples there are.
fn examples() -> BTreeSet<String> {
    let names =
        std::fs::read_dir("examples").unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    names.filter(|name| std::path::Path::new(name).extension().is_some_and(|it| it == "yaml")).collect()
}
