//! Cases that the comparison with jq does not make: broken lines, and the rules of the language one by one.

use super::*;

fn verdict(source: &str, line: &str) -> Verdict {
    JsonExpr::parse(source).expect(source).verdict(line.as_bytes())
}

#[track_caller]
fn holds(line: &str, sources: &[&str]) {
    for source in sources {
        assert_eq!(verdict(source, line), Verdict::True, "{source} on {line}");
        let negated = format!("!({source})");
        assert_eq!(verdict(&negated, line), Verdict::False, "{negated} on {line}");
    }
}

#[test]
fn equality_never_converts() {
    holds(
        r#"{"n":1,"s":"1","t":true,"z":null,"a":[1],"o":{}}"#,
        &[
            "n == 1.0",
            "n == 1e0",
            "n != \"1\"",
            "s == \"1\"",
            "s != 1",
            "t == true",
            "t != \"true\"",
            "t != 1",
            "z == null",
            "z != false",
            "z exists",
            "a != 1",
            "o != null",
            "a exists",
            "n in [0, 1]",
            "!n in [\"1\"]",
            "n >= 1",
            "n <= 1",
            "!n < 1",
            "!n > 1",
            "!s > 0",
            "s >= \"0\"",
            "s < \"10\"",
            "!n < \"2\"",
            "n > -1",
        ],
    );
}

#[test]
fn a_missing_field_fails_every_test_and_its_negation_holds() {
    holds(
        r#"{"a":{"b":1},"l":[]}"#,
        &[
            "!x exists",
            "x != 1",
            "x != null",
            "!x == null",
            "!x < 1",
            "!x >= 1",
            "x !~ 'a'",
            "!a.c exists",
            "!a.b.c exists",
            "a.b != 2",
            "!l[0] exists",
            "!l[*] exists",
            "l[*] != 1",
            "!a[0] exists",
            "!l.a exists",
            "!a[*] exists",
            "!x contains 'a'",
            "!x in [null]",
        ],
    );
}

#[test]
fn arrays_by_index_and_any_element() {
    holds(
        r#"{"a":[{"id":1},{"id":3,"t":["x","y"]},7],"s":"foobar"}"#,
        &[
            "a[0].id == 1",
            "a[-1] == 7",
            "a[-2].id == 3",
            "!a[3] exists",
            "!a[-4] exists",
            "a[*].id == 3",
            "a[*].id != 2",
            "!a[*].id != 3",
            "a contains 7",
            "!a contains 3",
            "a[*].t contains 'y'",
            "a[*].t[*] =~ '^x$'",
            "a[1].t[-1] == 'y'",
            "s contains 'oba'",
            "!s contains 7",
            "s startswith 'foo'",
            "s endswith 'bar'",
            "s contains ''",
            "a[*] exists",
            "a[*].t exists",
        ],
    );
}

#[test]
fn the_last_of_equal_keys_counts_with_all_below_it() {
    holds(
        r#"{"a":{"b":1,"b":2},"c":{"d":1},"c":{"e":2},"f":{"g":1},"f":3,"\u0061":{"b":5}}"#,
        &["a.b == 5", "!c.d exists", "c.e == 2", "!f.g exists", "f == 3"],
    );
    holds(r#"{"a":[{"b":1,"b":2}]}"#, &["a[0].b == 2"]);
}

#[test]
fn escaped_spellings_are_the_same_text() {
    holds(
        r#"{"l\u0065vel":"\u0065rr\u006fr","p":"\/a\/b","q":"say \"hi\"","e":"\ud83d\ude00\n"}"#,
        &[
            "level == 'error'",
            "p == '/a/b'",
            r#"q contains '"hi"'"#,
            "e =~ '^😀\\n$'",
            r#"e == "😀\n""#,
            "level in ['a', 'error']",
            "p startswith '/a'",
            "level > 'erro'",
        ],
    );
}

#[test]
fn lines_that_are_no_object() {
    for line in [
        "",
        " ",
        "plain text",
        "[1]",
        "3",
        "\"a\"",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":1} x",
        "{\"a\":1}{\"a\":1}",
        "{\"a\" 1}",
        "{\"a\":\"x}",
        "{\"a\":[1}",
        "{\"a\":{\"b\":1}",
        "{\"a\":,\"b\":1}",
        "{\"a\":tru}",
        "{\"a\":01}",
        "{\"a\":\"\\x\"}",
        "{\"b\":[\"}]",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "{\"a\":\"\\",
        "{\"b\\q\":1,\"a\":1}",
    ] {
        assert_eq!(verdict("a == 'x' || !a exists", line), Verdict::NotJson, "{line}");
    }
    for line in [" {} ", "\t{ \"b\" : [ 1 , { } ] , \"a\" : \"x\" }\r", "{\"b\":\"{\\\"[\",\"a\":\"x\"}"] {
        assert_eq!(verdict("a == 'x' || !a exists", line), Verdict::True, "{line}");
    }
}

#[test]
fn values_that_are_not_read_are_not_checked() {
    assert_eq!(verdict("a == 1", r#"{"b":nonsense,"c":"\q","a":1}"#), Verdict::True);
}

#[test]
fn deep_nesting_costs_no_stack() {
    let line = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert_eq!(verdict("a[0][0] exists && !b exists", &line), Verdict::True);
}

#[test]
fn brackets_are_found_at_every_offset_of_a_block() {
    for before in 0..40 {
        for inside in 0..40 {
            let text = "x".repeat(inside);
            let line = format!(
                "{}{{\"s\":[\"{text}]\\\"\",{{\"k\":\"}}{text}\"}},{{}}],\"a\":{{\"z\":\"{text}\",\"b\":7}}}}",
                " ".repeat(before)
            );
            assert_eq!(verdict("a.b == 7", &line), Verdict::True, "{line}");
        }
    }
}

#[test]
fn bytes_that_are_not_utf_8_pass_through() {
    let mut expr = JsonExpr::parse("a == 'x' && b =~ 'c'").expect("it parses");
    assert_eq!(expr.verdict(b"{\"\xff\":\"\xfe\",\"a\":\"x\",\"b\":\"\xffc\"}"), Verdict::True);
}
