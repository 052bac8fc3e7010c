//! The same flags and the same output through a real agent.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::{Pid, Signal};

use crate::guests::Puppet;
use crate::program::{Weir, weir};
use crate::sample::Tree;

/// Where agents keep compiled filters, all the same.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/agent-cache");

/// A running agent. It ends with the test.
pub(crate) struct Agent {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Agent {
    pub(crate) fn start(tree: &Tree, flags: &[&str]) -> Agent {
        let mut log = tempfile::tempfile().expect("a file for the agent's log");
        let mut child = Command::new(program())
            .args(["serve", "--health-listen", "127.0.0.1:0", "--logs-dir", tree.arg()])
            .args(if flags.contains(&"--cache-dir") { &[][..] } else { &["--cache-dir", CACHE] })
            .args(if flags.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("one more handle"))
            .spawn()
            .expect("the agent starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the agent says where it listens");
        let Some(address) = line.split_whitespace().find_map(|word| word.strip_prefix("grpc=")) else {
            let mut said = String::new();
            log.rewind().and_then(|()| log.read_to_string(&mut said)).expect("the agent's log");
            panic!("the agent doesn't serve: {said}");
        };
        Agent { child, address: address.to_owned(), _stdout: stdout }
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("our child");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().expect("the agent can be ended");
        self.child.wait().expect("the agent ends");
    }
}

/// The agent's program beside `weir`. A test of the whole workspace has built it; a test of this package alone
/// builds it here, once: later changes to the agent need a build of their own.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
        let folder = weir.parent().expect("a program is in a folder");
        let program = folder.join("weir-agent");
        if program.is_file() {
            return program;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "weir-agent", "--bin", "weir-agent", "--manifest-path"]);
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        cargo.arg("--target-dir").arg(folder.parent().expect("a profile's folder is in the target folder"));
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "the agent can be built");
        program
    })
}

/// Every kind of question, without times that move.
const QUESTIONS: &[&[&str]] = &[
    &["--tail", "5"],
    &["--all", "-o", "raw"],
    &["--all", "-o", "jsonl", "--reverse"],
    &["-e", "error", "-C", "2", "--head", "4"],
    &["-i", "-e", "ERROR", "--not", "u11", "-o", "jsonl"],
    &[
        "--since",
        "2026-11-24T10:10:00Z",
        "--until",
        "2026-11-24T10:20:00Z",
        "--columns",
        "time,pod,restart,message",
    ],
    &["--count", "-e", "info"],
    &["--count", "--per-source", "-o", "jsonl"],
    &["--histogram", "7m", "--per-source"],
    &["--histogram", "10m", "-o", "jsonl", "-e", "error"],
    &["--filter", "json-match:where=level == \"error\"", "--filter", "redact", "--tail", "7"],
    &["--filter", "project:template=n={n}", "-o", "raw", "--head", "3"],
    &["--all", "--line-bytes", "10"],
];

#[test]
fn an_agent_gives_the_same_bytes() {
    let tree = Tree::sample();
    let agent = Agent::start(&tree, &[]);
    let url = format!("http://{}", agent.address);
    for question in QUESTIONS {
        let local = weir(&[&["logs", "--dir", tree.arg()], *question].concat()).exits(0);
        let remote = weir(&[&["logs", "--agent", &url], *question].concat()).exits(0);
        assert!(!local.bytes().is_empty(), "{question:?}");
        assert_eq!(
            String::from_utf8_lossy(remote.bytes()),
            String::from_utf8_lossy(local.bytes()),
            "{question:?}"
        );
    }
    for listing in [&["sources"][..], &["sources", "-o", "jsonl", "shop:"]] {
        let local = weir(&[listing, &["--dir", tree.arg()]].concat()).exits(0);
        let remote = weir(&[listing, &["--agent", &url]].concat()).exits(0);
        assert_eq!(remote.stdout(), local.stdout());
    }
    let local = weir(&["filters", "-o", "jsonl"]).exits(0);
    assert_eq!(weir(&["filters", "-o", "jsonl", "--agent", &url]).exits(0).stdout(), local.stdout());
    assert_eq!(
        weir(&["filters", "redact", "--agent", &url]).exits(0).stdout(),
        weir(&["filters", "redact"]).exits(0).stdout()
    );
}

