//! Numbers as RFC 8259 writes them, read as 64-bit floating point, which is what `jq` compares by.

/// The value of `raw` if all of it is one JSON number. Beyond the range of `f64` it is infinite.
pub(crate) fn parse(raw: &[u8]) -> Option<f64> {
    let (negative, digits) = match raw {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, raw),
    };
    let whole = digit_count(digits);
    if whole == 0 || (whole > 1 && digits[0] == b'0') {
        return None;
    }
    let mut rest = &digits[whole..];
    let mut fraction = 0;
    if let [b'.', after @ ..] = rest {
        fraction = digit_count(after);
        if fraction == 0 {
            return None;
        }
        rest = &after[fraction..];
    }
    if rest.is_empty() && whole + fraction <= EXACT_DIGITS {
        let all = digits.iter().filter(|&&b| b != b'.');
        let mantissa = all.fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
        let value = mantissa as f64 / POWERS[fraction];
        return Some(if negative { -value } else { value });
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let after = match after {
            [b'+' | b'-', after @ ..] => after,
            _ => after,
        };
        let exponent = digit_count(after);
        if exponent == 0 || exponent != after.len() {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    std::str::from_utf8(raw).ok()?.parse().ok()
}

/// With so few digits both the mantissa and the power of ten are exact, so one division rounds right.
const EXACT_DIGITS: usize = 15;

const POWERS: [f64; EXACT_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

fn digit_count(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_calls_a_number_and_nothing_else() {
        for bad in [
            "", "-", "+1", "01", "-01", ".5", "5.", "1e", "1e+", "1.e3", "0x10", "NaN", "inf", "1 ", "1_000",
            "--1", "1.2.3", "1e5x", "1x",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        for good in [
            "0",
            "-0",
            "7",
            "-12",
            "1.5",
            "0.1",
            "123456789012345",
            "1234567890123456",
            "1e3",
            "1E-2",
            "-2.50e+1",
            "9007199254740993",
            "0.30000000000000004",
            "12.345",
            "99.99",
        ] {
            assert_eq!(parse(good.as_bytes()), good.parse().ok(), "{good}");
        }
        assert_eq!(parse(b"1e999"), Some(f64::INFINITY));
    }

    #[test]
    fn the_short_way_rounds_like_the_long_one() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let digits = rng.u32(1..9);
            let whole = rng.u64(0..10u64.pow(digits));
            let text = format!("{whole}.{:0w$}", rng.u64(0..10), w = rng.usize(1..7));
            assert_eq!(parse(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }
}
