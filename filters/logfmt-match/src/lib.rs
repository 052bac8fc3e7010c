//! The filter `logfmt-match`: keeps lines of logfmt for which an expression over their fields holds. The
//! language is in `weir-match-expr`.

use weir_match_expr::LogfmtExpr;
use weir_sdk::prelude::*;

/// Parameters of the filter `logfmt-match`.
#[derive(Params, Debug)]
pub struct Args {
    /// The expression, such as `level == "error" && status >= 500 && user exists`.
    #[param(rename = "where")]
    pub expression: String,
}

/// The open filter.
#[derive(Debug)]
pub struct LogfmtMatch(LogfmtExpr);

/// Keeps lines of logfmt for which an expression over their fields holds
#[filter(name = "logfmt-match")]
impl Select for LogfmtMatch {
    type Params = Args;

    fn open(args: Args) -> Result<LogfmtMatch, ParamError> {
        LogfmtExpr::parse(&args.expression)
            .map(LogfmtMatch)
            .map_err(|error| ParamError::new("where", error.to_string()))
    }

    fn prefilter(&self) -> Option<String> {
        self.0.prefilter()
    }

    fn keep(&mut self, line: Line<'_>) -> bool {
        self.0.holds(line.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    weir_sdk::golden_tests!(LogfmtMatch);
}