#[test]
fn exit_codes_are_the_same() {
    let tree = Tree::sample();
    tree.write("shop_bad-0_u/app/0.log.20261124-100000.gz", b"\x1f\x8b\x08\0 this is no gzip");
    let agent = Agent::start(&tree, &[]);
    let url = format!("http://{}", agent.address);
    for (question, code) in [
        (&["-q", "-e", "error"][..], 0),
        (&["-q", "-e", "no such text", "ops:"], 1),
        (&["-e", "(unclosed"], 2),
        (&["nowhere:"], 2),
        (&["--filter", "no-such-filter"], 2),
        (&["--filter", "json-match:where=level =="], 2),
        (&["--all"], 3),
    ] {
        let local = weir(&[&["logs", "--dir", tree.arg()], question].concat()).exits(code);
        let remote = weir(&[&["logs", "--agent", &url], question].concat()).exits(code);
        assert_eq!(remote.bytes(), local.bytes(), "{question:?}");
        if code == 2 {
            assert_eq!(remote.stderr(), local.stderr(), "{question:?}");
        }
    }
}

#[test]
fn over_a_unix_socket() {
    let tree = Tree::sample();
    let socket = tempfile::tempdir().expect("a folder for temporary files");
    let path = socket.path().join("weir.sock");
    let path = path.to_str().expect("a plain path");
    let _agent = Agent::start(&tree, &["--listen", &format!("unix:{path}")]);
    let url = format!("unix://{path}");
    let remote = Weir::new(["logs", "-e", "error"]).env("WEIR_AGENT", &url).run().exits(0);
    let local = weir(&["logs", "--dir", tree.arg(), "-e", "error"]).exits(0);
    assert_eq!(remote.stdout(), local.stdout());
    // What the command line names comes before the environment.
    let elsewhere = Tree::new();
    let args = ["sources", "--dir", elsewhere.arg()];
    Weir::new(args).env("WEIR_AGENT", &url).run().exits(0).says(&["no logs"]);
}

/// An agent runs its own filters only, unless its config says otherwise.
#[test]
fn components_of_ones_own() {
    let tree = Tree::sample();
    let redact = weir_filters::get("redact").expect("it ships with Weir");
    let path = tree.write("mine.wasm", redact.component());
    let path = path.to_str().expect("a plain path");
    let ask = |agent: &Agent| {
        let url = format!("http://{}", agent.address);
        weir(&["logs", "--agent", &url, "--tail", "1", "--filter", path])
    };
    ask(&Agent::start(&tree, &[])).exits(2).says(&[path, "allow"]);
    let outcome = ask(&Agent::start(&tree, &["--allow-components"])).exits(0);
    assert!(outcome.stdout().contains("[REDACTED:email]"), "{}", outcome.stdout());
    // What is refused of an upload names the filter, as it was typed.
    let junk = tree.write("junk.wasm", "junk");
    let junk = junk.to_str().expect("a plain path");
    let agent = Agent::start(&tree, &["--allow-components"]);
    let url = format!("http://{}", agent.address);
    let refused = weir(&["logs", "--agent", &url, "--tail", "1", "--filter", "redact", "--filter", junk]);
    refused.exits(2).says(&[&format!("filters[1] ({junk}): this is not WebAssembly")]);
}

/// Filters from an agent's folder are listed with what became of their files, and can be named.
#[test]
fn a_folder_of_filters() {
    let tree = Tree::sample();
    let filters = Tree::new();
    filters.write("puppet.wasm", Puppet::default().build());
    filters.write("broken.wasm", b"GIF89a");
    let agent = Agent::start(&tree, &["--filters-folder", filters.arg()]);
    let url = format!("http://{}", agent.address);
    let listed = weir(&["filters", "--agent", &url]).exits(0);
    let listed = listed.stdout();
    let line = |begins: &str| {
        let line = listed.lines().find(|line| line.starts_with(begins));
        line.unwrap_or_else(|| panic!("{begins} in\n{listed}")).to_owned()
    };
    assert!(line("puppet ").contains("1.2.3") && line("puppet ").contains("puppet.wasm"), "{listed}");
    assert!(line("redact ").contains(" weir "), "{listed}");
    assert!(line("puppet.wasm").contains("loaded"), "{listed}");
    assert!(
        line("broken.wasm").contains("refused") && line("broken.wasm").contains("not WebAssembly"),
        "{listed}"
    );
    let objects = weir(&["filters", "--agent", &url, "-o", "jsonl"]).exits(0).objects();
    let states: Vec<_> = objects.iter().filter(|it| it["type"] == "file").map(|it| &it["state"]).collect();
    assert_eq!(states, ["refused", "loaded"]);
    let logs = weir(&["logs", "--agent", &url, "--tail", "1", "--filter", "puppet", "--stats"]).exits(0);
    logs.says(&["filter puppet 1.2.3"]);
}

