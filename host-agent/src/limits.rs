//! The `limits` section of the config file, and how it becomes the limits of the crates below. A limit that
//! isn't set keeps the default that its crate gives it, or [`Limits::default`] where an agent's differs.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_query::{FilterLimits, FolderLimits, QueryLimits, SandboxLimits};
use weir_rpc::ServerLimits;

use crate::filter_limits::{FilterMaxima, FilterSettings, default_maxima};
use crate::{ConfigError, pod_memory};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Makes a section's struct: for each key its unit, the fields of `$target` that it sets, and its range.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident in $prefix:literal {
            $($key:ident: $unit:ident of $target:ident.$($field:ident).+ in $range:expr;)*
        }
        $($(#[$below_doc:meta])* $below:ident: $section:ident;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                #[doc = concat!("Sets `", stringify!($target), ".", stringify!($($field).+), "` of [`Limits`].")]
                pub $key: Option<u64>,
            )*
            $($(#[$below_doc])* pub $below: $section,)*
        }

        impl $name {
            fn apply(&self, to: &mut Limits) -> Result<(), ConfigError> {
                $(if let Some(value) = self.$key {
                    let field = concat!($prefix, stringify!($key));
                    to.$target.$($field).+ = $unit::from(in_range(value, field, $range)?, field)?;
                })*
                $(self.$below.apply(to)?;)*
                Ok(())
            }

            fn of(limits: &Limits) -> $name {
                $name {
                    $($key: Some($unit::told(limits.$target.$($field).+)),)*
                    $($below: $section::of(limits),)*
                }
            }
        }
    };
}

section! {
    /// The `limits` section.
    LimitSettings in "limits." {
        max_queries: count of server.max_queries in 1..=1024;
        max_queries_per_caller: count of server.max_queries_per_caller in 1..=1024;
        max_follows: count of server.max_follows in 1..=1024;
        max_follows_per_caller: count of server.max_follows_per_caller in 1..=1024;
        max_queued: count of server.max_queued in 0..=65_536;
        max_queued_per_caller: count of server.max_queued_per_caller in 0..=65_536;
        max_queued_bytes: count of server.max_queued_bytes in 0..=GIB;
        queue_seconds: seconds of server.queue in 1..=DAY_SECONDS;
        max_lookups: count of server.max_lookups in 1..=256;
        max_watches: count of server.max_watches in 1..=1024;
        max_connections: count of server.max_connections in 1..=65_536;
        max_streams: count of server.max_streams in 1..=65_536;
        max_request_bytes: count of server.max_request_bytes in 4096..=256 * MIB;
        max_requests_bytes: count of server.max_requests_bytes in 4096..=GIB;
        max_uploads_bytes: count of server.max_uploads_bytes in 0..=GIB;
        max_uploads_bytes_per_caller: count of server.max_uploads_bytes_per_caller in 0..=GIB;
        upload_keep_seconds: seconds of server.upload_keep in 1..=DAY_SECONDS;
        max_pulled_bytes: count of pulls.bytes in 0..=GIB;
        pull_seconds: seconds of pulls.time in 1..=3600;
        max_folder_files: count of folder.files in 0..=1024;
        max_header_bytes: count of server.max_header_bytes in 1024..=MIB;
        request_seconds: seconds of server.request in 1..=DAY_SECONDS;
        handshake_seconds: seconds of server.handshake in 1..=600;
        idle_seconds: seconds of server.idle in 1..=DAY_SECONDS;
        keepalive_seconds: seconds of server.keepalive in 1..=7200;
        stall_seconds: seconds of server.stall in 1..=DAY_SECONDS;
        follow_stall_seconds: seconds of server.follow_stall in 1..=DAY_SECONDS;
        watch_seconds: seconds of server.watch_interval in 1..=DAY_SECONDS;
    }
    /// Limits of one query.
    query: QuerySettings;
    /// The most that a query may set the limits of a filter to.
    filter_max: FilterMaxima;
    /// Limits of one filter in one query.
    filter: FilterSettings;
    /// Limits of compiling filters.
    sandbox: SandboxSettings;
}

