//! Compiling in a child process: this program is its own child, so it has a `main` of its own.

#[path = "sandbox/guests.rs"]
mod guests;

use std::ffi::OsString;
use std::process::ExitCode;

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
        // Whatever a test runner passes.
        _ => {}
    }
    a_child_compiles_and_the_result_is_kept();
    a_child_over_a_limit_ends_and_the_limit_is_named();
    a_child_gets_an_empty_environment();
    a_child_that_is_another_program_is_told();
    println!("4 passed");
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
        let mut session = filter.open("{}", &FilterLimits::default()).expect("opens").session();
        let batch =
            weir_sandbox::Batch { block: b"rest", starts: &[0], ends: &[4], timestamps: &[0], attrs: &[0] };
        let mut out = Verdicts::new();
        session.process(0, &batch, &mut out);
        assert_eq!(out.bytes(0..4), b"Rest");
    }
    let sandbox = sandbox("compile", SandboxLimits::default(), None);
    assert!(!sandbox.load(&component).expect("compiles into memory").compile().cached);
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
