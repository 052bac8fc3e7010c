//! Rewrites a JSON object by the rules, copying what they don't touch byte for byte: order, spelling of numbers
//! and strings, and blanks stay.

use crate::rules::{Node, Rules};
use std::ops::Range;
use weir_fields::{object_start, quoted_end};
use weir_sdk::bytes::{self, Set};
use weir_sdk::json;

const NESTING: Set = Set::new(b"{}[]\"");

/// A rewriter, and the memory it uses again from line to line.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    members: Vec<Member>,
}

/// A field of an object or an item of an array.
#[derive(Debug, Clone)]
struct Member {
    /// With the blanks around.
    whole: Range<usize>,
    /// With its quotes; empty for an item.
    key: Range<usize>,
    /// The key has a backslash.
    escaped: bool,
    value: Range<usize>,
}

/// What is left of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Something,
    Nothing,
}

impl Rewriter {
    /// Appends `line` rewritten; `None` if it isn't one whole JSON object, and then `out` holds nothing of use.
    pub(crate) fn rewrite(&mut self, line: &[u8], rules: &Rules, out: &mut Vec<u8>) -> Option<()> {
        let start = object_start(line)?;
        self.members.clear();
        out.extend_from_slice(&line[..start]);
        let (end, _) = self.nested(line, start, &rules.root, rules.restrict, out)?;
        if blanks_end(line, end) != line.len() {
            return None;
        }
        out.extend_from_slice(&line[end..]);
        Some(())
    }

    /// Rewrites the object or array that starts at `at`. Returns its end in the line.
    fn nested(
        &mut self,
        line: &[u8],
        at: usize,
        node: &Node,
        restrict: bool,
        out: &mut Vec<u8>,
    ) -> Option<(usize, Left)> {
        let base = self.members.len();
        let end = members(line, at, &mut self.members)?;
        let renamed = self.replaced_by_renames(line, base, node, restrict);
        out.push(line[at]);
        // The blanks behind the last member that is left.
        let mut last = None;
        for index in base..self.members.len() {
            let member = self.members[index].clone();
            let rule = self.rule(line, &member, node);
            let stays = match rule {
                Some(rule) => !rule.drop && (!restrict || rule.keeps()),
                None => !restrict,
            };
            if !stays || renamed.contains(&index) {
                continue;
            }
            let before = out.len();
            // The first that is left stands where the first one stood.
            let opening = if last.is_some() { &member } else { &self.members[base] };
            if let Some(last) = last.clone() {
                out.extend_from_slice(&line[last]);
                out.push(b',');
            }
            out.extend_from_slice(&line[opening.whole.start..opening.start()]);
            match rule.and_then(|rule| rule.rename.as_ref()) {
                Some(name) => out.extend_from_slice(&name.quoted),
                None => out.extend_from_slice(&line[member.key.clone()]),
            }
            out.extend_from_slice(&line[member.key.end..member.value.start]);
            if self.value(line, &member, rule, restrict, out)? == Left::Nothing {
                out.truncate(before);
                continue;
            }
            last = Some(member.blanks_behind());
        }
        // The last that is left ends where the last one did.
        if last.is_some() {
            out.extend_from_slice(&line[self.members[self.members.len() - 1].blanks_behind()]);
        }
        self.members.truncate(base);
        out.push(line[end - 1]);
        Some((end, if last.is_some() { Left::Something } else { Left::Nothing }))
    }

    fn value(
        &mut self,
        line: &[u8],
        member: &Member,
        rule: Option<&Node>,
        restrict: bool,
        out: &mut Vec<u8>,
    ) -> Option<Left> {
        let start = member.value.start;
        let restrict_below = restrict && rule.is_some_and(|rule| !rule.keep);
        if let Some(rule) = rule.filter(|rule| rule.reaches_below())
            && matches!(line[start], b'{' | b'[')
        {
            let (_, left) = self.nested(line, start, rule, restrict_below, out)?;
            return Some(if restrict_below { left } else { Left::Something });
        }
        if restrict_below {
            return Some(Left::Nothing);
        }
        out.extend_from_slice(&line[member.value.clone()]);
        Some(Left::Something)
    }

