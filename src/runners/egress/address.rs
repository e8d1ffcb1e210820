//! What kind of place an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds a policy tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The open internet.
    Public,
    /// This machine.
    Loopback,
    /// A private network, or a provider's.
    Private,
    /// This link; cloud metadata lives here.
    LinkLocal,
    /// An IPv6 address that hides an IPv4 one, or is carried by one.
    Translated,
    /// Nobody in particular: unspecified, multicast, broadcast, documentation, reserved.
    Special,
}

impl Place {
    /// As people call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address, where cloud metadata lives",
            Self::Translated => "an IPv6 address that stands for an IPv4 one",
            Self::Special => "a reserved address",
        }
    }
}

/// The kind of an address, by the IANA special-purpose registries of both families.
pub(super) const fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

const fn place_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        [127, ..] => Place::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Place::Private,
        [169, 254, ..] => Place::LinkLocal,
        // This network, IETF protocols, documentation, benchmarking, the old 6to4 relay, multicast,
        // reserved, broadcast.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Place::Special,
        _ => Place::Public,
    }
}

const fn place_v6(address: Ipv6Addr) -> Place {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Place::Special,
        // Mapped, compatible and translated (SIIT), NAT64 and its local form, Teredo, 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, ..]
        | [0x2001, 0, ..]
        | [0x2002, ..] => Place::Translated,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Place::Private,
        [0xfe80..=0xfebf, ..] => Place::LinkLocal,
        // IETF protocols, documentation.
        [0x2001, 0x1..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Place::Special,
        // All that was ever given out.
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{LinkLocal, Loopback, Private, Public, Special, Translated};

    const TABLE: [(&str, Place); 70] = [
        ("8.8.8.8", Public),
        ("1.1.1.1", Public),
        ("93.184.216.34", Public),
        ("0.0.0.0", Special),
        ("0.255.255.255", Special),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("100.128.0.0", Public),
        ("100.100.100.200", Private),
        ("127.0.0.1", Loopback),
        ("127.255.255.254", Loopback),
        ("128.0.0.1", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", LinkLocal),
        ("169.254.169.254", LinkLocal),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("192.0.0.192", Special),
        ("192.0.1.0", Public),
        ("192.0.2.1", Special),
        ("192.88.99.1", Special),
        ("192.167.255.255", Public),
        ("192.168.0.1", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.1", Special),
        ("198.19.255.255", Special),
        ("198.20.0.0", Public),
        ("198.51.100.7", Special),
        ("203.0.113.7", Special),
        ("223.255.255.255", Public),
        ("224.0.0.1", Special),
        ("239.255.255.250", Special),
        ("240.0.0.1", Special),
        ("255.255.255.255", Special),
        ("2606:4700::1111", Public),
        ("2a00:1450::1", Public),
        ("::", Special),
        ("::1", Loopback),
        ("::2", Translated),
        ("::127.0.0.1", Translated),
        ("::ffff:127.0.0.1", Translated),
        ("::ffff:8.8.8.8", Translated),
        ("::ffff:0:7f00:1", Translated),
        ("64:ff9b::7f00:1", Translated),
        ("64:ff9b:1::1", Translated),
        ("2001::1", Translated),
        ("2002:7f00:1::", Translated),
        ("2001:10::1", Special),
        ("2001:db8::1", Special),
        ("2001:200::1", Public),
        ("3fff:fff::1", Special),
        ("3fff:1000::1", Public),
        ("100::1", Special),
        ("5f00::1", Special),
        ("fc00::1", Private),
        ("fd12:3456::1", Private),
        ("fd00:ec2::254", Private),
        ("fe80::1", LinkLocal),
        ("febf::1", LinkLocal),
        ("fec0::1", Private),
        ("ff02::1", Special),
    ];

    #[test]
    fn each_range_at_its_edges() {
        for (text, expected) in TABLE {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(place(address), expected, "{text}");
        }
    }
}
