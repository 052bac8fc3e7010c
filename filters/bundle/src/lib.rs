//! The filters that ship with Weir, as components ready for the sandbox: every `cdylib` of the workspace in
//! `filters/`, built and embedded by this crate's build script. Nothing here runs them.

use std::io::Read;

use lzma_rust2::LzmaReader;

/// A filter that ships with Weir.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name that users call it by; also that of its folder.
    pub name: &'static str,
    /// `sha256:` and the hexadecimal digest of the component's bytes.
    pub digest: &'static str,
    /// How many bytes the component has.
    pub size: usize,
    /// Where the component begins among those that lie compressed in [`COMPONENTS`].
    offset: u64,
}

impl Bundled {
    /// The component's bytes.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        let written = "the build script has written it";
        let mut all = LzmaReader::new_mem_limit(COMPONENTS, u32::MAX, None).expect(written);
        std::io::copy(&mut (&mut all).take(self.offset), &mut std::io::sink()).expect(written);
        let mut component = vec![0; self.size];
        all.read_exact(&mut component).expect(written);
        component
    }
}

/// The bytes of the component of that name.
///
/// # Panics
/// When there is none: names come from [`all`].
#[must_use]
pub fn component(name: &str) -> Vec<u8> {
    get(name).expect("a name of `all`").component()
}

/// All of them, sorted by name.
#[must_use]
pub fn all() -> &'static [Bundled] {
    BUNDLED
}

/// The one of that name.
#[must_use]
pub fn get(name: &str) -> Option<&'static Bundled> {
    BUNDLED.binary_search_by_key(&name, |filter| filter.name).ok().map(|at| &BUNDLED[at])
}

// Defines `BUNDLED`, and `COMPONENTS`: all of them in one, since they have a lot in common and would be a tenth of an
// agent as they are.
include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use wasmparser::{ComponentTypeRef, Parser, Payload};

    #[test]
    fn filters_are_found_by_their_names() {
        assert!(!all().is_empty() && all().is_sorted_by(|a, b| a.name < b.name));
        for filter in all() {
            assert_eq!(get(filter.name).map(|found| found.digest), Some(filter.digest));
        }
        assert!(get("no-such-filter").is_none());
    }

    #[test]
    fn components_are_what_their_digests_say() {
        for filter in all() {
            let component = filter.component();
            assert_eq!(component.len(), filter.size);
            let digest: String =
                Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(filter.digest, format!("sha256:{digest}"));
        }
    }

    /// The host refuses a component that imports a function; here it is told before one ships.
    #[test]
    fn components_are_valid_and_import_only_types() {
        for filter in all() {
            let component = filter.component();
            wasmparser::validate(&component).unwrap_or_else(|e| panic!("{}: {e}", filter.name));
            let (mut depth, mut imports, mut exports) = (0, Vec::new(), Vec::new());
            for payload in Parser::new(0).parse_all(&component) {
                match payload.expect("the component was validated") {
                    Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                    Payload::End(_) => depth -= 1,
                    Payload::ComponentImportSection(section) if depth == 0 => {
                        for import in section {
                            let import = import.expect("the component was validated");
                            assert!(matches!(import.ty, ComponentTypeRef::Instance(_)), "{}", filter.name);
                            imports.push(import.name.name.to_owned());
                        }
                    }
                    Payload::ComponentExportSection(section) if depth == 0 => {
                        let names =
                            section.into_iter().map(|e| e.expect("the component was validated").name.name);
                        exports.extend(names.map(str::to_owned));
                    }
                    _ => {}
                }
            }
            assert_eq!(imports, ["weir:filter/types@0.1.0"], "{}", filter.name);
            assert_eq!(exports, ["weir:filter/filter@0.1.0"], "{}", filter.name);
        }
    }
}
