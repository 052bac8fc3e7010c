//! The `limits` section of the config file, and how it becomes the limits of the crates below. A limit that
//! isn't set keeps the default that its crate gives it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use weir_query::{FilterLimits, QueryLimits, SandboxLimits};
use weir_rpc::ServerLimits;

use crate::ConfigError;

/// The `limits` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// [`ServerLimits::max_queries`].
    pub max_queries: Option<u64>,
    /// [`ServerLimits::max_lookups`].
    pub max_lookups: Option<u64>,
    /// [`ServerLimits::max_watches`].
    pub max_watches: Option<u64>,
    /// [`ServerLimits::max_connections`].
    pub max_connections: Option<u64>,
    /// [`ServerLimits::max_streams`].
    pub max_streams: Option<u64>,
    /// [`ServerLimits::max_request_bytes`].
    pub max_request_bytes: Option<u64>,
    /// [`ServerLimits::stall`], in seconds.
    pub stall_seconds: Option<u64>,
    /// [`ServerLimits::watch_interval`], in seconds.
    pub watch_seconds: Option<u64>,
    /// Limits of one query.
    pub query: QuerySettings,
    /// Limits of one filter in one query.
    pub filter: FilterSettings,
    /// Limits of compiling filters.
    pub sandbox: SandboxSettings,
}

/// The `limits.query` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuerySettings {
    /// [`QueryLimits::selectors`].
    pub selectors: Option<u64>,
    /// [`QueryLimits::filters`].
    pub filters: Option<u64>,
    /// [`QueryLimits::context_records`].
    pub context_records: Option<u64>,
    /// [`QueryLimits::line_bytes`].
    pub line_bytes: Option<u64>,
    /// [`QueryLimits::held_bytes`].
    pub held_bytes: Option<u64>,
    /// [`QueryLimits::merge_bytes`].
    pub merge_bytes: Option<u64>,
    /// [`QueryLimits::threads`].
    pub threads: Option<u64>,
}

/// The `limits.filter` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// [`FilterLimits::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// [`FilterLimits::batch_time`], in milliseconds.
    pub batch_milliseconds: Option<u64>,
    /// [`FilterLimits::params_bytes`].
    pub params_bytes: Option<u64>,
    /// [`FilterLimits::failures`].
    pub failures: Option<u64>,
}

/// The `limits.sandbox` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// [`SandboxLimits::component_bytes`].
    pub component_bytes: Option<u64>,
    /// [`SandboxLimits::compile_memory_bytes`].
    pub compile_memory_bytes: Option<u64>,
    /// [`SandboxLimits::compile_seconds`].
    pub compile_seconds: Option<u64>,
    /// [`SandboxLimits::cache_bytes`].
    pub cache_bytes: Option<u64>,
    /// [`SandboxLimits::instances`].
    pub instances: Option<u64>,
}

/// The limits of everything below the agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Of the gRPC server.
    pub server: ServerLimits,
    /// Of one query.
    pub query: QueryLimits,
    /// Of one filter in one query.
    pub filter: FilterLimits,
    /// Of compiling filters.
    pub sandbox: SandboxLimits,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY_SECONDS: u64 = 24 * 60 * 60;

impl Limits {
    /// Checks what was set.
    ///
    /// # Errors
    /// A value outside of its range, by the key's name.
    pub fn new(settings: &LimitSettings) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        let server = &mut limits.server;
        set(&mut server.max_queries, settings.max_queries, "limits.max_queries", 1..=1024)?;
        set(&mut server.max_lookups, settings.max_lookups, "limits.max_lookups", 1..=256)?;
        set(&mut server.max_watches, settings.max_watches, "limits.max_watches", 1..=1024)?;
        set(&mut server.max_connections, settings.max_connections, "limits.max_connections", 1..=65_536)?;
        set(&mut server.max_streams, settings.max_streams, "limits.max_streams", 1..=65_536)?;
        set(
            &mut server.max_request_bytes,
            settings.max_request_bytes,
            "limits.max_request_bytes",
            4096..=256 * MIB,
        )?;
        set_seconds(&mut server.stall, settings.stall_seconds, "limits.stall_seconds", 1..=DAY_SECONDS)?;
        set_seconds(
            &mut server.watch_interval,
            settings.watch_seconds,
            "limits.watch_seconds",
            1..=DAY_SECONDS,
        )?;

