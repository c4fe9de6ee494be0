//! Counter-based random numbers: every draw is a pure function of (seed, purpose, epoch, index).
//!
//! No generator is carried from one step to the next, so the numbers do not depend on the number of threads, on the order of
//! work, or on where a killed run was resumed. The generator is Philox 4×32-10 (Salmon et
//! al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011), checked against the reference vectors.

/// The stream of random numbers of one (seed, purpose, epoch, index).
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    /// The low two words count the blocks that were drawn; the high two words hold epoch and index.
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream for a `purpose` (a short constant such as `"augment"`), for one item of one epoch.
    pub fn new(seed: u64, purpose: &str, epoch: u64, index: u64) -> Self {
        // A hash, so that streams of different purposes never coincide, whatever the integers are.
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&epoch.to_le_bytes()).update(&index.to_le_bytes());
        hasher.update(purpose.as_bytes());
        let hash = hasher.finalize();
        let word = |i: usize| u32::from_le_bytes(hash.as_bytes()[4 * i..4 * i + 4].try_into().expect("4 bytes"));
        Stream { key: [word(0), word(1)], counter: [0, 0, word(2), word(3)], block: [0; 4], used: 4 }
    }

    /// A stream that belongs to this one, e.g. for one view of an image. It does not depend on what was drawn here.
    pub fn child(&self, index: u64) -> Self {
        let seed = u64::from(self.key[0]) << 32 | u64::from(self.key[1]);
        let high = u64::from(self.counter[2]) << 32 | u64::from(self.counter[3]);
        Stream::new(seed, "child", high, index)
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox4x32_10(self.counter, self.key);
            let low = (u64::from(self.counter[1]) << 32 | u64::from(self.counter[0])).wrapping_add(1);
            self.counter[0] = low as u32;
            self.counter[1] = (low >> 32) as u32;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// Uniform in [0, 1) with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform integer in 0..n, without bias. `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "below(0): there is no integer in 0..0");
        // Lemire's multiply-and-reject.
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A random order of 0..n (Fisher–Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64 + 1) as usize);
        }
        order
    }
}

fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123's `kat_vectors` for philox4x32-10.
    #[test]
    fn philox_gives_the_reference_values() {
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox4x32_10([u32::MAX; 4], [u32::MAX; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox4x32_10([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn streams_differ_if_any_part_of_their_name_differs_and_repeat_otherwise() {
        let draw = |s, p, e, i| Stream::new(s, p, e, i).next_u64();
        let first = draw(1, "a", 2, 3);
        assert_eq!(first, draw(1, "a", 2, 3));
        for other in [draw(2, "a", 2, 3), draw(1, "b", 2, 3), draw(1, "a", 3, 3), draw(1, "a", 2, 4)] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(7, "moments", 0, 0);
        let n = 100_000;
        let mean = (0..n).map(|_| stream.uniform()).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 5e-3, "{mean}");
        let draws: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_permutation_contains_each_index_once() {
        let mut order = Stream::new(3, "order", 0, 0).permutation(101);
        assert_ne!(order, (0..101).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..101).collect::<Vec<_>>());
    }
}
