//! The parameters of `redact`, and what is made of them.

use crate::detector::{ALL, Detector, Detectors};
use crate::engine::Engine;
use crate::fields::{Fields, MOST_NAMES, NameError, SECRET_NAMES};
use crate::finder::Finder;
use crate::pattern::Patterns;
use crate::replace::Style;
use weir_sdk::prelude::*;

/// Fewest characters of a key for hashes: with less, tokens could be turned back by trying keys.
const KEY_LENGTH: usize = 16;

/// What to hide, and how.
#[derive(Debug, Params)]
pub struct Args {
    /// What to look for; everything unless given. An empty list leaves only `patterns`.
    detectors: Option<Vec<Detector>>,
    /// What not to look for.
    #[param(default)]
    except: Vec<Detector>,
    /// Own regular expressions, matched on bytes with ASCII classes. What the first group matches is hidden, or
    /// the whole match if there is no group; the group's name is the label: `order=(?<order_id>[0-9]+)`.
    #[param(default, max = 32)]
    patterns: Vec<String>,
    /// Names of fields that `password` hides the values of, instead of the built-in ones. Case and the kind of
    /// separator between words make no difference; `token` also means `access_token`.
    fields: Option<Vec<String>>,
    /// Names of such fields beside the built-in ones.
    #[param(default)]
    more_fields: Vec<String>,
    /// What stands in a secret's place.
    #[param(default = Mode::Label)]
    mode: Mode,
    /// The key for `mode` = `hash`, at least 16 characters: the same value and key give the same token.
    key: Option<String>,
}

/// What stands in a secret's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Params)]
pub enum Mode {
    /// `[REDACTED:email]`
    Label,
    /// `[email:3fa9c1d2ab04]`: a keyed hash, the same for the same value.
    Hash,
    /// As many `*` as the value has bytes; cards keep their last four digits.
    Mask,
}

impl Args {
    pub(crate) fn engine(&self) -> Result<Engine, ParamError> {
        let mut detectors: Detectors = match &self.detectors {
            Some(chosen) => chosen.iter().copied().collect(),
            None => ALL.into_iter().collect(),
        };
        for &detector in &self.except {
            detectors.remove(detector);
        }
        if detectors == Detectors::default() && self.patterns.is_empty() {
            let message = "leaves nothing to look for; name a detector, or give `patterns`";
            return Err(ParamError::new("detectors", message));
        }
        let fields = self.fields(detectors)?;
        let patterns = Patterns::new(&self.patterns)
            .map_err(|(index, message)| ParamError::new(format!("patterns.{index}"), message))?;
        Ok(Engine::new(Finder::new(detectors, fields, patterns), self.style()?))
    }

    fn fields(&self, detectors: Detectors) -> Result<Fields, ParamError> {
        if !detectors.has(Detector::Password) {
            let unused = [("fields", self.fields.is_some()), ("more_fields", !self.more_fields.is_empty())];
            if let Some((name, _)) = unused.into_iter().find(|(_, given)| *given) {
                return Err(ParamError::new(name, "needs the detector `password`; add it to `detectors`"));
            }
        }
        let own: Vec<&str> = match &self.fields {
            Some(fields) => fields.iter().map(String::as_str).collect(),
            None => SECRET_NAMES.to_vec(),
        };
        let named = own.len();
        let all = own.into_iter().chain(self.more_fields.iter().map(String::as_str));
        Fields::new(detectors, all).map_err(|(index, error)| {
            let field = match index.checked_sub(named) {
                Some(index) => format!("more_fields.{index}"),
                None => format!("fields.{index}"),
            };
            let message = match error {
                NameError::Characters => {
                    "is no field name; it must have a letter, and only letters, digits, `_`, `-`, `.` and blanks"
                        .to_owned()
                }
                NameError::TooMany => format!("makes more than {MOST_NAMES} names; leave some out"),
            };
            ParamError::new(field, message)
        })
    }

    fn style(&self) -> Result<Style, ParamError> {
        match (self.mode, &self.key) {
            (Mode::Hash, Some(key)) if key.chars().count() >= KEY_LENGTH => Ok(Style::hash(key.as_bytes())),
            (Mode::Hash, Some(key)) => {
                let message =
                    format!("has {} characters; give a secret of at least {KEY_LENGTH}", key.chars().count());
                Err(ParamError::new("key", message))
            }
            (Mode::Hash, None) => {
                let message =
                    format!("is missing; `mode` = `hash` needs a secret of at least {KEY_LENGTH} characters");
                Err(ParamError::new("key", message))
            }
            (_, Some(_)) => {
                Err(ParamError::new("key", "is only for `mode` = `hash`; leave it out or set the mode"))
            }
            (Mode::Label, None) => Ok(Style::Label),
            (Mode::Mask, None) => Ok(Style::Mask),
        }
    }
}
