//! WASI 0.1, of core modules.

use weir_adapt::adapt;

use crate::guest::{Check, Guest, module};

const IMPORTS: &str = r#"
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "proc_raise" (func $proc_raise (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
"#;

/// Two buffers of 3 and 5 bytes, at 4096.
const BUFFERS: &str = "(i64.store (i32.const 4096) (i64.const 0x300001400)) \
                       (i64.store (i32.const 4104) (i64.const 0x500001400)) (i32.store (i32.const 4200) (i32.const 77))";

#[test]
fn answers_of_wasi_0_1() {
    let write = format!(
        "{BUFFERS} (i32.and \
         (i32.eqz (call $fd_write (i32.const 2) (i32.const 4096) (i32.const 2) (i32.const 4200))) \
         (i32.eq (i32.load (i32.const 4200)) (i32.const 8)))"
    );
    let read = format!(
        "{BUFFERS} (i32.and \
         (i32.eqz (call $fd_read (i32.const 0) (i32.const 4096) (i32.const 2) (i32.const 4200))) \
         (i32.eqz (i32.load (i32.const 4200))))"
    );
    let checks: Vec<Check> = vec![
        (
            "there are no arguments",
            "(i64.store (i32.const 4096) (i64.const -1))
             (i32.and (i64.eqz (i64.add (i64.extend_i32_u (call $args_sizes_get (i32.const 4096) (i32.const 4100)))
                 (i64.load (i32.const 4096))))
               (i32.eqz (call $args_get (i32.const 4096) (i32.const 4096))))",
        ),
        (
            "there is no environment",
            "(i64.store (i32.const 4096) (i64.const -1))
             (i32.and (i64.eqz (i64.add (i64.extend_i32_u (call $environ_sizes_get (i32.const 4096) (i32.const 4100)))
                 (i64.load (i32.const 4096))))
               (i32.eqz (call $environ_get (i32.const 4096) (i32.const 4096))))",
        ),
        (
            "the clocks stand at one second",
            "(drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 4096)))
             (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 4104)))
             (i32.and (i64.eq (i64.load (i32.const 4096)) (i64.const 1000000000))
               (i64.eq (i64.load (i32.const 4104)) (i64.const 1000000000)))",
        ),
        (
            "their resolution is a nanosecond",
            "(i32.and (i32.eqz (call $clock_res_get (i32.const 0) (i32.const 4096)))
               (i64.eq (i64.load (i32.const 4096)) (i64.const 1)))",
        ),
        (
            "random bytes are all 42",
            "(i64.store (i32.const 4096) (i64.const 0))
             (drop (call $random_get (i32.const 4096) (i32.const 3)))
             (i64.eq (i64.load (i32.const 4096)) (i64.const 0x2a2a2a))",
        ),
        (
            "waiting is over at once",
            "(i64.store (i32.const 4096) (i64.const 7)) (i32.store8 (i32.const 4104) (i32.const 0))
             (i64.store (i32.const 4144) (i64.const 9)) (i32.store8 (i32.const 4152) (i32.const 2))
             (i32.and (i32.and
               (i32.eqz (call $poll_oneoff (i32.const 4096) (i32.const 8192) (i32.const 2) (i32.const 4400)))
               (i32.eq (i32.load (i32.const 4400)) (i32.const 2)))
               (i32.and (i64.eq (i64.load (i32.const 8224)) (i64.const 9))
                 (i32.eq (i32.load (i32.const 8232)) (i32.const 0x20000))))",
        ),
        (
            "nothing to wait for is inval",
            "(i32.eq (call $poll_oneoff (i32.const 4096) (i32.const 8192) (i32.const 0) (i32.const 4400)) (i32.const 28))",
        ),
        ("yielding does nothing", "(i32.eqz (call $sched_yield))"),
        (
            "0 to 2 are open, 3 is not",
            "(i32.and (i32.eqz (i32.or (call $fd_close (i32.const 2)) (call $fd_fdstat_set_flags (i32.const 0) (i32.const 0))))
               (i32.eq (call $fd_close (i32.const 3)) (i32.const 8)))",
        ),
        (
            "2 is a character device that can be written to",
            "(i32.and (i32.eqz (call $fd_fdstat_get (i32.const 2) (i32.const 4096)))
               (i32.and (i32.eq (i32.load (i32.const 4096)) (i32.const 2)) (i64.eq (i64.load (i32.const 4104)) (i64.const 64))))",
        ),
        ("3 has no state", "(i32.eq (call $fd_fdstat_get (i32.const 3) (i32.const 4096)) (i32.const 8))"),
        ("what is written is gone", Box::leak(write.into_boxed_str())),
        ("standard input is at its end", Box::leak(read.into_boxed_str())),
        (
            "standard input can't be written to",
            "(i32.eq (call $fd_write (i32.const 0) (i32.const 4096) (i32.const 0) (i32.const 4200)) (i32.const 8))",
        ),
        (
            "standard output can't be read",
            "(i32.eq (call $fd_read (i32.const 1) (i32.const 4096) (i32.const 0) (i32.const 4200)) (i32.const 8))",
        ),
        ("the end of the program traps", "(call $proc_exit (i32.const 0)) (i32.const 1)"),
        ("a signal traps", "(call $proc_raise (i32.const 9))"),
    ];
    let guest = Guest::load(&adapt(&module(IMPORTS, &checks)).expect("WASI is answered"));
    for (i, (about, _)) in checks.iter().enumerate() {
        if about.ends_with("traps") {
            guest.traps(i, about);
        } else {
            guest.keeps(i, about);
        }
    }
}

/// The rest of WASI 0.1, by the types of its parameters: files, directories, sockets.
const BADF: [(&str, &str); 30] = [
    ("fd_advise", "i32 i64 i64 i32"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_datasync", "i32"),
    ("fd_fdstat_set_rights", "i32 i64 i64"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_pread", "i32 i32 i32 i64 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_prestat_dir_name", "i32 i32 i32"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_readdir", "i32 i32 i32 i64 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_sync", "i32"),
    ("fd_tell", "i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_readlink", "i32 i32 i32 i32 i32 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("sock_accept", "i32 i32 i32"),
    ("sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("sock_send", "i32 i32 i32 i32 i32"),
    ("sock_shutdown", "i32 i32"),
];

#[test]
fn files_directories_and_sockets_are_badf() {
    let mut imports = String::new();
    let mut checks: Vec<Check> = Vec::new();
    for (name, params) in BADF {
        imports.push_str(&format!(
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {params}) (result i32)))\n"
        ));
        // Descriptor 3 is where preopened directories begin.
        let arguments: String = params
            .split(' ')
            .enumerate()
            .map(|(i, ty)| format!(" ({ty}.const {})", if i == 0 { 3 } else { 4096 }))
            .collect();
        let check = format!("(i32.eq (call ${name}{arguments}) (i32.const 8))");
        checks.push((name, Box::leak(check.into_boxed_str())));
    }
    let guest = Guest::load(&adapt(&module(&imports, &checks)).expect("WASI is answered"));
    for (i, (name, _)) in checks.iter().enumerate() {
        guest.keeps(i, name);
    }
}
