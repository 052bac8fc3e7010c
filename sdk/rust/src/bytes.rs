//! Byte search, 16 bytes and more at a time: on `simd128` in a guest built with it, on the machine's own vectors
//! with the feature `native`.
//!
//! Loops that look at one byte per step pay most for the host's interruption checks; these do not.

use std::borrow::Cow;

/// The position of the first `byte` in `haystack`.
///
/// ```
/// assert_eq!(weir_sdk::bytes::find_byte(b"a=b", b'='), Some(1));
/// ```
#[inline]
#[must_use]
pub fn find_byte(haystack: &[u8], byte: u8) -> Option<usize> {
    memchr::memchr(byte, haystack)
}

/// The position of the first `a` or `b` in `haystack`.
#[inline]
#[must_use]
pub fn find_byte2(haystack: &[u8], a: u8, b: u8) -> Option<usize> {
    memchr::memchr2(a, b, haystack)
}

/// The position of the first `a`, `b` or `c` in `haystack`.
#[inline]
#[must_use]
pub fn find_byte3(haystack: &[u8], a: u8, b: u8, c: u8) -> Option<usize> {
    memchr::memchr3(a, b, c, haystack)
}

/// The position of the first `needle` in `haystack`; an empty needle is found at 0. What is searched for in every
/// line is better looked for by a [`Finder`].
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The positions of all non-overlapping occurrences of `needle`.
pub fn find_iter<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(haystack, needle)
}

/// Whether two texts are the same, as `==` has it: sooner for short ones, which a guest's `==` compares by a call and a
/// byte at a time.
///
/// ```
/// assert!(weir_sdk::bytes::same(b"level", b"level"));
/// ```
#[inline]
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // From both ends, so that the rest of a text of up to 16 bytes is seen twice.
    if let (Some(a_head), Some(b_head), Some(a_tail), Some(b_tail)) =
        (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>())
    {
        let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
        return word(a_head) == word(b_head)
            && word(a_tail) == word(b_tail)
            && (a.len() <= 16 || a[8..a.len() - 8] == b[8..b.len() - 8]);
    }
    if let (Some(a_head), Some(b_head), Some(a_tail), Some(b_tail)) =
        (a.first_chunk::<4>(), b.first_chunk::<4>(), a.last_chunk::<4>(), b.last_chunk::<4>())
    {
        let word = |chunk: &[u8; 4]| u32::from_le_bytes(*chunk);
        return word(a_head) == word(b_head) && word(a_tail) == word(b_tail);
    }
    match (a, b) {
        ([], []) => true,
        ([a], [b]) => a == b,
        // Two or three bytes.
        _ => a[0] == b[0] && a[1] == b[1] && a[a.len() - 1] == b[b.len() - 1],
    }
}

/// A needle made ready to be searched for in many haystacks.
///
/// ```
/// let finder = weir_sdk::bytes::Finder::new("error".to_owned().into_bytes());
/// assert_eq!(finder.find(b"an error"), Some(3));
/// ```
#[derive(Clone, Debug)]
pub struct Finder(memchr::memmem::Finder<'static>);

impl Finder {
    /// Makes a needle ready.
    #[must_use]
    pub fn new(needle: impl Into<Cow<'static, [u8]>>) -> Finder {
        let needle: Cow<'static, [u8]> = needle.into();
        Finder(memchr::memmem::Finder::new(&*needle).into_owned())
    }

    /// The position of its first occurrence in `haystack`.
    #[inline]
    #[must_use]
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        self.0.find(haystack)
    }
}

/// A set of ASCII bytes to search for, such as `{}[]"`.
///
/// ```
/// use weir_sdk::bytes::Set;
///
/// const BRACKETS: Set = Set::new(b"{}[]");
/// assert_eq!(BRACKETS.find(b"a[0]"), Some(1));
/// assert_eq!(BRACKETS.find("kein Zeichen: ä".as_bytes()), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Bit `b` of word `b / 64` for each byte.
    members: [u64; 2],
    /// For each low nibble, bit `h` for each member whose high nibble is `h`.
    #[cfg_attr(
        not(any(all(target_arch = "wasm32", target_feature = "simd128"), feature = "native")),
        expect(dead_code, reason = "read where there are vectors")
    )]
    by_low: [u8; 16],
}

