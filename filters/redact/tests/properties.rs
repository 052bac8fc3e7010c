//! Secrets planted in random context. The test kit checks the prefilter's promise for every line on the way.

use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use weir_redact::Redact;
use weir_sdk::testing::FilterTest;

/// A secret: the text before it, itself, and the text behind it.
#[derive(Debug, Clone)]
struct Planted {
    before: String,
    secret: String,
    behind: String,
}

fn planted(before: &str, secret: String, behind: &str) -> Planted {
    Planted { before: before.to_owned(), secret, behind: behind.to_owned() }
}

fn card() -> impl Strategy<Value = String> {
    ("([3456]|22[3-9]|2[3-6])[0-9]{11,15}", prop_oneof![Just(""), Just(" "), Just("-")]).prop_map(
        |(digits, separator)| {
            let digits: Vec<u32> = digits.chars().map(|digit| digit.to_digit(10).expect("a digit")).collect();
            let sum: u32 = digits
                .iter()
                .rev()
                .enumerate()
                .map(
                    |(place, &digit)| {
                        if place % 2 == 0 { (2 * digit) / 10 + (2 * digit) % 10 } else { digit }
                    },
                )
                .sum();
            let all: Vec<String> =
                digits.into_iter().chain([(10 - sum % 10) % 10]).map(|digit| digit.to_string()).collect();
            all.chunks(4).map(<[String]>::concat).collect::<Vec<_>>().join(separator)
        },
    )
}

fn any_secret() -> impl Strategy<Value = Planted> {
    prop_oneof![
        "[a-z]{1,8}(\\.[a-z0-9]{1,5})?@[a-z0-9]{1,8}\\.(com|de|co\\.uk)".prop_map(|s| planted("", s, "")),
        any::<u32>().prop_map(|bits| planted("", std::net::Ipv4Addr::from_bits(bits).to_string(), "")),
        any::<u128>().prop_map(|bits| planted("", std::net::Ipv6Addr::from_bits(bits | 1).to_string(), "")),
        card().prop_map(|s| planted("", s, "")),
        "[A-Za-z][0-9][A-Za-z0-9._~+/-]{10,40}".prop_map(|s| planted("Bearer ", s, "")),
        "eyJ[A-Za-z0-9_-]{12,40}\\.eyJ[A-Za-z0-9_-]{10,60}\\.[A-Za-z0-9_-]{20,43}"
            .prop_map(|s| planted("", s, "")),
        "(AKIA|ASIA)[A-Z2-7]{16}".prop_map(|s| planted("", s, "")),
        "[A-Za-z0-9/+]{40}".prop_map(|s| planted("aws_secret_access_key = ", s, "")),
        "AIza[A-Za-z0-9_-]{35}".prop_map(|s| planted("", s, "")),
        "[A-Za-z0-9+/]{86}==".prop_map(|s| planted("AccountKey=", s, ";")),
        "(ghp|gho|ghs)_[A-Za-z0-9]{36}".prop_map(|s| planted("", s, "")),
        "xoxb-[0-9]{11}-[0-9]{11}-[A-Za-z0-9]{24}".prop_map(|s| planted("", s, "")),
        "-----BEGIN RSA PRIVATE KEY-----(\\\\n[A-Za-z0-9+/]{64}){1,4}\\\\n-----END RSA PRIVATE KEY-----"
            .prop_map(|s| planted("", s, "")),
        "[a-z0-9!$]{4,20}".prop_map(|s| planted("https://user:", s, "@host/x")),
        "[a-zA-Z0-9!$#%/+._-]{4,20}[a-z0-9]".prop_map(|s| planted("password=", s, "")),
        "[a-zA-Z0-9 !,;&=:$#{}.-]{4,20}[a-z0-9]".prop_map(|s| planted("\"api_key\": \"", s, "\",")),
        "[a-zA-Z0-9!$#%/+._]{4,20}[a-z0-9]".prop_map(|s| planted("run --api-key ", s, " x")),
        "[a-zA-Z0-9 !,;&=:$#{}.-]{4,20}[a-z0-9]".prop_map(|s| planted("<password>", s, "</password>")),
        "[a-zA-Z0-9 !,;&=:$#{}.-]{4,20}[a-z0-9]".prop_map(|s| planted("{\\\"token\\\":\\\"", s, "\\\"}")),
    ]
}

/// Text without secrets, of any bytes.
fn context() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        prop_oneof![
            3 => "[a-z]{1,9}".prop_map(String::into_bytes),
            1 => "[0-9]{1,5}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(0x80_u8.., 1..4),
            1 => prop_oneof![Just("{"), Just("}"), Just("["), Just("("), Just("|"), Just("\u{0}"), Just("#")]
                .prop_map(|mark| mark.as_bytes().to_vec()),
        ],
        0..8,
    )
    .prop_map(|words| words.join(&b' '))
}

thread_local! {
    /// The filters opened so far: each costs the test kit the compiling of its prefilter.
    static OPEN: RefCell<HashMap<String, FilterTest<Redact>>> = RefCell::default();
}

