//! Which crate the code of a module comes from, by the names of its functions. After inlining across crates that is
//! roughly so, and enough to find what makes a filter large.

use std::collections::BTreeMap;

use wasmparser::{KnownCustom, Name, Parser, Payload, TypeRef};

/// Code without a name of Rust's: exports, and functions of C.
const OTHER: &str = "(other)";

/// Bytes of code by crate, the most first; empty when the module has no names.
pub(super) fn by_crate(module: &[u8]) -> Result<Vec<(String, usize)>, String> {
    let mut names = BTreeMap::new();
    let mut sizes = Vec::new();
    let mut imported = 0_usize;
    read(module, &mut names, &mut sizes, &mut imported).map_err(|error| error.to_string())?;
    let mut crates: BTreeMap<String, usize> = BTreeMap::new();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    for (index, size) in sizes.iter().enumerate() {
        let name = names.get(&(imported + index)).and_then(|name| crate_of(name)).unwrap_or(OTHER.to_owned());
        *crates.entry(name).or_default() += size;
    }
    let mut crates: Vec<(String, usize)> = crates.into_iter().collect();
    crates.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    Ok(crates)
}

/// Reads names and sizes of functions, and how many are imported.
fn read(
    module: &[u8],
    names: &mut BTreeMap<usize, String>,
    sizes: &mut Vec<usize>,
    imported: &mut usize,
) -> wasmparser::Result<()> {
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    *imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => sizes.push(body.range().len()),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(known) = section.as_known() else { continue };
                for subsection in known {
                    let Name::Function(functions) = subsection? else { continue };
                    for naming in functions {
                        let naming = naming?;
                        names.insert(naming.index as usize, naming.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The crate in a function's name: the first part of the first path in it.
fn crate_of(symbol: &str) -> Option<String> {
    let name = format!("{:#}", rustc_demangle::try_demangle(symbol).ok()?);
    let is_ident = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = name.as_str();
    while let Some(start) = rest.find(is_ident) {
        let word = &rest[start..];
        let end = word.find(|c| !is_ident(c)).unwrap_or(word.len());
        if word[end..].starts_with("::") {
            return Some(word[..end].to_owned());
        }
        rest = &word[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_names_its_crate() {
        for (symbol, found) in [
            ("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", Some("core")),
            (
                "_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Write$GT$9write_str17h0123456789abcdefE",
                Some("alloc"),
            ),
            ("_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE", Some("core")),
            ("memcpy", None),
            ("weir:filter/filter@0.1.0#process", None),
        ] {
            assert_eq!(crate_of(symbol).as_deref(), found, "{symbol}");
        }
    }

    #[test]
    fn code_is_summed_by_crate() {
        let module = wat::parse_str(
            r#"(module
                (import "a" "b" (func $imported))
                (func $_ZN5small1f17h0123456789abcdefE)
                (func $_ZN5large1f17h0123456789abcdefE (drop (i32.const 1)) (drop (i32.const 2)))
                (func $_ZN5small1g17h0123456789abcdefE)
                (func $memcpy))"#,
        )
        .expect("valid text");
        let crates = by_crate(&module).expect("it is read");
        let names: Vec<&str> = crates.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "large", "{crates:?}");
        assert_eq!(
            crates.iter().find(|(name, _)| name == "small").map(|(_, size)| *size),
            Some(4),
            "{crates:?}"
        );
    }
}
