//! One pass over a line in blocks of 64 bytes that finds where a detector may have to look.
//!
//! A block is turned into one bit mask per byte class, 16 bytes at a time on wasm's 128-bit vectors.
//! What this module owns is finding the places; whether a place holds a secret is for the detectors.

/// Bytes per step.
const BLOCK: usize = 64;

/// Fewest digits, spaces and dashes that can hold a payment card number.
pub(crate) const NUMBER_RUN: usize = 13;
/// Fewest characters of a token that is told by its prefix.
pub(crate) const TOKEN_RUN: usize = 16;
/// Length of the shortest full line in a PEM body.
pub(crate) const BASE64_RUN: usize = 64;

/// A place that a detector should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// An escape character, a backslash or a percent sign.
    Escape,
    /// An `@`.
    At,
    /// A `:`, `=` or `>`.
    Separator,
    /// The second of two or more dashes.
    Flag,
    /// A `.` between two digits.
    DottedDigits,
    /// A space behind an `r` or `c` of either case, as in `Bearer ` and `Basic `.
    Scheme,
    /// The start of a run of at least [`NUMBER_RUN`] digits, spaces and dashes.
    NumberRun,
    /// The start of a run of at least [`TOKEN_RUN`] unreserved characters of RFC 3986: letters,
    /// digits, `-`, `.`, `_` and `~`.
    TokenRun,
    /// The start of a run of at least [`BASE64_RUN`] letters, digits, `+` and `/`.
    Base64Run,
    /// The start of a run of at least five dashes.
    Dashes,
}

/// What a callback of [`walk`] wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on.
    Continue,
    /// Leave the line.
    Stop,
}

/// Which triggers to report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) escape: bool,
    pub(crate) at: bool,
    pub(crate) separator: bool,
    pub(crate) flag: bool,
    pub(crate) dotted_digits: bool,
    pub(crate) scheme: bool,
    pub(crate) number_run: bool,
    pub(crate) token_run: bool,
    pub(crate) base64_run: bool,
    pub(crate) dashes: bool,
}

/// Calls `found` with every wanted trigger and its place. Within a block triggers come by kind, so
/// places are not in order. Returns whether the walk reached the end.
pub(crate) fn walk(text: &[u8], wanted: Wanted, mut found: impl FnMut(Trigger, usize) -> Next) -> bool {
    let mut before = Carry::default();
    let mut base = 0;
    while base < text.len() {
        let rest = &text[base..];
        let masks = match rest.first_chunk::<BLOCK>() {
            Some(block) => classify(block),
            None => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                classify(&block)
            }
        };
        if before.block(&masks, base, wanted, &mut found) == Next::Stop {
            return false;
        }
        base += BLOCK;
    }
    true
}

/// One bit per byte of a block, lowest first, for each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Masks {
    escape: u64,
    at: u64,
    separator: u64,
    dot: u64,
    digit: u64,
    space: u64,
    dash: u64,
    scheme_end: u64,
    token: u64,
    base64: u64,
}

/// What the blocks so far leave to the next one.
#[derive(Default)]
struct Carry {
    digit: bool,
    /// The last two bits of the dashes.
    dashes: u64,
    scheme_end: bool,
    number: Runs<NUMBER_RUN>,
    token: Runs<TOKEN_RUN>,
    base64: Runs<BASE64_RUN>,
    dash: Runs<5>,
}

