//! `weir filter new`.

use std::fs;
use std::io;
use std::path::Path;

use weir_query::Kind;

use super::args::NewArgs;
use super::language::{self, Language};
use super::templates;
use crate::failure::{Exit, Failure};
use crate::output::Out;

/// Makes the folder of a filter, where there is none.
pub(super) fn run(args: &NewArgs) -> Result<Exit, Failure> {
    let name = &args.name;
    check_name(name)?;
    let language = language::named(&args.lang);
    let dir = Path::new(name);
    if let Err(error) = fs::create_dir(dir) {
        return Err(Failure::refused(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!(
                    "{name}: there is something of this name already; give another name, or remove it first"
                )
            }
            _ => format!("{name}: {error}"),
        }));
    }
    let made = make(dir, name, language, args.kind.into());
    if made.is_err() {
        // It was not there before, and half of it is of no use.
        fs::remove_dir_all(dir).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
    }
    made?;
    let mut out = Out::stdout().map_err(Failure::Output)?;
    let source = dir.join(language.source);
    let first = match language.first {
        "" => String::new(),
        first => format!("{first} && "),
    };
    out.buffer.extend_from_slice(
        format!(
            "made {name}/, a {} filter in {}; it is in {}\n\nnext:\n  cd {name} && {first}weir filter build && \
             weir filter test && weir filter run . sample.log\n",
            Kind::from(args.kind),
            language.name,
            source.display()
        )
        .as_bytes(),
    );
    out.flush().map_err(Failure::Output)?;
    Ok(Exit::Complete)
}

fn make(dir: &Path, name: &str, language: &Language, kind: Kind) -> Result<(), Failure> {
    let own = language.fill()?;
    let mut fill = vec![("name", name), ("kind", kind.as_str())];
    fill.extend(own.iter().map(|(place, value)| (*place, value.as_str())));
    for (path, text) in templates::files(language.name, kind.as_str(), &fill) {
        let path = dir.join(path);
        let failed = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
        fs::create_dir_all(path.parent().unwrap_or(dir)).map_err(failed)?;
        fs::write(&path, text).map_err(failed)?;
    }
    language.furnish(dir, name)
}

/// The rules of a filter's name, and those of a crate's, which is the same here.
fn check_name(name: &str) -> Result<(), Failure> {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if letters && first && name.len() <= 63 && !name.ends_with('-') {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "'{name}' is no name for a filter: give 1 to 63 lower-case letters, digits and dashes that start with a letter \
         and don't end with a dash"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["x", "my-filter", "a2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "2x", "-x", "x-", "X", "a_b", "../x", "a b", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    /// Each language has what every verb expects of a project, for each kind.
    #[test]
    fn templates_are_whole() {
        for language in language::LANGUAGES {
            for kind in [Kind::Select, Kind::Transform, Kind::Redact, Kind::Aggregate] {
                let fill = [("name", "x"), ("kind", kind.as_str()), ("patches", ""), ("sdk", "")];
                let files = templates::files(language.name, kind.as_str(), &fill);
                for name in [
                    language.marker,
                    language.source,
                    "README.md",
                    ".gitignore",
                    "sample.log",
                    "tests/cases.yaml",
                ] {
                    assert!(
                        files.iter().any(|(path, _)| path == Path::new(name)),
                        "{} {kind}: {name}",
                        language.name
                    );
                }
                for (path, text) in &files {
                    assert!(!text.contains("{{name}}"), "{}", path.display());
                }
            }
        }
    }
}
