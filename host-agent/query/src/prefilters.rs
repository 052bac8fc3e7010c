//! Compiled prefilters of the filters that were used last.
//!
//! Compiling a large one, and then building its automaton anew on the first records, takes longer than a short query.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_scan::{MessageRegex, PatternError, PatternLimits};

/// How many are kept. Each may take what its filter's limits allow, once for itself and once for the automaton of each thread of
/// one query.
const KEPT: usize = 4;

/// Prefilters; the one that was used last comes last.
#[derive(Debug, Default)]
pub(crate) struct Prefilters(Mutex<VecDeque<Prefilter>>);

#[derive(Debug)]
struct Prefilter {
    expression: String,
    limits: PatternLimits,
    regex: Arc<MessageRegex>,
}

impl Prefilters {
    /// A prefilter, compiled now or before within the same limits.
    ///
    /// # Errors
    /// When it isn't valid or is over a limit.
    pub(crate) fn get(
        &self,
        expression: &str,
        limits: &PatternLimits,
    ) -> Result<Arc<MessageRegex>, PatternError> {
        if let Some(regex) = self.kept(expression, limits) {
            return Ok(regex);
        }
        let regex = Arc::new(MessageRegex::new(expression, limits)?);
        // Another thread may have compiled it meanwhile.
        if let Some(regex) = self.kept(expression, limits) {
            return Ok(regex);
        }
        let mut kept = self.lock();
        kept.push_back(Prefilter {
            expression: expression.to_owned(),
            limits: *limits,
            regex: Arc::clone(&regex),
        });
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Ok(regex)
    }

    /// One that is kept, and now comes last. While it is in use, a copy: of what each of many queries at once builds
    /// for itself, no more is kept than what one has built.
    fn kept(&self, expression: &str, limits: &PatternLimits) -> Option<Arc<MessageRegex>> {
        let mut kept = self.lock();
        let at = kept.iter().position(|kept| kept.expression == expression && kept.limits == *limits)?;
        let prefilter = kept.remove(at)?;
        let regex = match Arc::strong_count(&prefilter.regex) {
            1 => Arc::clone(&prefilter.regex),
            _ => Arc::new(MessageRegex::clone(&prefilter.regex)),
        };
        kept.push_back(prefilter);
        Some(regex)
    }

    /// The list is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Prefilter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_each_within_its_own_limits() {
        let (prefilters, limits) = (Prefilters::default(), PatternLimits::default());
        let get = |expression: &str| prefilters.get(expression, &limits).expect(expression);
        let address = |regex: Arc<MessageRegex>| Arc::as_ptr(&regex);
        let first = address(get("a+"));
        assert_eq!(first, address(get("a+")));
        let used = get("a+");
        assert!(!Arc::ptr_eq(&used, &get("a+")), "another query uses it");
        drop(used);
        let narrow = PatternLimits { pattern_bytes: 1, ..limits };
        assert!(prefilters.get("a+", &narrow).is_err(), "it was compiled, but under other limits");
        for expression in ["b+", "c+", "d+"] {
            get(expression);
        }
        assert_eq!(first, address(get("a+")));
        for expression in ["e+", "f+", "g+", "h+"] {
            get(expression);
        }
        let kept = prefilters.lock().iter().map(|kept| kept.expression.clone()).collect::<Vec<_>>();
        assert_eq!(kept, ["e+", "f+", "g+", "h+"]);
    }
}