    fn rule<'n>(&self, line: &[u8], member: &Member, node: &'n Node) -> Option<&'n Node> {
        if member.key.is_empty() {
            return node.items();
        }
        let key = &line[member.key.start + 1..member.key.end - 1];
        if !member.escaped {
            return node.field(key);
        }
        node.field(&json::parse(&line[member.key.clone()])?.as_str()?.unescape())
    }

    /// The members whose names others get: those take their place.
    fn replaced_by_renames(&self, line: &[u8], base: usize, node: &Node, restrict: bool) -> Vec<usize> {
        if !node.renames() {
            return Vec::new();
        }
        let rules: Vec<_> =
            self.members[base..].iter().map(|member| (member, self.rule(line, member, node))).collect();
        let stays = |rule: &Node| !rule.drop && (!restrict || rule.keeps());
        let names: Vec<&str> = rules
            .iter()
            .filter_map(|(_, rule)| rule.filter(|rule| stays(rule))?.rename.as_ref())
            .map(|name| name.plain.as_str())
            .collect();
        let is_replaced = |(member, rule): &(&Member, Option<&Node>)| {
            rule.is_none_or(|rule| rule.rename.is_none())
                && json::parse(&line[member.key.clone()])
                    .and_then(|key| key.as_str())
                    .is_some_and(|key| names.iter().any(|name| key == **name))
        };
        (0..rules.len()).filter(|&index| is_replaced(&rules[index])).map(|index| base + index).collect()
    }
}

impl Member {
    /// Where it starts behind the blanks.
    fn start(&self) -> usize {
        if self.key.is_empty() { self.value.start } else { self.key.start }
    }

    fn blanks_behind(&self) -> Range<usize> {
        self.value.end..self.whole.end
    }
}

/// Whether the line is one whole JSON object, as far as its top level goes.
pub(crate) fn is_object(line: &[u8]) -> bool {
    let mut all = Vec::new();
    object_start(line)
        .and_then(|start| members(line, start, &mut all))
        .is_some_and(|end| blanks_end(line, end) == line.len())
}

/// Collects the members of the object or array at `at`. Returns its end.
fn members(line: &[u8], at: usize, all: &mut Vec<Member>) -> Option<usize> {
    let close = if line[at] == b'{' { b'}' } else { b']' };
    let mut at = at + 1;
    if line.get(blanks_end(line, at)) == Some(&close) {
        return Some(blanks_end(line, at) + 1);
    }
    loop {
        let first = blanks_end(line, at);
        let mut escaped = false;
        let (key, start) = if close == b'}' {
            if line.get(first) != Some(&b'"') {
                return None;
            }
            let stop = first + 1 + bytes::find_byte2(&line[first + 1..], b'"', b'\\')?;
            escaped = line[stop] == b'\\';
            let key_end = if escaped { quoted_end(line, first)? } else { stop + 1 };
            let colon = blanks_end(line, key_end);
            if line.get(colon) != Some(&b':') {
                return None;
            }
            (first..key_end, blanks_end(line, colon + 1))
        } else {
            (first..first, first)
        };
        let end = value_end(line, start)?;
        let next = blanks_end(line, end);
        all.push(Member { whole: at..next, key, escaped, value: start..end });
        match line.get(next) {
            Some(b',') => at = next + 1,
            Some(byte) if *byte == close => return Some(next + 1),
            _ => return None,
        }
    }
}

fn value_end(line: &[u8], at: usize) -> Option<usize> {
    match line.get(at)? {
        b'"' => string_end(line, at),
        b'{' | b'[' => nested_end(line, at),
        b't' => word_end(line, at, b"true"),
        b'f' => word_end(line, at, b"false"),
        b'n' => word_end(line, at, b"null"),
        b'-' | b'0'..=b'9' => {
            let number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
            Some(at + line[at..].iter().take_while(|byte| number(byte)).count())
        }
        _ => None,
    }
}