section! {
    /// The `limits.query` section.
    QuerySettings in "limits.query." {
        run_seconds: seconds of server.budget.time in 1..=7 * DAY_SECONDS;
        read_bytes: count of server.budget.read_bytes in MIB..=1024 * TIB;
        sent_bytes: count of server.budget.sent_bytes in MIB..=1024 * TIB;
        selectors: count of query.selectors in 1..=10_000;
        selector_bytes: count of query.selector_bytes in 16..=MIB;
        patterns: count of query.patterns.patterns in 1..=10_000_000;
        pattern_bytes: count of query.patterns.pattern_bytes in 16..=16 * MIB;
        pattern_compiled_bytes: count of query.patterns.compiled_bytes in 64 << 10..=GIB;
        filters: count of query.filters in 1..=64;
        context_records: count of query.context_records in 0..=1_000_000;
        line_bytes: count of query.line_bytes in 1024..=48 * MIB;
        held_bytes: count of query.held_bytes in MIB..=16 * GIB;
        merge_bytes: count of query.merge_bytes in MIB..=GIB;
        batch_bytes: count of query.batch_bytes in MIB..=GIB;
        histogram_buckets: count of query.histogram_buckets in 1..=10_000_000;
        shadow_seconds: seconds of query.shadow_time in 0..=DAY_SECONDS;
        follow_hold_milliseconds: milliseconds of query.follow_hold in 0..=60_000;
        threads: count of query.threads in 1..=64;
    }
}

section! {
    /// The `limits.sandbox` section.
    SandboxSettings in "limits.sandbox." {
        component_bytes: count of sandbox.component_bytes in 1024..=256 * MIB;
        compile_memory_bytes: count of sandbox.compile_memory_bytes in 32 * MIB..=most_compile_memory();
        compile_seconds: count of sandbox.compile_seconds in 1..=600;
        cache_bytes: count of sandbox.cache_bytes in MIB..=64 * GIB;
        instances: count of sandbox.instances in 1..=4096;
        compile_queue: count of sandbox.compile_queue in 0..=1024;
        loaded_filters: count of sandbox.loaded_filters in 0..=1024;
        schema_bytes: count of sandbox.schema_bytes in 2..=MIB;
    }
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
    /// Of the folder of filters.
    pub folder: FolderLimits,
    /// Of filters from registries.
    pub pulls: PullLimits,
}

/// The limits of pulling filters from registries. How large one may be is a limit of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// How long one pull may take.
    pub time: Duration,
    /// Bytes of all components that were pulled and are named, each once in memory and once on disk; more are refused. Their
    /// manifests and signatures, at most 128 KiB of each, don't count.
    pub bytes: u64,
}

impl Default for PullLimits {
    fn default() -> PullLimits {
        PullLimits { time: Duration::from_secs(60), bytes: 32 << 20 }
    }
}

impl Default for Limits {
    /// Those of the crates below, but for what many queries at once, and the compiling child, may hold: an agent has
    /// little memory.
    fn default() -> Limits {
        let sandbox = SandboxLimits::default();
        let compile_memory_bytes = sandbox.compile_memory_bytes.min(most_compile_memory());
        Limits {
            server: ServerLimits::default(),
            query: QueryLimits { held_bytes: 16 << 20, ..QueryLimits::default() },
            filter: FilterLimits::default(),
            filter_maxima: default_maxima(),
            sandbox: SandboxLimits { compile_memory_bytes, ..sandbox },
            folder: FolderLimits::default(),
            pulls: PullLimits::default(),
        }
    }
}

/// The most memory for the compiling child: more, and the kernel would end the pod where only the child is at fault.
fn most_compile_memory() -> u64 {
    pod_memory::limit().map_or(16 * GIB, |pod| (pod / 4 * 3).max(32 * MIB))
}

impl Limits {
    /// Checks what was set.
    ///
    /// # Errors
    /// A value outside of its range, by the key's name.
    pub fn new(settings: &LimitSettings) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        settings.apply(&mut limits)?;
        Ok(limits)
    }

    /// The settings that make these limits.
    pub(crate) fn settings(&self) -> LimitSettings {
        LimitSettings::of(self)
    }
}

fn in_range(value: u64, field: &'static str, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let reason = format!("{value} is out of range; give {} to {}", range.start(), range.end());
    Err(ConfigError::value(field, reason))
}

/// Numbers of things, and bytes.
mod count {
    use crate::ConfigError;