fn run(params: &str, line: &[u8]) -> Vec<u8> {
    OPEN.with_borrow_mut(|open| {
        let new = || FilterTest::open(params).expect("the parameters are valid");
        let outcome = open.entry(params.to_owned()).or_insert_with(new).run(&[line]).remove(0);
        outcome.message(line).expect("lines are never dropped").to_vec()
    })
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// `text` with colour codes put in before some of its characters.
fn coloured(text: &str, places: &[bool], code: &str) -> String {
    let code = |place: usize| {
        if places.get(place) == Some(&true) { code } else { "" }
    };
    text.chars().enumerate().map(|(place, char)| format!("{}{char}", code(place))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn planted_secrets_are_gone(
        before in context(), planted in any_secret(), behind in context(), raw_before: bool, raw_behind: bool,
    ) {
        // Some without a blank between: invalid UTF-8 next to a secret must not hide it.
        let glue = |raw: bool| if raw { &b"\xff"[..] } else { b" " };
        let line = [&before[..], glue(raw_before), planted.before.as_bytes(), planted.secret.as_bytes(),
            planted.behind.as_bytes(), glue(raw_behind), &behind[..]].concat();
        for params in ["{}", r#"{"mode":"hash","key":"0123456789abcdef"}"#] {
            let out = run(params, &line);
            prop_assert!(!holds(&out, planted.secret.as_bytes()), "{}", shown(&out));
        }
        let out = run("{}", &line);
        prop_assert_eq!(shown(&run("{}", &out)), shown(&out));
    }

    #[test]
    fn colours_hide_nothing(
        planted in any_secret(), places in proptest::collection::vec(proptest::bool::weighted(0.2), 100),
        code in prop_oneof![Just("\x1b[1;31m"), Just("\x1b[0m"), Just("\\u001b[32m")],
    ) {
        let secret = coloured(&planted.secret, &places, code);
        let line = format!("x {}{secret}{} y", planted.before, planted.behind);
        let out = String::from_utf8(run("{}", line.as_bytes())).expect("the line is UTF-8");
        let plain = out.replace(code, "");
        prop_assert!(!plain.contains(&planted.secret), "{}", plain);
    }

    #[test]
    fn words_and_numbers_stay(words in proptest::collection::vec("[a-z]{1,10}|[0-9]{1,6}", 0..12)) {
        let line = words.join(" ").into_bytes();
        // Digits in a row of words may be a card number by chance.
        prop_assert_eq!(run(r#"{"except":"card"}"#, &line), line);
    }

    #[test]
    fn hashes_are_stable_and_keyed(name in "[a-z]{3,9}", other in "[a-z]{3,9}", filler in "[a-z ]{0,20}") {
        prop_assume!(name != other);
        let hashed = |key: &str, name: &str, filler: &str| {
            let params = format!(r#"{{"mode":"hash","key":"{key}{key}{key}{key}","detectors":"email"}}"#);
            let line = format!("{filler} {name}@example.com");
            let out = String::from_utf8(run(&params, line.as_bytes())).expect("UTF-8");
            out[out.find('[').expect("a marker")..].to_owned()
        };
        let token = hashed("key1", &name, "");
        prop_assert_eq!(&token, &hashed("key1", &name, &filler));
        prop_assert_ne!(&token, &hashed("key2", &name, ""));
        prop_assert_ne!(&token, &hashed("key1", &other, ""));
    }

    #[test]
    fn masks_keep_the_length(before in context(), planted in any_secret()) {
        // An escape counts as what it stands for.
        prop_assume!(!planted.secret.contains('%'));
        let line = [&before[..], b" ", planted.before.as_bytes(), planted.secret.as_bytes(), planted.behind.as_bytes()].concat();
        prop_assert_eq!(run(r#"{"mode":"mask"}"#, &line).len(), line.len());
    }

    #[test]
    fn any_bytes_go_through(line in proptest::collection::vec(prop_oneof![
        Just(b'@'), Just(b':'), Just(b'='), Just(b'"'), Just(b'\\'), Just(b'/'), Just(b'-'), Just(b'.'), Just(b'['),
        Just(b'n'), Just(b'u'), Just(b'0'), Just(b'4'), Just(b'%'), Just(0x1b), Just(b' '), Just(b'a'), any::<u8>(),
    ], 0..120)) {
        run("{}", &line);
    }

    #[test]
    fn pieces_of_secrets_go_through(pieces in proptest::collection::vec(prop_oneof![
        Just("password"), Just("\\\""), Just("\""), Just("="), Just(": "), Just("Bearer "), Just("[REDACTED:email]"),
        Just("-----BEGIN "), Just("-----END "), Just("PRIVATE KEY-----"), Just("://"), Just("@"), Just("eyJ"), Just("."),
        Just("AKIA"), Just("\x1b["), Just("0m"), Just("["), Just("]"), Just(","), Just("a1B2c3D4"), Just(" "), Just("{"),
        Just("4111111111111111"), Just("10.0.0.1"), Just("::1"), Just("bob@example.com"), Just("\\n"), Just("authorization"), Just("--token"), Just("<"), Just(">"), Just("--token"), Just("<"), Just(">"), Just("--"),
    ], 0..14)) {
        let line = pieces.join(" ").into_bytes();
        let once = run("{}", &line);
        prop_assert_eq!(shown(&run("{}", &once)), shown(&once));
    }
}

#[test]
fn bounds_of_work_hold_for_lines_made_to_be_slow() {
    // Each would take minutes if a detector looked at the rest of the line again and again.
    for piece in [
        "a@",
        "://a:b/",
        "password=",
        "password=a,",
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        "1.1.1.",
        "4111-",
        ":1",
        "a1:",
        "\\",
        "\"token\":[",
        "[",
        "Bearer ",
        "\x1b[",
        "-----BEGIN ",
        "token:[\"",
        "authorization: x=\"",
        "[REDACTED:email] a@b.co ",
        "--token ",
        "--token=",
        "<token>",
        "--",
    ] {
        let line = piece.repeat((1 << 18) / piece.len());
        run("{}", line.as_bytes());
    }
}
