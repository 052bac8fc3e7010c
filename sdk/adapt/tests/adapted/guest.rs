//! A filter for the tests: it makes one check for each line, chosen by the line's only byte, and keeps the line if
//! the check comes out 1.

use weir_sandbox::{
    Batch, Compiler, Filter, FilterLimits, Sandbox, SandboxConfig, SandboxLimits, SourceMeta, Verdict,
    Verdicts,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What a check is about, and its instructions, which give 1 when all is as it should be. It may use memory from 4096
/// to 65535.
pub(crate) type Check = (&'static str, &'static str);

const WIT: &str = include_str!("../../../../wit/filter.wit");

/// The filter as a core module without a world, as a C compiler would make it.
pub(crate) fn module(imports: &str, checks: &[Check]) -> Vec<u8> {
    let functions: String = checks
        .iter()
        .enumerate()
        .map(|(i, (_, check))| format!("(func $check{i} (result i32) {check})\n"))
        .collect();
    let table: String = (0..checks.len()).map(|i| format!(" $check{i}")).collect();
    let text = MODULE.replace("IMPORTS", imports).replace("CHECKS", &functions).replace("TABLE", &table);
    wat::parse_str(text).expect("the guest parses")
}

/// The filter as a component that imports `interfaces`, which `wit` defines.
pub(crate) fn component(wit: &str, interfaces: &[&str], imports: &str, checks: &[Check]) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_str("filter.wit", WIT).expect("the contract parses");
    let imported: String = interfaces.iter().map(|name| format!("import {name}; ")).collect();
    let world =
        format!("package test:guest;\nworld guest {{ {imported} export weir:filter/filter@0.1.0; }}\n{wit}");
    let package = resolve.push_str("guest.wit", &world).expect("the world parses");
    let world = resolve.select_world(&[package], Some("guest")).expect("it is there");
    let mut module = module(imports, checks);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata fits");
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.expect("a module of the world").encode().expect("encodes")
}

/// The filter in the sandbox.
pub(crate) struct Guest {
    filter: Filter,
}

impl Guest {
    pub(crate) fn load(component: &[u8]) -> Guest {
        let config = SandboxConfig {
            compiler: Compiler::InProcess,
            cache_dir: None,
            limits: SandboxLimits::default(),
        };
        let sandbox = Sandbox::new(config).expect("a sandbox");
        Guest { filter: sandbox.load(component).expect("the host takes it") }
    }

    fn verdict(&self, check: usize) -> (Verdict, String) {
        let binding = self.filter.open("{}", &FilterLimits::default()).expect("it opens");
        let mut session = binding.session();
        session.begin_source(0, &SourceMeta::default());
        let message = [u8::try_from(check).expect("few checks")];
        let batch = Batch { block: &message, starts: &[0], ends: &[1], timestamps: &[-1], attrs: &[0] };
        let mut verdicts = Verdicts::new();
        session.process(0, &batch, &mut verdicts);
        let told = session.stats().failures.iter().map(|failure| failure.detail.clone()).collect();
        (verdicts.as_slice()[0].clone(), told)
    }

    /// Asserts that the check comes out as it should.
    pub(crate) fn keeps(&self, check: usize, about: &str) {
        assert_eq!(self.verdict(check), (Verdict::Keep, String::new()), "{about}");
    }

    /// Asserts that the check traps.
    pub(crate) fn traps(&self, check: usize, about: &str) {
        let (verdict, told) = self.verdict(check);
        assert_eq!(verdict, Verdict::Failed, "{about}");
        assert!(told.contains("unreachable"), "{about}: {told}");
    }
}

/// Layout: 0 texts, 512 description, 600 plan, 1000 the result of `process`, 1100 the one verdict, 4096 for checks,
/// 65536 what the host hands over.
const MODULE: &str = r#"
(module
  IMPORTS
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))
  (table funcref (elem TABLE))
  (data (i32.const 0) "guest1.0.0Asks{}")
  (data (i32.const 512) "\00\00\00\00\05\00\00\00\05\00\00\00\05\00\00\00\00\00\00\00\0a\00\00\00\04\00\00\00\0e\00\00\00\02\00\00\00")
  (data (i32.const 600) "\00\00\00\00\01\00\00\00\00\00\00\00")
  (data (i32.const 1004) "\4c\04\00\00\01\00\00\00")
  CHECKS
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func (export "weir:filter/filter@0.1.0#describe") (result i32) (i32.const 512))
  (func (export "weir:filter/filter@0.1.0#open") (param i32 i32) (result i32) (i32.const 600))
  (func (export "weir:filter/filter@0.1.0#begin-source") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 0))
  (func (export "weir:filter/filter@0.1.0#process")
    (param i32) (param $block i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 1100) (i32.eqz (call_indirect (result i32) (i32.load8_u (local.get $block)))))
    (i32.const 1000))
  (func (export "weir:filter/filter@0.1.0#finish") (result i32) (i32.const 2000))
  (func (export "weir:filter/filter@0.1.0#diagnostics") (result i32) (i32.const 2000)))
"#;
