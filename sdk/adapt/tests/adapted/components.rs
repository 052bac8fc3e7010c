//! WASI 0.2, of components: a part of each interface, in a version that nobody has heard of.

use weir_adapt::{AdaptError, adapt};

use crate::guest::{Check, Guest, component};

const WIT: &str = r#"
package wasi:io@0.2.77 {
    interface error { resource error { to-debug-string: func() -> string; } }
    interface poll {
        resource pollable { ready: func() -> bool; block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }
    interface streams {
        use error.{error};
        use poll.{pollable};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream { read: func(len: u64) -> result<list<u8>, stream-error>; }
        resource output-stream {
            check-write: func() -> result<u64, stream-error>;
            write: func(contents: list<u8>) -> result<_, stream-error>;
            subscribe: func() -> pollable;
        }
    }
}
package wasi:clocks@0.2.77 {
    interface monotonic-clock { now: func() -> u64; resolution: func() -> u64; }
    interface wall-clock {
        record datetime { seconds: u64, nanoseconds: u32 }
        now: func() -> datetime;
        resolution: func() -> datetime;
    }
}
package wasi:random@0.2.77 {
    interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
    interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
}
package wasi:cli@0.2.77 {
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        initial-cwd: func() -> option<string>;
    }
    interface exit { exit: func(status: result); }
    interface stdin { use wasi:io/streams@0.2.77.{input-stream}; get-stdin: func() -> input-stream; }
    interface stdout { use wasi:io/streams@0.2.77.{output-stream}; get-stdout: func() -> output-stream; }
}
package wasi:filesystem@0.2.77 {
    interface types { resource descriptor { is-it: func() -> bool; } }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:sockets@0.2.77 {
    interface network { resource network; enum error-code { unknown, access-denied, not-supported } }
    interface instance-network { use network.{network}; instance-network: func() -> network; }
    interface tcp {
        use network.{error-code};
        resource socket;
        create: func() -> result<socket, error-code>;
        listen: func(backlog: u64) -> result<u64, error-code>;
        describe: func() -> string;
    }
}
"#;

const INTERFACES: [&str; 13] = [
    "wasi:io/poll@0.2.77",
    "wasi:io/streams@0.2.77",
    "wasi:clocks/monotonic-clock@0.2.77",
    "wasi:clocks/wall-clock@0.2.77",
    "wasi:random/random@0.2.77",
    "wasi:random/insecure-seed@0.2.77",
    "wasi:cli/environment@0.2.77",
    "wasi:cli/exit@0.2.77",
    "wasi:cli/stdin@0.2.77",
    "wasi:cli/stdout@0.2.77",
    "wasi:filesystem/preopens@0.2.77",
    "wasi:sockets/instance-network@0.2.77",
    "wasi:sockets/tcp@0.2.77",
];

const IMPORTS: &str = r#"
  (import "wasi:io/poll@0.2.77" "[method]pollable.ready" (func $ready (param i32) (result i32)))
  (import "wasi:io/poll@0.2.77" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.77" "poll" (func $poll (param i32 i32 i32)))
  (import "wasi:io/streams@0.2.77" "[method]input-stream.read" (func $read (param i32 i64 i32)))
  (import "wasi:io/streams@0.2.77" "[method]output-stream.check-write" (func $check_write (param i32 i32)))
  (import "wasi:io/streams@0.2.77" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.77" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
  (import "wasi:clocks/monotonic-clock@0.2.77" "now" (func $monotonic (result i64)))
  (import "wasi:clocks/monotonic-clock@0.2.77" "resolution" (func $monotonic_resolution (result i64)))
  (import "wasi:clocks/wall-clock@0.2.77" "now" (func $wall (param i32)))
  (import "wasi:clocks/wall-clock@0.2.77" "resolution" (func $wall_resolution (param i32)))
  (import "wasi:random/random@0.2.77" "get-random-bytes" (func $random (param i64 i32)))
  (import "wasi:random/random@0.2.77" "get-random-u64" (func $random_number (result i64)))
  (import "wasi:random/insecure-seed@0.2.77" "insecure-seed" (func $seed (param i32)))
  (import "wasi:cli/environment@0.2.77" "get-environment" (func $environment (param i32)))
  (import "wasi:cli/environment@0.2.77" "initial-cwd" (func $cwd (param i32)))
  (import "wasi:cli/exit@0.2.77" "exit" (func $exit (param i32)))
  (import "wasi:cli/stdin@0.2.77" "get-stdin" (func $stdin (result i32)))
  (import "wasi:cli/stdout@0.2.77" "get-stdout" (func $stdout (result i32)))
  (import "wasi:filesystem/preopens@0.2.77" "get-directories" (func $directories (param i32)))
  (import "wasi:sockets/instance-network@0.2.77" "instance-network" (func $network (result i32)))
  (import "wasi:sockets/network@0.2.77" "[resource-drop]network" (func $drop_network (param i32)))
  (import "wasi:sockets/tcp@0.2.77" "create" (func $create (param i32)))
  (import "wasi:sockets/tcp@0.2.77" "listen" (func $listen (param i64 i32)))
  (import "wasi:sockets/tcp@0.2.77" "describe" (func $describe (param i32)))
"#;

/// Each begins with bytes from 4096 on that aren't zero.
const CHECKS: &[Check] = &[
    ("the monotonic clock stands at one second", "(i64.eq (call $monotonic) (i64.const 1000000000))"),
    ("its resolution is a nanosecond", "(i64.eq (call $monotonic_resolution) (i64.const 1))"),
    (
        "the wall clock stands at one second",
        "(call $wall (i32.const 4096))
         (i32.and (i64.eq (i64.load (i32.const 4096)) (i64.const 1)) (i32.eqz (i32.load (i32.const 4104))))",
    ),
    (
        "its resolution is a nanosecond too",
        "(call $wall_resolution (i32.const 4096))
         (i32.and (i64.eqz (i64.load (i32.const 4096))) (i32.eq (i32.load (i32.const 4104)) (i32.const 1)))",
    ),
    (
        "random bytes are all 42, however many",
        "(call $random (i64.const 30000) (i32.const 4096))
         (i32.and (i32.eq (i32.load (i32.const 4100)) (i32.const 30000))
           (i64.eq (i64.load (i32.add (i32.load (i32.const 4096)) (i32.const 29992))) (i64.const 0x2a2a2a2a2a2a2a2a)))",
    ),
    ("and so are numbers", "(i64.eq (call $random_number) (i64.const 0x2a2a2a2a2a2a2a2a))"),
    (
        "and seeds",
        "(call $seed (i32.const 4096)) (i64.eq (i64.load (i32.const 4104)) (i64.const 0x2a2a2a2a2a2a2a2a))",
    ),
    ("there is no environment", "(call $environment (i32.const 4096)) (i32.eqz (i32.load (i32.const 4100)))"),
    ("there is no current directory", "(call $cwd (i32.const 4096)) (i32.eqz (i32.load8_u (i32.const 4096)))"),
    ("no directory is open", "(call $directories (i32.const 4096)) (i32.eqz (i32.load (i32.const 4100)))"),
    (
        "what is written is gone",
        "(local $out i32) (local.set $out (call $stdout))
         (call $check_write (local.get $out) (i32.const 4096))
         (call $write (local.get $out) (i32.const 0) (i32.const 5) (i32.const 5000))
         (i32.and (i64.eq (i64.load (i32.const 4104)) (i64.const 0x100000))
           (i32.eqz (i32.or (i32.load8_u (i32.const 4096)) (i32.load8_u (i32.const 5000)))))",
    ),
    (
        // `err(closed)`: the payload begins at 4, since the other one is a list.
        "standard input is at its end",
        "(call $read (call $stdin) (i64.const 10) (i32.const 4096))
         (i32.and (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 4100)) (i32.const 1)))",
    ),
    (
        "waiting is over at once",
        "(local $pollable i32) (local.set $pollable (call $subscribe (call $stdout)))
         (call $block (local.get $pollable))
         (i32.store (i32.const 5000) (local.get $pollable))
         (i32.store (i32.const 5004) (call $subscribe (call $stdout)))
         (call $poll (i32.const 5000) (i32.const 2) (i32.const 4096))
         (i32.and (i32.and (call $ready (local.get $pollable)) (i32.eq (i32.load (i32.const 4100)) (i32.const 2)))
           (i64.eq (i64.load (i32.load (i32.const 4096))) (i64.const 0x100000000)))",
    ),
    ("a resource can be had and dropped", "(call $drop_network (call $network)) (i32.const 1)"),
    (
        "a socket is not supported",
        "(call $create (i32.const 4096))
         (i32.and (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 4100)) (i32.const 2)))",
    ),
    (
        // The payload begins at 8, since the other one is a 64-bit number.
        "nor is what would be a number",
        "(call $listen (i64.const 1) (i32.const 4096))
         (i32.and (i32.eq (i32.load8_u (i32.const 4096)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 4104)) (i32.const 2)))",
    ),
    ("what can't fail otherwise traps", "(call $describe (i32.const 4096)) (i32.const 1)"),
    ("the end of the program traps", "(call $exit (i32.const 0)) (i32.const 1)"),
];

#[test]
fn answers_of_wasi_0_2() {
    let adapted =
        adapt(&component(WIT, &INTERFACES, IMPORTS, CHECKS)).expect("WASI is answered").into_owned();
    let guest = Guest::load(&adapted);
    for (i, (about, _)) in CHECKS.iter().enumerate() {
        if about.ends_with("traps") {
            guest.traps(i, about);
        } else {
            guest.keeps(i, about);
        }
    }
    assert_eq!(adapt(&adapted).expect("a filter"), adapted, "what is adapted stays as it is");
}

#[test]
fn what_waits_is_refused_by_its_name() {
    let wit =
        "package wasi:clocks@0.3.0 { interface monotonic-clock { wait-for: async func(how-long: u64); } }";
    let import = r#"(import "wasi:clocks/monotonic-clock@0.3.0" "wait-for" (func (param i64)))"#;
    let interface = "wasi:clocks/monotonic-clock@0.3.0";
    let wasm = component(wit, &[interface], import, &[("", "(i32.const 1)")]);
    let error = adapt(&wasm).expect_err("it waits");
    assert!(
        matches!(&error, AdaptError::Asynchronous { name } if *name == format!("{interface}#wait-for")),
        "{error}"
    );
}