fn word_end(line: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    line[at..].starts_with(word).then_some(at + word.len())
}

fn string_end(line: &[u8], at: usize) -> Option<usize> {
    if line.get(at) != Some(&b'"') {
        return None;
    }
    quoted_end(line, at)
}

/// The end of an object or array that nothing is done to: only its brackets are looked at.
fn nested_end(line: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut depth = 0_usize;
    loop {
        at += NESTING.find(line.get(at..)?)?;
        match line[at] {
            b'"' => {
                at = string_end(line, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

fn blanks_end(line: &[u8], at: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    at + line[at.min(line.len())..].iter().take_while(blank).count()
}

#[cfg(test)]
mod tests {
    use super::Rewriter;
    use crate::rules::Rules;
    use weir_fields::Path;

    fn rewritten(rules: &Rules, line: &str) -> Option<String> {
        let mut out = Vec::new();
        Rewriter::default().rewrite(line.as_bytes(), rules, &mut out)?;
        Some(String::from_utf8(out).expect("the cases are UTF-8"))
    }

    fn path(text: &str) -> Path {
        Path::parse(text).expect("the cases' paths are valid")
    }

    #[test]
    fn blanks_and_spelling_stay() {
        let mut rules = Rules::default();
        rules.drop(&path("a"));
        rules.drop(&path("o.x"));
        for (line, expected) in [
            (r#" {"a": 1, "b": 1.00, "c":"\u00e9"} "#, Some(r#" {"b": 1.00, "c":"\u00e9"} "#)),
            (r#"{ "b": 1, "a": 2 }"#, Some(r#"{ "b": 1 }"#)),
            (r#"{"a":1}"#, Some("{}")),
            (r#"{"\u0061":1,"b":2}"#, Some(r#"{"b":2}"#)),
            (r#"{"o":{"x":1},"p":{"x":1}}"#, Some(r#"{"o":{},"p":{"x":1}}"#)),
            (r#"{"o":"x"}"#, Some(r#"{"o":"x"}"#)),
            (r#"{"a":1"#, None),
            (r#"{"a":1} x"#, None),
            (r#"{"a":1,}"#, None),
            (r#"{"a" 1}"#, None),
            ("[1]", None),
            ("plain", None),
        ] {
            assert_eq!(rewritten(&rules, line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn kept_fields_stay_in_their_order() {
        let mut rules = Rules::default();
        for kept in ["c", "u.id", "l[*].id"] {
            rules.keep(&path(kept));
        }
        rules.drop(&path("c.secret"));
        for (line, expected) in [
            (r#"{"a":1,"u":{"id":7,"n":"x"},"c":{"secret":1,"d":2}}"#, r#"{"u":{"id":7},"c":{"d":2}}"#),
            (r#"{"u":{"n":"x"}}"#, "{}"),
            (r#"{"u":"text"}"#, "{}"),
            (r#"{"l":[{"id":1,"x":2},{"x":3},4]}"#, r#"{"l":[{"id":1}]}"#),
        ] {
            assert_eq!(rewritten(&rules, line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_renamed_field_takes_the_place_of_another() {
        let mut rules = Rules::default();
        rules.rename(&path("msg"), "message").expect("valid");
        rules.rename(&path("u.id"), "a\"b").expect("valid");
        for (line, expected) in [
            (r#"{"msg":1,"b":2}"#, r#"{"message":1,"b":2}"#),
            (r#"{"message":0,"msg":1}"#, r#"{"message":1}"#),
            (r#"{"message":0}"#, r#"{"message":0}"#),
            (r#"{"u":{"id" : 7}}"#, r#"{"u":{"a\"b" : 7}}"#),
        ] {
            assert_eq!(rewritten(&rules, line).as_deref(), Some(expected), "{line}");
        }
        assert!(rules.rename(&path("other"), "message").is_err());
        assert!(rules.rename(&path("l[*]"), "x").is_err());
    }
}
