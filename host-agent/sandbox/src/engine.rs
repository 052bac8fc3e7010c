//! How wasmtime is set up: one set of choices for the process that compiles and the one that runs.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::{CORE_INSTANCES, MEMORIES, SandboxLimits, TABLE_ELEMENTS, TABLES};
use crate::ticker::Ticker;

/// Bytes of a free memory slot that stay resident, so that the next instance meets few page faults. Each slot that was ever
/// used keeps as much.
const KEEP_RESIDENT: usize = 96 << 10;
/// Free slots kept warm for the same component.
const WARM_SLOTS: u32 = 4;

/// What runs guests: made when the first filter is loaded.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    /// Names everything that an artifact depends on besides the component: hex.
    pub(crate) compatibility: String,
}

impl Runtime {
    pub(crate) fn new(limits: &SandboxLimits) -> wasmtime::Result<Runtime> {
        let engine = match Engine::new(&pooled(limits)) {
            Ok(engine) => engine,
            Err(error) => {
                // Reserving the pool needs address space that a strict `ulimit -v` denies.
                tracing::warn!(%error, "no instance pool: filters start more slowly");
                Engine::new(&config())?
            }
        };
        let mut digest = DigestHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        let compatibility = hex(&digest.0.finalize()[..8]);
        Ok(Runtime { ticker: Ticker::new(&engine), engine, compatibility })
    }
}

/// The settings that machine code depends on.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    // Signals-based traps, the 4 GiB reservation and copy-on-write memory images are the defaults.
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        // Its results differ between processors: a filter is a pure function.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // For what wasmtime puts between the components that a component is made of: it copies from the memory of one
        // to that of the other. Modules of guests have one memory each: admission sees to it.
        .wasm_multi_memory(true);
    config
}

fn pooled(limits: &SandboxLimits) -> Config {
    let memories = limits.instances.max(MEMORIES as u32);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(memories)
        .total_tables(memories.saturating_mul(2))
        .total_core_instances(memories.saturating_mul(4))
        .total_component_instances(memories)
        .max_core_instances_per_component(CORE_INSTANCES as u32)
        .max_memories_per_component(MEMORIES as u32)
        .max_tables_per_component(TABLES as u32)
        .max_tables_per_module(TABLES as u32)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(Enabled::Auto);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Gathers what is hashed into a digest that is the same in every process.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        let mut head = [0; 8];
        head.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(head)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hash;

    use sha2::{Digest, Sha256};

    use super::{DigestHasher, Runtime, config, hex};
    use crate::SandboxLimits;

    #[test]
    fn the_compiler_and_the_pool_agree_on_artifacts() {
        let runtime = Runtime::new(&SandboxLimits::default()).expect("an engine");
        let compiler = wasmtime::Engine::new(&config()).expect("an engine");
        let mut digest = DigestHasher(Sha256::new());
        compiler.precompile_compatibility_hash().hash(&mut digest);
        assert_eq!(runtime.compatibility, hex(&digest.0.finalize()[..8]));
    }
}
