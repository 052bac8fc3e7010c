//! Two nodes whose logs differ only in secrets of equal kind.

use fastrand::Rng;
use weir_query::{Engine, Limit, QuerySpec};

use crate::answer::{Answer, ask};
use crate::node::{COVERED, Node};
use crate::queries::query;
use crate::{each_seed, engine, filter, load, policy, puppet};

fn twin(dir: &std::path::Path) -> Engine {
    let engine = engine(dir);
    load(
        &engine,
        &[
            policy("secrets", COVERED, vec![filter("redact", "")]),
            policy("puppet", COVERED, vec![puppet(1, Some("^drain|error"))]),
        ],
    );
    engine
}

fn assert_equal(one: &Answer, other: &Answer, spec: &QuerySpec) {
    assert_eq!(one.records, other.records, "{spec:?}");
    assert_eq!(one.places, other.places, "{spec:?}");
    assert_eq!(one.told, other.told, "{spec:?}");
    assert_eq!(one.filters, other.filters, "{spec:?}");
    assert_eq!(one.policies, other.policies, "{spec:?}");
    assert_eq!(one.summary, other.summary, "{spec:?}");
}

fn compare(any_length: bool) {
    each_seed(|seed| {
        let mut rng = Rng::with_seed(seed);
        let node = Node::new(&mut rng);
        let (one, other) = (node.secrets(&mut rng, any_length), node.secrets(&mut rng, any_length));
        let dirs = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let gzip = rng.u64(..);
        node.write(dirs[0].path(), &one, gzip);
        node.write(dirs[1].path(), &other, gzip);
        let engines = [twin(dirs[0].path()), twin(dirs[1].path())];
        for _ in 0..10 {
            // Half of the guesses are right for one of the two.
            let half = if rng.bool() { &one } else { &other };
            let spec = query(&mut rng, &node, half);
            let mut answers = engines.each_ref().map(|engine| ask(engine, &spec).expect("a query"));
            if any_length && spec.limit != Limit::All {
                // How far was read when the limit was reached is a matter of whole blocks.
                answers.iter_mut().for_each(Answer::forget_reading);
            }
            assert_equal(&answers[0], &answers[1], &spec);
            let mut next = [0, 1].map(|of| {
                let spec = QuerySpec { resume: answers[of].token.clone(), ..spec.clone() };
                ask(&engines[of], &spec).expect("a query")
            });
            if any_length && spec.limit != Limit::All {
                next.iter_mut().for_each(Answer::forget_reading);
            }
            assert_equal(&next[0], &next[1], &spec);
        }
    });
}

#[test]
fn secrets_of_equal_length_give_equal_answers() {
    compare(false);
}

#[test]
fn secrets_of_any_length_give_equal_answers() {
    compare(true);
}
