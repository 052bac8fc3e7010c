//! The automaton against `regex-automata`.

use fastrand::Rng;
use regex_automata::{meta, util::syntax};

use super::*;

/// What `regex-automata` says; word boundaries are ASCII's there too.
fn reference(source: &str) -> meta::Regex {
    let bounds = [
        (r"\b{s", "<"),
        (r"\b{e", ">"),
        (r"\b", r"(?-u:\b)"),
        (r"\B", r"(?-u:\B)"),
        ("<", r"\b{s"),
        (">", r"\b{e"),
    ];
    let ascii = bounds.iter().fold(source.to_owned(), |text, (from, to)| text.replace(from, to));
    meta::Regex::builder()
        .configure(meta::Config::new().utf8_empty(false))
        .syntax(syntax::Config::new().utf8(false))
        .build(&ascii)
        .expect(source)
}

#[track_caller]
fn agree(source: &str, texts: &[&[u8]]) {
    let meta = reference(source);
    let mut ours = Pattern::new(source).expect(source);
    for text in texts {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(ours.is_match(text), meta.is_match(text), "{source} on {shown:?}");
    }
}

#[test]
fn chosen_patterns() {
    let texts: Vec<&[u8]> = [
        "",
        "a",
        "err",
        "ERROR",
        "foo bar",
        "foö foo",
        "föo",
        "STRASSE STRAßE",
        "id 123",
        "x\nb\ny",
        "bac",
        "éé",
        "abc 12\u{3000}999",
        "a\r\nb",
        "\r",
        "\n",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaab",
        "😀",
        "K",
        "foo_bar",
        "日本語 ١٢٣",
        "user@example.org",
        "a.b.c",
        "\0",
    ]
    .iter()
    .map(|text| text.as_bytes())
    .chain([&b"\xff\xfe"[..], b"a\xffb", b"\xc3", b"\xe2\x82"])
    .collect();
    for source in [
        "err",
        "(?i)err",
        "^a",
        "a$",
        r"\bfoo\b",
        r"\w+\s\d{3}",
        "[^a-z]",
        "(?i)straße",
        "a|b.c",
        "",
        "^$",
        "x*",
        r"(?-u:\xff)",
        r"\Ba\B",
        "(?s).a",
        "(?m)^b$",
        "é+",
        r"(?m)^$",
        r"(?Rm)^b",
        r"(?Rm)a$",
        "(a*)*b",
        "(?:a|b|)+$",
        "a{2,4}b",
        "a{3}",
        "(?:ab?){2,}",
        r"\A\z",
        r"[\w.]+@[\w.]+",
        r"\d+",
        "(?i)k",
        "[^\n]$",
        r"(?-u:\b{start})foo",
        r"bar(?-u:\b{end})",
        r"(?-u)[^a]",
        r"\W\w",
        "(^|x)b",
        r"[😀-😂]",
        "(?i:Foo) BAR|foo",
        "[a&&b]",
        "a[^a]*b$",
        r"\D\S",
    ] {
        agree(source, &texts);
    }
}

#[test]
fn random_patterns() {
    for seed in 0..1500 {
        let mut rng = Rng::with_seed(seed);
        let source = random_pattern(&mut rng, 2);
        let texts: Vec<Vec<u8>> = (0..30)
            .map(|_| {
                let mut text = Vec::new();
                for _ in 0..rng.usize(0..14) {
                    let pieces: [&[u8]; 15] = [
                        b"a",
                        b"a",
                        b"b",
                        b"c",
                        b"_",
                        b" ",
                        b"\n",
                        b"\r",
                        "é".as_bytes(),
                        "日".as_bytes(),
                        "É".as_bytes(),
                        "ſK".as_bytes(),
                        b"A",
                        b"\xc3",
                        b"1",
                    ];
                    text.extend_from_slice(pieces[rng.usize(0..pieces.len())]);
                }
                text
            })
            .collect();
        agree(&source, &texts.iter().map(|text| &text[..]).collect::<Vec<_>>());
    }
}

fn random_pattern(rng: &mut Rng, depth: usize) -> String {
    let atoms = [
        "a",
        "b",
        "c",
        "é",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\d",
        r"\s",
        r"\W",
        "^",
        "$",
        r"\b",
        r"\B",
        r"\A",
        r"\z",
        "(?m:^)",
        "(?m:$)",
        "(?Rm:^)",
        "(?Rm:$)",
        "(?s:.)",
        "日",
        "(?-u:[^a])",
        "(?i:A)",
        "(?i)a",
        "(?-i)b",
        "(?i-u:[^B])",
        "(?i:[^Éa])",
        "(?i:[[:^lower:]])",
        "(?i:[[:upper:]--b])",
        "(?i:[^Kk-z])",
        r"[^\w\n]",
        r"[\S&&\D]",
        "É",
        r"(?-u:\w)",
        "[a-zé]",
    ];
    let mut out = String::new();
    for _ in 0..rng.usize(1..5) {
        if depth > 0 && rng.u8(0..4) == 0 {
            let (one, other) = (random_pattern(rng, depth - 1), random_pattern(rng, depth - 1));
            out.push_str(&format!("(?:{one}|{other})"));
        } else {
            out.push_str(atoms[rng.usize(0..atoms.len())]);
        }
        let repeats = ["", "", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"];
        out.push_str(repeats[rng.usize(0..repeats.len())]);
    }
    out
}

#[test]
fn a_pattern_with_more_states_than_the_cache_holds() {
    let mut rng = Rng::with_seed(1);
    let text: Vec<u8> = (0..60_000).map(|_| rng.u8(b'a'..=b'b')).collect();
    let hit = [&text[..], b"c"].concat();
    for source in ["a[ab]{13}c", "a[ab]{15}[ab]*d"] {
        agree(source, &[&text, &hit, &text[..5000]]);
    }
}

#[test]
fn refusals_are_plain() {
    let message = |source: &str| Pattern::new(source).map(|_| ()).expect_err(source);
    assert_eq!(message("a{2"), "unclosed counted repetition");
    assert!(message("(?=a)").contains("look-around"));
    assert!(message(r"\p{Greek}").contains("by property"));
    let nested = message(&format!("{}a{}", "(".repeat(100), ")".repeat(100)));
    assert!(nested.contains("nest"), "{nested}");
    for large in [r"\w{500}{500}", "(?:a{1000}){1000}", &r"\w".repeat(500)] {
        assert!(message(large).contains("2097152 bytes"), "{large}: {}", message(large));
    }
    assert!(Pattern::new(r"\w{64}").is_ok());
}
