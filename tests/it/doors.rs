//! What somebody meets who gets it wrong: at the command line, and with a directory that is not whole.

use std::path::Path;
use std::process::{Command, Output};

use everstep::node::{Error, Node, Overrides, Settings};
use serde_json::json;

use crate::harness::Server;

fn everstep(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_everstep")).args(arguments).current_dir(dir).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_mistake_in_a_json_file_is_shown_in_its_line() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("{\n  \"name\": \"x\",\n  \"steps\": [{\"type\" \"noop\"}]\n}\n", "bad.json:3:21"),
        (
            "{\"name\": \"x\", \"steps\": [{\"type\": \"noop\", \"params\": {\"value\": 99999999999999999999}}]}\n",
            "bad.json:1:",
        ),
    ];
    for (definition, place) in cases {
        std::fs::write(home.path().join("bad.json"), definition).unwrap();
        let ran = everstep(home.path(), &["run", "bad.json"]);
        let told = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{told}");
        assert!(told.contains(place) && told.contains(definition.lines().last().unwrap_or("")), "{told}");
    }
}

#[test]
fn a_setting_that_cannot_be_is_named_and_is_a_mistake_of_usage() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["serve", "--listen", "8000"][..], &["dev", "--listen", "localhost"]] {
        let ran = everstep(home.path(), arguments);
        let told = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{told}");
        assert!(told.contains("api.listen") && told.contains("127.0.0.1:8000"), "{told}");
    }
    let ran = everstep(home.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.status.code(), Some(2), "{}", text(&ran.stderr));
}

#[test]
fn verify_tells_a_directory_that_is_none() {
    let home = tempfile::tempdir().unwrap();
    let ran = everstep(home.path(), &["verify", ".", "-o", "json"]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&report["ok"], &report["problems"][0]["place"]), (&json!(false), &json!("format")));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_its_log_is_storage_lost() {
    let mut server = Server::start().await;
    server.run(json!({"name": "one", "steps": [{"type": "noop"}]}), json!(null)).await;
    server.stop().await;
    let data = server.dir.path().join("data");
    std::fs::remove_dir_all(data.join("log")).unwrap();
    // As a node finds it that has saved nothing yet.
    std::fs::write(data.join("hard-state"), vec![0; 3 * 64 * 1024]).unwrap();
    let listen = Some("127.0.0.1:0".to_owned());
    let overrides = Overrides { listen, data_dir: Some(data), ..Overrides::default() };
    let started = Node::start(Settings::dev(std::iter::empty(), overrides).unwrap()).await;
    let error = started.err().expect("a node without its log does not start");
    assert_eq!(error.code(), "storage_lost", "{error}");
    assert!(
        matches!(&error, Error::StorageLost { what, .. } if what.contains("the identity file")),
        "{error}"
    );
}
