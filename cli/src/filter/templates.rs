//! The files that `weir filter new` starts a project with, which this program carries.
//!
//! They lie in `sdk/templates`: `shared/` has what is the same in every language (a sample log and golden cases),
//! `LANGUAGE/` the rest; in each, `common/` is for all kinds and `KIND/` for one. A part of a path that begins with
//! `dot.` stands for one that begins with a dot. In the files, `{{name}}` and its like are filled in.

use std::path::PathBuf;

// Defines `TEMPLATES`, paths below `sdk/templates` with their texts.
include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The files of a new project in `language` and of `kind`, each with its path in the project. `fill` gives the values
/// of places such as `{{name}}`.
pub(super) fn files(language: &str, kind: &str, fill: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
    let folders = ["shared", language].map(|of| ["common", kind].map(|part| format!("{of}/{part}/")));
    let mut files = Vec::new();
    for (path, text) in TEMPLATES {
        let Some(rest) = folders.as_flattened().iter().find_map(|folder| path.strip_prefix(folder.as_str()))
        else {
            continue;
        };
        let path = rest.split('/').map(|part| match part.strip_prefix("dot.") {
            Some(hidden) => format!(".{hidden}"),
            None => part.to_owned(),
        });
        files.push((path.collect(), filled(text, fill)));
    }
    files
}

/// A text with its places filled in.
pub(super) fn filled(text: &str, fill: &[(&str, &str)]) -> String {
    fill.iter().fold(text.to_owned(), |text, (place, value)| text.replace(&format!("{{{{{place}}}}}"), value))
}
