//! Bytes for tests, of this crate's own and of those beside it.

/// Bytes that cannot be compressed.
pub(crate) fn random(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}
