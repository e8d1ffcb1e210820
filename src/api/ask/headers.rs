//! The headers that change what a request means.

use axum::http::header::{HeaderName, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};

use crate::api::problem::Problem;

use super::query::whole;

/// Bytes of an idempotency key. It is stored as a hash; longer ones are mistakes.
const KEY_BYTES_MAX: usize = 255;

/// The `Idempotency-Key`: 1 to 255 visible ASCII characters.
pub(in crate::api) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(text) = one(headers, "idempotency-key")? else { return Ok(None) };
    check_key(&text).map_err(|detail| Problem::parameter("Idempotency-Key", detail))?;
    Ok(Some(text))
}

/// Whether a text may be an idempotency key. The error says why not.
pub(in crate::api) fn check_key(text: &str) -> Result<(), String> {
    let lawful = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if lawful { Ok(()) } else { Err("a key has 1 to 255 visible ASCII characters, no spaces".to_owned()) }
}

/// The version named by `If-Match`; `*` matches every one. A tag that we never gave matches none.
pub(in crate::api) fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(text) = one(headers, IF_MATCH.as_str())? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = inner.and_then(whole).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    version.map(Some).ok_or_else(|| {
        let detail = "If-Match holds no ETag of a workflow; those look like \"3\"";
        Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail).named("If-Match")
    })
}

/// The ETag of a version.
pub(in crate::api) fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

/// The `Last-Event-ID` of a reader that comes back: the version of the last event it has.
pub(in crate::api) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = one(headers, "last-event-id")? else { return Ok(None) };
    match whole(&text) {
        Some(version) => Ok(Some(version)),
        None => {
            Err(Problem::parameter("Last-Event-ID", "this is no id of an event; those are whole numbers"))
        }
    }
}

fn one(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HeaderName::from_static(name)).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Problem::parameter(name, format!("{name} holds characters that are not ASCII"))),
        },
        (Some(_), Some(_)) => Err(Problem::parameter(name, format!("{name} is given more than once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, value: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())])
    }

    #[test]
    fn keys_are_visible_ascii() {
        let key = |value: &[u8]| idempotency_key(&headers("idempotency-key", value));
        assert_eq!(key(b"order-7").unwrap().as_deref(), Some("order-7"));
        assert!(key(&[b'x'; 255]).is_ok());
        for bad in [&b""[..], b"a b", "ä".as_bytes(), &[b'x'; 256]] {
            assert_eq!(key(bad).unwrap_err().parameter.as_deref().unwrap().to_lowercase(), "idempotency-key");
        }
    }

    #[test]
    fn if_match_names_a_version() {
        let version = |value: &[u8]| if_match(&headers("if-match", value));
        assert_eq!(version(b"\"3\"").unwrap(), Some(3));
        assert_eq!(version(b"*").unwrap(), None);
        for bad in [&b"3"[..], b"W/\"3\"", b"\"x\"", b"\"0\"", b""] {
            assert_eq!(version(bad).unwrap_err().status.as_u16(), 412);
        }
    }
}
