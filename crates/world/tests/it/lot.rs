//! Numbers by lot that follow from a seed, so that what failed can be lived again.

pub(crate) struct Lot(pub(crate) u64);

impl Lot {
    /// Below `end`.
    pub(crate) fn draw(&mut self, end: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap() % end
    }

    /// In hundredths.
    pub(crate) fn share(&mut self) -> u32 {
        u32::try_from(self.draw(100)).unwrap()
    }
}

/// The seed that was asked for, or the one of every test.
pub(crate) fn seed() -> u64 {
    number("OPENG2P_SEED").map_or(1, |number| u64::try_from(number).unwrap())
}

/// How many kills were asked for: so many in a test, or so many in a soak.
pub(crate) fn kills(test: usize, soak: usize) -> usize {
    let long = std::env::var("OPENG2P_SOAK").is_ok();
    number("OPENG2P_KILLS").unwrap_or(if long { soak } else { test })
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}
