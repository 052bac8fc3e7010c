//! Random expressions, and how they are written in our language.

use fastrand::Rng;

use crate::jq::Dialect;

pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Vec<Step>, Test),
}

pub(crate) enum Step {
    Key(&'static str),
    Index(i64),
    Each,
}

pub(crate) enum Test {
    Exists,
    /// The operator as both languages write it: `==`, `!=`, `<`, `<=`, `>`, `>=`.
    Compare(&'static str, Literal),
    In(Vec<Literal>),
    Contains(Literal),
    StartsWith(String),
    EndsWith(String),
    Matches {
        pattern: String,
        negated: bool,
    },
}

pub(crate) enum Literal {
    Null,
    Bool(bool),
    /// As written.
    Number(&'static str),
    Text(&'static str),
}

const KEYS: [&str; 9] = ["a", "b", "level", "user id", "é", "x.y", "q\"t", "in", "a\\/"];

/// For logfmt, where a key is a bare word.
pub(crate) const WORDS: [&str; 5] = ["a", "b", "level", "é", "x.y"];

pub(crate) const TEXTS: [&str; 18] = [
    "error",
    "err",
    "warn",
    "",
    "a/b",
    "é",
    "😀",
    "line\nbreak",
    "say \"hi\"",
    "500",
    "true",
    "null",
    "\u{0}x",
    "k",
    "back\\slash",
    "a=b c",
    "error error error error error",
    "\u{fffd}",
];

pub(crate) const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "0.0",
    "1",
    "1.0",
    "1e0",
    "10e-1",
    "500",
    "5e2",
    "500.00",
    "0.5E+3",
    "499.999999999999999999999",
    "-5",
    "-5.0",
    "0.1",
    "0.10",
    "0.1000000000000000055",
    "1e400",
    "9007199254740993",
    "9007199254740992",
    "123456789012345678901",
    "5",
];

impl Expr {
    pub(crate) fn random(rng: &mut Rng, depth: usize, dialect: Dialect) -> Expr {
        let many = |rng: &mut Rng| -> Vec<Expr> {
            (0..rng.usize(2..4)).map(|_| Expr::random(rng, depth - 1, dialect)).collect()
        };
        match if depth == 0 { 9 } else { rng.usize(0..10) } {
            0 | 1 => Expr::And(many(rng)),
            2 | 3 => Expr::Or(many(rng)),
            4 => Expr::Not(Box::new(Expr::random(rng, depth - 1, dialect))),
            _ => Expr::Test(path(rng, dialect), Test::random(rng, dialect)),
        }
    }

    /// The expression in our language; where there is a choice of spelling, a random one.
    pub(crate) fn source(&self, rng: &mut Rng) -> String {
        let joined = |parts: &[Expr], rng: &mut Rng, with: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.source(rng)).collect();
            format!("({})", parts.join(with))
        };
        match self {
            Expr::And(parts) => joined(parts, rng, " && "),
            Expr::Or(parts) => joined(parts, rng, "||"),
            Expr::Not(inner) => format!("!{}", inner.source(rng)),
            Expr::Test(path, test) => format!("{} {}", path_source(path, rng), test.source(rng)),
        }
    }
}

impl Test {
    fn random(rng: &mut Rng, dialect: Dialect) -> Test {
        match rng.usize(0..12) {
            0 => Test::Exists,
            1..=3 => Test::Compare(pick(rng, &["==", "!="]), Literal::random(rng, dialect)),
            4 | 5 => {
                let literal = if rng.bool() {
                    Literal::Number(pick(rng, &NUMBERS))
                } else {
                    Literal::Text(pick(rng, &TEXTS))
                };
                Test::Compare(pick(rng, &["<", "<=", ">", ">="]), literal)
            }
            6 | 7 => Test::In((0..rng.usize(1..5)).map(|_| Literal::random(rng, dialect)).collect()),
            8 if dialect == Dialect::Json => Test::Contains(Literal::random(rng, dialect)),
            8 => Test::Contains(Literal::Text(pick(rng, &TEXTS))),
            9 => Test::StartsWith(part(rng)),
            10 => Test::EndsWith(part(rng)),
            _ => Test::Matches { pattern: pattern(rng), negated: rng.bool() },
        }
    }

