//! Guests for the tests: core modules in text, encoded as components of the contract.
//!
//! The puppet does what the first byte of each message says, so one guest serves most tests:
//! `k` keep, `d` drop, `s` stop, `r` replace (first byte becomes `R`), `a` keep and annotate, `x` trap,
//! `l` endless loop, `m` memory bomb, `o` endless recursion, `e` report an error, `c` an unknown code,
//! `n` one code too many, `j` a broken annotation, `w` a list outside of memory, `H` 32 MiB of output,
//! `g` 1 MiB of output. Anything else is kept.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract as the repository has it.
pub(crate) const WIT: &str = include_str!("../../../../wit/filter.wit");

/// How the puppet fails on a message: the message, the failure's reason, and words of its detail.
pub(crate) const WAYS_TO_FAIL: [(&str, &str, &str); 11] = [
    ("x", "trap", "unreachable"),
    ("l", "time", "batch_ms"),
    ("m", "memory", "memory_bytes"),
    ("o", "stack", "stack exhausted"),
    ("H", "output", "output_bytes"),
    ("g", "output", "output_growth"),
    ("w", "contract", "out of bounds"),
    ("c", "contract", "`codes[0]` is 9"),
    ("n", "contract", "2 entries for 1 records"),
    ("j", "contract", "not a JSON object"),
    ("e", "reported", "fell over"),
];

/// What a test can vary in the puppet.
pub(crate) struct Puppet {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) schema: &'static str,
    /// 0 select, 1 transform, 2 redact, 3 aggregate.
    pub(crate) kind: u8,
    /// Bit 0 message, 1 timestamp, 2 attrs.
    pub(crate) columns: u8,
    pub(crate) prefilter: Option<&'static str>,
    /// Initial memory in pages of 64 KiB.
    pub(crate) pages: u32,
    /// Instructions at the start of an export, by its name in the contract.
    pub(crate) prologue: Vec<(&'static str, &'static str)>,
    /// Definitions at the head of the module, where imports must be.
    pub(crate) extra: &'static str,
}

impl Default for Puppet {
    fn default() -> Puppet {
        Puppet {
            name: "puppet",
            version: "1.2.3",
            summary: "Does as it is told",
            schema: "{\"type\":\"object\"}",
            kind: 1,
            columns: 0b111,
            prefilter: None,
            pages: 2,
            prologue: Vec::new(),
            extra: "",
        }
    }
}

impl Puppet {
    /// The puppet as a component in binary form.
    pub(crate) fn build(&self) -> Vec<u8> {
        encode(WIT, &self.module())
    }

    /// The puppet as the text of a core module.
    pub(crate) fn module(&self) -> String {
        let (mut text, mut strings) = (Vec::new(), String::new());
        let mut place = |content: &str| {
            let at = 2048 + text.len();
            text.extend_from_slice(content.as_bytes());
            (at as u32, content.len() as u32)
        };
        let name = place(self.name);
        let version = place(self.version);
        let summary = place(self.summary);
        let schema = place(self.schema);
        let prefilter = place(self.prefilter.unwrap_or_default());
        let refused = (place("limit.max"), place("expected less"));
        strings.push_str(&data(2048, &text));

        let pair = |(at, len): (u32, u32)| [at.to_le_bytes(), len.to_le_bytes()].concat();
        let kind = vec![self.kind, 0, 0, 0];
        let description = [pair(name), pair(version), kind, pair(summary), pair(schema)].concat();
        strings.push_str(&data(512, &description));
        let head = vec![0, 0, 0, 0, self.columns, 0, 0, 0, u8::from(self.prefilter.is_some()), 0, 0, 0];
        strings.push_str(&data(600, &[head, pair(prefilter)].concat()));
        strings.push_str(&data(700, &[vec![1, 0, 0, 0], pair(refused.0), pair(refused.1)].concat()));
        strings.push_str(&data(800, b"{\"a\":1}nope!!!fell over{\"seen\":00000000}not json"));

        let mut module = MODULE.replace("PAGES", &self.pages.to_string()).replace("EXTRA", self.extra);
        for export in ["describe", "open", "begin-source", "process", "finish", "diagnostics"] {
            let prologue = self.prologue.iter().find(|(name, _)| *name == export);
            module = module.replace(&format!("AT_{export}"), prologue.map_or("", |(_, text)| text));
        }
        module.replace("DATA", &strings)
    }
}

/// A core module in text as a component of the world in `wit`.
pub(crate) fn encode(wit: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("filter.wit", wit).expect("the contract parses");
    let world = resolve.select_world(&[package], None).expect("one world");
    let mut module = wat::parse_str(module).expect("the guest parses");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata fits");
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.expect("a module of the world").encode().expect("encodes")
}

fn data(at: u32, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")\n")
}

