//! Filters that are larger than an agent takes by default, such as those in Python: they can be tried on one's own machine,
//! and what an agent's config must allow for them is told.

use std::collections::BTreeMap;

use weir_query::{FilterLimits, FilterRef, FilterSpec, Needs, SandboxLimits};

use super::subject::COMPONENT_FILE_BYTES;
use crate::output::report;
use crate::units;

/// What a filter needs beyond an agent's defaults.
#[derive(Debug, Default)]
pub(crate) struct Excess {
    /// Its size, where that is over the limit.
    size: Option<usize>,
    /// Limits on its use, with what they must be at least.
    limits: BTreeMap<&'static str, u64>,
}

impl Excess {
    /// That of a filter. What ships with Weir has none, nor what is no component: whoever loads that says so.
    pub(crate) fn of(filter: &FilterRef) -> Excess {
        let FilterRef::Component { bytes, .. } = filter else { return Excess::default() };
        let Ok(needs) = Needs::of(bytes) else { return Excess::default() };
        Excess {
            size: Some(bytes.len()).filter(|size| *size > SandboxLimits::default().component_bytes),
            limits: needs.over(&FilterLimits::default()),
        }
    }

    /// That of a filter; which limits of an agent are too low for it is said, if any is.
    pub(crate) fn told(filter: &FilterRef) -> Excess {
        let excess = Excess::of(filter);
        if let Some(warning) = excess.warning(filter.name()) {
            report::say(&warning);
        }
        excess
    }

    /// Bytes of a component that is larger than an agent takes by default.
    pub(crate) fn size(&self) -> Option<usize> {
        self.size
    }

    /// An agent's default limits on components, raised where it needs that. What a large component takes to be compiled
    /// can't be told beforehand, so that those bounds are wide.
    pub(crate) fn sandbox_limits(&self) -> SandboxLimits {
        let defaults = SandboxLimits::default();
        match self.size {
            None => defaults,
            Some(_) => SandboxLimits {
                component_bytes: COMPONENT_FILE_BYTES as usize,
                compile_memory_bytes: 8 << 30,
                compile_seconds: 600,
                artifact_bytes: 512 << 20,
                cache_bytes: 1 << 30,
                ..defaults
            },
        }
    }

    /// An agent's default limits on the use of a filter, raised where it needs that.
    pub(crate) fn filter_limits(&self) -> FilterLimits {
        let mut limits = FilterLimits::default();
        for (name, value) in &self.limits {
            let limit = FilterLimits::named(name).expect("it is one of the named ones");
            // Over the end of its range, the sandbox has no room for it, and says so.
            limit.set(&mut limits, (*value).min(*limit.range.end())).expect("it is within the range");
        }
        limits
    }

    /// Raises the limits of a query's filter, but for those that somebody has set.
    pub(crate) fn raise(&self, spec: &mut FilterSpec) {
        let limits = self.filter_limits();
        for name in self.limits.keys() {
            let value = FilterLimits::named(name).expect("it is one of the named ones").get(&limits);
            spec.limits.entry((*name).to_owned()).or_insert(value);
        }
    }

    fn warning(&self, filter: &str) -> Option<String> {
        let mut keys: Vec<String> = Vec::new();
        if let Some(size) = self.size {
            keys.push(format!("sandbox.component_bytes: {size}"));
        }
        let named = |section: &str| {
            let keys = self.limits.iter().map(|(name, value)| format!("{section}.{name}: {value}"));
            keys.collect::<Vec<_>>()
        };
        // An agent's maxima are its defaults for these.
        keys.extend(named("filter_max"));
        keys.extend(named("filter"));
        if keys.is_empty() {
            return None;
        }
        let compiling = match self.size {
            Some(size) => format!(
                "; it has {}, so sandbox.compile_seconds, sandbox.compile_memory_bytes and the pod's memory may be too low \
                 too: see docs/languages.md",
                units::bytes(size as u64)
            ),
            None => String::new(),
        };
        Some(format!(
            "warning: {filter}: no agent takes it unless its config sets, under `limits`, at least {}{compiling}",
            keys.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_must_allow_is_told_by_name() {
        assert!(Excess::default().warning("x").is_none());
        assert!(Excess::of(&FilterRef::Name("redact".to_owned())).limits.is_empty());
        let excess = Excess { size: Some(19_000_000), limits: [("core_instances", 38)].into() };
        let warning = excess.warning("x.wasm").expect("it is over two limits");
        for key in [
            "x.wasm",
            "sandbox.component_bytes: 19000000",
            "filter.core_instances: 38",
            "filter_max.core_instances: 38",
            "sandbox.compile_seconds",
        ] {
            assert!(warning.contains(key), "{key}: {warning}");
        }
        let mut spec = FilterSpec::new(FilterRef::Name("x".to_owned()));
        excess.raise(&mut spec);
        assert_eq!(spec.limits.get("core_instances"), Some(&38));
        assert_eq!(excess.filter_limits().core_instances, 38);
    }
}
