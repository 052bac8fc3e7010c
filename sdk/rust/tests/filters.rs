//! Filters of every kind through the test kit, and that the kit catches what breaks the contract.

use weir_sdk::prelude::*;
use weir_sdk::testing::{FilterTest, Outcome, Record, Verdict};
use weir_sdk::{Batch, Driver};

/// Keeps what comes before a line that says "end"
struct UntilEnd {
    seen: bool,
}

#[filter(name = "until-end", summary = "Keeps what comes before a line that says \"end\"")]
impl Select for UntilEnd {
    type Params = ();

    fn open((): ()) -> Result<UntilEnd, ParamError> {
        Ok(UntilEnd { seen: false })
    }

    fn begin_source(&mut self, source: &SourceMeta) -> SourceVerdict {
        if source.label("app") == Some("noise") { SourceVerdict::Skip } else { SourceVerdict::Scan }
    }

    fn keep(&mut self, line: Line<'_>) -> bool {
        self.seen |= line.message() == b"end";
        !self.seen
    }

    fn is_done(&self) -> bool {
        self.seen
    }

    fn diagnostics(&mut self) -> Vec<String> {
        vec![format!("seen: {}", self.seen)]
    }
}

mod rewriting {
    use super::*;

    /// Does what the line says
    #[filter(name = "obey", columns = Columns::ALL)]
    pub(super) fn obey(line: Line<'_>, out: &mut Out<'_>) {
        match line.message() {
            b"drop" => out.drop(),
            b"shout" => out.replace("SHOUT"),
            b"empty" => out.replace_with(|_| {}),
            b"undo" => {
                out.replace("never seen");
                out.keep();
            }
            b"both" => {
                out.add_field("n", 1i64);
                out.add_field("the \"key\"", json::parse(b"[1, 2]"));
                out.replace("BOTH");
            }
            b"annotate" => {
                out.add_field("stream", if line.stream() == Stream::Stderr { "err" } else { "out" });
                out.add_field("pod", &line.source().pod);
                out.add_field("flags", &[line.is_truncated(), line.is_malformed()][..]);
                out.add_field("time", line.time_ns());
                out.add_field("bytes", &b"\xff"[..]);
            }
            b"gone" => {
                out.add_field("lost", true);
                out.drop();
            }
            b"stop" => out.stop(),
            b"fail" => out.fail("as told"),
            _ => {}
        }
    }
}

mod counting {
    use super::*;

    #[derive(Default)]
    pub(super) struct Count(u64);

    /// Counts lines
    #[filter(name = "count")]
    impl Aggregate for Count {
        type Params = ();

        fn open((): ()) -> Result<Count, ParamError> {
            Ok(Count(0))
        }

        fn line(&mut self, _line: Line<'_>) {
            self.0 += 1;
        }

        fn finish(&mut self) -> Vec<String> {
            vec![format!("{{\"lines\":{}}}", self.0)]
        }
    }
}

mod broken {
    use super::*;

    pub(super) struct Liar;

    /// Promises one thing and keeps another
    #[filter(name = "liar")]
    impl Select for Liar {
        type Params = ();

        fn open((): ()) -> Result<Liar, ParamError> {
            Ok(Liar)
        }

        fn prefilter(&self) -> Option<String> {
            Some("promised".to_owned())
        }

        fn keep(&mut self, line: Line<'_>) -> bool {
            line.message() != b"dropped"
        }
    }
}

mod peeking {
    use super::*;

    /// Reads a column that it did not ask for
    #[filter(name = "peek")]
    pub(super) fn peek(line: Line<'_>) -> bool {
        line.time_ns().is_none()
    }
}

#[test]
fn a_select_keeps_drops_and_stops() {
    let mut test = FilterTest::<UntilEnd>::open("{}").expect("it takes no parameters");
    assert_eq!(test.run(&["a", "b"]), [Outcome::keep(), Outcome::keep()]);
    assert_eq!(
        test.run(&["c", "end", "d", "e"]),
        [Outcome::keep(), Outcome::dropped(), Outcome::stop(), Outcome::stop()]
    );
    assert_eq!(test.run(&["f"]), [Outcome::stop()]);
    assert_eq!(test.diagnostics(), ["seen: true"]);
    let mut noise = SourceMeta::default();
    noise.labels = vec![("app".to_owned(), "noise".to_owned())];
    assert_eq!(test.begin_source(noise), SourceVerdict::Skip);
}

