//! Rewrites a line of logfmt by the rules.

use crate::rules::Rules;
use std::ops::Range;
use weir_fields::logfmt::Pair;

/// Appends the line by the rules. What is left keeps its place, with the blanks before it.
pub(crate) fn rewrite(line: &[u8], pairs: &[Pair], rules: &Rules, out: &mut Vec<u8>) {
    let key = |pair: &Pair| &line[pair.key.clone()];
    let rule = |pair: &Pair| rules.flat(key(pair));
    let stays = |pair: &Pair| match rule(pair) {
        Some(rule) => !rule.drop && (!rules.restrict || rule.keep),
        None => !rules.restrict,
    };
    let new_name = |pair: &Pair| rule(pair).and_then(|rule| rule.rename.as_ref());
    let names: Vec<&[u8]> = pairs
        .iter()
        .filter(|pair| stays(pair))
        .filter_map(|pair| new_name(pair).map(|name| name.plain.as_bytes()))
        .collect();
    let mut from = 0;
    let mut first = true;
    for pair in pairs {
        let Range { start, end } = pair.range();
        let blanks = from..start;
        from = end;
        let name = new_name(pair);
        if !stays(pair) || (name.is_none() && names.contains(&key(pair))) {
            continue;
        }
        if first {
            out.extend_from_slice(&line[..pairs[0].key.start]);
        } else {
            out.extend_from_slice(&line[blanks]);
        }
        first = false;
        match name {
            Some(name) => out.extend_from_slice(name.plain.as_bytes()),
            None => out.extend_from_slice(&line[pair.key.clone()]),
        }
        out.extend_from_slice(&line[pair.key.end..end]);
    }
    out.extend_from_slice(&line[from..]);
}

#[cfg(test)]
mod tests {
    use super::rewrite;
    use crate::rules::Rules;
    use weir_fields::Path;
    use weir_fields::logfmt::parse;

    #[test]
    fn rules() {
        let path = |text| Path::parse(text).expect("valid");
        let mut rules = Rules::default();
        rules.drop(&path("user.id"));
        rules.rename(&path("msg"), "message").expect("valid");
        let line = b"user.id=7  level=info message=old msg=\"x y\" ";
        let mut pairs = Vec::new();
        parse(line, true, &mut pairs).expect("valid");
        let mut out = Vec::new();
        rewrite(line, &pairs, &rules, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "level=info message=\"x y\" ");
    }
}
