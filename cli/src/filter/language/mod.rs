//! The languages that filters can be written in: a table with an entry for each, which its own module makes.

mod c;
mod go;
mod js;
mod python;
mod rust;
mod tool;

use std::path::Path;

use super::project::Project;
use crate::failure::Failure;

/// What `weir filter new` takes when nothing is said.
pub(super) const DEFAULT: &str = rust::LANGUAGE.name;

/// Every language there is.
pub(super) static LANGUAGES: &[&Language] =
    &[&rust::LANGUAGE, &js::LANGUAGE, &go::LANGUAGE, &c::LANGUAGE, &python::LANGUAGE];

/// Places in templates, and their values.
type Fill = Vec<(&'static str, String)>;

/// How a new project gets the SDK.
pub(super) enum Sdk {
    /// As files in a folder of the project, by their names there.
    Files(&'static [(&'static str, &'static str)]),
    /// By the language's own ways.
    Own {
        /// Gives places in the templates that say where it is.
        fill: fn() -> Result<Fill, Failure>,
        /// Adds it to a project's folder, in which the filter has a name.
        furnish: fn(&Path, &str) -> Result<(), Failure>,
    },
}

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
    /// What to type in a new project's folder before it builds; empty where nothing has to be fetched into it.
    pub(super) first: &'static str,
    /// How a new project gets the SDK, which isn't in the templates.
    pub(super) sdk: Sdk,
    /// Whether its build tool sees by itself, and soon, that nothing has changed; else times of files decide.
    pub(super) sees_changes: bool,
    /// Builds a project.
    pub(super) build: fn(&Project, How) -> Result<Built, Failure>,
}

impl Language {
    /// Places in its templates that it fills in, and their values.
    pub(super) fn fill(&self) -> Result<Fill, Failure> {
        match self.sdk {
            Sdk::Files(_) => Ok(Vec::new()),
            Sdk::Own { fill, .. } => fill(),
        }
    }

    /// Adds to a new project what isn't in its templates.
    pub(super) fn furnish(&self, dir: &Path, name: &str) -> Result<(), Failure> {
        match self.sdk {
            Sdk::Files(files) => tool::furnish(dir, files),
            Sdk::Own { furnish, .. } => furnish(dir, name),
        }
    }
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