impl Carry {
    fn block(
        &mut self,
        masks: &Masks,
        base: usize,
        wanted: Wanted,
        found: &mut impl FnMut(Trigger, usize) -> Next,
    ) -> Next {
        let digit_before = masks.digit << 1 | u64::from(self.digit);
        // The byte behind the block is unknown: the detector looks again.
        let digit_behind = masks.digit >> 1 | 1 << 63;
        let scheme_before = masks.scheme_end << 1 | u64::from(self.scheme_end);
        let dash_before = masks.dash << 1 | self.dashes >> 1;
        let second_dash = masks.dash & dash_before & !(masks.dash << 2 | self.dashes);
        self.digit = masks.digit >> 63 == 1;
        self.dashes = masks.dash >> 62;
        self.scheme_end = masks.scheme_end >> 63 == 1;
        let points = [
            (wanted.escape, Trigger::Escape, masks.escape),
            (wanted.at, Trigger::At, masks.at),
            (wanted.separator, Trigger::Separator, masks.separator),
            (wanted.flag, Trigger::Flag, second_dash),
            (wanted.dotted_digits, Trigger::DottedDigits, masks.dot & digit_before & digit_behind),
            (wanted.scheme, Trigger::Scheme, masks.space & scheme_before),
        ];
        for (wanted, trigger, mask) in points {
            let mut left = if wanted { mask } else { 0 };
            while left != 0 {
                if found(trigger, base + left.trailing_zeros() as usize) == Next::Stop {
                    return Next::Stop;
                }
                left &= left - 1;
            }
        }
        let mut run = |trigger, start| found(trigger, start);
        if wanted.number_run {
            let mask = masks.digit | masks.space | masks.dash;
            self.number.feed(mask, base, |start| run(Trigger::NumberRun, start));
        }
        if wanted.token_run {
            self.token.feed(masks.token, base, |start| run(Trigger::TokenRun, start));
        }
        if wanted.base64_run {
            self.base64.feed(masks.base64, base, |start| run(Trigger::Base64Run, start));
        }
        if wanted.dashes {
            self.dash.feed(masks.dash, base, |start| run(Trigger::Dashes, start));
        }
        Next::Continue
    }
}

/// Finds runs of at least `MIN` set bits (at most 64) over block borders.
#[derive(Default)]
struct Runs<const MIN: usize> {
    /// Length of the run that ends with the last block.
    open: usize,
}

