//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// An address that must not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not to be connected to: it is {range}")]
pub struct Forbidden {
    /// The address.
    pub address: IpAddr,
    /// What it is, in words.
    pub range: &'static str,
}

/// Who may be connected to.
#[derive(Debug, Clone)]
pub struct Guard {
    private: bool,
    loopback: bool,
    denied: Arc<[SocketAddr]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A network of one's own: an operator may mean it, a user's URL may not.
    Private,
    /// This machine: only where it is a developer's own.
    Loopback,
    /// Nothing that a request of ours is for.
    Never,
}

type Range<A> = (A, u32, Kind, &'static str);

/// IANA's special-purpose registry, and what clouds put there.
#[rustfmt::skip]
const V4: &[Range<Ipv4Addr>] = &[
    (Ipv4Addr::new(0, 0, 0, 0),       8,  Kind::Never,    "'this network', which many systems take for this machine"),
    (Ipv4Addr::new(10, 0, 0, 0),      8,  Kind::Private,  "a private network"),
    (Ipv4Addr::new(100, 64, 0, 0),    10, Kind::Private,  "a carrier's or cloud's inner network (CGNAT)"),
    (Ipv4Addr::new(127, 0, 0, 0),     8,  Kind::Loopback, "this machine (loopback; on Lambda the Runtime API)"),
    (Ipv4Addr::new(169, 254, 0, 0),   16, Kind::Never,    "link-local (the metadata service; on Lambda the Runtime API)"),
    (Ipv4Addr::new(172, 16, 0, 0),    12, Kind::Private,  "a private network"),
    (Ipv4Addr::new(192, 0, 0, 0),     24, Kind::Never,    "reserved for protocols (one cloud's metadata service)"),
    (Ipv4Addr::new(192, 0, 2, 0),     24, Kind::Never,    "for documentation only"),
    (Ipv4Addr::new(192, 88, 99, 0),   24, Kind::Never,    "a 6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0),   16, Kind::Private,  "a private network"),
    (Ipv4Addr::new(198, 18, 0, 0),    15, Kind::Never,    "for benchmarks only"),
    (Ipv4Addr::new(198, 51, 100, 0),  24, Kind::Never,    "for documentation only"),
    (Ipv4Addr::new(203, 0, 113, 0),   24, Kind::Never,    "for documentation only"),
    (Ipv4Addr::new(224, 0, 0, 0),     4,  Kind::Never,    "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0),     4,  Kind::Never,    "reserved, or broadcast"),
];

/// The same for IPv6. What carries an IPv4 address inside is refused whole: nobody needs that spelling for an honest purpose.
#[rustfmt::skip]
const V6: &[Range<Ipv6Addr>] = &[
    (Ipv6Addr::LOCALHOST,                                128, Kind::Loopback, "this machine (loopback)"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0),              96,  Kind::Never,    "unspecified, or an IPv4 address in disguise"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),         96,  Kind::Never,    "an IPv4 address in disguise (mapped)"),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0),         96,  Kind::Never,    "an IPv4 address in disguise (translated)"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),      96,  Kind::Never,    "an IPv4 address in disguise (NAT64)"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),      48,  Kind::Never,    "an IPv4 address in disguise (NAT64)"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0),          16,  Kind::Never,    "discarded"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),         23,  Kind::Never,    "reserved for protocols (Teredo, ORCHID)"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),     32,  Kind::Never,    "for documentation only"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),         16,  Kind::Never,    "an IPv4 address in disguise (6to4)"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),         20,  Kind::Never,    "for documentation only"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0),     32,  Kind::Never,    "the metadata service"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),         7,   Kind::Private,  "a private network (unique local)"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),         10,  Kind::Never,    "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0),         10,  Kind::Never,    "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),         8,   Kind::Never,    "multicast"),
];

impl Guard {
    /// For addresses that users choose: the public internet and nothing else.
    pub fn internet() -> Guard {
        Guard { private: false, loopback: false, denied: Arc::new([]) }
    }

    /// For addresses that the operator chose: private networks too.
    pub fn operator() -> Guard {
        Guard { private: true, ..Guard::internet() }
    }

    /// Loopback as well: on a developer's own machine only.
    #[must_use]
    pub fn with_loopback(mut self, allowed: bool) -> Guard {
        self.loopback = allowed;
        self
    }

    /// Never these, whatever else is allowed: engines and control endpoints that share a developer's loopback.
    #[must_use]
    pub fn without(mut self, denied: &[SocketAddr]) -> Guard {
        self.denied = denied.into();
        self
    }

    /// Whether `to` may be connected to.
    pub fn check(&self, to: SocketAddr) -> Result<(), Forbidden> {
        let refuse = |range| Err(Forbidden { address: to.ip(), range });
        match special(to.ip()) {
            Some((Kind::Private, _)) if self.private => {}
            Some((Kind::Loopback, _)) if self.loopback => {}
            Some((_, range)) => return refuse(range),
            None => {}
        }
        if self.denied.contains(&to) { refuse("an endpoint of the system itself") } else { Ok(()) }
    }
}

