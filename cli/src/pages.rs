//! What a shell and `man` want to know, written from the command line's own definition.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::completion;
use crate::failure::{Exit, Failure};
use crate::output::Out;

/// Writes a completion script to standard output.
pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut out = Out::stdout().map_err(Failure::Output)?;
    completion::register(shell, &mut out.buffer)?;
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

/// Writes the manual page of `weir` to standard output, or one page for each command to `dir`.
pub(crate) fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    let Some(dir) = dir else {
        let mut out = Out::stdout().map_err(Failure::Output)?;
        clap_mangen::Man::new(Cli::command()).render(&mut out.buffer).map_err(Failure::Output)?;
        out.flush().map_err(Failure::Output)?;
        return Ok(Exit::Complete);
    };
    let refused = |error: std::io::Error| Failure::refused(format!("--dir {}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(refused)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(refused)?;
    Ok(Exit::Complete)
}
