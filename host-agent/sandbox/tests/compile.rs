//! Compiling in a child process: this program is its own child, so it has a `main` of its own.

#[path = "sandbox/bombs.rs"]
#[allow(dead_code, reason = "whole queries use the rest")]
mod bombs;
#[path = "sandbox/guests.rs"]
#[allow(dead_code, reason = "the sandbox's own tests use more of it")]
mod guests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use weir_sandbox::{
    CompileError, Compiler, FilterLimits, LoadError, Sandbox, SandboxConfig, SandboxLimits, Verdicts,
    compile_child_main,
};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("compile") => return compile_child_main(),
        Some("sleep") => loop {
            std::thread::park();
        },
        Some("flood") => return flood(),
        Some("environment") => {
            eprintln!("{:?}", std::env::vars_os().map(|(name, _)| name).collect::<Vec<_>>());
            return ExitCode::from(7);
        }
        Some("tell-and-sleep") => return tell_and_sleep(),
        Some("load") => return load_as_another_process(),
        Some("full-disk") => return load_onto_a_full_disk(),
        // Whatever a test runner passes.
        _ => {}
    }
    a_child_compiles_and_the_result_is_kept();
    several_threads_make_the_same_as_one();
    bombs_end_at_the_limits_of_the_child();
    one_too_many_in_the_queue_is_refused();
    processes_share_a_cache();
    a_full_disk_stops_no_filter();
    a_child_over_a_limit_ends_and_the_limit_is_named();
    a_child_gets_an_empty_environment();
    a_child_that_is_another_program_is_told();
    println!("9 passed, 0 failed");
    ExitCode::SUCCESS
}

fn flood() -> ExitCode {
    use std::io::Write;
    let chunk = vec![0; 1 << 16];
    loop {
        if std::io::stdout().write_all(&chunk).is_err() {
            return ExitCode::FAILURE;
        }
    }
}

fn sandbox(argument: &str, limits: SandboxLimits, cache_dir: Option<std::path::PathBuf>) -> Sandbox {
    let program = std::env::current_exe().expect("this program has a path");
    let compiler = Compiler::Child { program, args: vec![OsString::from(argument)] };
    Sandbox::new(SandboxConfig { compiler, cache_dir, limits }).expect("the cache is ours")
}

fn load_error(argument: &str, limits: SandboxLimits) -> CompileError {
    match sandbox(argument, limits, None).load(&guests::Puppet::default().build()) {
        Err(LoadError::Compile { digest, source }) => {
            assert!(digest.starts_with("sha256:"));
            source
        }
        other => panic!("{argument}: {other:?}"),
    }
}

fn a_child_compiles_and_the_result_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let component = guests::Puppet::default().build();
    for cached in [false, true] {
        let sandbox = sandbox("compile", SandboxLimits::default(), Some(dir.path().join("cache")));
        let filter = sandbox.load(&component).expect("compiles");
        assert_eq!(filter.compile().cached, cached);
        use_filter(&sandbox);
    }
    let sandbox = sandbox("compile", SandboxLimits::default(), None);
    assert!(!sandbox.load(&component).expect("compiles into memory").compile().cached);
}

/// A child compiles by several threads; this process by one.
fn several_threads_make_the_same_as_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let component = guests::Puppet::default().build();
    let made = |name: &str, sandbox: &dyn Fn(PathBuf) -> Sandbox| {
        let cache = dir.path().join(name);
        sandbox(cache.clone()).load(&component).expect("compiles");
        let [entry] = &entries(&cache)[..] else { panic!("{:?}", entries(&cache)) };
        (entry.file_name().expect("a name").to_owned(), std::fs::read(entry).expect("the entry"))
    };
    let by_child = made("child", &|cache| sandbox("compile", SandboxLimits::default(), Some(cache)));
    let by_itself = made("itself", &|cache| {
        let (compiler, limits) = (Compiler::InProcess, SandboxLimits::default());
        Sandbox::new(SandboxConfig { compiler, cache_dir: Some(cache), limits }).expect("the cache is ours")
    });
    assert_eq!(by_child.0, by_itself.0);
    assert!(by_child.1 == by_itself.1, "{} and {} bytes", by_child.1.len(), by_itself.1.len());
}

fn a_child_over_a_limit_ends_and_the_limit_is_named() {
    let limits = SandboxLimits { compile_memory_bytes: 1 << 20, ..SandboxLimits::default() };
    let error = load_error("compile", limits);
    assert!(matches!(error, CompileError::Memory(_)), "{error}");

    let limits = SandboxLimits { compile_seconds: 0, ..SandboxLimits::default() };
    let error = load_error("sleep", limits);
    assert!(matches!(error, CompileError::Time(0)), "{error}");
    assert!(error.to_string().contains("compile_seconds"), "{error}");

    for argument in ["compile", "flood"] {
        let limits = SandboxLimits { artifact_bytes: 1000, ..SandboxLimits::default() };
        let error = load_error(argument, limits);
        assert!(matches!(error, CompileError::ArtifactTooLarge(1000) | CompileError::Refused(_)), "{error}");
    }
}

