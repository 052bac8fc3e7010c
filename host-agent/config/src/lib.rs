//! Files in YAML that people write for Weir. A [`Document`] tells what is wrong in one with its line, and the name that was
//! probably meant; [`read_policy`] and [`read_policies`] read policies,
//! [`read_file`] any small file.
//!
//! What is in a file is judged here as far as its form goes. Whether a filter exists, and takes its parameters, the engine
//! knows.
#![forbid(unsafe_code)]

mod document;
mod place;
mod policy;

pub use document::{Document, DocumentError, read_file};
pub use policy::{PolicyLimits, read_policies, read_policy};