    fn source(&self, rng: &mut Rng) -> String {
        match self {
            Test::Exists => "exists".to_owned(),
            Test::Compare(operator, literal) => format!("{operator}{}", literal.source(rng)),
            Test::In(list) => {
                let list: Vec<String> = list.iter().map(|literal| literal.source(rng)).collect();
                format!("in [{}]", list.join(", "))
            }
            Test::Contains(literal) => format!("contains {}", literal.source(rng)),
            Test::StartsWith(text) => format!("startswith {}", quoted(text, rng)),
            Test::EndsWith(text) => format!("endswith {}", quoted(text, rng)),
            Test::Matches { pattern, negated } => {
                format!("{} {}", if *negated { "!~" } else { "=~" }, quoted(pattern, rng))
            }
        }
    }
}

impl Literal {
    fn random(rng: &mut Rng, dialect: Dialect) -> Literal {
        match rng.usize(0..10) {
            0 if dialect == Dialect::Json => Literal::Null,
            1 => Literal::Bool(rng.bool()),
            2..=4 => Literal::Number(pick(rng, &NUMBERS)),
            _ => Literal::Text(pick(rng, &TEXTS)),
        }
    }

    fn source(&self, rng: &mut Rng) -> String {
        match self {
            Literal::Null => "null".to_owned(),
            Literal::Bool(value) => value.to_string(),
            Literal::Number(written) => (*written).to_owned(),
            Literal::Text(text) => quoted(text, rng),
        }
    }
}

fn path(rng: &mut Rng, dialect: Dialect) -> Vec<Step> {
    if dialect == Dialect::Logfmt {
        return vec![Step::Key(pick(rng, &WORDS))];
    }
    let mut path = vec![Step::Key(key(rng))];
    for _ in 0..[0, 0, 0, 1, 1, 2][rng.usize(0..6)] {
        path.push(match rng.usize(0..5) {
            0 => Step::Index(rng.i64(-3..3)),
            1 => Step::Each,
            _ => Step::Key(key(rng)),
        });
    }
    path
}

fn path_source(path: &[Step], rng: &mut Rng) -> String {
    let mut out = String::new();
    for (i, step) in path.iter().enumerate() {
        let dot = if i > 0 || rng.u8(0..4) == 0 { "." } else { "" };
        match step {
            Step::Key(key) if i > 0 && rng.u8(0..3) == 0 => {
                out.push_str(&format!("[{}]", quoted(key, rng)));
            }
            Step::Key(key) if rng.bool() && key.chars().all(char::is_alphabetic) => {
                out.push_str(&format!("{dot}{key}"));
            }
            Step::Key(key) => out.push_str(&format!("{dot}{}", quoted(key, rng))),
            Step::Index(index) => out.push_str(&format!("[{index}]")),
            Step::Each => out.push_str("[*]"),
        }
    }
    out
}

/// Begin, end or middle of a text.
fn part(rng: &mut Rng) -> String {
    let chars: Vec<char> = pick(rng, &TEXTS).chars().collect();
    let start = rng.usize(0..=chars.len());
    let end = rng.usize(start..=chars.len());
    chars[start..end].iter().collect()
}

/// A regular expression that Rust and Oniguruma read alike: `^` and `$` are left out, since they mean
/// lines there.
fn pattern(rng: &mut Rng) -> String {
    let mut out = String::new();
    for _ in 0..rng.usize(1..5) {
        out.push_str(match rng.usize(0..12) {
            0 => ".",
            1 => "[a-f]",
            2 => "[^r]",
            3 => "(?:er|wa)",
            4 => "(?:a|é|😀)",
            5 => "rr",
            6 => r"\\",
            7 => "/",
            8 => r#"""#,
            9 => "er",
            _ => pick(rng, &["e", "r", "o", "5", "k", "w", "é"]),
        });
        out.push_str(pick(rng, &["", "", "", "*", "+", "?", "{2}"]));
    }
    if rng.u8(0..4) == 0 {
        out.insert_str(0, r"\A");
    }
    if rng.u8(0..4) == 0 {
        out.push_str(r"\z");
    }
    if rng.u8(0..5) == 0 {
        out.insert_str(0, "(?i)");
    }
    out
}

/// A text in single quotes, or in double quotes with escapes.
fn quoted(text: &str, rng: &mut Rng) -> String {
    if !text.contains('\'') && rng.bool() {
        return format!("'{text}'");
    }
    json_text(text, rng)
}

/// A text as JSON, each character in one of its spellings.
pub(crate) fn json_text(text: &str, rng: &mut Rng) -> String {
    let odd = rng.u8(0..3) == 0;
    let mut out = String::from('"');
    for c in text.chars() {
        let short = match c {
            '"' => Some('"'),
            '\\' => Some('\\'),
            '/' => Some('/'),
            '\n' => Some('n'),
            _ => None,
        };
        match short {
            _ if odd && rng.bool() || c == '\0' => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let upper = rng.bool();
                    out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                }
            }
            Some(short) if c != '/' || rng.bool() => out.extend(['\\', short]),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, half of the time one of three, so that paths and records meet.
pub(crate) fn key(rng: &mut Rng) -> &'static str {
    let among = if rng.bool() { 3 } else { KEYS.len() };
    pick(rng, &KEYS[..among])
}

pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}
