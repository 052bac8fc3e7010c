//! The filter `json-match`: keeps lines of JSON for which an expression over their fields holds. It owns the
//! parameters and what becomes of other lines; the language is in `weir-match-expr`.

use weir_match_expr::{JsonExpr, Verdict};
use weir_sdk::prelude::*;

/// Parameters of the filter `json-match`.
#[derive(Params, Debug)]
pub struct Args {
    /// The expression, such as `level == "error" && status >= 500 && user.id exists`.
    #[param(rename = "where")]
    pub expression: String,
    /// What becomes of lines that are not a JSON object.
    #[param(rename = "non-json", default = NonJson::Drop)]
    pub non_json: NonJson,
}

/// What becomes of lines that are not a JSON object.
#[derive(Params, Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonJson {
    /// They are dropped.
    Drop,
    /// They are kept, unexamined.
    Keep,
}

/// The open filter.
#[derive(Debug)]
pub struct JsonMatch {
    expr: JsonExpr,
    non_json: NonJson,
}

/// Keeps lines of JSON for which an expression over their fields holds
#[filter(name = "json-match")]
impl Select for JsonMatch {
    type Params = Args;

    fn open(args: Args) -> Result<JsonMatch, ParamError> {
        let expr =
            JsonExpr::parse(&args.expression).map_err(|error| ParamError::new("where", error.to_string()))?;
        Ok(JsonMatch { expr, non_json: args.non_json })
    }

    fn prefilter(&self) -> Option<String> {
        match self.non_json {
            NonJson::Drop => self.expr.prefilter(),
            // A line that is kept unexamined can be any.
            NonJson::Keep => None,
        }
    }

    fn keep(&mut self, line: Line<'_>) -> bool {
        match self.expr.verdict(line.message()) {
            Verdict::True => true,
            Verdict::False => false,
            Verdict::NotJson => self.non_json == NonJson::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::testing::FilterTest;

    use super::*;

    weir_sdk::golden_tests!(JsonMatch);

    #[test]
    fn keeping_other_lines_leaves_no_prefilter() {
        let plan =
            |params: &str| FilterTest::<JsonMatch>::open(params).expect(params).plan().prefilter.clone();
        assert!(plan(r#"{"where":"a == 'xyz'"}"#).is_some());
        assert_eq!(plan(r#"{"where":"a == 'xyz'","non-json":"keep"}"#), None);
    }

    #[test]
    fn a_mistake_is_shown_at_its_place() {
        let error =
            FilterTest::<JsonMatch>::open(r#"{"where":"level == error"}"#).map(|_| ()).expect_err("refused");
        assert_eq!(error.field, "where");
        assert!(error.message.ends_with("\n  level == error\n           ^"), "{error}");
    }
}
