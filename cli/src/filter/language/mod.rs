//! The languages that filters can be written in: a table with an entry for each, which its own module makes.

mod c;
mod go;
mod js;
mod rust;
mod tool;

use std::path::Path;

use super::project::Project;
use crate::failure::Failure;

/// What `weir filter new` takes when nothing is said.
pub(super) const DEFAULT: &str = rust::LANGUAGE.name;

/// Every language there is.
pub(super) static LANGUAGES: &[&Language] = &[&rust::LANGUAGE, &js::LANGUAGE, &go::LANGUAGE, &c::LANGUAGE];

/// Gives places in templates, and their values.
type Fill = fn() -> Result<Vec<(&'static str, String)>, Failure>;

/// A language that filters can be written in.
pub(super) struct Language {
    /// What it is called: for `--lang`, and for the folder of its templates.
    pub(super) name: &'static str,
    /// A file that every project in it has, and none in another language.
    pub(super) marker: &'static str,
    /// Where an author begins to edit.
    pub(super) source: &'static str,
    /// Folders of a project that hold no source: what is written there makes no build stale.
    pub(super) ignored: &'static [&'static str],
    /// Places in its templates that it fills in, and their values.
    pub(super) fill: Fill,
    /// Adds to a new project what isn't in its templates, such as the SDK. Gets the project's folder and name.
    pub(super) furnish: fn(&Path, &str) -> Result<(), Failure>,
    /// Whether its build tool sees by itself, and soon, that nothing has changed; else times of files decide.
    pub(super) sees_changes: bool,
    /// Builds a project.
    pub(super) build: fn(&Project, How) -> Result<Built, Failure>,
}

/// How to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct How {
    /// As fast as it can be built, rather than the component that ships.
    pub(super) quick: bool,
    /// Say nothing but what is wrong.
    pub(super) quiet: bool,
}

/// What was built.
pub(super) struct Built {
    /// The component, without names and debug information.
    pub(super) component: Vec<u8>,
    /// Bytes of code by what they come from, such as a crate, the most first; empty where that isn't known.
    pub(super) origins: Vec<(String, usize)>,
}

/// The names for `--lang`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|language| language.name)
}

/// The language of that name; the command line offers no other.
pub(super) fn named(name: &str) -> &'static Language {
    LANGUAGES.iter().find(|language| language.name == name).expect("only names of the table are offered")
}