/// Layout: 512 description, 600 plan, 700 parameter error, 800 texts, 900 list results, 1000 process
/// result, 2048 strings, 65536 heap.
const MODULE: &str = r#"
(module
  EXTRA
  (memory (export "memory") PAGES)
  (global $heap (mut i32) (i32.const 65536))
  (global $seen (mut i32) (i32.const 0))
  DATA
  (func $alloc (param $n i32) (result i32)
    (local $p i32) (local $missing i32)
    (local.set $p (global.get $heap))
    (global.set $heap
      (i32.and (i32.add (i32.add (local.get $p) (local.get $n)) (i32.const 7)) (i32.const -8)))
    (local.set $missing (i32.sub
      (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    (local.get $p))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $alloc (local.get 3)))
  (func $recurse (call $recurse) (call $recurse))
  (func $bomb (loop $more
    (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)

  (func (export "weir:filter/filter@0.1.0#describe") (result i32)
    AT_describe
    (i32.const 512))

  (func (export "weir:filter/filter@0.1.0#open") (param $at i32) (param $len i32) (result i32)
    AT_open
    (if (i32.gt_u (local.get $len) (i32.const 2)) (then
      (if (i32.eq (i32.load8_u offset=2 (local.get $at)) (i32.const 114)) (then (return (i32.const 700))))
      (if (i32.eq (i32.load8_u offset=2 (local.get $at)) (i32.const 120)) (then unreachable))))
    (i32.const 600))

  (func (export "weir:filter/filter@0.1.0#begin-source")
    (param i32 i32 i32) (param $pod i32) (param $pod_len i32) (param i32 i32 i32 i32 i32 i32 i32)
    (result i32)
    AT_begin-source
    (if (local.get $pod_len) (then
      (if (i32.eq (i32.load8_u (local.get $pod)) (i32.const 120)) (then unreachable))
      (if (i32.eq (i32.load8_u (local.get $pod)) (i32.const 83)) (then (return (i32.const 1))))))
    (i32.const 0))

  (func (export "weir:filter/filter@0.1.0#process")
    (param $source i32) (param $block i32) (param $block_len i32) (param $starts i32) (param $n i32)
    (param $ends i32) (param $ends_n i32) (param $times i32) (param $times_n i32)
    (param $attrs i32) (param $attrs_n i32) (result i32)
    (local $i i32) (local $b i32) (local $p i32) (local $len i32)
    (local $codes i32) (local $codes_n i32) (local $rends i32) (local $rn i32) (local $rbytes i32)
    (local $rlen i32) (local $ann i32) (local $aends i32) (local $an i32) (local $abytes i32)
    AT_process
    (if (i32.eqz (local.get $n)) (then (local.set $n (local.get $times_n))))
    (if (i32.eqz (local.get $n)) (then (local.set $n (local.get $attrs_n))))
    (global.set $seen (i32.add (global.get $seen) (local.get $n)))
    (local.set $codes (call $alloc (local.get $n)))
    (local.set $codes_n (local.get $n))
    (local.set $rends (call $alloc (i32.shl (local.get $n) (i32.const 2))))
    (local.set $rbytes (call $alloc (local.get $block_len)))
    (local.set $ann (call $alloc (i32.shl (local.get $n) (i32.const 2))))
    (local.set $aends (call $alloc (i32.shl (local.get $n) (i32.const 2))))
    (local.set $abytes (call $alloc (i32.mul (local.get $n) (i32.const 7))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $b (i32.const 107))
      (local.set $len (i32.const 0))
      (if (local.get $ends_n) (then
        (local.set $p (i32.load (i32.add (local.get $starts) (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $len (i32.sub
          (i32.load (i32.add (local.get $ends) (i32.shl (local.get $i) (i32.const 2)))) (local.get $p)))
        (local.set $p (i32.add (local.get $p) (local.get $block)))
        (if (local.get $len) (then (local.set $b (i32.load8_u (local.get $p)))))))
      (i32.store8 (i32.add (local.get $codes) (local.get $i)) (i32.const 0))
      (if (i32.eq (local.get $b) (i32.const 100)) (then ;; d
        (i32.store8 (i32.add (local.get $codes) (local.get $i)) (i32.const 1))))
      (if (i32.eq (local.get $b) (i32.const 115)) (then ;; s
        (i32.store8 (i32.add (local.get $codes) (local.get $i)) (i32.const 3))))
      (if (i32.eq (local.get $b) (i32.const 99)) (then ;; c
        (i32.store8 (i32.add (local.get $codes) (local.get $i)) (i32.const 9))))
      (if (i32.eq (local.get $b) (i32.const 120)) (then unreachable)) ;; x
      (if (i32.eq (local.get $b) (i32.const 108)) (then (loop $ever (br $ever)))) ;; l
      (if (i32.eq (local.get $b) (i32.const 109)) (then (call $bomb))) ;; m
      (if (i32.eq (local.get $b) (i32.const 111)) (then (call $recurse))) ;; o
      (if (i32.eq (local.get $b) (i32.const 101)) (then ;; e
        (i32.store8 (i32.const 1000) (i32.const 1))
        (i32.store (i32.const 1004) (local.get $i))
        (i32.store (i32.const 1008) (i32.const 814))
        (i32.store (i32.const 1012) (i32.const 9))
        (global.set $seen (i32.sub (global.get $seen) (local.get $n)))
        (return (i32.const 1000))))
      (if (i32.eq (local.get $b) (i32.const 110)) (then ;; n
        (local.set $codes_n (i32.add (local.get $n) (i32.const 1)))))
      (if (i32.eq (local.get $b) (i32.const 119)) (then ;; w
        (local.set $rbytes (i32.const 0)) (local.set $rlen (i32.const 0x7fffffff))))
      (if (i32.eq (local.get $b) (i32.const 72)) (then ;; H
        (local.set $rbytes (call $alloc (i32.const 33554432)))
        (local.set $rlen (i32.const 33554432))))
      (if (i32.eq (local.get $b) (i32.const 103)) (then ;; g
        (local.set $rbytes (call $alloc (i32.const 1048576)))
        (local.set $rlen (i32.const 1048576))))
      (if (i32.eq (local.get $b) (i32.const 114)) (then ;; r
        (i32.store8 (i32.add (local.get $codes) (local.get $i)) (i32.const 2))
        (memory.copy (i32.add (local.get $rbytes) (local.get $rlen)) (local.get $p) (local.get $len))
        (i32.store8 (i32.add (local.get $rbytes) (local.get $rlen)) (i32.const 82))
        (local.set $rlen (i32.add (local.get $rlen) (local.get $len)))
        (i32.store (i32.add (local.get $rends) (i32.shl (local.get $rn) (i32.const 2))) (local.get $rlen))
        (local.set $rn (i32.add (local.get $rn) (i32.const 1)))))
      (if (i32.or (i32.eq (local.get $b) (i32.const 97)) (i32.eq (local.get $b) (i32.const 106))) (then ;; a j
        (memory.copy (i32.add (local.get $abytes) (i32.mul (local.get $an) (i32.const 7)))
          (select (i32.const 800) (i32.const 807) (i32.eq (local.get $b) (i32.const 97))) (i32.const 7))
        (i32.store (i32.add (local.get $ann) (i32.shl (local.get $an) (i32.const 2))) (local.get $i))
        (local.set $an (i32.add (local.get $an) (i32.const 1)))
        (i32.store (i32.add (local.get $aends) (i32.shl (i32.sub (local.get $an) (i32.const 1)) (i32.const 2)))
          (i32.mul (local.get $an) (i32.const 7)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (i32.store8 (i32.const 1000) (i32.const 0))
    (i32.store (i32.const 1004) (local.get $codes)) (i32.store (i32.const 1008) (local.get $codes_n))
    (i32.store (i32.const 1012) (local.get $rends)) (i32.store (i32.const 1016) (local.get $rn))
    (i32.store (i32.const 1020) (local.get $rbytes)) (i32.store (i32.const 1024) (local.get $rlen))
    (i32.store (i32.const 1028) (local.get $ann)) (i32.store (i32.const 1032) (local.get $an))
    (i32.store (i32.const 1036) (local.get $aends)) (i32.store (i32.const 1040) (local.get $an))
    (i32.store (i32.const 1044) (local.get $abytes))
    (i32.store (i32.const 1048) (i32.mul (local.get $an) (i32.const 7)))
    (i32.const 1000))
  (func (export "cabi_post_weir:filter/filter@0.1.0#process") (param i32)
    (global.set $heap (i32.const 65536)))

  ;; One record: {"seen":00000000} with the count in eight digits.
  (func (export "weir:filter/filter@0.1.0#finish") (result i32)
    (local $v i32) (local $at i32)
    AT_finish
    (local.set $v (global.get $seen))
    (local.set $at (i32.const 838))
    (loop $digit
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $v) (i32.const 10))))
      (local.set $v (i32.div_u (local.get $v) (i32.const 10)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $digit (i32.gt_u (local.get $at) (i32.const 830))))
    (i32.store8 (i32.const 831) (i32.const 49)) ;; a number must not start with 0
    (i32.store (i32.const 900) (i32.const 908)) (i32.store (i32.const 904) (i32.const 1))
    (i32.store (i32.const 908) (i32.const 823)) (i32.store (i32.const 912) (i32.const 17))
    (i32.const 900))

  ;; 200 lines, each the filter's name.
  (func (export "weir:filter/filter@0.1.0#diagnostics") (result i32)
    (local $i i32) (local $list i32)
    AT_diagnostics
    (local.set $list (call $alloc (i32.const 1600)))
    (loop $more
      (i32.store (i32.add (local.get $list) (i32.shl (local.get $i) (i32.const 3))) (i32.const 2048))
      (i32.store offset=4 (i32.add (local.get $list) (i32.shl (local.get $i) (i32.const 3))) (i32.const 6))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 200))))
    (i32.store (i32.const 900) (local.get $list)) (i32.store (i32.const 904) (i32.const 200))
    (i32.const 900))
)
"#;
