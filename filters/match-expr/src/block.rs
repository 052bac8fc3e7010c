//! Sixteen bytes at a time: the only place that knows whether simd128 is there. Everything that walks a
//! line does so through these masks, since a loop over single bytes pays for an epoch check per byte.

/// Bytes per step.
pub(crate) const WIDTH: usize = 16;

/// The lanes of `line[at..]` (16, or as many as are left) that `pred` selects; bit 0 is `line[at]`.
/// `at` must not be past the end.
#[inline(always)]
pub(crate) fn mask_at(line: &[u8], at: usize, pred: impl Fn(Block) -> Block) -> u32 {
    let rest = &line[at..];
    if let Some(chunk) = rest.first_chunk() {
        return pred(Block::load(chunk)).mask();
    }
    // Near the end the last 16 bytes are loaded again instead of copying a short tail.
    if let Some(chunk) = line.last_chunk() {
        return pred(Block::load(chunk)).mask() >> (WIDTH - rest.len());
    }
    let mut short = [0; WIDTH];
    short[..rest.len()].copy_from_slice(rest);
    pred(Block::load(&short)).mask() & ((1 << rest.len()) - 1)
}

/// The first place at or after `from` that `pred` selects.
#[inline(always)]
pub(crate) fn find(line: &[u8], from: usize, pred: impl Fn(Block) -> Block) -> Option<usize> {
    let mut at = from;
    while at < line.len() {
        let mask = mask_at(line, at, &pred);
        if mask != 0 {
            return Some(at + mask.trailing_zeros() as usize);
        }
        at += WIDTH;
    }
    None
}

/// Whether `needle` occurs in `haystack`: places where its first and last byte fit are compared.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (needle.first(), needle.last()) else {
        return true;
    };
    let Some(room) = haystack.len().checked_sub(needle.len()) else {
        return false;
    };
    let (heads, tails) = (&haystack[..=room], &haystack[needle.len() - 1..]);
    let mut at = 0;
    while at < heads.len() {
        let mut mask = mask_at(heads, at, |b| b.eq(first)) & mask_at(tails, at, |b| b.eq(last));
        while mask != 0 {
            let start = at + mask.trailing_zeros() as usize;
            if haystack[start..start + needle.len()] == *needle {
                return true;
            }
            mask &= mask - 1;
        }
        at += WIDTH;
    }
    false
}

pub(crate) use lanes::Block;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lanes {
    //! simd128. The 16 single bytes of `load` compile to one `v128.load`.
    use core::arch::wasm32::{u8x16, u8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, v128, v128_or};

    /// 16 bytes, or 16 lanes that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(v128);

    impl Block {
        #[inline(always)]
        pub(crate) fn load(b: &[u8; 16]) -> Block {
            Block(u8x16(
                b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                b[14], b[15],
            ))
        }

        #[inline(always)]
        pub(crate) fn eq(self, byte: u8) -> Block {
            Block(u8x16_eq(self.0, u8x16_splat(byte)))
        }

        #[inline(always)]
        pub(crate) fn at_most(self, byte: u8) -> Block {
            Block(u8x16_le(self.0, u8x16_splat(byte)))
        }

        #[inline(always)]
        pub(crate) fn with_bits(self, bits: u8) -> Block {
            Block(v128_or(self.0, u8x16_splat(bits)))
        }

        #[inline(always)]
        pub(crate) fn or(self, other: Block) -> Block {
            Block(v128_or(self.0, other.0))
        }

        #[inline(always)]
        pub(crate) fn mask(self) -> u32 {
            u32::from(u8x16_bitmask(self.0))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes {
    //! The same on the machine's own vectors, for native tests and benches.
    use wide::u8x16;

    /// 16 bytes, or 16 lanes that are all ones or all zeros.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(u8x16);

    impl Block {
        #[inline(always)]
        pub(crate) fn load(b: &[u8; 16]) -> Block {
            Block(u8x16::new(*b))
        }

        #[inline(always)]
        pub(crate) fn eq(self, byte: u8) -> Block {
            Block(self.0.simd_eq(u8x16::splat(byte)))
        }

        #[inline(always)]
        pub(crate) fn at_most(self, byte: u8) -> Block {
            Block(self.0.simd_le(u8x16::splat(byte)))
        }

        #[inline(always)]
        pub(crate) fn with_bits(self, bits: u8) -> Block {
            Block(self.0 | u8x16::splat(bits))
        }

        #[inline(always)]
        pub(crate) fn or(self, other: Block) -> Block {
            Block(self.0 | other.0)
        }

        #[inline(always)]
        pub(crate) fn mask(self) -> u32 {
            self.0.to_bitmask()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_agrees_with_a_plain_search_at_every_length_and_offset() {
        for len in 0..70 {
            for hit in 0..len {
                let mut line = vec![b'.'; len];
                line[hit] = b'"';
                for from in 0..=len {
                    let want = (from <= hit).then_some(hit);
                    assert_eq!(find(&line, from, |b| b.eq(b'"')), want, "{len} {hit} {from}");
                }
            }
        }
    }

    #[test]
    fn contains_agrees_with_windows() {
        for seed in 0..3000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let hay: Vec<u8> = (0..rng.usize(0..60)).map(|_| rng.u8(b'a'..b'd')).collect();
            let needle: Vec<u8> = (0..rng.usize(0..5)).map(|_| rng.u8(b'a'..b'd')).collect();
            let want = needle.is_empty() || hay.windows(needle.len()).any(|w| w == needle);
            assert_eq!(contains(&hay, &needle), want, "{hay:?} {needle:?}");
        }
    }
}
