//! The folder of a filter: which language it is in, where in it things are, and that it is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::language::{Built, How, LANGUAGES, Language};
use crate::failure::Failure;
use crate::output::report;

/// Extensions of files that are made of a component: itself, its signature, and the keys for that.
const MADE: [&str; 4] = ["wasm", "sig", "key", "pub"];

/// A filter's folder.
pub(crate) struct Project {
    /// It, as an absolute path.
    pub(super) dir: PathBuf,
    /// Its name, which is its filter's as a rule.
    pub(super) name: String,
    /// What it is written in.
    language: &'static Language,
}

/// Whether a filter's name is that of a folder, and not of one that ships with Weir.
pub(crate) fn is_folder(name: &str) -> bool {
    Path::new(name).is_dir() && weir_filters::get(name).is_none()
}

impl Project {
    /// The filter in a folder.
    pub(crate) fn open(dir: &Path) -> Result<Project, Failure> {
        let refused = |problem: String| Failure::refused(format!("{}: {problem}", dir.display()));
        let dir = fs::canonicalize(dir).map_err(|error| refused(error.to_string()))?;
        let Some(language) = LANGUAGES.iter().find(|language| dir.join(language.marker).is_file()) else {
            let markers: Vec<&str> = LANGUAGES.iter().map(|language| language.marker).collect();
            return Err(refused(format!(
                "there is no filter in this folder, which would have a {}; `weir filter new NAME` makes one",
                markers.join(" or ")
            )));
        };
        let name =
            dir.file_name().map_or_else(|| "filter".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Project { dir, name, language })
    }

    /// Where its component is written.
    pub(crate) fn component(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.name))
    }

    /// Folder of its golden cases.
    pub(super) fn cases(&self) -> PathBuf {
        self.dir.join("tests")
    }

    /// A log to try it on.
    pub(super) fn sample(&self) -> PathBuf {
        self.dir.join("sample.log")
    }

    /// Whether a path below the folder is its own source, and not what was made of it or brought in.
    pub(super) fn is_source(&self, path: &Path) -> bool {
        let Ok(path) = path.strip_prefix(&self.dir) else { return false };
        let Some(first) = path.iter().next().map(|first| first.to_string_lossy()) else { return true };
        let made = path.extension().is_some_and(|extension| MADE.iter().any(|made| extension == *made));
        !(made || first == ".git" || self.language.ignored.contains(&&*first))
    }

    /// Whether a path below the folder may be in the component: its sources but for what it is tried and explained with.
    fn is_built_in(&self, path: &Path) -> bool {
        self.is_source(path)
            && !path.starts_with(self.cases())
            && path != self.sample()
            && path.extension().is_none_or(|extension| extension != "md")
    }

    /// Builds it, whatever there is already.
    pub(super) fn build(&self, how: How) -> Result<Built, Failure> {
        (self.language.build)(self, how)
    }

    /// Its component, built and written first when what is there is older than its sources.
    pub(super) fn up_to_date(&self) -> Result<Vec<u8>, Failure> {
        let path = self.component();
        let is_built = self.is_built(&path)?;
        if !self.language.sees_changes && is_built {
            return fs::read(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())));
        }
        if !is_built {
            // The tool is told to be quiet, and may take a minute.
            report::say(&format!("building {}", path.display()));
        }
        let component = self.build(How { quick: false, quiet: true })?.component;
        write(&path, &component)?;
        Ok(component)
    }

    fn is_built(&self, component: &Path) -> Result<bool, Failure> {
        let Ok(built) = fs::metadata(component).and_then(|metadata| metadata.modified()) else {
            return Ok(false);
        };
        let newest = self
            .newest(&self.dir)
            .map_err(|(path, error)| Failure::failed(format!("{}: {error}", path.display())))?;
        Ok(newest <= built)
    }

    /// When the newest source below a folder was written.
    fn newest(&self, dir: &Path) -> Result<SystemTime, (PathBuf, std::io::Error)> {
        let failed = |error| (dir.to_owned(), error);
        let mut newest = SystemTime::UNIX_EPOCH;
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if !self.is_built_in(&path) {
                continue;
            }
            let written = match entry.file_type().map_err(failed)? {
                kind if kind.is_dir() => self.newest(&path)?,
                _ => entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?,
            };
            newest = newest.max(written);
        }
        Ok(newest)
    }
}

/// Writes a component.
pub(super) fn write(path: &Path, component: &[u8]) -> Result<(), Failure> {
    fs::write(path, component).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}
