//! A registry of the test's own: Debian's docker-registry on a free port of the loopback address.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// `weir:swordfish` as `htpasswd -B` writes it.
const HTPASSWD: &str = "weir:$2y$05$abcdefghijklmnopqrstuupWDwJQeCHYIBQy8WvkVB6ImhZ476YYy\n";

/// How a registry is to be.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// Asks for the user `weir` and the password `swordfish`.
    pub(crate) has_password: bool,
    /// Certificate and key, PEM.
    pub(crate) tls: Option<(String, String)>,
    /// Asks for a token: URL of who gives them, and the certificate, PEM, that they are signed with.
    pub(crate) token: Option<(String, String)>,
}

/// A running registry. It ends with the test.
pub(crate) struct Registry {
    child: Child,
    dir: TempDir,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
}

impl Registry {
    /// A registry that everybody may use; `None`, with a word on why, where its program isn't installed.
    pub(crate) fn start() -> Option<Registry> {
        Registry::start_with(Options::default())
    }

    /// A registry; `None`, with a word on why, where its program isn't installed.
    pub(crate) fn start_with(options: Options) -> Option<Registry> {
        let Some(program) = program() else {
            println!(
                "skipped: no docker-registry here; scripts/setup --tests installs it where there is a package of it"
            );
            return None;
        };
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let (child, address) = run(&program, dir.path(), "127.0.0.1:0", &options);
        Some(Registry { child, dir, address })
    }

    /// Ends it; what is in it stays.
    pub(crate) fn stop(&mut self) {
        self.child.kill().expect("the registry can be ended");
        self.child.wait().expect("the registry ends");
    }

    /// Starts it again at its address, with what is in it.
    pub(crate) fn start_again(&mut self, options: &Options) {
        let program = program().expect("it was there before");
        self.child = run(&program, self.dir.path(), &self.address, options).0;
    }

    /// A name in it.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// The file with the blob of a digest.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let blobs = self.dir.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Writes a manifest past the tool under test.
    pub(crate) fn put_manifest(&self, name: &str, tag: &str, media_type: &str, manifest: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("the registry listens");
        let length = manifest.len();
        write!(
            stream,
            "PUT /v2/{name}/manifests/{tag} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{manifest}",
            self.address
        )
        .expect("the registry listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the registry answers");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended already.
        self.stop();
    }
}

/// Starts it, and gives its address once it listens.
fn run(program: &Path, dir: &Path, address: &str, options: &Options) -> (Child, String) {
    let config = write(dir, "config.yml", &config(dir, address, options));
    let mut child = Command::new(program)
        .arg("serve")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the registry starts");
    let mut log = BufReader::new(child.stderr.take().expect("standard error is piped"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(log.read_line(&mut line).expect("the registry's log") > 0, "the registry ended");
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find([',', '"']).expect("the address ends");
            break rest[..end].to_owned();
        }
    };
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (child, address)
}

fn write(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).expect("a file");
    path
}

fn config(dir: &Path, address: &str, options: &Options) -> String {
    let storage = dir.join("storage");
    let mut config = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {address}\n",
        storage.display()
    );
    if let Some((certificate, key)) = &options.tls {
        let (certificate, key) = (write(dir, "tls.crt", certificate), write(dir, "tls.key", key));
        config += &format!("  tls: {{certificate: {}, key: {}}}\n", certificate.display(), key.display());
    }
    if options.has_password {
        let path = write(dir, "htpasswd", HTPASSWD);
        config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display());
    }
    if let Some((realm, certificate)) = &options.token {
        let path = write(dir, "token.crt", certificate);
        let path = path.display();
        config += &format!(
            "auth: {{token: {{realm: '{realm}', service: registry, issuer: test, rootcertbundle: {path}}}}}\n"
        );
    }
    config
}

/// The registry's program, by the names that distributions give it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> =
        std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]).collect();
    let names = ["docker-registry", "registry"];
    names
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)))
        .find(|path| fs::metadata(path).is_ok())
}
