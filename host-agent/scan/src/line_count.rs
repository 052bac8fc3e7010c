//! How many lines a block has, at the speed at which it can be read from the processor's cache: every block of a search
//! behind a prefilter is counted.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

/// Bytes that are looked at together.
const CHUNK: usize = 64;

/// The lines of a block, the last one also when it isn't ended.
pub(crate) fn line_count(block: &[u8]) -> u64 {
    let unended = block.last().is_some_and(|&byte| byte != b'\n');
    newlines(Level::new(), block) + u64::from(unended)
}

fn newlines(level: Level, block: &[u8]) -> u64 {
    dispatch!(level, simd => count(simd, block))
}

/// Inlined, so that it is compiled for the processor's vectors.
#[inline(always)]
fn count<S: Simd>(simd: S, block: &[u8]) -> u64 {
    let (chunks, rest) = block.as_chunks::<CHUNK>();
    let of_chunk = |chunk: &[u8; CHUNK]| {
        u64::from(u8x64::from_slice(simd, chunk).simd_eq(b'\n').to_bitmask().count_ones())
    };
    let in_chunks: u64 = chunks.iter().map(of_chunk).sum();
    in_chunks + rest.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json_guard::levels;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn counts_as_a_plain_loop_does(block in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400)) {
            let plain = block.iter().filter(|&&byte| byte == b'\n').count() as u64;
            for level in levels() {
                prop_assert_eq!(newlines(level, &block), plain);
            }
            prop_assert_eq!(line_count(&block), block.split_inclusive(|&byte| byte == b'\n').count() as u64);
        }
    }
}
