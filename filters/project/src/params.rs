//! The parameters of `project`, and what is made of them.

use crate::rules::Rules;
use crate::template::Template;
use std::collections::BTreeMap;
use weir_fields::{Format, Path};
use weir_sdk::prelude::*;

/// What to keep, drop and rename, or how to write the line anew. Paths are written `level`, `user.id`,
/// `"dotted.key"`, `a["any key"]` and, into arrays, `items[*].id`.
#[derive(Debug, Params)]
pub struct Args {
    /// How lines are read. A line that is not of that form passes unchanged.
    #[param(default = Format::Auto)]
    format: Format,
    /// Paths of the only fields to keep, with all below them.
    #[param(default)]
    keep: Vec<String>,
    /// Paths of fields to leave out.
    #[param(default)]
    drop: Vec<String>,
    /// New names of fields, by path: `msg:message`. The field stays where it is; one that has the new name already
    /// gives way.
    #[param(default)]
    rename: BTreeMap<String, String>,
    /// What to write instead of the line: text with fields in braces, `{level} {user.id:-nobody}`. A missing field
    /// is empty, or what stands behind `:-`. `{{` and `}}` are braces. Not together with the other rules.
    template: Option<String>,
}

/// What to do with a line.
#[derive(Debug)]
pub(crate) enum Work {
    Rules(Rules),
    Template(Template),
}

impl Args {
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn work(&self) -> Result<Work, ParamError> {
        let given = [
            ("keep", !self.keep.is_empty()),
            ("drop", !self.drop.is_empty()),
            ("rename", !self.rename.is_empty()),
        ];
        let rule = given.into_iter().find(|(_, given)| *given);
        match (&self.template, rule) {
            (Some(_), Some((name, _))) => Err(ParamError::new(
                name,
                "can't go with `template`, which says itself what is shown; give one or the other",
            )),
            (None, None) => {
                Err(ParamError::new("", "has nothing to do; give `keep`, `drop`, `rename` or `template`"))
            }
            (Some(template), None) => Template::parse(template)
                .map(Work::Template)
                .map_err(|message| ParamError::new("template", message)),
            (None, Some(_)) => self.rules().map(Work::Rules),
        }
    }

    fn rules(&self) -> Result<Rules, ParamError> {
        let mut rules = Rules::default();
        for (index, path) in self.keep.iter().enumerate() {
            rules.keep(&self.path(path, || format!("keep.{index}"))?);
        }
        for (index, path) in self.drop.iter().enumerate() {
            rules.drop(&self.path(path, || format!("drop.{index}"))?);
        }
        for (path, name) in &self.rename {
            let field = || format!("rename.{path}");
            let parsed = self.path(path, field)?;
            if self.format != Format::Json && !is_logfmt_key(name) {
                let message = format!(
                    "gets the name \"{name}\", which logfmt can't write; leave out blanks, quotes and `=`, or set `format` = `json`"
                );
                return Err(ParamError::new(field(), message));
            }
            rules.rename(&parsed, name).map_err(|message| ParamError::new(field(), message))?;
        }
        Ok(rules)
    }

    fn path(&self, path: &str, field: impl Fn() -> String) -> Result<Path, ParamError> {
        let parsed = Path::parse(path)
            .map_err(|error| ParamError::new(field(), format!("is \"{path}\"; that {error}")))?;
        if self.format == Format::Logfmt && parsed.flat().is_none() {
            let message = format!("is \"{path}\"; logfmt has no arrays, so leave out `[*]`");
            return Err(ParamError::new(field(), message));
        }
        Ok(parsed)
    }
}

fn is_logfmt_key(name: &str) -> bool {
    !name.is_empty() && !name.contains(|char: char| char <= ' ' || matches!(char, '=' | '"'))
}