        let (query, set_to) = (&mut limits.query, &settings.query);
        set(&mut query.selectors, set_to.selectors, "limits.query.selectors", 1..=10_000)?;
        set(&mut query.filters, set_to.filters, "limits.query.filters", 1..=64)?;
        set(
            &mut query.context_records,
            set_to.context_records,
            "limits.query.context_records",
            0..=1_000_000,
        )?;
        set(&mut query.line_bytes, set_to.line_bytes, "limits.query.line_bytes", 1024..=48 * MIB)?;
        set(&mut query.held_bytes, set_to.held_bytes, "limits.query.held_bytes", MIB..=16 * GIB)?;
        set(&mut query.merge_bytes, set_to.merge_bytes, "limits.query.merge_bytes", MIB..=GIB)?;
        set(&mut query.threads, set_to.threads, "limits.query.threads", 1..=64)?;

        let (filter, set_to) = (&mut limits.filter, &settings.filter);
        set(&mut filter.memory_bytes, set_to.memory_bytes, "limits.filter.memory_bytes", MIB..=4 * GIB)?;
        let mut milliseconds = 0;
        let range = 1..=60_000;
        if set(&mut milliseconds, set_to.batch_milliseconds, "limits.filter.batch_milliseconds", range)? {
            filter.batch_time = Duration::from_millis(milliseconds);
        }
        set(&mut filter.params_bytes, set_to.params_bytes, "limits.filter.params_bytes", 2..=MIB)?;
        set(&mut filter.failures, set_to.failures, "limits.filter.failures", 0..=1_000_000)?;

        let (sandbox, set_to) = (&mut limits.sandbox, &settings.sandbox);
        set(
            &mut sandbox.component_bytes,
            set_to.component_bytes,
            "limits.sandbox.component_bytes",
            1024..=256 * MIB,
        )?;
        let range = 64 * MIB..=16 * GIB;
        let field = "limits.sandbox.compile_memory_bytes";
        set(&mut sandbox.compile_memory_bytes, set_to.compile_memory_bytes, field, range)?;
        set(&mut sandbox.compile_seconds, set_to.compile_seconds, "limits.sandbox.compile_seconds", 1..=600)?;
        set(&mut sandbox.cache_bytes, set_to.cache_bytes, "limits.sandbox.cache_bytes", MIB..=64 * GIB)?;
        set(&mut sandbox.instances, set_to.instances, "limits.sandbox.instances", 1..=4096)?;
        Ok(limits)
    }
}

/// Sets `target` when there is a value, and tells whether there was.
fn set<T: TryFrom<u64>>(
    target: &mut T,
    value: Option<u64>,
    field: &'static str,
    range: RangeInclusive<u64>,
) -> Result<bool, ConfigError> {
    let Some(value) = value else { return Ok(false) };
    let fits = T::try_from(value).ok().filter(|_| range.contains(&value));
    *target = fits.ok_or_else(|| {
        ConfigError::value(
            field,
            format!("{value} is out of range; give {} to {}", range.start(), range.end()),
        )
    })?;
    Ok(true)
}

fn set_seconds(
    target: &mut Duration,
    value: Option<u64>,
    field: &'static str,
    range: RangeInclusive<u64>,
) -> Result<(), ConfigError> {
    let mut seconds = 0;
    if set(&mut seconds, value, field, range)? {
        *target = Duration::from_secs(seconds);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_keeps_its_default() {
        assert_eq!(Limits::new(&LimitSettings::default()).expect("nothing is set"), Limits::default());
    }

    #[test]
    fn what_is_set_is_taken() {
        let settings: LimitSettings = serde_norway::from_str(
            "{max_queries: 3, stall_seconds: 7, query: {filters: 2}, filter: {batch_milliseconds: 50}, \
             sandbox: {instances: 9}}",
        )
        .expect("limits");
        let limits = Limits::new(&settings).expect("in range");
        assert_eq!((limits.server.max_queries, limits.server.stall), (3, Duration::from_secs(7)));
        assert_eq!((limits.query.filters, limits.sandbox.instances), (2, 9));
        assert_eq!(limits.filter.batch_time, Duration::from_millis(50));
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (text, field) in [
            ("{max_queries: 0}", "limits.max_queries"),
            ("{stall_seconds: 100000}", "limits.stall_seconds"),
            ("{query: {line_bytes: 1}}", "limits.query.line_bytes"),
            ("{query: {threads: 0}}", "limits.query.threads"),
            ("{filter: {batch_milliseconds: 0}}", "limits.filter.batch_milliseconds"),
            ("{sandbox: {instances: 18446744073709551615}}", "limits.sandbox.instances"),
        ] {
            let settings: LimitSettings = serde_norway::from_str(text).expect(text);
            let error = Limits::new(&settings).expect_err(text).to_string();
            assert!(error.starts_with(&format!("{field}: ")) && error.contains("give "), "{error}");
        }
    }
}