#[test]
fn a_transform_rewrites_and_adds_fields() {
    let mut test = FilterTest::<rewriting::Obey>::open("{}").expect("it takes no parameters");
    assert_eq!(
        test.run(&["x", "drop", "shout", "empty", "undo", "both", "gone"]),
        [
            Outcome::keep(),
            Outcome::dropped(),
            Outcome::replace("SHOUT"),
            Outcome::replace(""),
            Outcome::keep(),
            Outcome::replace("BOTH").with_fields(r#"{"n":1,"the \"key\"":[1, 2]}"#),
            Outcome::dropped(),
        ]
    );
    let mut source = SourceMeta::default();
    source.id = 7;
    source.pod = "web-1".to_owned();
    test.begin_source(source);
    let record = Record::new("annotate").stderr().truncated().at("1970-01-01T00:00:01Z");
    let fields = r#"{"stream":"err","pod":"web-1","flags":[true,false],"time":1000000000,"bytes":"�"}"#;
    assert_eq!(test.run_source(7, &[record]), [Outcome::keep().with_fields(fields)]);
    assert_eq!(test.run(&["stop", "x"]), [Outcome::stop(), Outcome::stop()]);
}

#[test]
fn a_line_given_up_costs_only_itself() {
    let mut test = FilterTest::<rewriting::Obey>::open("{}").expect("it takes no parameters");
    let failed = Outcome { verdict: Verdict::Fail("as told".to_owned()), fields: None };
    assert_eq!(
        test.run(&["shout", "fail", "x", "fail"]),
        [Outcome::replace("SHOUT"), failed.clone(), Outcome::keep(), failed]
    );
}

#[test]
fn an_aggregate_tells_its_summary_at_the_end() {
    let mut test = FilterTest::<counting::Count>::open("{}").expect("it takes no parameters");
    assert_eq!(test.run(&["a", "b"]), [Outcome::dropped(), Outcome::dropped()]);
    assert_eq!(test.finish(), [r#"{"lines":2}"#]);
}

#[test]
fn verdicts_are_in_the_contracts_encoding() {
    let (mut driver, plan) = Driver::<rewriting::Obey>::open("{}").expect("it takes no parameters");
    assert_eq!(plan.columns, Columns::ALL);
    let batch = Batch {
        block: b"?shout?bothx",
        starts: &[1, 7, 11],
        ends: &[6, 11, 12],
        timestamps: &[0, 0, -1],
        attrs: &[0, 1, 2],
    };
    let verdicts = driver.process(3, batch).expect("no line is given up");
    assert_eq!(verdicts.codes, [2, 2, 0]);
    assert_eq!(verdicts.replaced_bytes, b"SHOUTBOTH");
    assert_eq!(verdicts.replaced_ends, [5, 9]);
    assert_eq!(verdicts.annotated, [1]);
    assert_eq!(
        verdicts.annotation_ends,
        [u32::try_from(verdicts.annotation_bytes.len()).expect("it is small")]
    );
}

#[test]
#[should_panic(expected = "the prefilter's promise is broken: \"other\"")]
fn a_broken_promise_is_told() {
    let mut test = FilterTest::<broken::Liar>::open("{}").expect("it takes no parameters");
    assert_eq!(test.run(&["promised", "dropped"]), [Outcome::keep(), Outcome::dropped()]);
    test.run(&["other"]);
}

#[test]
#[should_panic(expected = "the filter reads a column that its COLUMNS do not name")]
fn a_column_that_was_not_asked_for_is_told() {
    FilterTest::<peeking::Peek>::open("{}").expect("it takes no parameters").run(&["x"]);
}

#[test]
fn golden_cases_run() {
    weir_sdk::testing::golden::<rewriting::Obey>(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
}

#[test]
#[should_panic(expected = "case 1, in one batch: line 1: expected drop, found keep")]
fn a_golden_case_that_differs_is_told() {
    let folder = temporary("differs", "- {lines: [x], expect: [drop]}");
    weir_sdk::testing::golden::<rewriting::Obey>(folder);
}

#[test]
#[should_panic(expected = "found `a` refused: is not a parameter")]
fn a_golden_refusal_that_differs_is_told() {
    let folder = temporary("refusal", "- {params: {a: 1}, error: {field: b}}");
    weir_sdk::testing::golden::<rewriting::Obey>(folder);
}

fn temporary(name: &str, cases: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("cargo's own folder for tests is writable");
    std::fs::write(folder.join("cases.yaml"), cases).expect("cargo's own folder for tests is writable");
    folder
}