/// With digests and keys in its config, an agent runs those components and no others, from wherever they come.
#[test]
fn components_that_the_config_allows() {
    let (tree, desk) = (Tree::sample(), Tree::new());
    let plain = |path: PathBuf| path.to_str().expect("a plain path").to_owned();
    let component =
        |file: &str, version| plain(desk.write(file, Puppet { version, ..Puppet::default() }.build()));
    let (listed, signed, other) =
        (component("1.wasm", "1.0.0"), component("2.wasm", "2.0.0"), component("3.wasm", "3.0.0"));
    let digest = weir(&["filter", "inspect", &listed, "-o", "jsonl"]).exits(0).objects()[0]["digest"].clone();
    let key = plain(desk.path().join("team"));
    let keys = |args: &[&str]| Weir::new(args).env("COSIGN_PASSWORD", "").run().exits(0);
    keys(&["filter", "keygen", &key]);
    let (public, private) = (format!("{key}.pub"), format!("{key}.key"));
    keys(&["filter", "sign", &signed, "--key", &private]);
    let filters = Tree::new();
    let named = |name, version| Puppet { name, version, ..Puppet::default() }.build();
    filters.write("bare.wasm", named("bare", "4.0.0"));
    let own = plain(filters.write("own.wasm", named("own", "5.0.0")));
    keys(&["filter", "sign", &own, "--key", &private]);
    let config = desk.write(
        "agent.yaml",
        format!(
            "allow_components: true\nfilters:\n  folder: {}\n  allowed_digests: [{digest}]\n  allowed_signers: [{public}]\n",
            filters.arg()
        ),
    );
    let agent = Agent::start(&tree, &["--config", &plain(config)]);
    let url = format!("http://{}", agent.address);
    let ask = |filter: &str| weir(&["logs", "--agent", &url, "--tail", "1", "--filter", filter]);
    ask(&listed).exits(0);
    ask(&signed).exits(0);
    ask(&other).exits(2).says(&["is not allowed", "sha256:", "no signature", "team.pub"]);
    ask("redact").exits(0);
    ask("own").exits(0);
    ask("bare").exits(2);
    let listed = weir(&["filters", "--agent", &url]).exits(0);
    let line =
        |text: &str| listed.stdout().lines().any(|line| line.starts_with("bare.wasm") && line.contains(text));
    assert!(line("refused") && line("no signature"), "{}", listed.stdout());
}

#[test]
fn over_tls_with_certificates_on_both_sides() {
    let tree = Tree::sample();
    let certificates = Certificates::new();
    let file = |name: &str| certificates.dir.path().join(name).to_str().expect("a plain path").to_owned();
    let (ca, cert, key) = (file("ca.pem"), file("agent.pem"), file("agent.key"));
    let agent = Agent::start(&tree, &["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &ca]);
    let port = agent.address.rsplit(':').next().expect("a port");
    let url = format!("https://127.0.0.1:{port}");
    let (client_cert, client_key) = (file("client.pem"), file("client.key"));
    let identity = ["--tls-cert", &client_cert, "--tls-key", &client_key];
    let trust = ["--tls-ca", &ca, "--tls-server-name", "agent.test"];
    let ask = |flags: &[&str]| weir(&[&["logs", "--agent", &url, "-e", "error"], flags].concat());

    let remote = ask(&[&trust[..], &identity].concat()).exits(0);
    let local = weir(&["logs", "--dir", tree.arg(), "-e", "error"]).exits(0);
    assert_eq!(remote.stdout(), local.stdout());
    ask(&trust).exits(3).says(&[&url]);
    ask(&identity).exits(3).says(&[&url, "UnknownIssuer", "see --tls-ca"]);
    ask(&[&["--tls-ca", &ca, "--tls-server-name", "other.test"][..], &identity].concat()).exits(3).says(&[
        &url,
        "other.test",
        "see --tls-server-name",
    ]);
    ask(&["--tls-ca", "/no/such/ca.pem"]).exits(2).says(&["--tls-ca", "/no/such/ca.pem"]);
    ask(&["--tls-cert", &client_cert]).exits(2).says(&["--tls-key"]);
}

/// A certificate authority with one certificate for the agent and one for a client.
struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("a file");
        let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        write("ca.pem", ca.pem());
        for (name, host) in [("agent", "agent.test"), ("client", "client.test")] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![host.to_owned()]).expect("valid parameters");
            write(&format!("{name}.pem"), params.signed_by(&key, &ca).expect("a certificate").pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Certificates { dir }
    }
}
