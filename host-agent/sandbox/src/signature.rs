//! The types of the contract's functions, spelled out, to compare a component's with.
//!
//! Names of parameters don't matter to a call, so they are left out; names of fields and cases do.

use wasmparser::component_types::{ComponentDefinedType, ComponentFuncTypeId, ComponentValType};
use wasmparser::types::TypesRef;

/// Longest spelling: longer than any of the contract's, so that a longer one differs.
const BYTES: usize = 1 << 10;

/// The functions of `weir:filter/filter` and their types.
pub(crate) const FUNCTIONS: [(&str, &str); 6] = [
    (
        "describe",
        "func() -> record{name: string, version: string, kind: enum{select, transform, redact, aggregate}, \
         summary: string, params-schema: string}",
    ),
    (
        "open",
        "func(string) -> result<record{columns: flags{message, timestamp, attrs}, prefilter: option<string>}, \
         record{field: string, message: string}>",
    ),
    (
        "begin-source",
        "func(u32, record{namespace: string, pod: string, container: string, node: string, restart: u32, \
         labels: list<tuple<string, string>>}) -> enum{scan, skip}",
    ),
    (
        "process",
        "func(u32, list<u8>, list<u32>, list<u32>, list<s64>, list<u8>) -> result<record{codes: list<u8>, \
         replaced-ends: list<u32>, replaced-bytes: list<u8>, annotated: list<u32>, \
         annotation-ends: list<u32>, annotation-bytes: list<u8>}, record{index: u32, message: string}>",
    ),
    ("finish", "func() -> list<string>"),
    ("diagnostics", "func() -> list<string>"),
];

/// Spells out a function's type; cut short when it is long.
pub(crate) fn spell(types: TypesRef<'_>, function: ComponentFuncTypeId) -> String {
    let mut spelling = Spelling { types, text: String::new() };
    let function = &types[function];
    if function.async_ {
        spelling.text.push_str("async ");
    }
    spelling.list("func(", function.params.iter().map(|(_, ty)| ("", Some(ty))), ")");
    if let Some(result) = &function.result {
        spelling.text.push_str(" -> ");
        spelling.value(result);
    }
    if spelling.text.len() > BYTES {
        crate::text::cut(&mut spelling.text, BYTES);
        spelling.text.push('…');
    }
    spelling.text
}

struct Spelling<'a> {
    types: TypesRef<'a>,
    text: String,
}

impl Spelling<'_> {
    fn value(&mut self, ty: &ComponentValType) {
        // Few types can spell out to endless text, since they may share parts.
        if self.text.len() > BYTES {
            return;
        }
        match ty {
            ComponentValType::Primitive(primitive) => self.text.push_str(&primitive.to_string()),
            ComponentValType::Type(id) => {
                let types = self.types;
                self.defined(&types[*id]);
            }
        }
    }

    fn defined(&mut self, ty: &ComponentDefinedType) {
        match ty {
            ComponentDefinedType::Primitive(primitive) => self.text.push_str(&primitive.to_string()),
            ComponentDefinedType::Record(record) => {
                let fields = record.fields.iter().map(|(name, ty)| (name.as_str(), Some(ty)));
                self.list("record{", fields, "}");
            }
            ComponentDefinedType::Variant(variant) => {
                let cases = variant.cases.iter().map(|(name, case)| (name.as_str(), case.ty.as_ref()));
                self.list("variant{", cases, "}");
            }
            ComponentDefinedType::Enum(names) => {
                self.list("enum{", names.iter().map(|name| (name.as_str(), None)), "}");
            }
            ComponentDefinedType::Flags(names) => {
                self.list("flags{", names.iter().map(|name| (name.as_str(), None)), "}");
            }
            ComponentDefinedType::List { element, .. } => {
                self.list("list<", [("", Some(element))].into_iter(), ">");
            }
            ComponentDefinedType::Option { ty, .. } => {
                self.list("option<", [("", Some(ty))].into_iter(), ">");
            }
            ComponentDefinedType::Tuple(tuple) => {
                self.list("tuple<", tuple.types.iter().map(|ty| ("", Some(ty))), ">");
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                let part = |ty| {
                    if Option::is_some(&ty) { ("", ty) } else { ("_", None) }
                };
                self.list("result<", [part(ok.as_ref()), part(err.as_ref())].into_iter(), ">");
            }
            // Nothing that the contract has.
            _ => self.text.push_str("handle or other type"),
        }
    }

    fn list<'t>(
        &mut self,
        open: &str,
        items: impl Iterator<Item = (&'t str, Option<&'t ComponentValType>)>,
        close: &str,
    ) {
        self.text.push_str(open);
        for (place, (name, ty)) in items.enumerate() {
            if self.text.len() > BYTES {
                return;
            }
            if place > 0 {
                self.text.push_str(", ");
            }
            self.text.push_str(name);
            if let Some(ty) = ty {
                self.text.push_str(if name.is_empty() { "" } else { ": " });
                self.value(ty);
            }
        }
        self.text.push_str(close);
    }
}
