//! Where random values and the time come from.
//!
//! A chart must not draw secrets on its own: every rendering would draw others, and a plan could never be repeated. So
//! the source is injected, and without one such functions are refused.

use sha2::Digest as _;

/// A source of random bytes and of the time.
pub trait Randomness: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);

    /// Seconds and nanoseconds since 1970, for `now` and for the validity of certificates.
    fn now(&self) -> (i64, u32);
}

/// A source that gives the same bytes for the same seed, at a fixed time.
///
/// It is meant for tests and for previews; whoever knows the seed knows the values.
pub struct Seeded {
    seed: [u8; 32],
    counter: std::sync::atomic::AtomicU64,
    now: i64,
}

impl Seeded {
    /// A source from a seed of any length and a time in seconds since 1970.
    pub fn new(seed: &[u8], now: i64) -> Self {
        Self {
            seed: sha2::Sha256::digest(seed).into(),
            counter: std::sync::atomic::AtomicU64::new(0),
            now,
        }
    }
}

impl Randomness for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let count = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut hash = sha2::Sha256::new();
            hash.update(self.seed);
            hash.update(count.to_be_bytes());
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
    }

    fn now(&self) -> (i64, u32) {
        (self.now, 0)
    }
}
