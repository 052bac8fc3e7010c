//! Expressions that start with one of a few literals, and what tells these apart.

use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::Extractor;

/// Most literals that are searched for one by one. A pass for each of four still takes less time than one for
/// all of them.
const TAILS_MAX: usize = 4;

/// Literals with a common start, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tails {
    /// What each begins with.
    pub(crate) common: Vec<u8>,
    /// What follows it.
    pub(crate) each: Vec<Vec<u8>>,
    /// Whether they are the whole expression, so that each of them is a match.
    pub(crate) is_whole: bool,
}

/// What tells the literals apart with which an expression starts, where these are a few with a common start: of
/// `GET /(about|contact)`, `about` and `contact`. In each line that matches, one of these is. `None` for other
/// expressions, and where one of these would have less than `min` bytes.
pub(crate) fn tails(hir: &Hir, min: usize) -> Option<Tails> {
    let all = Extractor::new().limit_total(TAILS_MAX).extract(hir);
    let common = all.longest_common_prefix().filter(|common| !common.is_empty())?;
    let literals = all.literals().filter(|literals| literals.len() > 1)?;
    let each = literals.iter().map(|literal| literal.as_bytes().strip_prefix(common));
    let each = each.map(|tail| tail.filter(|tail| tail.len() >= min).map(<[u8]>::to_vec));
    let is_whole = all.is_exact() && hir.properties().look_set().is_empty();
    Some(Tails { common: common.to_vec(), each: each.collect::<Option<_>>()?, is_whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_what_tells_a_few_literals_apart() {
        for (pattern, each, is_whole) in [
            ("GET /(about|contact)", &["about", "contact"][..], true),
            ("level=(error|fatal|panic)", &["error", "fatal", "panic"], true),
            (r"GET /(about|contact)\b", &["about", "contact"], false),
            (r"GET /(about|contact)\d+", &["about", "contact"], false),
            ("about|contact", &[], false),
            ("GET /(about|cat)?", &[], false),
            ("GET /(a|contact)", &[], false),
            ("GET /about", &[], false),
            ("x(one|two|three|four|five)", &[], false),
        ] {
            let found = tails(&regex_syntax::parse(pattern).unwrap(), 3);
            assert_eq!(found.as_ref().is_some_and(|found| found.is_whole), is_whole, "{pattern}");
            let found: Vec<Vec<u8>> = found.map(|found| found.each).unwrap_or_default();
            assert_eq!(
                found,
                each.iter().map(|tail| tail.as_bytes().to_vec()).collect::<Vec<_>>(),
                "{pattern}"
            );
        }
    }
}
