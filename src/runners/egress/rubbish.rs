//! Any URL at all, for the fuzz target `url` and the tests of what it found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

use super::HttpSettings;
use super::guard::Guard;

/// Asks whether a URL may be called: what stands before the first line break, at the addresses that the bytes behind
/// it make if it names its host. Panics if it may, and must not.
pub fn admit(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(at);
    let Ok(url) = String::from_utf8_lossy(text).parse::<Url>() else { return };
    let own = SocketAddr::new(Ipv4Addr::new(8, 8, 8, 8).into(), 8000);
    let guard = Guard::new(&HttpSettings { own_listeners: vec![own], ..HttpSettings::default() });
    let port = url.port_or_known_default().unwrap_or(0);
    let mut found = named(&rest[1.min(rest.len())..]);
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    let found = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    let Ok(admitted) = guard.admit_at(url, found) else { return };
    assert!(matches!(admitted.url.scheme(), "http" | "https"), "{}", admitted.url);
    assert!(admitted.url.username().is_empty() && admitted.url.password().is_none(), "{}", admitted.url);
    assert!(!admitted.addresses.is_empty(), "{} is somewhere", admitted.url);
    for address in &admitted.addresses {
        assert!(is_public(address.ip()), "{} at {address}", admitted.url);
        assert_ne!(*address, own, "{}", admitted.url);
        assert_eq!(Some(address.port()), admitted.url.port_or_known_default(), "{}", admitted.url);
    }
}

/// What a name server might have said: four bytes are an address, and sixteen after a zero.
fn named(mut bytes: &[u8]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        if *kind == 0
            && let Some((address, rest)) = bytes.split_first_chunk::<16>()
        {
            addresses.push(Ipv6Addr::from(*address).into());
            bytes = rest;
        } else if let Some((address, rest)) = bytes.split_first_chunk::<4>() {
            addresses.push(Ipv4Addr::from(*address).into());
            bytes = rest;
        }
    }
    addresses
}

/// Said once more, with what the standard library knows, and by prefixes: another way than the guard's.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let within = |prefix: &str, length: u32| {
                let prefix: Ipv6Addr = prefix.parse().expect("an address");
                bits >> (128 - length) == prefix.to_bits() >> (128 - length)
            };
            let special = [
                ("::", 64),
                ("64:ff9b::", 32),
                ("100::", 64),
                ("2001::", 32),
                ("2001:db8::", 32),
                ("2002::", 16),
                ("fc00::", 7),
                ("fe80::", 10),
                ("fec0::", 10),
                ("ff00::", 8),
            ];
            address.to_ipv4().is_none() && !special.iter().any(|(prefix, length)| within(prefix, *length))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first, second & 0xc0) == (100, 64)
        || (first, second & 0xfe) == (198, 18);
    !special
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_url_leads_to_a_private_place(bytes: Vec<u8>) {
            admit(&bytes);
        }
    }
}
