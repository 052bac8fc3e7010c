//! `weir`: searches container logs, on this node, through agents or all over a cluster.
//!
//! This file is the way from the command line to an exit code. What was typed is [`args`]; what is ready
//! to run, [`request`]; whom to ask, [`choice`]; who answers, [`target`]; how to show the answer, [`output`].

mod args;
mod choice;
mod cluster;
mod cluster_names;
mod completion;
mod demo;
mod failure;
mod filter;
mod filter_args;
mod filter_text;
mod filters;
mod json;
mod logs;
mod nodes;
mod output;
mod pages;
mod request;
mod sources;
mod target;
mod target_args;
mod timestamp;
mod units;
mod visible;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

use args::{Cli, Command};

fn main() -> ExitCode {
    CompleteEnv::with_factory(Cli::command).var(completion::VARIABLE).complete();
    let command = Cli::parse().command;
    if let Err(error) = weir_query::raise_open_file_limit() {
        output::report::say(&format!("the limit on open files can't be raised: {error}"));
    }
    let result = match command {
        Command::Logs(args) => logs::run(&args),
        Command::Sources(args) => sources::run(&args),
        Command::Filters(args) => filters::run(&args),
        Command::Nodes(args) => nodes::run(&args),
        Command::Filter { command } => filter::run(&command),
        Command::Demo(args) => demo::run(&args),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { dir } => pages::man(dir.as_deref()),
        Command::Compile => return weir_query::compile_child_main(),
    };
    result.unwrap_or_else(|failure| failure.report()).into()
}
