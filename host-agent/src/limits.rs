//! The `limits` section of the config file, and how it becomes the limits of the crates below. A limit that
//! isn't set keeps the default that its crate gives it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use weir_query::{FilterLimits, QueryLimits, SandboxLimits};
use weir_rpc::ServerLimits;

use crate::{ConfigError, pod_memory};

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
    /// Limits of one filter in one query, by the names of [`FilterLimits::NAMED`].
    pub filter: BTreeMap<String, u64>,
    /// The most that a query may set them to.
    pub filter_max: BTreeMap<String, u64>,
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
    /// [`SandboxLimits::compile_queue`].
    pub compile_queue: Option<u64>,
    /// [`SandboxLimits::schema_bytes`].
    pub schema_bytes: Option<u64>,
}

/// The limits of everything below the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Of the gRPC server.
    pub server: ServerLimits,
    /// Of one query.
    pub query: QueryLimits,
    /// Of one filter in one query.
    pub filter: FilterLimits,
    /// The most that a query may set those to.
    pub filter_maxima: FilterLimits,
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
        let mut limits = Limits {
            server: ServerLimits::default(),
            query: QueryLimits::default(),
            filter: FilterLimits::default(),
            filter_maxima: filter_maxima(),
            sandbox: SandboxLimits::default(),
        };
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

        set_filter(&mut limits.filter_maxima, &settings.filter_max, "filter_max", &FilterLimits::maxima())?;
        limits.filter = limits.filter.within(&limits.filter_maxima);
        set_filter(&mut limits.filter, &settings.filter, "filter", &limits.filter_maxima)?;

        let (sandbox, set_to) = (&mut limits.sandbox, &settings.sandbox);
        set(
            &mut sandbox.component_bytes,
            set_to.component_bytes,
            "limits.sandbox.component_bytes",
            1024..=256 * MIB,
        )?;
        // Else the kernel would end the pod where only the child is at fault.
        let most = pod_memory::limit().map_or(16 * GIB, |pod| pod / 4 * 3);
        sandbox.compile_memory_bytes = sandbox.compile_memory_bytes.min(most);
        let field = "limits.sandbox.compile_memory_bytes";
        set(
            &mut sandbox.compile_memory_bytes,
            set_to.compile_memory_bytes,
            field,
            32 * MIB..=most.max(32 * MIB),
        )?;
        set(&mut sandbox.compile_seconds, set_to.compile_seconds, "limits.sandbox.compile_seconds", 1..=600)?;
        set(&mut sandbox.cache_bytes, set_to.cache_bytes, "limits.sandbox.cache_bytes", MIB..=64 * GIB)?;
        set(&mut sandbox.instances, set_to.instances, "limits.sandbox.instances", 1..=4096)?;
        set(&mut sandbox.compile_queue, set_to.compile_queue, "limits.sandbox.compile_queue", 0..=1024)?;
        set(&mut sandbox.schema_bytes, set_to.schema_bytes, "limits.sandbox.schema_bytes", 2..=MIB)?;
        Ok(limits)
    }
}

/// The most that a query may set a filter's limits to, unless configured: as much memory as any filter has, but more
/// time and output where its author knows that it needs them.
fn filter_maxima() -> FilterLimits {
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

/// Sets limits of a filter by name, each at most as large as its maximum.
fn set_filter(
    limits: &mut FilterLimits,
    settings: &BTreeMap<String, u64>,
    section: &str,
    maxima: &FilterLimits,
) -> Result<(), ConfigError> {
    for (name, value) in settings {
        let refused = |reason: String| ConfigError::value(format!("limits.{section}.{name}"), reason);
        let Some(limit) = FilterLimits::named(name) else {
            let names: Vec<&str> = FilterLimits::NAMED.iter().map(|limit| limit.name).collect();
            return Err(refused(format!("there is no such limit; there are {}", names.join(", "))));
        };
        let most = limit.get(maxima);
        if *value > most {
            return Err(refused(format!(
                "{value} is out of range; give at most {most} (limits.filter_max.{name})"
            )));
        }
        limit.set(limits, *value).map_err(refused)?;
    }
    Ok(())
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
        let limits = Limits::new(&LimitSettings::default()).expect("nothing is set");
        assert_eq!((limits.server, limits.query), (ServerLimits::default(), QueryLimits::default()));
        let compile_memory_bytes = limits.sandbox.compile_memory_bytes;
        let sandbox = SandboxLimits { compile_memory_bytes, ..SandboxLimits::default() };
        assert_eq!((limits.filter, &limits.sandbox), (FilterLimits::default(), &sandbox));
        assert!(
            compile_memory_bytes <= SandboxLimits::default().compile_memory_bytes,
            "the pod's limit counts"
        );
    }

    #[test]
    fn what_is_set_is_taken() {
        let settings: LimitSettings = serde_norway::from_str(
            "{max_queries: 3, stall_seconds: 7, query: {filters: 2}, filter: {batch_ms: 50}, \
             sandbox: {instances: 9}}",
        )
        .expect("limits");
        let limits = Limits::new(&settings).expect("in range");
        assert_eq!((limits.server.max_queries, limits.server.stall), (3, Duration::from_secs(7)));
        assert_eq!((limits.query.filters, limits.sandbox.instances), (2, 9));
        assert_eq!(limits.filter.batch_time, Duration::from_millis(50));
    }

    #[test]
    fn a_lower_maximum_takes_the_default_with_it() {
        let settings: LimitSettings =
            serde_norway::from_str("{filter_max: {memory_bytes: 1048576}}").expect("limits");
        let limits = Limits::new(&settings).expect("in range");
        assert_eq!((limits.filter.memory_bytes, limits.filter_maxima.memory_bytes), (1 << 20, 1 << 20));
        let settings = LimitSettings { filter: [("memory_bytes".to_owned(), 2 << 20)].into(), ..settings };
        let error = Limits::new(&settings).expect_err("over the maximum").to_string();
        assert!(error.starts_with("limits.filter.memory_bytes: ") && error.contains("filter_max"), "{error}");
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (text, field) in [
            ("{max_queries: 0}", "limits.max_queries"),
            ("{stall_seconds: 100000}", "limits.stall_seconds"),
            ("{query: {line_bytes: 1}}", "limits.query.line_bytes"),
            ("{query: {threads: 0}}", "limits.query.threads"),
            ("{filter: {batch_ms: 0}}", "limits.filter.batch_ms"),
            ("{filter_max: {batch_ms: 100000}}", "limits.filter_max.batch_ms"),
            ("{sandbox: {instances: 18446744073709551615}}", "limits.sandbox.instances"),
        ] {
            let settings: LimitSettings = serde_norway::from_str(text).expect(text);
            let error = Limits::new(&settings).expect_err(text).to_string();
            assert!(error.starts_with(&format!("{field}: ")) && error.contains("give "), "{error}");
        }
    }
}
