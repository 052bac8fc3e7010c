//! `weir filter`: the day of somebody who writes a filter, a file for each verb.
//!
//! What runs a filter here is the engine of queries, with an agent's limits: what passes here behaves the same on a
//! node. Which languages there are, and how each is built, is [`language`]'s.

mod adapt;
mod args;
mod bench;
mod build;
mod check;
mod code_size;
mod component;
mod describe;
mod dev;
mod diff;
mod figures;
mod fit;
mod golden_file;
mod language;
mod new;
mod project;
mod robust;
mod run;
mod ship;
mod subject;
mod templates;
mod test;
mod trial;
mod watch;

pub(crate) use args::FilterCommand;
pub(crate) use describe::{describe, push_json};
pub(crate) use fit::Excess;
pub(crate) use project::{Project, is_folder};
pub(crate) use subject::{info, read_component};

use crate::failure::{Exit, Failure};

/// Does what a verb says.
pub(crate) fn run(command: &FilterCommand) -> Result<Exit, Failure> {
    match command {
        FilterCommand::New(args) => new::run(args),
        FilterCommand::Build(args) => build::run(args),
        FilterCommand::Test(args) => test::run(args),
        FilterCommand::Run(args) => run::run(args),
        FilterCommand::Dev(args) => dev::run(args),
        FilterCommand::Bench(args) => bench::run(args),
        FilterCommand::Inspect(args) => ship::inspect(args),
        FilterCommand::Adapt(args) => adapt::run(args),
        FilterCommand::Keygen(args) => ship::keygen(args),
        FilterCommand::Push(args) => ship::push(args),
        FilterCommand::Pull(args) => ship::pull(args),
        FilterCommand::Sign(args) => ship::sign(args),
        FilterCommand::Verify(args) => ship::verify(args),
    }
}
