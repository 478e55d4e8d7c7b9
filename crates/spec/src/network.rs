//! IPv4 networks.

use std::fmt;
use std::net::Ipv4Addr;

/// A network such as `10.244.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u32,
}

impl Network {
    /// Address and prefix, whatever the host bits are.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address = address.parse().ok()?;
        let digits = (1..=2).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| digits && *prefix <= 32)?;
        Some(Self { address, prefix })
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0)
    }

    /// The same network without host bits.
    pub(crate) fn base(self) -> Self {
        Self {
            address: Ipv4Addr::from_bits(self.address.to_bits() & self.mask()),
            prefix: self.prefix,
        }
    }

    pub(crate) fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether all of it is meant for private use (RFC 1918, RFC 6598, and the ranges for documentation and benchmarks).
    pub(crate) fn is_private(self) -> bool {
        const PRIVATE: [(Ipv4Addr, u32); 8] = [
            (Ipv4Addr::new(10, 0, 0, 0), 8),
            (Ipv4Addr::new(172, 16, 0, 0), 12),
            (Ipv4Addr::new(192, 168, 0, 0), 16),
            (Ipv4Addr::new(100, 64, 0, 0), 10),
            (Ipv4Addr::new(192, 0, 2, 0), 24),
            (Ipv4Addr::new(198, 51, 100, 0), 24),
            (Ipv4Addr::new(203, 0, 113, 0), 24),
            (Ipv4Addr::new(198, 18, 0, 0), 15),
        ];
        PRIVATE
            .into_iter()
            .any(|(address, prefix)| prefix <= self.prefix && Self { address, prefix }.contains(self.address))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn parses_networks_only() {
        for text in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/008",
            "::/0",
            "a/8",
            "10.0.0.0/8 ",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(network("0.0.0.0/0").base(), network("0.0.0.0/0"));
        assert_eq!(network("10.1.2.3/16").base(), network("10.1.0.0/16"));
        assert_eq!(network("10.1.2.3/32").base(), network("10.1.2.3/32"));
    }

    #[test]
    fn overlaps_are_seen_from_both_sides() {
        for (left, right, expected) in [
            ("10.0.0.0/8", "10.96.0.0/12", true),
            ("10.244.0.0/16", "10.96.0.0/12", false),
            ("0.0.0.0/0", "192.0.2.1/32", true),
            ("10.96.0.0/12", "10.112.0.0/12", false),
        ] {
            assert_eq!(network(left).overlaps(network(right)), expected);
            assert_eq!(network(right).overlaps(network(left)), expected);
        }
    }

    #[test]
    fn private_ranges() {
        assert!(network("10.244.0.0/16").is_private() && network("172.31.0.0/16").is_private());
        assert!(!network("172.0.0.0/8").is_private() && !network("8.8.8.0/24").is_private());
    }
}
