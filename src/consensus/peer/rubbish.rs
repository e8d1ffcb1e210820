//! Anything at all on a connection between nodes, for the fuzz target `peer` and the tests of what it found.

use bytes::Bytes;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::codec;

use super::super::{Request, Response, SnapshotHead};
use super::frame::Frame;
use super::hello::{Hello, Welcome};
use super::request::Call;

/// Reads the bytes as what crosses a connection: the first byte says as what. Panics if something is read that is
/// not written as it was read.
pub fn read(bytes: &[u8]) {
    let Some((what, body)) = bytes.split_first() else { return };
    match what % 7 {
        0 => frames(body),
        1 => message::<Hello>(body),
        2 => message::<Welcome>(body),
        3 => message::<Request>(body),
        4 => message::<Response>(body),
        5 => message::<SnapshotHead>(body),
        _ => call(body),
    }
}

fn frames(mut stream: &[u8]) {
    // Memory never keeps a reader waiting.
    while let Some(Ok(Some(frame))) = Frame::read(&mut stream).now_or_never() {
        let mut written = Vec::new();
        frame.write(&mut written).now_or_never().expect("memory takes it at once").expect("it was a frame");
        let again = Frame::read(&mut written.as_slice()).now_or_never().expect("it is there");
        assert_eq!(again.expect("it was written"), Some(frame), "a frame is read as it was written");
    }
}

fn call(body: &[u8]) {
    if let Some(call) = Call::decode(Bytes::copy_from_slice(body)) {
        assert_eq!(call.encode(), body, "a request is written as it was read");
    }
}

/// The envelope around a message has a checksum that chance does not find, so this begins inside.
fn message<T: Serialize + DeserializeOwned>(body: &[u8]) {
    const ANY: codec::Kind = codec::Kind(0x4e);
    let Ok(message) = codec::decode_body::<T>(body) else { return };
    let written = codec::encode(ANY, 1, &message);
    let (_, again) = codec::decode::<T>(ANY, &written).expect("what was written is read");
    assert_eq!(codec::encode(ANY, 1, &again), written, "a message is written as it was read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_on_a_connection_are_refused_or_read(bytes: Vec<u8>) {
            read(&bytes);
        }
    }
}
