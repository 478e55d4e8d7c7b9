//! nftables and WireGuard.

use crate::{Key, Label, NameError, fitting, name_type};

name_type!(
    /// A chain or set within our own table: `g2p.<owner>.<component>[.<purpose>]`. It starts with a letter, which a label need not.
    NftablesName
);
name_type!(
    /// A network interface: `wg-<channel>`, at most 15 bytes (`IFNAMSIZ` - 1).
    InterfaceName
);

impl NftablesName {
    /// Most bytes of a chain, set or table (`NFT_NAME_MAXLEN` - 1).
    pub const LONGEST: usize = 255;

    /// The chain or set of `key`.
    pub fn of(key: &Key) -> Result<Self, NameError> {
        let name = format!("g2p.{}", key.joined('.'));
        fitting("nftables name", name, 1, Self::LONGEST).map(Self)
    }
}

impl InterfaceName {
    /// Most bytes of an interface's name.
    pub const LONGEST: usize = 15;

    /// The WireGuard interface of a channel.
    pub fn of(channel: &Label) -> Result<Self, NameError> {
        fitting("network interface", format!("wg-{channel}"), 1, Self::LONGEST).map(Self)
    }
}