    pub(super) fn from<T: TryFrom<u64>>(value: u64, field: &'static str) -> Result<T, ConfigError> {
        let large = || ConfigError::value(field, format!("{value} is more than this machine can count"));
        T::try_from(value).map_err(|_| large())
    }

    pub(super) fn told<T: TryInto<u64>>(value: T) -> u64 {
        value.try_into().unwrap_or(u64::MAX)
    }
}

/// Times in whole seconds.
mod seconds {
    use super::{ConfigError, Duration};

    pub(super) fn from(value: u64, _field: &'static str) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(value))
    }

    pub(super) fn told(value: Duration) -> u64 {
        value.as_secs()
    }
}

/// Times in milliseconds.
mod milliseconds {
    use super::{ConfigError, Duration};

    pub(super) fn from(value: u64, _field: &'static str) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(value))
    }

    pub(super) fn told(value: Duration) -> u64 {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_not_set_keeps_its_default() {
        let limits = Limits::new(&LimitSettings::default()).expect("nothing is set");
        assert_eq!(limits, Limits::default());
        let compile_memory_bytes = SandboxLimits::default().compile_memory_bytes;
        assert!(limits.sandbox.compile_memory_bytes <= compile_memory_bytes, "the pod's limit counts");
    }

    #[test]
    fn what_is_set_is_taken() {
        let settings: LimitSettings = serde_norway::from_str(
            "{max_queries: 3, stall_seconds: 7, query: {filters: 2, patterns: 5, run_seconds: 9}, \
             filter: {batch_ms: 50}, sandbox: {instances: 9}}",
        )
        .expect("limits");
        let limits = Limits::new(&settings).expect("in range");
        assert_eq!((limits.server.max_queries, limits.server.stall), (3, Duration::from_secs(7)));
        assert_eq!((limits.query.filters, limits.sandbox.instances), (2, 9));
        assert_eq!((limits.query.patterns.patterns, limits.server.budget.time), (5, Duration::from_secs(9)));
        assert_eq!(limits.filter.batch_time, Duration::from_millis(50));
    }

    #[test]
    fn every_limit_comes_through_settings_whole_and_is_in_its_own_range() {
        let mut limits = Limits::default();
        limits.server.idle = Duration::from_secs(77);
        limits.query.patterns.compiled_bytes = 1 << 20;
        assert_eq!(Limits::new(&limits.settings()).expect("in range"), limits);
    }

    /// Every limit by its path, with its value.
    fn listed(tree: &serde_norway::Value, path: &str, found: &mut BTreeMap<String, String>) {
        let Some(section) = tree.as_mapping() else {
            found.insert(path.to_owned(), serde_norway::to_string(tree).expect("a number").trim().to_owned());
            return;
        };
        for (key, below) in section {
            let key = key.as_str().expect("keys are names");
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            listed(below, &path, found);
        }
    }

    #[test]
    fn the_documents_tell_every_limit_and_its_default() {
        let mut defaults = BTreeMap::new();
        let tree = serde_norway::to_value(Limits::default().settings()).expect("settings");
        listed(&tree, "", &mut defaults);
        let table =
            include_str!("../../docs/agent.md").split_once("| key under `limits` |").expect("a table").1;
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let told: BTreeMap<String, String> = rows
            .map(|row| {
                let mut cells = row.split('|').map(str::trim).skip(1);
                let key = cells.next().expect("a key").trim_matches('`').to_owned();
                (key, cells.next().expect("a default").to_owned())
            })
            .collect();
        for (key, default) in &defaults {
            if let Some((section @ ("filter" | "filter_max"), _)) = key.split_once('.') {
                assert!(told.contains_key(&format!("{section}.NAME")), "{section}");
                continue;
            }
            let told = told.get(key).unwrap_or_else(|| panic!("docs/agent.md doesn't tell `{key}`"));
            // Two depend on the machine, which the text says.
            let depends = ["query.threads", "sandbox.compile_memory_bytes"].contains(&key.as_str());
            assert!(told == default || depends, "`{key}` is {default}, and docs/agent.md says {told}");
        }
        let unknown = told.keys().find(|key| !key.ends_with(".NAME") && !defaults.contains_key(*key));
        assert_eq!(unknown, None, "docs/agent.md tells a limit that there isn't");
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