impl<const MIN: usize> Runs<MIN> {
    fn feed(&mut self, mask: u64, base: usize, mut found: impl FnMut(usize) -> Next) {
        let lead = mask.trailing_ones() as usize;
        if self.open > 0 && self.open < MIN && self.open + lead >= MIN {
            found(base - self.open);
        }
        // Bit i stays when bits i to i + MIN - 1 are all set.
        let mut full = mask;
        let mut have = 1;
        while have < MIN {
            let step = have.min(MIN - have);
            full &= full >> step;
            have += step;
        }
        let mut starts = full & !(full << 1);
        if self.open > 0 {
            starts &= !1;
        }
        while starts != 0 {
            found(base + starts.trailing_zeros() as usize);
            starts &= starts - 1;
        }
        self.open = match mask {
            u64::MAX => self.open + BLOCK,
            _ => mask.leading_ones() as usize,
        };
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn classify(block: &[u8; BLOCK]) -> Masks {
    use core::arch::wasm32::{
        i8x16_eq, u8x16_bitmask, u8x16_lt, u8x16_splat, u8x16_sub, u64x2, v128, v128_or,
    };
    fn word(block: &[u8; BLOCK], at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&block[at..at + 8]);
        u64::from_le_bytes(bytes)
    }
    let mut masks = Masks::default();
    for lane in 0..BLOCK / 16 {
        let bytes = u64x2(word(block, lane * 16), word(block, lane * 16 + 8));
        let lower = v128_or(bytes, u8x16_splat(0x20));
        let is = |byte: u8| i8x16_eq(bytes, u8x16_splat(byte));
        let within = |from: v128, first: u8, count: u8| {
            u8x16_lt(u8x16_sub(from, u8x16_splat(first)), u8x16_splat(count))
        };
        let put = |class: v128| u64::from(u8x16_bitmask(class)) << (lane * 16);
        let digit = within(bytes, b'0', 10);
        let alphanumeric = v128_or(digit, within(lower, b'a', 26));
        let dash = is(b'-');
        let dot = is(b'.');
        masks.escape |= put(v128_or(v128_or(is(0x1b), is(b'\\')), is(b'%')));
        masks.at |= put(is(b'@'));
        masks.separator |= put(v128_or(v128_or(is(b':'), is(b'=')), is(b'>')));
        masks.dot |= put(dot);
        masks.digit |= put(digit);
        masks.space |= put(is(b' '));
        masks.dash |= put(dash);
        // `lower` also maps a few control bytes to letters; the detector looks again.
        masks.scheme_end |=
            put(v128_or(i8x16_eq(lower, u8x16_splat(b'r')), i8x16_eq(lower, u8x16_splat(b'c'))));
        let marks = v128_or(v128_or(dash, dot), v128_or(is(b'_'), is(b'~')));
        masks.token |= put(v128_or(alphanumeric, marks));
        masks.base64 |= put(v128_or(alphanumeric, v128_or(is(b'+'), is(b'/'))));
    }
    masks
}

/// The same on the machine's own vectors, for native tests and benches.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn classify(block: &[u8; BLOCK]) -> Masks {
    use wide::u8x16;
    let mut masks = Masks::default();
    for (lane, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        let lower = bytes | u8x16::splat(0x20);
        let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let within =
            |from: u8x16, first: u8, count: u8| (from - u8x16::splat(first)).simd_lt(u8x16::splat(count));
        let put = |class: u8x16| u64::from(class.to_bitmask()) << (lane * 16);
        let digit = within(bytes, b'0', 10);
        let alphanumeric = digit | within(lower, b'a', 26);
        let (dash, dot) = (is(b'-'), is(b'.'));
        masks.escape |= put(is(0x1b) | is(b'\\') | is(b'%'));
        masks.at |= put(is(b'@'));
        masks.separator |= put(is(b':') | is(b'=') | is(b'>'));
        masks.dot |= put(dot);
        masks.digit |= put(digit);
        masks.space |= put(is(b' '));
        masks.dash |= put(dash);
        masks.scheme_end |= put(lower.simd_eq(u8x16::splat(b'r')) | lower.simd_eq(u8x16::splat(b'c')));
        masks.token |= put(alphanumeric | dash | dot | is(b'_') | is(b'~'));
        masks.base64 |= put(alphanumeric | is(b'+') | is(b'/'));
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::{NUMBER_RUN, Next, TOKEN_RUN, Trigger, Wanted, walk};
    use proptest::prelude::*;

    const ALL: Wanted = Wanted {
        escape: true,
        at: true,
        separator: true,
        flag: true,
        dotted_digits: true,
        scheme: true,
        number_run: true,
        token_run: true,
        base64_run: true,
        dashes: true,
    };

    fn places(text: &[u8], which: Trigger) -> Vec<usize> {
        let mut all = Vec::new();
        walk(text, ALL, |trigger, at| {
            if trigger == which {
                all.push(at);
            }
            Next::Continue
        });
        all.sort_unstable();
        all
    }

    fn runs(text: &[u8], min: usize, class: impl Fn(u8) -> bool) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let length = text[at..].iter().take_while(|&&b| class(b)).count();
            if length >= min {
                starts.push(at);
            }
            at += length.max(1);
        }
        starts
    }

    proptest! {
        #[test]
        fn triggers_agree_with_a_byte_loop(
            text in proptest::collection::vec(
                prop_oneof![4 => Just(b'a'), 4 => Just(b'7'), 1 => Just(b'-'), 1 => Just(b' '),
                    1 => Just(b'.'), 1 => Just(b'r'), 1 => Just(b'@'), 1 => any::<u8>()], 0..400),
            pad in 0_usize..140,
        ) {
            let mut padded = vec![b'a'; pad];
            padded.extend_from_slice(&text);
            let text = padded;
            prop_assert_eq!(places(&text, Trigger::NumberRun),
                runs(&text, NUMBER_RUN, |b| b.is_ascii_digit() || b == b' ' || b == b'-'));
            prop_assert_eq!(places(&text, Trigger::TokenRun),
                runs(&text, TOKEN_RUN, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
            prop_assert_eq!(places(&text, Trigger::Base64Run),
                runs(&text, 64, |b| b.is_ascii_alphanumeric() || b"+/".contains(&b)));
            prop_assert_eq!(places(&text, Trigger::Dashes), runs(&text, 5, |b| b == b'-'));
            let at: Vec<usize> = (0..text.len()).filter(|&i| text[i] == b'@').collect();
            prop_assert_eq!(places(&text, Trigger::At), at);
            let flags: Vec<usize> = (1..text.len())
                .filter(|&i| text[i] == b'-' && text[i - 1] == b'-' && (i < 2 || text[i - 2] != b'-'))
                .collect();
            prop_assert_eq!(places(&text, Trigger::Flag), flags);
            let dotted = places(&text, Trigger::DottedDigits);
            for i in 1..text.len().saturating_sub(1) {
                let between = text[i] == b'.' && text[i - 1].is_ascii_digit()
                    && text[i + 1].is_ascii_digit();
                prop_assert!(!between || dotted.contains(&i));
            }
        }
    }

    #[test]
    fn the_walk_stops_when_told() {
        let mut seen = 0;
        let whole = walk(b"a@b@c", ALL, |_, _| {
            seen += 1;
            Next::Stop
        });
        assert!(!whole);
        assert_eq!(seen, 1);
    }
}
