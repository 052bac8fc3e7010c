//! The `limits.filter` and `limits.filter_max` sections: limits of filters, by the names that queries use too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_query::FilterLimits;

use crate::ConfigError;
use crate::limits::Limits;

/// The `limits.filter` section: limits of one filter in one query, by the names of [`FilterLimits::NAMED`].
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct FilterSettings(pub Values);

/// The `limits.filter_max` section: the most that a query may set those to.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct FilterMaxima(pub Values);

/// Limits by name; what is `None` isn't set.
type Values = BTreeMap<String, Option<u64>>;

impl Default for FilterSettings {
    /// Every name, so that it is known, and none set.
    fn default() -> FilterSettings {
        FilterSettings(none_set())
    }
}

impl Default for FilterMaxima {
    /// Every name, so that it is known, and none set.
    fn default() -> FilterMaxima {
        FilterMaxima(none_set())
    }
}

impl FilterSettings {
    /// Comes behind [`FilterMaxima::apply`], which bounds it.
    pub(crate) fn apply(&self, to: &mut Limits) -> Result<(), ConfigError> {
        set(&mut to.filter, &self.0, "filter", &to.filter_maxima)
    }

    pub(crate) fn of(limits: &Limits) -> FilterSettings {
        FilterSettings(values(&limits.filter))
    }
}

impl FilterMaxima {
    /// A lower maximum takes the limit with it.
    pub(crate) fn apply(&self, to: &mut Limits) -> Result<(), ConfigError> {
        set(&mut to.filter_maxima, &self.0, "filter_max", &FilterLimits::maxima())?;
        to.filter = to.filter.clone().within(&to.filter_maxima);
        Ok(())
    }

    pub(crate) fn of(limits: &Limits) -> FilterMaxima {
        FilterMaxima(values(&limits.filter_maxima))
    }
}

/// The most that a query may set a filter's limits to, unless configured: as much memory as any filter has, but more
/// time and output where its author knows that it needs them.
pub(crate) fn default_maxima() -> FilterLimits {
    FilterLimits {
        batch_time: Duration::from_secs(1),
        setup_time: Duration::from_secs(5),
        query_time: Duration::from_secs(3600),
        output_growth: 256,
        record_growth: 1024,
        params_bytes: 1 << 20,
        prefilter_compiled_bytes: 4 << 20,
        summary_bytes: 8 << 20,
        diagnostics: 1000,
        failures: 1000,
        failed_time: Duration::from_secs(30),
        breaker_pause: Duration::from_secs(3600),
        ..FilterLimits::default()
    }
}

fn none_set() -> Values {
    FilterLimits::NAMED.iter().map(|limit| (limit.name.to_owned(), None)).collect()
}

fn values(limits: &FilterLimits) -> Values {
    FilterLimits::NAMED.iter().map(|limit| (limit.name.to_owned(), Some(limit.get(limits)))).collect()
}

fn set(
    limits: &mut FilterLimits,
    settings: &Values,
    section: &str,
    maxima: &FilterLimits,
) -> Result<(), ConfigError> {
    for (name, value) in settings.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        let refused = |reason: String| ConfigError::value(format!("limits.{section}.{name}"), reason);
        let limit = FilterLimits::named(name).map_err(refused)?;
        let most = limit.get(maxima);
        if value > most {
            return Err(refused(format!(
                "{value} is out of range; give at most {most} (limits.filter_max.{name})"
            )));
        }
        limit.set(limits, value).map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitSettings;

    #[test]
    fn a_lower_maximum_takes_the_default_with_it() {
        let settings: LimitSettings =
            serde_norway::from_str("{filter_max: {memory_bytes: 1048576}}").expect("limits");
        let limits = Limits::new(&settings).expect("in range");
        assert_eq!((limits.filter.memory_bytes, limits.filter_maxima.memory_bytes), (1 << 20, 1 << 20));
        let filter = FilterSettings([("memory_bytes".to_owned(), Some(2 << 20))].into());
        let error = Limits::new(&LimitSettings { filter, ..settings }).expect_err("over it").to_string();
        assert!(error.starts_with("limits.filter.memory_bytes: ") && error.contains("filter_max"), "{error}");
    }
}
