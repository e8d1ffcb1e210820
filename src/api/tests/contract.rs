//! The committed contract.

/// Run with `UPDATE=1` to write the document anew.
#[test]
fn the_committed_contract_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let now = crate::api::openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &now).expect("docs/openapi.json can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == now, "docs/openapi.json is stale: run this test with UPDATE=1 and commit the file");
}
