//! Random expressions on random records: the verdict is what the real `jq` says of the same expression put
//! into its language, and every line that holds matches the prefilter. Both formats, JSON and logfmt.

mod jq;
mod model;
mod records;

use fastrand::Rng;
use regex_automata::{meta, util::syntax};
use weir_match_expr::{JsonExpr, LogfmtExpr, Verdict};

use self::{jq::Dialect, model::Expr};

/// Each round is one run of `jq`: all expressions on all records.
const ROUNDS: u64 = 12;
const EXPRESSIONS: usize = 100;
const RECORDS: usize = 200;

#[test]
fn json_agrees_with_jq() {
    let share = compare(Dialect::Json, |source, lines| {
        let mut expr = JsonExpr::parse(source).unwrap_or_else(|error| panic!("{error}"));
        let verdicts = lines.iter().map(|line| match expr.verdict(line.as_bytes()) {
            Verdict::True => true,
            Verdict::False => false,
            Verdict::NotJson => panic!("{source} calls this no JSON: {line}"),
        });
        (verdicts.collect(), expr.prefilter())
    });
    assert!(share > 0.4, "only {share:.2} of the expressions tell records apart");
}

#[test]
fn logfmt_agrees_with_jq_on_the_same_fields() {
    let share = compare(Dialect::Logfmt, |source, lines| {
        let mut expr = LogfmtExpr::parse(source).unwrap_or_else(|error| panic!("{error}"));
        (lines.iter().map(|line| expr.holds(line.as_bytes())).collect(), expr.prefilter())
    });
    assert!(share > 0.4, "only {share:.2} of the expressions tell records apart");
}

/// Runs the rounds; returns the share of expressions that hold on some records and not on others.
fn compare(dialect: Dialect, ours: impl Fn(&str, &[String]) -> (Vec<bool>, Option<String>)) -> f64 {
    let (mut telling, mut with_prefilter) = (0, 0);
    for seed in 0..ROUNDS {
        let mut rng = Rng::with_seed(seed);
        let expressions: Vec<Expr> = (0..EXPRESSIONS).map(|_| Expr::random(&mut rng, 3, dialect)).collect();
        let (lines, objects): (Vec<String>, Vec<String>) = (0..RECORDS)
            .map(|_| match dialect {
                Dialect::Json => {
                    let line = records::json(&mut rng);
                    (line.clone(), line)
                }
                Dialect::Logfmt => records::logfmt(&mut rng),
            })
            .unzip();
        let expected = jq::run(&expressions, &objects, dialect);
        for (index, expr) in expressions.iter().enumerate() {
            let source = expr.source(&mut rng);
            let (verdicts, prefilter) = ours(&source, &lines);
            with_prefilter += usize::from(prefilter.is_some());
            let prefilter = prefilter.map(|pattern| (compiled(&pattern), pattern));
            telling += usize::from(verdicts.contains(&true) && verdicts.contains(&false));
            for ((line, holds), expected) in lines.iter().zip(verdicts).zip(&expected) {
                assert_eq!(
                    holds,
                    expected[index],
                    "seed {seed}: ours (left) and jq (right) differ\nexpression: {source}\njq: {}\nline: {line}",
                    expr.jq(dialect)
                );
                if let Some((regex, pattern)) = prefilter.as_ref().filter(|_| holds) {
                    assert!(
                        regex.is_match(line.as_bytes()),
                        "seed {seed}: the prefilter loses a line\nexpression: {source}\nprefilter: \
                         {pattern}\nline: {line}"
                    );
                }
            }
        }
    }
    let all = ROUNDS as usize * EXPRESSIONS;
    assert!(with_prefilter * 3 > all, "only {with_prefilter} of {all} expressions have a prefilter");
    telling as f64 / all as f64
}

/// As the host compiles it.
fn compiled(prefilter: &str) -> meta::Regex {
    meta::Regex::builder()
        .configure(meta::Config::new().utf8_empty(false))
        .syntax(syntax::Config::new().utf8(false))
        .build(prefilter)
        .unwrap_or_else(|error| panic!("{prefilter}: {error}"))
}
