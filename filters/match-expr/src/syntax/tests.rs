//! The grammar, its errors and its limits.

use super::parser::parse;
use super::{Literal, Node, Step, Test};
use crate::MAX_SOURCE;

fn error(source: &str) -> String {
    parse(source).expect_err(source).to_string()
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let expr = parse("a == 1 || !b == 2 && (c exists || d != 3)").expect("it parses");
    let Node::Or(or) = expr.root else { panic!("{:?}", expr.root) };
    let Node::And(and) = &or[1] else { panic!("{or:?}") };
    assert!(matches!(and[0], Node::Not(_)));
    let Node::Or(inner) = &and[1] else { panic!("{and:?}") };
    assert!(matches!(inner[1], Node::Not(_)));
}

#[test]
fn paths_in_every_spelling() {
    let expr = parse(r#".a."b.c"['d e'][0][-1][*].user-agent exists"#).expect("it parses");
    let key = |k: &str| Step::Key(k.to_owned());
    let want =
        [key("a"), key("b.c"), key("d e"), Step::Index(0), Step::Index(-1), Step::Each, key("user-agent")];
    assert_eq!(expr.predicates[0].path, want);
}

#[test]
fn word_operators_may_be_keys() {
    for source in ["in in [1]", "exists exists", "true == true", "a.contains contains \"in\""] {
        parse(source).expect(source);
    }
}

#[test]
fn literals_with_escapes() {
    let expr = parse(r#"a == "x\"\\\/\n\u00e9\ud83d\ude00\u0041" && b == '\d"'"#).expect("it parses");
    let text = |i: usize| match &expr.predicates[i].test {
        Test::Equal(Literal::Text(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(0), "x\"\\/\né😀A");
    assert_eq!(text(1), r#"\d""#);
}

#[test]
fn errors_point_at_their_place() {
    assert_eq!(
        error("level == error"),
        "column 10: expected a value: text in quotes, a number, true, false or null, found \
         `error`; text goes in quotes\n  level == error\n           ^"
    );
    for (source, column, part) in [
        ("", 1, "expected a field"),
        ("level = 'x'", 7, "equality is `==`"),
        ("a == 1 and b == 2", 8, "write `&&`"),
        ("a == 1 & b == 2", 8, "write `&&`"),
        ("not a exists", 5, "expected `exists` or a comparison"),
        ("ok && a exists", 4, "for a boolean write `== true`"),
        ("a == 1)", 7, "the end"),
        ("(a == 1", 8, "or `)`"),
        ("a == 1.", 6, "a number as JSON writes it"),
        ("a == 5xx", 6, "found `5xx`"),
        ("a.0 == 1", 3, "written a[0]"),
        ("a[x] == 1", 3, "an index"),
        ("a[1.5] == 1", 3, "a whole number"),
        ("a < true", 5, "order"),
        ("a in []", 7, "expected a value"),
        ("a in [1 2]", 9, "`,` or `]`"),
        ("a startswith 1", 14, "text in quotes"),
        ("a == \"x", 6, "no closing"),
        ("a == 'x", 6, "no closing"),
        (r#"a =~ "\d""#, 7, "no escape"),
        (r#"a == "\ud800""#, 7, "surrogate"),
        (r#"a == "\u+123""#, 7, "hexadecimal"),
        ("a =~ '('", 6, "unclosed group"),
        ("é == ;", 6, "no meaning"),
    ] {
        let error = parse(source).expect_err(source);
        assert_eq!(error.column, column, "{source}: {error}");
        assert!(error.message.contains(part), "{source}: {error}");
    }
}

#[test]
fn long_expressions_show_the_part_that_is_wrong() {
    let error = error(&format!("{} && b = 1", vec!["a == 1"; 50].join(" && ")));
    let mut lines = error.lines().skip(1);
    let (shown, caret) = (lines.next().expect("excerpt"), lines.next().expect("caret"));
    assert!(shown.len() < 80, "{error}");
    assert_eq!(&shown[caret.find('^').expect("caret")..], "= 1", "{error}");
}

#[test]
fn every_limit_has_its_message() {
    let nested = format!("{}a exists{}", "(".repeat(65), ")".repeat(65));
    for (source, part) in [
        ("a".repeat(MAX_SOURCE + 1), "at most 16384"),
        (nested, "64 levels"),
        (vec!["a exists"; 257].join("||"), "256 comparisons"),
        (format!("{}.a exists", vec!["a"; 32].join(".")), "32 steps"),
        (format!("a in [{}]", vec!["1"; 1025].join(",")), "1024 values"),
        (vec!["a =~ 'x'"; 33].join("||"), "32 regular"),
        (r"a =~ '\w{500}{500}'".to_owned(), "2097152"),
    ] {
        assert!(error(&source).contains(part), "{}", error(&source));
    }
}
