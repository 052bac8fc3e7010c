//! One SOURCE as typed: an object of the cluster, or a glob of pods.

use crate::error::DiscoveryError;
use crate::kind::Kind;

/// What one SOURCE means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The pods of an object: `deployments/web`.
    Object {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A selector of agents: `namespace:pod/container`, each part a glob and optional.
    Glob(String),
}

impl Wanted {
    /// Reads a SOURCE that is asked of a cluster. `kind/name` is an object wherever the first word is a kind's name;
    /// everything else is a glob.
    ///
    /// # Errors
    /// A word that can only be meant as a kind, but is none; a name that no object can have.
    pub fn parse(text: &str) -> Result<Wanted, DiscoveryError> {
        let Some((kind, name)) = text.split_once('/').filter(|(kind, _)| is_word(kind)) else {
            return Ok(Wanted::Glob(text.to_owned()));
        };
        let Some(kind) = Kind::parse(kind) else {
            return match Kind::is_meant(kind) {
                false => Ok(Wanted::Glob(text.to_owned())),
                true => Err(DiscoveryError::refused(format!(
                    "'{text}': pods are not found by '{kind}'; kinds are {}",
                    Kind::list()
                ))),
            };
        };
        let is_name = |name: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
            !name.is_empty() && name.bytes().all(allowed)
        };
        if is_name(name) {
            return Ok(Wanted::Object { kind, name: name.to_owned() });
        }
        Err(DiscoveryError::refused(format!(
            "'{text}': '{name}' is not the name of a {}: give a whole one, such as {}/web; for several pods give a \
             glob of their names alone ('web-*'), and for containers -c",
            kind.name(),
            kind.name(),
        )))
    }

    /// Whether a SOURCE names an object by its kind.
    pub fn is_object(text: &str) -> bool {
        text.split_once('/').is_some_and(|(kind, _)| is_word(kind) && Kind::parse(kind).is_some())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_globs() {
        let object = |kind, name: &str| Wanted::Object { kind, name: name.to_owned() };
        assert_eq!(Wanted::parse("deployments/web").expect("a kind"), object(Kind::Deployment, "web"));
        assert_eq!(Wanted::parse("pod/web-0").expect("a kind"), object(Kind::Pod, "web-0"));
        for glob in ["web-*", "web-0/nginx", "shop:web-*/nginx", "/nginx", "shop:", "", "shop:deploy/web"] {
            assert_eq!(Wanted::parse(glob).expect(glob), Wanted::Glob(glob.to_owned()));
            assert!(!Wanted::is_object(glob), "{glob}");
        }
        assert!(Wanted::is_object("deploy/web"));
    }

    #[test]
    fn errors_say_what_there_is() {
        let error = Wanted::parse("deploymnet/web").expect_err("a typing error").to_string();
        assert!(
            error.contains("deploymnet/web") && error.contains("statefulset (statefulsets, sts)"),
            "{error}"
        );
        let error = Wanted::parse("deploy/web-*").expect_err("a glob").to_string();
        assert!(error.contains("'web-*'"), "{error}");
        assert!(Wanted::parse("deploy/").is_err());
    }
}
