//! Which addresses a lab gets: the first /24 of 10.213.0.0/16 that no route of the machine covers.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    base: Ipv4Addr,
    bits: u8,
}

const RANGE: Subnet = Subnet {
    base: Ipv4Addr::new(10, 213, 0, 0),
    bits: 16,
};

impl Subnet {
    /// The address with this number within the network; 1 is the gateway.
    pub fn address(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + u32::from(number))
    }

    /// Length of the prefix.
    pub fn bits(self) -> u8 {
        self.bits
    }

    fn mask(bits: u8) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
    }

    fn contains(self, other: Self) -> bool {
        other.bits >= self.bits && u32::from(other.base) & Self::mask(self.bits) == u32::from(self.base)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.bits)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no IPv4 network");
        let (base, bits) = text.split_once('/').unwrap_or((text, "32"));
        let base: Ipv4Addr = base.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(wrong)?;
        Ok(Self {
            base: Ipv4Addr::from(u32::from(base) & Self::mask(bits)),
            bits,
        })
    }
}

/// Networks in the output of `ip -4 -oneline route show table all` and of `ip -4 -oneline address`.
pub(crate) fn networks_in(output: &str) -> Vec<Subnet> {
    output
        .lines()
        .flat_map(str::split_whitespace)
        .filter(|word| word.contains('.'))
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The first free /24. Broader routes than our range (a VPN that takes 10.0.0.0/8) do not count: a /24 is more
/// specific, and otherwise no lab could ever start there.
pub(crate) fn first_free(used: &[Subnet]) -> Option<Subnet> {
    (0..=255)
        .map(|third| Subnet {
            base: Ipv4Addr::new(10, 213, third, 0),
            bits: 24,
        })
        .find(|candidate| {
            !used.iter().any(|network| {
                candidate.contains(*network) || (RANGE.contains(*network) && network.contains(*candidate))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn reads_routes_as_ip_prints_them() {
        let output = "default via 192.0.2.1 dev eth0 \n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.2 \n\
                      10.213.3.0/24 dev g2pb0 proto kernel scope link src 10.213.3.1 linkdown \n\
                      broadcast 10.213.3.255 dev g2pb0 table local proto kernel";
        let networks = networks_in(output);
        assert!(networks.contains(&subnet("10.213.3.0/24")));
        assert!(networks.contains(&subnet("10.213.3.255/32")));
    }

    #[test]
    fn takes_the_first_gap() {
        assert_eq!(first_free(&[]), Some(subnet("10.213.0.0/24")));
        assert_eq!(
            first_free(&[subnet("10.213.0.0/24"), subnet("10.213.2.0/24")]),
            Some(subnet("10.213.1.0/24"))
        );
        assert_eq!(
            first_free(&[subnet("10.213.0.7/32")]),
            Some(subnet("10.213.1.0/24"))
        );
        assert_eq!(
            first_free(&[subnet("10.213.0.0/23")]),
            Some(subnet("10.213.2.0/24"))
        );
    }

    #[test]
    fn a_broad_route_does_not_block_but_the_whole_range_does() {
        assert_eq!(
            first_free(&[subnet("10.0.0.0/8"), subnet("0.0.0.0/0")]),
            Some(subnet("10.213.0.0/24"))
        );
        assert_eq!(first_free(&[subnet("10.213.0.0/16")]), None);
    }

    #[test]
    fn addresses_and_text() {
        let lab = subnet("10.213.9.0/24");
        assert_eq!(lab.address(1), Ipv4Addr::new(10, 213, 9, 1));
        assert_eq!(serde_json::to_string(&lab).unwrap(), "\"10.213.9.0/24\"");
        assert_eq!(serde_json::from_str::<Subnet>("\"10.213.9.0/24\"").unwrap(), lab);
        assert!("10.213.9.0/33".parse::<Subnet>().is_err() && "nonsense".parse::<Subnet>().is_err());
    }
}
