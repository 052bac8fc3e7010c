//! Golden cases in YAML, and the golden schema: files in the filter's folder that say what it does. `weir filter test`
//! runs the same cases through the sandbox.

use std::path::Path;

use weir_golden::{Opened, Refusal, Source, Subject};

use super::{FilterTest, Outcome, Record};
use crate::{Filter, Kind, Params, SourceMeta};

/// Set, `params_schema` writes the file instead of comparing it.
const UPDATE: &str = "WEIR_UPDATE_GOLDEN";

/// Makes the two tests that every filter has: [`golden`](crate::testing::golden) over `tests/*.yaml` and
/// [`params_schema`](crate::testing::params_schema) for `params.schema.json`.
#[macro_export]
macro_rules! golden_tests {
    ($filter:ty) => {
        #[test]
        fn golden_cases() {
            $crate::testing::golden::<$filter>(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/tests"));
        }

        #[test]
        fn golden_params_schema() {
            $crate::testing::params_schema::<$filter>(::core::concat!(
                ::core::env!("CARGO_MANIFEST_DIR"),
                "/params.schema.json"
            ));
        }
    };
}

/// Runs the cases of all `*.yaml` files in a folder, each in one batch and again line by line.
/// Their form is [`weir_golden`]'s.
///
/// # Panics
/// When there is no case, a file has another form, or a case comes out otherwise.
pub fn golden<F: Filter>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let files = weir_golden::files(folder).unwrap_or_else(|e| panic!("{e}"));
    assert!(!files.is_empty(), "there is no *.yaml file in {}", folder.display());
    for file in files {
        let cases = weir_golden::read(&file).unwrap_or_else(|e| panic!("{e}"));
        for (i, case) in cases.iter().enumerate() {
            for batch in [usize::MAX, 1] {
                let mismatches = case.mismatches(&case.answer(&Native::<F>::default(), batch));
                let Some(first) = mismatches.first() else { continue };
                let how = if batch == 1 { "line by line" } else { "in one batch" };
                let name = if case.name.is_empty() { String::new() } else { format!(" ({})", case.name) };
                panic!("{}, case {}{name}, {how}: {first}", file.display(), i + 1);
            }
        }
    }
}

/// Compares the schema of the filter's parameters with a file. To write the file, run the test with
/// `WEIR_UPDATE_GOLDEN=1`.
///
/// # Panics
/// When they differ.
pub fn params_schema<F: Filter>(file: impl AsRef<Path>) {
    let file = file.as_ref();
    let schema = <<F::Kind as Kind<F>>::Params as Params>::json_schema();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("the derived schema is JSON");
    let schema = format!("{schema:#}\n");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(file, schema).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        return;
    }
    let golden = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("{}: {e}; {UPDATE}=1 writes it", file.display()));
    assert_eq!(
        golden,
        schema,
        "{} is not the schema of the parameters; {UPDATE}=1 writes it",
        file.display()
    );
}

/// A filter that is run in this process.
struct Native<F>(std::marker::PhantomData<F>);

impl<F> Default for Native<F> {
    fn default() -> Native<F> {
        Native(std::marker::PhantomData)
    }
}

impl<F: Filter> Subject for Native<F> {
    type Opened = FilterTest<F>;

    fn open(&self, params: &str) -> Result<FilterTest<F>, Refusal> {
        FilterTest::open(params).map_err(|e| Refusal { field: Some(e.field), message: e.message })
    }
}

impl<F: Filter> Opened for FilterTest<F> {
    fn begin_source(&mut self, source: &Source) {
        let labels = source.labels.clone().into_iter().collect();
        let Source { namespace, pod, container, node, restart, .. } = source.clone();
        FilterTest::begin_source(
            self,
            SourceMeta { id: 0, namespace, pod, container, node, restart, labels },
        );
    }

    fn run(&mut self, records: &[Record]) -> Vec<Outcome> {
        self.run_records(records)
    }

    fn finish(&mut self) -> Vec<String> {
        FilterTest::finish(self)
    }
}
