//! A component that exports whatever another imports of WASI: its types come from that component, its functions from
//! [`Answer`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{
    Function, InterfaceId, LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, SizeAlign, TypeDefKind,
    TypeId, TypeOwner, WasmExport, WasmExportKind, WasmImport, WorldId, WorldItem, WorldKey,
};

use crate::AdaptError;
use crate::answer::{Answer, RANDOM};

const WASI: &str = "wasi:";
const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
/// Where results begin that are handed back by their address.
const RESULTS: usize = 64;

/// Whether the world imports something of WASI.
///
/// # Errors
/// It imports something that is neither WASI nor a type.
pub(crate) fn is_needed(resolve: &Resolve, world: WorldId) -> Result<bool, AdaptError> {
    let mut needed = false;
    for (key, item) in &resolve.worlds[world].imports {
        let key = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => {
                let of_wasi = key.starts_with(WASI);
                needed |= of_wasi;
                check_interface(resolve, &key, *id, of_wasi)?;
            }
            WorldItem::Function(function) => return Err(AdaptError::Import { name: function.name.clone() }),
            WorldItem::Type { id, .. } => check_type(resolve, &key, *id)?,
        }
    }
    Ok(needed)
}

fn check_interface(resolve: &Resolve, key: &str, id: InterfaceId, of_wasi: bool) -> Result<(), AdaptError> {
    let interface = &resolve.interfaces[id];
    for function in interface.functions.values() {
        let name = format!("{key}#{}", function.name);
        if !of_wasi {
            return Err(AdaptError::Import { name });
        }
        if function.kind.is_async() || !function.find_futures_and_streams(resolve).is_empty() {
            return Err(AdaptError::Asynchronous { name });
        }
    }
    for (name, &ty) in interface.types.iter().filter(|_| !of_wasi) {
        check_type(resolve, &format!("{key}#{name}"), ty)?;
    }
    Ok(())
}

fn check_type(resolve: &Resolve, name: &str, id: TypeId) -> Result<(), AdaptError> {
    match resolve.types[id].kind {
        TypeDefKind::Resource => Err(AdaptError::Import { name: name.to_owned() }),
        _ => Ok(()),
    }
}

/// The component, and the names of the interfaces that it exports: all that `world` imports. The world itself is
/// turned into the stub's.
pub(crate) fn build(resolve: &mut Resolve, world: WorldId) -> Result<(Vec<u8>, Vec<String>)> {
    let imports = std::mem::take(&mut resolve.worlds[world].imports);
    resolve.worlds[world].exports = imports;
    let mut interfaces = Vec::new();
    for key in resolve.worlds[world].exports.keys() {
        interfaces.push(resolve.name_world_key(key));
    }
    let mut module = wat::parse_str(Module::of(resolve, world)?.text())?;
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    let stub = ComponentEncoder::default().module(&module)?.validate(true).encode()?;
    Ok((stub, interfaces))
}

/// The core module of the stub, in the making.
struct Module<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
    /// What makes a handle, and its import: by the resource.
    makers: BTreeMap<TypeId, String>,
    functions: String,
    /// Results that are handed back by their address, and where they lie.
    results: Vec<(usize, Vec<u8>)>,
    /// Where the next result would lie.
    end: usize,
}

impl<'a> Module<'a> {
    fn of(resolve: &'a Resolve, world: WorldId) -> Result<Module<'a>> {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        let mut module = Module {
            resolve,
            sizes,
            makers: BTreeMap::new(),
            functions: String::new(),
            results: Vec::new(),
            end: RESULTS,
        };
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else {
                bail!("`{}` is imported by itself, outside of an interface", resolve.name_world_key(key));
            };
            let name = resolve.name_world_key(key);
            let name = name.strip_prefix(WASI).unwrap_or(&name).split('@').next().unwrap_or_default();
            for function in resolve.interfaces[*id].functions.values() {
                let answer = Answer::of(resolve, &module.sizes, name, function);
                module.add(key, function, &answer)?;
            }
        }
        Ok(module)
    }

