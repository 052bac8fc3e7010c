//! `weir filter adapt`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::Out;
use crate::units;

/// `weir filter adapt`.
#[derive(Debug, Args)]
pub(crate) struct AdaptArgs {
    /// A component, or a core module as wasm32-wasip1 makes
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the component [default: beside FILE, as NAME.component.wasm]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes a filter that was built against WASI into one that imports nothing.
pub(super) fn run(args: &AdaptArgs) -> Result<Exit, Failure> {
    let refused = |problem: String| Failure::refused(format!("{}: {problem}", args.file.display()));
    let wasm = fs::read(&args.file).map_err(|error| refused(error.to_string()))?;
    let component = weir_adapt::adapt(&wasm).map_err(|error| refused(error.to_string()))?;
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    fs::write(&out, &component).map_err(|error| Failure::failed(format!("{}: {error}", out.display())))?;
    let size = units::bytes(component.len() as u64);
    let mut stdout = Out::stdout().map_err(Failure::Output)?;
    stdout.buffer.extend_from_slice(format!("{}: {size}, imports nothing\n", out.display()).as_bytes());
    stdout.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

/// Where the component lies when nothing is said: `filter.wasm` becomes `filter.component.wasm`.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("component.wasm")
}
