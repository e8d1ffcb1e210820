//! The bytes of what was released. A test here that fails means that old data cannot be read any more.

use everstep::storage::codec::{self, Kind};
use everstep::storage::{Error, FileHardState, HardGroup, HardRecord, HardState, Loaded, encode_record};

use crate::support::entry;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

type Plain = (String, u32, Option<bool>, Vec<u8>);

fn plain() -> Plain {
    ("deploy".into(), 300, Some(true), vec![1, 2, 3])
}

const ENVELOPE: &str = "09000200100000002e55cfe4066465706c6f79fb2c01010103010203";
const RECORD: &str = "45564c52010003002900000000000000070000000000000005000000efbeadde94269a1968656c6c6f";
const HARD_STATE: &str = "45564853010000000100000000000000090000001fc82501070101030101760109";

#[test]
fn an_envelope_keeps_its_bytes() {
    assert_eq!(hex(&codec::encode(Kind(9), 2, &plain())), ENVELOPE);
    assert_eq!(codec::decode::<Plain>(Kind(9), &unhex(ENVELOPE)).unwrap(), (2, plain()));
}

#[test]
fn a_log_record_keeps_its_bytes() {
    let (bytes, crc) = encode_record(3, &entry(41, 7, b"hello"), 0xdead_beef);
    assert_eq!((hex(&bytes), crc), (RECORD.into(), 0x199a_2694));
}

#[test]
fn the_hard_state_keeps_its_bytes() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("hard-state");
    let group = HardGroup { vote: Some(b"v".to_vec()), last: Some(9) };
    let record = HardRecord { node: 7, boot: 1, groups: [(3, group)].into() };
    let file = FileHardState::open(&path).unwrap();
    assert_eq!(file.load().unwrap(), Loaded::Missing);
    file.save(&record).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let golden = unhex(HARD_STATE);
    assert_eq!(hex(&bytes[..golden.len()]), HARD_STATE);
    assert_eq!(hex(&bytes[65536..][..golden.len()]), HARD_STATE);

    std::fs::write(&path, &golden).unwrap();
    let loaded = FileHardState::open(&path).unwrap().load().unwrap();
    assert_eq!(loaded, Loaded::Found { record, repaired: true });
}

#[test]
fn any_flipped_bit_of_an_envelope_is_seen() {
    let golden = unhex(ENVELOPE);
    for bit in 0..golden.len() * 8 {
        let mut bytes = golden.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(codec::decode::<Plain>(Kind(9), &bytes).is_err(), "bit {bit}");
    }
    for length in 0..golden.len() {
        assert!(codec::decode::<Plain>(Kind(9), &golden[..length]).is_err(), "length {length}");
    }
    assert!(codec::decode::<Plain>(Kind(8), &golden).is_err(), "another kind");
}

#[test]
fn a_length_that_lies_is_not_believed() {
    // A sound envelope around a body that says: here come 2^60 bytes.
    let lie = codec::encode(Kind(9), 1, &(1_u64 << 60));
    assert!(matches!(codec::decode::<Vec<u8>>(Kind(9), &lie), Err(Error::Corrupt { .. })));
    assert!(matches!(codec::decode::<String>(Kind(9), &lie), Err(Error::Corrupt { .. })));
    assert!(matches!(codec::decode::<Vec<u64>>(Kind(9), &lie), Err(Error::Corrupt { .. })));
    let longer = codec::encode(Kind(9), 1, &(5_u8, 6_u8));
    assert!(matches!(codec::decode::<u8>(Kind(9), &longer), Err(Error::Corrupt { .. })));
}

#[test]
fn a_vote_survives_either_slot() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("hard-state");
    let vote = |text: &str| {
        let group = HardGroup { vote: Some(text.as_bytes().to_vec()), last: None };
        HardRecord { node: 7, boot: 1, groups: [(0, group)].into() }
    };
    let file = FileHardState::open(&path).unwrap();
    file.save(&vote("first")).unwrap();
    file.save(&vote("second")).unwrap();
    let sound = std::fs::read(&path).unwrap();
    for slot in [0, 65536] {
        for byte in 0..unhex(HARD_STATE).len() {
            let mut bytes = sound.clone();
            bytes[slot + byte] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            let loaded = FileHardState::open(&path).unwrap().load().unwrap();
            assert_eq!(loaded, Loaded::Found { record: vote("second"), repaired: true }, "byte {byte}");
        }
    }
    let mut bytes = sound;
    (bytes[30], bytes[65536 + 30]) = (0xff, 0xff);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(FileHardState::open(&path).unwrap().load().unwrap(), Loaded::Damaged);
}
