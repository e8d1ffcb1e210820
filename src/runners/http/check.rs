//! What a definition can be told of a request before it is sent.

use serde::Deserialize;
use serde_json::Value;

use super::super::params;
use super::super::written::{Written, below, is_open};
use super::{Expect, Ranges, header_name, header_value, method, url};
use crate::engine::definition::Misfit;

/// Checks the parameters of `http` as they are written.
pub(super) fn check(params: &Value) -> Vec<Misfit> {
    let mut written = Written::new(params);
    check_url(&mut written);
    if let Some(name) = written.text("method") {
        written.judge("/method", method(name));
    }
    check_headers(&mut written);
    for (name, value) in written.entries("query") {
        let values = match value {
            Value::Null => &[],
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            written.judge(below("query", name), params::text(&format!("query.{name}"), value));
        }
    }
    written.scalars("form");
    if let [_, second, ..] = *written.given(&["json", "body", "form"]) {
        written.wrong(format!("/{second}"), "`json`, `body` and `form` exclude each other");
    }
    check_expect(&mut written);
    written.misfits()
}

/// Checks `url`, as far as it is known.
pub(in crate::runners) fn check_url(written: &mut Written<'_>) {
    let Some(text) = written.text("url") else { return };
    match url(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            let message = format!("only http and https URLs are called, not `{}`", url.scheme());
            written.wrong("/url", message);
        }
        parsed => written.judge("/url", parsed),
    }
}

/// Checks `headers`, as far as they are known.
pub(in crate::runners) fn check_headers(written: &mut Written<'_>) {
    for name in written.keys("headers") {
        written.judge(below("headers", name), header_name(name));
    }
    for (name, text) in written.scalars("headers") {
        if let Ok(header) = header_name(name) {
            written.judge(below("headers", name), header_value(&header, text));
        }
    }
}

fn check_expect(written: &mut Written<'_>) {
    let Some(value) = written.known("expect") else { return };
    if value.as_array().is_some_and(|statuses| statuses.iter().any(is_open)) {
        return;
    }
    let read = Expect::deserialize(value).map_err(|error| params::unreadable(&error));
    let read = read.and_then(|expect| Ranges::read(&expect));
    let hint = "`expect` holds statuses, such as 204 or \"2xx\", or a list of them";
    if read.is_err() {
        written.wrong("/expect", hint);
    }
}
