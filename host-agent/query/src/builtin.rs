//! Filters that come with the program.

use std::borrow::Cow;

use weir_sandbox::KnownComponent;

/// A filter that a query can name.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    name: &'static str,
    digest: &'static str,
    size: usize,
    component: fn(&str) -> Vec<u8>,
}

impl Builtin {
    /// A filter of that name, whose component has so many bytes, of which `digest` is the SHA-256 (`sha256:` and
    /// hexadecimal digits) and which `component` gives by that name.
    pub fn new(
        name: &'static str,
        digest: &'static str,
        size: usize,
        component: fn(&str) -> Vec<u8>,
    ) -> Builtin {
        Builtin { name, digest, size, component }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does something with the component, whose bytes are unpacked where they are needed.
    pub(crate) fn with_component<T>(&self, use_it: impl FnOnce(KnownComponent<'_>) -> T) -> T {
        let bytes = || Cow::Owned((self.component)(self.name));
        use_it(KnownComponent { digest: self.digest, size: self.size, owner: "", bytes: &bytes })
    }
}
