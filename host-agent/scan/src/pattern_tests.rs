//! Cases of matching on messages.

use super::*;

fn matcher(spec: PatternSpec) -> Matcher {
    Matcher::new(&spec, &PatternLimits::default()).unwrap().unwrap()
}

fn spec(pattern: &str) -> PatternSpec {
    PatternSpec { patterns: vec![pattern.to_owned()], ..PatternSpec::default() }
}

fn matches(spec: PatternSpec, message: &str) -> bool {
    matcher(spec).is_match(message.as_bytes())
}

#[test]
fn nothing_asked_for_is_no_matcher() {
    let limits = PatternLimits::default();
    let nothing = PatternSpec { invert: true, word: true, ..PatternSpec::default() };
    assert!(Matcher::new(&nothing, &limits).unwrap().is_none());
}

#[test]
fn flags_mean_what_they_mean_in_ripgrep() {
    assert!(matches(spec("a.c"), "abc"));
    assert!(!matches(PatternSpec { fixed: true, ..spec("a.c") }, "abc"));
    assert!(!matches(spec("ABC"), "abc"));
    assert!(matches(PatternSpec { case: Case::Insensitive, ..spec("ÄBC") }, "äbc"));
    assert!(matches(PatternSpec { case: Case::Insensitive, fixed: true, ..spec("a.C") }, "A.c"));
    assert!(matches(PatternSpec { case: Case::Smart, ..spec(r"abc\S") }, "ABCd"));
    assert!(!matches(PatternSpec { case: Case::Smart, ..spec("[A-C]bc") }, "aBC"));
    assert!(!matches(PatternSpec { case: Case::Smart, fixed: true, ..spec("Abc") }, "abc"));
    assert!(matches(PatternSpec { word: true, ..spec("-foo") }, "x -foo y"));
    assert!(!matches(PatternSpec { word: true, ..spec("foo") }, "food"));
    assert!(matches(PatternSpec { line: true, ..spec("a|abc") }, "abc"));
    assert!(!matches(PatternSpec { line: true, ..spec("a|ab") }, "abc"));
    assert!(matches(PatternSpec { invert: true, ..spec("x") }, "abc"));
    assert!(!matches(PatternSpec { invert: true, ..spec("b") }, "abc"));
}

#[test]
fn lists_combine() {
    let all = PatternSpec {
        patterns: vec!["a".into(), "b".into()],
        and: vec!["c".into(), "d".into()],
        not: vec!["e".into()],
        ..PatternSpec::default()
    };
    for (message, expected) in [("acd", true), ("bdc", true), ("cd", false), ("ac", false), ("acde", false)] {
        assert_eq!(matches(all.clone(), message), expected, "{message}");
    }
    assert!(matches(PatternSpec { invert: true, ..all.clone() }, "cd"));
    assert!(!matches(PatternSpec { invert: true, ..all }, "c"));
    let only_not = PatternSpec { not: vec!["e".into()], ..PatternSpec::default() };
    assert!(matches(only_not, "abc"));
}

#[test]
fn anchors_are_the_messages() {
    for (pattern, message, expected) in [
        ("^foo$", "foo", true),
        ("^foo$", "foo\r", true),
        (r"foo\z", "foo\r", true),
        ("foo$", "foo\r\r", false),
        ("^$", "", true),
        ("^$", "\r", true),
        ("^$", "x", false),
        ("^b", "a\nb", false),
        (r"\bfoo\b", "foo", true),
        (r"\r$", "foo\r", true),
    ] {
        assert_eq!(matches(spec(pattern), message), expected, "{pattern} {message:?}");
    }
    assert!(matches(PatternSpec { line: true, ..spec("foo") }, "foo\r"));
}

#[test]
fn colours_are_invisible_unless_asked_for() {
    let message = "\x1b[31mer\x1b[1mror\x1b[0m: x";
    assert!(matches(spec("^error:"), message));
    assert!(!matches(spec("31m"), message));
    assert!(matches(spec(r"\x1b\[31m"), message));
    assert!(!matches(PatternSpec { not: vec![r"\x1b\[1m".into()], ..spec("error") }, message));
    // A filter sees the message with its colours, and so does its prefilter.
    let prefilter = MessageRegex::new("error", &PatternLimits::default()).unwrap();
    assert!(!matcher(spec("error")).requiring(Arc::new(prefilter)).is_match(message.as_bytes()));
}

#[test]
fn highlights_in_the_message_as_it_is() {
    let spans = |spec: PatternSpec, message: &str| {
        let mut found = Vec::new();
        matcher(spec).for_each_match(message.as_bytes(), |range| found.push(message[range].to_owned()));
        found
    };
    assert_eq!(spans(spec("or"), "or\x1b[1m o\x1b[0mr"), ["or", "o\x1b[0mr"]);
    assert_eq!(spans(spec("x*b$"), "axxb\r"), ["xxb"]);
    assert_eq!(spans(PatternSpec { and: vec!["b".into()], ..spec("a") }, "ab"), ["a", "b"]);
    assert!(spans(PatternSpec { invert: true, ..spec("z") }, "ab").is_empty());
}

#[test]
fn bytes_need_not_be_text() {
    let matcher = matcher(spec(r"(?-u:\xff)b"));
    assert!(matcher.is_match(b"a\xffb"));
    assert!(!matcher.is_match("aÿb".as_bytes()));
}

#[test]
fn refusals_name_pattern_and_limit() {
    let limits = PatternLimits { compiled_bytes: 10_000, pattern_bytes: 100, patterns: 2 };
    let error = |spec: PatternSpec| Matcher::new(&spec, &limits).unwrap_err().to_string();
    assert!(error(spec("a(b")).contains("\"a(b\" is not a regular expression"));
    assert!(error(PatternSpec { case: Case::Smart, ..spec("a(b") }).contains("\"a(b\""));
    assert!(error(spec(r"\w{50}")).contains(r"limit pattern_compiled_bytes of 10000"));
    assert!(error(spec(&"x".repeat(101))).contains("limit pattern_bytes of 100"));
    assert!(error(spec(r"a\nb")).contains("newline"));
    assert!(error(PatternSpec { fixed: true, ..spec("a\nb") }).contains("newline"));
    let three = PatternSpec { patterns: vec!["a".into(); 2], not: vec!["b".into()], ..spec("") };
    assert!(error(three).contains("3 patterns are over the limit pattern_count of 2"));
    assert!(MessageRegex::new("[", &limits).is_err());
}