/// The special range an address lies in; `None` = the public internet.
fn special(address: IpAddr) -> Option<(Kind, &'static str)> {
    match address {
        IpAddr::V4(address) => {
            let within = |(base, length, ..): &&Range<Ipv4Addr>| {
                (base.to_bits() ^ address.to_bits()) >> (32 - length) == 0
            };
            V4.iter().find(within).map(|(_, _, kind, name)| (*kind, *name))
        }
        IpAddr::V6(address) => {
            let within = |(base, length, ..): &&Range<Ipv6Addr>| {
                (base.to_bits() ^ address.to_bits()) >> (128 - length) == 0
            };
            let found = V6.iter().find(within).map(|(_, _, kind, name)| (*kind, *name));
            // Only 2000::/3 was ever given out; the rest is nobody's yet.
            found.or((address.segments()[0] & 0xe000 != 0x2000).then_some((Kind::Never, "reserved")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn passes(guard: &Guard, address: IpAddr) -> bool {
        guard.check(SocketAddr::new(address, 80)).is_ok()
    }

    /// `who`: `n` nobody, `o` the operator, `l` whoever has loopback, `a` anybody.
    fn check(address: &str, who: char) {
        let ip: IpAddr = address.parse().unwrap();
        assert_eq!(passes(&Guard::internet(), ip), who == 'a', "{address} from the internet's guard");
        assert_eq!(
            passes(&Guard::operator(), ip),
            who == 'o' || who == 'a',
            "{address} from the operator's guard"
        );
        let local = Guard::internet().with_loopback(true);
        assert_eq!(passes(&local, ip), who == 'l' || who == 'a', "{address} from the local guard");
    }

    #[test]
    fn each_range_begins_and_ends_where_it_should() {
        for (first, last, who) in [
            ("0.0.0.0", "0.255.255.255", 'n'),
            ("10.0.0.0", "10.255.255.255", 'o'),
            ("100.64.0.0", "100.127.255.255", 'o'),
            ("127.0.0.0", "127.255.255.255", 'l'),
            ("169.254.0.0", "169.254.169.254", 'n'),
            ("172.16.0.0", "172.31.255.255", 'o'),
            ("192.0.0.0", "192.0.0.255", 'n'),
            ("192.168.0.0", "192.168.255.255", 'o'),
            ("198.18.0.0", "198.19.255.255", 'n'),
            ("224.0.0.0", "255.255.255.255", 'n'),
            ("::1", "::1", 'l'),
            ("::", "::", 'n'),
            ("::2", "::ffff:ffff", 'n'),
            ("::ffff:127.0.0.1", "::ffff:93.184.215.14", 'n'),
            ("::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", 'n'),
            ("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", 'n'),
            ("2001::1", "2001:1ff:ffff::", 'n'),
            ("2002:7f00:1::", "2002:ffff::", 'n'),
            ("2001:db8::", "3fff::1", 'n'),
            ("fc00::", "fdff::1", 'o'),
            ("fd00:ec2::254", "fd00:ec2::254", 'n'),
            ("fe80::1", "febf::1", 'n'),
            ("fec0::1", "ff02::1", 'n'),
            ("4000::1", "100::1", 'n'),
            ("1.1.1.1", "9.255.255.255", 'a'),
            ("11.0.0.0", "100.63.255.255", 'a'),
            ("100.128.0.0", "126.255.255.255", 'a'),
            ("128.0.0.0", "169.253.255.255", 'a'),
            ("169.255.0.0", "172.15.255.255", 'a'),
            ("172.32.0.0", "191.255.255.255", 'a'),
            ("192.169.0.0", "198.17.255.255", 'a'),
            ("198.20.0.0", "223.255.255.255", 'a'),
            ("2600::1", "2a00:1450:4001::8a", 'a'),
            ("2001:200::1", "2001:4860:4860::8888", 'a'),
        ] {
            check(first, who);
            check(last, who);
        }
    }

    #[test]
    fn a_denied_endpoint_is_denied_on_allowed_loopback_too() {
        let engine: SocketAddr = "127.0.0.1:9324".parse().unwrap();
        let guard = Guard::internet().with_loopback(true).without(&[engine]);
        assert!(guard.check(engine).is_err());
        assert!(guard.check("127.0.0.1:80".parse().unwrap()).is_ok());
    }

    proptest! {
        /// The standard library's own opinions, as far as it has stable ones, are never laxer than ours.
        #[test]
        fn what_passes_is_public(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            if passes(&Guard::internet(), v4.into()) {
                prop_assert!(!v4.is_private() && !v4.is_loopback() && !v4.is_link_local() && !v4.is_multicast());
                prop_assert!(!v4.is_unspecified() && !v4.is_broadcast() && !v4.is_documentation());
            }
        }

        /// No IPv6 spelling of an IPv4 address gets through anybody's guard.
        #[test]
        fn no_disguise_helps(bits in any::<u32>(), low in any::<u64>()) {
            let v4 = Ipv4Addr::from(bits);
            let wide = u128::from(bits);
            for disguise in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::from((0x0064_ff9b_u128 << 96) | wide),
                Ipv6Addr::from((0x0064_ff9b_0001_u128 << 80) | u128::from(low)),
                Ipv6Addr::from((0xffff_u128 << 48) | wide),
                Ipv6Addr::from((0x2002_u128 << 112) | (wide << 80) | u128::from(low)),
                Ipv6Addr::from((0x2001_u128 << 112) | u128::from(low)),
            ] {
                let guard = Guard::operator().with_loopback(true);
                prop_assert!(!passes(&guard, disguise.into()), "{disguise}");
            }
        }

        #[test]
        fn what_passes_of_v6_is_global_unicast(bits in any::<u128>()) {
            let v6 = Ipv6Addr::from(bits);
            if passes(&Guard::internet(), v6.into()) {
                prop_assert_eq!(v6.segments()[0] >> 13, 1);
                prop_assert!(!v6.is_unique_local() && !v6.is_unicast_link_local() && !v6.is_multicast());
            }
        }
    }
}