    fn add(&mut self, key: &WorldKey, function: &Function, answer: &Answer) -> Result<()> {
        let signature = self.resolve.wasm_signature(AbiVariant::GuestExport, function);
        let export = WasmExport::Func { interface: Some(key), func: function, kind: WasmExportKind::Normal };
        let name = self.resolve.wasm_export_name(MANGLING, export);
        write!(self.functions, "  (func (export {name:?})")?;
        for (keyword, types) in [("param", &signature.params), ("result", &signature.results)] {
            for ty in types {
                write!(self.functions, " ({keyword} {})", core_type(*ty))?;
            }
        }
        let result = signature.results.first();
        let body = match (answer, result) {
            (Answer::Zero, None) => String::new(),
            (Answer::Zero, Some(_)) if signature.retptr => {
                let size = function.result.as_ref().map_or(0, |ty| self.sizes.size(ty).size_wasm32());
                self.result(vec![0; size])
            }
            (Answer::Zero, Some(ty)) => format!("({}.const 0)", core_type(*ty)),
            (Answer::Number(number), Some(ty)) => format!("({}.const {number})", core_type(*ty)),
            (Answer::Bytes(bytes), Some(_)) => self.result(bytes.clone()),
            (Answer::RandomBytes, Some(_)) => {
                format!("(call $random (i32.wrap_i64 (local.get 0)) {})", self.result(vec![0; 8]))
            }
            (Answer::AllReady, Some(_)) => {
                format!("(call $all_ready (local.get 0) (local.get 1) {})", self.result(vec![0; 8]))
            }
            (Answer::Resource(resource), Some(_)) => {
                format!("(call {} (i32.const 0))", self.maker(*resource)?)
            }
            (Answer::Trap, _) => "unreachable".to_owned(),
            (answer, None) => bail!("{name} gives back nothing, but should answer {answer:?}"),
        };
        // What arguments took of memory is free again.
        writeln!(self.functions, "\n    {body}\n    (global.set $top (global.get $bottom)))")?;
        Ok(())
    }

    /// Keeps bytes for a result; gives the instruction that has their address.
    fn result(&mut self, bytes: Vec<u8>) -> String {
        let at = self.end;
        self.end = (at + bytes.len()).next_multiple_of(16);
        self.results.push((at, bytes));
        format!("(i32.const {at})")
    }

    /// The name of what makes a handle of this resource.
    fn maker(&mut self, resource: TypeId) -> Result<String> {
        let TypeOwner::Interface(owner) = self.resolve.types[resource].owner else {
            bail!("a resource belongs to no interface");
        };
        let name = format!("$new_{}", resource.index());
        if !self.makers.contains_key(&resource) {
            let key = WorldKey::Interface(owner);
            let intrinsic = WasmImport::ResourceIntrinsic {
                interface: Some(&key),
                resource,
                intrinsic: ResourceIntrinsic::ExportedNew,
            };
            let (from, import) = self.resolve.wasm_import_name(MANGLING, intrinsic);
            let import = format!("  (import {from:?} {import:?} (func {name} (param i32) (result i32)))\n");
            self.makers.insert(resource, import);
        }
        Ok(name)
    }

    fn text(&self) -> String {
        let imports = self.makers.values().map(String::as_str).collect::<String>();
        let functions = &self.functions;
        let bottom = self.end;
        let pages = bottom.div_ceil(64 << 10);
        let data: String = (self.results.iter().filter(|(_, bytes)| bytes.iter().any(|&byte| byte != 0)))
            .map(|(at, bytes)| {
                let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
                format!("  (data (i32.const {at}) \"{bytes}\")\n")
            })
            .collect();
        format!(
            r#"(module
{imports}  (memory (export "memory") {pages})
  (global $bottom i32 (i32.const {bottom}))
  (global $top (mut i32) (i32.const {bottom}))

  ;; Arguments lie one behind the other until the call ends.
  (func $alloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32) (local $at i32) (local $missing i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.lt_u (global.get $top) (local.get $at)) (then unreachable))
    (local.set $missing (i32.sub
      (i32.wrap_i64 (i64.shr_u (i64.add (i64.extend_i32_u (global.get $top)) (i64.const 0xffff)) (i64.const 16)))
      (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
    (local.get $at))

  (func $random (param $len i32) (param $list i32) (result i32) (local $at i32)
    (local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $len)))
    (memory.fill (local.get $at) (i32.const {RANDOM}) (local.get $len))
    (call $list (local.get $at) (local.get $len) (local.get $list)))

  ;; Each handle becomes its own index.
  (func $all_ready (param $at i32) (param $len i32) (param $list i32) (result i32) (local $index i32)
    (block $all
      (loop $next
        (br_if $all (i32.eq (local.get $index) (local.get $len)))
        (i32.store (i32.add (local.get $at) (i32.shl (local.get $index) (i32.const 2))) (local.get $index))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next)))
    (call $list (local.get $at) (local.get $len) (local.get $list)))

  (func $list (param $at i32) (param $len i32) (param $list i32) (result i32)
    (i32.store (local.get $list) (local.get $at))
    (i32.store offset=4 (local.get $list) (local.get $len))
    (local.get $list))

{functions}{data})
"#
        )
    }
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
