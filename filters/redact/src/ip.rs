//! IPv4 and IPv6 addresses, as the standard library takes them.

use crate::text::is_word;
use core::net::Ipv6Addr;
use core::ops::Range;

/// Matches every line in which [`v4`] finds an address.
pub(crate) const V4_PATTERN: &str = r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]";
/// Matches every line in which [`v6`] finds an address.
pub(crate) const V6_PATTERN: &str = r"::[0-9A-Fa-f]|[0-9A-Fa-f]::|(?:[0-9A-Fa-f]{1,4}:){6}[0-9A-Fa-f]";

/// Longest text of an IPv6 address (`INET6_ADDRSTRLEN` without its NUL).
const V6_LONGEST: usize = 45;

/// The IPv4 address whose first dot is at `dot`. Longer dotted numbers, such as object identifiers,
/// are no addresses.
pub(crate) fn v4(text: &[u8], dot: usize) -> Option<Range<usize>> {
    let digits = text[..dot].iter().rev().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let start = dot - digits;
    if !is_octet(&text[start..dot]) || dotted_before(text, start) {
        return None;
    }
    let mut end = dot;
    for _ in 0..3 {
        if text.get(end) != Some(&b'.') {
            return None;
        }
        let digits = text[end + 1..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        if !is_octet(&text[end + 1..end + 1 + digits]) {
            return None;
        }
        end += 1 + digits;
    }
    let behind = &text[end..];
    if behind.first() == Some(&b'.') && behind.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some(start..end)
}

/// Whether these digits are a number up to 255 as addresses have it: without zeros before it.
fn is_octet(digits: &[u8]) -> bool {
    match *digits {
        [_] => true,
        [first, _] => first != b'0',
        [first, second, third] => first != b'0' && [first, second, third] <= *b"255",
        _ => false,
    }
}

/// Whether a digit and a dot stand before `at`.
fn dotted_before(text: &[u8], at: usize) -> bool {
    at >= 2 && text[at - 1] == b'.' && text[at - 2].is_ascii_digit()
}

/// The IPv6 address around the colon at `colon`, and the end of the run of hexadecimal digits, colons
/// and dots it stands in: no colon up to there needs another look. `::` alone is no address here.
pub(crate) fn v6(text: &[u8], colon: usize) -> (Option<Range<usize>>, usize) {
    let within = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let start = text[..colon].iter().rev().take(V6_LONGEST + 1).take_while(|&&byte| within(byte)).count();
    let start = colon - start;
    let end = crate::text::run_end(text, colon, within);
    (in_run(text, start..end), end)
}

fn in_run(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let Range { mut start, mut end } = run;
    // `peer:fe80::1`: the colon belongs to the name before it.
    if text[start] == b':' && text.get(start + 1) != Some(&b':') {
        start += 1;
    } else if start > 0 && is_word(text[start - 1]) {
        return None;
    }
    if end < text.len() && is_word(text[end]) {
        return None;
    }
    // Each address has two, which numbers behind a colon have not.
    if text[start..end].iter().filter(|&&byte| byte == b':').take(2).count() < 2 {
        return None;
    }
    // A sentence's or a label's punctuation, and tcpdump's port behind a dot.
    let address = v6_at(text, start..end).or_else(|| {
        while end > start && text[end - 1] == b'.' {
            end -= 1;
        }
        if end > start && text[end - 1] == b':' && !text[..end].ends_with(b"::") {
            end -= 1;
        }
        v6_at(text, start..end)
    });
    let address = address.or_else(|| {
        if text[start..end].ends_with(b":::") {
            return v6_at(text, start..end - 1);
        }
        let dot = start + text[start..end].iter().rposition(|&byte| byte == b'.')?;
        v6_at(text, start..dot)
    })?;
    (&text[address.clone()] != b"::").then_some(address)
}

fn v6_at(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    if range.len() > V6_LONGEST {
        return None;
    }
    let candidate = core::str::from_utf8(&text[range.clone()]).ok()?;
    candidate.parse::<Ipv6Addr>().ok().map(|_| range)
}

#[cfg(test)]
mod tests {
    use super::{v4, v6};
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4_in(text: &str) -> Option<&str> {
        (0..text.len())
            .filter(|&at| text.as_bytes()[at] == b'.')
            .find_map(|at| v4(text.as_bytes(), at))
            .map(|range| &text[range])
    }

    fn v6_in(text: &str) -> Option<&str> {
        (0..text.len())
            .filter(|&at| text.as_bytes()[at] == b':')
            .find_map(|at| v6(text.as_bytes(), at).0)
            .map(|range| &text[range])
    }

    #[test]
    fn borders_of_ipv4() {
        for (text, address) in [
            ("from 10.0.0.1:8080", Some("10.0.0.1")),
            ("ip=10.0.0.1.", Some("10.0.0.1")),
            ("4.3.2.1.in-addr.arpa", Some("4.3.2.1")),
            ("node10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1/24", Some("10.0.0.1")),
            ("1.3.6.1.4.1", None),
            ("1.2.3", None),
            ("256.1.1.1", None),
            ("01.1.1.1", None),
            ("1.0.00.1", None),
            ("0.0.0.0", Some("0.0.0.0")),
            ("1.1.1.256", None),
            ("1234.1.1.1", None),
        ] {
            assert_eq!(v4_in(text), address, "{text}");
        }
    }

    #[test]
    fn borders_of_ipv6() {
        for (text, address) in [
            ("[::1]:8080", Some("::1")),
            ("peer:fe80::1 up", Some("fe80::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("at 2001:db8::1.", Some("2001:db8::1")),
            ("2001:db8::1: refused", Some("2001:db8::1")),
            ("net fe80::: down", Some("fe80::")),
            ("2001:db8::1.443 > x", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("::ffff:10.0.0.1")),
            ("at 12:34:56.789", None),
            ("std::fs::read", None),
            ("aa:bb:cc:dd:ee:ff", None),
            ("a :: b", None),
        ] {
            assert_eq!(v6_in(text), address, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ipv4_agrees_with_std(text in "[0-9]{1,4}(\\.[0-9]{1,4}){2,4}") {
            prop_assert_eq!(v4_in(&text).is_some(), text.parse::<Ipv4Addr>().is_ok());
        }

        #[test]
        fn every_ipv4_address_is_found(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits).to_string();
            let text = format!("a={address},");
            prop_assert_eq!(v4_in(&text), Some(address.as_str()));
        }

        #[test]
        fn every_ipv6_address_is_found(
            mut groups in any::<[u16; 8]>(), zeros in 0_usize..8, count in 0_usize..8, upper: bool,
        ) {
            for group in groups.iter_mut().skip(zeros).take(count) {
                *group = 0;
            }
            let address = Ipv6Addr::from(groups);
            prop_assume!(!address.is_unspecified());
            let mut address = address.to_string();
            if upper {
                address.make_ascii_uppercase();
            }
            let text = format!("a=[{address}]:1");
            prop_assert_eq!(v6_in(&text), Some(address.as_str()));
        }

        #[test]
        fn what_is_found_parses(text in "[ a-f0-9:.]{0,60}") {
            if let Some(address) = v6_in(&text) {
                prop_assert!(address.parse::<Ipv6Addr>().is_ok());
            }
            if text.trim() == text && text != "::" && text.parse::<Ipv6Addr>().is_ok() {
                prop_assert_eq!(v6_in(&text), Some(text.as_str()));
            }
        }
    }
}
