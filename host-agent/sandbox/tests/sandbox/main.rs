//! The sandbox from outside: real components, compiled and run, each limit and each trap.

mod admission;
mod guests;
mod hostile;
mod load;
mod session;
mod verdicts;

use weir_sandbox::{Batch, Binding, Compiler, Filter, FilterLimits, Sandbox, SandboxConfig, SandboxLimits};

/// A sandbox that compiles in this process and keeps nothing.
fn sandbox() -> Sandbox {
    let config = SandboxConfig {
        compiler: Compiler::InProcess,
        cache_dir: None,
        limits: SandboxLimits { instances: 32, ..SandboxLimits::default() },
    };
    Sandbox::new(config).expect("no cache to fail on")
}

fn load(puppet: &guests::Puppet) -> Filter {
    sandbox().load(&puppet.build()).expect("loads")
}

fn bind(puppet: &guests::Puppet, limits: &FilterLimits) -> Binding {
    load(puppet).open("{}", limits).expect("opens")
}

/// Messages in a block of their own, as a scanner would have them.
struct Records {
    block: Vec<u8>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    attrs: Vec<u8>,
}

impl Records {
    fn new<M: AsRef<[u8]>>(messages: &[M]) -> Records {
        let mut records =
            Records { block: vec![b'#'], starts: vec![], ends: vec![], timestamps: vec![], attrs: vec![] };
        for message in messages {
            records.starts.push(records.block.len() as u32);
            records.block.extend_from_slice(message.as_ref());
            records.ends.push(records.block.len() as u32);
            records.block.push(b'\n');
            records.timestamps.push(0);
            records.attrs.push(0);
        }
        records
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            block: &self.block,
            starts: &self.starts,
            ends: &self.ends,
            timestamps: &self.timestamps,
            attrs: &self.attrs,
        }
    }
}
