//! Components made to harm whoever loads them: each is refused, with words that say why.

use crate::guests::Puppet;

/// A component that must not become a filter.
pub(crate) struct Bomb {
    pub(crate) name: &'static str,
    pub(crate) component: Vec<u8>,
    /// Words of the error.
    pub(crate) told: &'static str,
}

/// Text for a puppet, which lives as long as the test.
fn text(text: String) -> &'static str {
    text.leak()
}

const LOOP: &str = "(loop $ever (br $ever))";

/// Bombs that are told before a compiler sees them, or when they describe themselves. Quick to load.
pub(crate) fn quick() -> Vec<Bomb> {
    let whole = Puppet::default().build();
    let wat = |text: &str| wat::parse_str(text).expect("valid text");
    let puppet = |name, puppet: Puppet, told| Bomb { name, component: puppet.build(), told };
    let raw = |name, component, told| Bomb { name, component, told };
    let export = |name| Puppet { prologue: vec![(name, LOOP)], ..Puppet::default() };
    vec![
        raw("nothing", Vec::new(), "this is not WebAssembly"),
        raw("garbage", b"GIF89a, and more".to_vec(), "this is not WebAssembly"),
        raw("garbage with a component's header", b"\0asm\x0d\0\x01\0garbage".to_vec(), "is not valid"),
        raw("the first half of a component", whole[..whole.len() / 2].to_vec(), "is not valid"),
        raw("all but the last byte of a component", whole[..whole.len() - 1].to_vec(), "is not valid"),
        raw("a core module", wat("(module)"), "a core module"),
        raw(
            "an import of WASI",
            wat(r#"(component (import "wasi:cli/environment@0.2.0" (instance
                (export "get-environment" (func (result (list (tuple string string))))))))"#),
            "may import nothing but types",
        ),
        raw("5 MiB of nothing in particular", too_large(), "component_bytes"),
        raw("types nested 10,000 deep", nested_types(), "is not valid"),
        raw("a type that is 2 to the 60th in size", doubled_types(), "is not valid"),
        puppet(
            "4 GiB of memory to begin with",
            Puppet { pages: 65_536, ..Puppet::default() },
            "memory_bytes",
        ),
        puppet(
            "a data segment beyond the memory",
            Puppet { extra: "(data (i32.const 100000000) \"x\")", ..Puppet::default() },
            "out of bounds",
        ),
        puppet(
            "a start function that loops",
            Puppet { extra: "(func $spin (loop $ever (br $ever))) (start $spin)", ..Puppet::default() },
            "setup_ms",
        ),
        puppet(
            "a start function that traps",
            Puppet { extra: "(func $trap unreachable) (start $trap)", ..Puppet::default() },
            "unreachable",
        ),
        puppet("describe loops", export("describe"), "setup_ms"),
        puppet(
            "describe recurses",
            Puppet { prologue: vec![("describe", "(call $recurse)")], ..Puppet::default() },
            "stack",
        ),
        puppet(
            "describe takes all memory",
            Puppet { prologue: vec![("describe", "(call $bomb)")], ..Puppet::default() },
            "memory_bytes",
        ),
        puppet(
            "a schema of 70,000 bytes",
            Puppet {
                schema: text(format!("{{\"a\":\"{}\"}}", "x".repeat(70_000))),
                pages: 4,
                ..Puppet::default()
            },
            "schema_bytes",
        ),
        puppet(
            "a schema nested 10,000 deep",
            Puppet {
                schema: text(format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))),
                pages: 4,
                ..Puppet::default()
            },
            "params-schema",
        ),
        puppet("open loops", export("open"), "setup_ms"),
        puppet(
            "a prefilter that is a million repetitions",
            Puppet { prefilter: Some("(?:a{1000}){1000}"), ..Puppet::default() },
            "prefilter",
        ),
        puppet(
            "a prefilter that is nested 20,000 deep",
            Puppet {
                prefilter: Some(text(format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000)))),
                pages: 4,
                ..Puppet::default()
            },
            "prefilter",
        ),
        puppet(
            "a prefilter of 70,000 bytes",
            Puppet { prefilter: Some(text("a".repeat(70_000))), pages: 4, ..Puppet::default() },
            "prefilter_bytes",
        ),
        puppet(
            "a prefilter of all letters, many times",
            Puppet { prefilter: Some(r"\w{200}\pL{200}"), ..Puppet::default() },
            "prefilter",
        ),
    ]
}

/// Bombs that only the limits of the compiling child end.
pub(crate) fn slow() -> Vec<Bomb> {
    vec![
        Bomb {
            name: "100,000 functions",
            component: Puppet { extra: text(functions(100_000)), ..Puppet::default() }.build(),
            told: "compile_",
        },
        Bomb {
            name: "one function of a million instructions",
            component: Puppet { extra: text(one_function(700_000)), ..Puppet::default() }.build(),
            told: "compile_",
        },
    ]
}

fn too_large() -> Vec<u8> {
    let data = format!("(data \"{}\")", "x".repeat(5 << 20));
    wat::parse_str(format!("(component (core module {data}))")).expect("valid text")
}

fn nested_types() -> Vec<u8> {
    let mut text = String::from("(component (type $t0 (list u8))");
    for level in 1..10_000 {
        text.push_str(&format!("(type $t{level} (list $t{}))", level - 1));
    }
    text.push(')');
    wat::parse_str(text).expect("valid text")
}

fn doubled_types() -> Vec<u8> {
    let mut text = String::from("(component (type $t0 (tuple u8 u8))");
    for level in 1..60 {
        text.push_str(&format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1));
    }
    text.push(')');
    wat::parse_str(text).expect("valid text")
}

fn functions(count: usize) -> String {
    let body = "(param i32) (result i32) (i32.mul (i32.add (local.get 0) (i32.const 7)) (local.get 0))";
    format!("(func {body})").repeat(count)
}

fn one_function(instructions: usize) -> String {
    let body = "(local.set 0 (i32.add (local.get 0) (i32.load (local.get 0))))".repeat(instructions / 4);
    format!("(func (param i32) {body})")
}
