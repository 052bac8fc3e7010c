//! Expressions in jq's language, and running it.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::model::{Expr, Literal, Step, Test};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    /// jq sees an object whose values are all text.
    Logfmt,
}

/// For each record what each expression says of it.
pub(crate) fn run(expressions: &[Expr], records: &[String], dialect: Dialect) -> Vec<Vec<bool>> {
    let program: Vec<String> = expressions.iter().map(|expr| expr.jq(dialect)).collect();
    let mut child = Command::new("jq")
        .args(["-c", &format!("[{}]", program.join(", "))])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test compares with the real jq; apt-get install jq ({error})"));
    let mut input = child.stdin.take().expect("stdin is piped");
    let text = records.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("jq runs");
    writer.join().expect("the writer does not panic").expect("jq reads all records");
    assert!(output.status.success(), "jq refuses the program or a record");
    let output = String::from_utf8(output.stdout).expect("jq writes UTF-8");
    let verdicts: Vec<Vec<bool>> = output
        .lines()
        .map(|line| line.trim_matches(['[', ']']).split(',').map(|word| word == "true").collect())
        .collect();
    assert_eq!(verdicts.len(), records.len());
    verdicts
}

impl Expr {
    pub(crate) fn jq(&self, dialect: Dialect) -> String {
        let joined = |parts: &[Expr], with: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.jq(dialect)).collect();
            format!("({})", parts.join(with))
        };
        match self {
            Expr::And(parts) => joined(parts, " and "),
            Expr::Or(parts) => joined(parts, " or "),
            Expr::Not(inner) => format!("({} | not)", inner.jq(dialect)),
            Expr::Test(path, test) => {
                let negated = matches!(test, Test::Compare("!=", _) | Test::Matches { negated: true, .. });
                let any = format!("any({}; {})", path_jq(path), test.jq(dialect));
                if negated { format!("({any} | not)") } else { any }
            }
        }
    }
}

/// A stream of the values at the path: none if the field is missing.
fn path_jq(path: &[Step]) -> String {
    path.iter().fold(".".to_owned(), |out, step| match step {
        Step::Key(key) => format!("{out} | objects | select(has({0})) | .[{0}]", text(key)),
        Step::Index(index) if *index < 0 => {
            format!("{out} | arrays | select(length >= {}) | .[{index}]", -index)
        }
        Step::Index(index) => format!("{out} | arrays | select(length > {index}) | .[{index}]"),
        Step::Each => format!("{out} | arrays | .[]"),
    })
}

impl Test {
    /// The test on one value, without the negation of `!=` and `!~`.
    fn jq(&self, dialect: Dialect) -> String {
        match self {
            Test::Exists => "true".to_owned(),
            Test::Compare("==" | "!=", literal) => equal(literal, dialect),
            Test::Compare(operator, Literal::Number(written)) => number(operator, written, dialect),
            Test::Compare(operator, Literal::Text(right)) => {
                format!("(type == \"string\" and . {operator} {})", text(right))
            }
            Test::Compare(..) => unreachable!("only numbers and texts are ordered"),
            Test::In(list) => {
                let list: Vec<String> = list.iter().map(|l| equal(l, dialect)).collect();
                format!("({})", list.join(" or "))
            }
            Test::Contains(literal) => {
                let in_text = match literal {
                    Literal::Text("") => "true".to_owned(),
                    Literal::Text(part) => format!("index({}) != null", text(part)),
                    _ => "false".to_owned(),
                };
                let in_array = equal(literal, dialect);
                format!(
                    "(if type == \"string\" then {in_text} elif type == \"array\" then any(.[]; {in_array}) \
                     else false end)"
                )
            }
            Test::StartsWith(part) => {
                format!("(type == \"string\" and startswith({}))", text(part))
            }
            Test::EndsWith(part) => format!("(type == \"string\" and endswith({}))", text(part)),
            Test::Matches { pattern, .. } => {
                format!("(type == \"string\" and test({}))", text(pattern))
            }
        }
    }
}

fn equal(literal: &Literal, dialect: Dialect) -> String {
    match literal {
        Literal::Number(written) => number("==", written, dialect),
        Literal::Bool(value) if dialect == Dialect::Logfmt => format!("(. == \"{value}\")"),
        Literal::Bool(value) => format!("(. == {value})"),
        Literal::Null => "(. == null)".to_owned(),
        Literal::Text(right) => format!("(. == {})", text(right)),
    }
}

fn number(operator: &str, written: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Json => format!("(type == \"number\" and . {operator} ({written}))"),
        Dialect::Logfmt => format!(
            r#"(test("\\A-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?\\z") and (tonumber {operator} ({written})))"#
        ),
    }
}

/// A text literal of jq, which reads JSON's escapes.
fn text(text: &str) -> String {
    let mut out = String::from('"');
    for unit in text.encode_utf16() {
        out.push_str(&format!("\\u{unit:04x}"));
    }
    out.push('"');
    out
}