fn bombs_end_at_the_limits_of_the_child() {
    let limits = SandboxLimits {
        compile_seconds: 2,
        compile_memory_bytes: 256 << 20,
        component_bytes: 16 << 20,
        ..SandboxLimits::default()
    };
    for bomb in bombs::slow() {
        let started = Instant::now();
        let sandbox = sandbox("compile", limits.clone(), None);
        let error = sandbox.load(&bomb.component).expect_err(bomb.name).to_string();
        assert!(error.contains(bomb.told), "{}: {error}", bomb.name);
        assert!(started.elapsed() < Duration::from_secs(60), "{}", bomb.name);
    }
}

/// A child that says that it runs, by a file, and then never ends.
fn tell_and_sleep() -> ExitCode {
    let path = std::env::args().nth(2).expect("a path");
    std::fs::write(path, "").expect("written");
    loop {
        std::thread::park();
    }
}

fn one_too_many_in_the_queue_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = dir.path().join("told");
    let program = std::env::current_exe().expect("this program has a path");
    let compiler = Compiler::Child { program, args: vec!["tell-and-sleep".into(), told.clone().into()] };
    // No CPU time at all, so a second of wall time.
    let limits = SandboxLimits { compile_queue: 0, compile_seconds: 0, ..SandboxLimits::default() };
    let sandbox = Sandbox::new(SandboxConfig { compiler, cache_dir: None, limits }).expect("no cache");
    let component = guests::Puppet::default().build();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| sandbox.load(&component));
        becomes(|| told.exists());
        match sandbox.load(&component) {
            Err(error @ LoadError::Busy { limit: 0 }) => {
                assert!(error.to_string().contains("compile_queue"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        let error = first.join().expect("no panic").expect_err("it was killed").to_string();
        assert!(error.contains("compile_seconds"), "{error}");
    });
}

fn becomes(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it never comes");
        std::thread::yield_now();
    }
}

/// Loads the puppet with a cache in the named directory and uses it.
fn load_as_another_process() -> ExitCode {
    let cache = std::env::args().nth(2).expect("a path");
    use_filter(&sandbox("compile", SandboxLimits::default(), Some(cache.into())));
    ExitCode::SUCCESS
}

fn use_filter(sandbox: &Sandbox) {
    let filter = sandbox.load(&guests::Puppet::default().build()).expect("compiles");
    let mut session = filter.open("{}", &FilterLimits::default()).expect("opens").session();
    let batch =
        weir_sandbox::Batch { block: b"rest", starts: &[0], ends: &[4], timestamps: &[0], attrs: &[0] };
    let mut out = Verdicts::new();
    session.process(0, &batch, &mut out);
    assert_eq!(out.bytes(0..4), b"Rest");
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn processes_share_a_cache() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().join("cache");
    let program = std::env::current_exe().expect("this program has a path");
    for round in 0..3 {
        let start = || Command::new(&program).arg("load").arg(&cache).spawn().expect("it starts");
        let children: Vec<_> = (0..4).map(|_| start()).collect();
        for mut child in children {
            assert!(child.wait().expect("our child").success(), "round {round}");
        }
        let [entry] = &entries(&cache)[..] else { panic!("{:?}", entries(&cache)) };
        // The next round finds it damaged, and all of its processes make it anew.
        let mut bytes = std::fs::read(entry).expect("the entry");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(entry, bytes).expect("written");
    }
}

fn a_full_disk_stops_no_filter() {
    let program = std::env::current_exe().expect("this program has a path");
    let dir = tempfile::tempdir().expect("a directory");
    let status = Command::new(program).arg("full-disk").arg(dir.path()).status().expect("it starts");
    assert!(status.success(), "{status}");
}

/// In a mount namespace of its own, where a directory has room for less than one compiled filter.
fn load_onto_a_full_disk() -> ExitCode {
    let dir = PathBuf::from(std::env::args_os().nth(2).expect("a path"));
    let user =
        if rustix::process::geteuid().is_root() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    if let Err(error) = unshare(user | CloneFlags::CLONE_NEWNS) {
        println!("skipped: a full disk, since no mount namespace can be made here ({error})");
        return ExitCode::SUCCESS;
    }
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=16k,mode=0700"))
        .expect("a small disk");
    use_filter(&sandbox("compile", SandboxLimits::default(), Some(dir.clone())));
    assert!(entries(&dir).is_empty(), "nothing half written stays: {:?}", entries(&dir));
    ExitCode::SUCCESS
}

fn a_child_gets_an_empty_environment() {
    match load_error("environment", SandboxLimits::default()) {
        CompileError::Child { status, stderr } => {
            assert_eq!(status.code(), Some(7));
            let expected =
                ["WEIR_COMPILE_ARTIFACT_BYTES", "WEIR_COMPILE_MEMORY_BYTES", "WEIR_COMPILE_SECONDS"];
            assert!(expected.iter().all(|name| stderr.contains(name)), "{stderr}");
            assert_eq!(stderr.matches('"').count(), 6, "{stderr}");
        }
        other => panic!("{other}"),
    }
}

fn a_child_that_is_another_program_is_told() {
    let compile = |program: &str| {
        let compiler = Compiler::Child { program: program.into(), args: Vec::new() };
        let config = SandboxConfig { compiler, cache_dir: None, limits: SandboxLimits::default() };
        let sandbox = Sandbox::new(config).expect("no cache to fail on");
        sandbox.load(&guests::Puppet::default().build()).expect_err("nothing was compiled").to_string()
    };
    assert!(compile("/nonexistent/weir-agent").contains("/nonexistent/weir-agent"));
    assert!(compile("/bin/true").contains("is it the same program?"));
}