impl Set {
    /// The set of these bytes.
    ///
    /// # Panics
    /// When one of them is not ASCII; in a constant that fails the build.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Set {
        let mut members = [0u64; 2];
        let mut by_low = [0u8; 16];
        let mut i = 0;
        while i < bytes.len() {
            let byte = bytes[i];
            assert!(byte.is_ascii(), "a `Set` holds ASCII bytes only");
            members[(byte >> 6) as usize] |= 1 << (byte & 63);
            by_low[(byte & 15) as usize] |= 1 << (byte >> 4);
            i += 1;
        }
        Set { members, by_low }
    }

    /// Whether `byte` is one of them.
    #[inline]
    #[must_use]
    pub const fn contains(&self, byte: u8) -> bool {
        byte.is_ascii() && self.members[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// The position of the first of them in `haystack`.
    #[inline]
    #[must_use]
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        let Some(last) = haystack.last_chunk::<16>() else {
            return haystack.iter().position(|&byte| self.contains(byte));
        };
        let (chunks, rest) = haystack.as_chunks::<16>();
        for (i, chunk) in chunks.iter().enumerate() {
            if let Some(at) = self.find_in_chunk(chunk) {
                return Some(i * 16 + at);
            }
        }
        if rest.is_empty() {
            return None;
        }
        // It reaches back into bytes that are known to be none of them.
        self.find_in_chunk(last).map(|at| haystack.len() - 16 + at)
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline]
    fn find_in_chunk(&self, chunk: &[u8; 16]) -> Option<usize> {
        use std::arch::wasm32::{i8x16_ne, i8x16_splat, u8x16_bitmask, u8x16_shr, u8x16_swizzle, v128_and};
        // A byte is a member when the bit of its high nibble is set in the word of its low nibble.
        let bytes = load(chunk);
        let high = u8x16_swizzle(load(&HIGH_BITS), u8x16_shr(bytes, 4));
        let low = u8x16_swizzle(load(&self.by_low), v128_and(bytes, i8x16_splat(15)));
        let hits = u8x16_bitmask(i8x16_ne(v128_and(high, low), i8x16_splat(0)));
        (hits != 0).then(|| hits.trailing_zeros() as usize)
    }

    #[cfg(all(not(all(target_arch = "wasm32", target_feature = "simd128")), feature = "native"))]
    #[inline]
    fn find_in_chunk(&self, chunk: &[u8; 16]) -> Option<usize> {
        use wide::u8x16;
        let bytes = u8x16::new(*chunk);
        let high = u8x16::new(HIGH_BITS).shuffle_zeroing(bytes.unbounded_shr_scalar(4));
        let low = u8x16::new(self.by_low).shuffle_zeroing(bytes & u8x16::splat(15));
        let hits = (high & low).simd_ne(u8x16::splat(0)).to_bitmask();
        (hits != 0).then(|| hits.trailing_zeros() as usize)
    }

    #[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), feature = "native")))]
    #[inline]
    fn find_in_chunk(&self, chunk: &[u8; 16]) -> Option<usize> {
        chunk.iter().position(|&byte| self.contains(byte))
    }
}

/// For each high nibble its bit. Bytes from 128 on have nibbles of 8 and more, whose bit is none.
#[cfg(any(all(target_arch = "wasm32", target_feature = "simd128"), feature = "native"))]
const HIGH_BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];

/// Sixteen bytes as one vector: two halves that the compiler joins into one load.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline]
fn load(chunk: &[u8; 16]) -> std::arch::wasm32::v128 {
    let bits = u128::from_le_bytes(*chunk);
    std::arch::wasm32::u64x2(bits as u64, (bits >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_finds_what_a_loop_finds(set in proptest::collection::vec(0u8..128, 0..10), hay: Vec<u8>) {
            prop_assert_eq!(Set::new(&set).find(&hay), hay.iter().position(|b| set.contains(b)));
        }

        #[test]
        fn same_is_equality(a in "[ab]{0,40}", at in 0_usize..40, cut in 0_usize..40) {
            let mut other = a.clone().into_bytes();
            prop_assert!(same(a.as_bytes(), &other));
            if let Some(byte) = other.get_mut(at) {
                *byte = b'x';
            }
            other.truncate(a.len().max(cut));
            prop_assert_eq!(same(a.as_bytes(), &other), a.as_bytes() == other);
            other.truncate(cut);
            prop_assert_eq!(same(a.as_bytes(), &other), a.as_bytes() == other);
        }

        #[test]
        fn substrings_are_found_where_windows_find_them(hay in "[ab]{0,40}", needle in "[ab]{1,4}") {
            let expected = hay.as_bytes().windows(needle.len()).position(|w| w == needle.as_bytes());
            prop_assert_eq!(find(hay.as_bytes(), needle.as_bytes()), expected);
            prop_assert_eq!(Finder::new(needle.into_bytes()).find(hay.as_bytes()), expected);
        }
    }

    #[test]
    fn positions_hold_past_the_first_chunk() {
        for at in 0..70 {
            let mut hay = [b'x'; 70];
            hay[at] = b'}';
            assert_eq!(Set::new(b"{}").find(&hay), Some(at));
        }
    }
}
