//! Filters that come with the program.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use weir_sandbox::KnownComponent;

/// A filter that a query can name.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    name: &'static str,
    digest: &'static str,
    size: usize,
    zlib: &'static [u8],
}

impl Builtin {
    /// A filter of that name, whose component has so many bytes, of which `digest` is the SHA-256 (`sha256:` and
    /// hexadecimal digits) and `zlib` what zlib makes of them.
    pub fn new(name: &'static str, digest: &'static str, size: usize, zlib: &'static [u8]) -> Builtin {
        Builtin { name, digest, size, zlib }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does something with the component, whose bytes are unpacked where they are needed.
    pub(crate) fn with_component<T>(&self, use_it: impl FnOnce(KnownComponent<'_>) -> T) -> T {
        let bytes = || {
            let mut component = Vec::with_capacity(self.size);
            let unpacked = ZlibDecoder::new(self.zlib).read_to_end(&mut component);
            unpacked.expect("whoever made the program has packed it");
            Cow::Owned(component)
        };
        use_it(KnownComponent { digest: self.digest, size: self.size, bytes: &bytes })
    }
}
